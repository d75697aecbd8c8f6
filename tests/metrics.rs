//! What Prometheus is told: everything that happens is counted once, under the right words.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{net::SocketAddr, time::Duration};

use schoolgate::demo::{Endpoint, ErrorCode, Notice, Service, Trouble};
use support::{
    Answer, Connection, HOST, RawApp, Request, Scrape, World,
    world::{START, at},
};
use tokio::{net::TcpListener, task::JoinHandle};

async fn scrape(world: &World) -> Scrape {
    Scrape::of(world.admin).await
}

/// How many requests a route of the app had.
fn requests(scrape: &Scrape, route: &str, decision: &str) -> f64 {
    let labels = [("app", "library"), ("route", route), ("decision", decision)];
    scrape.value("schoolgate_requests_total", &labels)
}

/// Waits until the metrics say so: what counts may come after the answer.
async fn until(world: &World, what: impl Fn(&Scrape) -> bool) -> Scrape {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let scrape = scrape(world).await;
            if what(&scrape) {
                return scrape;
            }
            tokio::task::yield_now().await;
        }
    });
    match waited.await {
        Ok(scrape) => scrape,
        Err(_) => panic!("it never happened: {}", scrape(world).await.text),
    }
}

#[tokio::test]
async fn every_decision_is_counted_under_its_route() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    for _ in 0..3 {
        assert_eq!(browser.open(&at("/some/page")).await.status, 200);
    }
    assert_eq!(browser.open(&at("/staff/rooms")).await.status, 403);
    assert_eq!(browser.open(&at("/classes")).await.status, 302);
    assert_eq!(browser.fetch(&at("/classes")).await.status, 401);
    for (path, status) in [("/public/x", 200), ("/x", 401), ("/PUBLIC", 400), ("/.schoolgate/nothing", 404)] {
        assert_eq!(world.send(Request::get(path)).await.status, status, "{path}");
    }
    assert_eq!(world.send(Request::get("/").header("Host", "other.example")).await.status, 421);
    let scrape = scrape(&world).await;
    for (route, decision, count) in [
        ("/", "admitted", 3.0),
        // The page where the sign-in began.
        ("/", "sign_in_begun", 1.0),
        ("/", "sign_in_needed", 1.0),
        ("/staff", "not_allowed", 1.0),
        ("/classes", "sign_in_begun", 1.0),
        ("/classes", "scope_needed", 1.0),
        ("/public", "admitted", 1.0),
        ("", "ambiguous_path", 1.0),
    ] {
        assert_eq!(requests(&scrape, route, decision), count, "{route} {decision}: {}", scrape.text);
    }
    let nobody = [("app", ""), ("route", ""), ("decision", "unknown_host")];
    assert_eq!(scrape.value("schoolgate_requests_total", &nobody), 1.0);
    assert_eq!(scrape.sum("schoolgate_requests_total"), 11.0, "nothing is counted twice");
    assert_eq!(scrape.sum("schoolgate_decision_duration_seconds_count"), 11.0);
    for (path, count) in [("callback", 1.0), ("unknown", 1.0), ("me", 0.0)] {
        let name = "schoolgate_own_request_duration_seconds_count";
        assert_eq!(scrape.value(name, &[("path", path)]), count, "{path}");
    }
}

