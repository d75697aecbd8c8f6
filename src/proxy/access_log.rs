//! One line for each request: what it was, and, when the gateway itself refused it, why.

use std::borrow::Cow;

use http::Method;
use tracing::{Span, field::Empty};

use super::{
    exchange::{Exchange, Facts},
    own,
};
use crate::{
    policy::{Admission, Upstream},
    telemetry::{Described, Description},
    web::{CanonicalPath, OWN_PREFIX, Scheme},
};

/// What every line of a request says of it.
impl Described for Exchange {
    fn description(&self) -> Option<Description<'_>> {
        let facts = &self.facts;
        let described = Description {
            request_id: &facts.request_id,
            trace_id: Some(facts.trace.trace_id()),
            client: Some(facts.client),
            host: Some(facts.host.name()),
        };
        Some(described).filter(|_| !facts.is_own)
    }
}

/// The spans of a request. The first is there when `RUST_LOG` has a directive that asks for its fields. The second, within,
/// is there when somebody collects traces, by the names of <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>: it has no query, and
/// nothing of a person.
pub(super) fn spans(facts: &Facts, scheme: Scheme) -> (Span, Span) {
    if facts.is_own {
        return (Span::none(), Span::none());
    }
    let trace = &facts.trace;
    let lines = tracing::error_span!(
        target: "schoolgate::trace", "request",
        request_id = %facts.request_id, trace_id = %trace.trace_id(), client = %facts.client, host = facts.host.name(),
    );
    let traced = tracing::trace_span!(
        target: "schoolgate::trace", parent: &lines, "server",
        trace_id = %trace.trace_id(), span_id = trace.span_id(), parent_span_id = trace.parent(),
        sampled = trace.is_sampled(), trace_state = trace.state(), kind = "server", name = known(&facts.method),
        http.request.method = known(&facts.method), url.scheme = facts.scheme.unwrap_or(scheme).as_str(),
        url.path = &*shown(facts.target.path()), server.address = facts.host.name(),
        http.route = Empty, http.response.status_code = Empty, schoolgate.app = Empty,
        schoolgate.request_id = facts.request_id,
    );
    (lines, traced)
}

/// The span of what an app is asked.
pub(super) fn upstream_span(facts: &Facts, upstream: &Upstream) -> Span {
    tracing::trace_span!(
        target: "schoolgate::trace", "upstream",
        span_id = Empty, kind = "client", name = known(&facts.method), http.request.method = known(&facts.method),
        url.scheme = upstream.scheme.as_str(), server.address = upstream.host.name(), server.port = upstream.port,
        http.response.status_code = Empty, "error.type" = Empty,
    )
}

/// A method for a trace: strangers make up others.
fn known(method: &Method) -> &str {
    match method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known,
        _other => "_OTHER",
    }
}

/// Writes the line, within the spans of its request. It has the path and never the query: codes and tokens travel there.
pub(super) fn line(exchange: &Exchange, status: u16) {
    let (facts, admission) = (&exchange.facts, exchange.admission());
    if facts.is_own {
        return;
    }
    let app = admission.map(|admission| admission.app().name.as_str());
    let route = admission.map(|admission| admission.route().prefix.as_str());
    let session = admission.and_then(Admission::session).map(|session| session.record().handle.as_str());
    let span = Span::current();
    span.record("http.response.status_code", status);
    if let (Some(app), Some(route)) = (app, route)
        && span.has_field("http.route")
    {
        span.record("schoolgate.app", app).record("http.route", route);
        span.record("name", format!("{} {route}", known(&facts.method)));
    }
    tracing::info!(
        target: "schoolgate::access",
        event = "request",
        version = facts.version.as_str(), method = %facts.method, path = &*shown(facts.target.path()), status,
        reason = exchange.reason(), app, route, session,
        micros = u64::try_from(exchange.stopwatch.elapsed().as_micros()).unwrap_or(u64::MAX),
    );
}

/// A path of the gateway's own ends where its name ends: behind a mangled `callback%3Fcode=` there would be
/// a code. Paths of apps are theirs, and are shown whole.
fn shown(path: &CanonicalPath) -> Cow<'_, str> {
    let text = path.as_str();
    if !own::is_own(path) {
        return text.into();
    }
    let Some(rest) = text.strip_prefix(OWN_PREFIX) else { return format!("{OWN_PREFIX}…").into() };
    match rest.find(|letter: char| !letter.is_ascii_lowercase() && letter != '-') {
        None => text.into(),
        Some(end) => format!("{OWN_PREFIX}{}…", &rest[..end]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mangled_callback_is_cut_before_its_code() {
        for (path, expected) in [
            ("/.schoolgate/callback", "/.schoolgate/callback"),
            ("/.schoolgate/", "/.schoolgate/"),
            ("/.schoolgate/sign-uot", "/.schoolgate/sign-uot"),
            ("/.schoolgate/callback%3Fcode=secret", "/.schoolgate/callback…"),
            ("/.schoolgate/callback&code=secret", "/.schoolgate/callback…"),
            ("/.schoolgate/callback/code=secret", "/.schoolgate/callback…"),
            ("/.SchoolGate/callback%3Fcode=secret", "/.schoolgate/…"),
            ("/reports/callback%3Fcode=5", "/reports/callback%3Fcode=5"),
        ] {
            assert_eq!(shown(&CanonicalPath::parse(path).unwrap()), expected);
        }
    }
}
