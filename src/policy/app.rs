//! One app behind the gateway.

use std::{collections::BTreeSet, sync::LazyLock, time::Duration};

use super::{AppSessions, Route};
use crate::web::{FoldedName, Host, HostPattern};

/// Where an app listens, as `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Host name or address.
    pub host: Host,
    /// Port; 80 when the URL has none.
    pub port: u16,
}

impl Upstream {
    /// Host and port as a `Host` header has them (RFC 9110, section 7.2): without the default port.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == 80 { self.host.name().to_owned() } else { format!("{}:{}", self.host.name(), self.port) }
    }
}

/// An app: the host it answers to, where it listens, and its routes.
#[derive(Clone, Debug)]
pub struct App {
    /// The name in logs.
    pub name: String,
    /// The hosts that browsers use.
    pub host: HostPattern,
    /// Where the app listens.
    pub upstream: Upstream,
    /// Whether the app sees the browser's `Host`, or its own.
    pub preserve_host: bool,
    /// Longest wait for the first byte of an answer.
    pub upstream_timeout: Duration,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// The rules, never empty.
    pub routes: Vec<Route>,
    /// The sessions that the app itself keeps.
    pub sessions: AppSessions,
    reserved: BTreeSet<FoldedName>,
}

/// Header names that no client may send, to any app (contract, section 3.3); those that end in `*` are
/// prefixes.
const ALWAYS_RESERVED: &[&str] = &[
    "X-Forwarded-User",
    "X-Forwarded-Email",
    "X-Forwarded-Groups",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Access-Token",
    "Remote-User",
    "Remote-Email",
    "Remote-Name",
    "Remote-Groups",
    "X-Remote-User",
];

/// Whole families of header names that no client may send.
const RESERVED_FAMILIES: &[&str] = &["x-auth-request-", "x-schoolgate-"];

static RESERVED: LazyLock<BTreeSet<FoldedName>> =
    LazyLock::new(|| ALWAYS_RESERVED.iter().map(|name| FoldedName::of(name)).collect());

impl App {
    /// An app with its routes. The names of all headers that any route could set become reserved on
    /// every route, public ones too.
    #[must_use]
    pub fn new(
        name: String,
        host: HostPattern,
        upstream: Upstream,
        preserve_host: bool,
        upstream_timeout: Duration,
        max_body: u64,
        routes: Vec<Route>,
    ) -> Self {
        let reserved =
            routes.iter().flat_map(|route| route.headers.names()).map(|name| FoldedName::of(name.as_str())).collect();
        let sessions = AppSessions::default();
        Self { name, host, upstream, preserve_host, upstream_timeout, max_body, routes, sessions, reserved }
    }

    /// The same app with sessions of its own.
    #[must_use]
    pub fn keeping(mut self, sessions: AppSessions) -> Self {
        self.sessions = sessions;
        self
    }

    /// Whether a client's header of this name must not reach the app.
    #[must_use]
    pub fn reserves(&self, name: &str) -> bool {
        let folded = FoldedName::of(name);
        self.reserved.contains(&folded)
            || RESERVED.contains(&folded)
            || RESERVED_FAMILIES.iter().any(|family| folded.as_str().starts_with(family))
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::table::tests::app_with;

    #[test]
    fn reserved_names_are_known_in_every_spelling() {
        let app = app_with("a.example", &[("/", "required")]);
        for name in [
            "X-Forwarded-User",
            "x_forwarded_email",
            "X.Forwarded.Groups",
            "HTTP_X_FORWARDED_USER",
            "X-Auth-Request-Anything",
            "x_auth_request_email",
            "REMOTE_USER",
            "Remote-Name",
            "X-Schoolgate-Organization",
            "X_SCHOOLGATE_whatever",
        ] {
            assert!(app.reserves(name), "{name}");
        }
        for name in ["Cookie", "Authorization", "X-Forwarded-For", "X-Requested-With", "X-Auth-Requester"] {
            assert!(!app.reserves(name), "{name}");
        }
    }
}
