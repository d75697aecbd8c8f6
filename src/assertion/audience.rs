//! Whom an assertion is for.

use crate::web::{Host, Scheme};

/// The origin of an app as browsers see it (RFC 6454, section 6.2): scheme and host, and the port unless it is the
/// scheme's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Audience(Box<str>);

impl Audience {
    /// The origin of a host.
    #[must_use]
    pub fn of(scheme: Scheme, host: &Host) -> Self {
        let own = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let name = host.name();
        Self(match host.port().filter(|port| *port != own) {
            Some(port) => format!("{scheme}://{name}:{port}").into(),
            None => format!("{scheme}://{name}").into(),
        })
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_no_case_no_trailing_dot_and_no_port_that_goes_without_saying() {
        for (scheme, host, origin) in [
            (Scheme::Https, "Library.School.Example", "https://library.school.example"),
            (Scheme::Https, "library.school.example.", "https://library.school.example"),
            (Scheme::Https, "library.school.example:443", "https://library.school.example"),
            (Scheme::Https, "library.school.example:80", "https://library.school.example:80"),
            (Scheme::Https, "library.school.example:8443", "https://library.school.example:8443"),
            (Scheme::Http, "localhost:80", "http://localhost"),
            (Scheme::Http, "localhost:8080", "http://localhost:8080"),
            (Scheme::Http, "127.0.0.1:443", "http://127.0.0.1:443"),
        ] {
            assert_eq!(Audience::of(scheme, &Host::parse(host).unwrap()).as_str(), origin, "{host}");
        }
    }
}
