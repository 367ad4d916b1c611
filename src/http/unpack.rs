//! Unpacks a body of gzip, zstd or br data, in steps of bounded input and output. The packed bytes may come in parts.

use std::io::{self, BufRead, Read};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;

use super::error::{Code, Problem};
use crate::system::choice::shortened;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Zstd,
    Brotli,
    Gzip,
}

/// A body that is being unpacked.
pub struct Unpacking {
    coding: Coding,
    decoder: Decoder,
    /// What is unpacked; whoever reads a body in parts takes it.
    pub bytes: Vec<u8>,
    max: usize,
    /// Whether anything was unpacked.
    has_content: bool,
    /// Whether the packed data has come to its end.
    is_done: bool,
}

/// What a step has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Another step unpacks more.
    More,
    /// The packed bytes so far are read.
    NeedsInput,
    Whole,
}

enum Decoder {
    Gzip(Box<flate2::bufread::MultiGzDecoder<Packed>>),
    Zstd(Box<zstd::Decoder<'static, Packed>>),
    Brotli(Box<brotli::Decompressor<Packed>>),
}

/// Packed bytes, of which a step may read [`MAX_IN`]. More are refused until the next step: millions of empty parts unpack to
/// nothing and still take time.
struct Packed {
    bytes: Vec<u8>,
    n_read: usize,
    n_left: usize,
    /// Whether no further bytes come.
    is_whole: bool,
}

/// 8 MB, the most that RFC 9659 allows for HTTP. The memory of a decoder grows with it.
const MAX_ZSTD_WINDOW: u32 = 23;

const MAX_IN: usize = 64 * 1024;
const MAX_OUT: usize = 1024 * 1024;
const BUFFER_BYTES: usize = 16 * 1024;

impl Coding {
    /// Those that cost least first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// As headers spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The coding that the headers name; `None`: the body is not packed.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let values = headers.get_all(CONTENT_ENCODING).iter();
        let named: Vec<String> = values
            .flat_map(|value| {
                String::from_utf8_lossy(value.as_bytes())
                    .to_ascii_lowercase()
                    .split(',')
                    .map(|coding| coding.trim().to_owned())
                    .collect::<Vec<_>>()
            })
            .filter(|coding| !coding.is_empty() && coding != "identity")
            .collect();
        match named.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => Ok(None),
            ["gzip" | "x-gzip"] => Ok(Some(Self::Gzip)),
            ["zstd"] => Ok(Some(Self::Zstd)),
            ["br"] => Ok(Some(Self::Brotli)),
            _ => {
                let named = shortened(&named.join(", "));
                let detail = format!(
                    "content-encoding `{named}` is not supported; send the body with `gzip`, `zstd` or `br`, one of them, or uncompressed"
                );
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }
}

impl Unpacking {
    /// Unpacks at most `max` bytes of a body that is there.
    pub fn whole(coding: Coding, packed: Vec<u8>, max: usize) -> Result<Self, Problem> {
        Self::start(coding, Packed { bytes: packed, n_read: 0, n_left: MAX_IN, is_whole: true }, max)
    }

    /// Unpacks a body that comes in parts: see [`Self::push`].
    pub fn in_parts(coding: Coding) -> Result<Self, Problem> {
        Self::start(coding, Packed { bytes: Vec::new(), n_read: 0, n_left: MAX_IN, is_whole: false }, usize::MAX)
    }

