//! TLS that ends at the gateway: certificates by name, renewed while it runs, and what plain HTTP gets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{net::SocketAddr, path::Path, time::Duration};

use support::{
    Authority, Connection, HOST, Request, Site, TlsClient, World,
    pebble::free,
    self_signed,
    tls_app::Certificate,
    world::{at, through_apple},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::rustls::HandshakeKind;

/// No test waits longer for what must happen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at the files.
const LOOK: Duration = Duration::from_secs(10);

/// The section with these pairs, the first of them in the section itself.
fn section(folder: &Path, certificates: &[(&str, &Certificate)], more: &str) -> String {
    let mut text = "[server.tls]\n".to_owned();
    for (number, (name, certificate)) in certificates.iter().enumerate() {
        let lines = certificate.write(folder, name);
        let begin = if number == 0 { more.to_owned() } else { "[[server.tls.certificate]]\n".to_owned() };
        text += &format!("{begin}\n{lines}");
    }
    text
}

/// A gateway with a certificate for the app's host.
struct Secured {
    world: World,
    authority: Authority,
    client: TlsClient,
    folder: tempfile::TempDir,
}

impl Secured {
    async fn start() -> Self {
        Self::with("", &[]).await
    }

    /// With further lines in `[server.tls]`, and in other sections.
    async fn with(tls: &str, lines: &[(&str, &str)]) -> Self {
        let (authority, folder) = (Authority::new("School"), tempfile::tempdir().unwrap());
        let section = section(folder.path(), &[("library", &authority.signs(&[HOST]))], tls);
        // Other sections end at the next header.
        let server: String =
            lines.iter().filter(|(name, _)| *name == "server").map(|(_, line)| format!("{line}\n")).collect();
        let mut all: Vec<_> = lines.iter().filter(|(name, _)| *name != "server").copied().collect();
        let section = format!("{server}{section}");
        all.push(("server", &section));
        let world = World::with(&all).await;
        let client = TlsClient::trusting(&authority);
        Self { world, authority, client, folder }
    }

    fn address(&self) -> SocketAddr {
        self.world.address
    }

    fn redirect(&self) -> SocketAddr {
        self.world.running.redirected()[0]
    }

    async fn open(&self) -> Connection {
        self.client.open(self.address(), HOST).await
    }

    async fn send(&self, request: Request) -> support::Answer {
        let request = if request.has_header("host") { request } else { request.header("Host", HOST) };
        request.send_over(&mut self.open().await).await
    }

    /// Moves the clock from look to look until the certificate is shown.
    async fn comes_to_show(&self, certificate: &Certificate) {
        let shown = timeout(PATIENCE, async {
            while self.client.shown(self.address(), HOST).await.as_deref() != Some(certificate.der()) {
                self.world.clock.advance(LOOK);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        assert!(shown.await.is_ok(), "the certificate is never shown");
    }
}

#[tokio::test]
async fn each_name_gets_its_certificate() {
    let (authority, folder) = (Authority::new("School"), tempfile::tempdir().unwrap());
    let first = authority.signs(&["first.school.example", "127.0.0.1"]);
    let library = authority.signs(&[HOST]);
    let wild = authority.signs(&["*.school.example"]);
    let text = section(folder.path(), &[("first", &first), ("wild", &wild), ("library", &library)], "");
    let world = World::with(&[("server", &text)]).await;
    let client = TlsClient::trusting(&authority);
    for (name, certificate) in [
        ("first.school.example", Some(&first)),
        // No name is asked for with an address.
        ("127.0.0.1", Some(&first)),
        (HOST, Some(&library)),
        ("LIBRARY.school.example", Some(&library)),
        ("wiki.school.example", Some(&wild)),
        // The first is shown, and the client does not take it.
        ("elsewhere.example", None),
        ("a.b.school.example", None),
    ] {
        let shown = client.shown(world.address, name).await;
        assert_eq!(shown.as_deref(), certificate.map(Certificate::der), "{name}");
    }
}

#[tokio::test]
async fn somebody_signs_in_over_tls() {
    let secured = Secured::start().await;
    let mut browser = secured.world.browser().with_tls(secured.client.clone());
    let answer = through_apple(&mut browser, "/start?a=b", "teacher-1").await;
    assert_eq!((answer.status, answer.location()), (303, "/start?a=b"), "{}", answer.text());
    let page = browser.open(&at("/start?a=b")).await;
    assert_eq!(page.status, 200);
    let last = secured.world.echo.last();
    assert_eq!(last.header("x-forwarded-proto"), Some("https"));
    assert!(last.header("x-forwarded-user").is_some());
    secured.world.stop().await;
}

#[tokio::test]
async fn a_connection_carries_many_requests_and_large_bodies() {
    let secured = Secured::start().await;
    let mut connection = secured.open().await;
    for length in [0, 1, 4095, 4096, 1 << 20] {
        let body = "x".repeat(length);
        let request = Request::new("POST", "/public/form").header("Host", HOST).body("text/plain", body.clone());
        let answer = request.send_over(&mut connection).await;
        assert_eq!(answer.status, 200, "{length}");
        assert_eq!(secured.world.echo.last().body, length);
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_connections_stay() {
    let secured = Secured::start().await;
    let mut connection = secured.open().await;
    let page = || Request::get("/public").header("Host", HOST);
    assert_eq!(page().send_over(&mut connection).await.status, 200);
    let renewed = secured.authority.signs(&[HOST, "new.school.example"]);
    renewed.write(secured.folder.path(), "library");
    secured.comes_to_show(&renewed).await;
    assert_eq!(page().send_over(&mut connection).await.status, 200);
    assert_eq!(page().send_over(&mut secured.open().await).await.status, 200);
}

#[tokio::test]
async fn a_broken_pair_is_not_taken_and_the_old_one_stays() {
    let secured = Secured::start().await;
    let before = secured.client.shown(secured.address(), HOST).await.unwrap();
    let path = secured.folder.path();
    let key = std::fs::read(path.join("library.key")).unwrap();
    // A certificate without its key; half a file; nothing at all.
    let renewed = secured.authority.signs(&[HOST]);
    renewed.write(path, "library");
    std::fs::write(path.join("library.key"), key).unwrap();
    let shown = || secured.client.shown(secured.address(), HOST);
    for content in [None, Some("-----BEGIN CERTIFICATE-----\nMII"), Some("")] {
        if let Some(content) = content {
            std::fs::write(path.join("library.pem"), content).unwrap();
        }
        for _ in 0..3 {
            while secured.world.clock.sleeping() == 0 {
                tokio::task::yield_now().await;
            }
            secured.world.clock.advance(LOOK);
            assert_eq!(shown().await.as_ref(), Some(&before));
        }
    }
    std::fs::remove_file(path.join("library.pem")).unwrap();
    secured.world.clock.advance(LOOK);
    assert_eq!(shown().await.as_ref(), Some(&before));
    renewed.write(path, "library");
    secured.comes_to_show(&renewed).await;
}

#[tokio::test]
async fn a_reload_takes_certificates_at_once_and_refuses_broken_ones_whole() {
    let (authority, folder, site) = (Authority::new("School"), tempfile::tempdir().unwrap(), Site::start().await);
    let text = section(folder.path(), &[("library", &authority.signs(&[HOST]))], "");
    let program = site.run(&[("server", &text)]).await;
    let client = TlsClient::trusting(&authority);
    let renewed = authority.signs(&[HOST]);
    renewed.write(folder.path(), "library");
    program.hang_up().await;
    program.logged("\"reloaded\"").await;
    assert_eq!(client.shown(program.address(), HOST).await.as_deref(), Some(renewed.der()));
    std::fs::write(folder.path().join("library.key"), "nonsense").unwrap();
    program.hang_up().await;
    program.logged("holds no private key").await;
    assert_eq!(client.shown(program.address(), HOST).await.as_deref(), Some(renewed.der()));
    program.terminate().await;
    let (status, said) = program.ended().await;
    assert!(status.success(), "{said}");
}

#[tokio::test]
async fn a_session_of_tls_goes_on_by_a_ticket() {
    let secured = Secured::start().await;
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let stream = secured.client.connect(secured.address(), HOST).await.unwrap();
        kinds.push(stream.get_ref().1.handshake_kind().unwrap());
        let mut connection = Connection::over_tls(stream);
        assert_eq!(Request::get("/public").header("Host", HOST).send_over(&mut connection).await.status, 200);
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
}

#[tokio::test]
async fn a_client_that_speaks_none_of_our_protocols_is_turned_away() {
    let secured = Secured::start().await;
    let shake = async |protocols: &[&str]| {
        TlsClient::speaking(&secured.authority, protocols).connect(secured.address(), HOST).await
    };
    let stream = shake(&["http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(shake(&[]).await.unwrap().get_ref().1.alpn_protocol(), None);
    for strange in [&["ftp"][..], &["acme-tls/1"]] {
        assert!(shake(strange).await.is_err(), "{strange:?}");
    }
}

/// A greeting of TLS 1.1 and its alert: `protocol_version` (RFC 8446, section 6.2).
#[tokio::test]
async fn older_versions_are_refused() {
    let secured = Secured::start().await;
    for (minor, answer) in [(0, None), (1, None), (2, None), (3, Some(22))] {
        let random = [7; 32];
        let suites = [0, 6, 0xc0, 0x2b, 0xc0, 0x09, 0xc0, 0x0a];
        // P-256, uncompressed, with ECDSA and SHA-256.
        let groups = [0, 10, 0, 4, 0, 2, 0, 23];
        let formats = [0, 11, 0, 2, 1, 0];
        let signatures = [0, 13, 0, 4, 0, 2, 4, 3];
        let extensions = [&[0, 22][..], &groups, &formats, &signatures].concat();
        let hello = [&[3, minor][..], &random, &[0], &suites, &[1, 0], &extensions].concat();
        let length = u8::try_from(hello.len()).unwrap();
        let message = [&[1, 0, 0, length][..], &hello].concat();
        let mut socket = TcpStream::connect(secured.address()).await.unwrap();
        socket.write_all(&[&[22, 3, 1, 0, length + 4][..], &message].concat()).await.unwrap();
        let mut head = [0; 7];
        timeout(PATIENCE, socket.read_exact(&mut head)).await.unwrap().unwrap();
        match answer {
            Some(kind) => assert_eq!(head[0], kind, "{minor}: {head:?}"),
            None => assert_eq!((head[0], head[5], head[6]), (21, 2, 70), "{minor}: {head:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_does_not_get_on_with_the_handshake_is_cut_off() {
    let secured = Secured::with("", &[("server", "header_timeout = \"300ms\"")]).await;
    for begun in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"] {
        let mut socket = TcpStream::connect(secured.address()).await.unwrap();
        socket.write_all(begun).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
        assert!(ended.is_ok() && rest.is_empty(), "{begun:?}: {rest:?}");
    }
}

#[tokio::test]
async fn plain_http_is_told_about_https_and_serves_nothing() {
    let secured = Secured::start().await;
    let page = Request::get("/public").header("Host", HOST).navigation().send(secured.address()).await;
    assert_eq!(page.status, 400);
    assert!(page.text().contains("This address needs https"), "{}", page.text());
    assert_eq!(page.header("strict-transport-security"), None);
    assert_eq!(page.header("set-cookie"), None);
    let mut connection = Connection::open(secured.address()).await;
    connection.write(b"GET / HTTP/1.0\r\n\r\nGET / HTTP/1.0\r\n\r\n").await;
    let answers = String::from_utf8(connection.rest().await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 400").count(), 1, "{answers}");
    assert_eq!(secured.world.echo.count(), 0);
}

#[tokio::test]
async fn a_host_that_the_certificate_is_not_for_is_refused() {
    let wiki = "[[app]]\nname = \"wiki\"\nhost = \"wiki.school.example\"\nupstream = \"http://@APP@\"\n\
        [[app.route]]\npath = \"/\"\naccess = \"public\"\n";
    let of_the_wiki = || Request::get("/").header("Host", "wiki.school.example");
    let secured = Secured::with("", &[("routes", wiki)]).await;
    let answer = of_the_wiki().send_over(&mut secured.open().await).await;
    assert_eq!(answer.status, 421);
    assert_eq!(secured.world.echo.count(), 0);
    assert_eq!(secured.send(Request::get("/public").header("Host", &format!("{HOST}:8443"))).await.status, 200);
    // A balancer that speaks TLS to the gateway asks for whatever name it likes (RFC 9110, section 7.4).
    let lines = [("routes", wiki), ("server", "trusted_proxies = [\"127.0.0.1\"]")];
    let trusting = Secured::with("", &lines).await;
    assert_eq!(of_the_wiki().send_over(&mut trusting.open().await).await.status, 200);
}

#[tokio::test]
async fn a_balancer_says_before_the_handshake_for_whom_it_connects() {
    let secured = Secured::with("", &[("server", "trusted_proxies = [\"127.0.0.1\"]")]).await;
    let mut socket = TcpStream::connect(secured.address()).await.unwrap();
    socket.write_all(b"PROXY TCP4 203.0.113.9 10.0.0.1 4660 443\r\n").await.unwrap();
    let mut connection = Connection::over_tls(secured.client.shake(socket, HOST).await.unwrap());
    let answer = Request::get("/public").header("Host", HOST).send_over(&mut connection).await;
    assert_eq!(answer.status, 200);
    assert_eq!(secured.world.echo.last().header("x-forwarded-for"), Some("203.0.113.9"));
}

#[tokio::test]
async fn every_answer_tells_browsers_to_come_by_https() {
    let secured = Secured::start().await;
    let header = |answer: &support::Answer| answer.header("strict-transport-security").map(str::to_owned);
    let year = Some("max-age=31536000".to_owned());
    for (request, status) in [
        (Request::get("/public"), 200),
        (Request::get("/private").navigation(), 302),
        (Request::get("/private"), 401),
        (Request::get("/.schoolgate/me"), 401),
        (Request::get("/.schoolgate/nothing"), 404),
        (Request::get("/").header("Host", "elsewhere.example"), 421),
        (Request::get("/a%2fb"), 400),
        (Request::new("TRACE", "/"), 405),
    ] {
        let answer = secured.send(request.clone()).await;
        assert_eq!((answer.status, header(&answer)), (status, year.clone()), "{request:?}");
    }
    // What the app says of it is ours to say, unless we say nothing.
    let said = || Request::get("/public/say?Strict-Transport-Security=max-age%3D1%3B+includeSubDomains");
    let answer = secured.send(said()).await;
    assert_eq!((answer.status, header(&answer)), (200, year));
    let silent = Secured::with("hsts = \"0s\"", &[]).await;
    assert_eq!(header(&silent.send(Request::get("/public")).await), None);
    assert_eq!(header(&silent.send(Request::get("/private")).await), None);
    assert_eq!(header(&silent.send(said()).await).as_deref(), Some("max-age=1; includeSubDomains"));
    let world = World::start().await;
    assert_eq!(header(&world.send(Request::get("/public")).await), None, "TLS ends elsewhere");
}

#[tokio::test]
async fn plain_http_is_sent_to_https_with_its_method_and_its_path() {
    let secured = Secured::with("redirect_http_listen = [\"127.0.0.1:0\"]", &[]).await;
    for method in ["GET", "POST", "HEAD", "DELETE"] {
        let request = Request::new(method, "/private/a%20b?x=%2F&y").header("Host", &format!("{HOST}:8080"));
        let answer = request.header("Cookie", "__Host-schoolgate=x").send(secured.redirect()).await;
        assert_eq!((answer.status, answer.location()), (308, "https://library.school.example/private/a%20b?x=%2F&y"));
        for absent in ["set-cookie", "strict-transport-security"] {
            assert_eq!(answer.header(absent), None, "{absent}");
        }
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    assert_eq!(secured.world.echo.count(), 0);
}

#[tokio::test]
async fn plain_http_is_sent_to_the_port_of_the_redirect_uri() {
    let (site, authority, redirect) = (Site::start().await, Authority::new("School"), free());
    let lines = authority.signs(&[HOST]).write(&site.path(""), "tls");
    let text =
        site.configuration(&[("server", &format!("[server.tls]\nredirect_http_listen = [\"{redirect}\"]\n{lines}"))]);
    let with_port = text.replace(&format!("https://{HOST}/"), &format!("https://{HOST}:8443/"));
    assert_ne!(text, with_port);
    let mut program = site.spawn(&with_port);
    program.started().await;
    for host in [HOST.to_owned(), format!("{HOST}:80"), format!("{HOST}:9")] {
        let answer = Request::get("/a?b").header("Host", &host).send(redirect).await;
        assert_eq!((answer.status, answer.location()), (308, "https://library.school.example:8443/a?b"), "{host}");
    }
}

#[tokio::test]
async fn plain_http_for_other_hosts_and_odd_requests_goes_nowhere() {
    let secured = Secured::with("redirect_http_listen = [\"127.0.0.1:0\"]", &[]).await;
    let redirect = secured.redirect();
    for host in ["elsewhere.example", "school.example", "library.school.example.evil.example", "127.0.0.1"] {
        let answer = Request::get("/").header("Host", host).send(redirect).await;
        assert_eq!((answer.status, answer.header("location")), (421, None), "{host}");
    }
    for request in [
        "GET //evil.example/ HTTP/1.1\r\nHost: library.school.example\r\n\r\n",
        "GET /\\evil.example HTTP/1.1\r\nHost: library.school.example\r\n\r\n",
        "GET /a HTTP/1.1\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: library.school.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: library.school.example\r\nHost: evil.example\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n",
    ] {
        let mut connection = Connection::open(redirect).await;
        connection.write(request.as_bytes()).await;
        let answer = connection.answer().await;
        assert_eq!((answer.status, answer.header("location")), (400, None), "{request:?}");
    }
    // What follows the first request is not read.
    let mut connection = Connection::open(redirect).await;
    let request = format!("GET /a HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    connection.write(request.repeat(2).as_bytes()).await;
    let answers = String::from_utf8(connection.rest().await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 308").count(), 1, "{answers}");
}

#[tokio::test]
async fn both_listeners_drain() {
    let secured = Secured::with("redirect_http_listen = [\"127.0.0.1:0\"]", &[]).await;
    let (address, redirect) = (secured.address(), secured.redirect());
    let mut idle = secured.open().await;
    let _silent = TcpStream::connect(address).await.unwrap();
    let mut waiting = Connection::open(redirect).await;
    timeout(Duration::from_secs(4), secured.world.stop()).await.unwrap();
    assert!(idle.rest().await.is_empty() && waiting.rest().await.is_empty());
    for closed in [address, redirect] {
        assert!(TcpStream::connect(closed).await.is_err());
    }
}

#[tokio::test]
async fn a_certificate_of_nobody_is_used_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let text = section(folder.path(), &[("own", &self_signed(&[HOST]))], "");
    let world = World::with(&[("server", &text)]).await;
    let client = TlsClient::trusting(&Authority::new("Another"));
    assert!(client.connect(world.address, HOST).await.is_err(), "the client trusts somebody else");
    assert_eq!(world.running.certificates().unwrap().expiries()[0].names, HOST);
}

#[tokio::test]
async fn metrics_and_the_page_for_operators_say_when_certificates_end() {
    let secured = Secured::start().await;
    let admin = secured.world.admin;
    let ask = async |path: &str| Request::get(path).header("Host", &admin.to_string()).send(admin).await.text();
    let until = secured.world.running.certificates().unwrap().expiries()[0].until;
    let metrics = ask("/metrics").await;
    let line = format!("schoolgate_certificate_expiry_timestamp_seconds{{certificate=\"{HOST}\"}} ");
    let value = metrics.lines().find_map(|found| found.strip_prefix(&line)).unwrap_or_else(|| panic!("{metrics}"));
    assert_eq!(value.parse::<f64>().unwrap() as u64, until.seconds());
    let page = ask("/").await;
    assert!(page.contains(&format!("Certificate <code><bdi>{HOST}</bdi></code>")), "{page}");
}
