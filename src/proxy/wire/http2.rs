//! The head of an HTTP/2 request (RFC 9113, section 8.3), in the one reading that HTTP/1.1 has.
//!
//! It is written down as an HTTP/1.1 head and read by [`Head`]: what is refused there is refused here, by the same
//! lines of code. Only what HTTP/1.1 cannot say is judged before.

use http::{HeaderName, HeaderValue, header, request::Parts};

use super::{BodyKind, Head, Refusal, Version, parse_method};
use crate::web::{Host, TargetError};

/// The scheme of every request: HTTP/2 is offered within TLS only.
const SCHEME: &str = "https";

/// Fields of HTTP/1.1 connections, which no message of HTTP/2 may have (RFC 9113, section 8.2.2).
pub const OF_HTTP_1: &[&str] = &["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// A request head of HTTP/2, written down.
#[derive(Clone, Debug)]
pub struct Transcript {
    text: Vec<u8>,
    refusal: Option<Refusal>,
}

impl Transcript {
    /// Writes a head down.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let refusal = judge(parts).err();
        let authority = parts.uri.authority().map_or("", |authority| authority.as_str());
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        let mut text = format!("{} {target} HTTP/1.1\r\nhost: {authority}\r\n", parts.method).into_bytes();
        let fields = parts.headers.iter().filter(|(name, _)| **name != header::HOST && **name != header::COOKIE);
        for (name, value) in fields {
            write_field(&mut text, name, value.as_bytes());
        }
        // RFC 9113, section 8.2.3: crumbs of one field, which everybody behind us must see as one.
        let crumbs: Vec<&[u8]> = parts.headers.get_all(header::COOKIE).iter().map(HeaderValue::as_bytes).collect();
        if !crumbs.is_empty() {
            write_field(&mut text, &header::COOKIE, &crumbs.join(&b"; "[..]));
        }
        text.extend_from_slice(b"\r\n");
        Self { text, refusal }
    }

    /// Reads it. Its size is what it would have in HTTP/1.1.
    ///
    /// # Errors
    /// When the head can be read in two ways, or breaks a limit.
    pub fn read(&self, max_bytes: usize) -> Result<Head, Refusal> {
        if let Some(refusal) = self.refusal {
            return Err(refusal);
        }
        if self.text.len() > max_bytes {
            return Err(Refusal::HeadTooLarge);
        }
        let head = Head::parse_whole(&self.text)?.of_version(Version::Http2);
        // The library has refused them all before.
        let is_of_hop = OF_HTTP_1.iter().any(|name| head.field(name).next().is_some());
        if is_of_hop || head.body() == BodyKind::Chunked { Err(Refusal::HopByHop) } else { Ok(head) }
    }

    /// The text, for guessing what kind of answer suits a refused request, and for nothing else.
    #[must_use]
    pub fn unjudged(&self) -> &[u8] {
        &self.text
    }
}

fn write_field(text: &mut Vec<u8>, name: &HeaderName, value: &[u8]) {
    text.extend_from_slice(name.as_str().as_bytes());
    text.extend_from_slice(b": ");
    text.extend_from_slice(value);
    text.extend_from_slice(b"\r\n");
}

