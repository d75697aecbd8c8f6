//! What strangers, sign-ins, refreshes and sign-outs cost the gateway. `cargo bench --bench signins`, or some of it:
//! `cargo bench --bench signins -- signins storm`; `SIGNINS=1000` says how many, `ROUNDS=1` how often,
//! `SCHOOLGATE_BIN=path` which program: the one that is just built has no link-time optimisation, and stands where `cargo
//! build --release` puts the shipped one.
//!
//! The program is a process of its own: what the processors spend on it is read in `/proc`, without the share of the
//! stand-in for Apple and of those who visit. Writes `target/bench/signins.json`.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "it speaks, or ends")]

#[path = "../common/mod.rs"]
mod common;
mod site;
#[path = "../../tests/support/mod.rs"]
mod support;
mod visitor;

use std::{
    collections::HashSet,
    env,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use schoolgate::{
    clock::Stopwatch,
    demo::{Endpoint, Trouble},
};
use serde_json::{Value, json};

use common::median;
use site::{Site, Store};
use visitor::{Connection, Kind, Visitor, Way, at_apple};

/// How many visit at once.
const AT_ONCE: usize = 32;

/// Who signs in, in turn.
const PEOPLE: [&str; 8] =
    ["teacher-1", "teacher-2", "teacher-3", "staff", "pupil-1", "pupil-5", "pupil-9", "administrator"];

/// The page that everybody wants.
const PAGE: &str = "/grades/2026?class=7b";

/// What a browser keeps.
type Cookies = Vec<(String, String)>;

#[tokio::main]
async fn main() {
    let asked: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let number = |name: &str, otherwise| env::var(name).map_or(otherwise, |text| text.parse().expect("a number"));
    let (count, rounds) = (number("SIGNINS", 4_000), number("ROUNDS", 3));
    let wants = |part: &str| asked.is_empty() || asked.iter().any(|asked| asked == part);
    let mut results = serde_json::Map::new();
    if wants("signins") {
        results.insert("signins".into(), sign_ins(count, rounds).await);
    }
    if wants("steps") {
        results.insert("steps".into(), steps(count, rounds).await);
    }
    if wants("strangers") {
        results.insert("strangers".into(), strangers(count * 10, rounds).await);
    }
    if wants("storm") {
        results.insert("storm".into(), storms(number("SESSIONS", 10_000)).await);
    }
    if wants("sign-outs") {
        results.insert("sign_outs".into(), sign_outs(count).await);
    }
    common::write("signins", &results);
}

/// Runs `one` for every number below `count`, so many at once.
async fn crowd<T, F: Future<Output = T>>(count: usize, at_once: usize, one: impl Fn(usize) -> F) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let worker = || async {
        let mut results = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return results;
            }
            results.push(one(number).await);
        }
    };
    join_all((0..at_once).map(|_| worker())).await.into_iter().flatten().collect()
}

/// The same, told what the gateway spent: the whole time, and the seconds of its processors.
async fn measured<T, F: Future<Output = T>>(
    site: &Site,
    count: usize,
    at_once: usize,
    one: impl Fn(usize) -> F,
) -> (Vec<T>, Duration, f64) {
    let (before, stopwatch) = (site.cpu(), Stopwatch::start());
    let results = crowd(count, at_once, one).await;
    (results, stopwatch.elapsed(), site.cpu() - before)
}

/// Everything from a stranger to the page; gives back what the browser then has.
async fn signed_in(site: &Site, number: usize) -> Cookies {
    let mut visitor = Visitor::new(site.address).await;
    let authorize = visitor.sent_to_apple(PAGE).await;
    let mut apple = Connection::open(site.apple.address()).await;
    let way = at_apple(&mut apple, &authorize, PEOPLE[number % PEOPLE.len()]).await;
    let page = visitor.back(&way).await;
    visitor.sees(&page).await;
    visitor.into_cookies()
}

