//! What one section says and another must agree with.

use std::net::SocketAddr;

use super::{
    address,
    app::AppAt,
    report::{Entry, Report},
};
use crate::{policy::Upstream, web::Scheme};

/// Names and hosts stand for one app each, and no app is the gateway itself.
pub(super) fn apps(apps: &[AppAt], listen: &[SocketAddr], report: &Report<'_>) {
    for (index, app) in apps.iter().enumerate() {
        let earlier = || apps[..index].iter();
        let names = earlier().filter_map(|other| other.name.as_ref());
        twice(app.name.as_ref(), names, "is the name of another app", "choose another name", report);
        let hosts = earlier().filter_map(|other| other.host.as_ref());
        let cure = "give each app a host of its own, or make them routes of one app; case, port and a trailing \
         dot do not count";
        twice(app.host.as_ref(), hosts, "is the host of another app", cure, report);
        let own = |upstream: &Upstream| listen.iter().any(|listen| address::is_own(upstream, *listen));
        for upstream in app.upstreams.list.iter().flatten().filter(|upstream| own(&upstream.value)) {
            let cure = "write the address where the app itself listens";
            report.problem(&upstream.place, "is this gateway itself, so requests would go round in circles", cure);
        }
    }
}

/// Plain HTTP is for localhost: anywhere else it would give cookies away.
pub(super) fn external_scheme(scheme: &Entry<Scheme>, apps: &[AppAt], report: &Report<'_>) {
    if scheme.value == Scheme::Https {
        return;
    }
    for host in apps.iter().filter_map(|app| app.host.as_ref()).filter(|host| !host.value.is_local()) {
        let line = report.line(&host.place);
        let message = format!("is for localhost and 127.0.0.1 alone, and line {line} has the host {}", host.value);
        report.problem(
            &scheme.place,
            message,
            "write external_scheme = \"https\" and let TLS end in front of the gateway",
        );
    }
}

fn twice<'e, T: PartialEq + 'e>(
    one: Option<&Entry<T>>,
    mut others: impl Iterator<Item = &'e Entry<T>>,
    message: &str,
    cure: &str,
    report: &Report<'_>,
) {
    let Some(one) = one else { return };
    if let Some(other) = others.find(|other| other.value == one.value) {
        report.problem(&one.place, format!("{message} (line {})", report.line(&other.place)), cure);
    }
}
