//! HTTP/2 from browsers: what is promised of a request holds for it as it does in HTTP/1.1.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use h2::Reason;
use support::{
    Browser, Connection, HOST, RawApp, Request, Secured, World,
    http2::{navigation, request, rest, whole, write},
    world::{at, at_apple},
};

/// The `Cookie` field of somebody who is signed in.
fn cookie(browser: &Browser) -> String {
    format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap())
}

/// Every answer of the gateway's own has these.
fn is_protected(answer: &support::Answer2) {
    for (name, value) in
        [("cache-control", "no-store"), ("referrer-policy", "no-referrer"), ("x-content-type-options", "nosniff")]
    {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert!(answer.header("content-security-policy").is_some() && answer.header("date").is_some());
}

#[tokio::test]
async fn an_app_of_http_1_gets_one_ordinary_request() {
    let world = Secured::start().await;
    let mut client = world.open().await;
    let asked = request("POST", "/public/%41?q=%41")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-custom", "kept")
        .header("te", "trailers")
        .header("content-type", "text/plain");
    let answer = client.post(asked, "body").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "seen 4"));
    let seen = world.echo.last();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/public/A?q=%41"));
    for (name, value) in [
        ("host", HOST),
        ("cookie", "a=1; b=2"),
        ("x-custom", "kept"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", HOST),
    ] {
        assert_eq!(seen.header(name), Some(value), "{name}");
    }
    assert_eq!((seen.header("te"), seen.header("connection")), (None, None));
    for forbidden in ["connection", "transfer-encoding", "keep-alive", "upgrade"] {
        assert_eq!(answer.header(forbidden), None);
    }
}

#[tokio::test]
async fn somebody_signs_in_and_out_over_one_connection() {
    let world = Secured::start().await;
    let mut client = world.open().await;
    let begun = client.send(navigation("/start?x=1")).await;
    is_protected(&begun);
    assert_eq!(begun.status, 302);
    let login = begun.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let callback = at_apple(begun.header("location").unwrap(), "teacher-1").await;
    let back = client.send(navigation(callback.strip_prefix(&at("")).unwrap()).header("cookie", &login)).await;
    assert_eq!((back.status, back.header("location")), (303, Some("/start?x=1")), "{}", back.text());
    let cookies: Vec<_> = back.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let session = cookies.iter().find(|one| one.starts_with("__Host-schoolgate=")).unwrap();
    let session = session.split(';').next().unwrap();
    let page = client.send(navigation("/start?x=1").header("cookie", "mine=1").header("cookie", session)).await;
    assert_eq!(page.status, 200);
    let seen = world.echo.last();
    assert_eq!(seen.header("x-forwarded-user"), Some(&*world.subject("teacher-1")));
    assert_eq!(seen.header("cookie"), Some("mine=1"), "the session is the gateway's alone");
    let me = client.send(request("GET", "/.schoolgate/me").header("cookie", session)).await;
    assert_eq!(me.status, 200);
    let out = request("POST", "/.schoolgate/sign-out?return_to=/public").header("cookie", session);
    assert_eq!(client.post(out.header("content-type", "application/x-www-form-urlencoded"), "").await.status, 303);
    let gone = client.send(request("GET", "/start").header("cookie", session)).await;
    assert_eq!(gone.status, 401);
    is_protected(&gone);
}

