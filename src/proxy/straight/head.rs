//! The head of an app's answer, read as pingora reads it and written as it came but for what the gateway changes.

use std::ops::Range;

use http::{HeaderName, HeaderValue, StatusCode, header};
use httparse::{ParserConfig, Response, Status};
use pingora::{Error, ErrorType, protocols::http::date::get_cached_date};

use super::body::Framing;
use crate::proxy::fields::{AnswerFields, Fields};

/// Most fields of one head; as many as pingora takes.
const MOST_FIELDS: usize = 256;

/// Longest head.
const MOST_BYTES: usize = 1024 * 1024;

/// The head of an answer.
pub(in crate::proxy) struct AnswerHead {
    text: Vec<u8>,
    status: StatusCode,
    reason: Range<usize>,
    is_http_11: bool,
    /// Whether content may follow where there must be none, which nobody could tell from the next answer.
    may_go_on: bool,
    fields: Vec<(Range<usize>, Range<usize>)>,
    added: Vec<(HeaderName, HeaderValue)>,
}

impl AnswerHead {
    /// Reads a head from the first bytes of an answer; `None` while it is incomplete, else also how many bytes it took.
    ///
    /// # Errors
    /// When it is none.
    pub(super) fn parse(bytes: &[u8]) -> pingora::Result<Option<(Self, usize)>> {
        let mut memory = [const { std::mem::MaybeUninit::uninit() }; MOST_FIELDS];
        let mut response = Response::new(&mut []);
        let mut parser = ParserConfig::default();
        parser.allow_spaces_after_header_name_in_responses(true).allow_obsolete_multiline_headers_in_responses(true);
        let parsed = parser.parse_response_with_uninit_headers(&mut response, bytes, &mut memory);
        let length = match parsed.map_err(|error| Error::because(ErrorType::InvalidHTTPHeader, "not HTTP", error))? {
            Status::Complete(length) if length <= MOST_BYTES => length,
            Status::Complete(_) => return Err(invalid("the head is too long")),
            Status::Partial if bytes.len() > MOST_BYTES => return Err(invalid("the head is too long")),
            Status::Partial => return Ok(None),
        };
        let place = |part: &[u8]| {
            let start = part.as_ptr() as usize - bytes.as_ptr() as usize;
            start..start + part.len()
        };
        let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
        let mut head = Self {
            text: bytes[..length].to_vec(),
            status: status.ok_or_else(|| invalid("the status is none"))?,
            // It may be elsewhere when there is none.
            reason: response.reason.filter(|reason| !reason.is_empty()).map_or(0..0, |reason| place(reason.as_bytes())),
            is_http_11: response.version == Some(1),
            may_go_on: false,
            fields: response.headers.iter().map(|field| (place(field.name.as_bytes()), place(field.value))).collect(),
            added: Vec::new(),
        };
        head.unfold();
        Ok(Some((head, length)))
    }

    /// A value over several lines becomes one, with a blank for each fold (RFC 9112, section 5.2).
    fn unfold(&mut self) {
        let Self { text, fields, .. } = self;
        for (_, value) in fields {
            if memchr::memchr2(b'\r', b'\n', &text[value.clone()]).is_none() {
                continue;
            }
            let folded = text[value.clone()].to_vec();
            let lines = folded.split(|byte| matches!(byte, b'\r' | b'\n')).map(<[u8]>::trim_ascii);
            let joined = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(&b' ');
            value.end = value.start + joined.len();
            text[value.clone()].copy_from_slice(&joined);
        }
    }

