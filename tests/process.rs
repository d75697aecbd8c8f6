//! The program as a process: how it starts, how it stops, what it leaves behind.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt, path::Path, time::Duration};

use schoolgate::demo::{Endpoint, Gate, Trouble};
use support::{
    Answer, Browser, Connection, HOST, Program, RawApp, Request, Site,
    program::ask,
    world::{at, at_apple},
};
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    time::{Instant, timeout},
};

/// Far shorter than any grace period or idle time of a configuration here, and long for a machine.
const SOON: Duration = Duration::from_secs(10);

/// Grace that no test waits for.
const LONG: (&str, &str) = ("server", "shutdown_grace = \"10m\"");

async fn get(address: SocketAddr, host: &str, path: &str) -> Answer {
    Request::get(path).header("Host", host).send(address).await
}

/// Asks until the gateway is ready.
async fn readiness(socket: &Path) -> Answer {
    let end = Instant::now() + SOON;
    loop {
        let answer = ask(socket, "GET", "/readyz").await;
        if answer.status == 200 {
            return answer;
        }
        assert!(Instant::now() < end, "{answer:?}");
        tokio::task::yield_now().await;
    }
}

/// Waits until nobody can connect any more.
async fn refuses_connections(address: SocketAddr) {
    let end = Instant::now() + SOON;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < end, "it goes on to accept");
        tokio::task::yield_now().await;
    }
}

/// Starts the program with a configuration that cannot work; returns the exit status and what it says.
async fn fails(site: &Site, text: &str) -> (Option<i32>, String) {
    let (status, said) = site.spawn(text).ended().await;
    (status.code(), said)
}

/// A site whose app is played by the test.
async fn with_raw_app(lines: &[(&str, &str)]) -> (Site, RawApp, Program) {
    let (site, app) = (Site::start().await, RawApp::start().await);
    let text = site.configuration(lines).replace(&site.echo.address.to_string(), &app.address.to_string());
    let mut program = site.spawn(&text);
    program.started().await;
    (site, app, program)
}

async fn request_in_flight(program: &Program, app: &RawApp) -> (Connection, Connection) {
    let mut client = Connection::open(program.address()).await;
    client.write(&Request::get("/public/x").header("Host", HOST).bytes()).await;
    (client, app.request().await.0)
}

#[tokio::test]
async fn it_starts_serves_and_stops_with_status_0() {
    let site = Site::start().await;
    let program = site.run(&[LONG]).await;
    assert_eq!(get(program.address(), HOST, "/public/x").await.status, 200);
    assert_eq!(get(program.address(), HOST, "/x").await.status, 401);
    assert_eq!(get(program.address(), "other.example", "/x").await.status, 421);
    let mut browser = program.browser();
    let answer = support::world::through_apple(&mut browser, "/start", "teacher-1").await;
    assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
    assert_eq!(browser.open(&at("/start")).await.status, 200);
    program.terminate().await;
    let (status, log) = timeout(SOON, program.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped") && !log.contains("drain_incomplete"), "{log}");
}

#[tokio::test]
async fn it_has_no_huge_pages_of_which_a_connection_uses_a_part() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let status = fs::read_to_string(format!("/proc/{}/status", program.pid())).unwrap();
    assert!(status.lines().any(|line| line.split_whitespace().eq(["THP_enabled:", "0"])), "{status}");
}

