//! What a request must be before anybody looks at what it asks for: one reading of its framing, its
//! host, its method and its target.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use support::{Answer, HOST, Request, World, http::Connection};

/// Behind every refused head: what a second reader would take for a request of its own.
const SMUGGLED: &str = "GET /public/smuggled HTTP/1.1\r\nHost: library.school.example\r\n\r\n";

/// Sends bytes; the answer, and whether the connection ended behind it.
async fn raw(world: &World, bytes: impl AsRef<[u8]>) -> (Answer, bool) {
    let mut connection = Connection::open(world.address).await;
    connection.write(bytes.as_ref()).await;
    let answer = connection.answer().await;
    let says_so = answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let closed = says_so && connection.rest().await.is_empty();
    (answer, closed)
}

/// A request for a public page with further head lines.
fn with_lines(lines: &str) -> String {
    format!("POST /public HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n")
}

fn has_protective_headers(name: &str, answer: &Answer) {
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{name}");
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{name}");
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{name}");
    assert!(answer.header("content-security-policy").unwrap().contains("default-src 'none'"), "{name}");
    assert_eq!(answer.header("server"), None, "{name}");
}

#[tokio::test]
async fn a_head_that_can_be_read_in_two_ways_is_refused_and_the_connection_closed() {
    let world = World::start().await;
    for lines in [
        // A length that is not digits alone.
        "Content-Length: +5",
        "Content-Length: -1",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: 5,5",
        "Content-Length: 5;",
        "Content-Length: 5.0",
        "Content-Length:",
        "Content-Length: \u{0665}",
        "Content-Length: 9223372036854775808",
        "Content-Length: 18446744073709551621",
        "Content-Length: 00000000000000000000000000005",
        // Repeated, or beside the other.
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        // Any coding but one `chunked`.
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: \u{b}chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        // Aliases.
        "Transfer_Encoding: chunked",
        "Transfer.Encoding: chunked",
        "Content_Length: 5",
        "content_length: 5",
        "HTTP_CONTENT_LENGTH: 5",
        "HTTP-Transfer-Encoding: chunked",
        "HTTP_HOST: evil.example",
        "HTTP_COOKIE: a=b",
        // White space where none may be, and folded lines.
        "Content-Length : 5",
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Content-Length: 5",
        "X-A: b\r\n folded",
        "X-A: b\r\n\tfolded",
        "X-A:\r\n b",
        // Names that are none.
        ": empty",
        "no colon",
        "X(A): b",
        "X\u{e9}: b",
        "X\"A\": b",
        "X A: b",
        // Line breaks and control characters.
        "X-A: b\nX-B: c",
        "X-A: b\rX-B: c",
        "X-A: b\r\r\nX-B: c",
        "X-A: b\u{0}",
        "X-A: b\u{1}",
        "X-A: b\u{7f}",
        "X-\u{0}A: b",
        // A second host.
        "Host: library.school.example",
        "Host: evil.example",
    ] {
        let (answer, closed) = raw(&world, with_lines(lines) + SMUGGLED).await;
        assert_eq!(answer.status, 400, "{lines:?}");
        assert!(closed, "{lines:?}: the connection goes on");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{lines:?}");
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"), "{lines:?}");
        has_protective_headers(lines, &answer);
    }
    assert_eq!(world.echo.count(), 0, "{:?}", world.echo.seen());
}