    /// How the end of the answer is found (RFC 9112, section 6.3), and what that says to the client: an answer has one
    /// length, and of two framings the coding counts.
    ///
    /// # Errors
    /// When nobody could tell its end, or two could tell two.
    pub(super) fn frame(&mut self, to_head: bool) -> pingora::Result<Framing> {
        let coding = self.values(&header::TRANSFER_ENCODING).last().map(|value| {
            let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default();
            last.trim_ascii().eq_ignore_ascii_case(b"chunked")
        });
        if coding.is_some() {
            self.remove(&header::CONTENT_LENGTH);
        }
        let length = self.length()?;
        let has_none = to_head || matches!(self.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        // Old apps send the content all the same, and perhaps only after the next request was sent.
        self.may_go_on = to_head || has_none && (coding.is_some() || length.is_some_and(|length| length > 0));
        if self.status == StatusCode::NO_CONTENT {
            self.unframe();
        }
        Ok(match (coding, length) {
            _ if has_none => Framing::Length(0),
            (Some(true), _) => Framing::Chunked,
            (Some(false), _) => return Err(invalid("the transfer coding has no end")),
            (None, Some(length)) => Framing::Length(length),
            (None, None) => {
                self.append(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
                Framing::UntilClose
            }
        })
    }

    /// Says nothing of content, because there is none (RFC 9112, section 6.2).
    pub(super) fn unframe(&mut self) {
        self.remove(&header::CONTENT_LENGTH);
        self.remove(&header::TRANSFER_ENCODING);
    }

    /// The length, if it says one. Said twice it may be the same (RFC 9110, section 8.6), and then is said once.
    fn length(&mut self) -> pingora::Result<Option<u64>> {
        let unclear = || invalid("the length of the answer is unclear");
        let mut length = None;
        let mut said = 0;
        for value in self.values(&header::CONTENT_LENGTH) {
            for one in value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                let digits = std::str::from_utf8(one).ok().filter(|_| one.iter().all(u8::is_ascii_digit));
                let one: u64 = digits.and_then(|digits| digits.parse().ok()).ok_or_else(unclear)?;
                if *length.get_or_insert(one) != one {
                    return Err(unclear());
                }
                said += 1;
            }
        }
        if let Some(length) = length.filter(|_| said > 1) {
            self.insert(header::CONTENT_LENGTH, length.into())?;
        }
        Ok(length)
    }

    /// Whether another request may follow on the connection (RFC 9112, section 9.3), once the answer is framed.
    pub(super) fn keeps_alive(&self) -> bool {
        let says = |option| self.listed(&header::CONNECTION).any(|said| said.eq_ignore_ascii_case(option));
        self.is_http_11 && !self.may_go_on && !says("close")
    }

    /// The bytes for the client. An interim head says nothing of the connection.
    pub(super) fn to_bytes(&self, is_final: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.text.len() + 256);
        for part in [b"HTTP/1.1 ", self.status.as_str().as_bytes(), b" ", &self.text[self.reason.clone()], b"\r\n"] {
            bytes.extend_from_slice(part);
        }
        let mut add = |name: &[u8], value: &[u8]| {
            for part in [name, b": ", value, b"\r\n"] {
                bytes.extend_from_slice(part);
            }
        };
        for (name, value) in &self.fields {
            let (name, value) = (&self.text[name.clone()], &self.text[value.clone()]);
            let is_ours = is_final && (name.eq_ignore_ascii_case(b"connection") || name.eq_ignore_ascii_case(b"date"));
            if !is_ours {
                add(name, value);
            }
        }
        for (name, value) in &self.added {
            add(name.as_str().as_bytes(), value.as_bytes());
        }
        if is_final {
            add(b"Date", get_cached_date().as_bytes());
            add(b"Connection", b"keep-alive");
        }
        bytes.extend_from_slice(b"\r\n");
        bytes
    }

    /// The head as a message of the library.
    ///
    /// # Errors
    /// When a field can be none there.
    pub(in crate::proxy) fn to_response(&self) -> pingora::Result<http::Response<()>> {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = self.status;
        parts.headers.reserve(self.fields.len() + self.added.len());
        for (name, value) in &self.fields {
            let name = HeaderName::from_bytes(&self.text[name.clone()]);
            let value = HeaderValue::from_bytes(&self.text[value.clone()]);
            let (name, value) = name.ok().zip(value.ok()).ok_or_else(|| invalid("a field of the answer is none"))?;
            parts.headers.append(name, value);
        }
        for (name, value) in &self.added {
            parts.headers.append(name, value.clone());
        }
        Ok(http::Response::from_parts(parts, ()))
    }
}

impl Fields for AnswerHead {
    fn values<'a>(&'a self, name: &'a HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let is_it = move |(other, _): &&(Range<usize>, Range<usize>)| {
            self.text[other.clone()].eq_ignore_ascii_case(name.as_str().as_bytes())
        };
        let came = self.fields.iter().filter(is_it).map(|(_, value)| &self.text[value.clone()]);
        came.chain(self.added.iter().filter(move |(other, _)| other == name).map(|(_, value)| value.as_bytes()))
    }
}

impl AnswerFields for AnswerHead {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        let came =
            self.fields.iter().map(|(name, _)| std::str::from_utf8(&self.text[name.clone()]).unwrap_or_default());
        came.chain(self.added.iter().map(|(name, _)| name.as_str()))
    }

    fn remove(&mut self, name: &HeaderName) {
        let Self { text, fields, added, .. } = self;
        fields.retain(|(other, _)| !text[other.clone()].eq_ignore_ascii_case(name.as_str().as_bytes()));
        added.retain(|(other, _)| other != name);
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> pingora::Result<()> {
        self.added.push((name, value));
        Ok(())
    }
}

