//! Bodies and conversations: they stream both ways, nothing is held back, nothing is touched.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use futures_util::{SinkExt, StreamExt};
use support::{Answer, Connection, HOST, RawApp, Request, World, world::at};
use tokio_tungstenite::tungstenite::{
    self, Message,
    client::IntoClientRequest,
    handshake::server::{Request as Handshake, Response as HandshakeAnswer},
};

/// An app that has a second to begin its answer: long enough for a busy machine.
const QUICK: &[(&str, &str)] = &[("app", "upstream_timeout = \"1s\"")];

/// An app that takes small files only.
const SMALL: &[(&str, &str)] = &[("app", "max_body = \"1KiB\"")];

/// A gateway before an app that the test plays.
async fn house(lines: &[(&str, &str)]) -> (RawApp, World) {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), lines).await;
    (app, world)
}

/// A connection to the gateway on which a request, or a part of one, has been written.
async fn begun(world: &World, text: &str) -> Connection {
    let mut client = Connection::open(world.address).await;
    client.write(text.replace("@", &format!("Host: {HOST}\r\n")).as_bytes()).await;
    client
}

/// The value of a field of a head.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .find_map(|line| line.split_once(": ").filter(|(key, _)| key.eq_ignore_ascii_case(name)))
        .map(|(_, v)| v)
}

fn is_problem(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.header("content-type")), (status, Some("application/problem+json")));
    assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
}

fn is_page(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.header("content-type")), (status, Some("text/html; charset=utf-8")));
    assert!(answer.text().contains("<h1"), "{}", answer.text());
}

#[tokio::test]
async fn the_app_sees_the_first_part_of_an_upload_before_the_client_sends_the_last() {
    let (app, world) = house(&[]).await;
    let mut client = begun(&world, "PUT /public/file HTTP/1.1\r\n@Content-Length: 10\r\n\r\nfirst").await;
    let (mut request, head) = app.request().await;
    assert_eq!(field(&head, "content-length"), Some("10"));
    assert_eq!(request.exactly(5).await, b"first");
    client.write(b"-last").await;
    assert_eq!(request.exactly(5).await, b"-last");
    request.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 201);

    client
        .write(format!("POST /public/c HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes())
        .await;
    client.write(b"5\r\nfirst\r\n").await;
    let head = request.until("\r\n\r\n").await;
    assert_eq!((field(&head, "transfer-encoding"), field(&head, "content-length")), (Some("chunked"), None));
    assert_eq!(request.until("first\r\n").await, "5\r\nfirst\r\n");
    client.write(b"4\r\nlast\r\n0\r\n\r\n").await;
    assert_eq!(request.until("0\r\n\r\n").await, "4\r\nlast\r\n0\r\n\r\n");
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.answer().await.text(), "ok");
}

#[tokio::test]
async fn an_upload_that_is_announced_too_large_never_reaches_the_app() {
    let (app, world) = house(SMALL).await;
    let text = "PUT /public/file HTTP/1.1\r\n@Content-Length: 1025\r\n\r\n";
    is_problem(&begun(&world, text).await.answer().await, 413);
    let navigation = text.replace("@", "@Accept: text/html\r\n");
    is_page(&begun(&world, &navigation).await.answer().await, 413);
    assert!(app.is_left_alone().await);
    // Exactly the limit is not above it.
    let mut client = begun(&world, &text.replace("1025", "1024")).await;
    client.write(&[b'x'; 1024]).await;
    let (mut request, _) = app.request().await;
    request.exactly(1024).await;
    request.write(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 204);
}

#[tokio::test]
async fn an_upload_in_chunks_that_grows_too_large_is_stopped_and_the_app_does_not_take_it_for_whole() {
    let (app, world) = house(SMALL).await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    let mut client = begun(&world, "POST /public/c HTTP/1.1\r\n@Transfer-Encoding: chunked\r\n\r\n").await;
    client.write(chunk.as_bytes()).await;
    let (mut request, _) = app.request().await;
    request.until("\r\nxxxx").await;
    client.write(chunk.as_bytes()).await;
    client.write(chunk.as_bytes()).await;
    is_problem(&client.answer().await, 413);
    let rest = request.rest().await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the app would take half a file for a whole one");
}

