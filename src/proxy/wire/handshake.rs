//! The WebSocket handshake (RFC 6455, section 4.2.1).

use super::{BodyKind, Head, Refusal, Version, field::list};

/// Base64 of 16 bytes.
const KEY_LENGTH: usize = 24;

/// Whether the request asks for a WebSocket; any other protocol in `Upgrade` is ignored, as
/// RFC 9110, section 7.8, allows.
///
/// pingora opens the tunnel for a half handshake too (without `Connection: Upgrade`, on a `POST` with
/// a body), so a half one is refused here.
pub(super) fn judge(head: &Head) -> Result<bool, Refusal> {
    if !head.field("upgrade").flat_map(list).any(names_websocket) {
        return Ok(false);
    }
    let whole = head.method() == "GET"
        && head.version() == Version::Http11
        && head.body() == BodyKind::None
        && only(head, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case(b"websocket"))
        && head.connection_options().any(|option| option.eq_ignore_ascii_case(b"upgrade"))
        && only(head, "sec-websocket-version") == Some(b"13")
        && only(head, "sec-websocket-key").is_some_and(is_key);
    if whole { Ok(true) } else { Err(Refusal::Handshake) }
}

fn names_websocket(protocol: &[u8]) -> bool {
    let name = protocol.split(|byte| *byte == b'/').next().unwrap_or_default();
    name.eq_ignore_ascii_case(b"websocket")
}

fn only<'a>(head: &'a Head, name: &'a str) -> Option<&'a [u8]> {
    let mut values = head.field(name);
    values.next().filter(|_| values.next().is_none())
}

fn is_key(value: &[u8]) -> bool {
    let (text, padding) = value.split_at(value.len().saturating_sub(2));
    value.len() == KEY_LENGTH
        && padding == b"=="
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    fn websocket(text: &str) -> Result<bool, Refusal> {
        Head::parse(text.as_bytes(), 4096).map(|head| head.unwrap().0.websocket())
    }

    #[test]
    fn a_whole_handshake_is_one() {
        assert_eq!(websocket(WHOLE), Ok(true));
    }

    #[test]
    fn a_half_handshake_is_refused() {
        for (part, instead) in [
            ("GET", "POST"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("keep-alive, Upgrade", "keep-alive"),
            ("Connection: keep-alive, Upgrade\r\n", ""),
            ("WebSocket", "websocket, h2c"),
            ("WebSocket", "websocket/13"),
            ("WebSocket\r\n", "websocket\r\nUpgrade: websocket\r\n"),
            ("13", "8"),
            ("13", "13, 8"),
            ("Sec-WebSocket-Version: 13\r\n", ""),
            ("dGhlIHNhbXBsZSBub25jZQ==", ""),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ="),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="),
            ("Host: a\r\n", "Host: a\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
            ("Host: a\r\n", "Host: a\r\nContent-Length: 1\r\n"),
            ("Host: a\r\n", "Host: a\r\nTransfer-Encoding: chunked\r\n"),
        ] {
            let text = WHOLE.replacen(part, instead, 1);
            assert_ne!(text, WHOLE);
            assert_eq!(websocket(&text), Err(Refusal::Handshake), "{part:?} -> {instead:?}");
        }
    }

    #[test]
    fn other_protocols_are_no_upgrade() {
        for protocol in ["h2c", "TLS/1.0", "websockets", ""] {
            assert_eq!(
                websocket(&WHOLE.replacen("WebSocket\r\n", &format!("{protocol}\r\n"), 1)),
                Ok(false),
                "{protocol}"
            );
        }
    }
}