async fn sign_ins(count: usize, rounds: usize) -> Value {
    println!("\nComplete sign-ins, {count} by {AT_ONCE} at once, each in a new browser on a new connection:\n");
    println!(
        "| store | back by | a second | µs of the gateway's processors each | a processor second | MiB in the end |"
    );
    println!("|---|---|---|---|---|---|");
    let mut table = Vec::new();
    for (store, apple, way) in [
        (Store::Memory, "", "query"),
        (Store::Memory, "response_mode = \"form_post\"", "form"),
        (Store::File, "", "query"),
        (Store::Redis, "", "query"),
    ] {
        let site = Site::start(store, apple, "").await;
        crowd(AT_ONCE * 4, AT_ONCE, |number| signed_in(&site, number)).await;
        let mut seen = Vec::new();
        for _ in 0..rounds {
            let (_, took, cpu) = measured(&site, count, AT_ONCE, |number| signed_in(&site, number)).await;
            seen.push((each(cpu, count), count as f64 / took.as_secs_f64()));
        }
        let (micros, rate) = (median(seen.iter().map(|it| it.0)), median(seen.iter().map(|it| it.1)));
        let (name, a_second, memory) = (store.name(), 1e6 / micros, site.memory());
        println!("| {name} | {way} | {rate:.0} | {micros:.0} | {a_second:.0} | {memory} |");
        let all: Vec<_> = seen.iter().map(|it| it.0).collect();
        table.push(json!({
            "store": name, "back_by": way, "per_second": rate, "cpu_micros": micros, "cpu_micros_of_rounds": all,
            "per_cpu_second": a_second, "memory_mib": memory,
        }));
    }
    table.into()
}

/// What each step of a sign-in costs: all visitors take one before any takes the next.
async fn steps(count: usize, rounds: usize) -> Value {
    let site = &Site::start(Store::Memory, "", "").await;
    crowd(AT_ONCE * 4, AT_ONCE, |number| signed_in(site, number)).await;
    let mut seen: [Vec<f64>; 4] = Default::default();
    // Connections stay open meanwhile.
    let (count, rounds) = (count.min(500), rounds * 4);
    for _ in 0..rounds {
        let begin = async |()| {
            let mut visitor = Visitor::new(site.address).await;
            let authorize = visitor.sent_to_apple(PAGE).await;
            (visitor, authorize)
        };
        let away = step(site, &mut seen[0], vec![(); count], begin).await;
        let mut back = Vec::new();
        for (number, (visitor, authorize)) in away.into_iter().enumerate() {
            let mut apple = Connection::open(site.apple.address()).await;
            back.push((visitor, at_apple(&mut apple, &authorize, PEOPLE[number % PEOPLE.len()]).await));
        }
        let comes_back = async |(mut visitor, way): (Visitor, Way)| {
            let page = visitor.back(&way).await;
            (visitor, page)
        };
        let sees = async |(mut visitor, page): (Visitor, String)| {
            visitor.sees(&page).await;
            (visitor, page)
        };
        let returned = step(site, &mut seen[1], back, comes_back).await;
        let stay = step(site, &mut seen[2], returned, sees).await;
        step(site, &mut seen[3], stay, sees).await;
    }
    println!("\nThe steps of a sign-in, {count} at each, the store in memory:\n");
    println!("| step | µs of the gateway's processors |\n|---|---|");
    let names = [
        "a new connection, and the way to Apple",
        "back from Apple: code, ID token, session",
        "the page for the first time",
        "the page once more",
    ];
    let table = names.into_iter().zip(seen).map(|(name, seen)| {
        let micros = median(seen.iter().copied());
        println!("| {name} | {micros:.0} |");
        json!({ "step": name, "cpu_micros": micros })
    });
    table.collect::<Vec<_>>().into()
}

