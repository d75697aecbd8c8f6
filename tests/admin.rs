//! The admin listener over TCP: the list of sessions and their end, readiness and metrics, and who may ask.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::BTreeSet, time::Duration};

use schoolgate::demo::{Endpoint, Gate, Trouble};
use serde_json::{Value, json};
use support::{
    Answer, Browser, Connection, HOST, Program, RawApp, Request, Site, World,
    program::ask,
    world::{START, at},
};

/// Asks the admin listener as a program on the same machine does.
async fn send(world: &World, request: Request) -> Answer {
    request.header("Host", &world.admin.to_string()).send(world.admin).await
}

async fn get(world: &World, target: &str) -> Answer {
    send(world, Request::get(target)).await
}

async fn delete(world: &World, target: &str) -> Answer {
    send(world, Request::new("DELETE", target)).await
}

/// One page of the list.
async fn page(world: &World, query: &str) -> Value {
    let answer = get(world, &format!("/sessions{query}")).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.text());
    answer.json()
}

/// One member of each session of a page.
fn members(page: &Value, name: &str) -> Vec<String> {
    page["sessions"].as_array().unwrap().iter().map(|session| session[name].as_str().unwrap().to_owned()).collect()
}

async fn ended(world: &World, query: &str) -> u64 {
    let answer = delete(world, &format!("/sessions?{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["ended"].as_u64().unwrap()
}

/// Whether the browser's next request is let in; never a redirect for a script.
async fn is_in(browser: &Browser) -> bool {
    match browser.clone().fetch(&at("/no-token")).await.status {
        200 => true,
        401 => false,
        other => panic!("{other}"),
    }
}

fn is_problem(answer: &Answer, status: u16, word: &str) {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("application/problem+json")),
        "{answer:?}"
    );
    let problem = answer.json();
    assert_eq!(problem["status"], status, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains(word), "{word}: {problem}");
    assert_eq!(problem["request_id"].as_str().unwrap(), answer.header("x-request-id").unwrap());
}

#[tokio::test]
async fn the_list_says_who_since_when_from_where_and_until_when() {
    let world = World::start().await;
    assert_eq!(page(&world, "").await, json!({ "sessions": [], "next": null }));
    let mut browser = world.browser();
    let answer = browser.open(&at("/classes")).await;
    let callback = world.at_apple(answer.location(), "administrator").await;
    let request = Request::get(&support::browser::target(&callback)).navigation().header("User-Agent", "Test/1.0 (X)");
    browser.send(&callback, request, false).await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(browser.open(&at("/classes")).await.status, 200);
    let person = world.apple.person("administrator").unwrap();
    let me = browser.fetch(&at("/.schoolgate/me")).await.json();
    assert_eq!(
        page(&world, "").await,
        json!({
            "sessions": [{
                "id": me["session_id"],
                "sub": person.subject,
                "email": person.email,
                "org_id": person.organization,
                "signed_in_at": "2027-01-15T08:00:00Z",
                "last_seen": "2027-01-15T08:10:00Z",
                "expires_at": "2027-01-15T16:10:00Z",
                "address": "127.0.0.1",
                "user_agent": "Test/1.0 (X)",
                "scopes": ["edu.classes.read"],
                "access_token_expires_at": "2027-01-15T09:00:00Z",
                "next_refresh": "2027-01-15T08:55:00Z",
            }],
            "next": null,
        })
    );
    assert_eq!(START, 1_800_000_000, "which is 2027-01-15T08:00:00Z");
    // What has ended by itself is not listed.
    world.clock.advance(Duration::from_secs(8 * 3600));
    assert_eq!(page(&world, "").await["sessions"], json!([]));
}

