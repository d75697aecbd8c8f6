//! Answers of the gateway itself: all carry the same protective headers.

use std::{borrow::Cow, sync::LazyLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use pingora::{http::ResponseHeader, proxy::Session};

use super::{Hsts, prepared::Header};
use crate::{
    pages::{self, Explanation, Page},
    telemetry::Decision,
    web::{Kind, SetCookie},
};

/// Headers that say something about an answer, and nothing about a person: an app may be told by headers of these
/// names, a web server in front of it not.
const OF_ANSWERS: &[&str] = &[
    "cache-control",
    "clear-site-data",
    "content-length",
    "location",
    "referrer-policy",
    "set-cookie",
    "strict-transport-security",
    "x-content-type-options",
    "x-request-id",
];

/// What every answer says, ready to be put into a head.
static NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
static NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
static NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The policy of everything but some pages, read through once.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| HeaderValue::from_static(pages::content_security_policy()));

/// Most fields of most answers: those of their own, the six of all, and those that pingora adds.
const FIELDS: usize = 12;

/// An answer that no app gave.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
    reason: Option<Cow<'static, str>>,
    decision: Decision,
}

impl Answer {
    /// An answer with a body.
    #[must_use]
    pub fn new(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::under(POLICY.clone(), status, content_type, body.into())
    }

    /// The same under another policy for what browsers do with it.
    fn under(policy: HeaderValue, status: u16, content_type: &'static str, body: Bytes) -> Self {
        // A status that is none can only be a mistake of ours.
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut headers = Vec::with_capacity(FIELDS / 2);
        headers.push((header::CONTENT_TYPE, HeaderValue::from_static(content_type)));
        headers.push((header::CONTENT_SECURITY_POLICY, policy));
        Self { status, headers, body, reason: None, decision: Decision::Failed }
    }

    /// A page.
    #[must_use]
    pub fn page(page: Page) -> Self {
        let policy = HeaderValue::from_static(page.policy);
        Self::under(policy, page.status, "text/html; charset=utf-8", page.html.into())
    }

    /// An error: `page` where a person reads it, a problem document for everything else.
    #[must_use]
    pub fn error(explanation: &Explanation, kind: Kind, request_id: &str, page: impl FnOnce() -> Page) -> Self {
        let answer = match kind.is_read() {
            true => Self::page(page()),
            false => Self::problem(explanation, request_id),
        };
        answer.because(explanation.title)
    }

    /// A problem document, whoever asks.
    #[must_use]
    pub fn problem(explanation: &Explanation, request_id: &str) -> Self {
        Self::new(explanation.status, "application/problem+json", explanation.problem_json(request_id))
            .because(explanation.title)
    }

    /// A failure of the table that page and problem document share.
    #[must_use]
    pub fn failure(failure: pages::Failure, kind: Kind, request_id: &str) -> Self {
        Self::error(&failure.explanation(), kind, request_id, || pages::failure(failure, request_id))
    }

    /// Why it is no better answer, for the log: whoever reports the number of a request asks for that. Without it,
    /// an error has its title, which says what the visitor was told. Nothing of a person or a secret.
    #[must_use]
    pub fn because(self, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// The decision that it tells a request for an app.
    #[must_use]
    pub fn telling(self, decision: Decision) -> Self {
        Self { decision, ..self }
    }

    /// What it tells; a failure when nothing was said about it.
    #[must_use]
    pub fn decision(&self) -> Decision {
        self.decision
    }

    /// What the log says of it.
    #[must_use]
    pub fn reason(&self) -> Option<&Cow<'static, str>> {
        self.reason.as_ref()
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", Bytes::new()).with(header::LOCATION, location)
    }

