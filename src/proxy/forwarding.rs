//! What an app is told about the connection, and what clients may not tell it.

use std::{fmt::Write, sync::LazyLock};

use http::{HeaderName, HeaderValue, header};
use pingora::http::RequestHeader;

use super::{exchange::Facts, fields::Fields};
use crate::{
    policy::{App, Upstream},
    signin::Browser,
    web::{CookieJar, FoldedName, Names, Scheme},
};

/// Fields by which clients tell an app who they are or what they really asked for. An app that believed
/// them would act on another value than the one that was judged (CVE-2026-40575, CVE-2023-36456;
/// `Proxy` is CVE-2016-5385).
static NEVER_FROM_CLIENTS: LazyLock<Names> = LazyLock::new(|| {
    Names::new([
        "forwarded",
        "x-forwarded",
        "x-original-forwarded-for",
        "x-real-ip",
        "client-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "x-remote-ip",
        "x-remote-addr",
        "x-scheme",
        "x-url-scheme",
        "front-end-https",
        "x-original-url",
        "x-original-uri",
        "x-original-host",
        "x-original-method",
        "x-rewrite-url",
        // gunicorn takes these for the WSGI variables when they come from its own machine, as ours do: with
        // `Script-Name: /public` the path `/public/admin` is `/admin` in the app.
        "script-name",
        "path-info",
        "x-script-name",
        "x-path-info",
        // Rack::Sendfile (CVE-2025-61780).
        "x-sendfile-type",
        "x-accel-mapping",
        "x-host",
        "x-request-id",
        "traceparent",
        "tracestate",
        "proxy",
    ])
});

/// Fields by which a client asks for another method than the one that was judged.
const METHOD_OVERRIDES: &[&str] = &["x-http-method-override", "x-http-method", "x-method-override"];

/// Fields that a client may send, and may not have removed on the way to the app after the gateway has read
/// them.
const NOT_REMOVABLE: &[&str] = &["authorization", "content-encoding", "content-type", "cookie", "origin"];

/// The cookies of a request.
pub(super) fn cookies(request: &impl Fields) -> CookieJar<'_> {
    CookieJar::parse(request.values(&header::COOKIE))
}

/// The browser that a request comes from.
pub(super) fn browser<'a>(request: &'a impl Fields, facts: &'a Facts) -> Browser<'a> {
    Browser { host: &facts.host, jar: cookies(request) }
}

/// Takes out of `Connection` what it may not name: a header that the gateway sets, or one that it judged
/// by. The others are removed on the way, as RFC 9110, section 7.6.1, has it.
///
/// # Errors
/// When pingora cannot change a header.
pub(super) fn ignore_nominations(request: &mut RequestHeader, app: &App) -> pingora::Result<()> {
    let matters = |option: &str| {
        let folded = FoldedName::of(option);
        is_stripped(app, option) || folded.as_str().starts_with("sec-") || NOT_REMOVABLE.contains(&folded.as_str())
    };
    if request.listed(&header::CONNECTION).any(matters) {
        let kept = request.listed(&header::CONNECTION).filter(|option| !matters(option));
        let kept = kept.collect::<Vec<_>>().join(", ");
        request.remove_header(&header::CONNECTION);
        if !kept.is_empty() {
            request.insert_header(header::CONNECTION, kept)?;
        }
    }
    Ok(())
}

/// Whether a client's field must not reach the app.
pub(super) fn is_stripped(app: &App, name: &str) -> bool {
    let folded = FoldedName::of(name);
    let known = app.reserves(&folded) || NEVER_FROM_CLIENTS.contains(&folded);
    let folded = folded.as_str();
    known
        || folded.starts_with("x-forwarded-")
        || (METHOD_OVERRIDES.contains(&folded) && app.routes.iter().any(|route| !route.methods.is_empty()))
        // Aliases of `Cookie` would smuggle our own cookies past the next function.
        || (folded == "cookie" && !name.eq_ignore_ascii_case("cookie"))
}

/// Whether a request asks for another method than its own.
pub(super) fn overrides_the_method(request: &RequestHeader) -> bool {
    request.headers.keys().any(|name| METHOD_OVERRIDES.contains(&FoldedName::of(name.as_str()).as_str()))
}

/// Takes away what clients may not say, and each cookie, as name and value, that is kept back.
///
/// # Errors
/// When pingora cannot change a header.
pub(super) fn clean(
    request: &mut RequestHeader,
    app: &App,
    keeps_back: impl Fn(&[u8], &[u8]) -> bool,
) -> pingora::Result<()> {
    let stripped: Vec<HeaderName> =
        request.headers.keys().filter(|name| is_stripped(app, name.as_str())).cloned().collect();
    for name in &stripped {
        request.remove_header(name);
    }
    let kept = cookies(request).without(keeps_back);
    match kept.map(HeaderValue::from_maybe_shared) {
        Some(Ok(mut value)) => {
            value.set_sensitive(true);
            // In the place of all that were there.
            request.insert_header("Cookie", value)
        }
        Some(Err(_)) | None => {
            request.remove_header(&header::COOKIE);
            Ok(())
        }
    }
}

