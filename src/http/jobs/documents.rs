//! The documents of a job, read from its request one by one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use axum::body::Bytes;

use super::job::RequestKind;
use crate::classify::answer::DocumentId;
use crate::classify::request::{CheckedText, RequestLimits};
use crate::http::error::Problem;
use crate::http::schema::{ClassifyRequest, Input, InputDocument, LineRequest, Settings};

/// Where each document is in the request.
pub struct Documents {
    file: File,
    pub kind: RequestKind,
    spans: Vec<DocumentSpan>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DocumentSpan {
    start: u64,
    n_bytes: u32,
    /// Of its line, from 1.
    line: u32,
}

/// A document, read and checked.
pub struct JobDocument {
    pub id: Option<DocumentId>,
    pub text: Result<CheckedText, Problem>,
    /// Those of a line; `None`: those of the request.
    pub settings: Option<Settings>,
}

impl Documents {
    /// Finds the documents of a request. The settings are those of all; `None`: every line has its own.
    pub fn open(path: &Path, kind: RequestKind, limits: &RequestLimits) -> io::Result<(Self, Option<Settings>)> {
        let mut file = File::open(path)?;
        if kind == RequestKind::Lines {
            let spans = line_spans(BufReader::new(&mut file))?;
            return Ok((Self { file, kind, spans }, None));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let bytes = Bytes::from(bytes);
        let request = parse(&bytes, kind, limits).map_err(|problem| io::Error::other(problem.detail))?;
        let spans = match &request.input {
            Input::One(_) => {
                vec![DocumentSpan { start: 0, n_bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX), line: 1 }]
            }
            Input::Many(documents) => documents.iter().map(|document| span_of(document, &bytes)).collect(),
        };
        Ok((Self { file, kind, spans }, Some(request.settings)))
    }

    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Bytes of the longest document.
    pub fn longest(&self) -> Option<usize> {
        self.spans.iter().map(|span| span.n_bytes as usize).max()
    }

    /// The number of the line of a document, from 1.
    pub fn line(&self, index: usize) -> u64 {
        self.spans.get(index).map_or(0, |span| span.line.into())
    }

    /// Reads the document at `index`.
    pub fn read(&self, index: usize, limits: &RequestLimits) -> io::Result<JobDocument> {
        let span = self.spans.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
        let mut bytes = vec![0; span.n_bytes as usize];
        // One reader at a time: a run starts its documents one after the other.
        let mut file = &self.file;
        file.seek(SeekFrom::Start(span.start))?;
        file.read_exact(&mut bytes)?;
        Ok(self.document(bytes.into(), index, limits))
    }

    fn document(&self, bytes: Bytes, index: usize, limits: &RequestLimits) -> JobDocument {
        match self.kind {
            RequestKind::Text | RequestKind::PlainText => {
                let text = parse(&bytes, self.kind, limits).map(|request| match request.input {
                    Input::One(text) => Some(text),
                    Input::Many(_) => None,
                });
                let none = || Problem::new(crate::http::error::Code::Internal, "the request of the job is damaged");
                JobDocument { id: None, text: text.and_then(|text| text.ok_or_else(none)), settings: None }
            }
            RequestKind::Documents => {
                let document = InputDocument::new(bytes, index);
                JobDocument { id: document.id(), text: document.text(limits), settings: None }
            }
            RequestKind::Lines => {
                let id = LineRequest::id(&bytes);
                match LineRequest::parse(&bytes, limits) {
                    Ok(LineRequest { text, settings }) => JobDocument { id, text: Ok(text), settings: Some(settings) },
                    Err(problem) => JobDocument { id, text: Err(problem), settings: None },
                }
            }
        }
    }
}

fn parse(bytes: &Bytes, kind: RequestKind, limits: &RequestLimits) -> Result<ClassifyRequest, Problem> {
    match kind {
        RequestKind::PlainText => ClassifyRequest::of_text(bytes, limits),
        _ => ClassifyRequest::parse(bytes, limits),
    }
}

fn span_of(document: &InputDocument, body: &Bytes) -> DocumentSpan {
    let range = document.range_in(body);
    // A body has less than 4 GB (`--max-body-bytes` is held in memory), and so has each document.
    DocumentSpan { start: range.start as u64, n_bytes: u32::try_from(range.len()).unwrap_or(u32::MAX), line: 0 }
}

/// Where the lines are that are not blank.
fn line_spans(mut reader: impl BufRead) -> io::Result<Vec<DocumentSpan>> {
    let (mut spans, mut start, mut line) = (Vec::new(), 0, 0);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let n_read = reader.read_until(b'\n', &mut bytes)?;
        if n_read == 0 {
            return Ok(spans);
        }
        line += 1;
        let content = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        if !content.iter().all(u8::is_ascii_whitespace) {
            let n_bytes = u32::try_from(content.len()).map_err(io::Error::other)?;
            spans.push(DocumentSpan { start, n_bytes, line });
        }
        start += n_read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_count_and_are_no_documents() {
        let spans = line_spans(&b"{}\n\n \r\n{\"a\": 1}\r\nx"[..]).unwrap();
        let found: Vec<_> = spans.iter().map(|span| (span.start, span.n_bytes, span.line)).collect();
        assert_eq!(found, [(0, 2, 1), (7, 9, 4), (17, 1, 5)]);
    }
}
