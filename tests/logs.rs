//! A whole run of the real program at trace level, and not one secret in anything that it says: not in
//! the log, not in a page, not in a problem document, not in an error on the terminal.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs,
    net::SocketAddr,
    time::Duration,
};

use schoolgate::demo::{Endpoint, Envelope, ErrorCode, Forgery, Notice, PERSON_HEADER, Service, Trouble};
use support::{
    Answer, Browser, Connection, HOST, Program, RawApp, Relay, Request, Site,
    browser::target,
    world::{at, at_apple},
};

/// Shorter texts are no secrets: they would be found by chance.
const SHORTEST: usize = 16;

/// Secrets by what they are, so that a test that finds none of a kind is noticed.
#[derive(Default)]
struct Secrets(BTreeMap<String, BTreeSet<String>>);

impl Secrets {
    fn add(&mut self, kind: &str, value: &str) {
        // A token is as secret in parts: what is left of it when somebody cuts it at the dots.
        for part in value.split('.').chain([value]).filter(|part| part.len() >= SHORTEST) {
            self.0.entry(kind.to_owned()).or_default().insert(part.to_owned());
        }
    }

    /// Everything of value in a text of HTTP: JSON members, form fields, parameters.
    fn add_all_in(&mut self, text: &str) {
        for kind in [
            "access_token",
            "refresh_token",
            "id_token",
            "client_secret",
            "code",
            "code_verifier",
            "token",
            "state",
            "nonce",
        ] {
            for (before, end) in [(format!("\"{kind}\":\""), "\""), (format!("{kind}="), "& \"\r\n")] {
                for rest in text.split(&before).skip(1) {
                    if let Some(length) = rest.find(|letter| end.contains(letter)).or(Some(rest.len())) {
                        let value = percent_encoding::percent_decode_str(&rest[..length]);
                        self.add(kind, &value.decode_utf8_lossy());
                    }
                }
            }
        }
    }

    fn add_cookies_of(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let (name, rest) = line.split_once('=').unwrap();
            let kind = if name.contains("login") { "login cookie" } else { "session cookie" };
            self.add(kind, rest.split(';').next().unwrap());
        }
    }

    /// Looks at every place of the text once: a run has thousands of secrets.
    fn assert_none_in(&self, text: &str, what: &str) {
        let mut by_beginning: HashMap<&[u8], Vec<(&str, &str)>> = HashMap::new();
        for (kind, secrets) in &self.0 {
            for secret in secrets {
                by_beginning.entry(&secret.as_bytes()[..SHORTEST]).or_default().push((kind, secret));
            }
        }
        for (place, beginning) in text.as_bytes().windows(SHORTEST).enumerate() {
            let candidates = by_beginning.get(beginning).into_iter().flatten();
            for (kind, secret) in candidates {
                if text.as_bytes()[place..].starts_with(secret.as_bytes()) {
                    let line = text.as_bytes()[..place].rsplit(|byte| *byte == b'\n').next().unwrap().len();
                    let line: String = text[place - line..].lines().next().unwrap().chars().take(400).collect();
                    panic!("a secret ({kind}) is in {what}: {line}");
                }
            }
        }
    }
}

/// One run: the program, the wire to Apple, and everything that came back.
struct Run {
    site: Site,
    program: Program,
    relay: Relay,
    form_post: bool,
    answers: Vec<Answer>,
    notifications: Vec<String>,
}