#[tokio::test]
async fn the_first_bytes_of_a_download_arrive_before_its_end() {
    let (app, world) = house(&[]).await;
    let mut client = begun(&world, "GET /public/a HTTP/1.1\r\n@\r\n").await;
    let (mut request, _) = app.request().await;
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.exactly(5).await, b"first");
    request.write(b"-last").await;
    assert_eq!(client.exactly(5).await, b"-last");

    client.write(format!("GET /public/b HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await;
    request.until("\r\n\r\n").await;
    request.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n").await;
    assert_eq!(client.head().await.header("transfer-encoding"), Some("chunked"));
    assert_eq!(client.until("first\r\n").await, "5\r\nfirst\r\n");
    request.write(b"4\r\nlast\r\n0\r\n\r\n").await;
    assert_eq!(client.until("0\r\n\r\n").await, "4\r\nlast\r\n0\r\n\r\n");
}

#[tokio::test]
async fn events_arrive_one_by_one_and_outlive_a_silence_longer_than_the_timeout() {
    let (app, world) = house(QUICK).await;
    let mut client = begun(&world, "GET /public/events HTTP/1.1\r\n@Accept: text/event-stream\r\n\r\n").await;
    let (mut request, _) = app.request().await;
    request.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.header("content-type"), Some("text/event-stream"));
    for count in 0..2 {
        let event = format!("data: {count}\n\n");
        request.write(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await;
        client.until(&event).await;
        // Somebody else's request begins now and is given up after the timeout: so long the stream was silent.
        let other = begun(&world, "GET /public/never HTTP/1.1\r\n@\r\n");
        let (mut other, _silent) = tokio::join!(other, app.request());
        is_problem(&other.answer().await, 504);
    }
    request.write(b"0\r\n\r\n").await;
    client.until("0\r\n\r\n").await;
}

#[tokio::test]
async fn an_app_that_does_not_begin_to_answer_in_time_is_given_up() {
    let (app, world) = house(QUICK).await;
    let mut client = begun(&world, "GET /public/slow HTTP/1.1\r\n@\r\n").await;
    let (mut request, _) = app.request().await;
    is_problem(&client.answer().await, 504);
    assert_eq!(request.rest().await, b"", "the app learns that nobody waits any more");
    let mut client = begun(&world, "GET /public/slow HTTP/1.1\r\n@Accept: text/html\r\n\r\n").await;
    let (_request, _) = app.request().await;
    is_page(&client.answer().await, 504);
    let mut client = begun(&world, "HEAD /public/slow HTTP/1.1\r\n@\r\n").await;
    let (_request, _) = app.request().await;
    assert_eq!(client.head().await.status, 504);
    assert_eq!(client.rest().await, b"", "an answer to HEAD has no body");
}

#[tokio::test]
async fn a_client_that_goes_away_frees_the_app() {
    let (app, world) = house(&[]).await;
    let client = begun(&world, "GET /public/slow HTTP/1.1\r\n@\r\n").await;
    let (mut request, _) = app.request().await;
    drop(client);
    assert_eq!(request.rest().await, b"");
}

#[tokio::test]
async fn an_app_that_refuses_connections_or_has_no_address_is_a_bad_gateway() {
    let nobody = RawApp::start().await.address.to_string();
    for app in [&*nobody, "no-such-name.invalid:80"] {
        let world = World::before(app, &[]).await;
        is_problem(&world.send(Request::get("/public/x")).await, 502);
        let page = world.send(Request::get("/public/x").navigation()).await;
        is_page(&page, 502);
        assert!(!page.text().contains("127.0.0.1") && !page.text().contains("invalid"), "{}", page.text());
    }
}

#[tokio::test]
async fn an_app_that_hangs_up_or_talks_nonsense_instead_of_answering_is_a_bad_gateway() {
    let (app, world) = house(&[]).await;
    for said in ["", "HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nContent-Le", "SSH-2.0-OpenSSH_9.2\r\n\r\n"] {
        let mut client = begun(&world, "POST /public/x HTTP/1.1\r\n@Content-Length: 0\r\n\r\n").await;
        let (mut request, _) = app.request().await;
        request.write(said.as_bytes()).await;
        drop(request);
        is_problem(&client.answer().await, 502);
    }
}

#[tokio::test]
async fn an_app_that_hangs_up_in_the_middle_is_seen_to_have_done_so() {
    let (app, world) = house(&[]).await;
    for (head, end) in [("Content-Length: 100", ""), ("Transfer-Encoding: chunked", "0\r\n\r\n")] {
        let mut client = begun(&world, "GET /public/x HTTP/1.1\r\n@\r\n").await;
        let (mut request, _) = app.request().await;
        request.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes()).await;
        request.write(if end.is_empty() { b"half" } else { b"4\r\nhalf\r\n" }).await;
        assert_eq!(client.head().await.status, 200);
        client.until("half").await;
        drop(request);
        let rest = client.rest().await;
        assert!(end.is_empty() || !rest.ends_with(end.as_bytes()), "half an answer looks whole: {rest:?}");
        assert!(rest.len() < 50, "{rest:?}");
    }
}