/// What the text cannot say, or would say otherwise.
fn judge(parts: &Parts) -> Result<(), Refusal> {
    parse_method(parts.method.as_str().as_bytes())?;
    let authority = parts.uri.authority().ok_or(Refusal::HostMissing)?.as_str();
    if parts.uri.scheme_str() != Some(SCHEME) {
        return Err(Refusal::Scheme);
    }
    // Absolute form, asterisk form and nothing at all are other things in HTTP/1.1.
    if !parts.uri.path_and_query().is_some_and(|target| target.as_str().starts_with('/')) {
        return Err(Refusal::Target(TargetError::Form));
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    if let Some(host) = hosts.next() {
        if hosts.next().is_some() {
            return Err(Refusal::HostRepeated);
        }
        let parse = |text: &str| Host::parse(text).map_err(Refusal::Host);
        let (host, authority) = (parse(host.to_str().unwrap_or_default())?, parse(authority)?);
        if host != authority || host.port() != authority.port() {
            return Err(Refusal::HostDiffers);
        }
    }
    // RFC 9113, section 8.2.1: white space around a value is malformed; in HTTP/1.1 it means nothing.
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let padded = |value: &HeaderValue| blank(value.as_bytes().first()) || blank(value.as_bytes().last());
    if parts.headers.values().any(padded) { Err(Refusal::FieldValue) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(request: http::request::Builder) -> Result<Head, Refusal> {
        Transcript::of(&request.body(()).unwrap().into_parts().0).read(4096)
    }

    fn get(uri: &str) -> http::request::Builder {
        http::Request::builder().uri(uri)
    }

    const URI: &str = "https://A.example:8443/%41?b=%41";

    #[test]
    fn it_is_read_as_http_1_is() {
        let head = read(get(URI).method("POST").header("x-one", "1").header("content-length", "3")).unwrap();
        assert_eq!((head.method(), head.target().to_origin_form().as_str()), ("POST", "/A?b=%41"));
        assert_eq!((head.host().name(), head.host().port()), ("a.example", Some(8443)));
        assert_eq!((head.version(), head.body()), (Version::Http2, BodyKind::Length(3)));
        assert_eq!(head.field("x-one").next(), Some(&b"1"[..]));
        assert_eq!(head.field("host").collect::<Vec<_>>(), [b"A.example:8443"]);
        assert!(!head.is_verbatim() && !head.websocket());
    }

    #[test]
    fn crumbs_of_cookies_are_one_field() {
        let head = read(get(URI).header("cookie", "a=1").header("x", "y").header("cookie", "b=2; c=3")).unwrap();
        assert_eq!(head.field("cookie").collect::<Vec<_>>(), [b"a=1; b=2; c=3"]);
    }

    #[test]
    fn the_authority_is_the_host_and_nothing_else_is() {
        assert!(read(get(URI).header("host", "a.example:8443")).is_ok());
        for host in ["b.example:8443", "a.example", "a.example:8444"] {
            assert_eq!(read(get(URI).header("host", host)).err(), Some(Refusal::HostDiffers), "{host}");
        }
        for host in ["", "a example", "a,b", "user@a.example:8443", "a.example:8443/x"] {
            assert!(matches!(read(get(URI).header("host", host)), Err(Refusal::Host(_))), "{host}");
        }
        let twice = get(URI).header("host", "a.example:8443").header("host", "a.example:8443");
        assert_eq!(read(twice).err(), Some(Refusal::HostRepeated));
        assert_eq!(read(get("/").header("host", "a.example")).err(), Some(Refusal::HostMissing));
        assert!(matches!(read(get("https://user@a.example/")), Err(Refusal::Host(_))));
        assert!(matches!(read(get("https://a.example:0/")), Err(Refusal::Host(_))));
    }

    #[test]
    fn the_scheme_is_that_of_tls() {
        for uri in ["http://a.example/", "ftp://a.example/", "wss://a.example/"] {
            assert_eq!(read(get(uri)).err(), Some(Refusal::Scheme), "{uri}");
        }
    }

    #[test]
    fn a_target_has_one_meaning() {
        for target in ["/a//b", "/a/../b", "/%2e%2e/x", "/a%2fb", "/a%5cb", "/%00", "/%zz", "/a;b/../c"] {
            let result = read(get(&format!("https://a.example{target}")));
            assert!(matches!(result, Err(Refusal::Target(_))), "{target}: {result:?}");
        }
        let star = http::Uri::builder().scheme("https").authority("a.example").path_and_query("*").build().unwrap();
        let result = read(http::Request::builder().method("OPTIONS").uri(star));
        assert_eq!(result.err(), Some(Refusal::Target(TargetError::Form)));
    }

    #[test]
    fn what_is_refused_of_http_1_is_refused_of_http_2() {
        for (name, value, refusal) in [
            ("content_length", "1", Refusal::Alias),
            ("transfer_encoding", "chunked", Refusal::Alias),
            ("http_host", "b.example", Refusal::Alias),
            ("http_cookie", "a=b", Refusal::Alias),
            ("content-length", "+1", Refusal::ContentLength),
            ("content-length", "1, 1", Refusal::ContentLength),
            ("transfer-encoding", "chunked", Refusal::HopByHop),
            ("transfer-encoding", "identity", Refusal::TransferEncoding),
            ("connection", "x-custom", Refusal::HopByHop),
            ("connection", "host", Refusal::Nomination),
            ("keep-alive", "1", Refusal::HopByHop),
            ("proxy-connection", "close", Refusal::HopByHop),
            ("upgrade", "h2c", Refusal::HopByHop),
            ("upgrade", "websocket", Refusal::Handshake),
            ("expect", "something", Refusal::Expectation),
            ("x", " y", Refusal::FieldValue),
            ("x", "y\t", Refusal::FieldValue),
        ] {
            assert_eq!(read(get(URI).header(name, value)).err(), Some(refusal), "{name}: {value}");
        }
        let twice = get(URI).header("content-length", "1").header("content-length", "1");
        assert_eq!(read(twice).err(), Some(Refusal::ContentLengthRepeated));
        for method in ["TRACE", "CONNECT"] {
            assert_eq!(read(get(URI).method(method)).err(), Some(Refusal::MethodNotAllowed));
        }
        let tunnel = http::Uri::builder().authority("a.example:443").build().unwrap();
        let tunnel = http::Request::builder().method("CONNECT").uri(tunnel);
        assert_eq!(read(tunnel).err(), Some(Refusal::MethodNotAllowed));
        assert_eq!(read(get(URI).method("get")).err(), Some(Refusal::Method));
    }

    #[test]
    fn a_head_has_the_size_that_it_would_have_in_http_1() {
        let with = |count: usize| read((0..count).fold(get(URI), |request, _| request.header("x", "y")));
        assert_eq!(with(99).unwrap().fields().count(), 100);
        assert_eq!(with(100).err(), Some(Refusal::TooManyFields));
        assert_eq!(read(get(URI).header("x", "y".repeat(4096))).err(), Some(Refusal::HeadTooLarge));
    }
}
