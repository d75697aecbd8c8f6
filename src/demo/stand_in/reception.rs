//! What every call goes through: it is recorded, meets its trouble, is worked on, and answered.

use std::sync::Arc;

use axum::{
    body::{Bytes, to_bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};

use super::{
    Endpoint, Inside, RetryHeader, Service, Trouble,
    answer::Answer,
    calls::{Call, CallNumber},
    error_code::Refusal,
    fields::Fields,
};

/// Longest body that is read.
const LONGEST_BODY: usize = 64 * 1024;

/// A request, read whole.
pub(super) struct Asked {
    parts: Parts,
    body: Bytes,
}

impl<S: Send + Sync> FromRequest<S> for Asked {
    type Rejection = StatusCode;

    async fn from_request(request: Request, _: &S) -> Result<Self, StatusCode> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, LONGEST_BODY).await.map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
        Ok(Self { parts, body })
    }
}

impl Asked {
    pub(super) fn path(&self) -> &str {
        self.parts.uri.path()
    }

    pub(super) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header that is text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// The fields of a form; none, when the body is anything else.
    pub(super) fn form(&self) -> Option<Fields> {
        let kind = self.header(header::CONTENT_TYPE.as_str())?.split(';').next()?.trim();
        let is_form = kind.eq_ignore_ascii_case("application/x-www-form-urlencoded");
        is_form.then(|| Fields::parse(&String::from_utf8_lossy(&self.body)))
    }
}

/// Lets a call through to `work`, with everything that the switches put in its way.
pub(super) async fn attend(
    inside: Arc<Inside>,
    endpoint: Endpoint,
    service: Option<Service>,
    asked: Asked,
    work: impl FnOnce(&Inside, &Asked) -> Answer,
) -> Response {
    let number = record(&inside, endpoint, service, &asked);
    if let Some(refused) = turned_away(endpoint, &asked) {
        return finish(&inside, number, refused).into_response();
    }
    let trouble = inside.switches.next_trouble(endpoint);
    match &trouble {
        Some(Trouble::Slow(while_)) => inside.clock.sleep(*while_).await,
        Some(Trouble::Hang(gate) | Trouble::LateError(gate, _)) => gate.pass().await,
        Some(
            Trouble::HoldAnswer(_)
            | Trouble::LoseAnswer
            | Trouble::Status(_)
            | Trouble::TooManyRequests(_)
            | Trouble::Error(_)
            | Trouble::Html
            | Trouble::InvalidJson
            | Trouble::JsonArray
            | Trouble::Empty
            | Trouble::DuplicateMembers
            | Trouble::Huge(_)
            | Trouble::Redirect(_),
        )
        | None => {}
    }
    let answer = if trouble.as_ref().is_none_or(Trouble::does_its_duty) {
        work(&inside, &asked)
    } else {
        Answer::empty(StatusCode::OK, "a switch")
    };
    let answer = finish(&inside, number, troubled(answer, trouble.as_ref()));
    match trouble {
        Some(Trouble::HoldAnswer(gate)) => {
            gate.pass().await;
            answer.into_response()
        }
        Some(Trouble::LoseAnswer) => answer.into_torn_response(),
        Some(_) | None => answer.into_response(),
    }
}

fn finish(inside: &Inside, number: CallNumber, answer: Answer) -> Answer {
    inside.calls.answered(number, answer.outcome());
    answer.with(header::DATE, &inside.switches.behaviour().date.text(inside.clock.now()))
}

fn record(inside: &Inside, endpoint: Endpoint, service: Option<Service>, asked: &Asked) -> CallNumber {
    let mut call = Call::new(endpoint, service, asked.path(), inside.clock.now());
    call.user_agent = asked.header(header::USER_AGENT.as_str()).map(str::to_owned);
    for fields in [Some(Fields::parse(asked.query())), asked.form()].into_iter().flatten() {
        fields.iter().for_each(|(name, value)| call.add(name, value));
    }
    if let Some(token) = bearer(asked) {
        call.add("bearer", token);
    }
    inside.calls.arrived(call)
}

