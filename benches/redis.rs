//! What sessions in Redis cost. `cargo bench --bench redis`, or with another number than 100,000
//! `cargo bench --bench redis -- 1000`. It starts a `redis-server` of its own, without persistence.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "it speaks, or ends")]

#[path = "../src/session/store/redis/process.rs"]
mod process;

use std::{collections::BTreeMap, env, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use process::Server;
use schoolgate::{
    clock::{Clock, Stopwatch, SystemClock},
    entropy::{Entropy, SystemEntropy},
    identity::{Organization, Person, ScopeSet, Subject},
    secret::Secret,
    session::{
        Codec, Device, End, Grant, Handle, Lifetimes, Record, RedisStore, RedisUrl, Revocation, Sealer, Selector,
        SessionId, SessionKey, Store, Stored, Waiting,
    },
};

/// How many ask at once.
const AT_ONCE: usize = 64;

const ORGANIZATION: &str = "7f3a2c1e-6b5d-4e0f-9a8b-1c2d3e4f5a6b";

#[tokio::main]
async fn main() {
    let number = env::args().skip(1).find(|argument| argument != "--bench");
    let count = number.map_or(100_000, |number| number.parse().expect("cargo bench --bench redis -- [number]"));
    let server = Server::start();
    let url = RedisUrl::parse(&format!("redis://127.0.0.1:{}", server.port())).unwrap();
    let codec =
        Codec::new(Arc::new(Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap()), Arc::new(SystemEntropy));
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let lifetimes = Lifetimes { idle_timeout: hours(8), max_lifetime: hours(24) };
    let store = RedisStore::open(url, codec, lifetimes, Arc::new(SystemClock), Arc::new(SystemEntropy)).await.unwrap();
    let keys: Vec<_> = (0..count).map(|_| SessionId::draw(&SystemEntropy).key()).collect();

    println!("| what | figure |\n|---|---|");
    let before = memory(&server);
    let made = each(&keys, |key| store.insert(key, session())).await;
    rate("new sessions", count, made);
    let bytes = memory(&server) - before;
    println!("| memory of Redis for {count} sessions | {} MiB, {} bytes each |", bytes >> 20, bytes / count as u64);
    let store_ = &store;
    rate("sessions found", count, each(&keys, |key| async move { store_.find(&key).await }).await);
    let now = SystemClock.now();
    let later = now.plus(Duration::from_secs(60));
    let stopwatch = Stopwatch::start();
    store.touch(&keys.iter().map(|key| (*key, later)).collect::<Vec<_>>()).await.unwrap();
    rate("uses noted, in batches", count, stopwatch.elapsed());
    let stopwatch = Stopwatch::start();
    let whose = Selector::Organization(Organization::parse(ORGANIZATION).unwrap());
    assert_eq!(store.keys_of(&whose).await.unwrap().len(), count);
    println!("| naming all {count} sessions of one organization | {} ms |", stopwatch.elapsed().as_millis());
    let end = |key| {
        let revocation = Some(Waiting::new(Revocation::of(&session().record), now, &SystemEntropy));
        store.remove(vec![End { key, expected: None, revocation }])
    };
    let half = &keys[..count / 2];
    rate("sign-outs with a revocation", half.len(), each(half, end).await);
    let stopwatch = Stopwatch::start();
    let swept = store.sweep(now.plus(hours(25))).await.unwrap();
    rate("sessions swept", swept, stopwatch.elapsed());
}

/// Does something for each key, [`AT_ONCE`]; gives back how long it took.
async fn each<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    keys: &[SessionKey],
    what: impl Fn(SessionKey) -> F,
) -> Duration {
    let stopwatch = Stopwatch::start();
    let mut doing = stream::iter(keys.iter().map(|key| what(*key))).buffer_unordered(AT_ONCE);
    while let Some(done) = doing.next().await {
        done.unwrap();
    }
    stopwatch.elapsed()
}

fn rate(what: &str, count: usize, taken: Duration) {
    println!("| {what} in a second | {:.0} |", count as f64 / taken.as_secs_f64());
}

/// Bytes that Redis uses.
fn memory(server: &Server) -> u64 {
    let info = server.cli(&["INFO", "memory"]);
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
}

/// A session as Apple makes them: an ID token of some 900 bytes, two tokens of some 300.
fn session() -> Stored {
    let text = |length: usize| {
        let mut bytes = vec![0; length / 2];
        SystemEntropy.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let now = SystemClock.now();
    let scopes = ScopeSet::parse("edu.users.read edu.classes.read").unwrap();
    let record = Record {
        handle: Handle::draw(&SystemEntropy),
        person: Person {
            subject: Subject::parse(&format!("000123.{}.0123", text(32))).unwrap(),
            organization: Some(Organization::parse(ORGANIZATION).unwrap()),
            email: None,
            is_private_email: Some(false),
            auth_time: Some(now.seconds()),
            claims: BTreeMap::from([("given_name".to_owned(), "\"Anna\"".to_owned())]),
        },
        id_token: Secret::new(text(900)),
        grant: Grant {
            access_token: Secret::new(text(300)),
            access_expires_at: now.plus(Duration::from_secs(3600)),
            refresh_token: Some(Secret::new(text(300))),
            refreshed_at: None,
            scopes: scopes.clone(),
        },
        asked: scopes,
        device: Device::new(
            [192, 0, 2, 7].into(),
            Some("Mozilla/5.0 (iPad; CPU OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"),
        ),
        created: now,
        generation: 0,
    };
    Stored { record: Arc::new(record), last_seen: now }
}
