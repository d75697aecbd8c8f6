//! The body of a request for one of our own paths: short, and read as a whole.

use http::{Method, Version, header};
use pingora::proxy::Session;

use crate::{pages::Failure, proxy::Facts, web::Form};

/// Largest body that is read.
const LARGEST: usize = 64 * 1024;

/// Why a body or a query is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// More than is ever needed.
    TooLarge,
    /// A body of another type.
    NoForm,
    /// More fields than are ever needed.
    TooMany,
}

impl Unread {
    /// What the visitor is told.
    pub(super) const fn failure(self) -> Failure {
        match self {
            Self::TooLarge => Failure::TooLarge,
            Self::NoForm | Self::TooMany => Failure::BadRequest,
        }
    }

    /// What the log says.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "the body is larger than 64 KiB",
            Self::NoForm => "the body is no form",
            Self::TooMany => "there are more than 64 parameters",
        }
    }
}

/// The query of a GET, the body of a POST.
///
/// # Errors
/// When the client goes away.
pub(super) async fn form(session: &mut Session, facts: &Facts) -> pingora::Result<Result<Form, Unread>> {
    if facts.method != Method::POST {
        let query = facts.target.query().unwrap_or_default();
        return Ok(Form::parse(query.as_bytes()).map_err(|_| Unread::TooMany));
    }
    let body = match whole(session).await? {
        Ok(body) => body,
        Err(why) => return Ok(Err(why)),
    };
    let content_type = session.req_header().headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim).unwrap_or_default();
    // A form without fields may come without a type.
    if !body.is_empty() && !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Err(Unread::NoForm));
    }
    // A POST may carry `return_to` in either place; one reading only, so the body wins when there is one.
    let encoded = if body.is_empty() { facts.target.query().unwrap_or_default().as_bytes() } else { &body };
    Ok(Form::parse(encoded).map_err(|_| Unread::TooMany))
}

/// All bytes of the body.
///
/// # Errors
/// When the client goes away.
pub(super) async fn whole(session: &mut Session) -> pingora::Result<Result<Vec<u8>, Unread>> {
    if waits_to_send(session) {
        session.as_mut().write_continue_response().await?;
    }
    let mut body = Vec::new();
    while let Some(part) = session.read_request_body().await? {
        if body.len() + part.len() > LARGEST {
            return Ok(Err(Unread::TooLarge));
        }
        body.extend_from_slice(&part);
    }
    Ok(Ok(body))
}

/// Whether the client sends nothing before it is told to (RFC 9110, section 10.1.1). Until then no time runs against
/// it, so that nobody but us would ever end the wait.
fn waits_to_send(session: &mut Session) -> bool {
    let head = session.req_header();
    let expects = head.version != Version::HTTP_10 && head.headers.contains_key(header::EXPECT);
    expects && !session.as_mut().is_body_done()
}