#[tokio::test]
async fn an_answer_of_http_1_0_without_a_length_comes_whole_and_ends_where_it_ends() {
    let (app, world) = house(&[]).await;
    let mut client = begun(&world, "GET /public/x HTTP/1.1\r\n@\r\n").await;
    let (mut request, _) = app.request().await;
    request.write(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nX-Old: yes\r\n\r\nfirst").await;
    let head = client.head().await;
    assert_eq!((head.header("x-old"), head.header("content-length")), (Some("yes"), None));
    client.until("first").await;
    request.write(b" and last").await;
    drop(request);
    client.until(" and last").await;
    // In chunks, the end is marked; else it is the end of the connection.
    match head.header("transfer-encoding") {
        Some(_) => drop(client.until("0\r\n\r\n").await),
        None => assert_eq!(client.rest().await, b""),
    }
}

/// A handshake for a page of the app, with whatever cookies and further fields.
fn handshake(path: &str, cookie: Option<&str>, origin: Option<&str>) -> Handshake {
    let mut request = format!("ws://{HOST}{path}").into_client_request().unwrap();
    for (name, value) in [("cookie", cookie), ("origin", origin)] {
        if let Some(value) = value {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
    }
    request
}

async fn socket_to(world: &World) -> tokio::net::TcpStream {
    tokio::net::TcpStream::connect(world.address).await.unwrap()
}

#[tokio::test]
async fn a_websocket_speaks_both_ways_and_the_app_knows_who_speaks() {
    let (app, world) = house(&[("app", "upstream_timeout = \"1s\"\nmax_body = \"1KiB\"")]).await;
    let browser = world.signed_in("teacher-1").await;
    let cookie = format!("__Host-schoolgate={}; theme=dark", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let request = handshake("/talk?room=1", Some(&cookie), Some(&format!("https://{HOST}")));
    let serve = async {
        let socket = app.accept().await.into_stream();
        let mut seen = None;
        let callback = |request: &Handshake, answer: HandshakeAnswer| {
            seen = Some(request.clone());
            Ok(answer)
        };
        let conversation = tokio_tungstenite::accept_hdr_async(socket, callback).await.unwrap();
        (conversation, seen.unwrap())
    };
    let stream = socket_to(&world).await;
    let (client, (mut server, seen)) = tokio::join!(tokio_tungstenite::client_async(request, stream), serve);
    let (mut client, answer) = client.unwrap();
    assert_eq!(answer.status(), 101);
    let teacher = world.apple.person("teacher-1").unwrap();
    assert_eq!(seen.headers()["x-forwarded-user"], *teacher.subject);
    assert!(seen.headers().contains_key("x-forwarded-access-token"));
    assert_eq!(
        (seen.headers()["cookie"].to_str().unwrap(), seen.uri().to_string()),
        ("theme=dark", "/talk?room=1".into())
    );
    for round in 0..3 {
        // Longer than `max_body` all together, which is about bodies.
        let said = format!("{round}: {}", "x".repeat(600));
        client.send(Message::text(said.clone())).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), Message::text(said.clone()));
        server.send(Message::binary(said.clone().into_bytes())).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), Message::binary(said.into_bytes()));
    }
    // The app speaks first, after a silence longer than its timeout.
    let other = begun(&world, "GET /public/never HTTP/1.1\r\n@\r\n");
    let (mut other, _silent) = tokio::join!(other, app.request());
    is_problem(&other.answer().await, 504);
    server.send(Message::text("still here")).await.unwrap();
    assert_eq!(client.next().await.unwrap().unwrap(), Message::text("still here"));
    client.close(None).await.unwrap();
    assert!(matches!(server.next().await, Some(Ok(Message::Close(_)))));
}

