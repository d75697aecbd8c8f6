//! Every answer of the gateway's own that is a no has a number, and the log says under this number why.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use support::{Answer, Browser, Connection, HOST, Program, RawApp, Request, Site, world::at};

/// Apps and routes that say no in all ways.
const ROUTES: &str = r#"
  [[app.route]]
  path = "/school"
  [app.route.allow]
  organizations = ["another-school"]

  [[app.route]]
  path = "/domain"
  [app.route.allow]
  email_domains = ["larkspur.school.example"]

  [[app.route]]
  path = "/address"
  [app.route.allow]
  emails = ["somebody@larkspur.school.example"]

[[app]]
name = "news"
host = "news.school.example"
upstream = "http://@APP@"

  [[app.route]]
  path = "/read"
  methods = ["GET"]

[[app]]
name = "dead"
host = "dead.school.example"
upstream = "http://@DEAD@"

  [[app.route]]
  path = "/"
  access = "public"

[[app]]
name = "gone"
host = "gone.school.example"
upstream = ["http://@DEAD@", "http://127.0.0.1:9"]

  [[app.route]]
  path = "/"
  access = "public"

[log]
format = "json"
"#;

/// What was asked, what came back, and what the log must say of it.
struct Case {
    what: &'static str,
    answer: Answer,
    status: u16,
    event: &'static str,
    reason: &'static str,
}

struct Table {
    program: Program,
    cases: Vec<Case>,
}

impl Table {
    fn note(&mut self, what: &'static str, answer: Answer, (status, event, reason): (u16, &'static str, &'static str)) {
        self.cases.push(Case { what, answer, status, event, reason });
    }

    /// Somebody without a session.
    async fn stranger(&mut self, what: &'static str, request: Request, expected: (u16, &'static str, &'static str)) {
        let request = if request.has_header("host") { request } else { request.header("Host", HOST) };
        let answer = request.send(self.program.address()).await;
        self.note(what, answer, expected);
    }

    async fn raw(&mut self, what: &'static str, head: &str, expected: (u16, &'static str, &'static str)) {
        let mut connection = Connection::open(self.program.address()).await;
        connection.write(head.replace('\n', "\r\n").replace("@", HOST).as_bytes()).await;
        let answer = connection.answer().await;
        self.note(what, answer, expected);
    }

