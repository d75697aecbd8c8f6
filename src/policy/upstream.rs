//! Where an app listens.

use std::fmt;

use crate::web::{Host, Scheme};

/// What is spoken with an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1; within TLS HTTP/2, when the upstream offers it.
    Negotiated,
    /// HTTP/2 from the first byte, without TLS (RFC 9113, section 3.3).
    Http2,
}

/// Where an app listens, as `http://host:port`, `https://host:port` or `h2c://host:port`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// Plain HTTP or TLS.
    pub scheme: Scheme,
    /// What is spoken there.
    pub protocol: Protocol,
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
        let scheme = match self.protocol {
            Protocol::Negotiated => self.scheme.as_str(),
            Protocol::Http2 => "h2c",
        };
        write!(f, "{scheme}://{}", self.authority())
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
        for (scheme, protocol, port, shown) in [
            (Scheme::Http, Protocol::Negotiated, 80, "http://app.internal"),
            (Scheme::Http, Protocol::Negotiated, 443, "http://app.internal:443"),
            (Scheme::Https, Protocol::Negotiated, 443, "https://app.internal"),
            (Scheme::Https, Protocol::Negotiated, 80, "https://app.internal:80"),
            (Scheme::Http, Protocol::Http2, 80, "h2c://app.internal"),
            (Scheme::Http, Protocol::Http2, 50051, "h2c://app.internal:50051"),
        ] {
            let upstream = Upstream { scheme, protocol, host: Host::parse("app.internal").unwrap(), port };
            assert_eq!(upstream.to_string(), shown);
        }
    }
}
