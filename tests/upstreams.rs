//! Several upstreams of one app: turns, health, and what is sent again; and upstreams that speak TLS.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use support::{Answer, Authority, Connection, Echo, HOST, RawApp, Request, TlsApp, World, self_signed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_tungstenite::tungstenite::Message;

/// No test waits longer for the health of an app.
const PATIENCE: Duration = Duration::from_secs(30);

/// As the configuration lists upstreams.
fn list(scheme: &str, addresses: &[SocketAddr]) -> String {
    let quoted: Vec<_> = addresses.iter().map(|address| format!("\"{scheme}://{address}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// An address where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn get(world: &World, path: &str) -> Answer {
    world.send(Request::get(path)).await
}

/// Lets the time of health checks pass until something has happened.
async fn until(world: &World, what: impl AsyncFn() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !what().await {
            world.clock.advance(Duration::from_secs(5));
            tokio::task::yield_now().await;
        }
    });
    assert!(waited.await.is_ok(), "it never happened");
}

/// An app with a health of its own, which keeps the heads of all requests.
#[derive(Clone)]
struct Patient {
    address: SocketAddr,
    health: Arc<AtomicU16>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Patient {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let patient = Self { address, health: Arc::new(AtomicU16::new(204)), heads: Arc::default() };
        let told = patient.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let patient = patient.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = socket.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).unwrap();
                    let is_check = head.starts_with("GET /health?quick HTTP/1.1\r\n");
                    let status = if is_check { patient.health.load(Ordering::SeqCst) } else { 200 };
                    patient.heads.lock().unwrap().push(head);
                    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                    let _ = socket.write_all(answer.as_bytes()).await;
                });
            }
        });
        told
    }

    fn heads(&self, part: &str) -> Vec<String> {
        self.heads.lock().unwrap().iter().filter(|head| head.contains(part)).cloned().collect()
    }
}

#[tokio::test]
async fn upstreams_take_turns() {
    let (one, other) = (Echo::start().await, Echo::start().await);
    let world = World::before(&list("http", &[one.address, other.address]), &[]).await;
    for number in 0..10 {
        assert_eq!(get(&world, &format!("/public/{number}")).await.status, 200);
    }
    assert_eq!((one.count(), other.count()), (5, 5));
}

#[tokio::test]
async fn an_upstream_that_is_gone_is_skipped_unnoticed_and_comes_back() {
    let (echo, gone) = (Echo::start().await, nobody().await);
    let list = format!("[\"http://{gone}\", \"http://no-such-name.invalid\", \"http://{}\"]", echo.address);
    let world = World::before(&list, &[]).await;
    let file = Request::new("POST", "/public/file").body("text/plain", vec![b'x'; 1 << 20]);
    assert_eq!(world.send(file).await.text(), format!("seen {}", 1 << 20), "it went on whole");
    for number in 0..6 {
        let form = Request::new("POST", "/public/form").form(&[("number", &number.to_string())]);
        assert_eq!(world.send(form).await.status, 200, "nothing was sent to those that are gone: a form may go on");
        assert_eq!(get(&world, "/public/page").await.status, 200);
    }
    assert_eq!(echo.count(), 13, "each request came once");
    let back = Echo::at(gone).await;
    until(&world, async || {
        assert_eq!(get(&world, "/public/page").await.status, 200);
        back.count() > 0
    })
    .await;
}

#[tokio::test]
async fn when_all_are_gone_the_answer_is_503_at_once_and_health_brings_them_back() {
    let addresses = [nobody().await, nobody().await];
    let world = World::before(&list("http", &addresses), &[]).await;
    for _ in 0..3 {
        let answer = get(&world, "/public/page").await;
        assert_eq!((answer.status, answer.header("content-type")), (503, Some("application/problem+json")));
        let page = world.send(Request::get("/public/page").navigation()).await;
        assert_eq!((page.status, page.header("content-type")), (503, Some("text/html; charset=utf-8")));
    }
    let _back = Echo::at(addresses[1]).await;
    until(&world, async || get(&world, "/public/page").await.status == 200).await;
}

