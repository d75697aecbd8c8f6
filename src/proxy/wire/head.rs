//! One request head, in one reading.

use std::{fmt, ops::Range};

use bytes::Bytes;
use http::uri::PathAndQuery;

use super::{
    BodyKind, Refusal, Version, connection, field::FieldLine, framing::body_kind, handshake, head_end::HeadEnd,
    request_line::RequestLine,
};
use crate::web::{Host, PathError, Target, TargetError};

/// Most fields.
const MOST_FIELDS: usize = 100;

/// What browsers send is seldom more.
const USUAL_FIELDS: usize = 24;

/// A request head that means the same to everybody. It has cookies in it: `Debug` shows no field.
#[derive(Clone)]
pub struct Head {
    text: Bytes,
    method: Range<usize>,
    version: Version,
    host: Host,
    target: Target,
    verbatim: bool,
    fields: Vec<(Range<usize>, Range<usize>)>,
    body: BodyKind,
    websocket: bool,
    expects_continue: bool,
}

impl Head {
    /// Reads a head from the first bytes of a connection, or from those after the message before.
    ///
    /// `None` while it is incomplete; else the head and how many bytes it took. One empty line before
    /// the request line is skipped.
    ///
    /// # Errors
    /// When the head can be read in two ways, or breaks a limit.
    pub fn parse(bytes: &[u8], max_bytes: usize) -> Result<Option<(Self, usize)>, Refusal> {
        let mut end = HeadEnd::default();
        let Some(length) = end.find(bytes, max_bytes)? else { return Ok(None) };
        Self::parse_whole(&bytes[end.skipped()..length]).map(|head| Some((head, length)))
    }

    /// The same, which came in a message of another version.
    pub(super) fn of_version(self, version: Version) -> Self {
        Self { version, ..self }
    }

    /// Reads a head whose ends are known: from the request line to the last empty line.
    pub(super) fn parse_whole(bytes: &[u8]) -> Result<Self, Refusal> {
        let mut lines = Lines(bytes);
        let line = RequestLine::parse(lines.next().unwrap_or_default())?;
        let rest = lines.0;
        let mut fields = Vec::with_capacity(USUAL_FIELDS);
        for line in lines.take_while(|line| !line.is_empty()).take(MOST_FIELDS + 1) {
            fields.push(FieldLine::parse(line)?);
        }
        if fields.len() > MOST_FIELDS {
            return Err(Refusal::TooManyFields);
        }
        let values = |name: &'static str| {
            fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name)).map(|field| field.value)
        };
        let body = body_kind(line.version, values("content-length"), values("transfer-encoding"))?;
        let host = only_host(values("host"))?;
        connection::judge(values("connection"))?;
        let expects_continue = judge_expectation(line.version, values("expect"))?;
        let target = parse_target(line.target, &host)?;

        let origin_form = target.to_origin_form();
        let verbatim = line.target.ends_with(origin_form.as_bytes());
        let (method, version) = (0..line.method.len(), line.version);
        let first = [line.method, " ", &origin_form, " ", version.as_str(), "\r\n"];
        let before: usize = first.iter().map(|part| part.len()).sum();
        let mut text = Vec::with_capacity(before + rest.len());
        for part in first {
            text.extend_from_slice(part.as_bytes());
        }
        text.extend_from_slice(rest);
        let text = Bytes::from(text);
        // pingora keeps the target in this type. What does not fit, it would answer by itself.
        let place = method.end + 1..method.end + 1 + origin_form.len();
        PathAndQuery::from_maybe_shared(text.slice(place)).map_err(|_| Refusal::TargetUnusable)?;

        let place = |part: &[u8]| {
            let start = before + (part.as_ptr() as usize - rest.as_ptr() as usize);
            start..start + part.len()
        };
        let fields = fields.into_iter().map(|field| (place(field.name.as_bytes()), place(field.value))).collect();
        let websocket = false;
        let mut head =
            Self { text, method, version, host, target, verbatim, fields, body, websocket, expects_continue };
        head.websocket = handshake::judge(&head)?;
        Ok(head)
    }

    /// The method: capitals and hyphens.
    #[must_use]
    pub fn method(&self) -> &str {
        std::str::from_utf8(&self.text[self.method.clone()]).unwrap_or_default()
    }

    /// The host that is asked.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// What is asked for.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Whether the client wrote path and query as [`Self::target`] has them, and did not encode what needs no encoding.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        self.verbatim
    }

    /// The version of the message.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// How the body is framed.
    #[must_use]
    pub fn body(&self) -> BodyKind {
        self.body
    }

    /// Whether this is a whole WebSocket handshake.
    #[must_use]
    pub fn websocket(&self) -> bool {
        self.websocket
    }

    /// Whether the client waits for `100 Continue` before it sends the body. HTTP/2 frames a body without a word in
    /// the head.
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue && (self.body != BodyKind::None || self.version == Version::Http2)
    }

    /// The values of a field, one for each line, in their order; the name in any letter case.
    pub fn field<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let is_it = move |(other, _): &&(Range<usize>, Range<usize>)| {
            other.len() == name.len() && self.text[other.clone()].eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(is_it).map(|(_, value)| &self.text[value.clone()])
    }

    /// All field lines, names and values, as they came.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter().map(|(name, value)| {
            (std::str::from_utf8(&self.text[name.clone()]).unwrap_or_default(), &self.text[value.clone()])
        })
    }

    /// The options of all `Connection` fields, as they came.
    pub fn connection_options(&self) -> impl Iterator<Item = &[u8]> {
        connection::options(self.field("connection"))
    }

    /// The request line with the canonical target, and its line break.
    pub(in crate::proxy) fn request_line(&self) -> &[u8] {
        let end = memchr::memchr(b'\n', &self.text).map_or(self.text.len(), |end| end + 1);
        &self.text[..end]
    }

    /// The head as pingora reads it: the request line with the canonical target in origin form, then
    /// the field lines byte by byte.
    #[must_use]
    pub fn text(&self) -> &Bytes {
        &self.text
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("method", &self.method())
            .field("host", &self.host.name())
            .field("path", &self.target.path().as_str())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// Lines that end in CRLF. Whoever made the bytes has seen to it that there is no other CR or LF.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end =
            memchr::memchr_iter(b'\n', self.0).find_map(|at| at.checked_sub(1).filter(|cr| self.0[*cr] == b'\r'))?;
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        Some(line)
    }
}

