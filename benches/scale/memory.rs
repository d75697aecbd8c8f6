//! Sessions in the memory store: memory for each, and the time of a look with one and with many.

use std::sync::Arc;

use schoolgate::{
    clock::{SharedClock, SystemClock},
    entropy::SystemEntropy,
    session::{MemoryStore, SessionId, Sessions, Store},
};

use super::{
    common::median,
    figures::{MEBI, busy, resident, say},
    people::{self, LIFETIMES},
};

/// Looks in one round.
const LOOKS: usize = 100_000;

const ROUNDS: usize = 9;

pub(crate) fn sessions_on(store: Arc<dyn Store>) -> Arc<Sessions> {
    let clock: SharedClock = Arc::new(SystemClock);
    Sessions::new(LIFETIMES, store, clock, Arc::new(SystemEntropy))
}

/// A store with so many sessions.
pub(crate) async fn store(count: usize) -> MemoryStore {
    let store = MemoryStore::new(LIFETIMES, Arc::new(SystemClock));
    for number in 0..count {
        store.insert(people::id(number).key(), people::session(number)).await.unwrap();
    }
    assert_eq!(store.count().await.unwrap(), count, "the memory store keeps fewer");
    store
}

async fn filled(count: usize) -> Arc<Sessions> {
    sessions_on(Arc::new(store(count).await))
}

/// The cookies of so many looks, in an order that nothing can foresee.
pub(crate) fn uniform(round: usize, looks: usize, count: usize) -> Vec<String> {
    let begin = (round * looks) as u64;
    (begin..begin + looks as u64).map(|look| cookie(people::mixed(look) as usize % count)).collect()
}

/// The same, but a few people ask for most: the one of rank n half as often as the one of rank n / 2 (Zipf).
pub(crate) fn skewed(round: usize, looks: usize, count: usize) -> Vec<String> {
    let begin = (round * looks) as u64;
    let rank = |look| (count as f64).powf((people::mixed(look) >> 11) as f64 / (1_u64 << 53) as f64) as usize - 1;
    (begin..begin + looks as u64).map(|look| cookie(rank(look))).collect()
}

/// What the browser of a person holds.
pub(crate) fn cookie(number: usize) -> String {
    people::id(number).expose().to_owned()
}

/// The session part of a request: the cookie is read, the session opened. In nanoseconds.
async fn look(sessions: &Sessions, cookies: &[String]) -> f64 {
    let before = busy();
    for cookie in cookies {
        let id = SessionId::parse(cookie).unwrap();
        let session = sessions.open(&id).await.unwrap().unwrap();
        assert!(session.record().person.subject.as_str().len() > 40 && session.record().generation == 0);
    }
    (busy() - before).as_nanos() as f64 / cookies.len() as f64
}

pub(crate) async fn measure(count: usize) {
    let part = &format!("memory store, {count} sessions");
    let before = resident();
    let many = filled(count).await;
    let memory = resident() - before;
    if count > 1 {
        say(part, "memory of the process", resident() / MEBI, "MiB");
        say(part, "memory of a session", memory / count as f64, "bytes");
    }
    let one = filled(1).await;
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS {
        let hot = vec![cookie(0); LOOKS];
        times[0].push(look(&one, &hot).await);
        times[1].push(look(&many, &hot).await);
        times[2].push(look(&many, &uniform(round, LOOKS, count)).await);
        times[3].push(look(&many, &skewed(round, LOOKS, count)).await);
    }
    let names = ["the only session there is", "one of them", "any of them", "some of them much more often"];
    for (name, times) in names.into_iter().zip(times) {
        say(part, &format!("cookie to session, {name}"), median(times), "ns");
    }
    say(part, "memory of the process in the end", resident() / MEBI, "MiB");
}

/// Looks and nothing else, for `valgrind --tool=callgrind`: the difference between two numbers of looks is theirs.
pub(crate) fn ticks(count: usize, looks: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (many, cookies) = (filled(count).await, uniform(0, 1_000, count));
        for _ in 0..looks.div_ceil(cookies.len()) {
            look(&many, &cookies).await;
        }
    });
}