/// An app that switches as soon as somebody connects, and gives back what comes after the head.
fn hasty_app() -> std::net::SocketAddr {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
            socket.write_all(head.as_bytes()).unwrap();
            let mut came = Vec::new();
            while !came.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                socket.read_exact(&mut byte).unwrap();
                came.extend(byte);
            }
            let mut said = [0; 5];
            // Who is cut off by the gateway says nothing.
            if socket.read_exact(&mut said).is_ok() {
                socket.write_all(&said).unwrap();
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_stays_open_however_soon_its_app_answers() {
    let world = World::before(&hasty_app().to_string(), &[]).await;
    for round in 0..100 {
        let head = "GET /public/talk HTTP/1.1\r\n@Connection: Upgrade\r\nUpgrade: websocket\r\n\
                    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut client = begun(&world, head).await;
        assert_eq!(client.head().await.status, 101);
        client.write(b"hello").await;
        assert_eq!(String::from_utf8_lossy(&client.some().await), "hello", "the {round}th is cut off");
    }
}

#[tokio::test]
async fn a_websocket_without_a_session_or_from_another_site_reaches_no_app() {
    let (app, world) = house(&[]).await;
    let mut browser = world.signed_in("pupil-1").await;
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let own = format!("https://{HOST}");
    for (cookie, origin, status) in [
        (None, Some(&*own), 401),
        (Some("__Host-schoolgate=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), None, 401),
        (Some(&*cookie), Some("https://evil.example"), 400),
        (Some(&*cookie), Some("https://library.school.example.evil.example"), 400),
        (Some(&*cookie), Some("null"), 400),
        (Some(&*cookie), Some(""), 400),
    ] {
        let stream = socket_to(&world).await;
        let refused = tokio_tungstenite::client_async(handshake("/talk", cookie, origin), stream).await;
        let Err(tungstenite::Error::Http(answer)) = refused else { panic!("{origin:?}: {refused:?}") };
        assert_eq!(answer.status(), status, "{origin:?}");
        assert_eq!(answer.headers().contains_key("www-authenticate"), status == 401);
    }
    assert!(app.is_left_alone().await);
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200, "the session itself is fine");
}

#[tokio::test]
async fn the_app_may_decline_a_websocket() {
    let (app, world) = house(&[]).await;
    let serve = async {
        let (mut request, head) = app.request().await;
        assert_eq!(field(&head, "upgrade"), Some("websocket"));
        request.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
    };
    let stream = socket_to(&world).await;
    let client = tokio_tungstenite::client_async(handshake("/public/talk", None, None), stream);
    let (refused, ()) = tokio::join!(client, serve);
    assert!(matches!(refused, Err(tungstenite::Error::Http(answer)) if answer.status() == 403));
}

#[tokio::test]
async fn conditional_and_partial_requests_pass_untouched() {
    let (app, world) = house(&[]).await;
    let mut client = begun(
        &world,
        "GET /public/film HTTP/1.1\r\n@Range: bytes=2-5, -1\r\nIf-Range: \"v1\"\r\nAccept-Encoding: br\r\n\r\n",
    )
    .await;
    let (mut request, head) = app.request().await;
    for (name, value) in [("range", "bytes=2-5, -1"), ("if-range", "\"v1\""), ("accept-encoding", "br")] {
        assert_eq!(field(&head, name), Some(value));
    }
    request
        .write(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-5/9\r\nETag: \"v1\"\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n\x01\x02\x03\xff")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status, &*answer.body), (206, &b"\x01\x02\x03\xff"[..]));
    for (name, value) in [("content-range", "bytes 2-5/9"), ("etag", "\"v1\""), ("content-encoding", "br")] {
        assert_eq!(answer.header(name), Some(value));
    }

    let conditional = "If-None-Match: W/\"v1\", \"v2\"\r\nIf-Modified-Since: Sat, 21 Nov 2026 10:00:00 GMT\r\n";
    client.write(format!("GET /public/film HTTP/1.1\r\nHost: {HOST}\r\n{conditional}\r\n").as_bytes()).await;
    let head = request.until("\r\n\r\n").await;
    assert_eq!(field(&head, "if-none-match"), Some("W/\"v1\", \"v2\""));
    assert_eq!(field(&head, "if-modified-since"), Some("Sat, 21 Nov 2026 10:00:00 GMT"));
    request.write(b"HTTP/1.1 304 Not Modified\r\nETag: W/\"v1\"\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("etag"), answer.body.len()), (304, Some("W/\"v1\""), 0));
    assert_eq!(answer.header("transfer-encoding"), None);
}