    fn start(coding: Coding, packed: Packed, max: usize) -> Result<Self, Problem> {
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(packed))),
            Coding::Brotli => Decoder::Brotli(Box::new(brotli::Decompressor::new(packed, BUFFER_BYTES))),
            Coding::Zstd => {
                let decoder = zstd::Decoder::with_buffer(packed).and_then(|mut decoder| {
                    decoder.window_log_max(MAX_ZSTD_WINDOW)?;
                    Ok(decoder)
                });
                Decoder::Zstd(Box::new(decoder.map_err(|error| damaged(coding, &error))?))
            }
        };
        Ok(Self { coding, decoder, bytes: Vec::new(), max, has_content: false, is_done: false })
    }

    /// Adds packed bytes; `None`: no more come.
    pub fn push(&mut self, bytes: Option<&[u8]>) {
        let packed = self.decoder.packed();
        packed.bytes.drain(..packed.n_read);
        packed.n_read = 0;
        match bytes {
            Some(bytes) => packed.bytes.extend_from_slice(bytes),
            None => packed.is_whole = true,
        }
    }

    /// Unpacks a part.
    pub fn step(&mut self) -> Result<Step, Problem> {
        if self.is_done {
            return self.end();
        }
        self.decoder.packed().n_left = MAX_IN;
        let end = self.bytes.len() + MAX_OUT;
        let mut buffer = [0; BUFFER_BYTES];
        while self.bytes.len() < end {
            match self.decoder.read(&mut buffer) {
                Ok(0) => {
                    self.is_done = true;
                    if let Decoder::Brotli(decoder) = &mut self.decoder {
                        // It reports bytes after the end when it is read again.
                        decoder.read(&mut buffer).map_err(|_| damaged(self.coding, &trailing_bytes()))?;
                    }
                    return self.end();
                }
                Ok(n) => {
                    self.has_content = true;
                    self.bytes.extend_from_slice(&buffer[..n]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(if self.decoder.packed().needs_input() { Step::NeedsInput } else { Step::More });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.problem(&error)),
            }
            if self.bytes.len() > self.max {
                return Err(too_large("the unpacked body", self.max));
            }
        }
        Ok(Step::More)
    }

    /// The decoders take what follows the end of the data for the start of more data, and name only that.
    fn problem(&self, error: &io::Error) -> Problem {
        let starts_badly = match self.coding {
            Coding::Gzip => error.kind() == io::ErrorKind::InvalidInput,
            Coding::Zstd => error.to_string().contains("Unknown frame descriptor"),
            Coding::Brotli => false,
        };
        if starts_badly && self.has_content {
            return damaged(self.coding, &trailing_bytes());
        }
        if error.kind() == io::ErrorKind::UnexpectedEof && self.has_content {
            return damaged(self.coding, &io::Error::other("it is cut off, or other bytes follow its end"));
        }
        damaged(self.coding, error)
    }

    /// Nothing may follow what is unpacked.
    fn end(&mut self) -> Result<Step, Problem> {
        let packed = self.decoder.packed();
        match (packed.n_read == packed.bytes.len(), packed.is_whole) {
            (true, true) => Ok(Step::Whole),
            (true, false) => Ok(Step::NeedsInput),
            (false, _) => Err(damaged(self.coding, &trailing_bytes())),
        }
    }
}

pub fn too_large(what: &str, max: usize) -> Problem {
    let detail = format!(
        "{what} has more than {max} bytes; send the documents in several requests, or start the server with a higher --max-body-bytes"
    );
    Problem::new(Code::BodyTooLarge, detail)
}

fn trailing_bytes() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "other bytes follow its end")
}

fn damaged(coding: Coding, error: &io::Error) -> Problem {
    let name = coding.name();
    let detail =
        format!("the body is not whole {name} data ({error}); pack it again, or send it without content-encoding");
    Problem::new(Code::InvalidJson, detail)
}

impl Decoder {
    fn packed(&mut self) -> &mut Packed {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
            Self::Brotli(decoder) => decoder.read(buffer),
        }
    }
}

