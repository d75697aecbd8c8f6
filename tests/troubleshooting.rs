//! `docs/troubleshooting.md`: each symptom is produced here or by the test that this table names, and what the page says
//! of it is what people and operators see.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::result_large_err,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::{collections::BTreeSet, fs, path::PathBuf};

use schoolgate::{
    demo::{Endpoint, Forgery, Granted, Others, Trouble},
    identity::ScopeSet,
    pages::{Denial, Failure, SignInProblem},
};
use support::{
    Answer, Browser, HOST, Program, RawApp, Request, Site,
    world::{CALLBACK, at, through_apple},
};
use url::Url;

/// Each symptom, with the file and the name of the test that shows it.
const SYMPTOMS: &[(&str, &str, &str)] = &[
    ("This sign-in is no longer good", HERE, STRANGERS),
    ("The sign-in was cancelled", HERE, STRANGERS),
    ("The permission was not given", HERE, PEOPLE),
    ("A permission is missing", HERE, PEOPLE),
    ("Apple did not let you sign in", HERE, STRANGERS),
    ("Sign-in is not set up correctly", HERE, "a_wrong_team_is_what_the_page_says"),
    ("Apple shows an error page of its own", "tests/doctor.rs", "redirect"),
    ("Apple did not say who you are", HERE, STRANGERS),
    ("Apple's answer could not be confirmed", HERE, STRANGERS),
    ("Apple cannot be reached right now", HERE, STRANGERS),
    ("Too many sign-ins at once", HERE, PEOPLE),
    ("Sign-in is not available right now", "tests/store_down.rs", "a_sign_in_that_cannot_be_kept_is_none"),
    ("It goes to Apple and back, for ever", HERE, "a_browser_that_keeps_no_cookie_is_signed_in_again_and_again"),
    ("This page is not for your account", HERE, PEOPLE),
    ("You need to sign in", HERE, PEOPLE),
    ("The app does not know who it is", "tests/legacy.rs", "in_radicale_who_has_no_address_is_nobody"),
    ("The app shows the person before", "tests/shared_machine.rs", "at_the_sign_out_the_apps_session_dies"),
    ("People are signed out", "tests/tokens.rs", "invalid_grant_ends_the_session"),
    ("This address needs https", "tests/tls.rs", "plain_http_is_told_about_https_and_serves_nothing"),
    ("No app at this address", HERE, PEOPLE),
    ("This address was not understood", HERE, PEOPLE),
    ("The app cannot be reached", HERE, PEOPLE),
    ("The app is not available right now", HERE, PEOPLE),
    ("The app did not answer in time", HERE, PEOPLE),
    ("That is too large to send", HERE, PEOPLE),
    ("Your browser sent too much", HERE, PEOPLE),
    ("A WebSocket does not open", "tests/streaming.rs", "a_websocket_without_a_session_or_from_another_site"),
    ("We cannot check who you are right now", "tests/store_down.rs", "a_store_that_is_down_denies_with_503"),
    ("Apple does not answer right now", "tests/tokens.rs", "when_the_token_is_dead_and_apple_away"),
    ("We cannot vouch for you right now", "tests/assertion.rs", "without_a_key_nobody_gets_through"),
    ("Your form", "tests/kept_forms.rs", "once"),
    ("A page of ours that is not there", HERE, PEOPLE),
    ("That took too long", "src/proxy/wire", "slow"),
    ("Something went wrong", "src/pages/failure.rs", "every_failure"),
    ("It does not start", "tests/process.rs", "a_wrong_configuration_never_starts"),
    ("A reload changes nothing", "tests/reload.rs", "a_wrong_configuration_is_refused_whole"),
    ("It is not ready", "tests/admin.rs", "readiness_tells_what_there_is"),
];

const HERE: &str = "tests/troubleshooting.rs";
const STRANGERS: &str = "what_goes_wrong_at_apple_is_what_the_page_says";
const PEOPLE: &str = "what_is_refused_is_what_the_page_says";

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap()
}

/// The part of the page about a symptom.
fn section(heading: &str) -> String {
    let page = page();
    let rest = page.split_once(&format!("### {heading}\n")).unwrap_or_else(|| panic!("no section {heading:?}")).1;
    rest.split("\n## ").next().unwrap().split("\n### ").next().unwrap().to_owned()
}

/// What somebody saw must be what the page says; then the log has to say so, too.
fn assert_told(heading: &str, answer: &Answer, log: &str, event: &str, reason: &str) {
    let section = section(heading);
    let titles: Vec<&str> = section.split("**").skip(1).step_by(2).collect();
    let shown = answer.text().replace("&#39;", "'");
    assert!(titles.iter().any(|title| shown.contains(title)), "{heading}: {titles:?} is not in {shown}");
    assert!(section.contains(&format!("`{event}`")), "{heading}: the page does not name {event}");
    let number = answer.header("x-request-id").unwrap_or_else(|| panic!("{heading}: {answer:?}"));
    let line = log.lines().find(|line| line.contains(number) && line.contains(&format!("event=\"{event}\"")));
    let line = line.unwrap_or_else(|| panic!("{heading}: no {event} of {number} in {log}"));
    assert!(line.contains(reason), "{heading}: {line}");
}