#[tokio::test]
async fn a_long_list_comes_in_parts_and_can_be_somebodys_only() {
    let world = World::start().await;
    for _ in 0..5 {
        world.signed_in("teacher-1").await;
    }
    for _ in 0..2 {
        world.signed_in("outsider").await;
    }
    let everybody: BTreeSet<_> = members(&page(&world, "").await, "id").into_iter().collect();
    assert_eq!(everybody.len(), 7);
    let teacher = world.apple.person("teacher-1").unwrap();
    let organization = teacher.organization.clone().unwrap();
    for (query, count) in [
        (String::new(), 7),
        (format!("&user={}", teacher.subject), 5),
        (format!("&organization={organization}"), 5),
        (format!("&id={}", everybody.first().unwrap()), 1),
        ("&user=nobody".to_owned(), 0),
    ] {
        let (mut found, mut after) = (Vec::new(), String::new());
        loop {
            let part = page(&world, &format!("?limit=2{query}{after}")).await;
            let ids = members(&part, "id");
            assert!(ids.len() <= 2, "{part}");
            found.extend(ids);
            let Some(next) = part["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        let different: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!((found.len(), different.len()), (count, count), "{query}");
        assert!(different.is_subset(&everybody));
    }
    let theirs = page(&world, &format!("?user={}", teacher.subject)).await;
    assert!(members(&theirs, "sub").iter().all(|sub| *sub == teacher.subject));
}

#[tokio::test]
async fn sessions_end_one_by_one_by_person_by_organization_and_all_at_once() {
    let world = World::start().await;
    let [mut one, other, colleague, outsider] = [
        world.signed_in("teacher-1").await,
        world.signed_in("teacher-1").await,
        world.signed_in("teacher-2").await,
        world.signed_in("outsider").await,
    ];
    let id = one.fetch(&at("/.schoolgate/me")).await.json()["session_id"].as_str().unwrap().to_owned();
    assert_eq!(ended(&world, &format!("id={id}")).await, 1);
    assert_eq!([is_in(&one).await, is_in(&other).await, is_in(&colleague).await], [false, true, true]);
    // What has been ended stays ended, and a second time finds nothing.
    assert_eq!(ended(&world, &format!("id={id}")).await, 0);
    let one = world.signed_in("teacher-1").await;
    let teacher = world.apple.person("teacher-1").unwrap();
    assert_eq!(ended(&world, &format!("user={}", teacher.subject)).await, 2);
    assert_eq!([is_in(&one).await, is_in(&other).await, is_in(&colleague).await], [false, false, true]);
    let organization = teacher.organization.clone().unwrap();
    assert_eq!(ended(&world, &format!("organization={organization}")).await, 1);
    assert_eq!([is_in(&colleague).await, is_in(&outsider).await], [false, true]);
    let one = world.signed_in("teacher-1").await;
    assert_eq!(ended(&world, "all=true").await, 2);
    assert_eq!([is_in(&one).await, is_in(&outsider).await], [false, false]);
    assert_eq!(page(&world, "").await["sessions"], json!([]));
    // Every one of the six was revoked at Apple.
    world.reached(Endpoint::Revoke, 6).await;
}

#[tokio::test]
async fn tokens_are_left_alone_where_a_sign_out_leaves_them_alone() {
    let world = World::with(&[("session", "revoke_on_sign_out = false")]).await;
    let browser = world.signed_in("teacher-1").await;
    assert_eq!(ended(&world, "all=true").await, 1);
    assert!(!is_in(&browser).await);
    assert_eq!(world.running.revocations_waiting().await, 0);
    assert_eq!(world.apple.calls().count(Endpoint::Revoke), 0);
}

#[tokio::test]
async fn a_request_that_could_be_meant_in_two_ways_ends_nothing_and_is_told_what_to_write() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let sub = &world.apple.person("teacher-1").unwrap().subject;
    for query in [
        String::new(),
        "?".into(),
        "?all=false".into(),
        "?all".into(),
        format!("?user={sub}&all=true"),
        format!("?user={sub}&organization=x"),
        format!("?user={sub}&user={sub}"),
        format!("?usr={sub}"),
        format!("?user={sub}&limit=1"),
        "?user=".into(),
        "?id=%00".into(),
    ] {
        let answer = delete(&world, &format!("/sessions{query}")).await;
        is_problem(&answer, 400, "");
        assert!(answer.json()["detail"].as_str().unwrap().len() > 20, "{}", answer.text());
    }
    is_problem(&delete(&world, "/sessions").await, 400, "?id=HANDLE, ?user=SUB, ?organization=ORG or ?all=true");
    for query in ["?limit=0", "?limit=1001", "?limit=-1", "?after=zzz", "?users=x", "?id=a&user=b"] {
        is_problem(&get(&world, &format!("/sessions{query}")).await, 400, "");
    }
    assert!(is_in(&browser).await);
}

#[tokio::test]
async fn a_web_page_in_a_browser_of_the_machine_sees_and_ends_nothing() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let own = world.admin.to_string();
    let evil = [
        // A name of theirs that leads here (DNS rebinding): to the browser, page and listener are one origin.
        vec![("Host", "evil.example"), ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "same-origin")],
        vec![("Host", "evil.example:9180")],
        vec![("Host", "127.0.0.1.evil.example")],
        // A form, a script, a picture or a link of another site.
        vec![("Host", &*own), ("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site")],
        vec![("Host", &*own), ("Origin", "https://evil.example")],
        vec![("Host", &*own), ("Origin", "null")],
        vec![("Host", &*own), ("Sec-Fetch-Site", "cross-site")],
        // Another port of this machine.
        vec![("Host", &*own), ("Origin", "http://127.0.0.1:3000")],
        vec![("Host", &*own), ("Origin", "http://127.0.0.1:3000"), ("Sec-Fetch-Site", "same-site")],
        vec![("Host", &*own), ("Sec-Fetch-Site", "same-site")],
    ];
    for headers in &evil {
        for (method, target) in [
            ("GET", "/sessions"),
            ("DELETE", "/sessions?all=true"),
            ("OPTIONS", "/sessions"),
            ("GET", "/metrics"),
            ("GET", "/readyz"),
            ("GET", "/livez"),
        ] {
            let request =
                headers.iter().fold(Request::new(method, target), |request, (name, value)| request.header(name, value));
            let answer = request.send(world.admin).await;
            is_problem(&answer, 403, "");
            assert!(!answer.headers.iter().any(|(name, _)| name.to_lowercase().starts_with("access-control")));
        }
    }
    assert!(is_in(&browser).await);
    // Who writes the address into the address bar is let in.
    let typed = Request::get("/sessions").header("Sec-Fetch-Site", "none").header("Sec-Fetch-Mode", "navigate");
    assert_eq!(send(&world, typed).await.status, 200);
    let named = Request::get("/livez").header("Host", "localhost:1234").send(world.admin).await;
    assert_eq!(named.status, 200, "a port may have been forwarded");
    // Without any name at all.
    let mut connection = Connection::open(world.admin).await;
    connection.write(b"GET /livez HTTP/1.1\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 400);
    let mut connection = Connection::open(world.admin).await;
    connection.write(b"GET /livez HTTP/1.0\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 200, "as health checks of load balancers ask");
}

#[tokio::test]
async fn every_answer_has_the_same_headers_and_only_what_is_named_is_done() {
    let world = World::start().await;
    world.signed_in("teacher-1").await;
    for (method, target, status, allow) in [
        ("GET", "/livez", 200, None),
        ("GET", "/readyz", 200, None),
        ("GET", "/metrics", 200, None),
        ("GET", "/sessions", 200, None),
        ("HEAD", "/sessions", 200, None),
        ("DELETE", "/sessions", 400, None),
        ("GET", "/other", 404, None),
        ("DELETE", "/sessions/all", 404, None),
        ("POST", "/sessions", 405, Some("GET, HEAD, DELETE")),
        ("PUT", "/sessions?all=true", 405, Some("GET, HEAD, DELETE")),
        ("OPTIONS", "/sessions", 405, Some("GET, HEAD, DELETE")),
        ("DELETE", "/readyz", 405, Some("GET, HEAD")),
        ("POST", "/metrics", 405, Some("GET, HEAD")),
        ("delete", "/sessions?all=true", 405, Some("GET, HEAD, DELETE")),
    ] {
        let answer = send(&world, Request::new(method, target)).await;
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {target}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{method} {target}");
        }
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert_eq!(answer.header("x-request-id").unwrap().len(), 32);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    assert_eq!(page(&world, "").await["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn bodies_and_endless_heads_are_not_read() {
    let world = World::start().await;
    let browser = world.signed_in("teacher-1").await;
    let form = Request::new("DELETE", "/sessions?all=true").form(&[("all", "true")]);
    is_problem(&send(&world, form).await, 413, "into the query");
    let mut connection = Connection::open(world.admin).await;
    let head =
        format!("DELETE /sessions?all=true HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\n\r\n", world.admin);
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.answer().await.status, 413, "although the body never comes");
    let endless = Request::get("/sessions").header("X-Long", &"a".repeat(64 * 1024));
    assert_eq!(send(&world, endless).await.status, 431);
    assert!(is_in(&browser).await);
}

#[tokio::test]
async fn readiness_tells_what_there_is_and_what_waits() {
    let world = World::start().await;
    world.signed_in("teacher-1").await;
    let ready = get(&world, "/readyz").await;
    let expected = json!({ "ready": true, "missing": [], "draining": false, "sessions": 1, "revocations_waiting": 0 });
    assert_eq!((ready.status, ready.json()), (200, expected));
    // Apple does not answer: the revocation waits, and that is no reason to turn people away.
    let gate = Gate::closed();
    world.apple.switches().trouble(Endpoint::Revoke, Trouble::Hang(gate.clone()));
    assert_eq!(ended(&world, "all=true").await, 1);
    world.reached(Endpoint::Revoke, 1).await;
    let ready = get(&world, "/readyz").await;
    let expected = json!({ "ready": true, "missing": [], "draining": false, "sessions": 0, "revocations_waiting": 1 });
    assert_eq!((ready.status, ready.json()), (200, expected));
    assert!(get(&world, "/metrics").await.text().contains("\nschoolgate_revocations_waiting 1\n"));
    gate.open();
    while get(&world, "/readyz").await.json()["revocations_waiting"] != 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_gateway_that_drains_says_so_until_its_last_moment() {
    let (site, app) = (Site::start().await, RawApp::start().await);
    let text = site
        .configuration(&[("server", "shutdown_grace = \"10m\"")])
        .replace(&site.echo.address.to_string(), &app.address.to_string());
    let mut program = site.spawn(&text);
    program.started().await;
    let socket = site.path("admin.sock");
    let mut client = Connection::open(program.address()).await;
    client.write(&Request::get("/public/x").header("Host", HOST).bytes()).await;
    let (mut upstream, _) = app.request().await;
    program.terminate().await;
    program.logged("draining").await;
    let unready = ask(&socket, "GET", "/readyz").await;
    assert_eq!(unready.status, 503, "{}", unready.text());
    assert_eq!((&unready.json()["draining"], &unready.json()["ready"]), (&json!(true), &json!(false)));
    assert!(unready.json()["missing"].to_string().contains("the gateway is stopping"), "{}", unready.text());
    assert_eq!(ask(&socket, "GET", "/livez").await.status, 200);
    upstream.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 200);
    assert_eq!(program.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn what_an_administrator_ends_is_in_the_log_session_by_session_and_names_nobody() {
    let site = Site::start().await;
    let program: Program = site.run(&[]).await;
    let socket = site.path("admin.sock");
    for person in ["teacher-1", "teacher-1", "teacher-2"] {
        support::world::through_apple(&mut program.browser(), "/", person).await;
    }
    let sub = &site.apple.person("teacher-1").unwrap().subject;
    let answer = ask(&socket, "DELETE", &format!("/sessions?user={sub}")).await;
    assert_eq!(answer.json(), json!({ "ended": 2 }));
    program.logged("event=\"sessions_ended_by_administrator\" selector=\"user\" count=2").await;
    let log = program.log();
    let ended: Vec<_> = log.lines().filter(|line| line.contains("event=\"session_ended\"")).collect();
    assert_eq!(ended.len(), 2, "{log}");
    let number = log.split_once("sessions_ended_by_administrator").unwrap().1.split_once("request_id=").unwrap().1;
    let number = number.split_whitespace().next().unwrap();
    for line in ended {
        let session = line.split_once("session=").unwrap().1.split(' ').next().unwrap();
        assert!(log.contains(&format!("event=\"signed_in\" session={session} ")), "{session}: {log}");
        assert!(line.contains(number), "{line} without {number}");
    }
    assert!(!log.contains(sub.as_str()), "{log}");
    ask(&socket, "DELETE", "/sessions?all=true").await;
    program.logged("event=\"sessions_ended_by_administrator\" selector=\"all\" count=1").await;
    // Whom a refusal concerned can be found by the number that it bears.
    let refused = ask(&socket, "DELETE", "/sessions").await;
    program.logged(&format!("request_id={}", refused.header("x-request-id").unwrap())).await;
}
