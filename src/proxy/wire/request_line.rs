//! The request line (RFC 9112, section 3), without any of the leniency that the section allows.

use super::Refusal;

/// Longest method.
const MOST_METHOD_BYTES: usize = 32;

/// The versions that are spoken here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2, of which no request line tells.
    Http2,
}

impl Version {
    /// As it stands in the request line, and in the log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }
}

/// The three parts of the line; the target is judged later, when the host is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a [u8],
    pub(super) version: Version,
}

impl<'a> RequestLine<'a> {
    /// Reads `method SP request-target SP HTTP-version`, exactly one space each.
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, Refusal> {
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::RequestLine);
        };
        let method = parse_method(method)?;
        let version = parse_version(version)?;
        if target.is_empty() {
            return Err(Refusal::RequestLine);
        }
        Ok(Self { method, target, version })
    }
}

/// Methods are case-sensitive (RFC 9110, section 9.1), apps are not always: `get` could slip past a
/// rule for `GET` (CVE-2020-14359). So only capitals, as all registered methods have them.
///
/// # Errors
/// When it is anything else, or `TRACE` or `CONNECT`.
pub fn parse_method(bytes: &[u8]) -> Result<&str, Refusal> {
    let fine = (1..=MOST_METHOD_BYTES).contains(&bytes.len())
        && bytes.iter().all(|byte| byte.is_ascii_uppercase() || *byte == b'-');
    let method = std::str::from_utf8(bytes).ok().filter(|_| fine).ok_or(Refusal::Method)?;
    match method {
        "TRACE" | "CONNECT" => Err(Refusal::MethodNotAllowed),
        allowed => Ok(allowed),
    }
}

fn parse_version(bytes: &[u8]) -> Result<Version, Refusal> {
    match bytes {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] if major.is_ascii_digit() && minor.is_ascii_digit() => {
            Err(Refusal::Version)
        }
        _ => Err(Refusal::RequestLine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn method_target_and_version_are_told_apart() {
        let line = RequestLine::parse(b"M-SEARCH /x HTTP/1.0").unwrap();
        assert_eq!((line.method, line.target, line.version.as_str()), ("M-SEARCH", &b"/x"[..], "HTTP/1.0"));
    }

    #[test]
    fn one_space_means_one_space() {
        for line in [
            "",
            "GET",
            "GET /",
            "GET  / HTTP/1.1",
            "GET /  HTTP/1.1",
            "GET /a b HTTP/1.1",
            " GET / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET  HTTP/1.1",
            "GET / HTTP/11",
            "GET / http/1.1",
            "GET / HTTP/1.10",
            "GET / HTTP/1.x",
            "GET / HTTPS/1.1",
        ] {
            assert!(
                matches!(RequestLine::parse(line.as_bytes()), Err(Refusal::RequestLine | Refusal::Method)),
                "{line}"
            );
        }
        assert_eq!(RequestLine::parse(b"GET\t/\tHTTP/1.1"), Err(Refusal::RequestLine));
        assert_eq!(RequestLine::parse(b"GET\t / HTTP/1.1"), Err(Refusal::Method));
    }

    #[test]
    fn methods_are_capitals_and_hyphens() {
        let long = "A".repeat(33);
        for method in ["get", "Get", "G@T", "G_T", "GET1", "\u{c4}", long.as_str()] {
            assert_eq!(RequestLine::parse(format!("{method} / HTTP/1.1").as_bytes()), Err(Refusal::Method), "{method}");
        }
        assert!(RequestLine::parse(format!("{} / HTTP/1.1", "A".repeat(32)).as_bytes()).is_ok());
    }

    #[test]
    fn trace_and_connect_are_not_allowed() {
        for line in ["TRACE / HTTP/1.1", "CONNECT a.example:443 HTTP/1.1"] {
            assert_eq!(RequestLine::parse(line.as_bytes()), Err(Refusal::MethodNotAllowed), "{line}");
        }
    }

    #[test]
    fn other_versions_are_not_spoken() {
        for version in ["HTTP/0.9", "HTTP/1.2", "HTTP/2.0", "HTTP/3.0"] {
            assert_eq!(RequestLine::parse(format!("GET / {version}").as_bytes()), Err(Refusal::Version), "{version}");
        }
        assert_eq!(RequestLine::parse(b"PRI * HTTP/2.0"), Err(Refusal::Version));
    }
}
