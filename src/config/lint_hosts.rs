//! Hosts that do what they say, but perhaps not what was meant.

use http::Method;

use super::{
    app::AppAt,
    conflict::met,
    lint::USUAL,
    report::{Entry, Place, Report},
    route::RouteAt,
};
use crate::{
    policy::Access,
    web::{CanonicalPath, Host, HostPattern},
};

/// Looks at all hosts.
pub(super) fn check(apps: &[AppAt], report: &Report<'_>) {
    for app in apps {
        wildcard(app, report);
        for other in apps {
            beside_a_wildcard(app, other, report);
        }
    }
}

/// Whoever answers at a name that a wildcard covers may receive the sign-ins of others for that name.
fn wildcard(app: &AppAt, report: &Report<'_>) {
    if let Some(host) = app.host.as_ref().filter(|host| host.value.one().is_none()) {
        let text =
            format!("every name that \"{}\" covers must lead to this gateway, and to no other server", host.value);
        report.note(&host.place, text);
    }
}

/// A host by name goes before the wildcard that covers it, with rules of its own (CVE-2026-48794: the stricter of
/// two was missed).
fn beside_a_wildcard(app: &AppAt, other: &AppAt, report: &Report<'_>) {
    let (Some((place, host)), Some(wildcard)) = (by_name(app), other.host.as_ref()) else { return };
    if wildcard.value.one().is_some() || !wildcard.value.covers(host) {
        return;
    }
    let differs = |path: &CanonicalPath| {
        USUAL.iter().find_map(|method| {
            let (own, others) = (guard(&app.routes, method, path), guard(&other.routes, method, path));
            (own != others).then(|| (method.clone(), path.clone(), own, others))
        })
    };
    let paths = app.routes.iter().chain(&other.routes).map(|route| &route.path);
    let Some((method, path, own, others)) = paths.into_iter().find_map(differs) else { return };
    let text = format!(
        "{method} of \"{path}\" {} at \"{host}\" and {} at all other names of \"{}\" (line {}): a host by name has \
         no rules but its own",
        own.as_str(),
        others.as_str(),
        wildcard.value,
        report.line(&wildcard.place),
    );
    report.note(place, text);
}

fn by_name(app: &AppAt) -> Option<(&Place, &Host)> {
    let Entry { value, place } = app.host.as_ref()?;
    Some((place, HostPattern::one(value)?))
}

/// How a request is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guard {
    Nowhere,
    Open,
    Anyone,
    Some,
}

impl Guard {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Nowhere => "meets no route",
            Self::Open => "needs no sign-in",
            Self::Anyone => "is for anyone who signed in",
            Self::Some => "is for some people",
        }
    }
}

fn guard(routes: &[RouteAt], method: &Method, path: &CanonicalPath) -> Guard {
    match met(routes.iter(), method, path).map(|route| (route.route.access, route.route.allow.is_open())) {
        None => Guard::Nowhere,
        Some((Access::Optional | Access::Public, _)) => Guard::Open,
        Some((Access::Required, true)) => Guard::Anyone,
        Some((Access::Required, false)) => Guard::Some,
    }
}