/// RFC 9112, section 3.2: a server must refuse a request without `Host`, with two, or with a bad one.
/// We ask HTTP/1.0 for one too: without it nobody knows which app is meant.
fn only_host<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Result<Host, Refusal> {
    let value = values.next().ok_or(Refusal::HostMissing)?;
    if values.next().is_some() {
        return Err(Refusal::HostRepeated);
    }
    let text = std::str::from_utf8(value).map_err(|_| Refusal::Host(crate::web::HostError::Character))?;
    Host::parse(text).map_err(Refusal::Host)
}

/// RFC 9110, section 10.1.1: 417 for what cannot be met; HTTP/1.0 has no expectations, and they are
/// ignored there.
fn judge_expectation<'a>(version: Version, mut values: impl Iterator<Item = &'a [u8]>) -> Result<bool, Refusal> {
    match (values.next(), values.next()) {
        (None, _) => Ok(false),
        (Some(value), None) if value.eq_ignore_ascii_case(b"100-continue") => Ok(version == Version::Http11),
        (Some(_), _) => Err(Refusal::Expectation),
    }
}

fn parse_target(bytes: &[u8], host: &Host) -> Result<Target, Refusal> {
    let beyond_ascii = Refusal::Target(TargetError::Path(PathError::Character));
    let text = std::str::from_utf8(bytes).map_err(|_| beyond_ascii)?;
    Target::parse(text, host).map_err(Refusal::Target)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Head, Refusal> {
        let (head, length) = Head::parse(text.as_bytes(), 128 * 1024)?.expect("is complete");
        assert_eq!(length, text.len());
        Ok(head)
    }

    fn with(line: &str) -> Result<Head, Refusal> {
        parse(&format!("POST / HTTP/1.1\r\nHost: a.example\r\n{line}\r\n\r\n"))
    }

    #[test]
    fn debug_shows_neither_fields_nor_query() {
        let head = parse("GET /a?secret HTTP/1.1\r\nHost: a.example\r\nCookie: secret\r\n\r\n").unwrap();
        let shown = format!("{head:?}");
        assert!(shown.contains("/a") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn a_head_is_read_in_all_its_parts() {
        let head = parse(
            "POST /a?b=c HTTP/1.1\r\nHost: A.Example:8080\r\nX-One: 1\r\nx-one:\t2 \r\nContent-Length: 3\r\n\
             Connection: Keep-Alive, close\r\nExpect: 100-Continue\r\n\r\n",
        )
        .unwrap();
        assert_eq!((head.method(), head.target().to_origin_form().as_str()), ("POST", "/a?b=c"));
        assert_eq!((head.host().name(), head.host().port()), ("a.example", Some(8080)));
        assert_eq!(head.field("X-ONE").collect::<Vec<_>>(), [b"1", b"2"]);
        assert_eq!(head.fields().map(|(name, _)| name).nth(2), Some("x-one"));
        assert_eq!((head.body(), head.version()), (BodyKind::Length(3), Version::Http11));
        assert!(head.expects_continue() && !head.websocket());
        assert_eq!(head.connection_options().collect::<Vec<_>>(), [&b"Keep-Alive"[..], b"close"]);
    }

    #[test]
    fn an_incomplete_head_is_no_head_yet() {
        let text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        for end in 0..text.len() {
            assert!(Head::parse(&text.as_bytes()[..end], 4096).unwrap().is_none());
        }
        let (_, length) = Head::parse(format!("\r\n{text}GET").as_bytes(), 4096).unwrap().unwrap();
        assert_eq!(length, text.len() + 2);
    }

    #[test]
    fn pingora_reads_the_canonical_target_and_the_fields_as_they_came() {
        let head = parse("GET /%41%7e?%41 HTTP/1.1\r\nhOST:  a \r\nX:y\r\n\r\n").unwrap();
        assert_eq!(&head.text()[..], b"GET /A~?%41 HTTP/1.1\r\nhOST:  a \r\nX:y\r\n\r\n");
        assert_eq!(head.field("host").next(), Some(&b"a"[..]));
        let head = parse("GET http://A.example HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
        assert_eq!(&head.text()[..16], b"GET / HTTP/1.1\r\n");
    }

    #[test]
    fn a_host_is_required_once_and_well_formed() {
        for version in ["HTTP/1.1", "HTTP/1.0"] {
            assert_eq!(parse(&format!("GET / {version}\r\nX: y\r\n\r\n")).err(), Some(Refusal::HostMissing));
        }
        assert_eq!(with("Host: a.example").err(), Some(Refusal::HostRepeated));
        assert_eq!(parse("GET http://a/ HTTP/1.1\r\nX: y\r\n\r\n").err(), Some(Refusal::HostMissing));
        for host in ["", "a example", "a.example/evil", "a,b", "user@a", "a:0", "\u{e4}", "a:80:80", "[::1"] {
            let result = parse(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
            assert!(matches!(result, Err(Refusal::Host(_))), "{host}");
        }
    }

    #[test]
    fn a_target_has_one_meaning() {
        let long = format!("/{}", "a".repeat(65_600));
        for target in [
            "*",
            "admin",
            "a.example:80",
            "http://b.example/",
            "http://a.example:81/",
            "//x",
            "/a/../b",
            "/%2e%2e/x",
            "/a%2fb",
            "/a%5cb",
            "/%00",
            "/a\\b",
            "/a#b",
            "/%zz",
            "/a\tb",
            "/\u{e9}",
            "/a<b",
            "/a`b",
            "/?a\"b",
            "ftp://a.example/",
            "?x",
            long.as_str(),
        ] {
            let result = parse(&format!("OPTIONS {target} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
            assert!(matches!(result, Err(Refusal::Target(_) | Refusal::TargetUnusable)), "{target}: {result:?}");
        }
        let not_utf8 = b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(matches!(Head::parse(not_utf8, 4096), Err(Refusal::Target(_))));
    }

    #[test]
    fn fields_are_counted() {
        assert_eq!(with(&["X: y"; 99].join("\r\n")).unwrap().fields().count(), 100);
        assert_eq!(with(&["X: y"; 100].join("\r\n")).err(), Some(Refusal::TooManyFields));
    }

    #[test]
    fn every_kind_of_framing_is_judged() {
        for (line, refusal) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Refusal::TwoFramings),
            ("Content-Length: 5\r\nContent-Length: 5", Refusal::ContentLengthRepeated),
            ("Content-Length: 5, 5", Refusal::ContentLength),
            ("Content-Length: +5", Refusal::ContentLength),
            ("Transfer-Encoding: identity, chunked", Refusal::TransferEncoding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Refusal::TransferEncoding),
            ("Transfer_Encoding: chunked", Refusal::Alias),
            ("Transfer-Encoding : chunked", Refusal::FieldName),
            ("Transfer-Encoding:\x0bchunked", Refusal::ControlCharacter),
            ("X: a\r\n b", Refusal::FoldedLine),
            (" X: a", Refusal::FoldedLine),
            ("X: a\nY: b", Refusal::BareLineBreak),
            ("X: a\rY: b", Refusal::BareLineBreak),
            ("X: a\0", Refusal::ControlCharacter),
            ("Connection: Host", Refusal::Nomination),
            ("Expect: 200-ok", Refusal::Expectation),
            ("Expect: 100-continue\r\nExpect: 100-continue", Refusal::Expectation),
        ] {
            assert_eq!(with(line).err(), Some(refusal), "{line:?}");
        }
        assert!(with("X: \u{e4}\u{f6}").is_ok());
    }

    #[test]
    fn an_expectation_without_a_body_and_one_in_http_1_0_are_ignored() {
        assert!(!with("Expect: 100-continue").unwrap().expects_continue());
        let old = parse("POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n").unwrap();
        assert!(!old.expects_continue());
    }
}