async fn ended(program: Program) -> String {
    program.terminate().await;
    program.ended().await.1
}

#[tokio::test]
async fn what_goes_wrong_at_apple_is_what_the_page_says() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    let switches = site.apple.switches();
    let mut seen: Vec<(&str, Answer, &str)> = Vec::new();

    let mut browser = program.browser();
    let stale = browser.open(&format!("{CALLBACK}?code=x&state=y")).await;
    seen.push(("This sign-in is no longer good", stale, "the state belongs to no sign-in under way in this browser"));
    for (error, heading, reason) in [
        ("user_cancelled_authorize", "The sign-in was cancelled", "the authorization was denied"),
        ("invalid_request", "Apple did not let you sign in", ""),
    ] {
        let answer = told_by_apple(&mut browser, "/page", error).await;
        seen.push((heading, answer, reason));
    }
    switches.change(|behaviour| behaviour.id_token_on_exchange = false);
    let reason = "Apple's answer has no id_token; see [apple] service";
    seen.push(("Apple did not say who you are", through_apple(&mut program.browser(), "/", "teacher-1").await, reason));
    switches.reset();
    switches.change(|behaviour| behaviour.forgery = Some(Forgery::Expired));
    let answer = through_apple(&mut program.browser(), "/", "teacher-1").await;
    seen.push(("Apple's answer could not be confirmed", answer, "the ID token is refused:"));
    switches.reset();
    switches.trouble(Endpoint::Exchange, Trouble::Status(503));
    let answer = through_apple(&mut program.browser(), "/", "teacher-1").await;
    seen.push(("Apple cannot be reached right now", answer, "Apple is unavailable:"));

    let log = ended(program).await;
    for (heading, answer, reason) in &seen {
        assert_told(heading, answer, &log, "sign_in_failed", reason);
        assert!(section(heading).contains(reason), "{heading}: the page does not say {reason}");
    }
}

#[tokio::test]
async fn a_wrong_team_is_what_the_page_says() {
    let site = Site::start().await;
    let mut program = site.spawn(&site.configuration(&[]).replace("A1B2C3D4E5", "Z9Y8X7W6V5"));
    program.started().await;
    let answer = through_apple(&mut program.browser(), "/", "teacher-1").await;
    assert_told("Sign-in is not set up correctly", &answer, &ended(program).await, "sign_in_failed", "invalid_client");
}

#[tokio::test]
async fn a_browser_that_keeps_no_cookie_is_signed_in_again_and_again() {
    let site = Site::start().await;
    let program = site.run(&[]).await;
    for _ in 0..3 {
        // Keeps the cookie of the sign-in, and loses that of the session.
        let mut browser = program.browser();
        assert_eq!(through_apple(&mut browser, "/", "teacher-1").await.status, 303);
        browser.forget();
        assert_eq!(browser.open(&at("/")).await.status, 302, "it goes to Apple again");
    }
    let log = ended(program).await;
    assert_eq!(log.matches("event=\"signed_in\"").count(), 3, "{log}");
    assert!(section("It goes to Apple and back, for ever").contains("`signed_in`"));
}

