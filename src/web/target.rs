//! The request target (RFC 9112, section 3.2): a path and a query, and an authority in absolute form.

use std::fmt;

use super::{CanonicalPath, Host, HostError, PathError};

/// Why a request target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// The path could mean two things.
    #[error(transparent)]
    Path(#[from] PathError),
    /// The query has a character that must be percent-encoded.
    #[error("the query has a character that must be percent-encoded")]
    Query,
    /// `#` is for browsers only.
    #[error("the target has a fragment")]
    Fragment,
    /// Neither a path nor an absolute `http` or `https` URL.
    #[error("the target is neither a path nor an http or https URL")]
    Form,
    /// The authority of an absolute-form target is not that of `Host`.
    #[error("the target names another host than the Host header")]
    Authority,
    /// The host of a URL is none.
    #[error("the host {0}")]
    Host(HostError),
}

/// What is asked for, in one reading only. Codes and tokens travel in queries: `Debug` shows none.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    path: CanonicalPath,
    query: Option<Box<str>>,
}

impl Target {
    /// Reads a target in origin form or absolute form; the authority of the latter must equal `host`,
    /// port included.
    ///
    /// # Errors
    /// When the target can be read in two ways.
    pub fn parse(raw: &str, host: &Host) -> Result<Self, TargetError> {
        if raw.starts_with('/') {
            return Self::parse_origin_form(raw);
        }
        let (authority, rest) = split_authority(raw)?;
        let authority = Host::parse(authority).map_err(|_| TargetError::Authority)?;
        if authority != *host || authority.port() != host.port() {
            return Err(TargetError::Authority);
        }
        Self::parse_behind_authority(rest)
    }

    /// Reads a whole `http` or `https` URL: its host, and the target there.
    ///
    /// # Errors
    /// When it is anything else, user information included, or can be read in two ways.
    pub fn parse_url(raw: &str) -> Result<(Host, Self), TargetError> {
        let (authority, rest) = split_authority(raw)?;
        let host = Host::parse(authority).map_err(TargetError::Host)?;
        Ok((host, Self::parse_behind_authority(rest)?))
    }

    fn parse_behind_authority(rest: &str) -> Result<Self, TargetError> {
        // RFC 9112, section 3.2.2: an empty path is sent on as "/".
        match rest {
            "" => Self::parse_origin_form("/"),
            query if query.starts_with('?') => Self::parse_origin_form(&format!("/{query}")),
            path => Self::parse_origin_form(path),
        }
    }

    /// Reads a target in origin form: an absolute path and an optional query.
    ///
    /// # Errors
    /// When the target can be read in two ways.
    pub fn parse_origin_form(raw: &str) -> Result<Self, TargetError> {
        if raw.contains('#') {
            return Err(TargetError::Fragment);
        }
        let (path, query) = match raw.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (raw, None),
        };
        let fine = |byte: u8| byte.is_ascii_graphic() && !b"\"<>".contains(&byte);
        if query.is_some_and(|query| !query.bytes().all(fine)) {
            return Err(TargetError::Query);
        }
        Ok(Self { path: CanonicalPath::parse(path)?, query: query.map(Into::into) })
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &CanonicalPath {
        &self.path
    }

    /// The query as it came, without the question mark.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Path and query, as the app gets them.
    #[must_use]
    pub fn to_origin_form(&self) -> String {
        match &self.query {
            None => self.path.as_str().to_owned(),
            Some(query) => [self.path.as_str(), "?", query].concat(),
        }
    }
}

/// The authority of an `http` or `https` URL, and what stands behind it.
fn split_authority(raw: &str) -> Result<(&str, &str), TargetError> {
    let (scheme, rest) = raw.split_once("://").ok_or(TargetError::Form)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(TargetError::Form);
    }
    Ok(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("path", &self.path.as_str()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str) -> Result<String, TargetError> {
        Target::parse(raw, &Host::parse("a.example").unwrap()).map(|target| target.to_origin_form())
    }

    #[test]
    fn debug_shows_no_query() {
        let shown = format!("{:?}", Target::parse_origin_form("/callback?code=secret").unwrap());
        assert!(shown.contains("/callback") && !shown.contains("secret"), "{shown}");
    }

    #[test]
    fn the_query_is_kept_as_it_came() {
        assert_eq!(parse("/a?b=../%2f&c=100%&d=//x;y\\z|{}").unwrap(), "/a?b=../%2f&c=100%&d=//x;y\\z|{}");
        assert_eq!(parse("/a?").unwrap(), "/a?");
    }

    #[test]
    fn absolute_form_must_name_the_host_of_the_request() {
        assert_eq!(parse("http://A.example/x?y").unwrap(), "/x?y");
        assert_eq!(parse("https://a.example").unwrap(), "/");
        assert_eq!(parse("http://a.example?x").unwrap(), "/?x");
        for raw in ["http://b.example/", "http://a.example:81/", "http://u@a.example/", "http:///x"] {
            assert_eq!(parse(raw), Err(TargetError::Authority), "{raw}");
        }
        assert_eq!(parse("http://a.example//x"), Err(TargetError::Path(PathError::EmptySegment)));
    }

    #[test]
    fn a_whole_url_names_its_host() {
        let (host, target) = Target::parse_url("HTTPS://A.example:8443/%61?b").unwrap();
        assert_eq!((host.to_string(), target.to_origin_form()), ("a.example:8443".into(), "/a?b".into()));
        assert_eq!(Target::parse_url("http://a.example").unwrap().1.to_origin_form(), "/");
        for raw in ["/x", "", "a.example/x", "ftp://a.example/", "//a.example/x"] {
            assert_eq!(Target::parse_url(raw), Err(TargetError::Form), "{raw}");
        }
        for raw in
            ["http://u@a.example/", "http:///x", "https://a.examplehttp://b.example/", "http://a\\b/", "http://a,b/"]
        {
            assert!(matches!(Target::parse_url(raw), Err(TargetError::Host(_))), "{raw}");
        }
        assert_eq!(Target::parse_url("http://a.example#/x"), Err(TargetError::Fragment));
        assert_eq!(Target::parse_url("http://a.example/../x"), Err(TargetError::Path(PathError::DotSegment)));
    }

    #[test]
    fn everything_else_is_refused() {
        for raw in ["", "*", "admin", "a.example:80", "ftp://a.example/", "javascript://a.example/", "?x"] {
            assert_eq!(parse(raw), Err(TargetError::Form), "{raw}");
        }
        assert_eq!(parse("/a#b"), Err(TargetError::Fragment));
        assert_eq!(parse("/a?b#c"), Err(TargetError::Fragment));
        for raw in ["/?a b", "/?\u{e9}", "/?\"", "/?<", "/?\0"] {
            assert_eq!(parse(raw), Err(TargetError::Query), "{raw}");
        }
    }
}