#[tokio::test]
async fn a_request_line_or_host_that_can_be_read_in_two_ways_is_refused() {
    let world = World::start().await;
    for (start, status) in [
        ("GET  /public HTTP/1.1\r\nHost: library.school.example", 400),
        ("GET /public  HTTP/1.1\r\nHost: library.school.example", 400),
        ("GET /public HTTP/1.1 \r\nHost: library.school.example", 400),
        (" GET /public HTTP/1.1\r\nHost: library.school.example", 400),
        ("GET\t/public HTTP/1.1\r\nHost: library.school.example", 400),
        ("GET /public\tHTTP/1.1\r\nHost: library.school.example", 400),
        ("GET /public x HTTP/1.1\r\nHost: library.school.example", 400),
        ("GET /public\r\nHost: library.school.example", 400),
        ("GET /public http/1.1\r\nHost: library.school.example", 400),
        ("GET /public HTTP/1.10\r\nHost: library.school.example", 400),
        ("GET /public HTTP/1\r\nHost: library.school.example", 400),
        ("GET /public HTTP/1.2\r\nHost: library.school.example", 505),
        ("GET /public HTTP/2.0\r\nHost: library.school.example", 505),
        // CVE-2021-39162, CVE-2021-39204: HTTP/2 is not spoken.
        ("PRI * HTTP/2.0", 505),
        // CVE-2026-2835: a coding that HTTP/1.0 does not know.
        ("POST /public HTTP/1.0\r\nHost: library.school.example\r\nTransfer-Encoding: chunked", 400),
        ("GET /public HTTP/1.1", 400),
        ("GET /public HTTP/1.0", 400),
        ("GET /public HTTP/1.1\r\nHost:", 400),
        ("GET /public HTTP/1.1\r\nHost: a b", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example, evil.example", 400),
        ("GET /public HTTP/1.1\r\nHost: user@library.school.example", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example/x", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example\\x", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example#x", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example?x", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example:", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example:0", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example:99999", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example:80x", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example:80:80", 400),
        ("GET /public HTTP/1.1\r\nHost: library.school.example..", 400),
        ("GET /public HTTP/1.1\r\nHost: library..school.example", 400),
        ("GET /public HTTP/1.1\r\nHost: library%2eschool.example", 400),
        ("GET /public HTTP/1.1\r\nHost: l\u{ed}brary.school.example", 400),
        ("GET /public HTTP/1.1\r\nHost: [::1", 400),
        ("\r\n\r\nGET /public HTTP/1.1\r\nHost: library.school.example", 400),
    ] {
        let (answer, closed) = raw(&world, format!("{start}\r\n\r\n{SMUGGLED}")).await;
        assert_eq!(answer.status, status, "{start:?}");
        assert!(closed, "{start:?}: the connection goes on");
        has_protective_headers(start, &answer);
    }
    let (answer, closed) = raw(&world, format!("GET /public HTTP/1.1\nHost: {HOST}\n\n{SMUGGLED}")).await;
    assert_eq!((answer.status, closed), (400, true), "bare LF");
    assert_eq!(world.echo.count(), 0, "{:?}", world.echo.seen());
}

#[tokio::test]
async fn a_chunked_body_that_can_be_read_in_two_ways_ends_the_connection_and_smuggles_nothing() {
    let world = World::start().await;
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\rXhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5_\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5;a=b\nGET /public/smuggled HTTP/1.1\r\nhello\r\n0\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nX-Forwarded-User: evil\r\n\r\n",
        "0\r\nHost: evil.example\r\n\r\n",
        "0\r\nX: a\n\r\n",
        "0\r\nX : a\r\n\r\n",
    ] {
        let head = format!("POST /public/upload HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
        let mut connection = Connection::open(world.address).await;
        connection.write(format!("{head}{body}{SMUGGLED}").as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!(answer.status, 400, "{body:?}: {}", answer.text());
        assert!(connection.rest().await.is_empty(), "{body:?}: the connection goes on");
    }
    assert!(world.echo.seen().iter().all(|seen| seen.target == "/public/upload"), "{:?}", world.echo.seen());
    assert!(world.echo.seen().iter().all(|seen| seen.header("x-forwarded-user").is_none()));
}

#[tokio::test]
async fn well_framed_requests_pass_one_after_the_other() {
    let world = World::start().await;
    let mut connection = Connection::open(world.address).await;
    let post = |lines: &str, body: &str| format!("POST /public/a HTTP/1.1\r\nHost: {HOST}\r\n{lines}\r\n\r\n{body}");
    for (request, body) in [
        (post("Content-Length: 5", "hello"), "seen 5"),
        (post("Transfer-Encoding: chunked", "5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), "seen 5"),
        (post("transfer-encoding: CHUNKED", "0\r\n\r\n"), "seen 0"),
        (post("X-Empty:\r\nX-Tab: a\tb\r\nX-Name: \u{fc}", ""), "seen 0"),
        (format!("\r\n{SMUGGLED}"), "seen 0"),
    ] {
        connection.write(request.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, &*answer.text()), (200, body), "{request:?}");
    }
    // Both at once.
    connection.write((post("Content-Length: 3", "one") + SMUGGLED).as_bytes()).await;
    assert_eq!(connection.answer().await.text(), "seen 3");
    assert_eq!(connection.answer().await.text(), "seen 0");
    assert_eq!(world.echo.last().target, "/public/smuggled");
}

#[tokio::test]
async fn only_registered_looking_methods_pass_and_trace_and_connect_are_405() {
    let world = World::start().await;
    for method in ["get", "Get", "gET", "G@T", "GET\u{e9}", "GE_T", "GET1", "", "X(Y", &"A".repeat(33)] {
        let (answer, closed) =
            raw(&world, format!("{method} /public HTTP/1.1\r\nHost: {HOST}\r\n\r\n{SMUGGLED}")).await;
        assert_eq!((answer.status, closed), (400, true), "{method:?}");
    }
    for line in ["TRACE /public", "CONNECT /public", "CONNECT evil.example:443", "TRACE /.schoolgate/me"] {
        let (answer, closed) = raw(&world, format!("{line} HTTP/1.1\r\nHost: {HOST}\r\n\r\n{SMUGGLED}")).await;
        assert_eq!((answer.status, closed), (405, true), "{line}");
        assert!(answer.header("allow").is_some(), "{line}");
        has_protective_headers(line, &answer);
    }
    assert_eq!(world.echo.count(), 0);
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "M-SEARCH"] {
        let answer = world.send(Request::new(method, "/optional/x").header("Connection", "close")).await;
        assert_eq!((answer.status, &*world.echo.last().method), (200, method));
    }
}

#[tokio::test]
async fn a_target_whose_meaning_could_differ_is_refused_wherever_it_points() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    for target in [
        "/public/..",
        "/public/../classes",
        "/public/./x",
        "/public/.",
        "/./",
        "/public/%2e%2e/classes",
        "/public/%2E./classes",
        "/public/.%2e",
        "/public/%252e%252e/x",
        "/public/%25252e%25252e/x",
        "/public/..;/x",
        "/public/..;a=b/x",
        "/public/.;/x",
        "/public/..%3b/x",
        "//",
        "//public",
        "/public//x",
        "/public//",
        "///",
        "/public/%2fx",
        "/public/%2Fx",
        "/public%2f..%2fclasses",
        "/public/%252f",
        "/public/%5c",
        "/public/%5C..",
        "/public/%255c",
        "/public\\..\\classes",
        "/public/\\",
        "/public/%00",
        "/public/x%00.html",
        "/public/%2500",
        "/public/%0a",
        "/public/%0d%0aX:y",
        "/public/%7f",
        "/public/%",
        "/public/%2",
        "/public/%zz",
        "/public/%u002e",
        "/public/%c0%ae%c0%ae/",
        "/public/%c0%af",
        "/public/%e0%80%af",
        "/public/%f0%80%80%af",
        "/public#x",
        "/public/#/../classes",
        "/public?x#y",
        "/public/\u{e9}",
        "/public/\u{7f}",
        "/public/\"x",
        "/public/<x>",
        "/public/`",
        "/public?\u{e9}",
        "/public?<",
        "/public?\"",
        "/public/%2525252525252525",
        "public",
        "*",
        "",
        "library.school.example:443",
        "?x",
        "#",
        "http:/public",
        "http:public",
        "https:///public",
        "http://evil.example/public",
        "http://library.school.example:81/public",
        "http://x@library.school.example/public",
        "http://library.school.example@evil.example/public",
        "http://library.school.example\\@evil.example/public",
        "http://library.school.example//public",
        "http://library.school.example/public/../classes",
        "http://library.school.example#/public",
        "ftp://library.school.example/public",
        "file:///public",
        "//library.school.example/public",
        "javascript:alert(1)",
    ] {
        for method in ["GET", "OPTIONS", "POST"] {
            let cookie = browser.cookie(HOST, "__Host-schoolgate").unwrap();
            let head =
                format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-schoolgate={cookie}\r\n\r\n");
            let (answer, closed) = raw(&world, head + SMUGGLED).await;
            assert_eq!((answer.status, closed), (400, true), "{method} {target:?}");
            has_protective_headers(target, &answer);
        }
    }
    assert_eq!(world.echo.count(), 0, "{:?}", world.echo.seen());
    assert_eq!(browser.open(&support::world::at("/still/there")).await.status, 200);
}

#[tokio::test]
async fn the_app_gets_the_target_that_was_judged() {
    let world = World::start().await;
    for (asked, got) in [
        ("/public", "/public"),
        ("/%70ublic/%61%2d%7e", "/public/a-~"),
        ("/public/%c3%a9", "/public/%C3%A9"),
        ("/public/a%20b?x=%2f..%2F&y=//z%00", "/public/a%20b?x=%2f..%2F&y=//z%00"),
        ("/public?", "/public?"),
        ("/public/x;v=1", "/public/x;v=1"),
        ("http://library.school.example/public/abs?x", "/public/abs?x"),
        ("HTTPS://Library.School.Example/public", "/public"),
    ] {
        let answer = world.send(Request::get(asked)).await;
        assert_eq!((answer.status, &*world.echo.last().target), (200, got), "{asked}");
        assert_eq!(world.echo.last().header("host"), Some(HOST));
    }
}

#[tokio::test]
async fn a_target_of_thirty_kilobytes_costs_no_more_than_another() {
    let world = World::start().await;
    let deep = format!("/public/%{}", "25".repeat(15_000));
    let page = format!("/.schoolgate/sign-out?return_to=/%25{}", "25".repeat(15_000));
    for target in [deep, page] {
        let sent = world.send(Request::get(&target));
        let answer = tokio::time::timeout(Duration::from_secs(5), sent).await.expect("an answer in time");
        assert!(matches!(answer.status, 200 | 400), "{}", answer.status);
    }
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431_and_a_body_that_is_too_large_413() {
    let world = World::with(&[("app", r#"max_body = "1KiB""#)]).await;
    let many: String = (0..101).map(|number| format!("X-{number}: y\r\n")).collect();
    for lines in [format!("X-Long: {}", "y".repeat(33 * 1024)), many.trim_end().to_owned()] {
        let (answer, closed) = raw(&world, with_lines(&lines)).await;
        assert_eq!((answer.status, closed), (431, true));
        has_protective_headers("431", &answer);
    }
    let (answer, _) = raw(&world, format!("GET /{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n", "x".repeat(33 * 1024))).await;
    assert_eq!(answer.status, 431);
    assert_eq!(world.echo.count(), 0);

    let answer = world.send(Request::new("POST", "/public").body("text/plain", vec![b'x'; 1025])).await;
    assert_eq!(answer.status, 413, "announced");
    has_protective_headers("413", &answer);
    assert_eq!(world.echo.count(), 0);
    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n401\r\n{}\r\n0", "x".repeat(0x401));
    let (answer, _) = raw(&world, with_lines(&chunked)).await;
    assert_eq!(answer.status, 413, "counted");
    assert_eq!(world.send(Request::new("POST", "/public").body("text/plain", vec![b'x'; 1024])).await.status, 200);
}

#[tokio::test]
async fn an_unknown_host_is_421_on_every_path_and_a_known_one_in_any_spelling_is_known() {
    let world = World::start().await;
    for host in [
        "evil.example",
        "school.example",
        "xlibrary.school.example",
        "library.school.example.evil.example",
        "library.school.examplex",
        "sub.library.school.example",
        "127.0.0.1",
        "localhost",
        "[::1]",
    ] {
        for path in ["/", "/public", "/.schoolgate/", "/.schoolgate/me", "/.schoolgate/sign-in", "/.schoolgate/x"] {
            let answer = world.send(Request::get(path).header("Host", host)).await;
            assert_eq!(answer.status, 421, "{host}{path}");
            has_protective_headers(host, &answer);
        }
    }
    assert_eq!(world.echo.count(), 0);
    for host in [
        "LIBRARY.School.Example",
        "library.school.example.",
        "library.school.example:8443",
        "Library.school.example.:1",
    ] {
        assert_eq!(world.send(Request::get("/public").header("Host", host)).await.status, 200, "{host}");
        assert_eq!(world.send(Request::get("/x").header("Host", host)).await.status, 401, "{host}");
    }
}

#[tokio::test]
async fn the_own_paths_never_reach_an_app_and_take_only_their_methods() {
    let world = World::with(&[("routes", "[[app.route]]\npath = \"/open\"\naccess = \"public\"")]).await;
    for (path, allow) in [
        ("/.schoolgate/", "GET, HEAD"),
        ("/.schoolgate/me", "GET, HEAD"),
        ("/.schoolgate/sign-in", "GET, HEAD"),
        ("/.schoolgate/callback", "GET, POST"),
        ("/.schoolgate/sign-out", "GET, POST"),
        ("/.schoolgate/notifications", "POST"),
    ] {
        for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"] {
            if allow.split(", ").any(|one| one == method) {
                continue;
            }
            let answer = world.send(Request::new(method, path).header("Connection", "close")).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {path}");
            has_protective_headers(path, &answer);
        }
    }
    for path in [
        "/.schoolgate",
        "/.schoolgate/nothing",
        "/.schoolgate/me/",
        "/.schoolgate/me/x",
        "/.schoolgate/ME",
        "/.SCHOOLGATE/me",
        "/.schoolgate;x/me",
        "/.schoolgate./me",
        "/.schoolgate%20/me",
        "/;/.schoolgate/me",
        "/.schoolgate/me;x",
        "/%252eschoolgate/me",
        "/.schoolgate%3f/me",
        "/.schoolgate%23",
    ] {
        let answer = world.send(Request::get(path)).await;
        assert_eq!(answer.status, 404, "{path}");
        has_protective_headers(path, &answer);
    }
    // Decoded once it is the same path.
    assert_eq!(world.send(Request::get("/%2eschoolgate/%6d%65")).await.status, 401);
    assert_eq!(world.echo.count(), 0);
}

#[tokio::test]
async fn errors_are_pages_for_navigations_and_problem_documents_for_everything_else() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    for (path, status) in [("/.schoolgate/nothing", 404), ("/staff", 403)] {
        let page = browser.open(&support::world::at(path)).await;
        assert_eq!((page.status, page.header("content-type")), (status, Some("text/html; charset=utf-8")), "{path}");
        assert!(page.text().contains(page.header("x-request-id").unwrap()), "{path}: {}", page.text());
        has_protective_headers(path, &page);
        let problem = browser.fetch(&support::world::at(path)).await;
        assert_eq!(
            (problem.status, problem.header("content-type")),
            (status, Some("application/problem+json")),
            "{path}"
        );
        assert_eq!(problem.json()["request_id"].as_str(), problem.header("x-request-id"), "{path}");
        assert_eq!(problem.json()["status"], status, "{path}");
        has_protective_headers(path, &problem);
    }
    for path in ["/", "/.schoolgate/", "/.schoolgate/sign-in", "/.schoolgate/sign-out", "/.schoolgate/callback"] {
        has_protective_headers(path, &world.browser().open(&support::world::at(path)).await);
    }
}

#[tokio::test]
async fn a_method_that_no_route_takes_is_405_and_told_which_ones_are_taken() {
    let route = "[[app]]\nname = \"news\"\nhost = \"news.school.example\"\nupstream = \"http://127.0.0.1:1\"\n\
        [[app.route]]\npath = \"/\"\naccess = \"public\"\nmethods = [\"GET\", \"POST\"]\n";
    let world = World::with(&[("routes", route)]).await;
    let answer = world.send(Request::new("DELETE", "/x").header("Host", "news.school.example")).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD, POST")));
}

#[tokio::test]
async fn an_app_that_is_not_there_is_502_and_one_that_says_nothing_504() {
    let dead = |name: &str, upstream: &str, more: &str| {
        format!(
            "[[app]]\nname = \"{name}\"\nhost = \"{name}.school.example\"\nupstream = \"{upstream}\"\n{more}\n[[app.route]]\npath = \"/\"\naccess = \"public\"\n"
        )
    };
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().map(|address| (silent, address)).unwrap();
    let apps = [
        dead("refused", "http://127.0.0.1:1", ""),
        dead("unresolvable", "http://no-such-host.invalid:80", ""),
        dead("silent", &format!("http://{}", silent.1), "upstream_timeout = \"200ms\""),
    ];
    let world = World::with(&[("routes", &apps.concat())]).await;
    for (name, status) in [("refused", 502), ("unresolvable", 502), ("silent", 504)] {
        let answer = world.send(Request::get("/x").header("Host", &format!("{name}.school.example"))).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, Some("application/problem+json")),
            "{name}"
        );
        has_protective_headers(name, &answer);
        assert!(!answer.text().contains("127.0.0.1") && !answer.text().contains("invalid"), "{}", answer.text());
    }
}