#[tokio::test]
async fn a_route_and_an_app_are_the_only_things_that_a_request_can_be_told_by() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    for path in ["/public/secret-plan", "/.schoolgate/secret-plan", "/secret-plan?token=abcdef"] {
        browser.open(&at(path)).await;
    }
    for host in ["secret-plan.example", HOST] {
        world.send(Request::get("/secret-plan").header("Host", host).header("User-Agent", "secret-plan")).await;
    }
    let text = scrape(&world).await.text;
    let person = world.apple.person("teacher-1").unwrap();
    let cookie = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    for secret in ["secret-plan", "abcdef", "teacher", &person.subject, &cookie, &world.echo.access_token()] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn sign_ins_are_counted_by_how_they_ended_and_why() {
    let world = World::start().await;
    world.signed_in("teacher-1").await;
    let mut cancelled = world.browser();
    let location = cancelled.open(&at("/")).await.location().to_owned();
    let state =
        url::Url::parse(&location).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.to_string();
    cancelled.open(&at(&format!("/.schoolgate/callback?error=user_cancelled_authorize&state={state}"))).await;
    world.browser().open(&at("/.schoolgate/callback?code=c&state=unknown")).await;
    world.browser().open(&at("/.schoolgate/callback?code=c&code=d&state=unknown")).await;
    for trouble in [Trouble::Error(ErrorCode::InvalidClient), Trouble::Status(503)] {
        world.apple.switches().trouble_times(Endpoint::Exchange, 1, trouble);
        world.through_apple(&mut world.browser(), "/", "teacher-2").await;
    }
    let scrape = scrape(&world).await;
    for (outcome, reason, count) in [
        ("signed_in", "", 1.0),
        ("failed", "cancelled", 1.0),
        ("failed", "stale", 1.0),
        ("failed", "malformed_callback", 1.0),
        ("failed", "invalid_client", 1.0),
        ("failed", "unavailable", 1.0),
        ("failed", "token_refused", 0.0),
    ] {
        let labels = [("outcome", outcome), ("reason", reason)];
        assert_eq!(scrape.value("schoolgate_sign_ins_total", &labels), count, "{reason}: {}", scrape.text);
    }
    assert_eq!(scrape.sum("schoolgate_sign_ins_total"), 6.0);
    for (endpoint, outcome, count) in [
        ("token", "ok", 1.0),
        ("token", "invalid_client", 1.0),
        ("token", "unavailable", 1.0),
        ("keys", "ok", 1.0),
        ("revoke", "ok", 0.0),
    ] {
        let labels = [("endpoint", endpoint), ("outcome", outcome)];
        assert_eq!(scrape.value("schoolgate_apple_calls_total", &labels), count, "{endpoint} {outcome}");
    }
    assert_eq!(scrape.value("schoolgate_apple_call_duration_seconds_count", &[("endpoint", "token")]), 3.0);
}

#[tokio::test]
async fn the_page_for_people_hears_of_the_last_hour_and_of_what_came_last() {
    use schoolgate::telemetry::{AppleEndpoint, CallOutcome, Decision, SignInOutcome};
    let world = World::start().await;
    let metrics = world.running.metrics();
    assert!(metrics.recent_sign_ins().is_empty() && metrics.recent_refusals().is_empty());
    assert_eq!(metrics.last_of_apple(AppleEndpoint::Token), None);
    world.signed_in("teacher-1").await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.send(Request::get("/x")).await.status, 401);
    world.apple.switches().trouble_times(Endpoint::Exchange, 1, Trouble::Status(503));
    world.through_apple(&mut world.browser(), "/", "teacher-2").await;
    assert_eq!(metrics.recent_refusals(), [(Decision::SignInNeeded, 1)]);
    assert_eq!(metrics.recent_sign_ins(), [(SignInOutcome::SignedIn, 1), (SignInOutcome::Unavailable, 1)]);
    let last = metrics.last_of_apple(AppleEndpoint::Token).unwrap();
    assert_eq!((last.outcome, last.at.seconds()), (CallOutcome::Unavailable, START + 600));
    world.clock.advance(Duration::from_secs(3600 - 60));
    assert_eq!(metrics.recent_sign_ins(), [(SignInOutcome::Unavailable, 1)]);
}

