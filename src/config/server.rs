//! The sections `[server]` and `[log]`.

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use super::{
    address, duration,
    report::{Entry, Fault, Place, Report},
    section::Section,
    size,
    surroundings::Surroundings,
    tls::{self, Tls},
};
use crate::{
    proxy::{self, Network, NetworkError, TrustedProxies},
    server::AdminAddress,
    telemetry::{self, LogFormat, Sampling},
    web::Scheme,
};

/// What `[server]` says.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) listen: Vec<SocketAddr>,
    pub(super) tls: Option<Tls>,
    pub(super) admin_listen: AdminAddress,
    pub(super) external_scheme: Entry<Scheme>,
    pub(super) state_dir: PathBuf,
    pub(super) shutdown_grace: Duration,
    pub(super) proxy: proxy::Settings,
}

/// Smallest and largest head of a request.
const HEAD: [(u64, &str); 2] = [(1 << 10, "1KiB"), (1 << 20, "1MiB")];

/// Slowest and fastest pace of a request body that may be asked for.
const PACE: [(u64, &str); 2] = [(1, "1B"), (1 << 30, "1GiB")];

/// Reads `[server]`.
pub(super) fn read(mut section: Section<'_>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> Server {
    let listen = listeners(&mut section, report);
    let admin_listen = admin(&mut section, report, surroundings, &listen);
    let external_scheme = external_scheme(&mut section);
    if external_scheme.value == Scheme::Http {
        for open in listen.iter().filter(|entry| !entry.value.ip().is_loopback()) {
            report.warn(
                &open.place,
                "browsers elsewhere can connect here without TLS, although external_scheme \
             = \"http\" is meant for this machine alone",
            );
        }
    }
    let trusted_proxies = trusted_proxies(&mut section, report);
    let others: Vec<_> = listen.iter().map(|entry| entry.value).chain(admin_listen.tcp()).collect();
    let tls = tls::read(section.section("tls"), report, surroundings, &others);
    tls::scheme(tls.as_ref(), &external_scheme, report);
    if tls.is_none() {
        plain_to_others(&listen, report);
    }
    let state_dir = section
        .parsed("state_dir", r#""/var/lib/schoolgate""#, |text| surroundings.path(text))
        .map_or_else(|| surroundings.state_dir(), |entry| entry.value);
    let mut time = |key, default: u64, example: &str, parse: fn(&str) -> Result<Duration, Fault>| {
        section.parsed(key, example, parse).map_or(Duration::from_secs(default), |entry| entry.value)
    };
    let shutdown_grace = time("shutdown_grace", 30, r#""30s""#, duration::parse);
    let header_timeout = time("header_timeout", 10, r#""10s""#, duration::positive);
    let idle_timeout = time("idle_timeout", 60, r#""60s""#, duration::positive);
    let sign_in_rate_per_ip =
        section.count("sign_in_rate_per_ip", "50").map_or(NonZeroU32::MIN.saturating_add(49), |entry| entry.value);
    let min_body_rate = section
        .parsed("min_body_rate", r#""1KiB""#, |text| size::between(text, PACE[0], PACE[1]))
        .map_or(1 << 10, |entry| entry.value);
    let max_header_bytes = section
        .parsed("max_header_bytes", r#""32KiB""#, |text| size::between(text, HEAD[0], HEAD[1]))
        .and_then(|entry| usize::try_from(entry.value).ok())
        .unwrap_or(32 << 10);
    section.finish();
    let proxy = proxy::Settings {
        external_scheme: external_scheme.value,
        trusted_proxies,
        sign_in_rate_per_ip,
        header_timeout,
        idle_timeout,
        min_body_rate,
        max_header_bytes,
        hsts: tls.as_ref().and_then(|tls| tls.hsts),
        sampling: Sampling::Off,
    };
    let listen = listen.into_iter().map(|entry| entry.value).collect();
    Server { listen, tls, admin_listen, external_scheme, state_dir, shutdown_grace, proxy }
}

/// Reads `[log]`.
pub(super) fn read_log(mut section: Section<'_>, report: &Report<'_>) -> telemetry::Settings {
    let format = section.parsed("format", r#""text""#, |text| match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(Fault::new(
            "is no format of the log",
            "write \"text\" or \"json\"; how much is logged is up to RUST_LOG",
        )),
    });
    let named = section.text("traces", r#""http://127.0.0.1:4318""#);
    let is_named = named.is_some();
    let collector = named.and_then(|text| section.parse(text, collector));
    let one_in = section.count("traces_one_in", "10");
    if let Some(entry) = one_in.as_ref().filter(|_| !is_named) {
        report.warn(&entry.place, "says nothing: traces go nowhere, for there is no key traces");
    }
    section.finish();
    telemetry::Settings {
        format: format.map_or(LogFormat::Text, |entry| entry.value),
        traces: collector.map(|entry| entry.value),
        traces_one_in: one_in.map_or(NonZeroU32::MIN, |entry| entry.value),
    }
}

/// The collector of traces: OTLP over HTTP, which listens at port 4318 of this machine as a rule.
fn collector(text: &str) -> Result<String, Fault> {
    let cure = "write \"http://\", a host and a port, such as \"http://127.0.0.1:4318\"; the path /v1/traces is added";
    let collector = address::upstream(text).map_err(|fault| Fault { cure: cure.into(), ..fault })?;
    if collector.scheme == Scheme::Https {
        let cure = "name a collector on this machine, by http; that may pass them on by https";
        return Err(Fault::new("is an https URL, and traces go to a collector nearby", cure));
    }
    Ok(format!("{}:{}", collector.host.name(), collector.port))
}

fn listeners(section: &mut Section<'_>, report: &Report<'_>) -> Vec<Entry<SocketAddr>> {
    let example = r#"["127.0.0.1:8080"]"#;
    let Some(list) = section.texts("listen", example) else {
        let place = section.place().clone();
        return vec![Entry { value: SocketAddr::from(([127, 0, 0, 1], 8080)), place }];
    };
    if list.value.is_empty() {
        report.problem(&list.place, "is empty, so nobody could connect", format!("write listen = {example}"));
    }
    let mut listeners: Vec<Entry<SocketAddr>> = Vec::new();
    for text in list.value {
        let Some(entry) = section.parse(text, address::socket) else { continue };
        if listeners.iter().any(|other| address::collide(other.value, entry.value)) {
            report.problem(&entry.place, "is covered by another address of this list", "remove one of the two");
        }
        listeners.push(entry);
    }
    listeners
}

fn plain_to_others(listen: &[Entry<SocketAddr>], report: &Report<'_>) {
    for entry in listen.iter().filter(|entry| !entry.value.ip().is_loopback()) {
        report.note(
            &entry.place,
            "other machines can connect here over plain HTTP: add [server.tls], or put a web server with TLS in \
             front, and let only it reach this port",
        );
    }
}

fn admin(
    section: &mut Section<'_>,
    report: &Report<'_>,
    surroundings: &Surroundings<'_>,
    listen: &[Entry<SocketAddr>],
) -> AdminAddress {
    let Entry { value, place } = admin_address(section, surroundings);
    if let AdminAddress::Tcp(address) = value {
        if listen.iter().any(|other| address::collide(other.value, address)) {
            let cure = "give it a port of its own, such as admin_listen = \"127.0.0.1:9180\"";
            report.problem(&place, "uses a port that browsers connect to (listen)", cure);
        }
        if !address.ip().is_loopback() {
            report.warn(
                &place,
                "admin_listen is open to other machines, and whoever reaches it can see and end \
             sessions: use 127.0.0.1 or a unix socket",
            );
        }
    }
    value
}

/// Where operators ask: the key alone, without a look at anything else.
pub(super) fn admin_address(section: &mut Section<'_>, surroundings: &Surroundings<'_>) -> Entry<AdminAddress> {
    let default = AdminAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9180)));
    let parsed = section.parsed("admin_listen", r#""127.0.0.1:9180""#, |text| address::admin(text, surroundings));
    parsed.unwrap_or_else(|| {
        let place = section.place().clone();
        Entry { value: default, place: Place { key: "server.admin_listen".into(), ..place } }
    })
}

fn trusted_proxies(section: &mut Section<'_>, report: &Report<'_>) -> TrustedProxies {
    let list = section.texts("trusted_proxies", r#"["192.0.2.0/24"]"#).map_or_else(Vec::new, |list| list.value);
    let mut networks = Vec::new();
    for text in list {
        let Some(entry) = section.parse(text, network) else { continue };
        if entry.value.is_vast() {
            report.warn(
                &entry.place,
                "this is a very large network, and whoever is in it can say who connects and which page they ask for: \
                 name the proxies themselves",
            );
        }
        networks.push(entry.value);
    }
    TrustedProxies::new(networks)
}

fn network(text: &str) -> Result<Network, Fault> {
    Network::parse(text).map_err(|why| {
        let cure = match &why {
            NetworkError::Syntax => {
                "write an address such as \"192.0.2.7\", or a network such as \"192.0.2.0/24\"".into()
            }
            NetworkError::HostBits(network) => {
                format!(
                    "write \"{}\" for this address alone, or \"{}\" for the network",
                    network.addr(),
                    network.trunc()
                )
            }
            NetworkError::Everybody => "name the proxies that stand in front of the gateway; \
                                        with everybody in the list, everybody could claim to be one"
                .into(),
        };
        Fault::new(why.to_string(), cure)
    })
}

fn external_scheme(section: &mut Section<'_>) -> Entry<Scheme> {
    let entry = section.parsed("external_scheme", r#""https""#, |text| match text {
        "https" => Ok(Scheme::Https),
        "http" => Ok(Scheme::Http),
        _ => Err(Fault::new("is neither \"https\" nor \"http\"", "write \"https\"; \"http\" is for localhost only")),
    });
    entry.unwrap_or_else(|| Entry { value: Scheme::Https, place: section.place().clone() })
}