#[tokio::test]
async fn an_upstream_that_says_it_is_ill_gets_no_requests_until_it_is_well() {
    let (well, ill) = (Patient::start().await, Patient::start().await);
    let lines = [("app", "health_path = \"/health?quick\"")];
    let world = World::before(&list("http", &[well.address, ill.address]), &lines).await;
    ill.health.store(500, Ordering::SeqCst);
    until(&world, async || ill.heads("/health").len() > 4).await;
    let before = ill.heads("/public").len();
    for _ in 0..4 {
        assert_eq!(get(&world, "/public/page").await.status, 200);
    }
    assert_eq!(ill.heads("/public").len(), before);
    assert!(well.heads("/public").len() >= 4);
    ill.health.store(302, Ordering::SeqCst);
    until(&world, async || {
        assert_eq!(get(&world, "/public/page").await.status, 200);
        ill.heads("/public").len() > before
    })
    .await;
}

#[tokio::test]
async fn a_health_check_has_the_host_of_a_browser_and_nothing_of_a_person() {
    for (preserved, line) in [(true, "preserve_host = true"), (false, "preserve_host = false")] {
        let (one, other) = (Patient::start().await, Patient::start().await);
        let lines = [("app", "health_path = \"/health?quick\""), ("app", line)];
        let world = World::before(&list("http", &[one.address, other.address]), &lines).await;
        until(&world, async || !one.heads("/health").is_empty() && !other.heads("/health").is_empty()).await;
        let head = one.heads("/health")[0].to_ascii_lowercase();
        let host = if preserved { HOST.to_owned() } else { one.address.to_string() };
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "{head}");
        assert!(!head.contains("cookie") && !head.contains("x-forwarded"), "{head}");
        for number in 0..2 {
            get(&world, &format!("/public/{number}")).await;
        }
        let head = one.heads("/public")[0].to_ascii_lowercase();
        let host = if preserved { HOST.to_owned() } else { one.address.to_string() };
        assert!(head.contains(&format!("\r\nhost: {host}\r\n")), "each upstream has a name of its own: {head}");
    }
}

#[tokio::test]
async fn one_upstream_alone_is_not_asked_for_its_health_and_is_always_tried() {
    let patient = Patient::start().await;
    let lines = [("app", "health_path = \"/health?quick\"")];
    let world = World::before(&patient.address.to_string(), &lines).await;
    for _ in 0..5 {
        world.clock.advance(Duration::from_secs(60));
        assert_eq!(get(&world, "/public/page").await.status, 200);
    }
    assert!(patient.heads("/health").is_empty());
    let gone = nobody().await;
    let world = World::before(&gone.to_string(), &[]).await;
    assert_eq!(get(&world, "/public/page").await.status, 502);
    let _back = Echo::at(gone).await;
    assert_eq!(get(&world, "/public/page").await.status, 200, "no check was needed");
}

/// An open request to the gateway.
async fn begun(world: &World, request: Request) -> Connection {
    let mut client = Connection::open(world.address).await;
    client.write(&request.header("Host", HOST).bytes()).await;
    client
}

#[tokio::test]
async fn a_form_is_sent_once_whatever_the_upstream_does_with_it() {
    let (one, other) = (RawApp::start().await, RawApp::start().await);
    let world = World::before(&list("http", &[one.address, other.address]), &[]).await;
    // The checks, which say nothing.
    drop((one.accept().await, other.accept().await));
    for method in ["POST", "PUT", "DELETE", "PATCH", "GET"] {
        let mut client = begun(&world, Request::new(method, "/public/form").body("text/plain", "once")).await;
        let (mut connection, head) = tokio::select! {
            found = one.request() => found,
            found = other.request() => found,
        };
        assert!(head.starts_with(&format!("{method} /public/form HTTP/1.1\r\n")), "{head}");
        if method == "POST" {
            connection.until("once").await;
        }
        drop(connection);
        assert_eq!(client.answer().await.status, 502);
        assert!(one.is_left_alone().await && other.is_left_alone().await, "{method} came twice");
    }
}

