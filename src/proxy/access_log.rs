//! One line for each request.

use super::exchange::Exchange;
use crate::policy::Admission;

/// Writes the line. It has the path and never the query: codes and tokens travel there.
pub(super) fn line(exchange: &Exchange, admission: Option<&Admission>, status: u16) {
    let facts = &exchange.facts;
    let app = admission.map(|admission| admission.app().name.as_str());
    let route = admission.map(|admission| admission.route().prefix.as_str());
    let session = admission.and_then(Admission::session).map(|session| session.record().handle.as_str());
    tracing::info!(
        target: "schoolgate::access",
        event = "request",
        method = %facts.method, host = facts.host.name(), path = %facts.target.path(), status,
        app, route, session, client = %facts.client, request_id = %facts.request_id,
        micros = u64::try_from(exchange.stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
}
