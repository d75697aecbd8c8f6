//! The straight way and the phases of pingora: an app and a client hear the same, whichever a request goes.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use support::{Answer, Browser, Connection, HOST, RawApp, Request, Scrape, World};

/// An option of `Connection` that sends a request to the phases, and changes nothing else.
const TO_THE_PHASES: &str = "Connection: keep-alive, x-nothing\r\n";

/// What differs from request to request.
const NUMBERS: [&str; 3] = ["x-request-id", "traceparent", "date"];

async fn house() -> (RawApp, World) {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), &[]).await;
    (app, world)
}

/// The cookies of somebody who is signed in, and others.
async fn cookies(world: &World) -> String {
    let browser: Browser = world.signed_in("teacher-1").await;
    let ours = browser.cookie_names(HOST).into_iter().filter_map(|name| Some((browser.cookie(HOST, &name)?, name)));
    let ours: Vec<_> = ours.map(|(value, name)| format!("{name}={value}")).collect();
    format!("Cookie: PHPSESSID=1; {}; lang=de\r\n", ours.join("; "))
}

/// The lines of a head, with names in small letters, in alphabetical order; the first stays the first.
fn told(head: &str) -> (String, Vec<(String, String)>) {
    let mut lines = head.lines().filter(|line| !line.is_empty());
    let first = lines.next().unwrap().to_owned();
    let fields = lines.map(|line| line.split_once(": ").unwrap_or_else(|| panic!("{line:?} in {head}")));
    (first, sorted(fields.map(|(name, value)| (name.to_owned(), value.to_owned()))))
}

fn sorted(fields: impl IntoIterator<Item = (String, String)>) -> Vec<(String, String)> {
    let fields = fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let mut fields: Vec<_> = fields.filter(|(name, _)| !NUMBERS.contains(&name.as_str())).collect();
    fields.sort();
    fields
}

/// What the app is told of a request that goes this way.
async fn app_hears(app: &RawApp, world: &World, line: &str, fields: &str) -> (String, Vec<(String, String)>) {
    let mut client = Connection::open(world.address).await;
    client.write(format!("{line} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n").as_bytes()).await;
    let (mut served, head) = tokio::select! {
        asked = app.request() => asked,
        answer = client.answer() => panic!("{line} with {fields:?}: {answer:?}"),
    };
    served.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 204);
    told(&head)
}

#[tokio::test]
async fn an_app_is_told_the_same_of_a_request_whichever_way_it_goes() {
    let (app, world) = house().await;
    let cookies = cookies(&world).await;
    for (line, fields) in [
        ("GET /public/a%41?b=%41&c", ""),
        ("GET /notes/x", cookies.as_str()),
        ("HEAD /notes/x", cookies.as_str()),
        ("DELETE /public/x", ""),
        ("OPTIONS /public/x", "Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\n"),
        ("POST /public/x", "Content-Length: 0\r\nContent-Type: text/plain\r\n"),
        ("GET /public/x", "Cookie: a=1\r\nCookie: =b; c\r\nX-One: 1\r\nx-one: 2\r\nX-ONE:\r\nAccept:  */* \t\r\n"),
        ("GET /public/x", "X-Forwarded-User: evil\r\nx_forwarded_for: 1.2.3.4\r\nRemote-User: evil\r\n"),
        ("GET /public/x", "Forwarded: for=evil\r\nX-Original-URL: /admin\r\nX.Auth.Request.Email: e\r\nProxy: e\r\n"),
        ("GET /public/x", "X-Schoolgate-Assertion: evil\r\nX-HTTP-Method-Override: DELETE\r\nTraceparent: x\r\n"),
        ("GET /public/x", "TE: trailers\r\nTrailer: X\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n"),
        ("GET /public/x", "Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nProxy-Authorization: Basic eDp5\r\n"),
        (
            "GET /public/x",
            "Expect: 100-continue\r\nRange: bytes=0-1\r\nIf-None-Match: \"x\"\r\nAuthorization: Basic eDp5\r\n",
        ),
        ("GET /public/x", "X-Umlaut: \u{e4}\u{f6}\r\nAccept-Language: de\r\nUser-Agent: a \"b\" (c)\r\n"),
    ] {
        let straight = app_hears(&app, &world, line, fields).await;
        let by_phases = app_hears(&app, &world, line, &format!("{TO_THE_PHASES}{fields}")).await;
        assert_eq!(straight, by_phases, "{line} with {fields:?}");
        assert!(!straight.1.iter().any(|(_, value)| value.contains("evil")), "{straight:?}");
    }
}

