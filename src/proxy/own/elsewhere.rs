//! Whether a request is the wish of a page of ours, or of another site.

use http::{HeaderName, Method, header};
use pingora::http::RequestHeader;

use crate::{
    proxy::Facts,
    web::{Host, Kind},
};

/// Whether a page of another site caused this: by `Sec-Fetch-Site`, else `Origin`, else `Referer`; or
/// something that is no page at all.
pub(in crate::proxy) fn is_from_elsewhere(request: &RequestHeader, facts: &Facts) -> bool {
    let field = |name: HeaderName| request.headers.get(name).and_then(|value| value.to_str().ok());
    // A picture in a page of an app, or a guess of the browser's, is nobody's wish to leave.
    let dest = field(HeaderName::from_static("sec-fetch-dest"));
    if dest.is_some_and(|dest| !matches!(dest, "document" | "empty")) || facts.kind == Kind::Guess {
        return true;
    }
    if let Some(site) = field(HeaderName::from_static("sec-fetch-site")) {
        return !matches!(site, "same-origin" | "same-site" | "none");
    }
    let of_ours = |url: &str| {
        url::Url::parse(url)
            .ok()
            .and_then(|url| Some(Host::parse(url.host_str()?).ok()? == facts.host))
            .unwrap_or(false)
    };
    // Browsers that say nothing about sites send our own form with `Origin: null`, because our pages
    // have no referrer; but they send no `Lax` cookie with a post from elsewhere either.
    if facts.method == Method::POST {
        return field(header::ORIGIN).is_some_and(|origin| origin != "null" && !of_ours(origin));
    }
    match (field(header::ORIGIN), field(header::REFERER)) {
        (Some(origin), _) => !of_ours(origin),
        (None, Some(referer)) => !of_ours(referer),
        (None, None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::exchange::tests::facts;

    #[test]
    fn a_link_from_another_site_is_told_by_the_best_header_there_is() {
        let judged = |method: Method, fields: &[(&'static str, &str)]| {
            let mut request = RequestHeader::build(method.clone(), b"/", None).unwrap();
            for (name, value) in fields {
                request.insert_header(*name, *value).unwrap();
            }
            let kind = Kind::of(|name| request.headers.get(name).and_then(|value| value.to_str().ok()));
            is_from_elsewhere(&request, &Facts { method, kind, ..facts("/") })
        };
        let (site, origin, referer) = ("Sec-Fetch-Site", "Origin", "Referer");
        for fields in [
            &[(site, "cross-site"), (origin, "https://a.example")][..],
            &[(site, "anything")],
            &[(origin, "https://evil.example"), (referer, "https://a.example/")],
            &[(origin, "null")],
            &[(site, "same-origin"), ("Sec-Fetch-Dest", "image")],
            &[(site, "none"), ("Sec-Fetch-Dest", "document"), ("Sec-Purpose", "prefetch;prerender")],
            &[(site, "none"), ("Purpose", "prefetch")],
            &[("X-Moz", "prefetch")],
            &[(referer, "https://evil.example/a.example")],
            &[(referer, "https://a.example.evil.example/")],
        ] {
            assert!(judged(Method::GET, fields), "{fields:?}");
        }
        for fields in [
            &[][..],
            &[(site, "same-origin")],
            &[(site, "none"), (referer, "https://evil.example/")],
            &[(origin, "https://A.example:8443")],
            &[(referer, "https://a.example/page")],
        ] {
            assert!(!judged(Method::GET, fields), "{fields:?}");
        }
        assert!(judged(Method::POST, &[(site, "cross-site")]));
        assert!(judged(Method::POST, &[(origin, "https://evil.example")]));
        assert!(!judged(Method::POST, &[(origin, "null")]));
        assert!(!judged(Method::POST, &[(origin, "https://a.example")]));
    }
}