#[tokio::test]
async fn answers_without_a_body_leave_the_connection_usable() {
    let (app, world) = house(&[]).await;
    let mut client = Connection::open(world.address).await;
    let mut request: Option<Connection> = None;
    for (method, said, expected) in [
        ("HEAD", "200 OK\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\r\n", 200),
        ("HEAD", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200),
        ("DELETE", "204 No Content\r\n\r\n", 204),
        ("GET", "304 Not Modified\r\nContent-Length: 7\r\n\r\n", 304),
        ("OPTIONS", "200 OK\r\nAllow: GET, PROPFIND\r\nDAV: 1, 3\r\nContent-Length: 0\r\n\r\n", 200),
        ("GET", "200 OK\r\nContent-Length: 0\r\n\r\n", 200),
    ] {
        client.write(format!("{method} /public/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await;
        let mut served = match request.take() {
            Some(kept) => kept,
            None => app.accept().await,
        };
        let head = served.until("\r\n\r\n").await;
        assert!(head.starts_with(&format!("{method} /public/x HTTP/1.1\r\n")), "{head}");
        served.write(format!("HTTP/1.1 {said}").as_bytes()).await;
        let answer = client.head().await;
        assert_eq!(answer.status, expected, "{method}");
        if method == "OPTIONS" {
            assert_eq!((answer.header("allow"), answer.header("dav")), (Some("GET, PROPFIND"), Some("1, 3")));
        }
        if said.contains("1000") {
            assert_eq!((answer.header("content-length"), answer.header("etag")), (Some("1000"), Some("\"x\"")));
        }
        // Content that comes all the same, and late, would be taken for the next answer.
        let may_go_on = method == "HEAD" || said.contains("Length: 7");
        request = Some(served).filter(|_| !may_go_on);
    }
    assert!(app.is_left_alone().await, "a connection to the app was enough");
}

#[tokio::test]
async fn methods_of_other_protocols_pass_with_their_bodies() {
    let (app, world) = house(&[]).await;
    let body = "<propfind xmlns=\"DAV:\"><allprop/></propfind>";
    for method in ["PROPFIND", "REPORT", "MKCALENDAR", "PATCH", "X-OWN"] {
        let head = format!("{method} /public/cal/ HTTP/1.1\r\n@Depth: 1\r\nContent-Type: application/xml\r\n");
        let mut client = begun(&world, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
        let (mut request, head) = app.request().await;
        assert!(head.starts_with(&format!("{method} /public/cal/ HTTP/1.1\r\n")), "{head}");
        assert_eq!((field(&head, "depth"), field(&head, "content-type")), (Some("1"), Some("application/xml")));
        assert_eq!(request.exactly(body.len()).await, body.as_bytes());
        request.write(b"HTTP/1.1 207 Multi-Status\r\nContent-Length: 3\r\nConnection: close\r\n\r\n<m>").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, &*answer.text()), (207, "<m>"));
    }
}

#[tokio::test]
async fn large_heads_pass_both_ways() {
    let (app, world) = house(&[]).await;
    let large = "h".repeat(20 * 1024);
    let mut client = begun(&world, &format!("GET /public/x HTTP/1.1\r\n@X-Large: {large}\r\n\r\n")).await;
    let (mut request, head) = app.request().await;
    assert_eq!(field(&head, "x-large"), Some(&*large));
    let many: String = (0..60).map(|number| format!("Set-Cookie: c{number}={}\r\n", "v".repeat(500))).collect();
    request.write(format!("HTTP/1.1 200 OK\r\nX-Large: {large}\r\n{many}Content-Length: 2\r\n\r\nok").as_bytes()).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.header("x-large"), answer.all("set-cookie").count(), &*answer.text()),
        (Some(&*large), 60, "ok")
    );
}