/// The `Host` that an app is told.
pub(super) fn host(facts: &Facts, app: &App, upstream: &Upstream) -> String {
    if app.preserve_host { facts.host.to_string() } else { upstream.authority() }
}

/// Tells the app who connected, how, to which host, and how to find the request again: in the trace, the app comes
/// after `span_id`.
///
/// # Errors
/// Those of `tell`.
pub(super) fn describe<E>(
    facts: &Facts,
    scheme: Scheme,
    span_id: &str,
    mut tell: impl FnMut(&'static str, &str) -> Result<(), E>,
) -> Result<(), E> {
    let mut way = facts.client.to_string();
    for hop in &facts.hops {
        let _ = write!(way, ", {hop}");
    }
    tell("X-Forwarded-For", &way)?;
    tell("X-Forwarded-Proto", facts.scheme.unwrap_or(scheme).as_str())?;
    tell("X-Forwarded-Host", &facts.host.to_string())?;
    tell("X-Request-Id", &facts.request_id)?;
    if let Some(state) = facts.trace.state() {
        tell("tracestate", state)?;
    }
    tell("traceparent", &facts.trace.to_parent(span_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::testing::app, proxy::exchange::tests::facts, signin::CookieNames};

    const NAMES: CookieNames = CookieNames::new(Scheme::Https);

    fn cleaned(fields: &[(&'static str, &str)]) -> RequestHeader {
        let mut request = RequestHeader::build("GET", b"/", None).unwrap();
        for (name, value) in fields {
            request.append_header(*name, *value).unwrap();
        }
        clean(&mut request, &app("a.example"), |name, _| NAMES.are_ours(name)).unwrap();
        request
    }

    #[test]
    fn no_client_tells_an_app_who_it_is() {
        for name in [
            "X-Forwarded-User",
            "x_forwarded_user",
            "HTTP_X_FORWARDED_USER",
            "Remote-User",
            "X-Auth-Request-Email",
            "X-Schoolgate-Assertion",
            "X-Forwarded-For",
            "X_Forwarded_Proto",
            "X-Forwarded-Prefix",
            "Forwarded",
            "X-Original-URL",
            "X-Rewrite-Url",
            "Proxy",
            "Traceparent",
            "X-Request-ID",
            "Coo_kie",
        ] {
            let left = cleaned(&[(name, "evil"), ("Accept", "*/*")]);
            let expected = usize::from(name == "Coo_kie") + 1;
            assert_eq!(left.headers.len(), expected, "{name}");
        }
    }

    #[test]
    fn our_cookies_stay_here_and_the_apps_are_joined() {
        let left = cleaned(&[
            ("Cookie", "__Host-schoolgate=secret; PHPSESSID=1"),
            ("Cookie", "__Host-schoolgate-login-x=y"),
            ("Cookie", "lang=de"),
            ("HTTP_COOKIE", "__Host-schoolgate=secret"),
        ]);
        let all: Vec<_> = left.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(all, [("cookie", "PHPSESSID=1; lang=de")]);
        assert!(cleaned(&[("Cookie", "__Host-schoolgate=secret")]).headers.is_empty());
    }

    #[test]
    fn connection_names_no_header_that_matters() {
        let left = |value: &str| {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            request.insert_header("Connection", value).unwrap();
            ignore_nominations(&mut request, &app("a.example")).unwrap();
            request.headers.get("connection").map(|value| value.to_str().unwrap().to_owned())
        };
        assert_eq!(left("close, X-Forwarded-User").as_deref(), Some("close"));
        assert_eq!(left("X_Forwarded_For"), None);
        assert_eq!(left("Upgrade, Cookie, Sec-WebSocket-Key, X-Custom").as_deref(), Some("Upgrade, X-Custom"));
        assert_eq!(left("keep-alive").as_deref(), Some("keep-alive"));
    }

    #[test]
    fn the_app_learns_of_the_connection_from_us() {
        let described = |facts: &Facts| {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            describe(facts, Scheme::Https, "00f067aa0ba902b7", |name, value| request.insert_header(name, value))
                .unwrap();
            move |name: &str| request.headers.get(name).unwrap().to_str().unwrap().to_owned()
        };
        let value = described(&facts("/"));
        assert_eq!(value("x-forwarded-for"), "127.0.0.1");
        assert_eq!(value("x-forwarded-proto"), "https");
        assert_eq!(value("x-forwarded-host"), "a.example:8443");
        assert_eq!(value("x-request-id"), "0123456789abcdef0123456789abcdef");
        assert_eq!(value("traceparent"), "00-0123456789abcdef0123456789abcdef-00f067aa0ba902b7-01");
        let hops = vec![[10, 0, 0, 2].into(), [10, 0, 0, 1].into()];
        let value = described(&Facts { hops, scheme: Some(Scheme::Http), ..facts("/") });
        assert_eq!(value("x-forwarded-for"), "127.0.0.1, 10.0.0.2, 10.0.0.1");
        assert_eq!(value("x-forwarded-proto"), "http");
    }
}