/// All visitors take a step, each from where they are; notes what one costs, and gives back where they are then.
async fn step<T, U>(site: &Site, seen: &mut Vec<f64>, from: Vec<T>, one: impl AsyncFn(T) -> U) -> Vec<U> {
    let from: Vec<_> = from.into_iter().map(|from| Mutex::new(Some(from))).collect();
    let take = |number: usize| one(from[number].lock().unwrap().take().unwrap());
    let (to, _, cpu) = measured(site, from.len(), AT_ONCE, take).await;
    seen.push(each(cpu, from.len()));
    to
}

/// Those whom nobody knows, on connections that are kept.
async fn strangers(count: usize, rounds: usize) -> Value {
    let site = Site::start(Store::Memory, "", "").await;
    println!("\nStrangers, {count} requests on {AT_ONCE} connections:\n");
    println!("| request | answer | µs of the gateway's processors |\n|---|---|---|");
    let mut table = Vec::new();
    for (name, kind, status) in [("a script's", Kind::Fetch, 401), ("a page's", Kind::Page, 302)] {
        let mut seen = Vec::new();
        for _ in 0..rounds {
            let visits = count / AT_ONCE;
            let (_, _, cpu) = measured(&site, AT_ONCE, AT_ONCE, |_| async {
                let mut visitor = Visitor::new(site.address).await;
                for _ in 0..visits {
                    // Without the cookie of the last sign-in: each is another stranger.
                    let answer = visitor.get(PAGE, kind).await;
                    assert_eq!(answer.status, status);
                    visitor.forget();
                }
            })
            .await;
            seen.push(each(cpu, visits * AT_ONCE));
        }
        let micros = median(seen.iter().copied());
        println!("| {name} | {status} | {micros:.1} |");
        table.push(json!({ "kind": name, "status": status, "cpu_micros": micros, "cpu_micros_of_rounds": seen }));
    }
    table.into()
}

/// How long Apple takes for a refresh, where it takes its time.
const APPLE_TAKES: Duration = Duration::from_millis(200);

