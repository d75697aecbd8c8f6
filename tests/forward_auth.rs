//! `/.schoolgate/auth`: a web server in front of the apps asks the gateway whether a request may pass.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use schoolgate::demo::{Endpoint, Trouble};
use support::{Answer, Browser, Connection, HOST, Request, Site, World, world::at};
use tokio::net::TcpSocket;

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

#[tokio::test]
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
}

#[tokio::test]
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
}

#[tokio::test]
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
}

#[tokio::test]
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
}

#[tokio::test]
async fn who_is_not_listed_gets_403_whatever_they_have() {
    let nobody_listed = World::start().await;
    let mut browser = nobody_listed.signed_in("teacher-1").await;
    for request in
        [form_a("GET", "/page"), form_b("GET", "/public"), question(), Request::new("POST", "/.schoolgate/auth")]
    {
        let answer = ask(&mut browser, request.navigation()).await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        assert!(answer.text().contains("not in trusted_proxies"), "{answer:?}");
        assert_eq!(names(&answer), [""; 0], "{answer:?}");
    }
    let listed = world(&[]).await;
    let browser = listed.signed_in("teacher-1").await;
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let asked = form_a("GET", "/page").header("Cookie", &cookie);
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stranger = Connection::over(socket.connect(listed.address).await.unwrap());
    stranger.write(&asked.bytes()).await;
    assert_eq!(stranger.answer().await.status, 403);
    // A balancer passes on the words of whom it names; and of whom it does not name.
    for (header, status) in [
        ("PROXY TCP4 203.0.113.9 127.0.0.1 1 2\r\n", 403),
        ("PROXY UNKNOWN\r\n", 403),
        ("PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n", 200),
    ] {
        let mut connection = Connection::open(listed.address).await;
        connection.write(&[header.as_bytes(), &asked.bytes()].concat()).await;
        assert_eq!(connection.answer().await.status, status, "{header}");
    }
}

#[tokio::test]
async fn another_spelling_of_the_question_is_a_clients_and_no_web_servers() {
    let world = world(&[]).await;
    let mut browser = world.signed_in("teacher-1").await;
    for (path, status) in [
        ("/.schoolgate/auth", 200),
        ("/.schoolgate/auth?", 200),
        ("http://127.0.0.1:8080/.schoolgate/auth", 200),
        ("/.schoolgate/%61uth", 403),
        ("/%2eschoolgate/auth", 403),
        ("/.schoolgate/%61uth?/.schoolgate/auth", 403),
        ("http://127.0.0.1:8080/.schoolgat%65/auth", 403),
    ] {
        let request = Request::get(path).header("Host", "127.0.0.1:8080").header("X-Original-URL", &at("/page"));
        let answer = ask(&mut browser, request).await;
        assert_eq!(
            (answer.status, answer.header("x-forwarded-access-token").is_some()),
            (status, status == 200),
            "{path}"
        );
    }
}

