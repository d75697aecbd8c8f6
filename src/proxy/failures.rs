//! One table from every error of pingora to an answer.

use std::borrow::Cow;

use pingora::{Error, ErrorSource, ErrorType, proxy::Session};
use tokio::net::TcpStream;

use super::{
    lent::Lent,
    wire::{Guard, Refusal},
};
use crate::pages::Failure;

/// The reason of a 413.
pub(super) const BODY_TOO_LARGE: &str = "the body is larger than max_body of the app";

/// The reason of a 503 when there is nobody to send a request to.
pub(super) const NO_UPSTREAM: &str = "no upstream of the app is healthy";

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

/// Why, for the log.
pub(super) fn reason(session: &Session, error: &Error) -> Cow<'static, str> {
    match (refused(session), error.etype()) {
        (Some(refusal), _) => refusal.to_string().into(),
        (None, ErrorType::HTTPStatus(413)) => BODY_TOO_LARGE.into(),
        (None, ErrorType::HTTPStatus(503)) => NO_UPSTREAM.into(),
        (None, kind) => kind.as_str().to_owned().into(),
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
