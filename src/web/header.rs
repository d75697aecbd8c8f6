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
        let folded: String = name
            .bytes()
            .map(|byte| if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() as char } else { '-' })
            .collect();
        Self(bare(&folded).to_owned().into())
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
}