#[tokio::test]
async fn what_an_app_may_have_read_is_not_sent_again_on_a_connection_that_was_used_before_either() {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), &[]).await;
    for method in ["GET", "OPTIONS", "POST", "PUT", "DELETE"] {
        let mut client = begun(&world, Request::get("/public/first")).await;
        let (mut kept, _) = app.request().await;
        kept.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.answer().await.text(), "ok");
        let mut client = begun(&world, Request::new(method, "/public/second")).await;
        let head = kept.until("\r\n\r\n").await;
        assert!(head.starts_with(&format!("{method} /public/second ")), "{head}");
        drop(kept);
        assert_eq!(client.answer().await.status, 502);
        assert!(app.is_left_alone().await, "{method} came twice");
    }
}

/// Apps close connections that nobody uses: that is noticed before one is used again, and costs no request.
#[tokio::test]
async fn a_connection_that_the_app_has_closed_meanwhile_is_not_used_again() {
    let app = RawApp::start().await;
    let world = World::before(&app.address.to_string(), &[]).await;
    for method in ["GET", "POST"] {
        let mut client = begun(&world, Request::get("/public/first")).await;
        let (mut kept, _) = app.request().await;
        kept.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
        assert_eq!(client.answer().await.text(), "ok");
        drop(kept);
        let mut client = begun(&world, Request::new(method, "/public/second")).await;
        let (mut fresh, head) = app.request().await;
        assert!(head.starts_with(&format!("{method} /public/second ")), "{head}");
        fresh.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nfresh").await;
        assert_eq!(client.answer().await.text(), "fresh");
    }
}

#[tokio::test]
async fn every_upstream_has_its_time_to_answer_and_is_not_left_for_another() {
    let (one, other) = (RawApp::start().await, RawApp::start().await);
    let lines = [("app", "upstream_timeout = \"500ms\"")];
    let world = World::before(&list("http", &[one.address, other.address]), &lines).await;
    drop((one.accept().await, other.accept().await));
    let mut client = begun(&world, Request::get("/public/never")).await;
    let _silent = tokio::select! {
        found = one.request() => found,
        found = other.request() => found,
    };
    assert_eq!(client.answer().await.status, 504);
    assert!(one.is_left_alone().await && other.is_left_alone().await);
}

/// Everything that this process has logged since somebody first asked for it.
static BOOK: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Page;

