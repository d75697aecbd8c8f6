//! The body of a request for one of our own paths: short, and read as a whole.

use http::{Method, header};
use pingora::proxy::Session;

use crate::{pages::Failure, proxy::Facts, web::Form};

/// Largest body that is read.
const LARGEST: usize = 64 * 1024;

/// The query of a GET, the body of a POST.
///
/// # Errors
/// When the client goes away.
pub(super) async fn form(session: &mut Session, facts: &Facts) -> pingora::Result<Result<Form, Failure>> {
    if facts.method != Method::POST {
        let query = facts.target.query().unwrap_or_default();
        return Ok(Form::parse(query.as_bytes()).map_err(|_| Failure::BadRequest));
    }
    let body = match whole(session).await? {
        Ok(body) => body,
        Err(failure) => return Ok(Err(failure)),
    };
    let content_type = session.req_header().headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next()).map(str::trim).unwrap_or_default();
    // A form without fields may come without a type.
    if !body.is_empty() && !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Ok(Err(Failure::BadRequest));
    }
    // A POST may carry `return_to` in either place; one reading only, so the body wins when there is one.
    let encoded = if body.is_empty() { facts.target.query().unwrap_or_default().as_bytes() } else { &body };
    Ok(Form::parse(encoded).map_err(|_| Failure::BadRequest))
}

/// All bytes of the body.
///
/// # Errors
/// When the client goes away.
pub(super) async fn whole(session: &mut Session) -> pingora::Result<Result<Vec<u8>, Failure>> {
    let mut body = Vec::new();
    while let Some(part) = session.read_request_body().await? {
        if body.len() + part.len() > LARGEST {
            return Ok(Err(Failure::TooLarge));
        }
        body.extend_from_slice(&part);
    }
    Ok(Ok(body))
}
