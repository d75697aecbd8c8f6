//! The request that a web server asks about, as it describes it in headers of its own.
//!
//! Form A is nginx's: `X-Original-URL`, a whole URL, with `X-Original-Method` (or `X-Forwarded-Method`). Form B is
//! that of Traefik and Caddy: `X-Forwarded-Host`, `-Uri` and `-Method`. A web server passes on what its client
//! sent, too, and often overwrites one form only (CVE-2026-40575, GHSA-5wcc-hf24-rf5h): so whatever is there must
//! agree, and what could be read in two ways is refused.

use http::Method;

use crate::{
    proxy::wire::parse_method,
    web::{FoldedName, Host, HostError, Target, TargetError},
};

const URL: &str = "x-original-url";
const URL_METHOD: &str = "x-original-method";
const HOST: &str = "x-forwarded-host";
const URI: &str = "x-forwarded-uri";
const METHOD: &str = "x-forwarded-method";

/// A header field: its name and its value.
type Field<'a> = (&'a str, &'a [u8]);

/// How the answer is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As nginx's `auth_request` does: 2xx, 401 or 403, and nothing of it reaches the browser but what is copied.
    Verdict,
    /// The answer to a request that is not let in goes to the browser as it is.
    Whole,
}

/// Why a description is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum OriginalError {
    /// Neither form is complete.
    #[error("there is neither X-Original-URL, nor X-Forwarded-Host and X-Forwarded-Uri")]
    Missing,
    /// A part of form A without the rest.
    #[error("there is X-Original-Method without X-Original-URL")]
    LoneMethod,
    /// A field stands twice.
    #[error("{0} stands twice")]
    Repeated(&'static str),
    /// A field under another spelling of its name.
    #[error("there is an alias of {0}")]
    Alias(&'static str),
    /// A value that is no ASCII.
    #[error("{0} has a character that must be encoded")]
    Character(&'static str),
    /// Two values, joined.
    #[error("{0} is a list")]
    List(&'static str),
    /// `X-Original-URL` is no such URL.
    #[error("X-Original-URL is refused: {0}")]
    Url(TargetError),
    /// `X-Forwarded-Host` is no host.
    #[error("X-Forwarded-Host {0}")]
    Host(HostError),
    /// `X-Forwarded-Uri` is no path with a query.
    #[error("X-Forwarded-Uri is refused: {0}")]
    Uri(TargetError),
    /// A method that is none, or never let through.
    #[error("{0} is no method that is let through")]
    Method(&'static str),
    /// Both forms are there and differ.
    #[error("X-Original-URL or -Method says something else than X-Forwarded-Host, -Uri or -Method")]
    Disagree,
}

/// A request as a web server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Original {
    pub(super) host: Host,
    pub(super) target: Target,
    /// The method, when it is said.
    pub(super) method: Option<Method>,
}

impl Original {
    /// Reads both forms out of all fields of a request.
    pub(super) fn read(fields: &[Field<'_>]) -> Result<Self, OriginalError> {
        let only = |name| only(fields, name);
        let (url, url_method) = (only(URL)?, only(URL_METHOD)?);
        let (host, uri, method) = (only(HOST)?, only(URI)?, only(METHOD)?);
        let url = url.map(read_url).transpose()?;
        let host = host.map(|host| Host::parse(host).map_err(OriginalError::Host)).transpose()?;
        let uri = uri.map(read_uri).transpose()?;
        let url_method = url_method.map(|method| read_method(URL_METHOD, method)).transpose()?;
        let method = method.map(|method| read_method(METHOD, method)).transpose()?;
        match (url, host, uri) {
            (Some((url_host, url_target)), host, uri) => {
                let differs = host.as_ref().is_some_and(|host| *host != url_host)
                    || uri.as_ref().is_some_and(|uri| *uri != url_target)
                    || url_method.as_ref().zip(method.as_ref()).is_some_and(|(one, other)| one != other);
                let original = Self { host: url_host, target: url_target, method: url_method.or(method) };
                if differs { Err(OriginalError::Disagree) } else { Ok(original) }
            }
            (None, _, _) if url_method.is_some() => Err(OriginalError::LoneMethod),
            (None, Some(host), Some(target)) => Ok(Self { host, target, method }),
            (None, _, _) => Err(OriginalError::Missing),
        }
    }
}

impl Style {
    /// The style that a web server expects who describes a request so.
    pub(super) fn of(fields: &[Field<'_>]) -> Self {
        let has = |wanted: &str| fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        if has(URL) && !(has(HOST) && has(URI)) { Self::Verdict } else { Self::Whole }
    }
}

/// The value of a field that stands once at most, and under no other spelling.
fn only<'a>(fields: &[Field<'a>], wanted: &'static str) -> Result<Option<&'a str>, OriginalError> {
    let mut found = None;
    for (name, value) in fields.iter().filter(|(name, _)| FoldedName::of(name).as_str() == wanted) {
        if !name.eq_ignore_ascii_case(wanted) {
            return Err(OriginalError::Alias(wanted));
        }
        let text = std::str::from_utf8(value).ok().filter(|text| text.is_ascii());
        if found.replace(text.ok_or(OriginalError::Character(wanted))?).is_some() {
            return Err(OriginalError::Repeated(wanted));
        }
    }
    Ok(found)
}

/// RFC 9110, section 5.3, lets a proxy join two field lines with a comma, with or without a space. A space is
/// refused anyway.
fn read_url(text: &str) -> Result<(Host, Target), OriginalError> {
    let lower = text.to_ascii_lowercase();
    if [",http://", ",https://"].iter().any(|next| lower.contains(next)) {
        return Err(OriginalError::List(URL));
    }
    Target::parse_url(text).map_err(OriginalError::Url)
}

fn read_uri(text: &str) -> Result<Target, OriginalError> {
    if text.contains(",/") {
        return Err(OriginalError::List(URI));
    }
    Target::parse_origin_form(text).map_err(OriginalError::Uri)
}

fn read_method(name: &'static str, text: &str) -> Result<Method, OriginalError> {
    let method = parse_method(text.as_bytes()).ok().and_then(|method| Method::from_bytes(method.as_bytes()).ok());
    method.ok_or(OriginalError::Method(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Fields<'a> = &'a [(&'a str, &'a str)];

    fn bytes<'a>(fields: Fields<'a>) -> Vec<Field<'a>> {
        fields.iter().map(|(name, value)| (*name, value.as_bytes())).collect()
    }

    fn read(fields: Fields<'_>) -> Result<String, OriginalError> {
        Original::read(&bytes(fields)).map(|Original { host, target, method }| {
            format!("{} {host}{}", method.map_or("-".into(), |method| method.to_string()), target.to_origin_form())
        })
    }

    const A: (&str, &str) = ("X-Original-URL", "https://a.example/x?y");
    const A_METHOD: (&str, &str) = ("X-Original-Method", "PUT");
    const B_HOST: (&str, &str) = ("X-Forwarded-Host", "a.example");
    const B_URI: (&str, &str) = ("X-Forwarded-Uri", "/x?y");
    const B_METHOD: (&str, &str) = ("X-Forwarded-Method", "PUT");

    #[test]
    fn each_form_describes_a_request() {
        for (fields, expected) in [
            (&[A][..], "- a.example/x?y"),
            (&[A, A_METHOD], "PUT a.example/x?y"),
            (&[A, B_METHOD], "PUT a.example/x?y"),
            (&[("x-original-url", "http://A.example.:8080"), ("Cookie", "x")], "- a.example:8080/"),
            (&[B_HOST, B_URI], "- a.example/x?y"),
            (&[B_HOST, B_URI, B_METHOD, ("X-Forwarded-For", "203.0.113.9, 10.0.0.1")], "PUT a.example/x?y"),
            (&[("X-Forwarded-Host", "A.example:443"), ("X-Forwarded-Uri", "/%78")], "- a.example:443/x"),
            (&[A, A_METHOD, B_HOST, B_URI, B_METHOD], "PUT a.example/x?y"),
            (&[A, B_HOST], "- a.example/x?y"),
            (&[A, ("X-Forwarded-Host", "A.Example:443"), ("X-Forwarded-Uri", "/%78?y")], "- a.example/x?y"),
        ] {
            assert_eq!(read(fields).as_deref(), Ok(expected), "{fields:?}");
        }
    }

    #[test]
    fn half_a_form_is_none() {
        for fields in
            [&[][..], &[B_HOST], &[B_URI], &[B_URI, B_METHOD], &[B_HOST, B_METHOD], &[("X-Original-URI", "/x")]]
        {
            assert_eq!(read(fields), Err(OriginalError::Missing), "{fields:?}");
        }
        assert_eq!(read(&[A_METHOD, B_HOST, B_URI]), Err(OriginalError::LoneMethod));
    }

    #[test]
    fn ghsa_5wcc_hf24_rf5h_two_forms_that_differ_are_refused() {
        for other in [
            ("X-Forwarded-Host", "b.example"),
            ("X-Forwarded-Uri", "/public"),
            ("X-Forwarded-Uri", "/x"),
            ("X-Forwarded-Uri", "/x?z"),
            ("X-Forwarded-Method", "GET"),
        ] {
            assert_eq!(read(&[A, A_METHOD, other]), Err(OriginalError::Disagree), "{other:?}");
        }
    }

    #[test]
    fn a_field_stands_once_and_under_its_own_name() {
        let form = [A, A_METHOD, B_HOST, B_URI, B_METHOD];
        for (name, value) in form {
            let twice = [&form[..], &[(name, value)]].concat();
            assert!(matches!(read(&twice), Err(OriginalError::Repeated(_))), "{name}");
            for alias in
                [name.replace('-', "_"), name.replacen('-', ".", 1), format!("HTTP_{}", name.replace('-', "_"))]
            {
                let with_alias = [&form[..], &[(&*alias, value)]].concat();
                assert!(matches!(read(&with_alias), Err(OriginalError::Alias(_))), "{alias}");
                assert!(read(&[(&*alias, value)]).is_err(), "{alias}");
            }
        }
    }

    #[test]
    fn cve_2021_32637_what_is_no_url_is_no_request() {
        for url in [
            "",
            "/x",
            "a.example/x",
            "//a.example/x",
            "ftp://a.example/x",
            "javascript://a.example/x",
            "https:///x",
            "https://",
            "https://user@a.example/x",
            "https://a.example/x#y",
            "https://a.example#/x",
            "https://a.example/..",
            "https://a.example/public/%2e%2e/x",
            "https://a.example/public%2f..%2fx",
            "https://a.example/public\\x",
            "https://a.example//x",
            "https://a.example/x y",
            "https://a.example/%",
            "https://a.example/\u{e9}",
            "https://a.example/x, https://a.example/y",
            "https://a.example/x,https://a.example/y",
            "https://a.example/x?y,HTTP://a.example/y",
            "https://a.example,b.example/x",
            "https://a.example:0/x",
            "https://a.examplehttp://b.example/x",
        ] {
            assert!(read(&[("X-Original-URL", url)]).is_err(), "{url}");
            assert!(read(&[("X-Original-URL", url), B_HOST, B_URI]).is_err(), "{url}");
        }
    }

    #[test]
    fn a_forwarded_uri_is_a_path_and_nothing_else() {
        for uri in [
            "",
            "x",
            "https://a.example/x",
            "*",
            "?x",
            "//a.example/x",
            "/x#y",
            "/public/../x",
            "/public/..;/x",
            "/public%2fx",
            "/public%00",
            "/x, /y",
            "/public,/x",
            "/public?a,/x",
            "/x\u{e9}",
        ] {
            assert!(read(&[B_HOST, ("X-Forwarded-Uri", uri)]).is_err(), "{uri}");
        }
        for host in ["", "a.example, b.example", "a.example,b.example", "a.example/x", "a@b.example", "[::1"] {
            assert!(read(&[("X-Forwarded-Host", host), B_URI]).is_err(), "{host}");
        }
    }

    #[test]
    fn a_method_is_one_in_capitals_and_lets_itself_be_judged() {
        for method in ["", "get", "Get", "GET, POST", "GET,POST", "GET ", "G\u{c9}T", "TRACE", "CONNECT"] {
            for name in ["X-Original-Method", "X-Forwarded-Method"] {
                assert!(read(&[A, (name, method)]).is_err(), "{method:?}");
            }
            assert!(read(&[B_HOST, B_URI, ("X-Forwarded-Method", method)]).is_err(), "{method:?}");
        }
    }

    #[test]
    fn only_form_a_alone_asks_for_a_verdict() {
        for (fields, style) in [
            (&[A][..], Style::Verdict),
            (&[A, A_METHOD, B_HOST, B_METHOD], Style::Verdict),
            (&[("X-Original-URL", "rubbish")], Style::Verdict),
            (&[A, B_HOST, B_URI], Style::Whole),
            (&[B_HOST, B_URI], Style::Whole),
            (&[], Style::Whole),
        ] {
            assert_eq!(Style::of(&bytes(fields)), style, "{fields:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_else_a_client_sends_the_url_of_the_server_is_judged_or_nothing(
            others in proptest::collection::vec(("[Xx][-_.](Original|Forwarded)[-_](URL|Method|Host|Uri)", "[ -~]{0,20}"), 0..4),
        ) {
            let mut fields = vec![A, A_METHOD];
            fields.extend(others.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            if let Ok(judged) = read(&fields) {
                prop_assert_eq!(judged, "PUT a.example/x?y");
            }
        }

        #[test]
        fn what_is_read_is_read_the_same_again(uri in "/[ -~]{0,30}") {
            if let Ok(original) = Original::read(&bytes(&[B_HOST, ("X-Forwarded-Uri", &uri)])) {
                let url = format!("https://{}{}", original.host, original.target.to_origin_form());
                if !url[8..].contains(",http") {
                    prop_assert_eq!(Original::read(&bytes(&[("X-Original-URL", &url)])), Ok(original));
                }
            }
        }
    }
}
