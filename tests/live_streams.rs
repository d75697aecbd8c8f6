//! What is open when a session ends, ends with it: event streams, downloads, uploads, WebSockets.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use futures_util::StreamExt;
use support::{Browser, Connection, HOST, RawApp, World, world::at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A gateway before an app that the test plays, and somebody who is signed in.
async fn house() -> (RawApp, World, Browser) {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), &[]).await;
    let browser = world.signed_in("teacher-1").await;
    (app, world, browser)
}

/// A request of the browser's, written to a connection of its own.
async fn begun(world: &World, browser: &Browser, request_line: &str, fields: &str) -> Connection {
    let session = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let mut client = Connection::open(world.address).await;
    let head =
        format!("{request_line} HTTP/1.1\r\nHost: {HOST}\r\nCookie: __Host-schoolgate={session}\r\n{fields}\r\n");
    client.write(head.as_bytes()).await;
    client
}

/// An event stream that has delivered its first event.
async fn events(app: &RawApp, world: &World, browser: &Browser, path: &str) -> (Connection, Connection) {
    let mut client = begun(world, browser, &format!("GET {path}"), "Accept: text/event-stream\r\n").await;
    let (mut request, _) = app.request().await;
    request.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(client.head().await.status, 200);
    event(&mut request, &mut client).await;
    (client, request)
}

/// One more event arrives.
async fn event(request: &mut Connection, client: &mut Connection) {
    request.write(b"b\r\ndata: one\n\n\r\n").await;
    client.until("data: one\n\n").await;
}

/// Waits until the connection has ended, which it does in the middle of an answer.
async fn is_cut(client: &mut Connection) {
    let rest = tokio::time::timeout(Duration::from_secs(10), client.rest()).await.expect("the stream goes on");
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a stream that is cut does not look whole");
}

#[tokio::test]
async fn an_event_stream_ends_with_its_session_and_nobody_elses_does() {
    let (app, world, mut browser) = house().await;
    let other = world.signed_in("teacher-2").await;
    let (mut client, mut request) = events(&app, &world, &browser, "/events").await;
    let (mut others, mut others_request) = events(&app, &world, &other, "/events").await;
    let (mut public, mut public_request) = events(&app, &world, &browser, "/public/events").await;
    assert_eq!(browser.open(&at("/.schoolgate/sign-out?return_to=/public")).await.status, 303);
    is_cut(&mut client).await;
    assert_eq!(request.rest().await, b"", "the app learns that nobody listens any more");
    event(&mut others_request, &mut others).await;
    event(&mut public_request, &mut public).await;
}

#[tokio::test]
async fn a_download_in_the_middle_ends_with_its_session() {
    let (app, world, mut browser) = house().await;
    let mut client = begun(&world, &browser, "GET /film", "").await;
    let (mut request, _) = app.request().await;
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nfirst").await;
    assert_eq!(client.head().await.status, 200);
    assert_eq!(client.exactly(5).await, b"first");
    browser.open(&at("/.schoolgate/sign-out?return_to=/public")).await;
    is_cut(&mut client).await;
}

#[tokio::test]
async fn whoever_waits_for_an_answer_is_told_that_the_session_has_ended() {
    let (app, world, mut browser) = house().await;
    let mut waits = begun(&world, &browser, "GET /poll", "").await;
    let (mut request, _) = app.request().await;
    let mut uploads = begun(&world, &browser, "PUT /file", "Content-Length: 100\r\n").await;
    uploads.write(b"first").await;
    let (mut upload, _) = app.request().await;
    browser.open(&at("/.schoolgate/sign-out?return_to=/public")).await;
    for (client, at_app) in [(&mut waits, &mut request), (&mut uploads, &mut upload)] {
        let answer = client.answer().await;
        assert_eq!(answer.status, 401);
        assert!(answer.header("www-authenticate").unwrap().starts_with("Schoolgate sign_in=\"https://"));
        assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
        at_app.rest().await;
    }
}

#[tokio::test]
async fn a_websocket_ends_with_its_session() {
    let (app, world, mut browser) = house().await;
    let mut request = format!("ws://{HOST}/talk").into_client_request().unwrap();
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    request.headers_mut().insert("cookie", cookie.parse().unwrap());
    request.headers_mut().insert("origin", format!("https://{HOST}").parse().unwrap());
    let stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let serve = async { tokio_tungstenite::accept_async(app.accept().await.into_stream()).await.unwrap() };
    let (client, mut server) = tokio::join!(tokio_tungstenite::client_async(request, stream), serve);
    let (mut client, _) = client.unwrap();
    browser.open(&at("/.schoolgate/sign-out?return_to=/public")).await;
    let ended = async {
        while let Some(Ok(_)) = client.next().await {}
        while let Some(Ok(_)) = server.next().await {}
    };
    tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the conversation goes on");
}

#[tokio::test]
async fn a_stream_ends_when_its_session_is_too_old_though_nobody_signs_out() {
    let (app, world, mut browser) = house().await;
    let (mut client, mut request) = events(&app, &world, &browser, "/events").await;
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(7 * 3600));
        assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
        event(&mut request, &mut client).await;
    }
    world.clock.advance(Duration::from_secs(4 * 3600));
    let cut = is_cut(&mut client);
    tokio::pin!(cut);
    loop {
        tokio::select! {
            () = &mut cut => break,
            // Whoever tends the sessions looks every half second.
            () = tokio::task::yield_now() => world.clock.advance(Duration::from_millis(100)),
        }
    }
}

#[tokio::test]
async fn a_session_that_was_ended_before_its_stream_was_watched_is_noticed_too() {
    let (app, world, mut browser) = house().await;
    let mut client = begun(&world, &browser, "GET /events", "").await;
    let (mut request, _) = app.request().await;
    // At once: nobody watches a request that is so young.
    browser.open(&at("/.schoolgate/sign-out?return_to=/public")).await;
    request.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\ndata: one\n\n\r\n").await;
    is_cut(&mut client).await;
}
