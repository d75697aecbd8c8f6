//! What an app's answer may not say to a browser.

use http::{HeaderName, HeaderValue, Version, header};
use pingora::http::ResponseHeader;

use super::forwarding::listed;
use crate::signin::CookieNames;

/// Fields that concern one hop only (RFC 9110, section 7.6.1); pingora leaves them in answers.
static HOP_BY_HOP: [HeaderName; 6] = [
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
];

/// Fields by which caches of content networks overrule `Cache-Control`.
const CACHE_OVERRIDES: &[&str] = &["surrogate-control", "x-accel-expires", "edge-control"];

/// What such fields end in: RFC 9213 and the ones of single networks.
const CACHE_OVERRIDE_SUFFIX: &str = "cdn-cache-control";

/// Mends the head of an app's answer. `signed_in` tells whether it is meant for one person.
///
/// # Errors
/// When pingora cannot change a header.
pub(super) fn mend(response: &mut ResponseHeader, names: &CookieNames, signed_in: bool) -> pingora::Result<()> {
    // RFC 9110, section 2.5: the version is that of this hop, whatever the app speaks.
    response.set_version(Version::HTTP_11);
    strip_hop_by_hop(response);
    let mut set = response.headers.get_all(header::SET_COOKIE).iter();
    if set.any(|cookie| names.would_be_set_by(cookie.as_bytes())) {
        let cookies: Vec<HeaderValue> = response.headers.get_all(header::SET_COOKIE).iter().cloned().collect();
        response.remove_header(&header::SET_COOKIE);
        for cookie in cookies.into_iter().filter(|cookie| !names.would_be_set_by(cookie.as_bytes())) {
            response.append_header(header::SET_COOKIE, cookie)?;
        }
    }
    if signed_in {
        keep_out_of_shared_caches(response)?;
    }
    Ok(())
}

fn strip_hop_by_hop(response: &mut ResponseHeader) {
    let upgrading = response.status.as_u16() == 101;
    let nominated = listed(&response.headers, &header::CONNECTION).map(str::to_ascii_lowercase);
    // The first two are no names of fields; the others frame the answer, and an app that nominates them is not taken
    // at its word.
    let nominated = nominated.filter(|name| {
        let name = name.as_str();
        !matches!(
            name,
            "close" | "keep-alive" | "content-length" | "transfer-encoding" | "set-cookie" | "cache-control"
        )
    });
    let nominated: Vec<String> = nominated.collect();
    // Few answers have any.
    if response.headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        for name in &HOP_BY_HOP {
            response.remove_header(name);
        }
    }
    for name in nominated.iter().map(String::as_str) {
        if !(upgrading && name == "upgrade") {
            response.remove_header(name);
        }
    }
    if !upgrading {
        response.remove_header(&header::UPGRADE);
    }
}

/// No cache may keep the answer, whatever the app says.
///
/// # Errors
/// When pingora cannot change a header.
pub(super) fn forbid_storing(response: &mut ResponseHeader) -> pingora::Result<()> {
    strip_cache_overrides(response);
    response.insert_header(header::CACHE_CONTROL, "private, no-store")
}

fn strip_cache_overrides(response: &mut ResponseHeader) {
    let overrules =
        |name: &&HeaderName| CACHE_OVERRIDES.contains(&name.as_str()) || name.as_str().ends_with(CACHE_OVERRIDE_SUFFIX);
    let overruling: Vec<HeaderName> = response.headers.keys().filter(overrules).cloned().collect();
    for name in &overruling {
        response.remove_header(name);
    }
}

