//! The hosts of an app: one by name, or every name right below another.

use std::fmt;

use super::{Host, HostError};

/// A host, or `*.` and a host: every name with exactly one label more, as in a certificate (RFC 9525,
/// section 6.3). What lies deeper is not meant, nor is the bare name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// One host.
    One(Host),
    /// Every name of one label below this one.
    Below(Host),
}

impl HostPattern {
    /// Reads a host or a wildcard; of a wildcard the port counts no more than elsewhere.
    ///
    /// # Errors
    /// When it is neither: a star stands for the whole first label only, never above the last two, and never in front
    /// of an address.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let Some(parent) = text.strip_prefix("*.") else { return Host::parse(text).map(Self::One) };
        let parent = Host::parse(parent)?;
        let last = parent.name().rsplit('.').next().unwrap_or_default();
        let is_address = last.starts_with('[') || last.bytes().all(|byte| byte.is_ascii_digit());
        // `*.example` is half the world, and browsers set no cookies there either.
        if is_address || !parent.name().contains('.') {
            return Err(HostError::Wildcard);
        }
        Ok(Self::Below(parent))
    }

    /// Whether the pattern means `host`.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::One(one) => one == host,
            Self::Below(parent) => host.parent() == Some(parent.name()),
        }
    }

    /// The only host that it means; `None` for a wildcard.
    #[must_use]
    pub fn one(&self) -> Option<&Host> {
        match self {
            Self::One(host) => Some(host),
            Self::Below(_) => None,
        }
    }

    /// Whether this is `localhost` or `127.0.0.1`, where plain HTTP may be used.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.one().is_some_and(Host::is_local)
    }
}

/// As the configuration writes it.
impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(host) => host.fmt(f),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, host: &str) -> bool {
        HostPattern::parse(pattern).unwrap().covers(&Host::parse(host).unwrap())
    }

    #[test]
    fn a_star_stands_for_exactly_one_label() {
        for (host, expected) in [
            ("a.school.example", true),
            ("A.SCHOOL.example.", true),
            ("a.school.example:8443", true),
            ("school.example", false),
            ("a.b.school.example", false),
            ("aschool.example", false),
            ("a.school.example.evil.example", false),
            ("evil-school.example", false),
        ] {
            assert_eq!(covers("*.School.Example", host), expected, "{host}");
        }
    }

    #[test]
    fn a_host_without_a_star_means_itself() {
        assert!(covers("a.school.example", "A.school.example.:80"));
        assert!(!covers("a.school.example", "b.a.school.example"));
    }

    #[test]
    fn a_star_elsewhere_is_refused() {
        for text in ["*", "*.", "*.example", "a.*.example", "*a.school.example", "*.*.example", "*.0.0.1", "*.[::1]"] {
            assert!(HostPattern::parse(text).is_err(), "{text}");
        }
    }
}
