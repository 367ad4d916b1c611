//! Unpacks a body of gzip or zstd data, in steps of bounded input and output.

use std::io::{self, BufRead, Read};

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;

use super::error::{Code, Problem};
use crate::system::choice::shortened;

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    Zstd,
}

/// A body that is being unpacked.
pub struct Unpacking {
    coding: Coding,
    decoder: Decoder,
    pub bytes: Vec<u8>,
    max: usize,
}

enum Decoder {
    Gzip(Box<flate2::bufread::MultiGzDecoder<Packed>>),
    Zstd(Box<zstd::Decoder<'static, Packed>>),
}

/// Packed bytes, of which a step may read [`MAX_IN`]. More are refused until the next step: millions of empty parts unpack to
/// nothing and still take time.
struct Packed {
    bytes: Vec<u8>,
    n_read: usize,
    n_left: usize,
}

const MAX_IN: usize = 64 * 1024;
const MAX_OUT: usize = 1024 * 1024;

impl Coding {
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
            _ => {
                let named = shortened(&named.join(", "));
                let detail = format!(
                    "content-encoding `{named}` is not supported; send the JSON with `gzip` or `zstd`, one of them, or uncompressed"
                );
                Err(Problem::new(Code::UnsupportedMediaType, detail))
            }
        }
    }
}

impl Unpacking {
    /// Unpacks at most `max` bytes.
    pub fn start(coding: Coding, packed: Vec<u8>, max: usize) -> Result<Self, Problem> {
        let packed = Packed { bytes: packed, n_read: 0, n_left: MAX_IN };
        let decoder = match coding {
            Coding::Gzip => Decoder::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(packed))),
            Coding::Zstd => {
                Decoder::Zstd(Box::new(zstd::Decoder::with_buffer(packed).map_err(|error| damaged(coding, &error))?))
            }
        };
        Ok(Self { coding, decoder, bytes: Vec::new(), max })
    }

    /// Unpacks a part; returns whether the body is whole.
    pub fn step(&mut self) -> Result<bool, Problem> {
        self.decoder.packed().n_left = MAX_IN;
        let end = self.bytes.len() + MAX_OUT;
        let mut buffer = [0; 16 * 1024];
        while self.bytes.len() < end {
            match self.decoder.read(&mut buffer) {
                Ok(0) => return Ok(true),
                Ok(n) => self.bytes.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(damaged(self.coding, &error)),
            }
            if self.bytes.len() > self.max {
                return Err(too_large("the unpacked body", self.max));
            }
        }
        Ok(false)
    }
}

pub fn too_large(what: &str, max: usize) -> Problem {
    let detail = format!(
        "{what} has more than {max} bytes; send the documents in several requests, or start the server with a higher --max-body-bytes"
    );
    Problem::new(Code::BodyTooLarge, detail)
}

fn damaged(coding: Coding, error: &io::Error) -> Problem {
    let name = if coding == Coding::Gzip { "gzip" } else { "zstd" };
    let detail =
        format!("the body is not whole {name} data ({error}); pack it again, or send it without content-encoding");
    Problem::new(Code::InvalidJson, detail)
}

impl Decoder {
    fn packed(&mut self) -> &mut Packed {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
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
        if self.n_left == 0 && !rest.is_empty() {
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

    /// The content and the number of steps.
    fn unpack(coding: Coding, packed: Vec<u8>) -> Result<(Vec<u8>, usize), Problem> {
        let mut unpacking = Unpacking::start(coding, packed, 10_000_000)?;
        let mut n_steps = 1;
        while !unpacking.step()? {
            n_steps += 1;
        }
        Ok((unpacking.bytes, n_steps))
    }

    #[test]
    fn a_body_unpacks_in_steps_of_bounded_input_and_output() {
        let noise: Vec<u8> = (0..500_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let zeros = vec![0; 5_000_000];
        for content in [&b""[..], b"{}", &noise, &zeros] {
            for (coding, packed) in
                [(Coding::Gzip, gzip(content)), (Coding::Zstd, zstd::encode_all(content, 3).unwrap())]
            {
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
    fn a_body_that_is_cut_off_or_too_large_is_refused() {
        let mut cut = gzip(&[7; 100_000]);
        cut.truncate(50);
        assert_eq!(unpack(Coding::Gzip, cut).unwrap_err().code, Code::InvalidJson);
        let large = zstd::encode_all(&vec![0; 20_000_000][..], 3).unwrap();
        assert_eq!(unpack(Coding::Zstd, large).unwrap_err().code, Code::BodyTooLarge);
    }
}
