//! Answers of the admin listener, and the headers that all of them have.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Serialize;

use super::page;
use crate::pages;

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    status: StatusCode,
    content_type: &'static str,
    policy: &'static str,
    referrer: &'static str,
    further: Option<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Reply {
    pub(super) fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let (policy, referrer) = (pages::content_security_policy(), "no-referrer");
        Self { status, content_type, policy, referrer, further: None, body: body.into() }
    }

    /// A page for people.
    pub(super) fn page(status: StatusCode, html: String) -> Self {
        // Without a referrer browsers give `null` for the origin of a form (https://fetch.spec.whatwg.org/#origin-header).
        let (policy, referrer) = (page::policy(), "same-origin");
        Self { policy, referrer, ..Self::new(status, "text/html; charset=utf-8", html) }
    }

    /// 303: what was asked for is done, and stands there.
    pub(super) fn see_other(location: &str) -> Self {
        let further = HeaderValue::from_str(location).ok().map(|location| (header::LOCATION, location));
        Self::page(StatusCode::SEE_OTHER, String::new()).with(further)
    }

    /// The same with a further header.
    pub(super) fn with(self, further: Option<(HeaderName, HeaderValue)>) -> Self {
        Self { further, ..self }
    }

    pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Result<Self, Refusal> {
        let body = serde_json::to_vec(value).map_err(|_| Refusal::mistake("the answer does not become JSON"))?;
        Ok(Self::new(status, "application/json", body))
    }

    pub(super) fn into_response(self, request_id: &str) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, self.content_type),
            (header::CACHE_CONTROL, "no-store"),
            (header::REFERRER_POLICY, self.referrer),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, self.policy),
            // Not even as a picture or a script in the page of another (https://fetch.spec.whatwg.org/#corp).
            (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
            (HeaderName::from_static("x-request-id"), request_id),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        }
        if let Some((name, value)) = self.further {
            headers.insert(name, value);
        }
        response
    }
}

/// Why there is no answer, in words for operators: what is wrong, and what to do instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    title: &'static str,
    pub(super) detail: String,
    pub(super) further: Option<(HeaderName, HeaderValue)>,
}

impl Refusal {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into(), further: None }
    }

    /// A few words.
    pub(super) fn title(&self) -> &'static str {
        self.title
    }

    /// 400: the request says nothing that can be done.
    pub(super) fn bad(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Not understood", detail)
    }

    /// 403: who asks is no operator.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not from there", detail)
    }

    /// 404.
    pub(super) fn not_found() -> Self {
        let there_are = "There is nothing at this path; there are /, /livez, /readyz, /metrics and /sessions.";
        Self::new(StatusCode::NOT_FOUND, "Not found", there_are)
    }

    /// 405.
    pub(super) fn method(allow: &'static str) -> Self {
        let detail = format!("This path takes {allow}.");
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "Not with this method", detail);
        Self { further: Some((header::ALLOW, HeaderValue::from_static(allow))), ..refusal }
    }

    /// 413: nothing here reads a body.
    pub(super) fn body() -> Self {
        let detail = "Nothing here reads a body; write what you want into the query, such as ?user=SUB.";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "No body, please", detail)
    }

    /// 500: a mistake of ours.
    pub(super) fn mistake(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong", detail)
    }

    /// 503: the store of sessions does not answer.
    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "The sessions cannot be reached", detail);
        Self { further: Some((header::RETRY_AFTER, HeaderValue::from_static("5"))), ..refusal }
    }

    pub(super) fn into_reply(self, request_id: &str) -> Reply {
        let body = pages::problem_json(self.status.as_u16(), self.title, &self.detail, request_id);
        Reply::new(self.status, "application/problem+json", body).with(self.further)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_the_protective_headers_and_none_invites_other_origins() {
        for reply in [
            Reply::new(StatusCode::OK, "text/plain", "x"),
            Refusal::method("GET, HEAD").into_reply("id-1"),
            Refusal::forbidden("no").into_reply("id-1"),
        ] {
            let response = reply.into_response("id-1");
            let headers = response.headers();
            for (name, value) in [
                ("cache-control", "no-store"),
                ("referrer-policy", "no-referrer"),
                ("x-content-type-options", "nosniff"),
                ("cross-origin-resource-policy", "same-origin"),
                ("x-request-id", "id-1"),
            ] {
                assert_eq!(headers.get(name).map(HeaderValue::as_bytes), Some(value.as_bytes()), "{name}");
            }
            assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
            assert!(!headers.keys().any(|name| name.as_str().starts_with("access-control")));
        }
    }
}