#[tokio::test]
async fn refreshes_ends_of_sessions_and_revocations_are_counted() {
    let world = World::with(&[("app", "sign_out_paths = [\"/logout\"]")]).await;
    let mut browsers = Vec::new();
    for _ in 0..5 {
        browsers.push(world.signed_in("teacher-1").await);
    }
    world.clock.advance(Duration::from_secs(3600 - 200));
    assert_eq!(browsers[0].open(&at("/")).await.status, 200);
    world.apple.switches().trouble_times(Endpoint::Refresh, 1, Trouble::Status(503));
    assert_eq!(browsers[1].open(&at("/")).await.status, 200, "the old token lives");
    world.apple.switches().trouble_times(Endpoint::Refresh, 1, Trouble::Error(ErrorCode::InvalidGrant));
    assert_eq!(browsers[2].open(&at("/")).await.status, 302);
    browsers[0].open(&at("/.schoolgate/sign-out")).await;
    browsers[1].open(&at("/logout")).await;
    let all = Request::new("DELETE", "/sessions?all=true").header("Host", &world.admin.to_string());
    assert_eq!(all.send(world.admin).await.json()["ended"], 2);
    let scrape =
        until(&world, |scrape| scrape.value("schoolgate_revocations_total", &[("outcome", "done")]) >= 4.0).await;
    for (outcome, count) in [("refreshed", 1.0), ("unavailable", 1.0), ("invalid_grant", 1.0), ("refused", 0.0)] {
        assert_eq!(scrape.value("schoolgate_refreshes_total", &[("outcome", outcome)]), count, "{outcome}");
    }
    for (cause, count) in [("sign_out", 1.0), ("app_sign_out", 1.0), ("administrator", 2.0), ("grant_ended", 1.0)] {
        let ended = scrape.value("schoolgate_sessions_ended_total", &[("cause", cause)]);
        assert_eq!(ended, count, "{cause}: {}", scrape.text);
    }
    assert_eq!(scrape.value("schoolgate_sessions", &[]), 0.0);
}

#[tokio::test]
async fn a_sign_in_that_takes_the_place_of_another_ends_it() {
    let world = World::start().await;
    let mut browser = world.signed_in("teacher-1").await;
    let answer = browser.open(&at("/.schoolgate/sign-in?return_to=/")).await;
    let callback = world.at_apple(answer.location(), "teacher-2").await;
    assert_eq!(browser.open(&callback).await.status, 303);
    assert_eq!(scrape(&world).await.value("schoolgate_sessions_ended_total", &[("cause", "replaced")]), 1.0);
}

#[tokio::test]
async fn notifications_are_counted_with_what_they_end() {
    let world = World::start().await;
    world.signed_in("teacher-1").await;
    let subject = world.apple.person("teacher-1").unwrap().subject.clone();
    let notice = Notice::ConsentRevoked(subject);
    let body = world.apple.notification(Service::Organization, "org.example.school.gateway", &notice);
    for body in [&*body, &body, "rubbish", r#"{"payload":5}"#] {
        world.send(Request::new("POST", "/.schoolgate/notifications").body("application/json", body)).await;
    }
    let scrape = scrape(&world).await;
    for (outcome, count) in [("done", 1.0), ("repeated", 1.0), ("unreadable", 1.0), ("not_apples", 1.0)] {
        assert_eq!(scrape.value("schoolgate_notifications_total", &[("outcome", outcome)]), count, "{outcome}");
    }
    assert_eq!(scrape.value("schoolgate_sessions_ended_total", &[("cause", "notification")]), 1.0);
}

#[tokio::test]
async fn what_nobody_judged_and_who_came_too_often_is_counted() {
    let world = World::with(&[("server", "sign_in_rate_per_ip = 1")]).await;
    for bytes in ["GET / HTTP/1.1\r\n\r\n", "GET /a%2fb HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut connection = Connection::open(world.address).await;
        connection.write(bytes.as_bytes()).await;
        assert_eq!(connection.answer().await.status, 400);
    }
    let chunks = "POST /public/x HTTP/1.1\r\nHost: library.school.example\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n";
    let mut connection = Connection::open(world.address).await;
    connection.write(chunks.as_bytes()).await;
    assert_eq!(connection.answer().await.status, 400);
    assert_eq!(world.browser().open(&at("/")).await.status, 302);
    assert_eq!(world.browser().open(&at("/")).await.status, 429);
    let scrape =
        until(&world, |scrape| scrape.value("schoolgate_refused_messages_total", &[("reason", "chunk")]) > 0.0).await;
    for (reason, count) in [("host", 1.0), ("target", 1.0), ("chunk", 1.0), ("framing", 0.0)] {
        assert_eq!(scrape.value("schoolgate_refused_messages_total", &[("reason", reason)]), count, "{reason}");
    }
    assert_eq!(requests(&scrape, "/", "rate_limited"), 1.0);
    assert_eq!(scrape.value("schoolgate_sign_ins_rate_limited_total", &[]), 1.0);
}