#[tokio::test]
async fn a_connection_to_the_app_is_used_again_by_other_clients() {
    let (app, world) = house(&[]).await;
    let mut kept: Option<Connection> = None;
    for number in 0..5 {
        let mut client = begun(&world, &format!("GET /public/{number} HTTP/1.1\r\n@\r\n")).await;
        let mut request = match kept.take() {
            Some(kept) => kept,
            None => app.accept().await,
        };
        request.until(&format!("GET /public/{number} HTTP/1.1\r\n")).await;
        request.until("\r\n\r\n").await;
        request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.answer().await.text(), "ok");
        kept = Some(request);
    }
    assert!(app.is_left_alone().await);
    // The app closes it while nobody uses it: the next client does not notice.
    drop(kept);
    let mut client = begun(&world, "GET /public/again HTTP/1.1\r\n@\r\n").await;
    let (mut request, _) = app.request().await;
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(client.answer().await.text(), "ok");
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_gets_the_apps_permission() {
    let (app, world) = house(SMALL).await;
    let text = "PUT /public/file HTTP/1.1\r\n@Content-Length: 4\r\nExpect: 100-continue\r\n\r\n";
    let mut client = begun(&world, text).await;
    let (mut request, head) = app.request().await;
    assert_eq!(field(&head, "expect"), Some("100-continue"));
    request.write(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 100 "));
    client.write(b"body").await;
    assert_eq!(request.exactly(4).await, b"body");
    request.write(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 201);
    // Or its refusal, without having sent a byte.
    let mut client = begun(&world, text).await;
    let mut head = String::new();
    while !head.contains("expect") && !head.contains("Expect") {
        head = request.until("\r\n\r\n").await;
    }
    request.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 403 "));
    // And where the gateway says no, nobody is asked to send anything.
    for (target, length, status) in [("/private", "4", 401), ("/public/x", "9999", 413)] {
        let text = text.replace("/public/file", target).replace("Length: 4", &format!("Length: {length}"));
        let mut client = begun(&world, &text).await;
        assert!(client.until("\r\n\r\n").await.starts_with(&format!("HTTP/1.1 {status} ")));
    }
}