/// The token of `Authorization: Bearer`.
pub(super) fn bearer(asked: &Asked) -> Option<&str> {
    let (scheme, token) = asked.header(header::AUTHORIZATION.as_str())?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
}

/// Programs must say who they are: Apple has been seen to turn away `Ruby`.
fn turned_away(endpoint: Endpoint, asked: &Asked) -> Option<Answer> {
    let from_program = match endpoint {
        Endpoint::Exchange | Endpoint::Refresh | Endpoint::Keys | Endpoint::Revoke | Endpoint::Roster => true,
        Endpoint::Authorize | Endpoint::Pick | Endpoint::Elsewhere => false,
    };
    let agent = asked.header(header::USER_AGENT.as_str()).unwrap_or_default();
    (from_program && (agent.is_empty() || agent == "Ruby")).then(|| {
        Answer::page(StatusCode::FORBIDDEN, "<h1>403 Forbidden</h1>".to_owned(), "there is no distinct User-Agent")
    })
}

fn troubled(answer: Answer, trouble: Option<&Trouble>) -> Answer {
    const WHY: &str = "a switch";
    let Some(trouble) = trouble else { return answer };
    match trouble {
        Trouble::Slow(_) | Trouble::Hang(_) | Trouble::HoldAnswer(_) | Trouble::LoseAnswer | Trouble::Empty => answer,
        Trouble::Status(status) => {
            Answer::empty(StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), WHY)
        }
        Trouble::TooManyRequests(retry) => {
            let answer = Answer::empty(StatusCode::TOO_MANY_REQUESTS, WHY);
            match retry {
                Some((RetryHeader::Standard, seconds)) => answer.with(header::RETRY_AFTER, &seconds.to_string()),
                Some((RetryHeader::Apple, seconds)) => {
                    answer.with(header::HeaderName::from_static("x-retry-after"), &seconds.to_string())
                }
                None => answer,
            }
        }
        Trouble::Error(error) | Trouble::LateError(_, error) => Answer::refusal(Refusal::new(*error, WHY)),
        Trouble::Html => Answer::page(StatusCode::OK, "<!doctype html><title>Sorry</title>".to_owned(), WHY),
        Trouble::InvalidJson => with_body(json(), br#"{"access_token": "a", "keys": ["#.to_vec()),
        Trouble::JsonArray => with_body(json(), b"[]".to_vec()),
        Trouble::DuplicateMembers => {
            let body = doubled(&answer.body);
            with_body(answer, body)
        }
        Trouble::Huge(bytes) => {
            let body = swollen(&answer.body, *bytes);
            with_body(answer, body)
        }
        Trouble::Redirect(location) => Answer::redirect(StatusCode::TEMPORARY_REDIRECT, location, WHY),
    }
}

fn json() -> Answer {
    Answer::json(StatusCode::OK, &serde_json::Value::Null, "a switch")
}

fn with_body(answer: Answer, body: Vec<u8>) -> Answer {
    Answer { body, ..answer }
}

/// Every member of a JSON object once more, with another value before it.
fn doubled(body: &[u8]) -> Vec<u8> {
    let Ok(serde_json::Value::Object(members)) = serde_json::from_slice(body) else { return body.to_vec() };
    let text = |value: &serde_json::Value| value.to_string();
    let members: Vec<_> = members
        .iter()
        .map(|(name, value)| format!("{0}:\"other\",{0}:{1}", text(&name.as_str().into()), text(value)))
        .collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// A JSON object with one member more.
fn swollen(body: &[u8], bytes: usize) -> Vec<u8> {
    match body.split_first() {
        Some((b'{', rest)) => {
            let comma = if rest == b"}" { "" } else { "," };
            [format!("{{\"padding\":\"{}\"{comma}", "A".repeat(bytes)).as_bytes(), rest].concat()
        }
        Some(_) | None => vec![b'A'; bytes],
    }
}
