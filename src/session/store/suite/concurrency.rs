//! Clauses on many who write at once.

use std::{
    collections::{BTreeSet, HashSet},
    future::Future,
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use futures_util::future::join_all;
use tokio::{
    runtime::Handle,
    task::{JoinSet, yield_now},
    time::timeout,
};

use super::{Bench, MINUTE, PATIENCE, a_key, next, of_person};
use crate::{
    entropy::SystemEntropy,
    secret::Secret,
    session::{self, End, Holder, Lease, Mark, NoteName, Record, Removal, Store, Stored, Swap, testing::lifetimes},
};

/// How often a race is run: it is lost now and then only.
const ROUNDS: usize = 32;

/// How often they meet in [`at_meetings`], and how many.
const MEETINGS: usize = 300;
const WHO_MEET: usize = 4;

/// Runs `many` at once and gives back what came of them in order. Each has a thread of its own: tasks of
/// a store that never waits would run one after the other.
async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    bench: &Bench,
    many: usize,
    each: impl Fn(Arc<dyn Store>, usize) -> F,
) -> Vec<T> {
    let (gate, runtime) = (Arc::new(Barrier::new(many)), Handle::current());
    let mut threads = JoinSet::new();
    for place in 0..many {
        let (gate, runtime, work) = (Arc::clone(&gate), runtime.clone(), each(Arc::clone(&bench.store), place));
        threads.spawn_blocking(move || {
            gate.wait();
            let outcome = runtime.block_on(async { timeout(PATIENCE / 2, work).await });
            (place, outcome.expect("it comes to an end"))
        });
    }
    let mut all = threads.join_all().await;
    all.sort_unstable_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, outcome)| outcome).collect()
}

/// Lets several meet again and again and do `each` at the very same moment; gives back what came of every
/// meeting. They spin, for a thread that sleeps wakes too late for a race of a few nanoseconds.
async fn at_meetings<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    bench: &Bench,
    each: impl Fn(Arc<dyn Store>, usize, usize) -> F + Clone + Send + Sync + 'static,
) -> Vec<Vec<T>> {
    let arrived = Arc::new(AtomicUsize::new(0));
    let ways = at_once(bench, WHO_MEET, |store, place| {
        let (arrived, each) = (Arc::clone(&arrived), each.clone());
        async move {
            let mut outcomes = Vec::new();
            for meeting in 0..MEETINGS {
                // Made before they meet, so that nothing but the race is left to do.
                let work = each(Arc::clone(&store), meeting, place);
                arrived.fetch_add(1, Ordering::SeqCst);
                let mut waited = 0_u32;
                while arrived.load(Ordering::SeqCst) < WHO_MEET * (meeting + 1) {
                    thread::yield_now();
                    waited += 1;
                    assert!(waited < 50_000_000, "somebody has given up");
                }
                outcomes.push(work.await);
            }
            outcomes
        }
    });
    let mut ways: Vec<_> = ways.await.into_iter().map(Vec::into_iter).collect();
    (0..MEETINGS).map(|_| ways.iter_mut().filter_map(Iterator::next).collect()).collect()
}