    /// Adds a header, or puts it in the place of one that stands once. A value that no header can have
    /// is left out: our own values never are such.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.retain(|(other, _)| *other != name);
            self.headers.push((name, value));
        }
        self
    }

    /// Adds the headers that an app is told by. What the answer needs for itself stays as it is.
    #[must_use]
    pub(super) fn with_identity<'a>(mut self, headers: impl Iterator<Item = &'a Header>) -> Self {
        let ours = |name: &HeaderName| {
            OF_ANSWERS.contains(&name.as_str()) || self.headers.iter().any(|(other, _)| other == name)
        };
        let told: Vec<_> = headers.filter(|(name, _)| !ours(name)).cloned().collect();
        self.headers.extend(told);
        self
    }

    /// The same, with the word to browsers to come by HTTPS only, when there is one.
    #[must_use]
    pub fn secured(self, hsts: Option<Hsts>) -> Self {
        match hsts {
            Some(hsts) => self.with(header::STRICT_TRANSPORT_SECURITY, &hsts.to_string()),
            None => self,
        }
    }

    /// The value of a header that is text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).and_then(|(_, value)| value.to_str().ok())
    }

    /// Adds cookies to set or delete.
    #[must_use]
    pub fn with_cookies(mut self, cookies: &[SetCookie]) -> Self {
        for cookie in cookies {
            if let Ok(mut value) = HeaderValue::from_str(&cookie.header_value()) {
                value.set_sensitive(true);
                self.headers.push((header::SET_COOKIE, value));
            }
        }
        self
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status.as_u16()
    }

    /// Every header of the answer, one after the other.
    fn each_header(&self, request_id: &str, mut take: impl FnMut(&HeaderName, HeaderValue)) {
        for (name, value) in &self.headers {
            take(name, value.clone());
        }
        take(&header::CACHE_CONTROL, NO_STORE.clone());
        take(&header::REFERRER_POLICY, NO_REFERRER.clone());
        take(&header::X_CONTENT_TYPE_OPTIONS, NO_SNIFF.clone());
        take(&header::CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        if let Ok(id) = HeaderValue::from_str(request_id) {
            take(&X_REQUEST_ID, id);
        }
    }

    /// The head of the answer, as pingora has it.
    pub(super) fn head(&self, request_id: &str) -> ResponseHeader {
        let mut fields = HeaderMap::with_capacity(FIELDS);
        self.each_header(request_id, |name, value| {
            fields.append(name, value);
        });
        // By way of `http`: pingora's own way reads each name anew.
        let (mut parts, ()) = http::Response::new(()).into_parts();
        (parts.status, parts.headers) = (self.status, fields);
        parts.into()
    }

    /// The body of the answer.
    pub(super) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Sends it through pingora.
    ///
    /// # Errors
    /// When the client has gone.
    pub async fn send(&self, session: &mut Session, request_id: &str) -> pingora::Result<()> {
        let head = self.head(request_id);
        let bodiless = self.body.is_empty() || session.req_header().method == Method::HEAD;
        session.write_response_header(Box::new(head), bodiless).await?;
        if !bodiless {
            session.write_response_body(Some(self.body.clone()), true).await?;
        }
        Ok(())
    }

    /// The bytes of the answer for a connection that ends with it; for `HEAD` the head only (RFC 9110,
    /// section 9.3.2).
    #[must_use]
    pub fn to_last_bytes(&self, request_id: &str, head_only: bool) -> Vec<u8> {
        self.bytes(request_id, head_only, b"connection: close\r\n\r\n")
    }

    /// The same for one that goes on.
    pub(super) fn to_bytes(&self, request_id: &str, head_only: bool, date: &HeaderValue) -> Vec<u8> {
        let end = [b"date: ", date.as_bytes(), b"\r\nconnection: keep-alive\r\n\r\n"].concat();
        self.bytes(request_id, head_only, &end)
    }

    /// Status line and fields, the end of the head, and the body.
    fn bytes(&self, request_id: &str, head_only: bool, end: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(1024 + self.body.len());
        bytes.extend_from_slice(b"HTTP/1.1 ");
        bytes.extend_from_slice(self.status.as_str().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(self.status.canonical_reason().unwrap_or("Error").as_bytes());
        bytes.extend_from_slice(b"\r\n");
        self.each_header(request_id, |name, value| {
            bytes.extend_from_slice(name.as_str().as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value.as_bytes());
            bytes.extend_from_slice(b"\r\n");
        });
        bytes.extend_from_slice(end);
        if !head_only {
            bytes.extend_from_slice(&self.body);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::SameSite;

    #[test]
    fn every_answer_has_the_protective_headers() {
        for answer in [
            Answer::redirect(302, "https://a.example/"),
            Answer::failure(pages::Failure::BadRequest, Kind::Navigation, "id"),
            Answer::failure(pages::Failure::BadRequest, Kind::Other, "id"),
        ] {
            let text = String::from_utf8(answer.to_last_bytes("id-1", false)).unwrap();
            for line in [
                "cache-control: no-store\r\n",
                "referrer-policy: no-referrer\r\n",
                "x-content-type-options: nosniff\r\n",
                "content-security-policy: default-src 'none'",
                "x-request-id: id-1\r\n",
                "connection: close\r\n\r\n",
            ] {
                assert_eq!(text.matches(line).count(), 1, "{line}: {text}");
            }
        }
    }

    #[test]
    fn an_error_is_a_page_for_whoever_reads_it_and_a_problem_document_otherwise() {
        let text = |kind| {
            String::from_utf8(Answer::failure(pages::Failure::NotFound, kind, "id").to_last_bytes("id", false)).unwrap()
        };
        for kind in [Kind::Navigation, Kind::Frame] {
            assert!(text(kind).contains("content-type: text/html; charset=utf-8\r\n"));
        }
        for kind in [Kind::Guess, Kind::Other] {
            assert!(text(kind).contains("content-type: application/problem+json\r\n"));
        }
        assert!(text(Kind::Other).contains("\"request_id\":\"id\""));
    }

    #[test]
    fn a_value_that_would_break_out_of_a_header_is_left_out() {
        let answer = Answer::redirect(303, "/a\r\nSet-Cookie: x=y");
        assert!(!String::from_utf8(answer.to_last_bytes("id", false)).unwrap().contains("x=y"));
    }

    #[test]
    fn several_cookies_are_several_fields_and_hidden_from_logs() {
        let cookie = |name: &str| SetCookie::new(name, "secret", SameSite::Lax, true);
        let answer = Answer::redirect(303, "/").with_cookies(&[cookie("a"), cookie("b")]);
        assert_eq!(String::from_utf8(answer.to_last_bytes("id", false)).unwrap().matches("set-cookie: ").count(), 2);
        assert!(!format!("{answer:?}").contains("secret"));
    }
}
