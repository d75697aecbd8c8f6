//! The PROXY protocol: a balancer that passes bytes on says first for whom it connects.
//!
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>, versions 1 and 2. Both begin as no request can,
//! so there is nothing to configure: whoever is a trusted proxy may begin with it or not.

use std::{io, net::SocketAddr};

use proxy_header::{ParseConfig, Protocol, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How version 1 begins; `TCP4`, `TCP6` or `UNKNOWN` follow, and none of them is the target of a request.
const V1: &[u8] = b"PROXY ";

/// How version 2 begins: two empty lines before a request are refused.
const V2: &[u8] = b"\r\n\r\n\x00\r\nQUIT\n";

/// The longest line of version 1 (section 2.1).
const LONGEST_LINE: usize = 107;

/// The fixed part of version 2.
const FIXED: usize = 16;

/// Longest rest of version 2: addresses, and what balancers say about TLS and themselves.
const LONGEST_REST: usize = 4096;

/// What a connection begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Introduction {
    /// The first request, of which these bytes were read.
    None(Vec<u8>),
    /// A header that names the client.
    Client(SocketAddr),
    /// A header without a client: the balancer looks whether we are there (`LOCAL`), or does not know for whom it
    /// connects (`UNKNOWN`).
    Nobody,
}

/// Why a header is refused.
#[derive(Debug, thiserror::Error)]
pub enum IntroductionError {
    /// The connection ended.
    #[error("the connection ended in it")]
    Io(#[from] io::Error),
    /// Longer than we read.
    #[error("it is too long")]
    TooLong,
    /// Begins as a header, and is none.
    #[error("it is malformed")]
    Malformed,
    /// For something else than TCP.
    #[error("it is not about TCP")]
    NotTcp,
}

/// Whether a connection that begins with this byte may begin with a header: most need not be looked at further.
#[must_use]
pub fn may_introduce(first: u8) -> bool {
    [V1[0], V2[0]].contains(&first)
}

/// Reads a header, and not a byte beyond it.
///
/// # Errors
/// When the connection begins as a header does, and no good one follows.
pub async fn introduction<S: AsyncRead + Unpin>(socket: &mut S) -> Result<Introduction, IntroductionError> {
    let mut read = Vec::with_capacity(FIXED);
    while read != V1 && read != V2 {
        read.push(socket.read_u8().await?);
        if !V1.starts_with(&read) && !V2.starts_with(&read) {
            return Ok(Introduction::None(read));
        }
    }
    if read == V1 {
        read.push(socket.read_u8().await?);
        // A client may call its method so, and a proxy pass that on. No target begins as the protocols do.
        if !read.ends_with(b"T") && !read.ends_with(b"U") {
            return Ok(Introduction::None(read));
        }
        read_line(socket, &mut read).await?
    } else {
        read_block(socket, &mut read).await?
    }
    judge(&read)
}

async fn read_line<S: AsyncRead + Unpin>(socket: &mut S, read: &mut Vec<u8>) -> Result<(), IntroductionError> {
    while !read.ends_with(b"\n") {
        if read.len() == LONGEST_LINE {
            return Err(IntroductionError::TooLong);
        }
        read.push(socket.read_u8().await?);
    }
    Ok(())
}

async fn read_block<S: AsyncRead + Unpin>(socket: &mut S, read: &mut Vec<u8>) -> Result<(), IntroductionError> {
    read.resize(FIXED, 0);
    socket.read_exact(&mut read[V2.len()..]).await?;
    let rest = usize::from(u16::from_be_bytes([read[FIXED - 2], read[FIXED - 1]]));
    if rest > LONGEST_REST {
        return Err(IntroductionError::TooLong);
    }
    read.resize(FIXED + rest, 0);
    socket.read_exact(&mut read[FIXED..]).await?;
    Ok(())
}

fn judge(header: &[u8]) -> Result<Introduction, IntroductionError> {
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(header, config) {
        Ok((parsed, length)) if length == header.len() => match parsed.proxied_address() {
            None => Ok(Introduction::Nobody),
            Some(address) if address.protocol == Protocol::Stream => Ok(Introduction::Client(address.source)),
            Some(_) => Err(IntroductionError::NotTcp),
        },
        Ok(_) | Err(_) => Err(IntroductionError::Malformed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is made of the first bytes of a connection, and what is left of them.
    fn read(bytes: &[u8]) -> (Result<Introduction, IntroductionError>, usize) {
        let mut rest = bytes;
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let introduction = runtime.block_on(introduction(&mut rest));
        (introduction, rest.len())
    }

    fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &length, rest].concat()
    }

    const ADDRESSES: &[u8] = &[203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x34, 0x01, 0xbb];

    fn client(bytes: &[u8]) -> Option<String> {
        match read(&[bytes, b"GET / HTTP/1.1"].concat()) {
            (Ok(Introduction::Client(address)), 14) => Some(address.to_string()),
            _ => None,
        }
    }

    #[test]
    fn both_versions_name_the_client_and_not_a_byte_more_is_read() {
        for (line, expected) in [
            ("PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n", "203.0.113.9:4660"),
            ("PROXY TCP6 2001:db8::9 2001:db8::1 4660 443\r\n", "[2001:db8::9]:4660"),
        ] {
            assert_eq!(client(line.as_bytes()).as_deref(), Some(expected));
        }
        assert_eq!(client(&v2(0x21, 0x11, ADDRESSES)).as_deref(), Some("203.0.113.9:4660"));
        let with_more = [ADDRESSES, &[0x04, 0, 3, 1, 2, 3]].concat();
        assert_eq!(client(&v2(0x21, 0x11, &with_more)).as_deref(), Some("203.0.113.9:4660"));
        let six = [&[0x20, 1, 0xd, 0xb8], &[0; 11][..], &[9], &[0; 16], &[0x12, 0x34, 0x01, 0xbb]].concat();
        assert_eq!(client(&v2(0x21, 0x21, &six)).as_deref(), Some("[2001:db8::9]:4660"));
    }

    #[test]
    fn a_balancer_may_speak_for_nobody() {
        for header in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(),
            v2(0x20, 0x00, &[]),
            v2(0x20, 0x11, ADDRESSES),
            v2(0x21, 0x00, &[]),
            v2(0x21, 0x31, &[0; 216]),
        ] {
            assert!(matches!(read(&header), (Ok(Introduction::Nobody), 0)), "{:?}", header.escape_ascii().to_string());
        }
    }

