//! One table from every error of pingora to an answer.

use http::header;
use pingora::{Error, ErrorSource, ErrorType, http::RequestHeader, proxy::Session};
use tokio::net::TcpStream;

use super::{
    Answer,
    exchange::Facts,
    lent::Lent,
    wire::{Guard, Refusal},
};
use crate::{
    pages::Failure,
    policy::Admission,
    web::{Host, Scheme},
};

/// What a failed request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer.
    Answer(Failure),
    /// Nothing: the client has gone.
    Gone,
}

/// What becomes of an error.
pub(super) fn outcome(session: &Session, error: &Error) -> Outcome {
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(status)) => Outcome::Answer(by_status(*status)),
        (ErrorSource::Upstream, ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
            Outcome::Answer(Failure::GatewayTimeout)
        }
        (ErrorSource::Upstream, _) => Outcome::Answer(Failure::BadGateway),
        (ErrorSource::Downstream, ErrorType::WriteError | ErrorType::ConnectionClosed | ErrorType::ReadError) => {
            refused(session).map_or(Outcome::Gone, |refusal| Outcome::Answer(by_status(refusal.status())))
        }
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Outcome::Answer(Failure::Timeout),
        (ErrorSource::Downstream, _) => Outcome::Answer(Failure::BadRequest),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Outcome::Answer(Failure::Internal),
    }
}

/// Why the guard refused the body, when that was the reason that it could not be read.
fn refused(session: &Session) -> Option<Refusal> {
    session.stream()?.as_any().downcast_ref::<Guard<Lent<TcpStream>>>()?.refusal()
}

fn by_status(status: u16) -> Failure {
    match status {
        400 => Failure::BadRequest,
        408 => Failure::Timeout,
        413 => Failure::TooLarge,
        502 => Failure::BadGateway,
        503 => Failure::Unavailable,
        504 => Failure::GatewayTimeout,
        _ => Failure::Internal,
    }
}

/// What can be said of an admitted request before a byte of it goes to the app.
pub(super) fn before_sending(
    request: &RequestHeader,
    facts: &Facts,
    admission: &Admission,
    scheme: Scheme,
) -> Option<Answer> {
    let fail = |failure| Some(Answer::failure(failure, facts.kind, &facts.request_id));
    let announced =
        request.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > admission.app().max_body) {
        return fail(Failure::TooLarge);
    }
    // RFC 6455, section 10.2: a WebSocket is not bound by the same-origin policy. A page of another
    // host must not use this person's session.
    if facts.websocket && admission.session().is_some() && !is_our_page(request, &facts.host, scheme) {
        return fail(Failure::BadRequest);
    }
    None
}

/// Whether the page is of this host, and came the way that browsers use: what arrives over plain HTTP
/// may be anybody's. The port does not count, as nowhere does.
fn is_our_page(request: &RequestHeader, host: &Host, scheme: Scheme) -> bool {
    let Some(origin) = request.headers.get(header::ORIGIN) else { return true };
    let url = origin.to_str().ok().and_then(|origin| url::Url::parse(origin).ok());
    url.filter(|url| url.scheme() == scheme.as_str())
        .and_then(|url| Host::parse(url.host_str()?).ok())
        .is_some_and(|origin| origin == *host)
}