impl Run {
    async fn start(form_post: bool, format: &str) -> Self {
        let site = Site::start().await;
        let relay = Relay::to(site.apple.address()).await;
        let dead = RawApp::start().await.address;
        let apps = format!(
            "[[app]]\nname = \"dead\"\nhost = \"dead.school.example\"\nupstream = \"http://{dead}\"\n\
             [[app.route]]\npath = \"/\"\naccess = \"public\"\n[log]\nformat = \"{format}\""
        );
        let mut lines = vec![
            ("server", "sign_in_rate_per_ip = 10000"),
            ("app", "upstream_timeout = \"500ms\"\nheaders = { X-Token = \"{access_token}\", X-Id = \"{id_token}\" }"),
            ("routes", &*apps),
        ];
        if form_post {
            lines.push(("apple", "response_mode = \"form_post\"\npkce = true"));
        }
        let apple = site.apple.base_url();
        let text = site
            .configuration(&lines)
            .replace(apple.as_str().trim_end_matches('/'), &format!("http://{}", relay.address));
        let mut program = site.spawn(&text);
        program.started().await;
        Self { site, program, relay, form_post, answers: Vec::new(), notifications: Vec::new() }
    }

    fn browser(&self) -> Browser {
        self.program.browser()
    }

    /// Keeps what a browser has heard.
    fn heard(&mut self, browser: Browser) {
        self.answers.extend_from_slice(browser.heard());
    }

    /// The request that brings the browser back from Apple.
    async fn callback(&self, authorize: &str, person: &str) -> (String, Request) {
        if !self.form_post {
            let url = at_apple(authorize, person).await;
            let request = Request::get(&target(&url)).navigation();
            return (url, request);
        }
        let page = Request::get(&target(authorize)).header("Host", "127.0.0.1").header(PERSON_HEADER, person);
        let page = page.send(self.relay.address).await.text();
        let fields: Vec<(String, String)> = page
            .split("name=\"")
            .skip(1)
            .filter_map(|rest| {
                let (name, rest) = rest.split_once("\" value=\"")?;
                Some((name.to_owned(), rest.split('"').next()?.to_owned()))
            })
            .collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
        let url = at("/.schoolgate/callback");
        (url, Request::new("POST", "/.schoolgate/callback").form(&fields).navigation())
    }

    /// There and back; returns the answer to the callback.
    async fn sign_in(&self, browser: &mut Browser, path: &str, person: &str) -> Answer {
        let answer = browser.open(&at(path)).await;
        assert_eq!(answer.status, 302, "{path} {person}: {}", answer.text());
        let (url, request) = self.callback(answer.location(), person).await;
        browser.send(&url, request, self.form_post).await
    }

    async fn send(&mut self, request: Request) -> u16 {
        let request = if request.has_header("host") { request } else { request.header("Host", HOST) };
        let answer = request.send(self.program.address()).await;
        let status = answer.status;
        self.answers.push(answer);
        status
    }

    /// Posts what the stand-in writes, as its switches have it; returns the status.
    async fn notify(&mut self, body: String) -> u16 {
        self.notifications.push(body.trim_start_matches("payload=").to_owned());
        self.send(Request::new("POST", "/.schoolgate/notifications").body("application/json", body)).await
    }

    /// Bytes as they are; what comes back until the connection ends.
    async fn raw(&mut self, bytes: &str) {
        let mut connection = Connection::open(self.program.address()).await;
        connection.write(bytes.as_bytes()).await;
        if let Some(answer) = connection.try_answer().await {
            self.answers.push(answer);
        }
    }

    /// Stops the program. All that it has said, and all that it must not have said.
    async fn end(self) -> (String, Vec<Answer>, Secrets) {
        self.program.terminate().await;
        let (status, log) = self.program.ended().await;
        assert_eq!(status.code(), Some(0), "{log}");
        let mut secrets = Secrets::default();
        for text in self.relay.heard() {
            secrets.add_all_in(&text);
        }
        for call in self.site.apple.calls().all() {
            for name in call.parameters().filter(|name| !["client_id", "redirect_uri", "grant_type"].contains(name)) {
                if ["response_type", "response_mode", "scope", "token_type_hint", "code_challenge_method"]
                    .contains(&name)
                {
                    continue;
                }
                secrets.add(name, call.value(name).unwrap());
            }
        }
        for seen in self.site.echo.seen() {
            for name in ["x-token", "x-id"] {
                secrets.add(name, seen.header(name).unwrap_or_default());
            }
        }
        for answer in &self.answers {
            secrets.add_cookies_of(answer);
            if let Some(location) = answer.header("location").filter(|location| location.starts_with("http")) {
                secrets.add_all_in(location);
            }
        }
        for token in &self.notifications {
            secrets.add("notification", token);
        }
        let pem = fs::read_to_string(self.site.path("apple.p8")).unwrap();
        pem.lines().filter(|line| !line.starts_with('-')).for_each(|line| secrets.add("private key", line));
        let key = fs::read_to_string(self.site.path("state/session.key")).unwrap();
        secrets.add("session key", key.trim());
        (log, self.answers, secrets)
    }
}

