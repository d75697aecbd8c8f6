//! The home of the gateway: the one host that Apple sends browsers back to, and how a session there is shown at
//! the others.

use url::Url;

use super::{
    SignIn,
    errand::{Errand, Wish},
};
use crate::{
    identity::ScopeSet,
    session::SessionId,
    web::{Host, OWN_PREFIX, Origin, ReturnPath, Scheme},
};

/// The host of `redirect_uri`.
#[derive(Clone, Debug)]
pub struct Home {
    host: Host,
    scheme: Scheme,
    port: Option<u16>,
}

impl Home {
    /// The home that a redirect URI names; `None` when it names no host.
    #[must_use]
    pub fn of(redirect_uri: &Url) -> Option<Self> {
        let scheme = if redirect_uri.scheme() == "https" { Scheme::Https } else { Scheme::Http };
        Some(Self { host: Host::parse(redirect_uri.host_str()?).ok()?, scheme, port: redirect_uri.port() })
    }

    /// Its host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Whether this host is it.
    #[must_use]
    pub fn is(&self, host: &Host) -> bool {
        self.host == *host
    }

    /// The origin of a host of ours. All have the port of the redirect URI: one that a request names may be
    /// anybody's, and tickets must not go there.
    #[must_use]
    pub fn origin_of(&self, host: &Host) -> Origin {
        Origin::new(self.scheme, host, self.port)
    }

    /// One of our own paths there.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{OWN_PREFIX}{path}", self.origin_of(&self.host))
    }
}

impl SignIn {
    /// The host of `redirect_uri`.
    #[must_use]
    pub fn home(&self) -> &Home {
        &self.settings.home
    }

    /// The sign-out of the home, for a browser that has no session at another host, and the way back there.
    #[must_use]
    pub fn leave_at_home(&self, host: &Host, return_to: Option<&ReturnPath>) -> String {
        let Some(return_to) = return_to else { return self.home().url("sign-out") };
        // No sign-in cookie has this name: nobody waits for a ticket.
        let errand = Errand { host: host.clone(), login: String::new() };
        let wish = Wish::new(errand, ScopeSet::default(), return_to.clone(), false, self.clock.now(), None);
        self.home().url(&format!("sign-out?wish={}", wish.seal(&self.sealer, &*self.entropy)))
    }

    /// The value of the session cookie at a host: at home the identifier itself. Elsewhere it is sealed for that
    /// host, so that what one app's host gives away opens nothing at another, and one end is the end of all.
    pub(super) fn write_id(&self, host: &Host, id: &SessionId) -> String {
        if self.home().is(host) {
            return id.expose().to_owned();
        }
        self.sealer.seal(&purpose(host), id.expose().as_bytes(), &*self.entropy)
    }

    /// Reads what [`Self::write_id`] wrote for this host.
    pub(super) fn read_id(&self, host: &Host, value: &str) -> Option<SessionId> {
        if self.home().is(host) {
            return SessionId::parse(value);
        }
        let plain = self.sealer.open(&purpose(host), value).ok()?;
        SessionId::parse(std::str::from_utf8(&plain).ok()?)
    }
}

fn purpose(host: &Host) -> String {
    format!("session at {}", host.name())
}