#[tokio::test]
async fn connections_are_counted_while_they_are_open() {
    let world = World::start().await;
    let (one, two) = (Connection::open(world.address).await, Connection::open(world.address).await);
    until(&world, |scrape| scrape.value("schoolgate_open_connections", &[]) == 2.0).await;
    drop(one);
    until(&world, |scrape| scrape.value("schoolgate_open_connections", &[]) == 1.0).await;
    drop(two);
    until(&world, |scrape| scrape.value("schoolgate_open_connections", &[]) == 0.0).await;
}

/// Asks for a page of the app; the test is the app.
fn ask(gateway: SocketAddr) -> JoinHandle<Answer> {
    tokio::spawn(async move { Request::get("/public/x").header("Host", HOST).send(gateway).await })
}

/// The outcome of requests for one upstream.
fn upstream(scrape: &Scrape, address: &str, outcome: &str) -> f64 {
    let upstream = format!("http://{address}");
    let labels = [("app", "library"), ("upstream", &*upstream), ("outcome", outcome)];
    scrape.value("schoolgate_upstream_requests_total", &labels)
}

#[tokio::test]
async fn upstreams_are_counted_by_what_they_answer() {
    let app = RawApp::start().await;
    let address = app.address.to_string();
    let world = World::before(&address, &[("app", "upstream_timeout = \"1s\"")]).await;
    for (status, expected) in [("200 OK", 200), ("302 Found", 302), ("404 Not Found", 404), ("500 Broken", 500)] {
        let asked = ask(world.address);
        let (mut upstream, _) = app.request().await;
        upstream.write(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes()).await;
        assert_eq!(asked.await.unwrap().status, expected);
    }
    // One that breaks off, and one that never answers.
    let asked = ask(world.address);
    drop(app.request().await);
    assert_eq!(asked.await.unwrap().status, 502);
    let asked = ask(world.address);
    let silent = app.request().await;
    assert_eq!(asked.await.unwrap().status, 504);
    drop(silent);
    let scrape = until(&world, |scrape| upstream(scrape, &address, "timeout") > 0.0).await;
    for outcome in ["2xx", "3xx", "4xx", "5xx", "broken", "timeout"] {
        assert_eq!(upstream(&scrape, &address, outcome), 1.0, "{outcome}: {}", scrape.text);
    }
    assert_eq!(scrape.sum("schoolgate_upstream_first_byte_seconds_count"), 4.0);
    assert_eq!(scrape.sum("schoolgate_upstream_up"), 1.0);
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_is_down_until_it_can_be() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = World::before(&address.to_string(), &[]).await;
    assert_eq!(scrape(&world).await.sum("schoolgate_upstream_up"), 1.0, "nobody has asked it yet");
    assert_eq!(world.send(Request::get("/public/x")).await.status, 502);
    let down = scrape(&world).await;
    assert_eq!((down.sum("schoolgate_upstream_up"), upstream(&down, &address.to_string(), "unreachable")), (0.0, 1.0));
    let listener = TcpListener::bind(address).await.unwrap();
    let asked = ask(world.address);
    let (mut socket, _) = listener.accept().await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut socket, b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    assert_eq!(asked.await.unwrap().status, 204);
    assert_eq!(scrape(&world).await.sum("schoolgate_upstream_up"), 1.0);
}

