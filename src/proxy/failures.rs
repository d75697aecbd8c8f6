//! One table from every error of pingora to an answer.

use std::borrow::Cow;

use h2::Reason;
use pingora::{Error, ErrorSource, ErrorType, proxy::Session};
use tracing::Span;

use super::{
    entrance::Client,
    exchange::Exchange,
    lent::Lent,
    wire::{Guard, Refusal},
};
use crate::{
    pages::Failure,
    policy::{Admission, Upstream},
    web::Scheme,
};

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

/// What becomes of an error; `refused` is why the body was.
pub(super) fn outcome(refused: Option<Refusal>, error: &Error) -> Outcome {
    match (error.esource(), error.etype()) {
        (_, ErrorType::HTTPStatus(status)) => Outcome::Answer(by_status(*status)),
        (ErrorSource::Upstream, ErrorType::ConnectTimedout | ErrorType::ReadTimedout | ErrorType::WriteTimedout) => {
            Outcome::Answer(Failure::GatewayTimeout)
        }
        (ErrorSource::Upstream, _) => Outcome::Answer(Failure::BadGateway),
        (ErrorSource::Downstream, ErrorType::WriteError | ErrorType::ConnectionClosed | ErrorType::ReadError) => {
            refused.map_or(Outcome::Gone, |refusal| Outcome::Answer(by_status(refusal.status())))
        }
        (ErrorSource::Downstream, ErrorType::ReadTimedout) => Outcome::Answer(Failure::Timeout),
        (ErrorSource::Downstream, _) => Outcome::Answer(Failure::BadRequest),
        (ErrorSource::Internal | ErrorSource::Unset, _) => Outcome::Answer(Failure::Internal),
    }
}

/// Why, for the log.
pub(super) fn reason(refused: Option<Refusal>, error: &Error) -> Cow<'static, str> {
    match (refused, error.etype()) {
        (Some(refusal), _) => refusal.to_string().into(),
        (None, ErrorType::HTTPStatus(413)) => BODY_TOO_LARGE.into(),
        (None, ErrorType::HTTPStatus(503)) => NO_UPSTREAM.into(),
        (None, kind) => kind.as_str().to_owned().into(),
    }
}

/// Whether the app itself says that it has done nothing for the request (RFC 9113, section 8.7): it refused the stream,
/// or went away and named a stream before this one as its last.
pub(super) fn was_not_processed(error: &Error) -> bool {
    error.root_cause().downcast_ref::<h2::Error>().is_some_and(|error| {
        error.is_remote()
            && ((error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM))
                || (error.is_go_away() && error.reason() == Some(Reason::NO_ERROR)))
    })
}

/// An error of pingora's for the log: its kind, and what the system or the TLS library said. Whole, it would have
/// addresses twice, and the name of every layer.
pub(super) fn in_short(error: &Error) -> String {
    let mut own = error;
    loop {
        let kind = own.etype().as_str();
        let context = own.context.as_ref().map_or_else(|| kind.to_owned(), |more| format!("{kind}: {}", more.as_str()));
        let Some(cause) = own.cause.as_deref() else { return context };
        // A cause that is pingora's own stands here in a box or without.
        match cause.downcast_ref::<Error>().or_else(|| Some(&**cause.downcast_ref::<Box<Error>>()?)) {
            Some(deeper) => own = deeper,
            // Beside an error of TLS pingora puts the address that the connection had, and nothing else.
            None if own.context.is_some() && cause.to_string().starts_with("local address") => return context,
            None => return format!("{kind}: {cause}"),
        }
    }
}

/// Notes that an upstream failed with a request, after it was sent there.
pub(super) fn note_upstream(exchange: &Exchange, upstream: Option<&Upstream>, call: Option<&Span>, kind: &ErrorType) {
    if let Some((meter, _)) = exchange.upstream() {
        meter.broken();
    }
    if let Some(call) = call {
        call.record("error.type", kind.as_str());
    }
    let app = exchange.admission().map(Admission::app).map(|app| app.name.as_str());
    let reason = of_upstream(kind, upstream.filter(|_| exchange.reason().is_some()));
    tracing::warn!(event = "upstream_failed", app, upstream = upstream.map(tracing::field::display), reason);
}

/// Why an upstream failed, for the log. `silent` is the one that did not answer at all: one that was asked in clear and
/// wants TLS says an alert, which is no HTTP, or nothing.
fn of_upstream(kind: &ErrorType, silent: Option<&Upstream>) -> String {
    let unread = matches!(kind, ErrorType::ReadError | ErrorType::ConnectionClosed | ErrorType::InvalidHTTPHeader);
    let hint = match silent {
        Some(Upstream { scheme: Scheme::Http, .. }) if unread => {
            ": what came, if anything, was no HTTP; if the app wants TLS, its upstream is an https:// URL"
        }
        Some(_) | None => "",
    };
    format!("{}{hint}", kind.as_str())
}

/// Why the body was refused, when that was the reason that it could not be read. In HTTP/1.1 the guard knows it.
pub(super) fn refused(session: &Session, error: Option<&Error>) -> Option<Refusal> {
    if let Some(refusal) = error.and_then(|error| error.root_cause().downcast_ref::<Refusal>()) {
        return Some(*refusal);
    }
    session.stream()?.as_any().downcast_ref::<Guard<Lent<Client>>>()?.refusal()
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

#[cfg(test)]
mod tests {
    use pingora::OrErr;

    use super::*;

    #[test]
    fn an_error_is_told_by_its_innermost_kind_and_cause() {
        let refused = std::io::Error::from_raw_os_error(111);
        let inner = Err::<(), _>(refused).or_err(ErrorType::ConnectRefused, "connecting to 127.0.0.1:1").unwrap_err();
        let outer = Error::because(ErrorType::ConnectError, "local address", inner);
        assert_eq!(in_short(&outer), "ConnectRefused: Connection refused (os error 111)");
        assert_eq!(in_short(&Error::explain(ErrorType::ConnectNoRoute, "no address")), "ConnectNoRoute: no address");
        assert_eq!(in_short(&Error::new(ErrorType::ConnectTimedout)), "ConnectTimedout");
        let mut tls = Error::explain(ErrorType::TLSHandshakeFailure, "invalid peer certificate: UnknownIssuer");
        tls.set_cause("local address 127.0.0.1:9");
        assert_eq!(in_short(&tls), "TLSHandshakeFailure: invalid peer certificate: UnknownIssuer");
    }
}