/// The access tokens of all sessions come to their end, and everybody asks, twice at the same time.
async fn storms(sessions: usize) -> Value {
    println!("\nRefreshes of {sessions} sessions, each for two requests at once on new connections:\n");
    println!(
        "| they come | Apple answers after | took | CPU seconds of the gateway | µs of them for a session | calls to Apple; \
         tokens shown twice | most connections to Apple | a request takes: half, 99 %, 99.9 % | most memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let mut table = Vec::new();
    for (apple, within) in [(Duration::ZERO, None), (APPLE_TAKES, None), (APPLE_TAKES, Some(Duration::from_secs(60)))] {
        table.push(storm(sessions, apple, within).await);
    }
    table.into()
}

/// They come 1,000 at a time as soon as others have their answers, or evenly within some time.
async fn storm(sessions: usize, apple: Duration, within: Option<Duration>) -> Value {
    let site = &Site::start(Store::Memory, "", "headers = { X-Forwarded-User = \"{sub}\" }").await;
    // Less than `refresh_before`: whoever asks for the token needs a new one first.
    site.apple.switches().change(|behaviour| behaviour.access_token_lifetime = Duration::from_secs(200));
    let browsers = &crowd(sessions, AT_ONCE, |number| signed_in(site, number)).await;
    site.apple.switches().change(|behaviour| behaviour.access_token_lifetime = Duration::from_secs(3600));
    if !apple.is_zero() {
        site.apple.switches().trouble(Endpoint::Refresh, Trouble::Slow(apple));
    }
    site.apple.calls().clear();
    let over = &AtomicBool::new(false);
    let watch = async {
        let mut most = (0, 0);
        while !over.load(Ordering::Relaxed) {
            most = (most.0.max(site.calls_open()), most.1.max(site.memory()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        most
    };
    let begun = tokio::time::Instant::now();
    let one = |number: usize| async move {
        if let Some(within) = within {
            tokio::time::sleep_until(begun + within.mul_f64(number as f64 / sessions as f64)).await;
        }
        let ask = async || {
            let stopwatch = Stopwatch::start();
            let mut visitor = Visitor::again(site.address, browsers[number].clone()).await;
            let status = visitor.get("/token", Kind::Fetch).await.status;
            assert_eq!(status, 200);
            stopwatch.elapsed()
        };
        let (one, other) = tokio::join!(ask(), ask());
        [one, other]
    };
    let asked = async {
        let measured = measured(site, sessions, 1_000, one).await;
        over.store(true, Ordering::Relaxed);
        measured
    };
    let ((latencies, took, cpu), (connections, memory)) = tokio::join!(asked, watch);
    let mut latencies: Vec<_> = latencies.into_iter().flatten().map(|took| took.as_micros() as f64 / 1000.0).collect();
    latencies.sort_by(f64::total_cmp);
    let calls = site.apple.calls();
    let kept: Vec<_> = calls.of(Endpoint::Refresh);
    let tokens: HashSet<_> = kept.iter().filter_map(|call| call.value("refresh_token")).collect();
    let (count, twice) = (calls.count(Endpoint::Refresh), kept.len() - tokens.len());
    let at = |part: usize| latencies[(latencies.len() * part / 1000).min(latencies.len() - 1)];
    let (half, most, rare) = (at(500), at(990), at(999));
    let (took, a_session, apple) = (took.as_secs_f64(), each(cpu, sessions), apple.as_millis());
    let come = within.map_or("1,000 at once".into(), |within| format!("within {} s", within.as_secs()));
    println!(
        "| {come} | {apple} ms | {took:.1} s | {cpu:.2} | {a_session:.0} | {count}; {twice} | {connections} | {half:.0}, \
         {most:.0}, {rare:.0} ms | {memory} MiB |"
    );
    assert!(count == sessions && twice == 0, "a session was refreshed twice");
    json!({
        "sessions": sessions, "they_come": come, "apple_ms": apple, "seconds": took, "cpu_seconds": cpu,
        "cpu_micros_per_session": a_session, "calls": count, "twice": twice, "connections_to_apple": connections,
        "latency_ms": [half, most, rare], "memory_mib": memory,
    })
}

async fn sign_outs(count: usize) -> Value {
    println!("\nSign-outs with revocation, {count} by {AT_ONCE} at once:\n");
    println!(
        "| store | a second | µs of the gateway's processors, with the revocation | a processor second | all revoked after |\n|---|---|---|---|---|"
    );
    let mut table = Vec::new();
    for store in [Store::Memory, Store::File, Store::Redis] {
        let site = Site::start(store, "", "").await;
        let browsers: Arc<[Cookies]> = crowd(count, AT_ONCE, |number| signed_in(&site, number)).await.into();
        let (before, stopwatch) = (site.cpu(), Stopwatch::start());
        crowd(count, AT_ONCE, |number| {
            let (site, browsers) = (&site, Arc::clone(&browsers));
            async move {
                let mut visitor = Visitor::again(site.address, browsers[number].clone()).await;
                let answer = visitor.post("/.schoolgate/sign-out", "").await;
                assert!(matches!(answer.status, 200 | 303), "{}", answer.head);
            }
        })
        .await;
        let took = stopwatch.elapsed();
        site.apple.calls().reached(Endpoint::Revoke, count).await;
        let revoked = stopwatch.elapsed();
        let micros = each(site.cpu() - before, count);
        let (name, rate, after) = (store.name(), count as f64 / took.as_secs_f64(), revoked.as_secs_f64());
        let a_second = 1e6 / micros;
        println!("| {name} | {rate:.0} | {micros:.0} | {a_second:.0} | {after:.1} s |");
        table.push(json!({
            "store": name, "per_second": rate, "cpu_micros": micros, "per_cpu_second": a_second,
            "revoked_after_seconds": after,
        }));
    }
    table.into()
}

/// Microseconds of each.
fn each(cpu: f64, count: usize) -> f64 {
    cpu * 1e6 / count as f64
}