#[tokio::test]
async fn what_is_refused_has_an_answer_and_its_connection_lives() {
    let world = Secured::with(&[("app", "max_body = \"1KiB\"")]).await;
    let mut client = world.open().await;
    let long = "x".repeat(40_000);
    for (asked, status) in [
        (request("GET", "/public//x"), 400),
        (request("GET", "/public/%2e%2e/x"), 400),
        (request("GET", "/public/a%2fb"), 400),
        (request("GET", "/public").header("content_length", "5"), 400),
        (request("GET", "/public").header("transfer_encoding", "chunked"), 400),
        (request("GET", "/public").header("host", "other.school.example"), 400),
        (request("GET", "/public").uri("http://library.school.example/public"), 400),
        (request("TRACE", "/public"), 405),
        (request("get", "/public"), 400),
        (request("POST", "/public").header("expect", "something"), 417),
        (request("GET", "/public").uri("https://elsewhere.example/public"), 421),
        (request("GET", "/public").header("x-long", &long), 431),
        (request("GET", "/x"), 401),
        (navigation("/staff"), 302),
    ] {
        let shown = format!("{asked:?}");
        let answer = client.send(asked).await;
        assert_eq!(answer.status, status, "{:.200} {}", shown, answer.text());
        is_protected(&answer);
        if !matches!(status, 302 | 401) {
            assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{status}");
            assert!(answer.text().contains(answer.header("x-request-id").unwrap()));
        }
    }
    let page = client.send(navigation("/public/a%2fb")).await;
    assert_eq!((page.status, page.header("content-type")), (400, Some("text/html; charset=utf-8")));
    let head = client.send(request("HEAD", "/public//x")).await;
    assert_eq!((head.status, head.body.len()), (400, 0));
    for (length, announced) in [(2000, true), (2000, false), (5_000_000, false)] {
        let asked = match announced {
            true => request("POST", "/public").header("content-length", length),
            false => request("POST", "/public"),
        };
        let answer = client.post(asked, vec![0; length]).await;
        assert_eq!(answer.status, 413, "{length} {announced}");
        is_protected(&answer);
    }
    assert_eq!(client.post(request("POST", "/public"), vec![0; 1024]).await.status, 200);
    assert!(world.echo.seen().iter().all(|seen| seen.body <= 1024));
}

#[tokio::test]
async fn what_no_client_of_http_2_may_say_is_reset() {
    let world = Secured::start().await;
    let mut client = world.open().await;
    for asked in [
        request("POST", "/public").header("content-length", "5"),
        request("POST", "/public").header("content-length", "x"),
    ] {
        let answer = client.try_send(asked).await;
        assert_eq!(answer.err(), Some(Some(Reason::PROTOCOL_ERROR)));
    }
    let (response, mut stream) = client.begin(request("POST", "/public").header("content-length", "5")).await;
    write(&mut stream, "six...".into(), true).await.unwrap();
    assert_eq!(whole(response).await.err(), Some(Some(Reason::PROTOCOL_ERROR)));
    let (response, mut stream) = client.begin(request("POST", "/public").header("content-length", "5")).await;
    write(&mut stream, "four".into(), true).await.unwrap();
    assert_eq!(whole(response).await.err(), Some(Some(Reason::PROTOCOL_ERROR)));
    assert_eq!(client.send(request("GET", "/public")).await.status, 200);
    assert!(world.echo.seen().iter().all(|seen| seen.body != 4), "half a body is no request");
}

#[tokio::test]
async fn many_requests_share_a_connection_and_none_waits_for_another() {
    let world = Secured::start().await;
    let mut client = world.open().await;
    let mut waiting = Vec::new();
    for _ in 0..50 {
        waiting.push(client.start(request("GET", "/public/hang")).await);
    }
    for number in 0..200 {
        assert_eq!(client.send(request("GET", &format!("/public/{number}"))).await.status, 200);
    }
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let answer = client.post(request("PUT", "/public/file"), bytes.clone()).await;
    assert_eq!(answer.text(), "seen 3000000");
    assert_eq!(world.echo.seen_at("/public/file").unwrap().bytes, bytes);
}

#[tokio::test]
async fn an_app_that_is_late_is_answered_for_and_its_neighbours_go_on() {
    let world = Secured::with(&[("app", "upstream_timeout = \"1s\"")]).await;
    let mut client = world.open().await;
    let late = client.start(navigation("/public/hang")).await;
    let (uploading, mut upload) = client.begin(request("POST", "/public/hang")).await;
    write(&mut upload, "begun".into(), false).await.unwrap();
    let mut events = client.start(request("GET", "/public/events")).await.await.unwrap().into_body();
    assert!(events.data().await.unwrap().unwrap().starts_with(b"data: 0"));
    let answer = whole(late).await.expect("a page and no reset");
    assert_eq!((answer.status, answer.header("content-type")), (504, Some("text/html; charset=utf-8")));
    is_protected(&answer);
    assert_eq!(whole(uploading).await.expect("an answer").status, 504);
    rest(events).await.expect("the stream comes to its end");
    assert_eq!(client.send(request("GET", "/public")).await.status, 200);
}

