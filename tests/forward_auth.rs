//! `/.schoolgate/auth`: a web server in front of the apps asks the gateway whether a request may pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot set up has failed")]

mod support;

use support::{Answer, Browser, HOST, Request, World, world::at};

/// The list that has the tests' own address.
const LISTED: (&str, &str) = ("server", "trusted_proxies = [\"127.0.0.1/32\"]");

/// What stands on every answer of the gateway itself.
const STANDARD: &[&str] = &[
    "cache-control",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "connection",
    "referrer-policy",
    "x-content-type-options",
    "x-request-id",
];

async fn world(lines: &[(&str, &str)]) -> World {
    World::with(&[&[LISTED], lines].concat()).await
}

/// A question; web servers call the gateway by a name of their own.
fn question() -> Request {
    Request::get("/.schoolgate/auth").header("Host", "127.0.0.1:8080")
}

/// As nginx asks.
fn form_a(method: &str, path: &str) -> Request {
    question().header("X-Original-URL", &at(path)).header("X-Original-Method", method)
}

/// As Traefik and Caddy ask.
fn form_b(method: &str, path: &str) -> Request {
    question().header("X-Forwarded-Method", method).header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", path)
}

/// Asks with the cookies of a browser.
async fn ask(browser: &mut Browser, request: Request) -> Answer {
    browser.send(&at("/"), request, false).await
}

fn names(answer: &Answer) -> Vec<String> {
    let mut names: Vec<_> = answer.headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.retain(|name| !STANDARD.contains(&name.as_str()));
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_in_is_told_by_exactly_the_headers_of_the_app() {
    let world = world(&[]).await;
    let mut browser = world.signed_in("teacher-1").await;
    browser.open(&at("/page")).await;
    let told = world.echo.last();
    for request in [form_a("GET", "/page?x=1"), form_b("GET", "/page?x=1"), form_b("POST", "/page")] {
        let answer = ask(&mut browser, request).await;
        assert_eq!((answer.status, &*answer.text()), (200, ""), "{answer:?}");
        for name in ["x-forwarded-user", "x-forwarded-email", "x-forwarded-access-token", "x-schoolgate-scopes"] {
            assert_eq!(answer.header(name), told.header(name), "{name}");
        }
        let mut expected: Vec<_> = ["x-forwarded-user", "x-forwarded-email", "x-forwarded-access-token"].to_vec();
        expected.extend(
            ["x-schoolgate-organization", "x-schoolgate-scopes"].iter().filter(|name| told.header(name).is_some()),
        );
        expected.sort_unstable();
        assert_eq!(names(&answer), expected, "{answer:?}");
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nginx_hears_401_and_where_to_sign_in_and_never_a_redirect_or_a_cookie() {
    let world = world(&[("routes", "[[app.route]]\npath = \"/always\"\nunauthenticated = \"redirect\"")]).await;
    for path in ["/page", "/always"] {
        let answer = form_a("GET", path).navigation().send(world.address).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        let expected = format!("Schoolgate sign_in=\"https://{HOST}/.schoolgate/sign-in?return_to={path}\"");
        assert_eq!(answer.header("www-authenticate"), Some(&*expected));
        assert_eq!(names(&answer), ["www-authenticate"]);
    }
    let mut browser = world.signed_in("teacher-1").await;
    let answer = ask(&mut browser, form_a("GET", "/classes").navigation()).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.header("www-authenticate").unwrap().contains("error=\"insufficient_scope\""));
    assert_eq!(names(&answer), ["www-authenticate"]);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_form_is_answered_as_the_gateway_itself_would() {
    let world = world(&[]).await;
    let mut browser = world.browser();
    let answer = ask(&mut browser, form_b("GET", "/page?x=1").navigation()).await;
    assert_eq!(answer.status, 302, "{answer:?}");
    // The way back is that of the request that was asked about, and the cookie is the browser's.
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    let answer = browser.open(&callback).await;
    assert_eq!((answer.status, answer.location()), (303, "/page?x=1"));
    assert_eq!(ask(&mut browser, form_b("GET", "/page")).await.status, 200);
    let post = form_b("POST", "/page").navigation().send(world.address).await;
    assert_eq!(post.status, 303, "{post:?}");
    let script = form_b("GET", "/page").send(world.address).await;
    assert_eq!(script.status, 401);
    assert!(script.header("www-authenticate").unwrap().contains("sign_in="));
    let staff = ask(&mut browser, form_b("GET", "/staff").navigation()).await;
    assert_eq!((staff.status, staff.header("content-type")), (403, Some("text/html; charset=utf-8")));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_are_those_of_requests_that_the_gateway_proxies() {
    let methods = "[[app.route]]\npath = \"/read\"\naccess = \"public\"\nmethods = [\"GET\"]";
    let world = world(&[("routes", methods), ("app", "max_body = \"1KiB\"")]).await;
    let mut anna = world.signed_in("teacher-1").await;
    let mut nobody = world.browser();
    for (method, path, stranger, signed_in) in [
        ("GET", "/public/x", [200, 200], [200, 200]),
        ("GET", "/optional", [200, 200], [200, 200]),
        ("GET", "/page", [401, 401], [200, 200]),
        ("GET", "/staff", [401, 401], [403, 403]),
        ("GET", "/read", [200, 200], [200, 200]),
        ("HEAD", "/read", [200, 200], [200, 200]),
        ("POST", "/read", [401, 401], [200, 200]),
        ("GET", "/PUBLIC", [403, 400], [403, 400]),
        ("GET", "/public;x", [403, 400], [403, 400]),
        ("GET", "/.schoolgate/me", [403, 400], [403, 400]),
        ("GET", "/.schoolgate/auth", [403, 400], [403, 400]),
        ("GET", "/.SchoolGate/sign-out", [403, 400], [403, 400]),
        ("GET", "/public/../page", [403, 400], [403, 400]),
        ("GET", "/public%2f..%2fpage", [403, 400], [403, 400]),
        ("GET", "/public#/page", [403, 400], [403, 400]),
        ("TRACE", "/public", [403, 400], [403, 400]),
        ("get", "/public", [403, 400], [403, 400]),
    ] {
        for (browser, expected) in [(&mut nobody, stranger), (&mut anna, signed_in)] {
            let a = ask(browser, form_a(method, path)).await;
            let b = ask(browser, form_b(method, path)).await;
            assert_eq!([a.status, b.status], expected, "{method} {path}: {a:?} {b:?}");
        }
    }
    let public = ask(&mut anna, form_a("GET", "/public/x")).await;
    assert_eq!(names(&public), [""; 0], "a public route looks at no session");
    let optional = ask(&mut anna, form_a("GET", "/optional")).await;
    assert!(optional.header("x-forwarded-user").is_some());
    world.stop().await;
}
