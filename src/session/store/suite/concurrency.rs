//! Clauses on many who write at once.

use std::{
    collections::{BTreeSet, HashSet},
    future::Future,
    sync::Arc,
};

use tokio::task::{JoinSet, yield_now};

use super::{Bench, MINUTE, a_key, next, of_person};
use crate::{
    entropy::SystemEntropy,
    secret::Secret,
    session::{End, Handle, Holder, Lease, Mark, Record, Removal, Store, Stored, testing::lifetimes},
};

/// How often a race is run: it is lost now and then only.
const ROUNDS: usize = 32;

/// Runs `many` at once, each on its own task, and gives back what came of them in order.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    bench: &Bench,
    many: usize,
    each: impl Fn(Arc<dyn Store>, usize) -> F,
) -> Vec<T> {
    let gate = Arc::new(tokio::sync::Barrier::new(many));
    let mut tasks = JoinSet::new();
    for place in 0..many {
        let (gate, work) = (Arc::clone(&gate), each(Arc::clone(&bench.store), place));
        tasks.spawn(async move {
            gate.wait().await;
            (place, work.await)
        });
    }
    let mut all = tasks.join_all().await;
    all.sort_unstable_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

pub(crate) async fn many_sessions_at_once_are_all_kept(bench: &Bench) {
    let record = bench.record("anna", None);
    let keys = at_once(bench, 64, |store, _| {
        let (key, record) = (a_key(), Record { handle: Handle::draw(&SystemEntropy), ..record.clone() });
        async move {
            let last_seen = record.created;
            store.insert(key, Stored { record: Arc::new(record), last_seen }).await.unwrap();
            key
        }
    });
    let keys: BTreeSet<_> = keys.await.into_iter().collect();
    assert_eq!(keys.len(), 64);
    for key in &keys {
        assert!(bench.has(key).await);
    }
    assert!(bench.keys_of(&of_person("anna")).await == keys);
    assert!(bench.pages(10).await.iter().eq(&keys));
    assert_eq!(bench.store.count().await, Ok(64));
}

pub(crate) async fn of_many_replacements_of_one_generation_one_wins(bench: &Bench) {
    let key = bench.session("anna").await;
    for round in 0..ROUNDS as u64 {
        let old = bench.find(&key).await.unwrap().record;
        let won = at_once(bench, 16, |store, place| {
            let mut record = next(&old);
            record.grant.access_token = Secret::new(format!("of-{place}"));
            async move { store.replace(&key, round, Arc::new(record)).await.unwrap() }
        });
        let won = won.await;
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
        let winner = won.iter().position(|won| *won).unwrap();
        let record = bench.find(&key).await.unwrap().record;
        assert!(record.grant.access_token.matches(&format!("of-{winner}")), "what is kept is the winner's");
        assert_eq!(record.generation, round + 1);
    }
}

/// An end that does not care for the generation wins over every refresh.
pub(crate) async fn no_replacement_brings_an_ended_session_back(bench: &Bench) {
    for _ in 0..ROUNDS {
        let record = bench.record("anna", Some("org-1"));
        let key = bench.keep(record.clone()).await;
        let outcomes = at_once(bench, 8, |store, place| {
            let record = record.clone();
            async move {
                if place == 4 {
                    let end = End { key, expected: None, revocation: None };
                    return store.remove(vec![end]).await.unwrap() == [Removal::Removed { queued: false }];
                }
                let mut record = record;
                while let Some(stored) = store.find(&key).await.unwrap() {
                    record = next(&stored.record);
                    store.replace(&key, stored.record.generation, Arc::new(record.clone())).await.unwrap();
                    yield_now().await;
                }
                !store.replace(&key, record.generation, Arc::new(next(&record))).await.unwrap()
            }
        });
        assert_eq!(outcomes.await, [true; 8]);
        bench.assert_gone(&key, &record).await;
    }
    assert_eq!(bench.store.count().await, Ok(0));
}

pub(crate) async fn no_touch_brings_an_ended_session_back(bench: &Bench) {
    let now = bench.now();
    for _ in 0..ROUNDS {
        let record = bench.record("anna", Some("org-1"));
        let key = bench.keep(record.clone()).await;
        let ended = at_once(bench, 8, |store, place| async move {
            if place == 4 {
                store.remove(vec![End { key, expected: None, revocation: None }]).await.unwrap();
            } else {
                for step in 1..6 {
                    store.touch(&[(key, now.plus(MINUTE * step))]).await.unwrap();
                }
            }
        });
        ended.await;
        bench.assert_gone(&key, &record).await;
    }
    assert_eq!(bench.store.count().await, Ok(0));
}

pub(crate) async fn of_many_removals_of_one_session_one_removes_it(bench: &Bench) {
    for round in 1..=ROUNDS {
        let key = bench.session("anna").await;
        let waiting: Vec<_> = (0..16).map(|_| bench.waiting()).collect();
        let removals = at_once(bench, 16, |store, place| {
            let end = End { key, expected: Some(0), revocation: Some(waiting[place].clone()) };
            async move { store.remove(vec![end]).await.unwrap()[0] }
        });
        let removals = removals.await;
        assert_eq!(removals.iter().filter(|removal| **removal == Removal::Removed { queued: true }).count(), 1);
        assert_eq!(removals.iter().filter(|removal| **removal == Removal::Absent).count(), 15);
        assert_eq!(bench.store.queue().await.unwrap().length, round, "one revocation each");
    }
}

/// Who sees the session gone sees its revocation in the queue.
pub(crate) async fn an_end_and_its_revocation_are_one_step(bench: &Bench) {
    for round in 1..=ROUNDS {
        let key = bench.session("anna").await;
        let waiting = bench.waiting();
        let lengths = at_once(bench, 4, |store, place| {
            let revocation = Some(waiting.clone());
            async move {
                if place == 0 {
                    store.remove(vec![End { key, expected: None, revocation }]).await.unwrap();
                }
                while store.find(&key).await.unwrap().is_some() {
                    // A store in memory never waits, and would keep the others from running.
                    yield_now().await;
                }
                store.queue().await.unwrap().length
            }
        });
        assert_eq!(lengths.await, [round; 4]);
    }
}

pub(crate) async fn uses_and_changes_at_once_are_both_kept(bench: &Bench) {
    let now = bench.now();
    let key = bench.session("anna").await;
    let changed = at_once(bench, 16, |store, place| async move {
        if place % 2 == 0 {
            store.touch(&[(key, now.plus(MINUTE * u32::try_from(place).unwrap()))]).await.unwrap();
            return 0;
        }
        loop {
            let old = store.find(&key).await.unwrap().unwrap().record;
            if store.replace(&key, old.generation, Arc::new(next(&old))).await.unwrap() {
                return 1;
            }
            yield_now().await;
        }
    });
    assert_eq!(changed.await.iter().sum::<u64>(), 8);
    let stored = bench.find(&key).await.unwrap();
    assert_eq!((stored.record.generation, stored.last_seen), (8, now.plus(MINUTE * 14)));
}

/// A sweep may find a session idle that is used before it is taken.
pub(crate) async fn a_session_that_was_seen_alive_after_its_use_is_not_swept(bench: &Bench) {
    let end = bench.now().plus(lifetimes().idle_timeout + MINUTE);
    let keys: Vec<_> = bench.sessions("anna", 128).await.into_iter().collect();
    let alive = at_once(bench, 2, |store, place| {
        let keys = keys.clone();
        async move {
            let mut alive = BTreeSet::new();
            if place == 0 {
                store.sweep(end).await.unwrap();
            } else {
                for key in keys.into_iter().rev() {
                    store.touch(&[(key, end)]).await.unwrap();
                    if store.find(&key).await.unwrap().is_some_and(|stored| stored.last_seen == end) {
                        alive.insert(key);
                    }
                }
            }
            alive
        }
    });
    let alive: BTreeSet<_> = alive.await.into_iter().flatten().collect();
    assert!(bench.keys_of(&of_person("anna")).await == alive);
    assert!(bench.pages(100).await.iter().eq(&alive));
}

pub(crate) async fn of_many_who_mark_one_is_first(bench: &Bench) {
    for round in 0..ROUNDS {
        let mark = Mark::of("jti", &round.to_string());
        let first = at_once(bench, 16, |store, _| async move { store.mark(&mark, MINUTE).await.unwrap() });
        assert_eq!(first.await.iter().filter(|first| **first).count(), 1);
    }
}

pub(crate) async fn of_many_who_ask_for_a_lease_one_gets_it(bench: &Bench) {
    for _ in 0..ROUNDS {
        let key = a_key();
        let answers = at_once(bench, 16, |store, _| async move {
            store.lease(&key, &Holder::draw(&SystemEntropy), MINUTE).await.unwrap()
        });
        let answers = answers.await;
        assert_eq!(answers.iter().filter(|answer| **answer == Lease::Granted).count(), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Lease::Held).count(), 15);
    }
}

pub(crate) async fn no_two_workers_claim_the_same(bench: &Bench) {
    for _ in 0..100 {
        bench.enqueue(&bench.waiting()).await;
    }
    let now = bench.now();
    let claimed = at_once(bench, 8, |store, place| async move {
        let mut mine = Vec::new();
        loop {
            let some = store.claim(now, now.plus(MINUTE), 1 + place % 3).await.unwrap();
            if some.is_empty() {
                return mine;
            }
            mine.extend(some.into_iter().map(|waiting| waiting.id));
        }
    });
    let claimed: Vec<_> = claimed.await.into_iter().flatten().collect();
    assert_eq!(claimed.len(), 100);
    assert_eq!(claimed.iter().collect::<HashSet<_>>().len(), 100);
}
