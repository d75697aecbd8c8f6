//! The section `[server.tls]`.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::{
    acme::{self, Acme},
    address,
    app::AppAt,
    duration,
    report::{Entry, Fault, Place, Report},
    section::Section,
    surroundings::Surroundings,
};
use crate::{
    clock::Timestamp,
    proxy::Hsts,
    server,
    tls::{Age, Files, Kept, Pair, PairError},
    web::{Host, HostPattern, Scheme},
};

/// How long browsers remember to come by HTTPS.
const HSTS: Duration = Duration::from_secs(365 * 86_400);

/// What `[server.tls]` says.
#[derive(Debug)]
pub(super) struct Tls {
    place: Place,
    pub(super) pairs: Vec<Entry<Kept>>,
    redirect_listen: Vec<SocketAddr>,
    acme: Option<Acme>,
    pub(super) hsts: Option<Hsts>,
}

impl Tls {
    /// What the gateway runs on; `names` are the hosts that browsers use.
    pub(super) fn settings(&self, names: &[HostPattern], state_dir: &Path) -> server::Tls {
        let certificates = self.pairs.iter().map(|pair| pair.value.clone()).collect();
        let missing = names.iter().filter(|name| !self.covers(name)).filter_map(HostPattern::one);
        let mut names: Vec<Host> = Vec::new();
        for name in missing.filter_map(|host| Host::parse(host.name()).ok()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let acme = self
            .acme
            .as_ref()
            .filter(|_| !names.is_empty())
            .map(|acme| acme.settings(names, state_dir, !self.redirect_listen.is_empty()));
        server::Tls { certificates, acme, redirect_listen: self.redirect_listen.clone() }
    }

    /// Whether a file has a certificate for these.
    pub(super) fn covers(&self, hosts: &HostPattern) -> bool {
        self.pairs.iter().any(|pair| pair.value.pair().covers_all(hosts))
    }
}

/// Reads the section; `None` when there is none. `others` are the listeners that are not its own.
pub(super) fn read(
    mut section: Section<'_>,
    report: &Report<'_>,
    surroundings: &Surroundings<'_>,
    others: &[SocketAddr],
) -> Option<Tls> {
    let more = section.sections("certificate").unwrap_or_default();
    let orders = section.section("acme").is_there();
    // One pair is needed, unless it is ordered, and the first may stand in either place.
    if section.is_there() && more.is_empty() && !orders && !has_files(&mut section) {
        section.required("certificate_file", CERTIFICATE);
    }
    let mut pairs: Vec<_> = pair(&mut section, report, surroundings).into_iter().collect();
    for mut section in more {
        if !has_files(&mut section) {
            section.required("certificate_file", CERTIFICATE);
        }
        pairs.extend(pair(&mut section, report, surroundings));
        section.finish();
    }
    let acme = acme::read(section.section("acme"), report, surroundings);
    let redirect_listen = redirect_listen(&mut section, report, others);
    let hsts = section.parsed("hsts", r#""365d""#, duration::parse).map_or(HSTS, |entry| entry.value);
    let place = section.place().clone();
    let is_there = section.is_there();
    section.finish();
    is_there.then(|| Tls { place, pairs, redirect_listen, acme, hsts: Hsts::lasting(hsts) })
}

/// Whether the section names at least one of the two files.
fn has_files(section: &mut Section<'_>) -> bool {
    section.value("certificate_file").is_some() || section.value("private_key_file").is_some()
}

/// Examples of the two paths.
const CERTIFICATE: &str = r#""/etc/schoolgate/tls/fullchain.pem""#;
const KEY: &str = r#""/etc/schoolgate/tls/privkey.pem""#;

/// The two keys of one pair.
fn pair(section: &mut Section<'_>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> Option<Entry<Kept>> {
    let certificate = section.text("certificate_file", CERTIFICATE);
    let key = section.text("private_key_file", KEY);
    let (certificate, key) = match (certificate, key) {
        (Some(certificate), Some(key)) => (certificate, key),
        (None, None) => return None,
        (Some(alone), None) => {
            let cure = format!("add a line: private_key_file = {KEY}");
            report.problem(&alone.place, "has no private_key_file beside it", cure);
            return None;
        }
        (None, Some(alone)) => {
            let cure = format!("add a line: certificate_file = {CERTIFICATE}");
            report.problem(&alone.place, "has no certificate_file beside it", cure);
            return None;
        }
    };
    let (at_certificate, at_key) = (certificate.place.clone(), key.place.clone());
    let path = |entry: Entry<&str>| section.parse(entry, |text| surroundings.path(text)).map(|entry| entry.value);
    let (certificate, key) = (path(certificate), path(key));
    let files = Files { certificate: certificate?, key: key? };
    let shown = |error: &PairError| {
        let file = if error.is_of_the_key() { &files.key } else { &files.certificate };
        match error {
            // They name it already.
            PairError::Unreadable { .. } | PairError::NoFile { .. } => error.to_string(),
            PairError::NoCertificate
            | PairError::BrokenCertificate(_)
            | PairError::Order(_)
            | PairError::NoName
            | PairError::NotForServers
            | PairError::NoKey
            | PairError::LockedKey
            | PairError::KeyKind
            | PairError::Mismatch => format!("{error}: {}", file.display()),
        }
    };
    match Kept::read(files.clone()) {
        Ok(kept) => {
            look(&kept, &at_certificate, &at_key, report);
            Some(Entry { value: kept, place: at_certificate })
        }
        Err(error) => {
            let place = if error.is_of_the_key() { &at_key } else { &at_certificate };
            report.fault(place, Fault::new(shown(&error), error.cure()));
            None
        }
    }
}

fn look(kept: &Kept, at_certificate: &Place, at_key: &Place, report: &Report<'_>) {
    if kept.key_is_open() {
        report.warn(at_key, "every user of this machine can read the key: chmod 600 it");
    }
    if kept.pair().lacks_issuer() {
        report.warn(
            at_certificate,
            "the certificate stands alone, and most browsers need the one that signed it as well: append that; \
             certbot calls the file with both fullchain.pem",
        );
    }
}

fn redirect_listen(section: &mut Section<'_>, report: &Report<'_>, others: &[SocketAddr]) -> Vec<SocketAddr> {
    let example = r#"["0.0.0.0:80"]"#;
    let list = section.texts("redirect_http_listen", example).map_or_else(Vec::new, |list| list.value);
    let mut listeners: Vec<SocketAddr> = Vec::new();
    for text in list {
        let Some(entry) = section.parse(text, address::socket) else { continue };
        if others.iter().chain(&listeners).any(|other| address::collide(*other, entry.value)) {
            let cure = "plain HTTP needs a port of its own, such as 80";
            report.problem(&entry.place, "uses a port that another listener has", cure);
        }
        listeners.push(entry.value);
    }
    listeners
}

/// Browsers come by HTTPS where TLS ends here.
pub(super) fn scheme(tls: Option<&Tls>, scheme: &Entry<Scheme>, report: &Report<'_>) {
    if tls.is_some() && scheme.value == Scheme::Http {
        let cure = "remove it, for \"https\" is the default; or remove [server.tls]";
        report.problem(&scheme.place, "contradicts [server.tls]: browsers use HTTPS then", cure);
    }
}

/// Hosts without a certificate, and certificates without a host.
pub(super) fn hosts(tls: &Tls, apps: &[AppAt], home: Option<&HostPattern>, report: &Report<'_>) {
    if let Some(acme) = &tls.acme {
        return acme.check(tls, apps, report);
    }
    let covered = |host: &HostPattern| tls.covers(host);
    for host in apps.iter().filter_map(|app| app.host.as_ref()).filter(|host| !covered(&host.value)) {
        let text =
            "no certificate of [server.tls] is for this host: browsers will refuse it, and the gateway answers 421";
        report.warn(&host.place, text);
    }
    let of_an_app = |home: &HostPattern| {
        apps.iter()
            .filter_map(|app| app.host.as_ref())
            .any(|host| home.one().is_some_and(|home| host.value.covers(home)))
    };
    if let Some(home) = home.filter(|home| !covered(home) && !of_an_app(home)) {
        let text = format!("no certificate is for {home}, the host of redirect_uri: nobody will be able to sign in");
        report.warn(&tls.place, text);
    }
    for pair in &tls.pairs {
        let needed = |name: &HostPattern| {
            let same = |host: &HostPattern| name == host || host.one().is_some_and(|host| name.covers(host));
            apps.iter()
                .filter_map(|app| app.host.as_ref())
                .any(|host| same(&host.value) || name.one().is_some_and(|name| host.value.covers(name)))
                || home.is_some_and(same)
        };
        let idle: Vec<_> =
            pair.value.pair().names().iter().filter(|name| !needed(name)).map(ToString::to_string).collect();
        if !idle.is_empty() {
            report.note(&pair.place, format!("the certificate is also for {}, which no app has", idle.join(" ")));
        }
    }
}

/// What there is to say of a certificate's time.
pub(super) fn of_its_time(pair: &Pair, now: Timestamp) -> Option<String> {
    let (names, until) = (pair.title(), pair.until());
    match pair.age(now) {
        Age::Good => None,
        Age::Expired => {
            Some(format!("the certificate for {names} has expired, on {until}: browsers refuse it; renew it"))
        }
        Age::EndsSoon => Some(format!("the certificate for {names} expires soon, on {until}: renew it")),
        Age::Early => Some(format!(
            "the certificate for {names} begins to be valid on {}: browsers refuse it until then",
            pair.from()
        )),
    }
}