#[tokio::test]
async fn several_upstreams_that_are_all_down_are_told_one_by_one() {
    let mut addresses = Vec::new();
    for _ in 0..2 {
        addresses.push(TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    }
    let list = format!("[\"http://{}\", \"http://{}\"]", addresses[0], addresses[1]);
    let world = World::before(&list, &[]).await;
    assert_eq!(world.send(Request::get("/public/x")).await.status, 503);
    let scrape = scrape(&world).await;
    for address in addresses {
        assert_eq!(upstream(&scrape, &address.to_string(), "unreachable"), 1.0, "{}", scrape.text);
        let labels = [("app", "library"), ("upstream", &*format!("http://{address}"))];
        assert_eq!(scrape.value("schoolgate_upstream_up", &labels), 0.0);
    }
    assert_eq!(scrape.value("schoolgate_no_healthy_upstream_total", &[]), 1.0);
    let ready = Request::get("/readyz").header("Host", &world.admin.to_string()).send(world.admin).await;
    assert_eq!(ready.status, 200, "an app that is down is no reason to send people elsewhere");
}

#[tokio::test]
async fn the_age_of_keys_and_the_start_of_the_process_are_told() {
    let world = World::with(&[("session", "[assertion]\nenabled = true")]).await;
    world.signed_in("teacher-1").await;
    let before = until(&world, |scrape| scrape.text.contains("assertion_key_age")).await;
    world.clock.advance(Duration::from_secs(50));
    let after = scrape(&world).await;
    assert_eq!(after.value("process_start_time_seconds", &[]), START as f64);
    assert_eq!(after.value("schoolgate_apple_keys_age_seconds", &[]), 50.0);
    assert_eq!(after.value("schoolgate_apple_keys_usable", &[]), 1.0);
    let name = "schoolgate_assertion_key_age_seconds";
    assert_eq!(after.value(name, &[]) - before.value(name, &[]), 50.0);
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    assert_eq!(after.value("schoolgate_build_info", &version), 1.0);
}

#[tokio::test]
async fn what_was_counted_before_a_reload_goes_on_and_an_upstream_that_is_gone_is_not_up_or_down() {
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let second = format!("[[app]]\nname = \"second\"\nhost = \"second.example\"\nupstream = \"http://{address}\"");
    let route = "[[app.route]]\n  path = \"/\"\n  access = \"public\"";
    let second = format!("{second}\n{route}");
    let mut world = World::with(&[("routes", &second)]).await;
    let ask = |world: &World| {
        let request = Request::get("/x").header("Host", "second.example");
        let gateway = world.address;
        async move { request.send(gateway).await.status }
    };
    assert_eq!((ask(&world).await, world.send(Request::get("/x")).await.status), (502, 401));
    world.reload(&[("routes", &second), ("server", "trusted_proxies = [\"192.0.2.1\"]")]).await;
    let labels = [("app", "second"), ("upstream", &*format!("http://{address}"))];
    let after = scrape(&world).await;
    assert_eq!(after.value("schoolgate_upstream_up", &labels), 0.0, "it is still known to be down: {}", after.text);
    assert_eq!(after.sum("schoolgate_upstream_up"), 1.0);
    assert_eq!((ask(&world).await, world.send(Request::get("/x")).await.status), (502, 401));
    let after = scrape(&world).await;
    assert_eq!(requests(&after, "/", "sign_in_needed"), 2.0);
    let admitted = [("app", "second"), ("decision", "admitted")];
    assert_eq!(after.value("schoolgate_requests_total", &admitted), 2.0);
    world.reload(&[]).await;
    assert_eq!(ask(&world).await, 421);
    let gone = scrape(&world).await;
    assert!(!gone.samples.iter().any(|(name, of, _)| name == "schoolgate_upstream_up" && of["app"] == "second"));
    assert_eq!(gone.value("schoolgate_requests_total", &admitted), 2.0, "a counter never goes back");
}