/// Everything that works.
async fn the_good_ways(run: &mut Run) {
    let mut browser = run.browser();
    assert_eq!(run.sign_in(&mut browser, "/start?q=1", "teacher-1").await.status, 303);
    for path in ["/start?q=1", "/.schoolgate/", "/.schoolgate/me", "/optional/x", "/public/x", "/staff"] {
        browser.open(&at(path)).await;
        browser.fetch(&at(path)).await;
    }
    // Tokens that live a second are never good enough: refreshed for each request, and rotated.
    run.site.apple.switches().change(|behaviour| {
        behaviour.access_token_lifetime = Duration::from_secs(1);
        behaviour.refresh_rotation = true;
    });
    let mut administrator = run.browser();
    assert_eq!(run.sign_in(&mut administrator, "/", "administrator").await.status, 303);
    assert_eq!(administrator.open(&at("/")).await.status, 200);
    assert_eq!(administrator.fetch(&at("/classes")).await.status, 401);
    assert_eq!(run.sign_in(&mut administrator, "/classes", "administrator").await.status, 303);
    assert_eq!(administrator.open(&at("/classes")).await.status, 200);
    // Refreshing fails in every way.
    for trouble in
        [Trouble::Status(500), Trouble::Html, Trouble::DuplicateMembers, Trouble::Error(ErrorCode::InvalidClient)]
    {
        // Each in a session of its own: after a failure there is a pause for that one.
        let mut other = run.browser();
        assert_eq!(run.sign_in(&mut other, "/", "pupil-8").await.status, 303);
        let refreshes = run.site.apple.calls().count(Endpoint::Refresh);
        run.site.apple.switches().trouble_times(Endpoint::Refresh, 1, trouble);
        other.open(&at("/")).await;
        other.fetch(&at("/")).await;
        assert!(run.site.apple.calls().count(Endpoint::Refresh) > refreshes);
        run.heard(other);
    }
    run.site.apple.switches().reset();
    // Another person in the same browser; then sign-outs.
    assert_eq!(administrator.open(&at("/.schoolgate/sign-in?return_to=/")).await.status, 302);
    let calls = run.site.apple.calls().count(Endpoint::Revoke);
    administrator.open(&at("/.schoolgate/sign-out")).await;
    run.site.apple.calls().reached(Endpoint::Revoke, calls + 1).await;
    run.site.apple.switches().trouble_times(Endpoint::Revoke, 1, Trouble::Error(ErrorCode::InvalidRequest));
    browser.open(&at("/.schoolgate/sign-out?return_to=/public/bye")).await;
    run.site.apple.calls().reached(Endpoint::Revoke, calls + 2).await;
    run.heard(browser);
    run.heard(administrator);
}

