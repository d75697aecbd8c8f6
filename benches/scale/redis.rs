//! Sessions in Redis: what they cost there, and what a gateway keeps of them.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use schoolgate::{
    clock::{Clock, Stopwatch, SystemClock},
    entropy::SystemEntropy,
    identity::Organization,
    session::{
        Codec, End, RedisStore, RedisUrl, Revocation, Sealer, Selector, SessionKey, Sessions, Store, StoreError,
        Waiting,
    },
};

use super::{
    common::median,
    figures::{MEBI, resident, say},
    file::open_again,
    memory::sessions_on,
    people::{self, LIFETIMES, ORGANIZATION, mixed},
    support::redis::Server,
};

/// How many ask at once.
const AT_ONCE: usize = 64;

/// Sessions of a warm near cache.
const WARM: usize = 10_000;

pub(crate) async fn measure(count: usize) {
    let part = &format!("Redis, {count} sessions");
    let server = Server::start();
    let url = RedisUrl::parse(&format!("redis://127.0.0.1:{}", server.port())).unwrap();
    let codec =
        Codec::new(Arc::new(Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap()), Arc::new(SystemEntropy));
    let store = RedisStore::open(url, codec, LIFETIMES, Arc::new(SystemClock), Arc::new(SystemEntropy)).await.unwrap();
    let store = Arc::new(store);

    let before = memory(&server);
    let made = each(0..count, |number| {
        let store = Arc::clone(&store);
        async move { store.insert(people::id(number).key(), people::session(number)).await }
    });
    rate(part, "new sessions", count, made.await);
    say(part, "memory of Redis for a session", (memory(&server) - before) / count as f64, "bytes");
    say(part, "memory of the gateway when it has made them", resident() / MEBI, "MiB");

    // The near cache, cold: each look goes to Redis.
    let (sessions, warm) = (&sessions_on(Arc::<RedisStore>::clone(&store)), WARM.min(count));
    let mut cold = Vec::new();
    for number in (0..warm).step_by(warm.div_ceil(2_000)) {
        let (id, stopwatch) = (people::id(number), Stopwatch::start());
        assert!(sessions.open(&id).await.unwrap().is_some());
        cold.push(stopwatch.elapsed().as_micros() as f64);
    }
    say(part, "cookie to session, cold near cache, half within, by the clock on the wall", median(cold), "µs");
    rate(part, "sessions found, cold near cache", warm, each(0..warm, |number| opened(sessions, number)).await);
    let mut times = Vec::new();
    for _ in 0..9 {
        times.push(open_again(sessions, warm, 10).await);
    }
    say(part, "cookie to session, warm near cache", median(times), "ns");
    each(0..count, |number| opened(sessions, mixed(number as u64) as usize % count)).await;
    say(part, "memory of the gateway when any of them were asked for", resident() / MEBI, "MiB");

    the_rest(part, &store, &(0..count.min(100_000)).map(|number| people::id(number).key()).collect::<Vec<_>>()).await;
}

async fn opened(sessions: &Sessions, number: usize) -> Result<(), StoreError> {
    assert!(sessions.open(&people::id(number)).await?.is_some());
    Ok(())
}

/// What is rarer than a look.
async fn the_rest(part: &str, store: &RedisStore, keys: &[SessionKey]) {
    let now = SystemClock.now();
    let (later, stopwatch) = (now.plus(Duration::from_secs(60)), Stopwatch::start());
    store.touch(&keys.iter().map(|key| (*key, later)).collect::<Vec<_>>()).await.unwrap();
    rate(part, "uses noted, in batches", keys.len(), stopwatch.elapsed());
    let stopwatch = Stopwatch::start();
    let whose = Selector::Organization(Organization::parse(ORGANIZATION).unwrap());
    let named = match store.keys_of(&whose).await {
        Ok(keys) => format!("naming all {} sessions of one organization", keys.len()),
        Err(error) => format!("naming all sessions of one organization, which fails: {error}"),
    };
    let taken = stopwatch.elapsed().as_secs_f64() * 1e3;
    say(part, &format!("{named}, by the clock on the wall"), taken, "ms");
    let half = keys.len() / 2;
    let taken = each(0..half, |number| {
        let revocation = Some(Waiting::new(Revocation::of(&people::session(number).record), now, &SystemEntropy));
        store.remove(vec![End { key: keys[number], expected: None, revocation }])
    });
    rate(part, "sign-outs with a revocation", half, taken.await);
    let stopwatch = Stopwatch::start();
    let swept = store.sweep(now.plus(LIFETIMES.max_lifetime + Duration::from_secs(3600))).await.unwrap();
    rate(part, "sessions swept", swept, stopwatch.elapsed());
}

/// Does something for each number, [`AT_ONCE`], and again where a machine that others use too lets Redis wait; gives
/// back how long it took.
async fn each<T, F: Future<Output = Result<T, StoreError>>>(
    numbers: std::ops::Range<usize>,
    what: impl Fn(usize) -> F,
) -> Duration {
    let stopwatch = Stopwatch::start();
    let what = &what;
    let until_done = |number| async move {
        while let Err(error) = what(number).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        }
    };
    let mut doing = stream::iter(numbers.map(until_done)).buffer_unordered(AT_ONCE);
    while doing.next().await.is_some() {}
    stopwatch.elapsed()
}

fn rate(part: &str, what: &str, count: usize, taken: Duration) {
    say(part, &format!("{what} in a second, by the clock on the wall"), count as f64 / taken.as_secs_f64(), "");
}

/// Bytes that Redis uses.
fn memory(server: &Server) -> f64 {
    let info = server.cli(&["INFO", "memory"]);
    info.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
}