    #[test]
    fn the_beginning_of_a_request_is_kept() {
        for (bytes, kept) in [
            (&b"GET / HTTP/1.1"[..], &b"G"[..]),
            (b"POST /", b"PO"),
            (b"PROPFIND /", b"PROP"),
            (b"PROXYING /", b"PROXYI"),
            (b"PROXY / HTTP/1.1", b"PROXY /"),
            (b"PROXY http://a/ HTTP/1.1", b"PROXY h"),
            (b"PROXY tcp4 203.0.113.9", b"PROXY t"),
            (b"\r\nGET /", b"\r\nG"),
            (b"\r\n\r\nGET /", b"\r\n\r\nG"),
            (b"\x16\x03\x01", b"\x16"),
        ] {
            let (introduction, left) = read(bytes);
            assert!(matches!(introduction, Ok(Introduction::None(read)) if read == kept), "{bytes:?}");
            assert_eq!(may_introduce(bytes[0]), kept.len() > 1);
            assert_eq!(left, bytes.len() - kept.len());
        }
    }

    #[test]
    fn what_begins_as_a_header_and_is_none_is_refused() {
        for line in [
            "PROXY TCP4\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 4660\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 4660 443 5\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 4660 66000\r\n",
            "PROXY TCP4 203.0.113.009 10.0.0.1 4660 443\r\n",
            "PROXY TCP4 2001:db8::9 10.0.0.1 4660 443\r\n",
            "PROXY TCP4 a.example 10.0.0.1 4660 443\r\n",
            "PROXY TCP5 203.0.113.9 10.0.0.1 4660 443\r\n",
            "PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\r\n",
        ] {
            assert!(matches!(read(line.as_bytes()).0, Err(IntroductionError::Malformed)), "{line:?}");
        }
        for (command, family, rest) in
            [(0x11, 0x11, ADDRESSES), (0x22, 0x11, ADDRESSES), (0x21, 0x41, ADDRESSES), (0x21, 0x11, &ADDRESSES[..11])]
        {
            assert!(
                matches!(read(&v2(command, family, rest)).0, Err(IntroductionError::Malformed)),
                "{command} {family}"
            );
        }
        assert!(matches!(read(&v2(0x21, 0x12, ADDRESSES)).0, Err(IntroductionError::NotTcp)));
    }

    #[test]
    fn a_header_has_an_end() {
        let line = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE));
        assert!(matches!(read(line.as_bytes()).0, Err(IntroductionError::TooLong)));
        assert!(matches!(read(&v2(0x20, 0, &[0; LONGEST_REST + 1])), (Err(IntroductionError::TooLong), 4097)));
        assert!(matches!(read(&v2(0x20, 0, &[0; LONGEST_REST])).0, Ok(Introduction::Nobody)));
        for part in [&b"PROXY UNKNOWN"[..], b"\r\n\r\n", &v2(0x21, 0x11, ADDRESSES)[..20], b""] {
            assert!(matches!(read(part).0, Err(IntroductionError::Io(_))), "{part:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_once(bytes in proptest::collection::vec(any::<u8>(), 0..40), begin in 0..3_usize) {
            let bytes = [[&b""[..], V1, V2][begin], &bytes].concat();
            let (introduction, left) = read(&bytes);
            if let Ok(Introduction::None(kept)) = introduction {
                prop_assert_eq!([&kept, &bytes[bytes.len() - left..]].concat(), bytes);
            }
        }
    }
}
