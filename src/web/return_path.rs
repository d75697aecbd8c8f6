//! Where somebody goes after a sign-in or a sign-out: a path on the same host, and nothing else.

use std::{fmt, sync::LazyLock};

use super::{CanonicalPath, OWN_PREFIX, PathPrefix, Target};

/// Longest path and query that is remembered through a sign-in, in bytes: it travels in a cookie.
const LONGEST: usize = 2000;

/// What begins the gateway's own paths.
static OWN: LazyLock<Option<PathPrefix>> = LazyLock::new(|| CanonicalPath::parse(OWN_PREFIX).ok().map(PathPrefix::new));

/// A path and query on the host that asked. An open redirect cannot be written down in this type: it
/// begins with one slash, has no backslash and no control character, and every segment is canonical.
/// Its query may hold what is nobody else's business: `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct ReturnPath(Box<str>);

impl ReturnPath {
    /// The start page.
    #[must_use]
    pub fn root() -> Self {
        Self("/".into())
    }

    /// Reads what a stranger asks for, such as the parameter `return_to`. `None` when it is not a
    /// canonical path of this host, is too long, or would run one of the gateway's own actions.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Target::parse_origin_form(text).ok().and_then(|target| Self::of(&target))
    }

    /// The way back to a request that is being judged. The query is dropped when both together are
    /// too long for a cookie; `None` when even the path is, or it is the gateway's own.
    #[must_use]
    pub fn of(target: &Target) -> Option<Self> {
        let path = target.path();
        let own = OWN.as_ref().is_some_and(|own| own.may_cover(path));
        if own && path.as_str() != OWN_PREFIX {
            return None;
        }
        // A backslash takes two bytes there.
        let fits = |text: &str| text.len() + text.bytes().filter(|byte| *byte == b'\\').count() <= LONGEST;
        let whole = Some(target.to_origin_form()).filter(|text| fits(text));
        let found = whole.or_else(|| Some(path.as_str().to_owned()).filter(|text| fits(text)));
        found.map(|text| Self(text.into()))
    }

    /// The text for a `Location` header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ReturnPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReturnPath").field(&self.0.split('?').next().unwrap_or_default()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_query() {
        assert_eq!(format!("{:?}", ReturnPath::parse("/a?token=secret").unwrap()), r#"ReturnPath("/a")"#);
    }

    #[test]
    fn a_path_of_this_host_is_kept() {
        for text in ["/", "/a/b?c=d&e=https://x.example/", "/.schoolgate/"] {
            assert_eq!(ReturnPath::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn open_redirects_of_the_peers_are_no_return_paths() {
        // CVE-2020-5233, CVE-2020-11053, CVE-2020-4037, CVE-2021-32786, CVE-2026-83589 and kin.
        for text in [
            "",
            "//evil.example",
            "/\\evil.example",
            "\\/evil.example",
            "/\t/evil.example",
            "/%09/evil.example",
            "/%5cevil.example",
            "/%2f/evil.example",
            "https://evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "evil.example",
            " /",
            "/ /evil.example",
            "/.//evil.example",
            "/../evil.example",
            "///evil.example",
            "/\u{a0}/evil",
            "/\r\nLocation: x",
            "/a#b",
            "?x",
            "/%0a/evil.example",
        ] {
            assert_eq!(ReturnPath::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_gateways_own_actions_are_no_return_paths() {
        for text in
            ["/.schoolgate/sign-out", "/.schoolgate/sign-in?return_to=/", "/.Schoolgate/sign-out", "/.schoolgate"]
        {
            assert_eq!(ReturnPath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_query_that_does_not_fit_is_dropped() {
        let target = Target::parse_origin_form(&format!("/a?{}", "x".repeat(LONGEST))).unwrap();
        assert_eq!(ReturnPath::of(&target).unwrap().as_str(), "/a");
        let target = Target::parse_origin_form(&format!("/{}", "x".repeat(LONGEST))).unwrap();
        assert_eq!(ReturnPath::of(&target), None);
    }
}