    /// Somebody who has signed in.
    async fn guest(
        &mut self,
        browser: &mut Browser,
        request: Request,
        (what, path): (&'static str, &str),
        expected: (u16, &'static str, &'static str),
    ) {
        let answer = browser.send(&at(path), request, false).await;
        self.note(what, answer, expected);
    }
}

fn websocket(path: &str) -> Request {
    Request::get(path)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

async fn strangers(table: &mut Table) {
    let get = |path: &str| Request::get(path).navigation();
    for (what, request, status, event, reason) in [
        ("an empty segment", get("/a//b"), 400, "refused", "empty segment"),
        ("an encoded slash, by a script", Request::get("/a%2fb"), 400, "refused", "encoded slash"),
        ("TRACE", Request::new("TRACE", "/"), 405, "refused", "TRACE or CONNECT"),
        ("an unknown host", get("/").header("Host", "other.example"), 421, "request", "no app has this host"),
        ("a path of nobody", get("/.schoolgate/nothing"), 404, "request", "no such path"),
        ("a method of nobody", Request::new("PUT", "/.schoolgate/me"), 405, "request", "does not take the method"),
        ("a long query", get(&format!("/.schoolgate/?{}", "a&".repeat(65))), 400, "request", "more than 64"),
        (
            "no form",
            Request::new("POST", "/.schoolgate/sign-out").body("text/plain", "x").navigation(),
            400,
            "request",
            "the body is no form",
        ),
        (
            "a huge form",
            Request::new("POST", "/.schoolgate/sign-out").form(&[("x", &"x".repeat(70_000))]),
            413,
            "request",
            "larger than 64 KiB",
        ),
        ("another rule's path to some", get("/STAFF"), 400, "request", "that of another route"),
        (
            "an uncovered path",
            get("/write").header("Host", "news.school.example"),
            404,
            "request",
            "no route covers the path",
        ),
        (
            "an uncovered method",
            Request::new("POST", "/read").header("Host", "news.school.example"),
            405,
            "request",
            "no route of this path takes the method",
        ),
        ("nobody, by a script", Request::get("/"), 401, "request", "nobody is signed in"),
        ("nobody, who asks who", Request::get("/.schoolgate/me"), 401, "request", "nobody is signed in"),
        ("a callback of nobody", get("/.schoolgate/callback?code=x&state=y"), 400, "sign_in_failed", ""),
        ("a ticket of nobody", get("/.schoolgate/session?ticket=x"), 400, "sign_in_failed", ""),
        ("a wish of nobody", get("/.schoolgate/sign-in?wish=x"), 400, "request", "wish of another host"),
        ("a web server of nobody", Request::get("/.schoolgate/auth"), 403, "forward_auth_refused", "trusted_proxies"),
        (
            "a notification of nobody",
            Request::new("POST", "/.schoolgate/notifications").body("text/plain", "x"),
            400,
            "notification_refused",
            "",
        ),
        (
            "a large body",
            Request::new("POST", "/public/x").body("text/plain", "x".repeat(2000)),
            413,
            "request",
            "larger than max_body",
        ),
        ("a dead app", get("/").header("Host", "dead.school.example"), 502, "request", "Connect"),
        ("an app all gone", get("/").header("Host", "gone.school.example"), 503, "request", "no upstream of the app"),
        ("an app that sleeps", get("/public/hang"), 504, "request", "upstream_timeout"),
        (
            "a guess that signs out",
            Request::get("/bye").header("Sec-Purpose", "prefetch"),
            503,
            "request",
            "guess of the browser",
        ),
        ("a huge head", get("/").header("X", &"x".repeat(40_000)), 431, "refused", "max_header_bytes"),
    ] {
        table.stranger(what, request, (status, event, reason)).await;
    }
    let chunked = "POST /public/x HTTP/1.1\nHost: @\nTransfer-Encoding: chunked\n\n";
    table
        .raw("a body that grows", &format!("{chunked}7d0\n{}\n0\n\n", "x".repeat(2000)), (413, "request", "max_body"))
        .await;
    table.raw("a chunk that is none", &format!("{chunked}zz\n"), (400, "request", "chunk size")).await;
    table
        .raw(
            "two lengths",
            "POST / HTTP/1.1\nHost: @\nContent-Length: 1\nContent-Length: 1\n\n",
            (400, "refused", "more than one Content-Length"),
        )
        .await;
    table.raw("no host", "GET / HTTP/1.1\n\n", (400, "refused", "no Host")).await;
}

async fn guests(table: &mut Table) {
    let mut teacher = table.program.signed_in("teacher-1").await;
    let mut outsider = table.program.signed_in("outsider").await;
    for (what, path, reason) in [
        ("not one of the users", "/staff", "user"),
        ("of another school", "/school", "organization"),
        ("with an address that nobody vouches for", "/domain", "email not verified"),
    ] {
        let page = Request::get(path).navigation();
        table.guest(&mut teacher, page, (what, path), (403, "not_allowed", reason)).await;
        table.guest(&mut teacher, Request::get(path), (what, path), (403, "not_allowed", reason)).await;
    }
    for (what, path, reason) in [
        ("of no school", "/school", "organization"),
        ("of another domain", "/domain", "email domain"),
        ("with another address", "/address", "email"),
    ] {
        let page = Request::get(path).navigation();
        table.guest(&mut outsider, page, (what, path), (403, "not_allowed", reason)).await;
    }
    for (what, request, path, expected) in [
        (
            "a script without the permission",
            Request::get("/classes"),
            "/classes",
            (401, "request", "does not have edu.classes.read"),
        ),
        (
            "a page of another origin",
            websocket("/socket").header("Origin", "https://evil.example"),
            "/socket",
            (400, "request", "another origin opens a WebSocket"),
        ),
        (
            "a move to nowhere",
            Request::new("MOVE", "/x").header("Destination", "https://evil.example/x"),
            "/x",
            (400, "request", "Destination is none of this host"),
        ),
        (
            "a move to where others work",
            Request::new("MOVE", "/x").header("Destination", &at("/staff/x")),
            "/x",
            (403, "request", "Destination is a path that is not open"),
        ),
    ] {
        table.guest(&mut teacher, request, (what, path), expected).await;
    }
    let asked = teacher.open(&at("/classes")).await;
    let callback = support::world::at_apple(asked.location(), "teacher-1").await;
    let back = Request::get(&support::browser::target(&callback)).navigation();
    table
        .guest(&mut teacher, back, ("a permission not given", "/.schoolgate/callback"), (403, "sign_in_failed", ""))
        .await;
}

#[tokio::test]
async fn whoever_tells_the_number_of_a_refusal_is_told_the_reason_from_the_log() {
    let site = Site::start().await;
    let dead = RawApp::start().await.address;
    let (app, routes) = (site.echo.address.to_string(), ROUTES.replace("@DEAD@", &dead.to_string()));
    let program = site
        .run(&[
            ("app", "max_body = \"1KiB\"\nupstream_timeout = \"500ms\"\nsign_out_paths = [\"/bye\"]"),
            ("routes", &routes.replace("@APP@", &app)),
        ])
        .await;
    let mut table = Table { program, cases: Vec::new() };
    strangers(&mut table).await;
    guests(&mut table).await;
    // What Apple was asked for and did not grant.
    site.apple.switches().change(|behaviour| {
        behaviour.granted = schoolgate::demo::Granted::Only(schoolgate::identity::ScopeSet::new());
        behaviour.scope_member = true;
        behaviour.others = schoolgate::demo::Others::Granted;
    });
    let mut teacher = table.program.signed_in("teacher-1").await;
    support::world::through_apple(&mut teacher, "/classes", "teacher-1").await;
    for request in [Request::get("/classes").navigation(), Request::get("/classes")] {
        let what = ("what Apple did not grant", "/classes");
        table.guest(&mut teacher, request, what, (403, "scope_missing", "did not grant")).await;
    }
    for _ in 0..200 {
        let answer = Request::get("/").navigation().header("Host", HOST).send(table.program.address()).await;
        if answer.status == 429 {
            table.note("too many", answer, (429, "request", "sign_in_rate_per_ip"));
            break;
        }
    }
    assert_eq!(table.cases.last().unwrap().status, 429);
    let Table { program, cases } = table;
    program.terminate().await;
    let (_, log) = program.ended().await;
    let mut by_number: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
    for line in log.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        if let Some(number) = line["request_id"].as_str() {
            by_number.entry(number.to_owned()).or_default().push(line);
        }
    }
    for Case { what, answer, status, event, reason } in cases {
        assert_eq!(answer.status, status, "{what}: {answer:?}");
        let number = answer.header("x-request-id").unwrap_or_else(|| panic!("{what}: no number in {answer:?}"));
        let text = answer.text();
        let is_problem = answer.header("content-type") == Some("application/problem+json");
        // 401 asks to sign in: there is nothing to report.
        assert!(text.contains(number) || !is_problem && status == 401, "{what}: {text}");
        let lines = by_number.get(number).unwrap_or_else(|| panic!("{what}: the log has no {number}"));
        let says = |line: &&serde_json::Value| {
            line["event"] == event && line["reason"].as_str().is_some_and(|why| !why.is_empty() && why.contains(reason))
        };
        let told = lines.iter().find(says).unwrap_or_else(|| panic!("{what}: {event} {reason} is not in {lines:#?}"));
        assert!(["INFO", "WARN"].contains(&told["level"].as_str().unwrap()), "{what}: {told}");
        // Two upstreams that are gone have two lines each.
        assert!(lines.len() <= 6, "{what}: a flood of {lines:#?}");
        if event == "not_allowed" {
            assert_eq!(told["reason"], reason, "{what}");
            assert!(told["session"].is_string() && told["app"] == "library", "{what}: {told}");
            assert!(told["subject"].is_null(), "a person is in the log: {told}");
            assert!(told["route"].as_str().is_some_and(|route| route.starts_with('/')), "{what}: {told}");
        }
        // The one line of the request says it too, for who looks there.
        let line = lines.iter().find(|line| line["event"] == "request" || line["event"] == "refused");
        assert!(line.is_some_and(|line| line["reason"].is_string()), "{what}: {lines:#?}");
        assert!(!lines.iter().any(|line| line.to_string().contains('@')), "{what}: an address in {lines:#?}");
    }
}

#[tokio::test]
async fn what_an_app_refuses_by_itself_has_no_reason_of_the_gateway() {
    let site = Site::start().await;
    let program = site.run(&[("routes", "[log]\nformat = \"json\"")]).await;
    let mut browser = program.signed_in("teacher-1").await;
    assert_eq!(browser.open(&at("/")).await.status, 200);
    program.terminate().await;
    let (_, log) = program.ended().await;
    let lines = log.lines().filter(|line| line.contains("\"status\":200") || line.contains("\"status\":303"));
    assert!(lines.clone().count() >= 2 && lines.into_iter().all(|line| !line.contains("\"reason\"")), "{log}");
}