pub(crate) async fn many_sessions_at_once_are_all_kept(bench: &Bench) {
    let record = bench.record("anna", None);
    let keys = at_once(bench, 64, |store, _| {
        let (key, record) = (a_key(), Record { handle: session::Handle::draw(&SystemEntropy), ..record.clone() });
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
    let (key, first) = (a_key(), bench.record("anna", None));
    let stored = Stored { last_seen: first.created, record: Arc::new(first.clone()) };
    bench.store.insert(key, stored).await.unwrap();
    let meetings = at_meetings(bench, move |store, meeting, place| {
        let mut record = Record { generation: meeting as u64 + 1, ..first.clone() };
        record.grant.access_token = Secret::new(format!("of-{place}"));
        async move { store.replace(&key, meeting as u64, Arc::new(record)).await.unwrap() }
    });
    let meetings = meetings.await;
    for won in &meetings {
        assert_eq!(won.iter().filter(|won| **won).count(), 1);
    }
    let winner = meetings.last().unwrap().iter().position(|won| *won).unwrap();
    let record = bench.find(&key).await.unwrap().record;
    assert_eq!(record.generation, MEETINGS as u64);
    assert!(record.grant.access_token.matches(&format!("of-{winner}")), "what is kept is the winner's");
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
    let keys: Vec<_> = bench.sessions("anna", 240).await.into_iter().collect();
    let alive = at_once(bench, 4, |store, place| {
        // One sweeps; the others use a third of the sessions each.
        let keys = place.checked_sub(1).map(|third| keys[third * 80..(third + 1) * 80].to_vec());
        async move {
            let mut alive = BTreeSet::new();
            let Some(keys) = keys else {
                store.sweep(end).await.unwrap();
                return alive;
            };
            for key in keys {
                store.touch(&[(key, end)]).await.unwrap();
                if store.find(&key).await.unwrap().is_some_and(|stored| stored.last_seen == end) {
                    alive.insert(key);
                }
            }
            alive
        }
    });
    let alive: BTreeSet<_> = alive.await.into_iter().flatten().collect();
    assert!(bench.keys_of(&of_person("anna")).await == alive);
    assert!(bench.pages(100).await.iter().eq(&alive));
    assert_eq!(bench.store.count().await, Ok(alive.len()));
}

pub(crate) async fn of_many_who_mark_one_is_first(bench: &Bench) {
    let meetings = at_meetings(bench, |store, meeting, _| {
        let mark = Mark::of("jti", &meeting.to_string());
        async move { store.mark(&mark, MINUTE).await.unwrap() }
    });
    for first in meetings.await {
        assert_eq!(first.iter().filter(|first| **first).count(), 1);
    }
}

pub(crate) async fn of_many_who_make_a_note_one_does(bench: &Bench) {
    let meetings = at_meetings(bench, |store, meeting, who| {
        let name = NoteName::of("kind", &meeting.to_string());
        async move { store.swap_note(&name, None, Some(who.to_string().as_bytes()), MINUTE).await.unwrap() }
    });
    for (meeting, outcomes) in meetings.await.into_iter().enumerate() {
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Swap::Done).count(), 1);
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == Swap::Changed).count(), WHO_MEET - 1);
        let maker = outcomes.iter().position(|outcome| *outcome == Swap::Done).unwrap();
        let note = bench.store.note(&NoteName::of("kind", &meeting.to_string())).await.unwrap().unwrap();
        assert_eq!(note.value(), maker.to_string().as_bytes());
    }
}

pub(crate) async fn of_many_who_take_a_note_one_has_it(bench: &Bench) {
    for meeting in 0..MEETINGS {
        let name = NoteName::of("kind", &meeting.to_string());
        assert_eq!(bench.store.swap_note(&name, None, Some(b"form"), MINUTE).await, Ok(Swap::Done));
    }
    let meetings = at_meetings(bench, |store, meeting, _| {
        let name = NoteName::of("kind", &meeting.to_string());
        async move {
            let Some(note) = store.note(&name).await.unwrap() else { return false };
            store.swap_note(&name, Some(&note), None, MINUTE).await.unwrap() == Swap::Done
        }
    });
    for took in meetings.await {
        assert_eq!(took.iter().filter(|took| **took).count(), 1);
    }
}

pub(crate) async fn no_change_of_a_note_is_lost(bench: &Bench) {
    let name = NoteName::of("kind", "count");
    at_once(bench, 8, |store, _| async move {
        for _ in 0..4 {
            loop {
                let note = store.note(&name).await.unwrap();
                let count = note.as_ref().map_or(0, |note| note.value().len());
                let swap = store.swap_note(&name, note.as_ref(), Some(&vec![7; count + 1]), MINUTE).await.unwrap();
                if swap == Swap::Done {
                    break;
                }
                yield_now().await;
            }
        }
    })
    .await;
    assert_eq!(bench.store.note(&name).await.unwrap().unwrap().value().len(), 32);
}

pub(crate) async fn of_many_who_ask_for_a_lease_one_gets_it(bench: &Bench) {
    let keys: Vec<_> = (0..MEETINGS).map(|_| a_key()).collect();
    let meetings = at_meetings(bench, move |store, meeting, _| {
        let (key, holder) = (keys[meeting], Holder::draw(&SystemEntropy));
        async move { store.lease(&key, &holder, MINUTE).await.unwrap() }
    });
    for answers in meetings.await {
        assert_eq!(answers.iter().filter(|answer| **answer == Lease::Granted).count(), 1);
        assert_eq!(answers.iter().filter(|answer| **answer == Lease::Held).count(), WHO_MEET - 1);
    }
}

pub(crate) async fn no_two_workers_claim_the_same(bench: &Bench) {
    let queued = join_all((0..MEETINGS).map(|_| async {
        let waiting = bench.waiting();
        bench.enqueue(&waiting).await;
        waiting.id
    }));
    let queued = queued.await.into_iter().collect::<HashSet<_>>();
    let now = bench.now();
    // In some meetings each takes one, in others several: in the end there are more hands than work.
    let meetings = at_meetings(bench, move |store, meeting, _| async move {
        store.claim(now, now.plus(MINUTE), 1 + meeting % 3).await.unwrap()
    });
    let claimed: Vec<_> = meetings.await.into_iter().flatten().flatten().map(|waiting| waiting.id).collect();
    assert_eq!(claimed.len(), queued.len(), "each once");
    assert!(claimed.into_iter().collect::<HashSet<_>>() == queued);
}