impl Packed {
    fn needs_input(&self) -> bool {
        self.n_read == self.bytes.len() && !self.is_whole
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Packed {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let rest = &self.bytes[self.n_read..];
        if self.needs_input() || self.n_left == 0 && !rest.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(&rest[..rest.len().min(self.n_left)])
    }

    fn consume(&mut self, n: usize) {
        self.n_read += n;
        self.n_left -= n;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn pack(coding: Coding, content: &[u8]) -> Vec<u8> {
        match coding {
            Coding::Gzip => gzip(content),
            Coding::Zstd => zstd::encode_all(content, 3).unwrap(),
            Coding::Brotli => {
                let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
                encoder.write_all(content).unwrap();
                encoder.into_inner()
            }
        }
    }

    #[test]
    fn a_body_may_come_in_parts_of_any_size() {
        let content: Vec<u8> = (0..200_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for coding in Coding::ALL {
            for n_bytes in [1, 7, 60_000] {
                let (packed, mut unpacking) = (pack(coding, &content), Unpacking::in_parts(coding).unwrap());
                let mut unpacked = Vec::new();
                for part in packed.chunks(n_bytes) {
                    unpacking.push(Some(part));
                    while unpacking.step().unwrap() == Step::More {}
                    unpacked.append(&mut unpacking.bytes);
                }
                unpacking.push(None);
                while unpacking.step().unwrap() != Step::Whole {}
                unpacked.append(&mut unpacking.bytes);
                assert!(unpacked == content, "{coding:?} in parts of {n_bytes}");
            }
            let mut cut = Unpacking::in_parts(coding).unwrap();
            cut.push(Some(&pack(coding, &content)[..1_000]));
            assert_eq!(cut.step().unwrap(), Step::NeedsInput);
            cut.push(None);
            assert_eq!(cut.step().unwrap_err().code, Code::InvalidJson, "{coding:?}");
        }
    }

    #[test]
    fn zstd_with_a_window_larger_than_http_allows_is_refused() {
        let with_window = |log| {
            let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(&[b'x'; 100_000]).unwrap();
            unpack(Coding::Zstd, encoder.finish().unwrap())
        };
        assert_eq!(with_window(23).unwrap().0.len(), 100_000);
        let problem = with_window(24).unwrap_err();
        assert!(problem.detail.contains("too much memory"), "{}", problem.detail);
    }

    /// The content and the number of steps.
    fn unpack(coding: Coding, packed: Vec<u8>) -> Result<(Vec<u8>, usize), Problem> {
        let mut unpacking = Unpacking::whole(coding, packed, 10_000_000)?;
        let mut n_steps = 1;
        while unpacking.step()? != Step::Whole {
            n_steps += 1;
        }
        Ok((unpacking.bytes, n_steps))
    }

    #[test]
    fn a_body_unpacks_in_steps_of_bounded_input_and_output() {
        let noise: Vec<u8> = (0..500_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let zeros = vec![0; 5_000_000];
        for content in [&b""[..], b"{}", &noise, &zeros] {
            for coding in Coding::ALL {
                let packed = pack(coding, content);
                let n_min = (packed.len() / MAX_IN).max(content.len() / (MAX_OUT + 16 * 1024));
                let (unpacked, n_steps) = unpack(coding, packed).unwrap();
                assert!(unpacked == content && n_steps > n_min, "{coding:?} of {} bytes", content.len());
            }
        }
    }

    #[test]
    fn empty_parts_do_not_make_a_step_long() {
        let empty = gzip(b"");
        let n_parts = 20_000;
        let packed = [empty.repeat(n_parts), gzip(b"{}")].concat();
        let n_bytes = packed.len();
        let (unpacked, n_steps) = unpack(Coding::Gzip, packed).unwrap();
        assert_eq!((&unpacked[..], n_steps), (&b"{}"[..], n_bytes.div_ceil(MAX_IN)));
    }

    #[test]
    fn bytes_after_the_end_are_named_as_what_they_are() {
        let content = b"{\"text\": \"Berlin\"}";
        for coding in Coding::ALL {
            for junk in [&b"\n"[..], b"abc", b"PK\x03\x04 and so on", &[b'x'; 100]] {
                let problem = unpack(coding, [pack(coding, content), junk.to_vec()].concat()).unwrap_err();
                assert!(problem.detail.contains("other bytes follow its end"), "{coding:?}: {}", problem.detail);
            }
            let problem = unpack(coding, b"{\"text\": \"Berlin\"}".to_vec()).unwrap_err();
            assert!(!problem.detail.contains("follow its end"), "{coding:?}: {}", problem.detail);
        }
    }

    #[test]
    fn a_body_that_is_cut_off_or_too_large_is_refused() {
        for coding in Coding::ALL {
            let whole = pack(coding, &[7; 100_000]);
            let cut = whole[..whole.len() - 3].to_vec();
            assert_eq!(unpack(coding, cut).unwrap_err().code, Code::InvalidJson, "{coding:?}");
            let large = pack(coding, &vec![0; 20_000_000]);
            assert_eq!(unpack(coding, large).unwrap_err().code, Code::BodyTooLarge, "{coding:?}");
        }
    }
}
