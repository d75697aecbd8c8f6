//! The chunked coding (RFC 9112, section 7.1), byte by byte.

use super::{Refusal, field::FieldLine};
use crate::web::FoldedName;

/// Most digits of a size.
const MOST_DIGITS: u8 = 16;
/// Longest extension of one chunk.
const MOST_EXTENSION_BYTES: u16 = 256;
/// Largest trailer section.
const MOST_TRAILER_BYTES: usize = 8 * 1024;
/// Most trailer fields.
const MOST_TRAILER_FIELDS: usize = 32;

/// Fields that are decided by the head and must not come after the body (RFC 9110, section 6.5.1).
const HEAD_ONLY: [&str; 20] = [
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "max-forwards",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The same, by how they begin: what apps take for an identity.
const HEAD_ONLY_PREFIXES: [&str; 6] =
    ["x-forwarded-", "x-schoolgate-", "x-auth-request-", "x-remote-", "remote-", "sec-"];

/// Where we are in a chunked body.
///
/// Chunk extensions are allowed, as RFC 9112, section 7.1.1, has it ("a recipient MUST ignore
/// unrecognized chunk extensions"), but only printable ASCII, short, and without white space before the
/// semicolon: then no line break can hide in one. pingora drops them, and it drops trailers.
#[derive(Clone, Debug)]
pub(super) enum Chunks {
    /// In the digits of a size.
    Size { digits: u8, size: u64 },
    /// In an extension.
    Extension { size: u64, length: u16 },
    /// Before the LF of the line with the size.
    SizeLf { size: u64 },
    /// In the data, so many bytes before its end.
    Data { left: u64 },
    /// Before the CR after the data.
    DataCr,
    /// Before the LF after the data.
    DataLf,
    /// In the trailer section.
    Trailer(Trailer),
    /// Behind it.
    End,
}

/// The trailer section so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Trailer {
    line: Vec<u8>,
    bytes: usize,
    fields: usize,
    after_cr: bool,
}

impl Chunks {
    pub(super) const fn new() -> Self {
        Self::Size { digits: 0, size: 0 }
    }

    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::End)
    }

    /// Goes on; the result is how many of the bytes belong to the body.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut at = 0;
        while let (Some(&byte), false) = (bytes.get(at), self.is_done()) {
            if let Self::Data { left } = self {
                let here = (bytes.len() - at).min(usize::try_from(*left).unwrap_or(usize::MAX));
                at += here;
                *left -= here as u64;
                if *left == 0 {
                    *self = Self::DataCr;
                }
            } else {
                self.step(byte)?;
                at += 1;
            }
        }
        Ok(at)
    }

    fn step(&mut self, byte: u8) -> Result<(), Refusal> {
        match self {
            Self::Size { digits, size } => match (char::from(byte).to_digit(16), byte) {
                (Some(digit), _) if *digits < MOST_DIGITS && *size < 1 << 59 => {
                    *digits += 1;
                    *size = *size << 4 | u64::from(digit);
                }
                (None, b';') if *digits > 0 => *self = Self::Extension { size: *size, length: 0 },
                (None, b'\r') if *digits > 0 => *self = Self::SizeLf { size: *size },
                _ => return Err(Refusal::ChunkSize),
            },
            Self::Extension { size, length } => match byte {
                b'\r' => *self = Self::SizeLf { size: *size },
                b'\t' | b' '..=b'~' if *length < MOST_EXTENSION_BYTES => *length += 1,
                _ => return Err(Refusal::ChunkExtension),
            },
            Self::SizeLf { size } => match (byte, *size) {
                (b'\n', 0) => *self = Self::Trailer(Trailer::default()),
                (b'\n', left) => *self = Self::Data { left },
                _ => return Err(Refusal::ChunkEnd),
            },
            Self::DataCr if byte == b'\r' => *self = Self::DataLf,
            Self::DataLf if byte == b'\n' => *self = Self::new(),
            Self::DataCr | Self::DataLf => return Err(Refusal::ChunkEnd),
            Self::Trailer(trailer) => {
                if trailer.step(byte)? {
                    *self = Self::End;
                }
            }
            Self::Data { .. } | Self::End => {}
        }
        Ok(())
    }
}

impl Trailer {
    /// Takes a byte; true at the end of the section.
    fn step(&mut self, byte: u8) -> Result<bool, Refusal> {
        self.bytes += 1;
        match (self.after_cr, byte) {
            _ if self.bytes > MOST_TRAILER_BYTES => return Err(Refusal::Trailer),
            (true, b'\n') if self.line.is_empty() => return Ok(true),
            (true, b'\n') => {
                self.judge_line()?;
                self.after_cr = false;
                self.line.clear();
            }
            (false, b'\r') => self.after_cr = true,
            (true, _) | (false, b'\n') => return Err(Refusal::Trailer),
            (false, byte) => self.line.push(byte),
        }
        Ok(false)
    }

