//! Host names, compared without case, port and trailing dot.

use std::{borrow::Borrow, fmt};

/// Why a text is no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// More than 253 bytes.
    #[error("is longer than 253 characters")]
    TooLong,
    /// A character that no host name has.
    #[error("has a character that no host name has")]
    Character,
    /// An empty label, as in `a..b`.
    #[error("has an empty label")]
    EmptyLabel,
    /// A star that stands for something else than the first of at least three labels.
    #[error("has a star that does not stand for the first of three labels or more")]
    Wildcard,
    /// Something after the colon that is no port.
    #[error("has a port that is not a number from 1 to 65535")]
    Port,
}

/// The host of a request or of an app: lower case, without trailing dot; the port beside it.
///
/// Equality is that of the names: the port takes no part.
#[derive(Clone, Debug)]
pub struct Host {
    name: Box<str>,
    port: Option<u16>,
}

impl Host {
    /// Reads `uri-host [ ":" port ]` (RFC 9110, section 7.2).
    ///
    /// # Errors
    /// When the text is anything else, user information and lists included.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let (name, port) = split_port(text)?;
        let name = if name.starts_with('[') { bracketed(name)? } else { registered(name)? };
        Ok(Self { name: name.to_ascii_lowercase().into(), port })
    }

    /// The name alone.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name without its first label.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.name.split_once('.').map(|(_, parent)| parent)
    }

    /// The port, when one was given.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Whether this is `localhost` or `127.0.0.1`, where plain HTTP may be used.
    #[must_use]
    pub fn is_local(&self) -> bool {
        matches!(&*self.name, "localhost" | "127.0.0.1")
    }
}

impl PartialEq for Host {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Host {}

impl std::hash::Hash for Host {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

/// Names equal hosts: so a table of hosts is asked with a name.
impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        self.name()
    }
}

/// Name, and port when there is one.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

fn split_port(text: &str) -> Result<(&str, Option<u16>), HostError> {
    let after_name = text.rfind(']').map_or(0, |end| end + 1);
    match text[after_name..].find(':') {
        None => Ok((text, None)),
        Some(colon) => {
            let digits = &text[after_name + colon + 1..];
            let fine = (1..=5).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
            let port = digits.parse().ok().filter(|port| fine && *port > 0).ok_or(HostError::Port)?;
            Ok((&text[..after_name + colon], Some(port)))
        }
    }
}

fn registered(name: &str) -> Result<&str, HostError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    match name {
        "" => Err(HostError::Empty),
        long if long.len() > 253 => Err(HostError::TooLong),
        odd if !odd.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) => {
            Err(HostError::Character)
        }
        gap if gap.split('.').any(str::is_empty) => Err(HostError::EmptyLabel),
        fine => Ok(fine),
    }
}

fn bracketed(name: &str) -> Result<&str, HostError> {
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).ok_or(HostError::Character)?;
    inside.parse::<std::net::Ipv6Addr>().map(|_| name).map_err(|_| HostError::Character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_port_and_trailing_dot_do_not_count() {
        let host = Host::parse("library.school.example").unwrap();
        for spelling in [
            "LIBRARY.School.Example",
            "library.school.example.",
            "library.school.example:8443",
            "Library.school.example.:80",
        ] {
            assert_eq!(Host::parse(spelling).unwrap(), host, "{spelling}");
        }
        assert_ne!(Host::parse("xlibrary.school.example").unwrap(), host);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "", ".", "a b", "a,b", "a/evil", "user@a", "a..b", "a:", "a:0", "a:65536", "a:80:80", "a:+80", "[::1",
            "[x]", "::1", "a\t", "ä", "a%2e", "a?x", "a#x", "a..", "[::1]x",
        ] {
            assert!(Host::parse(text).is_err(), "{text:?}");
        }
        assert_eq!(Host::parse("[::1]:8080").unwrap().to_string(), "[::1]:8080");
    }
}
