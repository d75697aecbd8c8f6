//! Header names as the runtimes behind us fold them.

use std::{borrow::Cow, fmt};

/// A header name folded as CGI, WSGI and PHP fold it.
///
/// RFC 3875, section 4.1.18, turns `X-User` into `HTTP_X_USER`; PHP does the same to dots and more.
/// So `X_User`, `x.user` and `HTTP_X_USER` may all arrive in an app as `X-User`, and must count as
/// one name (CVE-2025-64484, CVE-2026-39858).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FoldedName<'a>(Cow<'a, str>);

impl<'a> FoldedName<'a> {
    /// Folds: lower case, `-` for everything that is neither letter nor digit, leading `http-` gone. Most names are
    /// folded as they come.
    #[must_use]
    pub fn of(name: &'a str) -> Self {
        let is_folded = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if name.bytes().all(is_folded) {
            return Self(bare(name).into());
        }
        let fold = |byte: u8| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' };
        let folded: Vec<u8> = name.bytes().map(fold).collect();
        // It is ASCII: nothing is lost, and nothing copied.
        let folded = String::from_utf8(folded).unwrap_or_else(|it| String::from_utf8_lossy(it.as_bytes()).into_owned());
        match bare(&folded) {
            bare if bare.len() < folded.len() => Self(bare.to_owned().into()),
            _whole => Self(folded.into()),
        }
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Folded names that many names are compared with. Most differ in their length already.
#[derive(Clone, Debug, Default)]
pub struct Names(Box<[Vec<Box<str>>]>);

impl Names {
    /// The names, folded.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut by_length: Vec<Vec<Box<str>>> = Vec::new();
        for name in names {
            let folded = FoldedName::of(name);
            let name = folded.as_str();
            if by_length.len() <= name.len() {
                by_length.resize(name.len() + 1, Vec::new());
            }
            if let Some(known) = by_length.get_mut(name.len()).filter(|known| known.iter().all(|one| **one != *name)) {
                known.push(name.into());
            }
        }
        Self(by_length.into())
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, name: &FoldedName<'_>) -> bool {
        let name = name.as_str();
        self.0.get(name.len()).is_some_and(|known| known.iter().any(|one| **one == *name))
    }
}

fn bare(folded: &str) -> &str {
    let mut bare = folded;
    while let Some(rest) = bare.strip_prefix("http-") {
        bare = rest;
    }
    bare
}

impl fmt::Display for FoldedName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_that_an_app_could_take_for_the_header_folds_to_it() {
        let name = FoldedName::of("X-Forwarded-User");
        for spelling in [
            "x-forwarded-user",
            "X_Forwarded_User",
            "X.Forwarded.User",
            "X-Forwarded_User",
            "HTTP_X_FORWARDED_USER",
            "http-x-forwarded-user",
            "X!Forwarded~User",
        ] {
            assert_eq!(FoldedName::of(spelling), name, "{spelling}");
        }
        assert_ne!(FoldedName::of("X-Forwarded-Users"), name);
        assert_eq!(FoldedName::of("http-http-x-1").as_str(), "x-1");
    }

    #[test]
    fn names_are_known_by_what_they_fold_to() {
        let names = Names::new(["X-User", "x_user", "Remote-User", "Proxy"]);
        for name in ["x-user", "HTTP_X_USER", "REMOTE_USER", "proxy"] {
            assert!(names.contains(&FoldedName::of(name)), "{name}");
        }
        for name in ["", "x", "y-user", "x-users", "remote-user-1", "a-name-that-is-longer-than-all-of-them"] {
            assert!(!names.contains(&FoldedName::of(name)), "{name}");
        }
    }
}
