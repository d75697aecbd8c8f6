//! Apps that speak HTTP/2: by their TLS, or from the first byte.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Response};
use support::{
    Authority, HOST, Http2App, RawApp, Request, Secured, TlsApp,
    http2::{request, rest, whole, write},
    world::at,
};

/// A gateway before an app that speaks HTTP/2 without TLS.
async fn house(lines: &[(&str, &str)]) -> (Http2App, Secured) {
    let app = Http2App::start().await;
    let world = Secured::before(&format!("\"h2c://{}\"", app.address), lines).await;
    (app, world)
}

/// Answers the next request while somebody waits.
async fn meanwhile<T>(app: &mut Http2App, status: u16, text: &'static str, asking: impl Future<Output = T>) -> T {
    let answering = async { app.asked().await.say(status, text) };
    tokio::join!(asking, answering).0
}

#[tokio::test]
async fn an_app_of_http_2_is_told_the_same_as_any_other() {
    let (mut app, world) = house(&[]).await;
    let mut browser = world.browser();
    let start = async { world.through_apple(&mut browser, "/start", "teacher-1").await };
    assert_eq!(start.await.status, 303);
    let asked = Request::new("POST", "/x/%41?q=%41")
        .header("X-Forwarded-User", "forged")
        .header("X_Remote_User", "forged")
        .header("Connection", "X-Custom, TE")
        .header("X-Custom", "of this hop")
        .header("TE", "trailers")
        .header("Cookie", "mine=1")
        .body("text/plain", "body");
    let url = at("/x/%41?q=%41");
    let sending = browser.send(&url, asked, false);
    let playing = async {
        let mut asked = app.asked().await;
        assert_eq!(asked.request.method(), "POST");
        assert_eq!(asked.request.uri(), &*format!("http://{HOST}/x/A?q=%41"));
        for (name, value) in [
            ("x-forwarded-user", Some(&*world.subject("teacher-1"))),
            ("x_remote_user", None),
            ("x-custom", None),
            ("connection", None),
            ("host", None),
            ("te", Some("trailers")),
            ("x-forwarded-host", Some(HOST)),
            ("x-forwarded-proto", Some("https")),
            ("content-length", Some("4")),
        ] {
            assert_eq!(asked.header(name), value, "{name}");
        }
        assert_eq!(asked.header("cookie"), Some("mine=1"));
        assert_eq!(asked.body().await.unwrap(), b"body");
        let head = Response::builder().header("x-of-app", "1").header("set-cookie", "__Host-schoolgate=planted");
        let mut stream = asked.respond.send_response(head.body(()).unwrap(), false).unwrap();
        stream.send_data("hello".into(), true).unwrap();
    };
    let (answer, ()) = tokio::join!(sending, playing);
    assert_eq!((answer.status, answer.text().as_str(), answer.header("x-of-app")), (200, "hello", Some("1")));
    assert_eq!(answer.header("set-cookie"), None);
}

#[tokio::test]
async fn requests_share_a_connection_to_the_app() {
    let (mut app, world) = house(&[]).await;
    let mut client = world.open().await;
    let mut asked = Vec::new();
    let mut waiting = Vec::new();
    for _ in 0..20 {
        waiting.push(client.start(request("GET", "/public")).await);
        asked.push(app.asked().await);
    }
    assert!(asked.iter().all(|one| one.connection == 1));
    for one in asked.into_iter().rev() {
        one.say(200, "ok");
    }
    for one in waiting {
        assert_eq!(whole(one).await.unwrap().text(), "ok");
    }
}

#[tokio::test]
async fn both_ways_flow_at_once_and_trailers_arrive() {
    let (mut app, world) = house(&[]).await;
    let mut client = world.open().await;
    let (response, mut up) = client.begin(request("POST", "/public/talk").header("te", "trailers")).await;
    let mut asked = app.asked().await;
    let mut down = asked.respond.send_response(Response::new(()), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    for word in ["one", "two", "three"] {
        write(&mut up, word.into(), false).await.unwrap();
        assert_eq!(asked.request.body_mut().data().await.unwrap().unwrap(), word);
        down.send_data(format!("{word}!").into(), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), format!("{word}!"));
    }
    write(&mut up, Bytes::new(), true).await.unwrap();
    assert_eq!(asked.body().await.unwrap(), b"");
    let trailers: HeaderMap = [("grpc-status", "0"), ("set-cookie", "a=b"), ("content-length", "1")]
        .into_iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    down.send_trailers(trailers).unwrap();
    let (_, trailers) = rest(body).await.unwrap();
    let trailers = trailers.unwrap();
    assert_eq!(trailers.get("grpc-status").unwrap(), "0");
    assert_eq!(trailers.len(), 1, "{trailers:?}");
}

