//! The apps: whether each can be reached as a request would reach it.

use std::time::Duration;

use super::{
    Surroundings,
    finding::{Finding, Id},
};
use crate::{
    clock::Timestamp,
    proxy::{Found, Probed, Upstreams},
    web::Scheme,
};

/// A certificate that ends sooner should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Tries all upstreams.
pub(super) async fn check(around: &Surroundings) -> Vec<Finding> {
    let table = &around.settings.table;
    let upstreams = match Upstreams::new(table, &around.metrics) {
        Ok(upstreams) => upstreams,
        Err(why) => {
            let cure = "apt-get install ca-certificates; or, for apps with certificates of your own authority, set \
                        upstream_ca_file";
            return vec![Finding::ill(Id::AuthoritiesMissing, why.to_string(), cure)];
        }
    };
    let mut findings = Vec::new();
    let is_https = |scheme| scheme == Scheme::Https;
    let asks_system = |app: &&std::sync::Arc<crate::policy::App>| {
        app.upstream_authorities.is_none() && app.upstreams.iter().any(|upstream| is_https(upstream.scheme))
    };
    if table.apps().any(|app| asks_system(&app)) {
        findings.push(Finding::well(Id::Authorities, "the system has certificate authorities"));
    }
    let now = around.clock.now();
    for probed in upstreams.probe().await {
        let about = format!("{}: {}", probed.app, probed.upstream);
        findings.extend(of_the_upstream(&probed, now).into_iter().map(|finding| finding.about(&about)));
    }
    findings
}

fn of_the_upstream(probed: &Probed, now: Timestamp) -> Vec<Finding> {
    let ending = probed.expires.filter(|end| *end < now.plus(SOON)).and_then(|end| match &probed.found {
        // That it has ended is told there.
        Found::Untrusted(_) => None,
        Found::Answers(_)
        | Found::Unhealthy(_)
        | Found::Unresolvable(_)
        | Found::Unreachable(_)
        | Found::NoTls(_)
        | Found::WantsTls
        | Found::Silent(_) => Some(Finding::ill(
            Id::UpstreamCertificateExpires,
            format!("its certificate ends at {end}"),
            "renew it: when it has ended, every request is answered with 502",
        )),
    });
    [Some(of_the_way(probed)), ending].into_iter().flatten().collect()
}

fn of_the_way(probed: &Probed) -> Finding {
    match &probed.found {
        Found::Answers(status @ 500..) => Finding::ill(
            Id::UpstreamFails,
            format!("it answers with status {status}"),
            "look at the app's own log: the gateway reaches it, and it fails",
        ),
        Found::Answers(status) => Finding::well(Id::Upstream, format!("it answers (status {status})")),
        Found::Unhealthy(status) => Finding::ill(
            Id::UpstreamUnhealthy,
            format!("it answers health_path with status {status}, so it gets no requests"),
            "write a health_path that the app answers with 2xx or 3xx without a sign-in, or mend the app",
        ),
        Found::Unresolvable(why) => Finding::ill(
            Id::UpstreamUnresolvable,
            format!("its name has no address: {why}"),
            "correct the host in upstream, or let this machine's name server know it",
        ),
        Found::Unreachable(why) => Finding::ill(
            Id::UpstreamUnreachable,
            format!("no connection: {why}"),
            "start the app, or correct host and port in upstream; when it runs elsewhere, see that no firewall is in \
             between and that it listens on more than 127.0.0.1",
        ),
        Found::Untrusted(why) => {
            Finding::ill(Id::UpstreamUntrusted, format!("its certificate does not hold: {why}"), trust(why))
        }
        Found::NoTls(why) => Finding::ill(
            Id::UpstreamWithoutTls,
            format!("it does not speak TLS as it should: {why}"),
            "write http:// in upstream, or the port where the app speaks TLS (1.2 or 1.3)",
        ),
        Found::WantsTls => Finding::ill(
            Id::UpstreamWantsTls,
            "it speaks TLS, and upstream says http://",
            "write https:// in upstream; for a certificate of your own authority also set upstream_ca_file",
        ),
        Found::Silent(why) => Finding::ill(
            Id::UpstreamSilent,
            format!("it takes the connection and does not answer: {why}"),
            "see whether that port is a web server's, and whether the app hangs",
        ),
    }
}

/// What to do about a certificate that does not hold; `docs/upstreams.md` has the same.
fn trust(why: &str) -> &'static str {
    if why.contains("UnknownIssuer") || why.contains("BadSignature") {
        "put the certificate of the authority that signed it into upstream_ca_file; an authority in between belongs into \
         the file that the app sends"
    } else if why.contains("xpired") {
        "renew the app's certificate"
    } else if why.contains("NotYetValid") || why.contains("not valid yet") {
        "set this machine's clock, or wait until the certificate's time begins"
    } else if why.contains("valid for name") || why.contains("NotValidForName") {
        "write in upstream a name of the certificate; a name that stands only in the subject (CN) does not count"
    } else if why.contains("CaUsedAsEndEntity") {
        "the app shows the certificate of an authority, as `openssl req -x509` makes it: sign one for the app with it, as \
         docs/upstreams.md shows"
    } else {
        "give the app a certificate that holds; docs/upstreams.md shows how to make one"
    }
}