/// The two ways have their own connections to an app: which has kept the one that a request came by?
async fn goes_straight(app: &RawApp, world: &World, line: &str, fields: &str) -> bool {
    let mut client = Connection::open(world.address).await;
    client.write(format!("{line} HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n").as_bytes()).await;
    let (mut kept, _) = app.request().await;
    kept.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    let again = format!("GET /public/again HTTP/1.1\r\nHost: {HOST}\r\n{TO_THE_PHASES}\r\n");
    client.write(again.as_bytes()).await;
    let (mut served, is_new) = tokio::select! {
        (new, _) = app.request() => (new, true),
        head = kept.until("\r\n\r\n") => {
            assert!(head.starts_with("GET /public/again"), "{head}");
            (kept, false)
        }
    };
    served.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    is_new
}

#[tokio::test]
async fn requests_without_a_body_go_straight_and_others_do_not() {
    let (app, world) = house().await;
    let cookies = cookies(&world).await;
    for (line, fields, straight) in [
        ("GET /public/x", "", true),
        ("GET /notes/x", cookies.as_str(), true),
        ("OPTIONS /public/x", "", true),
        ("POST /public/x", "Content-Length: 0\r\n", true),
        ("GET /public/x", TO_THE_PHASES, false),
    ] {
        assert_eq!(goes_straight(&app, &world, line, fields).await, straight, "{line} with {fields:?}");
    }
}

/// What only pingora can ask is judged before, and not once more.
#[tokio::test]
async fn a_request_that_turns_out_to_need_pingora_is_judged_once() {
    let app = RawApp::start().await;
    let world = World::before(&format!("\"h2c://{}\"", app.address), &[]).await;
    let asked = async {
        let request = Request::get("/public/x").header("Host", HOST);
        assert_eq!(request.send(world.address).await.status, 502);
    };
    let ((), ()) = tokio::join!(asked, async { drop(app.accept().await) });
    let scrape = Scrape::of(world.admin).await;
    assert_eq!(scrape.value("schoolgate_requests_total", &[("decision", "admitted")]), 1.0);
    assert_eq!(scrape.sum("schoolgate_requests_total"), 1.0);
}

/// What a client hears of an app's answer, and whether each connection lives on.
#[derive(Debug, PartialEq)]
struct Heard {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    client_goes_on: bool,
    app_goes_on: bool,
}

impl Heard {
    fn nothing() -> Self {
        Self { status: 0, fields: Vec::new(), body: Vec::new(), client_goes_on: false, app_goes_on: false }
    }
}

/// Asks, has the app say this and perhaps go, and asks again.
async fn client_hears(app: &RawApp, world: &World, method: &str, fields: &str, said: &[u8], goes: bool) -> Heard {
    let mut client = Connection::open(world.address).await;
    let request = format!("{method} /notes/x HTTP/1.1\r\nHost: {HOST}\r\n{fields}\r\n");
    client.write(request.as_bytes()).await;
    let (mut served, _) = app.request().await;
    served.write(said).await;
    let mut served = Some(served).filter(|_| !goes);
    let answer = if method == "HEAD" { Some(client.head().await) } else { client.try_answer().await };
    let Some(Answer { status, headers, body }) = answer else { return Heard::nothing() };
    let mut heard = Heard { status, fields: sorted(headers), body, client_goes_on: false, app_goes_on: false };
    client.write(request.as_bytes()).await;
    heard.client_goes_on = tokio::select! {
        () = answered_again(app, served.take(), &mut heard.app_goes_on) => {
            let again = if method == "HEAD" { Some(client.head().await) } else { client.try_answer().await };
            again.is_some_and(|again| again.status == 200)
        }
        nothing = client.rest() => { assert!(nothing.is_empty()); false }
    };
    heard
}

/// Answers the next request, on the connection that is there or on another.
async fn answered_again(app: &RawApp, served: Option<Connection>, goes_on: &mut bool) {
    let accepted = app.request();
    let mut next = match served {
        None => accepted.await.0,
        Some(mut served) => tokio::select! {
            head = served.some() => {
                *goes_on = !head.is_empty();
                if *goes_on { served } else { app.request().await.0 }
            }
            (other, _) = accepted => other,
        },
    };
    next.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
}