#[tokio::test]
async fn what_is_refused_is_what_the_page_says() {
    let (site, silent, dead) = (Site::start().await, RawApp::start().await, RawApp::start().await.address);
    let app = |name: &str, upstream: &str| {
        format!(
            "[[app]]\nname = \"{name}\"\nhost = \"{name}.school.example\"\nupstream = {upstream}\n\
             upstream_timeout = \"500ms\"\n[[app.route]]\npath = \"/\"\naccess = \"public\"\n"
        )
    };
    let apps = [
        app("dead", &format!("\"http://{dead}\"")),
        app("gone", &format!("[\"http://{dead}\", \"http://127.0.0.1:9\"]")),
        app("silent", &format!("\"http://{}\"", silent.address)),
    ];
    let program = site.run(&[("app", "max_body = \"1KiB\""), ("routes", &apps.concat())]).await;
    let mut seen: Vec<(&str, Answer, &str, &str)> = Vec::new();
    let get = |path: &str, host: &str| Request::get(path).navigation().header("Host", host);

    for (heading, request, event, reason) in [
        ("You need to sign in", Request::get("/x").header("Host", HOST), "request", "status=401"),
        ("No app at this address", get("/", "other.example"), "request", "no app has this host"),
        ("This address was not understood", get("/a//b", HOST), "refused", "empty segment"),
        ("The app cannot be reached", get("/", "dead.school.example"), "upstream_unreachable", ""),
        ("The app is not available right now", get("/", "gone.school.example"), "request", "no upstream of the app"),
        ("The app did not answer in time", get("/", "silent.school.example"), "request", "status=504"),
        ("Your browser sent too much", get("/", HOST).header("X-Long", &"x".repeat(40_000)), "refused", "status=431"),
        ("A page of ours that is not there", get("/.schoolgate/nothing", HOST), "request", "status=404"),
        (
            "That is too large to send",
            Request::new("POST", "/public/x").navigation().header("Host", HOST).body("text/plain", "x".repeat(2000)),
            "request",
            "status=413",
        ),
    ] {
        seen.push((heading, request.send(program.address()).await, event, reason));
    }
    let mut teacher = program.signed_in("teacher-1").await;
    seen.push((
        "This page is not for your account",
        teacher.open(&at("/staff")).await,
        "not_allowed",
        "reason=\"user\"",
    ));
    let denied = told_by_apple(&mut program.browser(), "/classes", "user_cancelled_authorize").await;
    let also_denied = told_by_apple(&mut teacher, "/classes", "user_cancelled_authorize").await;
    seen.push(("A permission is missing", also_denied, "sign_in_failed", "the authorization was denied"));
    seen.push(("The permission was not given", denied, "sign_in_failed", "the authorization was denied"));
    site.apple.switches().change(|behaviour| {
        behaviour.granted = Granted::Only(ScopeSet::new());
        behaviour.scope_member = true;
        behaviour.others = Others::Granted;
    });
    through_apple(&mut teacher, "/classes", "teacher-1").await;
    seen.push(("A permission is missing", teacher.open(&at("/classes")).await, "scope_missing", ""));
    let answer = loop {
        let answer = get("/", HOST).send(program.address()).await;
        if answer.status == 429 {
            break answer;
        }
    };
    seen.push(("Too many sign-ins at once", answer, "request", "sign_in_rate_per_ip"));

    let log = ended(program).await;
    for (heading, answer, event, reason) in &seen {
        assert_told(heading, answer, &log, event, reason);
    }
}

/// The way to Apple for a page, and back with an error.
async fn told_by_apple(browser: &mut Browser, path: &str, error: &str) -> Answer {
    let begun = browser.open(&at(path)).await;
    let address = Url::parse(begun.location()).unwrap();
    let state = address.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    browser.open(&format!("{CALLBACK}?error={error}&state={state}")).await
}

#[test]
fn every_symptom_has_a_test_and_every_test_is_there() {
    let page = page();
    let told: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    let known: BTreeSet<&str> = SYMPTOMS.iter().map(|(heading, ..)| *heading).collect();
    assert_eq!(told, known);
    for (heading, file, name) in SYMPTOMS {
        let text = text_of(&root().join(file));
        let has = text.lines().any(|line| line.contains("fn ") && line.contains(name));
        assert!(has, "{heading}: no test in {file} has {name} in its name");
    }
}

#[test]
fn every_page_that_says_no_is_in_the_page() {
    let titles = SignInProblem::ALL.map(SignInProblem::explanation).into_iter();
    let titles = titles.chain(Failure::ALL.map(Failure::explanation)).chain(Denial::ALL.map(Denial::explanation));
    let titles: BTreeSet<&str> = titles.map(|one| one.title).collect();
    let page = page();
    for title in &titles {
        assert!(page.contains(&format!("**{title}**")), "{title}");
    }
    let told =
        page.split("\n### ").skip(1).filter_map(|part| part.lines().find(|line| line.starts_with("| the page |")));
    for one in told.flat_map(|line| line.split("**").skip(1).step_by(2).collect::<Vec<_>>()) {
        assert!(titles.contains(one), "no page of ours is called {one:?}");
    }
}

#[test]
fn every_event_that_the_page_names_is_one() {
    let code = text_of(&root().join("src"));
    let page = page();
    let lines = page.lines().filter(|line| line.starts_with("| the log |"));
    let names = lines.flat_map(|line| line.split('`').skip(1).step_by(2).collect::<Vec<_>>());
    let names: BTreeSet<_> =
        names.filter(|name| name.chars().all(|one| one.is_ascii_lowercase() || one == '_')).collect();
    for name in &names {
        let is_event = code.contains(&format!("event = \"{name}\""));
        let is_other = ["invalid_client", "sign_in_rate_per_ip", "subject", "app", "reason"].contains(name);
        assert!(is_event || is_other, "{name} is no event");
    }
    assert!(names.len() > 15, "{names:?}");
}

fn text_of(path: &std::path::Path) -> String {
    if !path.is_dir() {
        return fs::read_to_string(path).unwrap_or_default();
    }
    fs::read_dir(path).unwrap().map(|entry| text_of(&entry.unwrap().path())).collect()
}