#[tokio::test]
async fn an_app_that_breaks_off_never_looks_complete() {
    let app = RawApp::start().await;
    let world = Secured::before(&app.address.to_string(), &[]).await;
    let mut client = world.open().await;
    for head in ["Content-Length: 11", "Transfer-Encoding: chunked"] {
        let response = client.start(request("GET", "/public")).await;
        let (mut connection, _) = app.request().await;
        connection.write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n5\r\nhello\r\n").as_bytes()).await;
        let body = response.await.unwrap().into_body();
        drop(connection);
        assert!(rest(body).await.is_err(), "{head}");
    }
    let response = client.start(request("GET", "/public")).await;
    drop(app.request().await);
    assert_eq!(whole(response).await.unwrap().status, 502);
    let response = client.start(request("GET", "/public")).await;
    let (mut connection, _) = app.request().await;
    connection.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await;
    assert_eq!(whole(response).await.unwrap().status, 502);
}

/// More than a hundred: as many wasted requests would end the connection.
#[tokio::test]
async fn an_app_that_breaks_off_is_no_fault_of_the_client() {
    let app = RawApp::start().await;
    let world = Secured::before(&app.address.to_string(), &[]).await;
    let mut client = world.open().await;
    for _ in 0..110 {
        let response = client.start(request("GET", "/public")).await;
        let (mut connection, _) = app.request().await;
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello").await;
        let body = response.await.unwrap().into_body();
        drop(connection);
        assert!(rest(body).await.is_err());
    }
    let response = client.start(request("GET", "/public")).await;
    app.request().await.0.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(whole(response).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_is_open_when_a_session_ends_ends_with_it_and_the_rest_goes_on() {
    let app = RawApp::start().await;
    let world = Secured::before(&app.address.to_string(), &[]).await;
    let mut browser = world.signed_in("teacher-1").await;
    let mut client = world.open().await;
    let events = client.start(request("GET", "/events").header("cookie", cookie(&browser))).await;
    let (mut speaking, _) = app.request().await;
    speaking.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    let events = events.await.unwrap().into_body();
    let poll = client.start(request("GET", "/poll").header("cookie", cookie(&browser))).await;
    let (silent, _) = app.request().await;
    let public = client.start(request("GET", "/public/x").header("cookie", cookie(&browser))).await;
    let (mut open, _) = app.request().await;
    assert_eq!(browser.open(&at("/.schoolgate/sign-out?return_to=/public")).await.status, 303);
    let cut = tokio::time::timeout(Duration::from_secs(10), rest(events)).await.expect("the stream goes on");
    assert_eq!(cut.err(), Some(Some(Reason::CANCEL)));
    let told = whole(poll).await.unwrap();
    assert_eq!(told.status, 401);
    assert!(told.header("www-authenticate").unwrap().starts_with("Schoolgate sign_in=\"https://"));
    is_protected(&told);
    open.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(whole(public).await.unwrap().text(), "ok");
    drop((speaking, silent));
}

#[tokio::test]
async fn the_app_hears_when_a_request_is_taken_back() {
    let app = RawApp::start().await;
    let world = Secured::before(&app.address.to_string(), &[]).await;
    let mut client = world.open().await;
    let (response, mut stream) = client.begin(request("POST", "/public")).await;
    write(&mut stream, "begun".into(), false).await.unwrap();
    let (mut at_app, _) = app.request().await;
    at_app.until("begun").await;
    stream.send_reset(Reason::CANCEL);
    drop(response);
    let rest = at_app.rest().await;
    assert!(!String::from_utf8_lossy(&rest).contains("0\r\n\r\n"), "it does not look whole");
    let response = client.start(request("GET", "/public")).await;
    let (mut at_app, _) = app.request().await;
    drop(response);
    assert_eq!(at_app.rest().await, b"");
}

#[tokio::test]
async fn whoever_waits_for_100_continue_gets_it_and_early_hints_pass() {
    let app = RawApp::start().await;
    let world = Secured::before(&app.address.to_string(), &[]).await;
    let mut client = world.open().await;
    let (mut response, mut stream) = client.begin(request("POST", "/public").header("expect", "100-continue")).await;
    let (mut at_app, head) = app.request().await;
    assert!(head.to_ascii_lowercase().contains("expect: 100-continue"));
    at_app.write(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    let told = std::future::poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!(told.status().as_u16(), 100);
    write(&mut stream, "now".into(), true).await.unwrap();
    at_app.until("now").await;
    at_app.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n").await;
    let told = std::future::poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!(told.status().as_u16(), 103);
    at_app.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(whole(response).await.unwrap().text(), "ok");
}

#[tokio::test]
async fn whoever_waits_for_100_continue_at_our_own_paths_gets_it_and_its_time_runs() {
    let world = Secured::start().await;
    let mut client = world.open().await;
    let form = "application/x-www-form-urlencoded";
    let waiting = || request("POST", "/.schoolgate/callback").header("content-type", form);
    let (mut silent, _kept) = client.begin(waiting().header("expect", "100-continue")).await;
    let (mut response, mut stream) = client.begin(waiting().header("expect", "100-continue")).await;
    for told in [&mut silent, &mut response] {
        let told = std::future::poll_fn(|cx| told.poll_informational(cx)).await.unwrap().unwrap();
        assert_eq!(told.status().as_u16(), 100);
    }
    write(&mut stream, "a=b".into(), true).await.unwrap();
    assert_eq!(whole(response).await.unwrap().status, 400);
    assert_eq!(whole(silent).await.unwrap().status, 408);

    let mut client = world.plain().await;
    let head = format!("POST /.schoolgate/callback HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {form}\r\n");
    client.write(format!("{head}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n").as_bytes()).await;
    assert_eq!(client.until("\r\n\r\n").await, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write(b"a=b").await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_body_that_drips_is_given_up() {
    let world = Secured::with(&[("server", "min_body_rate = \"1KiB\"")]).await;
    let mut client = world.open().await;
    let (response, mut slow) = client.begin(request("POST", "/public")).await;
    write(&mut slow, "x".into(), false).await.unwrap();
    let began = schoolgate::clock::Stopwatch::start();
    let answer = whole(response).await.unwrap();
    assert_eq!(answer.status, 408);
    assert!(began.elapsed() >= Duration::from_secs(9) && began.elapsed() < Duration::from_secs(20));
    is_protected(&answer);
}

#[tokio::test]
async fn a_gateway_that_stops_takes_no_more_requests_and_finishes_those_under_way() {
    let app = RawApp::start().await;
    let world = Secured::before(&app.address.to_string(), &[]).await;
    let mut client = world.open().await;
    let response = client.start(request("GET", "/public")).await;
    let (mut at_app, _) = app.request().await;
    let idle = world.open().await;
    let stopping = tokio::spawn(world.world.running.drain(Duration::from_secs(20)));
    assert_eq!(idle.end().await, None, "nothing was wrong with it");
    at_app.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(whole(response).await.unwrap().text(), "ok");
    assert_eq!(client.end().await, None);
    tokio::time::timeout(Duration::from_secs(10), stopping).await.expect("it stops at once").unwrap();
}

#[tokio::test]
async fn without_tls_nobody_speaks_http_2() {
    let world = World::start().await;
    let mut client = Connection::open(world.address).await;
    client.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 505);
    let asked = Request::get("/public").header("Connection", "Upgrade, HTTP2-Settings").header("Upgrade", "h2c");
    let answer = world.send(asked.header("HTTP2-Settings", "AAMAAABkAAQAAP__")).await;
    assert_eq!(answer.status, 200, "an upgrade that is not taken");
}