fn invalid(why: &'static str) -> Box<Error> {
    Error::explain(ErrorType::InvalidHTTPHeader, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> pingora::Result<AnswerHead> {
        let (head, length) = AnswerHead::parse(text.as_bytes())?.expect("is complete");
        assert_eq!(length, text.len());
        Ok(head)
    }

    fn with(line: &str) -> AnswerHead {
        parse(&format!("HTTP/1.1 200 OK\r\n{line}\r\n\r\n")).unwrap()
    }

    fn written(head: &AnswerHead) -> String {
        String::from_utf8(head.to_bytes(true)).unwrap()
    }

    #[test]
    fn an_answer_is_written_as_it_came_but_for_date_and_connection() {
        let text = "HTTP/1.0 404 Gone fishing\r\nX-One:  a \r\nDATE: then\r\nconnection: close\r\nx-one: b\r\n\r\n";
        let written = written(&parse(text).unwrap());
        let now = get_cached_date();
        let now = now.to_str().unwrap();
        assert_eq!(
            written,
            format!(
                "HTTP/1.1 404 Gone fishing\r\nX-One: a\r\nx-one: b\r\nDate: {now}\r\nConnection: keep-alive\r\n\r\n"
            )
        );
        let interim = parse("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n").unwrap().to_bytes(false);
        assert_eq!(interim, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
    }

    #[test]
    fn an_incomplete_head_is_no_head_yet() {
        let text = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        for end in 0..text.len() {
            assert!(AnswerHead::parse(&text[..end]).unwrap().is_none(), "{end}");
        }
        let long = format!("HTTP/1.1 200 OK\r\nA: {}", "a".repeat(MOST_BYTES));
        assert!(AnswerHead::parse(long.as_bytes()).is_err());
        assert!(AnswerHead::parse(format!("{long}\r\n\r\n").as_bytes()).is_err());
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for text in [
            "\x15\x03\x01\0\x02\x02\x16",
            "HTTP/2 200\r\n\r\n",
            "HTTP/1.1 099 \r\n\r\n",
            "HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n",
        ] {
            assert!(AnswerHead::parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_value_over_several_lines_is_one_line_for_the_client() {
        let head = with("A: b\r\n Set-Cookie: c");
        assert!(written(&head).contains("A: b Set-Cookie: c\r\n"), "{}", written(&head));
        assert_eq!(head.values(&header::SET_COOKIE).count(), 0);
    }

    #[test]
    fn fields_are_changed_in_any_letter_case() {
        let mut head = with("SET-cookie: a=1\r\nX: y\r\nset-cookie: b=2");
        assert_eq!(head.values(&header::SET_COOKIE).collect::<Vec<_>>(), [b"a=1", b"b=2"]);
        head.insert(header::SET_COOKIE, HeaderValue::from_static("c=3")).unwrap();
        assert_eq!(head.values(&header::SET_COOKIE).collect::<Vec<_>>(), [b"c=3"]);
        head.append(header::SET_COOKIE, HeaderValue::from_static("d=4")).unwrap();
        assert_eq!(head.names().collect::<Vec<_>>(), ["X", "set-cookie", "set-cookie"]);
        head.remove(&header::SET_COOKIE);
        assert_eq!(head.names().collect::<Vec<_>>(), ["X"]);
    }

    #[test]
    fn an_answer_has_one_end() {
        let framing = |line: &str| with(line).frame(false).ok();
        assert_eq!(framing("Content-Length: 5"), Some(Framing::Length(5)));
        assert_eq!(framing("Transfer-Encoding: Chunked"), Some(Framing::Chunked));
        assert_eq!(framing("Transfer-Encoding: gzip, chunked"), Some(Framing::Chunked));
        assert_eq!(framing("A: b"), Some(Framing::UntilClose));
        for unclear in [
            "Content-Length: 5, 6",
            "Content-Length: 5\r\nContent-Length: 6",
            "Content-Length: +5",
            "Content-Length: ",
            "Content-Length: 5,",
            "Content-Length: 18446744073709551616",
            "Transfer-Encoding: chunked, gzip",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        ] {
            assert_eq!(framing(unclear), None, "{unclear}");
        }
        for bodiless in ["204 No Content", "304 Not Modified"] {
            let mut head = parse(&format!("HTTP/1.1 {bodiless}\r\nContent-Length: 5\r\n\r\n")).unwrap();
            assert_eq!(head.frame(false).unwrap(), Framing::Length(0));
        }
        assert_eq!(with("Content-Length: 5").frame(true).unwrap(), Framing::Length(0));
        assert_eq!(with("Transfer-Encoding: chunked").frame(true).unwrap(), Framing::Length(0));
    }

    #[test]
    fn the_client_hears_of_one_framing() {
        let heard = |line: &str| {
            let mut head = with(line);
            head.frame(false).unwrap();
            written(&head).to_ascii_lowercase()
        };
        assert!(!heard("Content-Length: 5\r\nTransfer-Encoding: chunked").contains("content-length"));
        assert_eq!(heard("Content-Length: 5, 5\r\nContent-Length: 5").matches("content-length: 5\r\n").count(), 1);
        assert_eq!(heard("A: b").matches("transfer-encoding: chunked\r\n").count(), 1);
    }

    #[test]
    fn an_answer_without_content_says_nothing_of_its_length() {
        let mut head = parse("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nA: b\r\n\r\n").unwrap();
        head.frame(false).unwrap();
        assert_eq!(head.names().collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn an_app_that_says_so_or_may_say_more_has_its_connection_closed() {
        let after = |text: &str, to_head| {
            let mut head = parse(text).unwrap();
            head.frame(to_head).unwrap();
            head.keeps_alive()
        };
        assert!(!after("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", true));
        assert!(!after("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false));
        assert!(!after("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", false));
        assert!(after("HTTP/1.1 304 Not Modified\r\n\r\n", false));
        assert!(with("A: b").keeps_alive() && with("Connection: keep-alive").keeps_alive());
        assert!(!with("Connection: x, Close").keeps_alive());
        assert!(!parse("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n").unwrap().keeps_alive());
    }
}