/// Sign-ins that come to nothing.
async fn the_bad_ways(run: &mut Run) {
    for forgery in Forgery::ALL {
        run.site.apple.switches().change(|behaviour| behaviour.forgery = Some(*forgery));
        let mut browser = run.browser();
        run.sign_in(&mut browser, "/", "pupil-7").await;
        run.heard(browser);
    }
    run.site.apple.switches().reset();
    run.site.apple.switches().change(|behaviour| behaviour.id_token_on_exchange = false);
    let mut browser = run.browser();
    assert_eq!(run.sign_in(&mut browser, "/", "pupil-7").await.status, 502);
    run.site.apple.switches().reset();
    let elsewhere = format!("http://{}/", run.site.echo.address);
    for trouble in [
        Trouble::LoseAnswer,
        Trouble::Status(503),
        Trouble::TooManyRequests(None),
        Trouble::Error(ErrorCode::InvalidGrant),
        Trouble::Error(ErrorCode::InvalidClient),
        Trouble::Error(ErrorCode::InvalidScope),
        Trouble::Html,
        Trouble::InvalidJson,
        Trouble::JsonArray,
        Trouble::Empty,
        Trouble::DuplicateMembers,
        Trouble::Huge(2_000_000),
        Trouble::Redirect(elsewhere),
    ] {
        run.site.apple.switches().trouble_times(Endpoint::Exchange, 1, trouble.clone());
        let status = run.sign_in(&mut browser, "/", "pupil-7").await.status;
        assert!(status >= 400, "{trouble:?}: {status}");
    }
    let answer = run.sign_in(&mut browser, "/", "cancel").await;
    assert!(answer.status >= 400, "{}", answer.text());
    run.heard(browser);
}

/// Notifications, forged and true, in all envelopes.
async fn the_ways_of_apples_servers(run: &mut Run) {
    let subject = run.site.apple.person("teacher-3").unwrap().subject.clone();
    let written = |run: &Run, notice: &Notice| {
        run.site.apple.notification(Service::Organization, "org.example.school.gateway", notice)
    };
    let mut browser = run.browser();
    assert_eq!(run.sign_in(&mut browser, "/", "teacher-3").await.status, 303);
    for envelope in [Envelope::Form, Envelope::Bare] {
        for forgery in Forgery::ALL.iter().filter(|forgery| forgery.fits_a_notification()) {
            run.site.apple.switches().change(|behaviour| {
                (behaviour.forgery, behaviour.envelope) = (Some(*forgery), envelope);
            });
            let body = written(run, &Notice::ConsentRevoked(subject.clone()));
            assert!(matches!(run.notify(body).await, 400 | 413), "{forgery:?}");
        }
        run.site.apple.switches().reset();
        run.site.apple.switches().change(|behaviour| behaviour.envelope = envelope);
        for events in [serde_json::json!([7]), serde_json::json!({ "type": "news", "sub": 7 })] {
            let body = written(run, &Notice::Anything(events));
            assert_eq!(run.notify(body).await, 200);
        }
    }
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 200);
    let body = written(run, &Notice::ConsentRevoked(subject));
    for _ in 0..2 {
        assert_eq!(run.notify(body.clone()).await, 200);
    }
    assert_eq!(browser.fetch(&at("/.schoolgate/me")).await.status, 401);
    run.site.apple.switches().reset();
    run.heard(browser);
}

