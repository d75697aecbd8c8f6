//! What an app's answer may not say to a browser.

use http::{HeaderName, HeaderValue, StatusCode, header};
use pingora::{Error, ErrorType};

use super::{Gateway, exchange::Exchange, fields::AnswerFields};
use crate::{policy::Admission, signin::CookieNames};

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

/// No cache may keep it.
const NO_STORE: HeaderValue = HeaderValue::from_static("private, no-store");

/// What such fields end in: RFC 9213 and the ones of single networks.
const CACHE_OVERRIDE_SUFFIX: &str = "cdn-cache-control";

/// `100 Continue` and its kin are no answer yet.
pub(super) fn is_final(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}

impl Gateway {
    /// Changes the head of an app's answer to what its browser may have.
    ///
    /// # Errors
    /// When a header cannot be changed.
    pub(super) fn mend_answer(
        &self,
        answer: &mut impl AnswerFields,
        exchange: &Exchange,
        admission: &Admission,
    ) -> pingora::Result<()> {
        mend(answer, self.signin.cookie_names(), admission.session().is_some())?;
        self.label_cookies(answer, admission.app(), exchange)?;
        if !is_final(answer.status()) {
            return Ok(());
        }
        if let Some(hsts) = self.settings.hsts.and_then(|hsts| hsts.to_string().parse().ok()) {
            // In the place of the app's: browsers look at the first only, and whoever ends TLS answers for it.
            answer.insert(header::STRICT_TRANSPORT_SECURITY, hsts)?;
        }
        exchange.farewell().map_or(Ok(()), |farewell| farewell.onto(answer))
    }
}

/// Mends the head of an app's answer. `signed_in` tells whether it is meant for one person.
///
/// # Errors
/// When a header cannot be changed.
fn mend(answer: &mut impl AnswerFields, names: &CookieNames, signed_in: bool) -> pingora::Result<()> {
    strip_hop_by_hop(answer);
    if answer.values(&header::SET_COOKIE).any(|cookie| names.would_be_set_by(cookie)) {
        for cookie in take(answer, &header::SET_COOKIE)? {
            if !names.would_be_set_by(cookie.as_bytes()) {
                answer.append(header::SET_COOKIE, cookie)?;
            }
        }
    }
    if signed_in {
        keep_out_of_shared_caches(answer)?;
    }
    Ok(())
}

/// Takes all fields of a name out.
///
/// # Errors
/// When a value is none, which whoever read the answer has seen to.
pub(super) fn take(answer: &mut impl AnswerFields, name: &HeaderName) -> pingora::Result<Vec<HeaderValue>> {
    let values = answer.values(name).map(HeaderValue::from_bytes).collect::<Result<_, _>>();
    answer.remove(name);
    values.map_err(|error| Error::because(ErrorType::InvalidHTTPHeader, "a value of the app's answer", error).into_up())
}

fn strip_hop_by_hop(answer: &mut impl AnswerFields) {
    let upgrading = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    // The first two are no names of fields; the others frame the answer, and an app that nominates them is not taken
    // at its word.
    let nominated = answer.listed(&header::CONNECTION).filter(|name| {
        let kept = ["close", "keep-alive", "content-length", "transfer-encoding", "set-cookie", "cache-control"];
        !kept.iter().any(|kept| kept.eq_ignore_ascii_case(name))
    });
    let nominated: Vec<HeaderName> = nominated.filter_map(|name| name.parse().ok()).collect();
    // Few answers have any.
    let is_one = |name: &str| HOP_BY_HOP.iter().any(|one| one.as_str().eq_ignore_ascii_case(name));
    if answer.names().any(is_one) {
        for name in &HOP_BY_HOP {
            answer.remove(name);
        }
    }
    for name in nominated {
        if !(upgrading && name == header::UPGRADE) {
            answer.remove(&name);
        }
    }
    if !upgrading {
        answer.remove(&header::UPGRADE);
    }
}

/// No cache may keep the answer, whatever the app says.
///
/// # Errors
/// When a header cannot be changed.
pub(super) fn forbid_storing(answer: &mut impl AnswerFields) -> pingora::Result<()> {
    strip_cache_overrides(answer);
    answer.insert(header::CACHE_CONTROL, NO_STORE)
}

fn strip_cache_overrides(answer: &mut impl AnswerFields) {
    let overrules = |name: &&str| {
        let end = name.len().checked_sub(CACHE_OVERRIDE_SUFFIX.len()).and_then(|start| name.get(start..));
        CACHE_OVERRIDES.iter().any(|one| one.eq_ignore_ascii_case(name))
            || end.is_some_and(|end| end.eq_ignore_ascii_case(CACHE_OVERRIDE_SUFFIX))
    };
    let overruling: Vec<HeaderName> = answer.names().filter(overrules).filter_map(|name| name.parse().ok()).collect();
    for name in &overruling {
        answer.remove(name);
    }
}

/// Whatever shared caches may keep becomes `private` (RFC 9111, section 5.2.2.7).
fn keep_out_of_shared_caches(answer: &mut impl AnswerFields) -> pingora::Result<()> {
    strip_cache_overrides(answer);
    let said = || answer.listed(&header::CACHE_CONTROL);
    let says_nothing = said().next().is_none();
    if says_nothing && is_page(answer) {
        // A page about a person of which the app says nothing: browsers would keep it by guess, and show it
        // to the next person who presses the back button.
        return answer.insert(header::CACHE_CONTROL, NO_STORE);
    }
    let is = |directive: &str, name: &str| directive.eq_ignore_ascii_case(name);
    if said().any(|directive| is(directive, "private") || is(directive, "no-store"))
        // RFC 9111, section 5.2.2.3: who knows `must-understand` disregards `no-store` beside it.
        && !said().any(|directive| is(directive, "public") || is(directive, "must-understand"))
    {
        return Ok(());
    }
    if says_nothing {
        return answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    }
    let shared = |directive: &&str| {
        let name = directive.split('=').next().unwrap_or_default().trim();
        is(name, "public") || is(name, "s-maxage") || is(name, "proxy-revalidate") || is(name, "private")
    };
    let kept = said().filter(|directive| !shared(directive));
    let value = std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ");
    let value = HeaderValue::from_str(&value).map_err(|_| Error::new(ErrorType::InvalidHTTPHeader))?;
    answer.insert(header::CACHE_CONTROL, value)
}

fn is_page(answer: &impl AnswerFields) -> bool {
    let media_type = answer.text(&header::CONTENT_TYPE).unwrap_or_default();
    media_type.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html"))
}

#[cfg(test)]
mod tests {
    use pingora::http::ResponseHeader;

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
