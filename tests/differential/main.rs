//! Apps that fold and decode in their own ways: gunicorn (WSGI), PHP, Node and nginx. What the policy judged is what
//! each of them acted on, and no field that they see is a client's claim about a person.
//!
//! Each app notes what it acts on, whatever becomes of the answer; the notes are then judged by the rules, in the
//! simplest words. So that this can fail, the same requests are sent to each app without a gateway, too.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod apps;
mod corpus;
#[path = "../support/mod.rs"]
mod support;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use apps::{App, Kind, Note};
use corpus::Case;
use futures_util::{StreamExt, stream};
use percent_encoding::percent_decode_str;
use schoolgate::web::{Host, Target};
use support::{HOST, Request, World, http::Connection};

/// `/` is for everybody who is signed in, these are not.
const ROUTES: &str = "[[app.route]]\npath = \"/admin\"\n[app.route.allow]\nusers = [\"nobody-but-me\"]\n\
                      [[app.route]]\npath = \"/public/admin\"\n[app.route.allow]\nusers = [\"nobody-but-me\"]\n\
                      [[app.route]]\npath = \"/notes\"\nmethods = [\"GET\"]\naccess = \"public\"\n";

/// How many requests are under way at once.
const AT_ONCE: usize = 8;

/// The gateway answers everything.
const PATIENCE: Duration = Duration::from_secs(20);

/// Careless servers wait for more after some requests.
const IMPATIENCE: Duration = Duration::from_secs(1);

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Stranger,
    Teacher,
}

impl Who {
    fn letter(self) -> char {
        match self {
            Self::Stranger => 's',
            Self::Teacher => 't',
        }
    }

    /// The rules, once more. `None` is fine; else what is wrong.
    fn objects_to(self, path: &str, method: &str) -> Option<String> {
        let below = |folder: &str| {
            path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\', ';', '.']))
        };
        let closed =
            ["/admin", "/public/admin", "/staff", "/classes", "/.schoolgate"].iter().any(|folder| below(folder));
        let open = below("/public") || below("/optional") || (below("/notes") && matches!(method, "GET" | "HEAD"));
        // Dots that nobody has taken out yet lead somewhere else.
        let dotted = path.split(['/', '\\']).any(|segment| matches!(segment, "." | ".."));
        let fine = !closed && !dotted && path.starts_with('/') && (open || self == Self::Teacher);
        (!fine).then(|| format!("{method} {path:?}"))
    }
}

/// Sends one request to wherever; what comes back, within a time, is not looked at.
async fn send(address: SocketAddr, case: &Case, name: &str, cookie: Option<&str>, patience: Duration) {
    let start = Request::new(&case.method, &case.target).header("Host", HOST).header("X-Case", name);
    let start = cookie.into_iter().fold(start, |request, cookie| request.header("Cookie", cookie));
    let has_options = case.fields.iter().any(|(name, _)| name == "Connection");
    let start = if has_options { start } else { start.header("Connection", "close") };
    let request = case.fields.iter().fold(start, |request, (name, value)| request.header(name, value));
    let mut connection = Connection::open(address).await;
    connection.write(&request.bytes()).await;
    let _ = tokio::time::timeout(patience, connection.some()).await;
}