#[tokio::test]
async fn a_client_hears_the_same_of_an_answer_whichever_way_its_request_went() {
    let (app, world) = house().await;
    let cookies = cookies(&world).await;
    let stays = [
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\nX-ONE: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nok",
        ),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: __Host-schoolgate=evil; Path=/; Secure\r\n\r\nok"),
        ("GET", "HTTP/1.1 200 \r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=60\r\nCDN-Cache-Control: max-age=9\r\nContent-Length: 0\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 404 Not Found\r\nConnection: X-Inner\r\nX-Inner: 1\r\nKeep-Alive: timeout=5\r\nTrailer: X\r\nContent-Length: 1\r\n\r\nx",
        ),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;a=b\r\n yes\r\n0\r\nX: y\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nX: y\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\n\r\n"),
        ("GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", "HTTP/1.1 200 OK\r\nX-Folded: a\r\n b\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", "HTTP/1.1 200 OK\r\nDate: then\r\nServer: old \r\nX-Blank : 1\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 302 Found\r\nLocation: /b\r\nRefresh: 1\r\nContent-Length: 0\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and what nobody asked for"),
        ("GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
    ];
    let goes = [
        ("GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end"),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbroken"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\n\n"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n"),
    ];
    let shapes = stays.iter().map(|shape| (shape, false)).chain(goes.iter().map(|shape| (shape, true)));
    for ((method, said), goes) in shapes {
        let straight = client_hears(&app, &world, method, &cookies, said.as_bytes(), goes).await;
        let fields = format!("{TO_THE_PHASES}{cookies}");
        let by_phases = client_hears(&app, &world, method, &fields, said.as_bytes(), goes).await;
        // What old apps send after an answer to HEAD is nobody's: the straight way takes no risk.
        let by_phases = Heard { app_goes_on: by_phases.app_goes_on && *method != "HEAD", ..by_phases };
        assert_eq!(straight, by_phases, "{method}: {said:?}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_page_of_ours_whichever_way_the_request_went() {
    let (app, world) = house().await;
    let cookies = cookies(&world).await;
    let stays = [
        ("GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok"),
        ("GET", "HTTP/1.1 200 OK\r\nNo colon\r\n\r\n"),
        ("GET", "220 mail.example ESMTP\r\n\r\n"),
    ];
    let goes = [("GET", "HTTP/1.1 200 OK\r\nX: y"), ("GET", "")];
    let shapes = stays.iter().map(|shape| (shape, false)).chain(goes.iter().map(|shape| (shape, true)));
    for ((method, said), goes) in shapes {
        let straight = client_hears(&app, &world, method, &cookies, said.as_bytes(), goes).await;
        assert_eq!((straight.status, straight.app_goes_on), (502, false), "{said:?}");
        assert!(straight.client_goes_on, "{said:?}");
        let fields = format!("{TO_THE_PHASES}{cookies}");
        let by_phases = client_hears(&app, &world, method, &fields, said.as_bytes(), goes).await;
        // Of a switch unasked pingora says nothing at all.
        assert!(matches!(by_phases.status, 0 | 502), "{said:?}: {by_phases:?}");
    }
}

#[tokio::test]
async fn what_an_app_says_unasked_is_nobodys_answer() {
    let (app, world) = house().await;
    for method in ["GET", "HEAD"] {
        for _ in 0..10 {
            let mut client = Connection::open(world.address).await;
            let request = format!("{method} /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            client.write(request.as_bytes()).await;
            let (mut served, _) = app.request().await;
            served.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            assert_eq!(client.head().await.status, 200);
            // It is there before the next request is sent, and long before anybody has looked.
            served.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
            client.write(request.as_bytes()).await;
            let (mut next, _) = app.request().await;
            next.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            assert_eq!(client.head().await.status, 201, "{method}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_outlives_its_configuration_keeps_no_other_connections_open() {
    let (app, mut world) = house().await;
    let ask = format!("GET /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    let (mut stream, mut client) = (Connection::open(world.address).await, Connection::open(world.address).await);
    stream.write(ask.as_bytes()).await;
    let (mut events, _) = app.request().await;
    events.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    stream.until("data: 1\n\n").await;
    client.write(ask.as_bytes()).await;
    let (mut waiting, _) = app.request().await;
    waiting.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    world.reload(&[("app", "upstream_timeout = \"59s\"")]).await;
    assert!(waiting.rest().await.is_empty());
    events.write(b"data: 2\n\n").await;
    stream.until("data: 2\n\n").await;
}
