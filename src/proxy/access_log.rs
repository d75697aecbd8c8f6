//! One line for each request: what it was, and, when the gateway itself refused it, why.

use std::borrow::Cow;

use super::{exchange::Exchange, own};
use crate::{
    policy::Admission,
    web::{CanonicalPath, OWN_PREFIX},
};

/// Writes the line. It has the path and never the query: codes and tokens travel there.
pub(super) fn line(exchange: &Exchange, status: u16) {
    let (facts, admission) = (&exchange.facts, exchange.admission());
    if facts.is_own {
        return;
    }
    let app = admission.map(|admission| admission.app().name.as_str());
    let route = admission.map(|admission| admission.route().prefix.as_str());
    let session = admission.and_then(Admission::session).map(|session| session.record().handle.as_str());
    tracing::info!(
        target: "schoolgate::access",
        event = "request",
        method = %facts.method, host = facts.host.name(), path = &*shown(facts.target.path()), status,
        reason = exchange.reason(), app, route, session, client = %facts.client, request_id = %facts.request_id,
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
