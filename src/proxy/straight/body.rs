//! The content of an app's answer, without its framing (RFC 9112, sections 6 and 7.1).

use httparse::{Status, parse_chunk_size};
use pingora::{Error, ErrorType};

/// Longest line of a chunked answer: one with the size of a chunk, or a trailer field.
const LONGEST_LINE: usize = 8 * 1024;

/// How the end of an answer is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Framing {
    /// So many bytes.
    Length(u64),
    /// Chunks, until an empty one.
    Chunked,
    /// All until the connection closes.
    UntilClose,
}

/// Where we are in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left.
    Length(u64),
    /// Before the line with the size of a chunk.
    Size,
    /// In a chunk of which so many bytes are left.
    Data(u64),
    /// Before the line break behind a chunk.
    DataEnd,
    /// In the trailer section, which ends here.
    Trailer,
    /// Everything that comes belongs to it.
    UntilClose,
    /// Behind it.
    End,
}

impl Body {
    /// Before an answer of this framing.
    pub(super) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Length(0) => Self::End,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Size,
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Whether it is over.
    pub(super) fn is_done(self) -> bool {
        self == Self::End
    }

    /// Takes the next piece of content off the bytes; `None` when more of them are needed, or none is left.
    ///
    /// # Errors
    /// When the chunks are none.
    pub(super) fn take<'a>(&mut self, bytes: &mut &'a [u8]) -> pingora::Result<Option<&'a [u8]>> {
        loop {
            match *self {
                Self::End => return Ok(None),
                Self::UntilClose => return Ok(Some(std::mem::take(bytes)).filter(|content| !content.is_empty())),
                Self::Length(left) => {
                    let (content, left) = split(bytes, left);
                    *self = if left == 0 { Self::End } else { Self::Length(left) };
                    return Ok(content);
                }
                Self::Data(left) => {
                    let (content, left) = split(bytes, left);
                    *self = if left == 0 { Self::DataEnd } else { Self::Data(left) };
                    return Ok(content);
                }
                Self::Size => match parse_chunk_size(bytes) {
                    Ok(Status::Complete((used, size))) => {
                        *bytes = &bytes[used..];
                        *self = if size == 0 { Self::Trailer } else { Self::Data(size) };
                    }
                    Ok(Status::Partial) => return incomplete(bytes),
                    Err(_) => return Err(broken("the size of a chunk is none")),
                },
                Self::DataEnd => match bytes {
                    [b'\r', b'\n', rest @ ..] => (*bytes, *self) = (rest, Self::Size),
                    [] | [b'\r'] => return Ok(None),
                    _ => return Err(broken("a chunk does not end where it should")),
                },
                Self::Trailer => match memchr::memchr(b'\n', bytes) {
                    // What stands in it is for nobody, as with pingora.
                    Some(end) => {
                        let is_last = matches!(&bytes[..end], [] | [b'\r']);
                        *bytes = &bytes[end + 1..];
                        if is_last {
                            *self = Self::End;
                        }
                    }
                    None => return incomplete(bytes),
                },
            }
        }
    }
}

/// Takes at most so many bytes off; also how many of them have not come.
fn split<'a>(bytes: &mut &'a [u8], left: u64) -> (Option<&'a [u8]>, u64) {
    let here = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    let (content, rest) = bytes.split_at(here);
    *bytes = rest;
    (Some(content).filter(|content| !content.is_empty()), left - here as u64)
}

fn incomplete<'a>(bytes: &[u8]) -> pingora::Result<Option<&'a [u8]>> {
    if bytes.len() > LONGEST_LINE { Err(broken("a line between the chunks is too long")) } else { Ok(None) }
}

fn broken(why: &'static str) -> Box<Error> {
    Error::explain(ErrorType::ReadError, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content of `text`, whether it is over, and what is left; the same when it comes byte by byte.
    fn read(framing: Framing, text: &str) -> Result<(String, bool, String), ()> {
        let at_once = read_in(framing, text, text.len().max(1));
        let one_by_one = read_in(framing, text, 1);
        assert_eq!(at_once.is_err(), one_by_one.is_err(), "{text:?}");
        if let (Ok((content, done, _)), Ok((same, also_done, _))) = (&at_once, &one_by_one) {
            assert_eq!((content, done), (same, also_done));
        }
        at_once
    }

    fn read_in(framing: Framing, text: &str, step: usize) -> Result<(String, bool, String), ()> {
        let (mut body, mut content, mut held) = (Body::new(framing), Vec::new(), Vec::new());
        for piece in text.as_bytes().chunks(step) {
            held.extend_from_slice(piece);
            let mut rest = &held[..];
            while let Some(here) = body.take(&mut rest).map_err(drop)? {
                content.extend_from_slice(here);
            }
            held = rest.to_vec();
        }
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Ok((text(content), body.is_done(), text(held)))
    }

    #[test]
    fn an_answer_of_known_length_ends_after_it() {
        assert_eq!(read(Framing::Length(3), "abcd"), Ok(("abc".into(), true, "d".into())));
        assert_eq!(read(Framing::Length(3), "ab"), Ok(("ab".into(), false, String::new())));
        assert_eq!(read(Framing::Length(0), "a"), Ok((String::new(), true, "a".into())));
        assert_eq!(read(Framing::UntilClose, "ab\r\n"), Ok(("ab\r\n".into(), false, String::new())));
    }

    #[test]
    fn chunks_are_joined_and_extensions_and_trailers_left_out() {
        let read = |text| read(Framing::Chunked, text);
        let text = "5\r\nhello\r\n6 ;x=\"y\"\r\n world\r\n00\r\nX-Sum: 1\r\nSet-Cookie: a=b\r\n\r\nHTTP/1.1";
        assert_eq!(read(text), Ok(("hello world".into(), true, "HTTP/1.1".into())));
        assert_eq!(read("A\r\n0123456789\r\n0\r\n\r\n"), Ok(("0123456789".into(), true, String::new())));
        assert_eq!(read("5\r\nhel"), Ok(("hel".into(), false, String::new())));
        assert_eq!(read("5  \r\nhello\r\n0\r\n"), Ok(("hello".into(), false, String::new())));
    }

    #[test]
    fn what_is_no_chunk_ends_the_answer() {
        for text in ["x\r\n", "5\r\nhelloX", "5\r\nhello\n0\r\n\r\n", "-1\r\n", "fffffffffffffffff\r\n"] {
            assert_eq!(read(Framing::Chunked, text), Err(()), "{text:?}");
        }
        let long = format!("5;{}", "x".repeat(LONGEST_LINE));
        assert_eq!(read_in(Framing::Chunked, &long, long.len()), Err(()));
        let long = format!("0\r\nX: {}", "x".repeat(LONGEST_LINE));
        assert_eq!(read_in(Framing::Chunked, &long, long.len()), Err(()));
    }
}