/// Whatever shared caches may keep becomes `private` (RFC 9111, section 5.2.2.7).
fn keep_out_of_shared_caches(response: &mut ResponseHeader) -> pingora::Result<()> {
    strip_cache_overrides(response);
    let said = || listed(&response.headers, &header::CACHE_CONTROL);
    let says_nothing = said().next().is_none();
    if says_nothing && is_page(response) {
        // A page about a person of which the app says nothing: browsers would keep it by guess, and show it
        // to the next person who presses the back button.
        return response.insert_header(header::CACHE_CONTROL, "private, no-store");
    }
    let is = |directive: &str, name: &str| directive.eq_ignore_ascii_case(name);
    if said().any(|directive| is(directive, "private") || is(directive, "no-store"))
        // RFC 9111, section 5.2.2.3: who knows `must-understand` disregards `no-store` beside it.
        && !said().any(|directive| is(directive, "public") || is(directive, "must-understand"))
    {
        return Ok(());
    }
    if says_nothing {
        return response.insert_header(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    let shared = |directive: &&str| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        is(name, "public") || is(name, "s-maxage") || is(name, "proxy-revalidate") || is(name, "private")
    };
    let kept = said().filter(|directive| !shared(directive));
    let value = std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ");
    response.insert_header(header::CACHE_CONTROL, value)
}

fn is_page(response: &ResponseHeader) -> bool {
    let media_type =
        response.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Scheme;

    fn mended(status: u16, fields: &[(&'static str, &'static str)], signed_in: bool) -> Vec<(String, String)> {
        let mut response = ResponseHeader::build(status, None).unwrap();
        for (name, value) in fields {
            response.append_header(*name, *value).unwrap();
        }
        mend(&mut response, &CookieNames::new(Scheme::Https), signed_in).unwrap();
        response.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
    }

    fn cache_control(said: &'static str) -> String {
        mended(200, &[("Cache-Control", said)], true).remove(0).1
    }

    #[test]
    fn an_app_cannot_set_our_cookies_and_keeps_its_own() {
        let left = mended(
            200,
            &[("Set-Cookie", "a=1"), ("Set-Cookie", "__Host-schoolgate=x; Path=/; Secure"), ("Set-Cookie", "b=2")],
            false,
        );
        assert_eq!(left, [("set-cookie".into(), "a=1".into()), ("set-cookie".into(), "b=2".into())]);
    }

    #[test]
    fn hop_by_hop_fields_end_here() {
        let fields = &[
            ("Keep-Alive", "timeout=5"),
            ("Connection", "X-Internal, close"),
            ("X-Internal", "1"),
            ("Upgrade", "h2c"),
            ("X-Other", "2"),
        ];
        let left = mended(200, fields, false);
        let names: Vec<_> = left.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.contains(&"connection") && names.contains(&"x-other"));
        let upgrade = &[("Connection", "Upgrade"), ("Upgrade", "websocket")];
        assert_eq!(mended(101, upgrade, false).len(), 2);
    }

    #[test]
    fn a_page_about_a_person_of_which_the_app_says_nothing_is_not_kept() {
        let html = ("Content-Type", "Text/HTML; charset=utf-8");
        let said = |fields: &[(&'static str, &'static str)]| {
            let left = mended(200, fields, true);
            left.into_iter().find(|(name, _)| name == "cache-control").unwrap().1
        };
        assert_eq!(said(&[html]), "private, no-store");
        assert_eq!(said(&[html, ("Cache-Control", "max-age=60")]), "private, max-age=60");
        assert_eq!(said(&[("Content-Type", "image/png")]), "private");
        assert!(!mended(200, &[html], false).iter().any(|(name, _)| name == "cache-control"));
    }

    #[test]
    fn answers_for_one_person_stay_out_of_shared_caches() {
        assert_eq!(cache_control("public, max-age=60"), "private, max-age=60");
        assert_eq!(cache_control("max-age=60, s-maxage=600"), "private, max-age=60");
        assert_eq!(cache_control("Public"), "private");
        assert_eq!(cache_control("private=\"x-a\", max-age=1"), "private, max-age=1");
        assert_eq!(cache_control("private, public"), "private");
        assert_eq!(cache_control("no-store"), "no-store");
        assert_eq!(cache_control("must-understand, no-store"), "private, must-understand, no-store");
        assert_eq!(cache_control("private, max-age=5"), "private, max-age=5");
        assert_eq!(
            mended(200, &[("CDN-Cache-Control", "max-age=9")], true),
            [("cache-control".into(), "private".into())]
        );
        assert_eq!(mended(200, &[("Cache-Control", "public")], false)[0].1, "public");
    }
}
