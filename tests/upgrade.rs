//! A restart with sockets that systemd holds: the old process ends, a new one takes its place, and nobody notices.
//!
//! The test is systemd here: it opens the socket, starts the program with it, ends it with SIGTERM, waits, and starts
//! the next, as `systemctl restart` does.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use support::{
    Authority, Browser, Connection, HOST, Load, Program, RawApp, Request, Site, TlsClient,
    load::{Arrivals, Late},
    world::through_apple,
};
use tokio::time::timeout;

/// A socket that listens, and the configuration of a gateway on it that keeps its sessions in a file.
fn socket(site: &Site, lines: &[(&str, &str)]) -> (TcpListener, SocketAddr, String) {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let text = site
        .configuration(lines)
        .replace("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{address}\"]"))
        .replace("store = \"memory\"", "store = \"file\"");
    (socket, address, text)
}

async fn start(site: &Site, text: &str, socket: &TcpListener) -> Program {
    let mut program = site.spawn_with(text, Some(socket), &[]);
    program.started().await;
    program
}

/// Ends the program in order.
async fn end(program: Program) {
    program.terminate().await;
    let (status, said) = program.ended().await;
    assert!(status.success(), "{status} {said}");
}

#[tokio::test]
async fn no_request_and_no_sign_in_fails_while_it_is_restarted_ten_times() {
    let site = Site::start().await;
    // One address signs in as fast as it can.
    let (socket, address, text) = socket(&site, &[("server", "sign_in_rate_per_ip = 10000")]);
    let mut program = start(&site, &text, &socket).await;
    let browser = program.signed_in("teacher-1").await;
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let request = Request::get("/x").header("Host", HOST).header("Cookie", &cookie);
    let load = Load::start(address, &request, 20, 500);
    let arrivals = Arrivals::start(address);
    for _ in 0..10 {
        // A sign-in that begins before the restart ends after it.
        let late = Late::leaves(address).await;
        end(program).await;
        program = start(&site, &text, &socket).await;
        late.comes_back().await;
    }
    let (requests, sign_ins) = (load.stop().await, arrivals.stop().await);
    assert_eq!((requests.bad, sign_ins.bad), (Vec::new(), Vec::new()));
    assert!(requests.good > 1_000 && sign_ins.good > 10, "{} requests, {} sign-ins", requests.good, sign_ins.good);
    println!("{} requests, {} sign-ins during 10 restarts", requests.good, sign_ins.good);
}

#[tokio::test]
async fn no_request_of_http_2_fails_while_it_is_restarted_ten_times() {
    let (site, authority) = (Site::start().await, Authority::new("School"));
    let section = format!("[server.tls]\n{}", authority.signs(&[HOST]).write(&site.path(""), "tls"));
    let (socket, address, text) = socket(&site, &[("server", &section)]);
    let mut program = start(&site, &text, &socket).await;
    let mut browser = Browser::new(address).with_tls(TlsClient::trusting(&authority));
    assert_eq!(through_apple(&mut browser, "/start", "teacher-1").await.status, 303);
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let load = Load::over_http2(address, &TlsClient::speaking(&authority, &["h2"]), "/x", &cookie, (20, 500));
    for _ in 0..10 {
        end(program).await;
        program = start(&site, &text, &socket).await;
        let mut other = Browser::new(address).with_tls(TlsClient::trusting(&authority));
        let answer = through_apple(&mut other, "/start", "teacher-2").await;
        assert_eq!(answer.status, 303, "{}", answer.text());
    }
    let count = load.stop().await;
    assert_eq!(count.bad, Vec::<String>::new());
    assert!(count.good > 1_000, "{} requests", count.good);
    println!("{} requests of HTTP/2 during 10 restarts", count.good);
}

/// The client's end of an event stream, and the app's.
async fn live_stream(address: SocketAddr, app: &RawApp) -> (Connection, Connection) {
    let mut stream = Connection::open(address).await;
    stream.write(&Request::get("/public/events").header("Host", HOST).bytes()).await;
    let (mut events, _) = app.request().await;
    events.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    stream.until("data: 1\n\n").await;
    // It is one when it has lasted for a while.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    (stream, events)
}

#[tokio::test]
async fn a_stream_has_its_time_and_nobody_waits_for_it() {
    let (site, app) = (Site::start().await, RawApp::start().await);
    let (socket, address, text) = socket(&site, &[("server", "shutdown_grace = \"10m\"")]);
    let text = text.replace(&site.echo.address.to_string(), &app.address.to_string());
    let program = start(&site, &text, &socket).await;
    let (mut stream, mut events) = live_stream(address, &app).await;
    program.terminate().await;
    program.logged("draining_streams").await;
    events.write(b"data: 2\n\n").await;
    stream.until("data: 2\n\n").await;
    let asked = tokio::spawn(async move { Request::get("/public/x").header("Host", HOST).send(address).await });
    let (mut other, _) = app.request().await;
    other.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert_eq!(asked.await.unwrap().text(), "ok");
    drop(events);
    let (status, said) = timeout(Duration::from_secs(30), program.ended()).await.expect("the stream was the last");
    assert!(status.success() && !said.contains("drain_incomplete"), "{said}");
}

#[tokio::test]
async fn a_stream_that_does_not_end_is_cut_when_its_time_is_over() {
    let (site, app) = (Site::start().await, RawApp::start().await);
    let (socket, address, text) = socket(&site, &[("server", "shutdown_grace = \"1s\"")]);
    let text = text.replace(&site.echo.address.to_string(), &app.address.to_string());
    let program = start(&site, &text, &socket).await;
    let (mut stream, _events) = live_stream(address, &app).await;
    program.terminate().await;
    let (status, _) = program.ended().await;
    assert!(status.success());
    // The end of the chunk, and no end of the answer.
    assert_eq!(stream.rest().await, b"\r\n");
}

#[tokio::test]
async fn a_socket_that_the_configuration_does_not_name_is_an_error_with_its_cure() {
    let site = Site::start().await;
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let (status, said) = site.spawn_with(&site.configuration(&[]), Some(&socket), &[]).ended().await;
    // As after a wrong configuration: systemd does not try again.
    assert_eq!(status.code(), Some(2), "{said}");
    let address = socket.local_addr().unwrap();
    assert!(said.contains(&format!("systemd listens on {address}")) && said.contains("ListenStream="), "{said}");
}

#[tokio::test]
async fn a_socket_that_is_no_tcp_listener_is_a_mistake_of_the_configuration() {
    let site = Site::start().await;
    let datagrams = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (status, said) = site.spawn_with(&site.configuration(&[]), Some(&datagrams), &[]).ended().await;
    assert_eq!(status.code(), Some(2), "{said}");
    assert!(said.contains("cannot use a socket that systemd hands over") && said.contains("ListenStream="), "{said}");
}
