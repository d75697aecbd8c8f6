//! Origins (RFC 6454) of our own hosts, and places on them.

use std::fmt;

use super::{Host, ReturnPath, Scheme};

/// Scheme, host and port, as URLs of browsers begin.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    host: Host,
    text: Box<str>,
}

impl Origin {
    /// The origin of a host by name; a port that is the scheme's own is left out (RFC 6454, section 6.1).
    #[must_use]
    pub fn new(scheme: Scheme, host: &Host, port: Option<u16>) -> Self {
        let port =
            port.filter(|port| *port != scheme.default_port()).map(|port| format!(":{port}")).unwrap_or_default();
        Self { host: host.clone(), text: format!("{scheme}://{}{port}", host.name()).into() }
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where somebody wanted to go: on the host that is asked, or on another of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The other host.
    pub origin: Option<Origin>,
    /// Path and query there.
    pub path: ReturnPath,
}

impl Place {
    /// The other host.
    #[must_use]
    pub fn host(&self) -> Option<&Host> {
        self.origin.as_ref().map(Origin::host)
    }
}

impl From<ReturnPath> for Place {
    fn from(path: ReturnPath) -> Self {
        Self { origin: None, path }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_the_port_only_where_the_scheme_does_not_say_it() {
        let host = Host::parse("Library.School.example.:9").unwrap();
        let text = |scheme, port| Origin::new(scheme, &host, port).to_string();
        assert_eq!(text(Scheme::Https, None), "https://library.school.example");
        assert_eq!(text(Scheme::Https, Some(443)), "https://library.school.example");
        assert_eq!(text(Scheme::Https, Some(8443)), "https://library.school.example:8443");
        assert_eq!(text(Scheme::Http, Some(80)), "http://library.school.example");
        assert_eq!(text(Scheme::Http, Some(443)), "http://library.school.example:443");
    }
}