#[tokio::test]
async fn a_request_in_flight_finishes_while_nobody_new_is_let_in() {
    let (_site, app, program) = with_raw_app(&[LONG]).await;
    let (mut client, mut request) = request_in_flight(&program, &app).await;
    program.terminate().await;
    refuses_connections(program.address()).await;
    request.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst").await;
    client.until("first").await;
    request.write(b"-last").await;
    client.until("-last").await;
    let (status, log) = timeout(SOON, program.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!(client.rest().await, b"", "the connection ends with the answer");
}

#[tokio::test]
async fn a_connection_without_a_request_does_not_hold_up_the_end() {
    let site = Site::start().await;
    let program = site.run(&[LONG]).await;
    let mut used = Connection::open(program.address()).await;
    used.write(&Request::get("/public/x").header("Host", HOST).bytes()).await;
    assert_eq!(used.answer().await.status, 200);
    let mut unused = Connection::open(program.address()).await;
    let _admin = UnixStream::connect(site.path("admin.sock")).await.unwrap();
    // The program has accepted the second one when it answers one that came later.
    assert_eq!(get(program.address(), HOST, "/public/x").await.status, 200);
    program.terminate().await;
    let (status, log) = timeout(SOON, program.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert_eq!((used.rest().await, unused.rest().await), (Vec::new(), Vec::new()));
}

#[tokio::test]
async fn a_request_that_outlasts_the_grace_is_cut_and_the_end_is_clean() {
    let (_site, app, program) = with_raw_app(&[("server", "shutdown_grace = \"200ms\"")]).await;
    let (mut client, _request) = request_in_flight(&program, &app).await;
    program.terminate().await;
    let (status, log) = timeout(SOON, program.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("drain_incomplete"), "{log}");
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (_site, app, program) = with_raw_app(&[LONG]).await;
    let (mut client, _request) = request_in_flight(&program, &app).await;
    program.terminate().await;
    program.logged("draining").await;
    program.terminate().await;
    let (status, log) = timeout(SOON, program.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped_at_once"), "{log}");
    assert_eq!(client.rest().await, b"");
}

#[tokio::test]
async fn a_sign_out_just_before_the_end_still_reaches_apple() {
    let site = Site::start().await;
    let program = site.run(&[LONG]).await;
    let mut browser = program.browser();
    support::world::through_apple(&mut browser, "/", "teacher-1").await;
    let gate = Gate::closed();
    site.apple.switches().trouble(Endpoint::Revoke, Trouble::Hang(gate.clone()));
    assert_eq!(browser.open(&at("/.schoolgate/sign-out")).await.status, 200);
    site.apple.calls().reached(Endpoint::Revoke, 1).await;
    program.terminate().await;
    refuses_connections(program.address()).await;
    gate.open();
    let (status, log) = timeout(SOON, program.ended()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    let call = site.apple.calls().last(Endpoint::Revoke).unwrap();
    assert_eq!(call.outcome.map(|outcome| outcome.status), Some(200), "{log}");
    assert!(log.contains("revoked") && !log.contains("revocations_lost"), "{log}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_and_the_status_is_1() {
    let site = Site::start().await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = site.configuration(&[]);
    let public = text.replace("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"127.0.0.1:0\", \"{address}\"]"));
    let unix = format!("\"unix:{}\"", site.path("admin.sock").display());
    let admin = text.replace(&unix, &format!("\"{address}\""));
    for text in [public, admin] {
        let (status, said) = fails(&site, &text).await;
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains(&format!("cannot listen on {address}")), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    // A unix socket's path, where something else is.
    fs::write(site.path("admin.sock"), "mine").unwrap();
    let (status, said) = fails(&site, &text).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("cannot listen on") && said.contains("admin.sock"), "{said}");
    assert_eq!(fs::read_to_string(site.path("admin.sock")).unwrap(), "mine");
}

#[tokio::test]
async fn a_wrong_configuration_never_starts_and_the_status_is_2() {
    let site = Site::start().await;
    let text = site.configuration(&[]).replace("[session]", "[session]\nidle_timeout = 5\nmax_life = \"1h\"");
    let (status, said) = fails(&site, &text).await;
    assert_eq!(status, Some(2), "{said}");
    for part in ["gateway.toml", "idle_timeout", "max_life"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("started") && !site.path("state").exists(), "{said}");
    for arguments in [&["run", "--config", "/nowhere/gateway.toml"][..], &["run", "--no-such-flag"], &["sprint"], &[]] {
        let output = Program::command(arguments).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let help = Program::command(&["run", "--help"]).output().await.unwrap();
    assert_eq!((help.status.code(), help.stderr.len()), (Some(0), 0));
}

#[tokio::test]
async fn the_key_is_made_once_and_a_sign_in_that_began_before_a_restart_ends_after_it() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let key = fs::read(site.path("state/session.key")).unwrap();
    assert_eq!(fs::metadata(site.path("state/session.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let mut browser = program.browser();
    let authorize = browser.open(&at("/page?x=1")).await;
    let callback = at_apple(authorize.location(), "teacher-1").await;
    program.terminate().await;
    assert_eq!(program.ended().await.0.code(), Some(0));

    let program = site.run(&[]).await;
    assert_eq!(fs::read(site.path("state/session.key")).unwrap(), key);
    assert_eq!(fs::read_dir(site.path("state")).unwrap().count(), 1, "no draft is left");
    browser.move_to(program.address());
    let answer = browser.open(&callback).await;
    assert_eq!((answer.status, answer.location()), (303, "/page?x=1"), "{}", answer.text());
    assert_eq!(browser.open(&at("/page?x=1")).await.status, 200);
}

#[tokio::test]
async fn it_starts_again_after_it_was_killed() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let socket = site.path("admin.sock");
    assert_eq!(ask(&socket, "GET", "/livez").await.status, 200);
    drop(program);
    let end = Instant::now() + SOON;
    while UnixStream::connect(&socket).await.is_ok() {
        assert!(Instant::now() < end, "it was not killed");
        tokio::task::yield_now().await;
    }
    assert!(socket.exists(), "the dead socket is still there");
    let _program = site.run(&[]).await;
    assert_eq!(ask(&socket, "GET", "/livez").await.status, 200);
}

#[tokio::test]
async fn a_key_that_is_none_is_an_error_and_is_not_replaced() {
    let site = Site::start().await;
    fs::create_dir(site.path("state")).unwrap();
    let key = site.path("state/session.key");
    for content in ["", "bm90IDMyIGJ5dGVz\n", "RUBBISH-RUBBISH-RUBBISH-RUBBISH-RUBBISH-RUBB\n", "\u{0}\u{1}"] {
        fs::write(&key, content).unwrap();
        let (status, said) = fails(&site, &site.configuration(&[])).await;
        assert_eq!(status, Some(1), "{content:?}: {said}");
        assert!(said.contains("session.key") && said.contains("encryption_key_file"), "{said}");
        assert!(content.len() < 5 || !said.contains(content.trim()), "the key is shown: {said}");
        assert_eq!(fs::read_to_string(&key).unwrap(), content);
    }
    fs::write(&key, [0xff, 0xfe, 0xfd]).unwrap();
    let (status, said) = fails(&site, &site.configuration(&[])).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("session.key"), "{said}");
}

#[tokio::test]
async fn a_state_dir_that_cannot_be_written_to_is_a_clear_error() {
    let site = Site::start().await;
    // A file in the place of the folder stops root, too, who runs some of these tests.
    fs::write(site.path("state"), "").unwrap();
    let (status, said) = fails(&site, &site.configuration(&[])).await;
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("cannot") && said.contains("state_dir") && said.contains("/state"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn operators_ask_on_the_admin_listener_and_nobody_else_can() {
    let site = Site::start().await;
    let socket = site.path("admin.sock");
    let program = site.run(&[]).await;
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(ask(&socket, "GET", "/livez").await.text(), "alive\n");
    let ready = readiness(&socket).await;
    assert_eq!((&ready.json()["ready"], ready.header("cache-control")), (&true.into(), Some("no-store")), "{ready:?}");
    assert_eq!(ask(&socket, "GET", "/other").await.status, 404);
    // On the public listener these are an app's paths, or nobody's.
    for path in ["/livez", "/readyz", "/metrics", "/sessions", "/.schoolgate/livez", "/.schoolgate/readyz"] {
        for host in [HOST, "localhost", "admin"] {
            let answer = get(program.address(), host, path).await;
            let expected = match (host, path.starts_with("/.")) {
                (HOST, true) => 404,
                (HOST, false) => 401,
                _ => 421,
            };
            assert_eq!(answer.status, expected, "{host} {path}");
            assert!(!answer.text().contains("alive") && !answer.text().contains("\"ready\""), "{}", answer.text());
        }
    }
    assert!(site.echo.seen().is_empty());
}

#[tokio::test]
async fn the_admin_listener_takes_a_tcp_address_too() {
    let site = Site::start().await;
    let unix = format!("\"unix:{}\"", site.path("admin.sock").display());
    // The port was free a moment ago; who loses the race for it tries another.
    for _ in 0..5 {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let mut program = site.spawn(&site.configuration(&[]).replace(&unix, &format!("\"{address}\"")));
        program.logged("\n").await;
        if program.log().contains("cannot listen") {
            continue;
        }
        program.started().await;
        let answer = get(address, "127.0.0.1", "/livez").await;
        assert_eq!((answer.status, &*answer.text()), (200, "alive\n"));
        assert_eq!(get(address, HOST, "/public/x").await.status, 404, "it proxies nothing");
        return;
    }
    panic!("no port is free");
}

#[tokio::test]
async fn an_apple_that_is_down_at_the_start_stops_nobody_and_all_recovers_by_itself() {
    let site = Site::start().await;
    site.apple.switches().down(true);
    let program = site.run(&[("apple", "keys_min_interval = \"0s\"")]).await;
    let socket = site.path("admin.sock");
    assert_eq!(ask(&socket, "GET", "/livez").await.status, 200);
    program.logged("event=\"apple_call\"").await;
    let unready = ask(&socket, "GET", "/readyz").await;
    assert!(unready.status == 503 && unready.text().contains("Apple's keys: "), "{unready:?}");
    assert_eq!(get(program.address(), HOST, "/public/x").await.status, 200);
    let mut browser = program.browser();
    // The way there is still shown; whoever comes back with a code is told what is wrong.
    let authorize = browser.open(&at("/page")).await;
    assert_eq!(authorize.status, 302);
    site.apple.switches().down(false);
    let callback = at_apple(authorize.location(), "teacher-1").await;
    site.apple.switches().down(true);
    let answer = browser.open(&callback).await;
    assert!(matches!(answer.status, 502..=504), "{} {}", answer.status, answer.text());
    assert!(answer.text().contains("Apple") && answer.text().contains("Try again"), "{}", answer.text());

    site.apple.switches().down(false);
    // Ready without a visitor: a load balancer may let nobody in before.
    readiness(&socket).await;
    let mut browser = Browser::new(program.address());
    let answer = support::world::through_apple(&mut browser, "/page", "teacher-1").await;
    assert_eq!((answer.status, answer.location()), (303, "/page"), "{}", answer.text());
    program.terminate().await;
    assert_eq!(program.ended().await.0.code(), Some(0));
}

/// A port of this machine that nobody uses at the moment.
async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn a_stand_in_plays_apple_for_the_configuration_that_an_administrator_tries() {
    let site = Site::start().await;
    let base = site.apple.base_url().as_str().trim_end_matches('/').to_owned();
    let here = format!("http://127.0.0.1:{}", free_port().await);
    let text = site.configuration(&[]).replace(&base, &here);
    site.rewrite(&text);
    let path = site.path("gateway.toml");
    let arguments = ["--config", path.to_str().unwrap(), "demo", "--stand-in"];
    // What it says on stdout, to where the test listens.
    let mut command = tokio::process::Command::new("bash");
    command
        .args(["-c", "exec \"$@\" >&2", "bash", env!("CARGO_BIN_EXE_schoolgate")])
        .args(arguments)
        .kill_on_drop(true);
    let apple = Program::watched(command);
    apple.logged(&format!("A stand-in for Apple answers at {here} for the gateway of")).await;
    let mut program = site.spawn(&text);
    program.started().await;
    program.signed_in("teacher-1").await;
    apple.terminate().await;
    assert!(apple.ended().await.0.success());
    site.rewrite(&text.replace(&format!("base_url = \"{here}\""), ""));
    let out = Program::command(&arguments).output().await.unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && said.contains("base_url = \"http://127.0.0.1:9998\""), "{said}");
}