#[tokio::test]
async fn it_answers_by_whatever_name_it_is_called_and_to_get_and_head_alone() {
    let world = world(&[]).await;
    for host in ["127.0.0.1", "gateway.internal:8080", HOST] {
        let request = Request::get("/.schoolgate/auth").header("Host", host).header("X-Original-URL", &at("/public"));
        assert_eq!(request.send(world.address).await.status, 200, "{host}");
        // The host of a request that is asked about is judged with it, not before it.
        for forwarded in ["evil.example", "a b", ""] {
            let request =
                Request::get("/.schoolgate/auth").header("Host", host).header("X-Original-URL", &at("/public"));
            let answer = request.header("X-Forwarded-Host", forwarded).send(world.address).await;
            assert_eq!(answer.status, 403, "{answer:?}");
        }
    }
    let head =
        Request::new("HEAD", "/.schoolgate/auth").header("Host", "gateway").header("X-Original-URL", &at("/public"));
    assert_eq!(head.send(world.address).await.status, 200);
    for method in ["POST", "OPTIONS", "PUT"] {
        let request = Request::new(method, "/.schoolgate/auth").header("X-Original-URL", &at("/public"));
        let answer = request.header("Host", "gateway").send(world.address).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    }
    for path in ["/.schoolgate/auth/", "/.schoolgate/Auth", "/.schoolgate/auth;x", "/.schoolgate/auth/public"] {
        let request = Request::get(path).header("Host", "gateway").header("X-Original-URL", &at("/public"));
        assert_eq!(request.send(world.address).await.status, 421, "{path}");
        let request = Request::get(path).header("Host", HOST).header("X-Original-URL", &at("/public"));
        assert_ne!(request.send(world.address).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn an_unknown_host_is_nobodys() {
    let world = world(&[]).await;
    for host in ["evil.example", "127.0.0.1", "xlibrary.school.example", "library.school.example.evil.example"] {
        let a = question().header("X-Original-URL", &format!("https://{host}/public"));
        let b = question().header("X-Forwarded-Host", host).header("X-Forwarded-Uri", "/public");
        let statuses = [a.send(world.address).await.status, b.send(world.address).await.status];
        assert_eq!(statuses, [403, 421], "{host}");
    }
}

#[tokio::test]
async fn cve_2026_40575_ghsa_5wcc_hf24_rf5h_what_a_client_adds_opens_nothing() {
    let world = world(&[]).await;
    // The web server says what is asked for; its client adds what would be let in.
    for (name, value) in [
        ("X-Forwarded-Uri", "/public"),
        ("X-Forwarded-Host", "other.school.example"),
        ("X-Forwarded-Method", "OPTIONS"),
        ("X-Original-URL", "https://library.school.example/public"),
        ("X-Original-Method", "OPTIONS"),
        ("X-Original-URI", "/public"),
        ("X-Original-URI", "/.schoolgate/sign-in"),
        ("X_Original_URL", "https://library.school.example/public"),
        ("X-Original_URL", "https://library.school.example/public"),
        ("X_Forwarded_Uri", "/public"),
        ("HTTP_X_FORWARDED_URI", "/public"),
        ("X-Rewrite-URL", "/public"),
        ("X-Forwarded-Prefix", "/public"),
        ("X-Forwarded-Path", "/public"),
        ("Forwarded", "host=other.school.example"),
        ("X-HTTP-Method-Override", "OPTIONS"),
    ] {
        for asked in [form_a("GET", "/page"), form_b("GET", "/page")] {
            let answer = asked.header(name, value).send(world.address).await;
            assert!(matches!(answer.status, 400 | 401 | 403), "{name}: {value}: {answer:?}");
        }
    }
    // A server that overwrites one form alone, and a client that sends the other.
    let both = form_a("GET", "/page").header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", "/public");
    assert_eq!(both.send(world.address).await.status, 400);
    let agree = form_a("GET", "/public").header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", "/public");
    assert_eq!(agree.send(world.address).await.status, 200);
}

#[tokio::test]
async fn cve_2021_32637_what_cannot_be_read_is_never_let_in() {
    let world = world(&[("routes", "[[app.route]]\npath = \"/%25\"\naccess = \"public\"")]).await;
    let mut browser = world.signed_in("teacher-1").await;
    let urls = [
        "",
        "/public",
        "public",
        "library.school.example/public",
        "//library.school.example/public",
        "ftp://library.school.example/public",
        "javascript://library.school.example/public",
        "https://library.school.example/%",
        "https://library.school.example/%zz",
        "https://library.school.example/public%2f",
        "https://library.school.example/public%5c",
        "https://library.school.example/public%00",
        "https://library.school.example/public/..",
        "https://library.school.example/public/%2e%2e/page",
        "https://library.school.example/public/..;/page",
        "https://library.school.example//public",
        "https://library.school.example/public\\page",
        "https://library.school.example/public#/page",
        "https://library.school.example#/public",
        "https://library.school.example@evil.example/public",
        "https://user:word@library.school.example/public",
        "https://library.school.example:99999/public",
        "https://library.school.example/public, https://library.school.example/public",
        "https://library.school.example/public,https://library.school.example/public",
        "https://library.school.example/public page",
        "https://library.school.example/public\u{fc}",
        "https://[::1/public",
        "https:///public",
    ];
    for url in urls {
        let a = ask(&mut browser, question().header("X-Original-URL", url)).await;
        assert_eq!(a.status, 403, "{url}: {a:?}");
        let uri = url.strip_prefix("https://library.school.example").unwrap_or(url);
        if uri != "/public" {
            let b = question().header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", uri);
            let b = ask(&mut browser, b).await;
            assert_eq!(b.status, 400, "{uri}: {b:?}");
        }
    }
    for fields in [
        &[][..],
        &[("X-Forwarded-Uri", "/public")],
        &[("X-Forwarded-Host", HOST)],
        &[("X-Forwarded-Host", HOST), ("X-Forwarded-Method", "GET")],
        &[("X-Forwarded-Host", HOST), ("X-Forwarded-Uri", "/public"), ("X-Original-Method", "GET")],
        &[("X-Forwarded-Host", "library.school.example, evil.example"), ("X-Forwarded-Uri", "/public")],
        &[("X-Forwarded-Host", HOST), ("X-Forwarded-Host", HOST), ("X-Forwarded-Uri", "/public")],
        &[("X-Forwarded-Host", HOST), ("X-Forwarded-Uri", "/public"), ("X-Forwarded-Uri", "/public")],
        &[("X-Forwarded-Host", HOST), ("X-Forwarded-Uri", "https://library.school.example/public")],
        &[("X-Forwarded-Host", HOST), ("X_Forwarded_Uri", "/public")],
        &[("X_Forwarded-Host", HOST), ("X-Forwarded-Uri", "/public")],
        &[("X_Original_URL", "https://library.school.example/public")],
        &[("HTTP_X_ORIGINAL_URL", "https://library.school.example/public")],
        &[("X-Forwarded-Host", HOST), ("X-Forwarded-Uri", "/public"), ("X_Forwarded_Method", "GET")],
    ] {
        let request = fields.iter().fold(question(), |request, (name, value)| request.header(name, value));
        let answer = ask(&mut browser, request).await;
        assert_eq!(answer.status, 400, "{fields:?}: {answer:?}");
    }
}

#[tokio::test]
async fn cve_2026_25748_a_broken_cookie_is_no_session() {
    let world = world(&[]).await;
    let browser = world.signed_in("teacher-1").await;
    let good = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    for cookie in [
        "__Host-schoolgate=".to_owned(),
        "__Host-schoolgate".to_owned(),
        "__Host-schoolgate=%%%;;;=".to_owned(),
        format!("__Host-schoolgate={}", &good[1..]),
        format!("__Host-schoolgate={good}x"),
        format!("__Host-schoolgate=\"{good}\""),
        format!("schoolgate={good}"),
        format!("__host-schoolgate={good}"),
        format!("__Host-schoolgate={good}; __Host-schoolgate={}", good.to_ascii_lowercase()),
    ] {
        for asked in [form_a("GET", "/page"), form_b("GET", "/page")] {
            let answer = asked.header("Cookie", &cookie).send(world.address).await;
            assert_eq!(answer.status, 401, "{cookie}: {answer:?}");
            assert!(names(&answer).iter().all(|name| name == "www-authenticate"), "{answer:?}");
        }
    }
    let answer =
        form_a("GET", "/page").header("Cookie", &format!("__Host-schoolgate={good}")).send(world.address).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn cve_2026_34457_no_name_of_a_program_opens_anything() {
    let world = world(&[]).await;
    for agent in ["GoogleHC/1.0", "kube-probe/1.30", "ELB-HealthChecker/2.0", "Amazon-Route53-Health-Check-Service"] {
        for asked in [form_a("GET", "/page"), form_b("GET", "/page")] {
            assert_eq!(asked.header("User-Agent", agent).send(world.address).await.status, 401, "{agent}");
        }
    }
}

#[tokio::test]
async fn without_a_method_only_an_app_whose_rules_name_none_is_judged() {
    let plain = world(&[]).await;
    let strict =
        world(&[("routes", "[[app.route]]\npath = \"/read\"\naccess = \"public\"\nmethods = [\"GET\"]")]).await;
    let a = |path: &str| question().header("X-Original-URL", &at(path));
    let b = |path: &str| question().header("X-Forwarded-Host", HOST).header("X-Forwarded-Uri", path);
    for path in ["/public", "/read"] {
        let status = if path == "/public" { 200 } else { 401 };
        assert_eq!(a(path).send(plain.address).await.status, status);
        assert_eq!(b(path).send(plain.address).await.status, status);
        assert_eq!(a(path).send(strict.address).await.status, 403);
        assert_eq!(b(path).send(strict.address).await.status, 400);
        assert_eq!(form_b("GET", path).send(strict.address).await.status, 200);
        // The app might act on the other method.
        for name in ["X-HTTP-Method-Override", "X_HTTP_Method", "X-Method-Override"] {
            assert_eq!(form_b("GET", path).header(name, "DELETE").send(strict.address).await.status, 400, "{name}");
        }
    }
}

#[tokio::test]
async fn a_verdict_has_no_other_status_than_nginx_understands() {
    let world =
        world(&[("routes", "[[app.route]]\npath = \"/read\"\nmethods = [\"GET\"]\n[[app.route]]\npath = \"/read/x\"")])
            .await;
    let mut browser = world.signed_in("teacher-1").await;
    for (method, path) in
        [("GET", "/.schoolgate/x"), ("BREW", "/staff"), ("CONNECT", "/x"), ("GET", "/READ"), ("GET", "/%2e")]
    {
        for browser in [&mut world.browser(), &mut browser] {
            let answer = ask(browser, form_a(method, path).navigation()).await;
            assert!(matches!(answer.status, 401 | 403), "{method} {path}: {answer:?}");
            assert!(names(&answer).iter().all(|name| name == "www-authenticate"), "{answer:?}");
            assert_eq!(answer.text(), "");
        }
    }
}

#[tokio::test]
async fn the_apps_sign_out_ends_the_session_here_too() {
    let world = world(&[("app", "sign_out_paths = [\"/logout.php\"]")]).await;
    for asked in [form_a("GET", "/logout.php"), form_b("POST", "/logout.php")] {
        let mut browser = world.signed_in("teacher-1").await;
        let guess = form_a("GET", "/logout.php").header("Sec-Purpose", "prefetch");
        assert_eq!(ask(&mut browser, guess).await.status, 503);
        assert_eq!(ask(&mut browser, form_a("HEAD", "/logout.php")).await.status, 200);
        assert_eq!(ask(&mut browser, form_a("GET", "/page")).await.status, 200);
        let answer = ask(&mut browser, asked).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.header("x-forwarded-user").is_some() && answer.header("set-cookie").is_none(), "{answer:?}");
        assert_eq!(ask(&mut browser, form_a("GET", "/page")).await.status, 401);
        // Nobody is there any more: the browser of form B hears it.
        let b = ask(&mut browser, form_b("GET", "/logout.php")).await;
        assert_eq!((b.status, b.header("clear-site-data")), (401, Some("\"cache\"")));
        assert_eq!(names(&ask(&mut browser, form_a("GET", "/logout.php")).await), ["www-authenticate"]);
    }
}

#[tokio::test]
async fn an_app_behind_a_web_server_gets_fresh_tokens_too() {
    let world = world(&[]).await;
    let mut browser = world.signed_in("teacher-1").await;
    let token = async |browser: &mut Browser| {
        let answer = ask(browser, form_a("GET", "/page")).await;
        answer.header("x-forwarded-access-token").map(str::to_owned)
    };
    let first = token(&mut browser).await;
    assert!(first.is_some());
    assert_eq!(token(&mut browser).await, first);
    world.clock.advance(Duration::from_secs(3600 + 1));
    let second = token(&mut browser).await;
    assert!(second.is_some() && second != first);
    assert_eq!(ask(&mut browser, form_a("GET", "/no-token")).await.header("x-forwarded-access-token"), None);
    // When Apple gives none, nobody is let in with a dead one.
    world.apple.switches().trouble(Endpoint::Refresh, Trouble::Status(503));
    world.clock.advance(Duration::from_secs(3600 + 1));
    for asked in [form_a("GET", "/page"), form_b("GET", "/page")] {
        let answer = ask(&mut browser, asked).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some() && answer.header("x-forwarded-user").is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn what_stands_against_a_proxied_request_stands_against_this_one() {
    let world = world(&[]).await;
    let mut browser = world.signed_in("teacher-1").await;
    // RFC 6455, section 10.2. Web servers keep `Connection` and `Upgrade` to themselves.
    for (origin, status) in [("https://library.school.example", 200), ("https://evil.example", 403), ("null", 403)] {
        let asked =
            form_a("GET", "/ws").header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").header("Origin", origin);
        assert_eq!(ask(&mut browser, asked.clone()).await.status, status, "{origin}");
        let whole =
            asked.header("Sec-WebSocket-Version", "13").header("Connection", "Upgrade").header("Upgrade", "websocket");
        assert_eq!(ask(&mut browser, whole).await.status, status, "{origin}");
    }
    let socket = form_b("GET", "/ws").navigation().header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    assert_eq!(socket.send(world.address).await.status, 401, "nobody follows a redirect there");
    for (destination, status) in [("/other", 200), ("/staff/x", 403), ("/.schoolgate/x", 403), ("/a/../b", 403)] {
        let asked = form_a("MOVE", "/page").header("Destination", destination);
        assert_eq!(ask(&mut browser, asked).await.status, status, "{destination}");
    }
}

#[tokio::test]
async fn questions_are_no_sign_ins_and_answers_that_begin_one_are_counted_for_the_client() {
    let world = world(&[("server", "sign_in_rate_per_ip = 1")]).await;
    for _ in 0..5 {
        assert_eq!(form_a("GET", "/page").navigation().send(world.address).await.status, 401);
    }
    let of = |client: &str| form_b("GET", "/page").navigation().header("X-Forwarded-For", client);
    let mut statuses = Vec::new();
    for client in ["203.0.113.9", "203.0.113.9", "203.0.113.10"] {
        statuses.push(of(client).send(world.address).await.status);
    }
    assert_eq!(statuses, [302, 429, 302]);
}

#[tokio::test]
async fn the_log_says_what_was_asked_for_whom_and_never_a_query() {
    let site = Site::start().await;
    let program = site.run(&[LISTED]).await;
    let browser = program.signed_in("teacher-1").await;
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    for (asked, status) in [(form_a("GET", "/seen?code=hidden"), 200), (form_b("POST", "/staff/seen?code=hidden"), 403)]
    {
        let asked = asked.header("Cookie", &cookie).header("X-Forwarded-For", "6.6.6.6, 203.0.113.9");
        assert_eq!(asked.send(program.address()).await.status, status);
    }
    let refused = form_a("GET", "/.schoolgate/me?code=hidden").send(program.address()).await;
    assert_eq!(refused.status, 403);
    program.logged("a path of the gateway's own").await;
    let (_, log) = {
        program.terminate().await;
        program.ended().await
    };
    let line = |event: &str, with: &str| {
        let found = log.lines().find(|line| line.contains(&format!("event=\"{event}\"")) && line.contains(with));
        found.unwrap_or_else(|| panic!("no {event} with {with}: {log}")).to_owned()
    };
    for (path, status, method) in [("/seen", "status=200", "method=GET"), ("/staff/seen", "status=403", "method=POST")]
    {
        let line = line("forward_auth", &format!("path=\"{path}\""));
        assert!([status, method, "client=203.0.113.9"].iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(line("forward_auth", "/seen").contains("app=\"library\""));
    line("request", "client=203.0.113.9");
    line("forward_auth_refused", "client=127.0.0.1");
    assert!(!log.contains("hidden") && !log.contains("6.6.6.6"), "{log}");
}

#[tokio::test]
async fn an_apps_own_headers_take_the_place_of_the_usual_ones_and_nothing_of_the_answer() {
    let headers = "headers = { X-Remote-User = \"{sub}\", Authorization = \"Bearer {access_token}\", \
                   X-Role = \"{claim:none}\", Cache-Control = \"public\", Set-Cookie = \"{sub}\" }";
    let world = world(&[("app", headers)]).await;
    let mut browser = world.signed_in("teacher-1").await;
    let answer = ask(&mut browser, form_b("GET", "/page")).await;
    assert_eq!(
        (answer.status, names(&answer)),
        (200, vec!["authorization".into(), "x-remote-user".into()]),
        "{answer:?}"
    );
    assert_eq!(answer.header("x-remote-user"), Some(&*world.subject("teacher-1")));
    assert!(answer.header("authorization").unwrap().starts_with("Bearer "));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    // What the client sent under these names is in no answer.
    let answer =
        form_b("GET", "/public").header("X-Remote-User", "forged").header("X-Role", "forged").send(world.address).await;
    assert_eq!((answer.status, names(&answer)), (200, Vec::new()), "{answer:?}");
}
