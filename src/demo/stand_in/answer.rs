//! Answers, before they go out.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::Response,
};
use serde_json::Value;

use super::{
    calls::Outcome,
    error_code::{ErrorCode, Refusal},
};

/// An answer and what the record of calls says of it.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) error: Option<ErrorCode>,
    pub(super) why: &'static str,
}

impl Answer {
    /// No body.
    pub(super) fn empty(status: StatusCode, why: &'static str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
        Self { status, headers, body: Vec::new(), error: None, why }
    }

    /// JSON as Apple labels it.
    pub(super) fn json(status: StatusCode, value: &Value, why: &'static str) -> Self {
        let mut answer = Self::empty(status, why).with(header::CONTENT_TYPE, "application/json;charset=UTF-8");
        answer.body = value.to_string().into_bytes();
        answer
    }

    /// A page.
    pub(super) fn page(status: StatusCode, html: String, why: &'static str) -> Self {
        let mut answer = Self::empty(status, why).with(header::CONTENT_TYPE, "text/html;charset=UTF-8");
        answer.body = html.into_bytes();
        answer
    }

    /// `{"error": "..."}` with 400: never a description.
    pub(super) fn refusal(refusal: Refusal) -> Self {
        let body = serde_json::json!({ "error": refusal.error.as_str() });
        Self { error: Some(refusal.error), ..Self::json(StatusCode::BAD_REQUEST, &body, refusal.why) }
    }

    /// Sends the browser elsewhere.
    pub(super) fn redirect(status: StatusCode, location: &str, why: &'static str) -> Self {
        Self::empty(status, why).with(header::LOCATION, location)
    }

    /// Adds a header; one that cannot be written is left out.
    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// What the record says.
    pub(super) fn outcome(&self) -> Outcome {
        Outcome { status: self.status.as_u16(), error: self.error, why: self.why }
    }

    /// The answer for the server.
    pub(super) fn into_response(self) -> Response {
        self.respond(Body::from)
    }

    /// The answer, torn off after half of its body.
    pub(super) fn into_torn_response(mut self) -> Response {
        self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(self.body.len().max(2)));
        self.respond(|mut body| {
            body.truncate(body.len() / 2);
            let torn = Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
            Body::from_stream(futures_util::stream::iter([Ok(body), torn]))
        })
    }

    fn respond(self, body: impl FnOnce(Vec<u8>) -> Body) -> Response {
        let mut response = Response::new(body(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}
