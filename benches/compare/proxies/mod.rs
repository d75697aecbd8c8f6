//! The proxies, each with its configuration in the file beside it.

mod plain;
mod schoolgate;
mod with_session;

use std::any::Any;

use crate::{ground::Ground, process::Process};

/// A proxy that can take part.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// What it is, in a table.
    pub(crate) title: &'static str,
    /// How many requests the app gets for each one that passes.
    pub(crate) asks: u64,
    /// Whether it judges by itself who comes.
    pub(crate) refuses: bool,
    start: Start,
}

type Start = fn(&Ground, &Kind) -> Result<Started, String>;

/// How a proxy is set up. Written behind its name: `schoolgate+redis`, `nginx+log`, `schoolgate+routes=100`.
#[derive(Clone, Debug)]
pub(crate) struct Kind {
    /// With a name of its own for its files.
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// Writes a line for each request into a file.
    pub(crate) log: bool,
    /// Where sessions are.
    pub(crate) store: Store,
    pub(crate) routes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    File,
    Redis,
}

impl Kind {
    /// The name that browsers know it by. Apple knows no gateway with TLS by the name of a machine itself.
    pub(crate) const fn host(&self) -> &'static str {
        if self.tls { "library.school.example" } else { "localhost" }
    }

    /// The same with the port.
    pub(crate) fn authority(&self) -> String {
        format!("{}:{}", self.host(), self.port)
    }
}

/// A proxy that runs.
pub(crate) struct Started {
    pub(crate) process: Process,
    /// `name=value` of the cookies of somebody who is signed in; a made-up one where nobody signs in.
    pub(crate) session: String,
    /// What it needs while it runs.
    _kept: Option<Box<dyn Any>>,
}

impl Started {
    /// A proxy that knows no sessions. It gets a cookie as long as that of schoolgate.
    fn without_session(process: Process) -> Self {
        Self { process, session: format!("schoolgate={}", "0".repeat(43)), _kept: None }
    }
}

pub(crate) const PEERS: &[Peer] = &[
    Peer { name: "nginx", title: "nginx, plain", asks: 1, refuses: false, start: plain::nginx },
    Peer { name: "haproxy", title: "HAProxy, plain", asks: 1, refuses: false, start: plain::haproxy },
    Peer { name: "bare", title: "bare pingora", asks: 1, refuses: false, start: plain::bare },
    Peer { name: "schoolgate", title: "schoolgate", asks: 1, refuses: true, start: schoolgate::start },
    Peer {
        name: "auth_request",
        title: "nginx `auth_request` to a trivial 204",
        asks: 2,
        refuses: false,
        start: plain::auth_request,
    },
    Peer {
        name: "caddy",
        title: "Caddy `forward_auth` to a trivial 204",
        asks: 2,
        refuses: false,
        start: plain::caddy,
    },
    Peer {
        name: "mod_auth_openidc",
        title: "Apache with mod_auth_openidc",
        asks: 1,
        refuses: true,
        start: with_session::apache,
    },
    Peer { name: "envoy", title: "Envoy with its OAuth2 filter", asks: 1, refuses: true, start: with_session::envoy },
];

/// One that a scenario names, and how it is set up.
pub(crate) fn find(name: &str, port: u16) -> Result<(&'static Peer, Kind), String> {
    let (base, rest) = name.split_once('+').unwrap_or((name, ""));
    let peer = PEERS.iter().find(|peer| peer.name == base).ok_or_else(|| format!("there is no proxy {base:?}"))?;
    let mut kind = Kind { name: name.to_owned(), port, tls: false, log: false, store: Store::Memory, routes: 1 };
    for part in rest.split('+').filter(|part| !part.is_empty()) {
        match part.split_once('=').unwrap_or((part, "")) {
            ("tls", _) => kind.tls = true,
            ("log", _) => kind.log = true,
            ("file", _) => kind.store = Store::File,
            ("redis", _) => kind.store = Store::Redis,
            ("routes", count) => kind.routes = count.parse().map_err(|error| format!("{name}: {error}"))?,
            _ => return Err(format!("{name}: nothing is called {part:?}")),
        }
    }
    Ok((peer, kind))
}

impl Peer {
    pub(crate) fn start(&self, ground: &Ground, kind: &Kind) -> Result<Started, String> {
        (self.start)(ground, kind).map_err(|error| format!("{}: {error}", kind.name))
    }

    /// What it is called in a table, with how it is set up.
    pub(crate) fn title(&self, name: &str) -> String {
        let Some((_, rest)) = name.split_once('+') else { return self.title.to_owned() };
        let part = |part: &str| match part.split_once('=').unwrap_or((part, "")) {
            ("tls", _) => String::new(),
            ("log", _) => ", with its access log".to_owned(),
            ("routes", count) => format!(", {count} routes"),
            (store, _) => format!(", store `{store}`"),
        };
        format!("{}{}", self.title, rest.split('+').map(part).collect::<String>())
    }
}