#[tokio::test]
async fn trailers_of_a_client_become_no_fields() {
    let (mut app, world) = house(&[]).await;
    let mut client = world.open().await;
    let (response, mut up) = client.begin(request("POST", "/public")).await;
    write(&mut up, "body".into(), false).await.unwrap();
    let trailers =
        [("x-forwarded-user", "forged")].map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    up.send_trailers(trailers.into_iter().collect::<HeaderMap>()).unwrap();
    let mut asked = app.asked().await;
    assert_eq!(asked.body().await.unwrap(), b"body");
    assert!(asked.request.body_mut().trailers().await.unwrap().is_none());
    assert_eq!(asked.header("x-forwarded-user"), None);
    asked.say(200, "ok");
    assert_eq!(whole(response).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_the_app_has_not_processed_is_sent_once_more_and_nothing_else_is() {
    let (mut app, world) = house(&[]).await;
    let mut client = world.open().await;
    let mut asking = world.open().await;
    // It says that it has done nothing.
    let sending = client.post(request("POST", "/public"), "body");
    let playing = async {
        let mut asked = app.asked().await;
        assert_eq!(asked.body().await.unwrap(), b"body");
        asked.respond.send_reset(Reason::REFUSED_STREAM);
        let mut again = app.asked().await;
        assert_eq!(again.body().await.unwrap(), b"body", "whole again");
        again.say(200, "ok");
    };
    assert_eq!(tokio::join!(sending, playing).0.text(), "ok");
    // It says so without end.
    let response = asking.start(request("GET", "/public")).await;
    for _ in 0..2 {
        app.asked().await.respond.send_reset(Reason::REFUSED_STREAM);
    }
    assert_eq!(whole(response).await.unwrap().status, 502);
    // It does not say so.
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::HTTP_1_1_REQUIRED, Reason::PROTOCOL_ERROR] {
        let response = asking.start(request("GET", "/public")).await;
        app.asked().await.respond.send_reset(reason);
        assert_eq!(whole(response).await.unwrap().status, 502, "{reason}");
        assert!(app.is_left_alone());
    }
    // It cannot be sent whole any more.
    let (response, mut up) = asking.begin(request("POST", "/public")).await;
    write(&mut up, vec![0; 60_000].into(), false).await.unwrap();
    let mut asked = app.asked().await;
    while asked.request.body_mut().flow_control().used_capacity() < 60_000 {
        tokio::task::yield_now().await;
    }
    asked.request.body_mut().flow_control().release_capacity(60_000).unwrap();
    write(&mut up, vec![0; 60_000].into(), false).await.unwrap();
    assert!(asked.request.body_mut().data().await.is_some());
    while asked.request.body_mut().flow_control().used_capacity() < 50_000 {
        tokio::task::yield_now().await;
    }
    asked.respond.send_reset(Reason::REFUSED_STREAM);
    assert_eq!(whole(response).await.unwrap().status, 502);
    assert!(app.is_left_alone());
}

#[tokio::test]
async fn an_app_that_goes_away_between_two_requests_loses_none() {
    let (mut app, world) = house(&[]).await;
    for _ in 0..20 {
        let sending = world.send(Request::get("/public"));
        let playing = async {
            let asked = app.asked().await;
            app.leave(asked.connection);
            asked.say(200, "ok");
        };
        assert_eq!(tokio::join!(sending, playing).0.status, 200);
    }
}

#[tokio::test]
async fn a_late_app_is_answered_for_and_hears_that_nobody_waits() {
    let (mut app, world) = house(&[("app", "upstream_timeout = \"1s\"")]).await;
    let mut client = world.open().await;
    let response = client.start(request("GET", "/public")).await;
    let mut asked = app.asked().await;
    assert_eq!(whole(response).await.unwrap().status, 504);
    let reset = std::future::poll_fn(|cx| asked.respond.poll_reset(cx)).await.unwrap();
    assert_eq!(reset, Reason::CANCEL);
    let answer = meanwhile(&mut app, 200, "ok", world.send(Request::get("/public"))).await;
    assert_eq!(answer.status, 200, "the connection is as good as before");
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_complete() {
    let (mut app, world) = house(&[]).await;
    let mut client = world.open().await;
    let response = client.start(request("GET", "/public")).await;
    let mut stream = app.asked().await.respond.send_response(Response::new(()), false).unwrap();
    stream.send_data("hello".into(), false).unwrap();
    let body = response.await.unwrap().into_body();
    stream.send_reset(Reason::INTERNAL_ERROR);
    assert!(rest(body).await.is_err());
    let mut plain = world.plain().await;
    plain.write(format!("GET /public HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await;
    let mut stream = app.asked().await.respond.send_response(Response::new(()), false).unwrap();
    stream.send_data("hello".into(), false).unwrap();
    plain.until("hello").await;
    stream.send_reset(Reason::INTERNAL_ERROR);
    assert!(!plain.rest().await.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn an_app_of_http_2_that_is_down_or_speaks_something_else_is_a_bad_gateway() {
    let world = Secured::before("\"h2c://127.0.0.1:1\"", &[]).await;
    assert_eq!(world.send(Request::get("/public")).await.status, 502);
    let other = RawApp::start().await;
    let world = Secured::before(&format!("\"h2c://{}\"", other.address), &[]).await;
    let playing = async {
        let mut connection = other.accept().await;
        connection.until("PRI").await;
        connection.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        connection.rest().await;
    };
    assert_eq!(tokio::join!(world.send(Request::get("/public")), playing).0.status, 502);
}

#[tokio::test]
async fn an_app_with_tls_is_spoken_to_as_it_offers() {
    let authority = Authority::new("school");
    let (mut app, old) = (Http2App::start().await, RawApp::start().await);
    let (new, plain) = (app.address, old.address);
    let choose = move |agreed: Option<&[u8]>| if agreed == Some(b"h2") { new } else { plain };
    let tls = TlsApp::offering(&["h2", "http/1.1"], choose, authority.signs(&["localhost"])).await;
    let upstream = format!("\"https://localhost:{}\"", tls.address.port());
    let world = Secured::before(&upstream, &[("app", &authority.line())]).await;
    let answer = meanwhile(&mut app, 200, "of HTTP/2", world.send(Request::get("/public"))).await;
    assert_eq!(answer.text(), "of HTTP/2");
    let mut socket = world.plain().await;
    let head = format!(
        "GET /public HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write(head.as_bytes()).await;
    let (mut at_app, head) = old.request().await;
    assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
    at_app.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello").await;
    socket.until("hello").await;
    let answer = meanwhile(&mut app, 200, "still", world.send(Request::get("/public"))).await;
    assert_eq!(answer.text(), "still");

    let only_old = TlsApp::offering(&["http/1.1"], move |_| plain, authority.signs(&["localhost"])).await;
    let upstream = format!("\"https://localhost:{}\"", only_old.address.port());
    let world = Secured::before(&upstream, &[("app", &authority.line())]).await;
    for _ in 0..2 {
        let playing = async {
            let (mut at_app, head) = old.request().await;
            assert!(head.starts_with("GET /public HTTP/1.1\r\n"), "{head}");
            at_app.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nold").await;
        };
        assert_eq!(tokio::join!(world.send(Request::get("/public")), playing).0.text(), "old");
    }
}

#[tokio::test]
async fn a_websocket_has_no_way_to_an_app_of_http_2_alone() {
    let (mut app, world) = house(&[]).await;
    let mut socket = world.plain().await;
    let head = format!(
        "GET /public HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    socket.write(head.as_bytes()).await;
    assert_eq!(socket.answer().await.status, 502);
    assert!(app.is_left_alone());
}

#[tokio::test]
async fn health_is_asked_in_the_language_of_the_app() {
    let (mut one, mut other) = (Http2App::start().await, Http2App::start().await);
    let list = format!("[\"h2c://{}\", \"h2c://{}\"]", one.address, other.address);
    let world = Secured::before(&list, &[("app", "health_path = \"/well?really=1\"")]).await;
    for app in [&mut one, &mut other] {
        let asked = app.asked().await;
        assert_eq!(asked.request.uri(), &*format!("http://{HOST}/well?really=1"));
        assert!(asked.header("user-agent").unwrap().starts_with("schoolgate-health/"));
        asked.say(200, "well");
    }
    for app in [&mut one, &mut other] {
        let asked = loop {
            tokio::select! {
                biased;
                asked = app.asked() => break asked,
                () = tokio::task::yield_now() => world.clock.advance(Duration::from_secs(5)),
            }
        };
        assert_eq!(asked.connection, 2, "each check has its own connection");
        asked.say(500, "");
    }
}
