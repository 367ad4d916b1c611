//! The encoding of text files: told by a byte order mark, by the NULs of UTF-16, or by the user; else it is UTF-8.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};
use std::str::FromStr;

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Bytes at the start of a file that tell its encoding.
pub const N_SNIFFED: usize = 4;

const NOT_UTF8_REMEDY: &str = "if it is Windows-1252 (as Excel and old programs write), give --encoding windows-1252; if it is UTF-8 with single damaged rows, give --encoding utf-8 to list those as errors";

const SURROGATES_REMEDY: &str = "it has surrogates, as in CESU-8 or WTF-8; convert it, for instance with `uconv -f CESU-8 -t UTF-8`, or give --encoding utf-8 to list such rows as errors";

/// Remedy for a file that is not UTF-8.
pub fn not_utf8_remedy(is_surrogate: bool) -> &'static str {
    if is_surrogate { SURROGATES_REMEDY } else { NOT_UTF8_REMEDY }
}

/// Whether `bytes` begin with a surrogate (U+D800 to U+DFFF), which UTF-8 does not have.
pub fn is_surrogate(bytes: &[u8]) -> bool {
    matches!(bytes, [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..])
}

/// An encoding that the user named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextEncoding(&'static Encoding);

impl TextEncoding {
    /// The name in the WHATWG encoding standard.
    pub fn name(self) -> &'static str {
        self.0.name()
    }
}

impl FromStr for TextEncoding {
    type Err = String;

    fn from_str(label: &str) -> Result<Self, String> {
        Encoding::for_label(label.as_bytes()).map(Self).ok_or_else(|| {
            format!("`{label}` is not a known encoding; give one such as utf-8, windows-1252, iso-8859-15 or utf-16le")
        })
    }
}

/// What the first bytes of a file tell, a byte order mark before `named`. The mark's length comes with it.
fn encoding_of(start: &[u8], named: Option<TextEncoding>) -> (&'static Encoding, usize) {
    let with_mark = Encoding::for_bom(start);
    let without_mark = || match start {
        // No text has a NUL, and a record starts with an ASCII character.
        [low, 0, _, 0, ..] if *low != 0 => UTF_16LE,
        [0, high, 0, ..] if *high != 0 => UTF_16BE,
        _ => UTF_8,
    };
    with_mark.unwrap_or_else(|| (named.map_or_else(without_mark, |named| named.0), 0))
}

/// `bytes` in UTF-8, without a byte order mark. Bytes of files that are UTF-8 already are not checked.
pub fn in_utf8(bytes: &[u8], named: Option<TextEncoding>) -> Cow<'_, [u8]> {
    let (encoding, n_mark) = encoding_of(bytes, named);
    let content = bytes.get(n_mark..).unwrap_or_default();
    match encoding == UTF_8 {
        true => Cow::Borrowed(content),
        false => Cow::Owned(encoding.decode_without_bom_handling(content).0.into_owned().into_bytes()),
    }
}

/// Reads `source` as UTF-8, as [`in_utf8`] does.
pub fn reader_in_utf8(
    mut source: Box<dyn BufRead + Send>,
    named: Option<TextEncoding>,
) -> io::Result<Box<dyn BufRead + Send>> {
    let mut start = Vec::with_capacity(N_SNIFFED);
    source.by_ref().take(N_SNIFFED as u64).read_to_end(&mut start)?;
    if [[0xff, 0xfe, 0, 0], [0, 0, 0xfe, 0xff]].iter().any(|mark| start == *mark) {
        let message = "is UTF-32; convert it, for instance with `iconv -f UTF-32 -t UTF-8`";
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    let (encoding, n_mark) = encoding_of(&start, named);
    start.drain(..n_mark);
    let whole = io::Cursor::new(start).chain(source);
    Ok(match encoding == UTF_8 {
        true => Box::new(whole),
        false => Box::new(io::BufReader::with_capacity(1 << 16, Transcoded::new(whole, encoding))),
    })
}

/// A source in another encoding, read as UTF-8. What stands for no character becomes U+FFFD.
struct Transcoded<R> {
    source: R,
    decoder: Decoder,
    decoded: Vec<u8>,
    /// Bytes of `decoded` that were read.
    at: usize,
    is_finished: bool,
}

impl<R: BufRead> Transcoded<R> {
    fn new(source: R, encoding: &'static Encoding) -> Self {
        Self {
            source,
            decoder: encoding.new_decoder_without_bom_handling(),
            decoded: Vec::new(),
            at: 0,
            is_finished: false,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        const CHUNK: usize = 1 << 14;
        self.at = 0;
        self.decoded.clear();
        while self.decoded.is_empty() && !self.is_finished {
            let input = self.source.fill_buf()?;
            let is_last = input.is_empty();
            self.decoded.resize(CHUNK, 0);
            let (result, n_read, n_written, _) = self.decoder.decode_to_utf8(input, &mut self.decoded, is_last);
            self.decoded.truncate(n_written);
            self.source.consume(n_read);
            self.is_finished = is_last && result == CoderResult::InputEmpty;
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Transcoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at >= self.decoded.len() {
            self.fill()?;
        }
        let rest = self.decoded.get(self.at..).unwrap_or_default();
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_goes_before_the_name_and_nuls_tell_utf_16() {
        let utf16 = |text: &str, mark: bool, swap: bool| -> Vec<u8> {
            let units = mark.then_some(0xfeff).into_iter().chain(text.encode_utf16());
            units.flat_map(|unit| if swap { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
        };
        let windows = "windows-1252".parse().ok();
        for (bytes, named) in [
            ("aä😀".as_bytes().to_vec(), None),
            ("\u{feff}aä😀".as_bytes().to_vec(), windows),
            (utf16("aä😀", true, false), windows),
            (utf16("aä😀", true, true), None),
            (utf16("ab aä😀", false, false)[6..].to_vec(), "utf-16le".parse().ok()),
        ] {
            let mut read = Vec::new();
            reader_in_utf8(Box::new(io::Cursor::new(bytes.clone())), named).unwrap().read_to_end(&mut read).unwrap();
            assert_eq!(
                (String::from_utf8(read).unwrap().as_str(), in_utf8(&bytes, named).as_ref()),
                ("aä😀", "aä😀".as_bytes())
            );
        }
        assert_eq!(in_utf8(&utf16("id;ä", false, false), None).as_ref(), "id;ä".as_bytes());
        assert_eq!(in_utf8(b"K\xf6ln \x84", windows).as_ref(), "Köln „".as_bytes());
        assert!("latin".parse::<TextEncoding>().is_err());
    }

    #[test]
    fn utf_32_is_named() {
        let bytes: Vec<u8> = [0xfeff, 'i' as u32].iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let error = reader_in_utf8(Box::new(io::Cursor::new(bytes)), None).err().unwrap();
        assert!(error.to_string().contains("UTF-32"));
    }

    #[test]
    fn characters_at_the_edges_of_buffers_stay_whole() {
        let text = "aä😀€".repeat(20_000);
        let bytes: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let source = io::BufReader::with_capacity(7, io::Cursor::new(bytes));
        let mut read = String::new();
        reader_in_utf8(Box::new(source), None).unwrap().read_to_string(&mut read).unwrap();
        assert!(read == text);
    }
}
