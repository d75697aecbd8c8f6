//! One app behind the gateway.

use std::time::Duration;

use super::{AppSessions, Authorities, Route, Upstream};
use crate::web::{FoldedName, HostPattern, Names, PathIndex, Target};

/// An app: the host it answers to, where it listens, and its routes.
#[derive(Clone, Debug)]
pub struct App {
    /// The name in logs.
    pub name: String,
    /// The hosts that browsers use.
    pub host: HostPattern,
    /// Where the app listens; never empty.
    pub upstreams: Vec<Upstream>,
    /// Who vouches for `https` upstreams; the system's authorities when there is none.
    pub upstream_authorities: Option<Authorities>,
    /// What each upstream is asked for when there are several; a connection is enough when there is none.
    pub health_path: Option<Target>,
    /// Whether the app sees the browser's `Host`, or its own.
    pub preserve_host: bool,
    /// Longest wait for the first byte of an answer.
    pub upstream_timeout: Duration,
    /// Largest request body in bytes.
    pub max_body: u64,
    /// Whether a form that was sent after the session died is offered again after the sign-in.
    pub keep_forms: bool,
    /// The rules, never empty.
    pub routes: Vec<Route>,
    /// The sessions that the app itself keeps.
    pub sessions: AppSessions,
    /// The number of its first route among all of its table.
    pub(super) first: usize,
    /// Its own number among the apps of its table.
    pub(super) number: usize,
    /// The paths of its routes, once it is in a table.
    pub(super) index: PathIndex,
    reserved: Names,
}

/// Header names that no client may send, to any app.
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

impl App {
    /// An app with its routes, and the defaults of everything else. The names of all headers that any route could
    /// set become reserved on every route, public ones too.
    #[must_use]
    pub fn new(name: String, host: HostPattern, upstreams: Vec<Upstream>, routes: Vec<Route>) -> Self {
        let set = routes.iter().flat_map(|route| route.headers.names()).map(|name| name.as_str());
        let reserved = Names::new(set.chain(ALWAYS_RESERVED.iter().copied()));
        Self {
            name,
            host,
            upstreams,
            upstream_authorities: None,
            health_path: None,
            preserve_host: true,
            upstream_timeout: Duration::from_secs(60),
            max_body: 100 << 20,
            keep_forms: false,
            routes,
            sessions: AppSessions::default(),
            first: 0,
            number: 0,
            index: PathIndex::default(),
            reserved,
        }
    }

    /// The same app with sessions of its own.
    #[must_use]
    pub fn keeping(mut self, sessions: AppSessions) -> Self {
        self.sessions = sessions;
        self
    }

    /// Its number in the order of [`crate::policy::Table::apps`].
    #[must_use]
    pub fn number(&self) -> usize {
        self.number
    }

    /// Whether a client's header of this name must not reach the app.
    #[must_use]
    pub fn reserves(&self, name: &FoldedName<'_>) -> bool {
        self.reserved.contains(name) || RESERVED_FAMILIES.iter().any(|family| name.as_str().starts_with(family))
    }
}

#[cfg(test)]
mod tests {
    use crate::{policy::table::tests::app_with, web::FoldedName};

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
            assert!(app.reserves(&FoldedName::of(name)), "{name}");
        }
        for name in ["Cookie", "Authorization", "X-Forwarded-For", "X-Requested-With", "X-Auth-Requester"] {
            assert!(!app.reserves(&FoldedName::of(name)), "{name}");
        }
    }
}
