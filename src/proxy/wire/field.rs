//! One field line (RFC 9112, section 5), of a head or of a trailer section.

use super::{Refusal, head_end::text_run};
use crate::web::FoldedName;

/// Fields that frame or route a request: nobody may come near them in another spelling, because the
/// runtimes behind us fold names.
const GUARDED: [&str; 9] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade", "trailer", "te", "expect", "cookie"];

/// Name and value of a line, as byte ranges of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldLine<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a [u8],
}

impl<'a> FieldLine<'a> {
    /// Reads `field-name ":" OWS field-value OWS`, without the line break.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            return Err(Refusal::FoldedLine);
        }
        let colon = memchr::memchr(b':', line).ok_or(Refusal::FieldName)?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        let name = token(name).ok_or(Refusal::FieldName)?;
        if text_run(value) < value.len() {
            return Err(Refusal::ControlCharacter);
        }
        if is_alias(name) { Err(Refusal::Alias) } else { Ok(Self { name, value: trim(value) }) }
    }
}

/// The bytes as a token (RFC 9110, section 5.6.2).
pub(super) fn token(bytes: &[u8]) -> Option<&str> {
    let fine = !bytes.is_empty() && bytes.iter().all(|byte| TOKEN[usize::from(*byte)]);
    std::str::from_utf8(bytes).ok().filter(|_| fine)
}

/// Without the optional white space around it (RFC 9110, section 5.6.3): blanks and tabs, nothing else.
pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// The elements of a comma-separated list, trimmed; empty ones are left out (RFC 9110, section 5.6.1.2).
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(trim).filter(|element| !element.is_empty())
}

/// [`is_token_byte`] of each byte.
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    loop {
        table[byte as usize] = is_token_byte(byte);
        match byte.checked_add(1) {
            Some(next) => byte = next,
            None => break table,
        }
    }
};

const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Whether an app could take the name for a guarded one, though it is spelled otherwise.
fn is_alias(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let prefixed = name.get(..5).is_some_and(|prefix| prefix.eq_ignore_ascii_case("http-"));
    if plain && !prefixed {
        return false;
    }
    let folded = FoldedName::of(name);
    !folded.as_str().eq_ignore_ascii_case(name) && GUARDED.contains(&folded.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_value_does_not_belong_to_it() {
        let line = FieldLine::parse(b"X-A_b.c:\t  a b\xff\t ").unwrap();
        assert_eq!((line.name, line.value), ("X-A_b.c", &b"a b\xff"[..]));
        assert_eq!(FieldLine::parse(b"X:").unwrap().value, b"");
        assert_eq!(FieldLine::parse(b"X: \t").unwrap().value, b"");
    }

    #[test]
    fn a_name_is_a_token_and_the_colon_follows_it() {
        for line in ["", "no colon", ": x", "Name : x", "Na me: x", "N\u{e4}me: x", "Name\t: x", "(x): y", "\"a\": b"] {
            assert_eq!(FieldLine::parse(line.as_bytes()), Err(Refusal::FieldName), "{line}");
        }
        for line in [" folded", "\tfolded: x", " : x"] {
            assert_eq!(FieldLine::parse(line.as_bytes()), Err(Refusal::FoldedLine), "{line}");
        }
        for value in ["\0", "a\x01", "\x0b", "a\x7f", "a\rb", "a\nb"] {
            assert_eq!(FieldLine::parse(format!("X: {value}").as_bytes()), Err(Refusal::ControlCharacter));
        }
    }

    #[test]
    fn aliases_of_guarded_names_are_refused() {
        for name in [
            "Transfer_Encoding",
            "transfer.encoding",
            "Content_Length",
            "Content.Length",
            "http-content-length",
            "HTTP_CONTENT_LENGTH",
            "HTTP_HOST",
            "Http-Host",
            "HTTP_CONNECTION",
            "HTTP_HTTP_UPGRADE",
            "http_cookie",
            "Http_Te",
            "HTTP.EXPECT",
            "HTTP_TRAILER",
            "Content~Length",
        ] {
            assert_eq!(FieldLine::parse(format!("{name}: 1").as_bytes()), Err(Refusal::Alias), "{name}");
        }
        for name in ["hOST", "Content-Length", "X_Forwarded_User", "HTTP2-Settings", "http-x", "Hosts", "X-Host"] {
            assert!(FieldLine::parse(format!("{name}: 1").as_bytes()).is_ok(), "{name}");
        }
    }

    #[test]
    fn a_list_has_no_empty_elements() {
        assert_eq!(list(b" a ,,\tb, ").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(list(b"").count(), 0);
    }
}