/// Secrets where nobody expects them.
async fn the_odd_ways(run: &mut Run) {
    let mut browser = run.browser();
    assert_eq!(run.sign_in(&mut browser, "/", "teacher-2").await.status, 303);
    assert_eq!(browser.open(&at("/")).await.status, 200);
    let cookie = browser.cookie(HOST, "__Host-schoolgate").unwrap();
    let token = run.site.echo.last().header("x-token").unwrap().to_owned();
    let authorize = browser.open(&at("/.schoolgate/sign-in")).await;
    let authorize = url::Url::parse(authorize.location()).unwrap();
    let state = authorize.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let code = "c0123456789abcdef0123456789abcdef.0.nwsw.AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(browser.open(&at(&format!("/hang?token={token}"))).await.status, 504);
    let own = "/.schoolgate/callback";
    for query in [
        format!("code={code}&code={code}&state={state}"),
        format!("code={code}&state={state}&state=x"),
        format!("code={code}&state={state}%zz"),
        format!("code={code}"),
        format!("state={state}"),
        format!("code={code}&state={state}"),
        format!("error={code}&state={state}"),
        format!("{code}={state}"),
    ] {
        for request in [
            Request::get(&format!("{own}?{query}")),
            Request::new("POST", own).body("application/x-www-form-urlencoded", query.clone()),
            Request::new("POST", own).body("text/plain", query.clone()),
            Request::new("PUT", &format!("{own}?{query}")),
            Request::get(&format!("{own}/?{query}")),
            Request::get(&format!("/.schoolgate/me?{query}")),
            Request::get(&format!("/public/x?{query}")),
            Request::get(&format!("/x?{query}")),
        ] {
            assert!(run.send(request.clone()).await >= 200);
            run.send(request.navigation()).await;
        }
    }
    for mangled in ["%3F", "&", ";", "%26", "/"] {
        let path = format!("{own}{mangled}code={code}&state={state}");
        assert!(matches!(run.send(Request::get(&path).navigation()).await, 400 | 404), "{path}");
    }
    for (name, value) in [
        ("Cookie", format!("a={cookie}")),
        ("Cookie", format!("__Host-schoolgate={cookie}; __Host-schoolgate={cookie}x")),
        ("Cookie", format!("__Host-schoolgate-login-abc={cookie}")),
        ("Authorization", format!("Bearer {token}")),
        ("Referer", format!("https://{HOST}{own}?code={code}&state={state}")),
        ("X-Forwarded-Access-Token", token.clone()),
        ("X-Request-Id", token.clone()),
        ("Traceparent", token.clone()),
        ("Origin", format!("https://{token}")),
        ("User-Agent", token.clone()),
    ] {
        for path in ["/public/x", "/x", "/.schoolgate/me", "/.schoolgate/sign-out", "/.schoolgate/nothing"] {
            run.send(Request::get(path).header(name, &value)).await;
        }
    }
    let secret = format!("{cookie}.{token}");
    for bytes in [
        format!("GET /x?{secret} HTTP/1.1\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\nCookie: {secret}\x01\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\nCookie : {secret}\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: {HOST}\r\n{secret}\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: {secret}@{HOST}\r\n\r\n"),
        format!("GET http://{secret}@{HOST}/x HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("GET /x#{secret} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("GET /a//{secret} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("GET /../{secret} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("GET {secret} HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("{secret} / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        format!("GET / {secret}\r\nHost: {HOST}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {secret}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: {}\r\n\r\n", format!("{cookie},").repeat(20)),
        format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {}\r\n\r\n", secret.repeat(1000)),
        format!("POST {own} HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{secret}\r\n\r\n"),
    ] {
        run.raw(&bytes).await;
    }
    // Apps that fail.
    let dead = Request::get(&format!("/x?token={token}")).header("Host", "dead.school.example");
    assert_eq!(run.send(dead).await, 502);
    assert_eq!(run.send(Request::get(&format!("/x?{token}")).header("Host", "other.example")).await, 421);
    run.heard(browser);
}

/// A header in which no secret belongs.
fn innocent((name, value): &(String, String)) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let belongs = match &*name {
        // Apple is told state and nonce, and the browser its cookies: there they belong.
        "set-cookie" => true,
        "location" => value.contains("/auth/oauth2/v2/authorize?"),
        // The way back to the page that was asked for, with the query of that very request.
        "www-authenticate" => true,
        _ => false,
    };
    (!belongs).then(|| format!("{name}: {value}"))
}

