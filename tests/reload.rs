//! SIGHUP: the configuration is read again, and serves whole or not at all.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{fs, os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use support::{
    Authority, Connection, HOST, Http2, Load, Program, RawApp, Request, Site, TlsClient, World,
    http2::{request, whole},
    load::{Arrivals, Late},
    program::ask,
    world::through_apple,
};

const RELOADED: &str = "event=\"reloaded\"";
const REFUSED: &str = "event=\"reload_refused\"";

/// A route that everybody may use.
const OPEN: (&str, &str) = ("routes", "[[app.route]]\npath = \"/closed\"\naccess = \"public\"");

async fn status(program: &Program, path: &str) -> u16 {
    Request::get(path).header("Host", HOST).send(program.address()).await.status
}

async fn started(site: &Site, text: &str) -> Program {
    let mut program = site.spawn_with(text, None, &[]);
    program.started().await;
    program
}

#[tokio::test]
async fn new_rules_hold_from_the_next_request_on_also_on_a_connection_that_is_kept() {
    let site = Site::start().await;
    let program = started(&site, &site.configuration(&[])).await;
    let mut kept = Connection::open(program.address()).await;
    let request = Request::get("/closed").header("Host", HOST);
    kept.write(&request.bytes()).await;
    assert_eq!(kept.answer().await.status, 401);
    site.rewrite(&site.configuration(&[OPEN]));
    program.hang_up().await;
    program.logged_times(RELOADED, 1).await;
    kept.write(&request.bytes()).await;
    assert_eq!(kept.answer().await.status, 200);
    site.rewrite(&site.configuration(&[]));
    program.hang_up().await;
    program.logged_times(RELOADED, 2).await;
    kept.write(&request.bytes()).await;
    assert_eq!(kept.answer().await.status, 401);
}