async fn send_all(address: SocketAddr, cases: &[Case], letter: char, cookie: Option<&str>, patience: Duration) {
    let sent = cases.iter().enumerate().map(|(number, case)| async move {
        send(address, case, &format!("{letter}{number}"), cookie, patience).await;
    });
    stream::iter(sent).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

/// Sends one more request until it has been noted, and all before it with it.
async fn end(app: &App, address: SocketAddr, name: &str) {
    let last = Case { method: "GET".into(), target: "/public/last".into(), fields: Vec::new() };
    for _ in 0..100 {
        send(address, &last, name, None, PATIENCE).await;
        if app.has_noted(name) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the app is gone");
}

/// A field as PHP, WSGI and CGI call it.
fn folded(name: &str) -> String {
    let dashed: String = name.chars().map(|one| if one.is_ascii_alphanumeric() { one } else { '-' }).collect();
    dashed.to_ascii_lowercase().trim_start_matches("http-").to_owned()
}

/// What is wrong with a note.
fn wrong(note: &Note, who: Who, subject: &str) -> Vec<String> {
    let mut wrong: Vec<_> = note.readings.iter().filter_map(|path| who.objects_to(path, &note.method)).collect();
    for (name, value) in &note.headers {
        if value.contains("forged") {
            wrong.push(format!("{name}: {value:.60}"));
        }
        let people = ["x-forwarded-user", "remote-user", "x-remote-user", "php-auth-user", "auth-user"];
        let is_theirs = who == Who::Teacher && folded(name) == "x-forwarded-user" && value == subject;
        if people.contains(&&*folded(name)) && !value.is_empty() && !is_theirs {
            wrong.push(format!("{name}: {value:.60}"));
        }
    }
    wrong
}

/// The path that the gateway judged, as an app that decodes once has it.
fn judged(case: &Case) -> Option<String> {
    let target = Target::parse(&case.target, &Host::parse(HOST).unwrap()).ok()?;
    Some(percent_decode_str(target.path().as_str()).decode_utf8_lossy().into_owned())
}

async fn is_held_to_what_was_judged(kind: Kind) {
    let app = App::start(kind);
    let world = World::before(&app.address.to_string(), &[("routes", ROUTES)]).await;
    let browser = world.signed_in("teacher-1").await;
    let (subject, before) = (world.subject("teacher-1"), app.notes().len());
    let cookie = format!("__Host-schoolgate={}", browser.cookie(HOST, "__Host-schoolgate").unwrap());
    let cases = [corpus::paths(), corpus::fields(), corpus::methods()].concat();

    send_all(world.address, &cases, 's', None, PATIENCE).await;
    send_all(world.address, &cases, 't', Some(&cookie), PATIENCE).await;
    end(&app, world.address, "last").await;

    let notes = app.notes();
    let mut complaints = Vec::new();
    let mut served = BTreeMap::new();
    for note in &notes[before..] {
        // Who hides the name of the request is nobody.
        let who = if note.case.starts_with('t') { Who::Teacher } else { Who::Stranger };
        let case = note.case.get(1..).and_then(|number| cases.get(number.parse::<usize>().ok()?));
        let mut found = wrong(note, who, &subject);
        if let Some(case) = case {
            *served.entry(who.letter()).or_insert(0) += 1;
            let plain = note.readings[0].strip_suffix("index.html").unwrap_or(&note.readings[0]);
            let judged = judged(case).map(|path| path.strip_suffix("index.html").map_or(path.clone(), str::to_owned));
            if judged.as_deref() != Some(plain) {
                found.push(format!("acted on {plain:?}, judged {judged:?}"));
            }
        }
        if !found.is_empty() {
            complaints.push(format!("{who:?} {case:?}: {found:?}"));
        }
    }
    assert!(complaints.is_empty(), "{kind:?}: {} complaints\n{}", complaints.len(), complaints.join("\n"));
    // What may pass has passed.
    assert!(served[&'s'] > 200 && served[&'t'] > served[&'s'], "{kind:?}: {served:?}");

    // Without the gateway many of these requests do what they are made for.
    send_all(app.address, &cases, 'd', None, IMPATIENCE).await;
    end(&app, app.address, "end").await;
    let direct = app.notes().split_off(notes.len());
    let closed = |note: &&Note| note.readings.iter().any(|path| Who::Teacher.objects_to(path, "GET").is_some());
    let forged = |note: &&Note| note.headers.values().any(|value| value.contains("forged"));
    let (closed, forged) = (direct.iter().filter(closed).count(), direct.iter().filter(forged).count());
    assert!(closed > 200 && forged > 100, "{kind:?}: {closed} {forged}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gunicorn_acts_on_what_was_judged() {
    is_held_to_what_was_judged(Kind::Gunicorn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn php_acts_on_what_was_judged() {
    is_held_to_what_was_judged(Kind::Php).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn php_behind_nginx_acts_on_what_was_judged() {
    is_held_to_what_was_judged(Kind::PhpBehindNginx).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_acts_on_what_was_judged() {
    is_held_to_what_was_judged(Kind::Node).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_acts_on_what_was_judged() {
    is_held_to_what_was_judged(Kind::Nginx).await;
}