async fn whole_run(form_post: bool, format: &str) -> String {
    let mut run = Run::start(form_post, format).await;
    the_good_ways(&mut run).await;
    the_bad_ways(&mut run).await;
    the_ways_of_apples_servers(&mut run).await;
    the_odd_ways(&mut run).await;
    let (log, answers, secrets) = run.end().await;

    let kinds = secrets.0.iter().map(|(kind, secrets)| (kind.as_str(), secrets.len())).collect::<BTreeMap<_, _>>();
    for kind in [
        "access_token",
        "refresh_token",
        "id_token",
        "client_secret",
        "code",
        "token",
        "state",
        "nonce",
        "login cookie",
        "session cookie",
        "private key",
        "session key",
        "x-token",
        "x-id",
        "notification",
    ] {
        assert!(kinds.contains_key(kind), "no {kind} came to light: {kinds:?}");
    }
    assert!(kinds["id_token"] > 200 && kinds["session cookie"] >= 4, "{kinds:?}");
    assert_eq!(kinds.contains_key("code_verifier"), form_post);

    secrets.assert_none_in(&log, "the log");
    let bodies: BTreeSet<String> = answers.iter().map(Answer::text).collect();
    secrets.assert_none_in(&bodies.into_iter().collect::<Vec<_>>().join("\n"), "a body");
    let headers: BTreeSet<String> = answers.iter().flat_map(|answer| &answer.headers).filter_map(innocent).collect();
    secrets.assert_none_in(&headers.into_iter().collect::<Vec<_>>().join("\n"), "a header");
    // It was a log worth the name.
    for event in [
        "started",
        "request",
        "signed_in",
        "sign_in_begun",
        "sign_in_failed",
        "session_replaced",
        "refreshed",
        "refresh_failed",
        "signed_out",
        "revoked",
        "revocation_refused",
        "not_allowed",
        "notification_received",
        "notification_repeated",
        "notification_refused",
        "notification_not_understood",
        "refused",
        "upstream_failed",
        "draining",
        "stopped",
    ] {
        let said = [format!("event=\"{event}\""), format!("\"event\":\"{event}\"")];
        assert!(said.iter().any(|said| log.contains(said)), "{event} is not in the log");
    }
    log
}

#[tokio::test]
async fn a_whole_run_at_trace_level_tells_no_secret() {
    let log = whole_run(false, "text").await;
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_whole_run_with_form_posts_logged_as_json_tells_no_secret_and_each_line_is_an_object() {
    let log = whole_run(true, "json").await;
    let mut requests = 0;
    for line in log.lines() {
        let object: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let text = |name: &str| object[name].as_str().unwrap_or_else(|| panic!("{name} is no text: {line}"));
        assert!(text("timestamp").ends_with('Z') && text("timestamp").contains('T'), "{line}");
        assert!(["TRACE", "DEBUG", "INFO", "WARN", "ERROR"].contains(&text("level")), "{line}");
        assert!(text("target").starts_with("schoolgate"), "{line}");
        assert!(object["event"].is_string() || object["message"].is_string(), "{line}");
        if object["event"] == "request" {
            requests += 1;
            for name in ["method", "host", "path", "client"] {
                assert!(!text(name).is_empty(), "{line}");
            }
            assert!(text("path").starts_with('/') && !text("path").contains('?'), "{line}");
            assert_eq!((text("client"), text("request_id").len()), ("127.0.0.1", 32), "{line}");
            assert!(object["status"].is_u64() && object["micros"].is_u64(), "{line}");
            if object["status"] == 504 {
                assert_eq!((text("app"), text("route"), text("session").is_empty()), ("library", "/", false), "{line}");
            }
        }
    }
    assert!(requests > 100, "{requests}");
}

#[tokio::test]
async fn a_failed_sign_in_is_one_event_with_the_number_that_the_person_is_told() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let mut browser = program.browser();
    site.apple.switches().change(|behaviour| behaviour.id_token_on_exchange = false);
    let answer = support::world::through_apple(&mut browser, "/", "teacher-1").await;
    let number = answer.header("x-request-id").unwrap().to_owned();
    assert!(answer.text().contains(&number), "{}", answer.text());
    program.terminate().await;
    let (_, log) = program.ended().await;
    let failures: Vec<_> = log.lines().filter(|line| line.contains("sign_in_failed")).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains(&number) && failures[0].contains("id_token"), "{failures:?}");
}