#[tokio::test]
async fn a_balancer_that_is_trusted_no_more_speaks_for_nobody_also_on_a_connection_that_is_kept() {
    let site = Site::start().await;
    let trusting = site.configuration(&[("server", "trusted_proxies = [\"127.0.0.1\", \"203.0.113.9\"]")]);
    let program = started(&site, &trusting).await;
    let mut kept = Connection::open(program.address()).await;
    kept.write(b"PROXY TCP4 203.0.113.9 127.0.0.1 4660 80\r\n").await;
    let request = Request::get("/public").header("Host", HOST).header("X-Forwarded-For", "198.51.100.7");
    kept.write(&request.bytes()).await;
    assert_eq!(kept.answer().await.status, 200);
    assert_eq!(site.echo.last().header("x-forwarded-for"), Some("198.51.100.7, 203.0.113.9"));
    site.rewrite(&site.configuration(&[("server", "trusted_proxies = [\"203.0.113.9\"]")]));
    program.hang_up().await;
    program.logged_times(RELOADED, 1).await;
    kept.write(&request.bytes()).await;
    assert_eq!(kept.answer().await.status, 200);
    assert_eq!(site.echo.last().header("x-forwarded-for"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_whole_with_the_reason_and_the_old_one_goes_on() {
    let site = Site::start().await;
    let program = started(&site, &site.configuration(&[])).await;
    // The first half of the change is good.
    site.rewrite(&site.configuration(&[
        OPEN,
        ("session", "refresh_before = \"soon\""),
        ("server", "shutdwon_grace = 1"),
    ]));
    program.hang_up().await;
    program.logged(REFUSED).await;
    let log = program.log();
    for told in
        ["configuration_problem", "session.refresh_before", "\"\\\"soon\\\"\"", "shutdwon_grace", "schoolgate check"]
    {
        assert!(log.contains(told), "{told}: {log}");
    }
    assert_eq!(status(&program, "/closed").await, 401);
    assert_eq!(status(&program, "/public/x").await, 200);
    fs::remove_file(site.path("gateway.toml")).unwrap();
    program.hang_up().await;
    program.logged_times(REFUSED, 2).await;
    site.rewrite(&site.configuration(&[OPEN]));
    program.hang_up().await;
    program.logged(RELOADED).await;
    assert_eq!(status(&program, "/closed").await, 200, "a refused reload does not stand in the way of a good one");
}

#[tokio::test]
async fn what_needs_a_restart_is_said_by_key_and_the_rest_holds() {
    let site = Site::start().await;
    let text = site.configuration(&[]);
    let program = started(&site, &text).await;
    let later = site
        .configuration(&[OPEN])
        .replace("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:1\"]")
        .replace("store = \"memory\"", "store = \"file\"");
    site.rewrite(&later);
    program.hang_up().await;
    program.logged(RELOADED).await;
    let log = program.log();
    for key in ["server.listen", "session.store"] {
        assert!(log.contains(&format!("event=\"restart_needed\" key=\"{key}\"")), "{key}: {log}");
    }
    assert!(!log.contains("key=\"server.admin_listen\""), "{log}");
    assert_eq!(status(&program, "/closed").await, 200);
    let page = async || ask(&site.path("admin.sock"), "GET", "/").await.text();
    assert!(page().await.contains("A change waits for one: <code>server.listen</code> <code>session.store</code>"));
    site.rewrite(&text);
    program.hang_up().await;
    program.logged_times(RELOADED, 2).await;
    assert!(!page().await.contains("waits for one"));
    assert_eq!(program.log().matches("restart_needed\" key=").count(), 2, "what it was before needs none");
}

#[tokio::test]
async fn a_new_key_for_sessions_is_not_passed_over_in_silence() {
    let site = Site::start().await;
    let key = site.path("own.key");
    let write = |letter: &str| {
        fs::write(&key, letter.repeat(43) + "=\n").unwrap();
        fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    write("A");
    let named = format!("encryption_key_file = \"{}\"", key.display());
    for (lines, file) in [(vec![("session", &*named)], key.clone()), (vec![], site.path("state").join("session.key"))] {
        let program = started(&site, &site.configuration(&lines)).await;
        program.hang_up().await;
        program.logged_times(RELOADED, 1).await;
        assert!(!program.log().contains("restart_needed"), "{}", program.log());
        fs::write(file, "B".repeat(42) + "A=\n").unwrap();
        program.hang_up().await;
        program.logged_times(RELOADED, 2).await;
        let log = program.log();
        assert!(log.contains("event=\"restart_needed\" key=\"session.encryption_key_file\""), "{log}");
        assert!(!log.contains("BBBB"), "{log}");
    }
}

#[tokio::test]
async fn sessions_streams_and_sign_ins_under_way_go_on() {
    let site = Site::start().await;
    let app = RawApp::start().await;
    let text = site.configuration(&[]).replace(&site.echo.address.to_string(), &app.address.to_string());
    let program = started(&site, &text).await;
    // The echo answers after the first reload.
    let mut stream = Connection::open(program.address()).await;
    stream.write(&Request::get("/public/events").header("Host", HOST).bytes()).await;
    let (mut events, _) = app.request().await;
    events.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    stream.until("data: 1\n\n").await;
    let mut browser = program.browser();
    let authorize = browser.open(&format!("https://{HOST}/start")).await;
    assert_eq!(authorize.status, 302);
    site.rewrite(&site.configuration(&[]));
    program.hang_up().await;
    program.logged(RELOADED).await;
    let back = support::world::at_apple(authorize.location(), "teacher-1").await;
    assert_eq!(browser.open(&back).await.status, 303, "the sign-in began before the reload");
    assert_eq!(browser.open(&format!("https://{HOST}/start")).await.status, 200);
    program.hang_up().await;
    program.logged_times(RELOADED, 2).await;
    assert_eq!(
        browser.open(&format!("https://{HOST}/start")).await.status,
        200,
        "the session is older than the reload"
    );
    events.write(b"data: 2\n\n").await;
    stream.until("data: 2\n\n").await;
}

#[tokio::test]
async fn requests_of_http_2_go_on_over_a_reload_and_the_next_on_that_connection_meet_the_new_rules() {
    let (site, authority, app) = (Site::start().await, Authority::new("School"), RawApp::start().await);
    let section = format!("[server.tls]\n{}", authority.signs(&[HOST]).write(&site.path(""), "tls"));
    let text = |lines: &[(&str, &str)]| {
        let lines = [lines, &[("server", section.as_str())]].concat();
        site.configuration(&lines).replace(&site.echo.address.to_string(), &app.address.to_string())
    };
    let program = started(&site, &text(&[])).await;
    let stream = TlsClient::speaking(&authority, &["h2"]).connect(program.address(), HOST).await.unwrap();
    let mut client = Http2::over(stream).await;
    assert_eq!(client.send(request("GET", "/closed")).await.status, 401);
    let under_way = client.start(request("GET", "/public")).await;
    let (mut at_app, _) = app.request().await;
    at_app.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\none").await;
    site.rewrite(&text(&[OPEN]));
    program.hang_up().await;
    program.logged_times(RELOADED, 1).await;
    let open = client.start(request("GET", "/closed")).await;
    let (mut second, _) = app.request().await;
    second.write(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(whole(open).await.unwrap().status, 204, "the new rules");
    at_app.write(b"two").await;
    assert_eq!(whole(under_way).await.unwrap().text(), "onetwo", "it began before");
    site.rewrite(&text(&[]));
    program.hang_up().await;
    program.logged_times(RELOADED, 2).await;
    assert_eq!(client.send(request("GET", "/closed")).await.status, 401);
}

#[tokio::test]
async fn a_new_private_key_and_other_settings_of_apple_are_used() {
    let site = Site::start().await;
    let program = started(&site, &site.configuration(&[])).await;
    program.logged("call=\"keys\"").await;
    let calls = site.apple.calls().count(schoolgate::demo::Endpoint::Keys);
    site.rewrite(&site.configuration(&[("apple", "scopes = [\"edu.users.read\"]")]));
    program.hang_up().await;
    program.logged(RELOADED).await;
    let authorize = program.browser().open(&format!("https://{HOST}/start")).await;
    assert!(authorize.location().contains("scope=edu.users.read"), "{authorize:?}");
    assert_eq!(
        site.apple.calls().count(schoolgate::demo::Endpoint::Keys),
        calls,
        "keys that are known are not fetched"
    );
    fs::write(site.path("apple.p8"), "no key any more").unwrap();
    program.hang_up().await;
    program.logged(REFUSED).await;
    assert!(!program.log().contains("no key any more"), "{}", program.log());
    program.signed_in("administrator").await;
}

#[tokio::test]
async fn no_request_and_no_sign_in_fails_while_it_is_reloaded_fifty_times() {
    let site = Site::start().await;
    let rate = ("server", "sign_in_rate_per_ip = 10000");
    let texts = [site.configuration(&[rate]), site.configuration(&[rate, OPEN, ("apple", "timeout = \"9s\"")])];
    let program = started(&site, &texts[0]).await;
    let mut browser = program.browser();
    through_apple(&mut browser, "/start", "teacher-1").await;
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let request = Request::get("/x").header("Host", HOST).header("Cookie", &cookie);
    let load = Load::start(program.address(), &request, 20, 500);
    let arrivals = Arrivals::start(program.address());
    for turn in 1..=50 {
        site.rewrite(&texts[turn % 2]);
        // A sign-in that begins before the reload ends after it.
        let late = Late::leaves(program.address()).await;
        program.hang_up().await;
        program.logged_times(RELOADED, turn).await;
        late.comes_back().await;
    }
    let (requests, sign_ins) = (load.stop().await, arrivals.stop().await);
    assert_eq!((requests.bad, sign_ins.bad), (Vec::new(), Vec::new()));
    assert!(requests.good > 100 && sign_ins.good > 5, "{} requests, {} sign-ins", requests.good, sign_ins.good);
    println!("{} requests, {} sign-ins during 50 reloads", requests.good, sign_ins.good);
}

/// What systemd would hear of a service that has this path in `NOTIFY_SOCKET`, message by message.
fn systemd(site: &Site) -> (PathBuf, impl Fn() -> String) {
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let hear = move || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).expect("it says something");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    (path, hear)
}

#[tokio::test]
async fn systemd_hears_of_every_step() {
    let site = Site::start().await;
    let (path, hear) = systemd(&site);
    // Longer than the library of the service can say, and than the unit's TimeoutStopSec=.
    let text = site.configuration(&[("server", "shutdown_grace = \"2h\"")]);
    let mut program = site.spawn_with(&text, None, &[("NOTIFY_SOCKET", path.to_str().unwrap())]);
    program.started().await;
    assert!(hear().lines().any(|line| line == "READY=1"));
    for (text, status) in [
        (text.clone(), "STATUS=Reloaded"),
        (
            text.replace("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:1\"]"),
            "STATUS=Reloaded; a restart is needed for server.listen",
        ),
        ("[server".to_owned(), "STATUS=The last reload was refused: "),
    ] {
        site.rewrite(&text);
        program.hang_up().await;
        let begins = hear();
        let since = begins.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("a time").to_owned();
        assert!(begins.lines().any(|line| line == "RELOADING=1") && since.parse::<u64>().unwrap() > 0, "{begins}");
        let ends = hear();
        assert!(ends.lines().any(|line| line == "READY=1"), "{ends}");
        assert!(ends.lines().any(|line| line.starts_with(status)), "{ends}");
    }
    program.terminate().await;
    assert!(hear().lines().any(|line| line == "STOPPING=1"));
    let extended = hear();
    let most =
        extended.trim().strip_prefix("EXTEND_TIMEOUT_USEC=").expect("how long it may take").parse::<u64>().unwrap();
    let most = Duration::from_micros(most).as_secs();
    assert!((2 * 3600 + 30..2 * 3600 + 60).contains(&most), "{most}");
    let (status, said) = program.ended().await;
    assert!(status.success(), "{status} {said}");
}

#[tokio::test]
async fn the_watchdog_is_fed_while_it_serves_and_while_it_drains_and_nobody_else_hears_of_it() {
    let site = Site::start().await;
    let (path, hear) = systemd(&site);
    let environment = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "400000"), ("RUST_LOG", "info")];
    let app = RawApp::start().await;
    let text = site.configuration(&[]).replace(&site.echo.address.to_string(), &app.address.to_string());
    let mut program = site.spawn_with(&text, None, &environment);
    program.started().await;
    assert!(hear().lines().any(|line| line == "READY=1"));
    for _ in 0..5 {
        assert_eq!(hear(), "WATCHDOG=1\n");
    }
    // What only our own request does not leave behind, whoever asks by its name.
    let stranger = Request::new("HEAD", "/").header("Host", "watchdog.invalid").send(program.address()).await;
    assert_eq!(stranger.status, 421);
    program.logged("host=\"watchdog.invalid\"").await;
    let metrics = ask(&site.path("admin.sock"), "GET", "/metrics").await.text();
    let number = |name: &str| {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum::<f64>()
    };
    assert_eq!(number("schoolgate_requests_total"), 1.0, "{metrics}");
    assert_eq!(number("schoolgate_own_request_duration_seconds_count"), 0.0, "{metrics}");
    // A stream holds the drain up.
    let mut stream = Connection::open(program.address()).await;
    stream.write(&Request::get("/public/events").header("Host", HOST).bytes()).await;
    let (mut events, _) = app.request().await;
    events.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
    stream.until("data: 1\n\n").await;
    program.terminate().await;
    while !hear().lines().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")) {}
    for _ in 0..5 {
        assert_eq!(hear(), "WATCHDOG=1\n");
    }
    drop((stream, events));
    let (status, said) = program.ended().await;
    assert!(status.success(), "{status} {said}");
    assert_eq!(said.matches("watchdog.invalid").count(), 1, "{said}");
    assert!(!said.contains("watchdog_not_fed"), "{said}");
}

#[tokio::test]
async fn the_admin_listener_follows_a_reload() {
    let site = Site::start().await;
    let program = started(&site, &site.configuration(&[])).await;
    program.signed_in("teacher-1").await;
    let due = || async {
        let answer = ask(&site.path("admin.sock"), "GET", "/sessions").await;
        answer.json()["sessions"][0]["next_refresh"].as_str().unwrap().to_owned()
    };
    let before = due().await;
    site.rewrite(&site.configuration(&[("session", "refresh_before = \"20m\"")]));
    program.hang_up().await;
    program.logged(RELOADED).await;
    assert!(due().await < before);
}

#[tokio::test]
async fn sessions_live_by_the_new_lifetimes_at_once() {
    let mut world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let page = format!("https://{HOST}/x");
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(browser.open(&page).await.status, 200);
    world.reload(&[("session", "idle_timeout = \"30m\"")]).await;
    assert_eq!(browser.open(&page).await.status, 200, "it was used just now");
    world.clock.advance(Duration::from_secs(1800));
    assert_eq!(browser.open(&page).await.status, 302);
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_to_its_end_holds_up_neither_requests_nor_the_stop() {
    let site = Site::start().await;
    let program = started(&site, &site.configuration(&[])).await;
    fs::remove_file(site.path("gateway.toml")).unwrap();
    // Whoever reads it waits for somebody who writes.
    let made = std::process::Command::new("mkfifo").arg(site.path("gateway.toml")).status().unwrap();
    assert!(made.success());
    program.hang_up().await;
    assert_eq!(status(&program, "/public/x").await, 200);
    program.terminate().await;
    let (status, said) = tokio::time::timeout(Duration::from_secs(20), program.ended()).await.expect("it stops");
    assert!(status.success(), "{status} {said}");
}