    fn judge_line(&mut self) -> Result<(), Refusal> {
        self.fields += 1;
        let field = FieldLine::parse(&self.line).map_err(|_| Refusal::Trailer)?;
        let folded = FoldedName::of(field.name);
        let name = folded.as_str();
        let belongs_in_head =
            HEAD_ONLY.contains(&name) || HEAD_ONLY_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        if belongs_in_head || self.fields > MOST_TRAILER_FIELDS { Err(Refusal::Trailer) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feed(text: &str) -> Result<(usize, bool), Refusal> {
        let mut chunks = Chunks::new();
        chunks.feed(text.as_bytes()).map(|used| (used, chunks.is_done()))
    }

    #[test]
    fn a_body_ends_after_the_empty_line_behind_the_last_chunk() {
        assert_eq!(feed("5\r\nhello\r\n0\r\n\r\nGET"), Ok((15, true)));
        assert_eq!(feed("0\r\n\r\n"), Ok((5, true)));
        assert_eq!(feed("000A\r\n0123456789\r\n00\r\n\r\n"), Ok((24, true)));
        assert_eq!(feed("5\r\nhel"), Ok((6, false)));
        assert_eq!(feed("2\r\n\r\n\r\n0\r\n\r\n"), Ok((12, true)));
    }

    #[test]
    fn a_size_is_hexadecimal_digits_alone() {
        for text in [
            "\r\n", "x\r\n", "0x5\r\n", "+5\r\n", "-5\r\n", " 5\r\n", "5 \r\n", "5\t\r\n", "5 ;a\r\n", "5\n",
            "5_0\r\n", ";a",
        ] {
            assert_eq!(feed(text), Err(Refusal::ChunkSize), "{text:?}");
        }
        assert_eq!(feed("\u{665}\r\n"), Err(Refusal::ChunkSize));
    }

    #[test]
    fn a_size_does_not_overflow() {
        assert_eq!(feed("7fffffffffffffff\r\nx"), Ok((19, false)));
        for size in ["8000000000000000", "ffffffffffffffff", "10000000000000000", "00000000000000001"] {
            assert_eq!(feed(&format!("{size}\r\n")), Err(Refusal::ChunkSize), "{size}");
        }
    }

    #[test]
    fn chunks_end_in_crlf_and_nothing_else() {
        for text in ["5\r\nhello\n", "5\r\nhello\r0", "5\r\nhelloX", "5\rhello", "5\r\r\n", "5;a\rb"] {
            assert_eq!(feed(text), Err(Refusal::ChunkEnd), "{text:?}");
        }
    }

    #[test]
    fn an_extension_is_short_and_printable() {
        assert_eq!(feed("1;a=\"b c\";d\r\nx\r\n0;e\r\n\r\n"), Ok((23, true)));
        for text in ["1;a\nx", "1;a\0", "1;\u{e4}", "1;\x7f"] {
            assert_eq!(feed(text), Err(Refusal::ChunkExtension), "{text:?}");
        }
        assert!(feed(&format!("1;{}\r\n", "a".repeat(256))).is_ok());
        assert_eq!(feed(&format!("1;{}\r\n", "a".repeat(257))), Err(Refusal::ChunkExtension));
    }

    #[test]
    fn trailers_are_strict_field_lines() {
        assert_eq!(feed("0\r\nX-Checksum: abc\r\nY:\r\n\r\nZ"), Ok((26, true)));
        for text in ["X\r\n", "X: a\n", "X : a\r\n", "X: a\r\n b\r\n", "\rX", "X: \0\r\n", ": a\r\n", "\n"] {
            assert_eq!(feed(&format!("0\r\n{text}")), Err(Refusal::Trailer), "{text:?}");
        }
    }

    #[test]
    fn what_belongs_in_the_head_is_refused_in_a_trailer() {
        for name in [
            "Content-Length",
            "Transfer_Encoding",
            "Host",
            "Cookie",
            "X_Forwarded_User",
            "Remote-User",
            "Authorization",
        ] {
            assert_eq!(feed(&format!("0\r\n{name}: 1\r\n\r\n")), Err(Refusal::Trailer), "{name}");
        }
    }

    #[test]
    fn trailers_are_bounded() {
        assert!(feed(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(32))).is_ok_and(|(_, done)| done));
        assert_eq!(feed(&format!("0\r\n{}\r\n", "X: y\r\n".repeat(33))), Err(Refusal::Trailer));
        assert_eq!(feed(&format!("0\r\nX: {}", "y".repeat(MOST_TRAILER_BYTES))), Err(Refusal::Trailer));
    }
}