async fn complaint(arguments: &[&str]) -> String {
    let output = tokio::time::timeout(Duration::from_secs(30), Program::command(arguments).output()).await;
    let output = output.unwrap_or_else(|_| panic!("{arguments:?} goes on")).unwrap();
    [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat()
}

#[tokio::test]
async fn neither_help_nor_an_error_shows_a_key_that_was_pasted_into_the_wrong_place() {
    let site = Site::start().await;
    let text = site.configuration(&[]);
    let pem = fs::read_to_string(site.path("apple.p8")).unwrap();
    let mut secrets = Secrets::default();
    pem.lines().filter(|line| !line.starts_with('-')).for_each(|line| secrets.add("private key", line));
    let jwt = "eyJhbGciOiJFUzI1NiIsImtpZCI6IksxIn0.eyJpc3MiOiJBMUIyQzNENEU1IiwiZXhwIjoxfQ.c2lnbmF0dXJlLXNpZ25hdHVyZQ";
    secrets.add("client secret", jwt);
    let key = "c2Vzc2lvbi1rZXktc2Vzc2lvbi1rZXktc2Vzc2lvbi0=";
    secrets.add("session key", key);
    let path = format!("\"{}\"", site.path("apple.p8").display());
    let path = path.as_str();
    let pasted = [
        text.replace(path, &format!("\"\"\"{pem}\"\"\"")),
        text.replace(path, &format!("\"{}\"", pem.replace('\n', "\\n"))),
        text.replace(path, &pem),
        text.replace("private_key_file", "private_key").replace(path, &format!("'''{pem}'''")),
        text.replace("#apple#", &format!("client_secret = \"{jwt}\"")),
        text.replace("#apple#", jwt),
        text.replace("#apple#", &format!("timeout = \"{jwt}\"")),
        text.replace("#session#", &format!("encryption_key_file = \"{key}\"")),
        text.replace("#session#", &format!("encryption_key = \"{key}\"")),
    ];
    let file = site.path("pasted.toml");
    for text in &pasted {
        assert_ne!(text, &site.configuration(&[]));
        fs::write(&file, text).unwrap();
        for command in ["run", "check"] {
            let said = complaint(&[command, "--config", file.to_str().unwrap()]).await;
            assert!(said.contains("error"), "{said}");
            secrets.assert_none_in(&said, &format!("an error of {command}"));
        }
    }
    // Key files that are damaged.
    let half = &pem[..pem.len() / 2];
    for content in [half.to_owned(), pem.replace("PRIVATE", "PUBLIC"), pem.replacen('M', "N", 1), jwt.to_owned()] {
        fs::write(site.path("apple.p8"), &content).unwrap();
        fs::write(&file, site.configuration(&[])).unwrap();
        let said = complaint(&["run", "--config", file.to_str().unwrap()]).await;
        assert!(said.contains("private_key_file"), "{said}");
        secrets.assert_none_in(&said, "an error about the key file");
        for line in content.lines().filter(|line| line.len() > 40) {
            assert!(!said.contains(line), "{said}");
        }
    }
    fs::write(site.path("apple.p8"), &pem).unwrap();
    fs::write(&file, site.configuration(&[])).unwrap();
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["explain", "--help"],
        &["demo", "--help"],
        &["check", "--config", file.to_str().unwrap()],
        &["explain", "--config", file.to_str().unwrap(), "GET", "https://library.school.example/classes"],
    ] {
        let said = complaint(arguments).await;
        assert!(said.len() > 50, "{said}");
        secrets.assert_none_in(&said, "an answer on the terminal");
    }
}

/// The address of the stand-in must not be what the run talks to: the relay would miss it.
#[tokio::test]
async fn the_relay_hears_what_the_program_says_to_apple() {
    let run = Run::start(false, "text").await;
    let mut browser = run.browser();
    run.sign_in(&mut browser, "/", "teacher-1").await;
    let heard = run.relay.heard().concat();
    for part in ["POST /auth/oauth2/v2/token", "client_secret=", "\"id_token\":\"", "\"keys\":"] {
        assert!(heard.contains(part), "{part}");
    }
    let _: SocketAddr = run.relay.address;
}
