//! Where an app listens.

use std::fmt;

use crate::web::{Host, Scheme};

/// Where an app listens, as `http://host:port` or `https://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Plain HTTP or TLS.
    pub scheme: Scheme,
    /// Host name or address.
    pub host: Host,
    /// Port; the default one of the scheme when the URL has none.
    pub port: u16,
}

impl Upstream {
    /// Host and port as a `Host` header has them (RFC 9110, section 7.2): without the default port.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port == self.scheme.default_port() {
            true => self.host.name().to_owned(),
            false => format!("{}:{}", self.host.name(), self.port),
        }
    }
}

/// As the file writes it.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}

/// The certificates of the authorities that vouch for an app's upstreams, instead of the system's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// Each certificate in DER, never none.
    pub certificates: Vec<Vec<u8>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_port_of_the_scheme_is_not_written() {
        for (scheme, port, shown) in [
            (Scheme::Http, 80, "http://app.internal"),
            (Scheme::Http, 443, "http://app.internal:443"),
            (Scheme::Https, 443, "https://app.internal"),
            (Scheme::Https, 80, "https://app.internal:80"),
        ] {
            let upstream = Upstream { scheme, host: Host::parse("app.internal").unwrap(), port };
            assert_eq!(upstream.to_string(), shown);
        }
    }
}