impl std::io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        BOOK.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The lines about an upstream.
fn logged(event: &str, upstream: &str) -> Vec<String> {
    let text = String::from_utf8(BOOK.lock().unwrap().clone()).unwrap();
    let about = format!("upstream={upstream}");
    text.lines().filter(|line| line.contains(event) && line.contains(&about)).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_becomes_of_an_upstream_is_logged_once_with_the_reason() {
    // For all threads: one for this thread alone is missed by events that another thread was the first to log.
    tracing_subscriber::fmt().with_ansi(false).with_writer(|| Page).init();
    let (echo, gone) = (Echo::start().await, nobody().await);
    let world = World::before(&list("http", &[echo.address, gone]), &[]).await;
    for _ in 0..6 {
        assert_eq!(get(&world, "/public/page").await.status, 200);
        world.clock.advance(Duration::from_secs(5));
    }
    let down = logged("upstream_down", &format!("http://{gone}"));
    assert_eq!(down.len(), 1, "{down:?}");
    assert!(down[0].contains(" WARN ") && down[0].contains("ConnectRefused"), "{}", down[0]);
    let _back = Echo::at(gone).await;
    until(&world, async || !logged("upstream_up", &format!("http://{gone}")).is_empty()).await;
    let up = logged("upstream_up", &format!("http://{gone}"));
    assert!(up.len() == 1 && up[0].contains(" INFO "), "{up:?}");
    let authority = Authority::new("School");
    let lines = [("app", &*authority.line())];
    let (app, world) = tls_world(&echo, authority.signed_long_ago(&["localhost"]), &lines).await;
    assert_eq!(get(&world, "/public/page").await.status, 502);
    let unreachable = logged("upstream_unreachable", &format!("https://localhost:{}", app.address.port()));
    assert_eq!(unreachable.len(), 1, "{unreachable:?}");
    let line = &unreachable[0];
    assert!(line.contains(" WARN ") && line.contains("invalid peer certificate"), "{line}");
    assert!(line.contains("expired") && line.contains("request_id"), "{line}");
}

/// A gateway before an app with TLS, by the name `localhost`.
async fn tls_world(echo: &Echo, certificate: support::tls_app::Certificate, lines: &[(&str, &str)]) -> (TlsApp, World) {
    let app = TlsApp::before(echo.address, certificate).await;
    let world = World::before(&format!("\"https://localhost:{}\"", app.address.port()), lines).await;
    (app, world)
}

#[tokio::test]
async fn an_upstream_that_the_private_authority_vouches_for_is_trusted_by_its_own_name() {
    let (echo, authority) = (Echo::start().await, Authority::new("School"));
    for preserve in ["preserve_host = true", "preserve_host = false"] {
        let lines = [("app", &*authority.line()), ("app", preserve)];
        let (app, world) = tls_world(&echo, authority.signs(&["localhost"]), &lines).await;
        for _ in 0..4 {
            assert_eq!(get(&world, "/public/page").await.text(), "seen 0");
        }
        assert_eq!(app.handshakes(), [Some("localhost".to_owned())], "one connection, used again");
    }
    // The browser's host is not the name that the certificate must have.
    let (_app, world) = tls_world(&echo, authority.signs(&[HOST]), &[("app", &authority.line())]).await;
    assert_eq!(get(&world, "/public/page").await.status, 502);
}

#[tokio::test]
async fn an_ip_address_must_stand_in_the_certificate() {
    let (echo, authority) = (Echo::start().await, Authority::new("School"));
    for (names, status) in [(["127.0.0.1"], 200), (["localhost"], 502), (["127.0.0.2"], 502)] {
        let app = TlsApp::before(echo.address, authority.signs(&names)).await;
        let world = World::before(&list("https", &[app.address]), &[("app", &authority.line())]).await;
        assert_eq!(get(&world, "/public/page").await.status, status, "{names:?}");
    }
}

#[tokio::test]
async fn to_an_upstream_whose_certificate_is_wrong_nothing_is_sent() {
    let (echo, authority) = (Echo::start().await, Authority::new("School"));
    let stranger = Authority::new("School");
    for (what, certificate) in [
        ("another name", authority.signs(&["elsewhere.school.example"])),
        ("a wildcard above it", authority.signs(&["*.localhost"])),
        ("expired", authority.signed_long_ago(&["localhost"])),
        ("self-signed", self_signed(&["localhost"])),
        ("another authority of the same name", stranger.signs(&["localhost"])),
    ] {
        let (app, world) = tls_world(&echo, certificate, &[("app", &authority.line())]).await;
        for request in [Request::get("/public/page"), Request::new("POST", "/public/form").form(&[("a", "b")])] {
            assert_eq!(world.send(request).await.status, 502, "{what}");
        }
        assert!(app.handshakes().is_empty() && echo.count() == 0, "{what}");
    }
    // It listens without TLS.
    let world = World::before(&list("https", &[echo.address]), &[("app", &authority.line())]).await;
    assert_eq!(get(&world, "/public/page").await.status, 502);
    assert_eq!(echo.count(), 0);
}

#[tokio::test]
async fn the_private_authorities_take_the_place_of_the_systems() {
    let (echo, authority) = (Echo::start().await, Authority::new("School"));
    if std::path::Path::new("/etc/ssl/certs/ca-certificates.crt").exists() {
        let (app, world) = tls_world(&echo, authority.signs(&["localhost"]), &[]).await;
        assert_eq!(get(&world, "/public/page").await.status, 502, "the system does not know it");
        assert!(app.handshakes().is_empty());
    }
    // Several in one file: while one takes over from another, both are trusted.
    let (old, new) = (Authority::new("Old"), Authority::new("New"));
    let both = [std::fs::read_to_string(old.file()).unwrap(), std::fs::read_to_string(new.file()).unwrap()].concat();
    std::fs::write(old.file(), both).unwrap();
    for authority in [&old, &new] {
        let (_app, world) = tls_world(&echo, authority.signs(&["localhost"]), &[("app", &old.line())]).await;
        assert_eq!(get(&world, "/public/page").await.status, 200);
    }
}

#[tokio::test]
async fn what_one_app_trusts_is_no_connection_for_another() {
    let (echo, authority, stranger) = (Echo::start().await, Authority::new("School"), Authority::new("Stranger"));
    let app = TlsApp::before(echo.address, authority.signs(&["localhost"])).await;
    let upstream = format!("\"https://localhost:{}\"", app.address.port());
    let other = format!(
        "[[app]]\nname = \"other\"\nhost = \"other.school.example\"\nupstream = {upstream}\n{}\n\
         [[app.route]]\npath = \"/\"\naccess = \"public\"",
        stranger.line()
    );
    let world = World::before(&upstream, &[("app", &authority.line()), ("routes", &other)]).await;
    for _ in 0..3 {
        assert_eq!(get(&world, "/public/page").await.status, 200);
        let answer = world.send(Request::get("/").header("Host", "other.school.example")).await;
        assert_eq!(answer.status, 502, "the connection of the first app waits to be used again");
    }
    assert_eq!((app.handshakes().len(), echo.count()), (1, 3));
}

#[tokio::test]
async fn an_upstream_whose_certificate_is_wrong_is_skipped_for_one_whose_is_right() {
    let (echo, authority) = (Echo::start().await, Authority::new("School"));
    let good = TlsApp::before(echo.address, authority.signs(&["127.0.0.1"])).await;
    let bad = TlsApp::before(echo.address, authority.signed_long_ago(&["127.0.0.1"])).await;
    let world = World::before(&list("https", &[bad.address, good.address]), &[("app", &authority.line())]).await;
    for _ in 0..4 {
        assert_eq!(get(&world, "/public/page").await.status, 200);
    }
    assert!(bad.handshakes().is_empty());
}

#[tokio::test]
async fn streams_and_their_timeouts_pass_through_tls() {
    let (echo, authority) = (Echo::start().await, Authority::new("School"));
    let lines = [("app", &*authority.line()), ("app", "upstream_timeout = \"1s\"")];
    let (_app, world) = tls_world(&echo, authority.signs(&["localhost"]), &lines).await;
    assert_eq!(get(&world, "/public/events").await.text(), "data: 0\n\ndata: 1\n\ndata: 2\n\n");
    let large = Request::new("POST", "/public/file").body("text/plain", vec![b'x'; 1 << 20]);
    assert_eq!(world.send(large).await.text(), format!("seen {}", 1 << 20));
    assert_eq!(get(&world, "/public/hang").await.status, 504);
}

#[tokio::test]
async fn a_websocket_passes_through_tls() {
    let (app, authority) = (RawApp::start().await, Authority::new("School"));
    let front = TlsApp::before(app.address, authority.signs(&["localhost"])).await;
    let upstream = format!("\"https://localhost:{}\"", front.address.port());
    let world = World::before(&upstream, &[("app", &authority.line())]).await;
    let serve = async { tokio_tungstenite::accept_async(app.accept().await.into_stream()).await.unwrap() };
    let socket = Connection::open(world.address).await.into_stream();
    let client = tokio_tungstenite::client_async(format!("ws://{HOST}/public/talk"), socket);
    let (client, mut server) = tokio::join!(client, serve);
    let mut client = client.unwrap().0;
    for round in 0..3 {
        let said = Message::text(format!("{round}: {}", "x".repeat(20_000)));
        client.send(said.clone()).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), said);
        server.send(said.clone()).await.unwrap();
        assert_eq!(client.next().await.unwrap().unwrap(), said);
    }
}
