//! Clauses on sessions that end by themselves, under [`lifetimes`]. A store may forget them then, and
//! never before.

use std::time::Duration;

use super::{Bench, MARGIN, MINUTE, cooling, of_organization, of_person};
use crate::{
    clock::Timestamp,
    entropy::SystemEntropy,
    session::{Holder, Lease, SessionKey, testing::lifetimes},
};

/// The smallest step of time.
const TICK: Duration = Duration::from_millis(1);

fn idle() -> Duration {
    lifetimes().idle_timeout
}

pub(crate) async fn a_session_is_kept_until_it_has_been_idle_too_long(bench: &Bench) {
    let key = bench.keep(bench.record("anna", Some("org-1"))).await;
    bench.pass(idle() - MARGIN);
    bench.assert_there(&key).await;
    assert_eq!(bench.store.sweep(bench.now()).await, Ok(0));
    bench.assert_there(&key).await;
    assert_eq!(bench.store.count().await, Ok(1));
}

pub(crate) async fn a_session_that_is_used_is_kept(bench: &Bench) {
    let key = bench.keep(bench.record("anna", Some("org-1"))).await;
    for _ in 0..2 {
        bench.pass(idle() - MINUTE);
        bench.touch(&key, bench.now()).await;
        bench.assert_there(&key).await;
    }
    bench.pass(idle() - MARGIN);
    bench.assert_there(&key).await;
    assert_eq!(bench.store.sweep(bench.now()).await, Ok(0));
    bench.assert_there(&key).await;
}

/// Uses are told in batches, a while after they were.
pub(crate) async fn a_use_that_is_told_late_counts_from_when_it_was(bench: &Bench) {
    let key = bench.session("anna").await;
    bench.pass(idle() - MINUTE);
    let used = bench.now().minus(MINUTE * 10);
    bench.touch(&key, used).await;
    bench.pass(idle() - MINUTE * 10 - MARGIN);
    bench.assert_there(&key).await;
    assert_eq!(bench.find(&key).await.unwrap().last_seen, used);
    assert_eq!(bench.store.sweep(used.plus(idle() + TICK)).await, Ok(1));
    assert!(!bench.has(&key).await);
}

pub(crate) async fn a_replaced_record_is_kept_as_long_as_the_old_one(bench: &Bench) {
    let key = bench.keep(bench.record("anna", Some("org-1"))).await;
    bench.pass(MINUTE);
    bench.touch(&key, bench.now()).await;
    let used = bench.now();
    bench.pass(idle() - MINUTE);
    assert!(bench.refresh(&key).await);
    bench.pass(MINUTE - MARGIN);
    bench.assert_there(&key).await;
    // A refresh is no use of the session.
    assert_eq!(bench.store.sweep(used.plus(idle() - TICK)).await, Ok(0));
    assert_eq!(bench.store.sweep(used.plus(idle() + TICK)).await, Ok(1));
}

pub(crate) async fn a_session_that_is_used_is_kept_until_it_is_too_old(bench: &Bench) {
    let key = bench.keep(bench.record("anna", Some("org-1"))).await;
    let step = idle() / 2;
    let mut age = Duration::ZERO;
    while age + step < lifetimes().max_lifetime {
        bench.pass(step);
        age += step;
        bench.touch(&key, bench.now()).await;
    }
    bench.pass(lifetimes().max_lifetime - age - MARGIN);
    bench.assert_there(&key).await;
    assert_eq!(bench.store.sweep(bench.now()).await, Ok(0));
    bench.assert_there(&key).await;
}

pub(crate) async fn a_sweep_takes_what_was_idle_too_long_and_nothing_sooner(bench: &Bench) {
    let start = bench.now();
    let early = bench.session("anna").await;
    let late = bench.keep(crate::session::testing::record_of("ben", None, start.plus(MINUTE))).await;
    assert_eq!(bench.store.sweep(start.plus(idle()).minus(TICK)).await, Ok(0));
    assert_eq!(bench.store.sweep(start.plus(idle() + TICK)).await, Ok(1));
    assert_eq!((bench.has(&early).await, bench.has(&late).await), (false, true));
    assert_eq!(bench.store.sweep(start.plus(idle() + TICK)).await, Ok(0), "once");
    assert_eq!(bench.store.sweep(start.plus(idle() + MINUTE + TICK)).await, Ok(1));
    assert_eq!(bench.store.count().await, Ok(0));
}

/// A session that is used up to the end of its life.
async fn used_to_the_end(bench: &Bench) -> (SessionKey, Timestamp) {
    let key = bench.session("anna").await;
    let end = bench.now().plus(lifetimes().max_lifetime);
    bench.touch(&key, end.minus(MINUTE)).await;
    (key, end)
}

pub(crate) async fn a_sweep_takes_what_is_too_old_however_much_it_was_used(bench: &Bench) {
    let (key, end) = used_to_the_end(bench).await;
    assert_eq!(bench.store.sweep(end.minus(TICK)).await, Ok(0));
    bench.assert_there(&key).await;
    assert_eq!(bench.store.sweep(end.plus(TICK)).await, Ok(1));
    assert!(!bench.has(&key).await);
}

pub(crate) async fn a_sweep_spares_what_was_used_meanwhile(bench: &Bench) {
    let start = bench.now();
    let (used, refreshed, idle_) =
        (bench.session("anna").await, bench.session("anna").await, bench.session("anna").await);
    bench.store.touch(&[(used, start.plus(MINUTE)), (refreshed, start.plus(MINUTE))]).await.unwrap();
    assert!(bench.refresh(&refreshed).await);
    assert_eq!(bench.store.sweep(start.plus(idle() + TICK)).await, Ok(1));
    assert!(!bench.has(&idle_).await);
    bench.assert_there(&used).await;
    bench.assert_there(&refreshed).await;
    assert!(bench.keys_of(&of_person("anna")).await == [used, refreshed].into());
}

pub(crate) async fn what_was_swept_is_nowhere_and_stays_away(bench: &Bench) {
    let record = bench.record("anna", Some("org-1"));
    let key = bench.keep(record.clone()).await;
    let end = bench.now().plus(idle() + TICK);
    assert_eq!(bench.store.sweep(end).await, Ok(1));
    bench.assert_gone(&key, &record).await;
    bench.touch(&key, end).await;
    bench.assert_gone(&key, &record).await;
    assert_eq!(bench.store.count().await, Ok(0));
}

pub(crate) async fn a_sweep_leaves_the_queue_alone(bench: &Bench) {
    let waiting = bench.waiting();
    bench.enqueue(&waiting).await;
    bench.pass(lifetimes().max_lifetime * 2);
    bench.store.sweep(bench.now()).await.unwrap();
    assert_eq!(bench.claim(1).await[0].id, waiting.id);
    bench.store.sweep(bench.now()).await.unwrap();
    assert_eq!(bench.store.queue().await.unwrap().length, 1);
}

pub(crate) async fn a_sweep_spares_leases_and_cool_downs_that_last(bench: &Bench) {
    let (leased, cooling_) = (bench.session("anna").await, bench.session("ben").await);
    let (first, other) = (Holder::draw(&SystemEntropy), Holder::draw(&SystemEntropy));
    for key in [leased, cooling_] {
        assert_eq!(bench.store.lease(&key, &first, MINUTE * 2).await, Ok(Lease::Granted));
    }
    bench.store.release(&cooling_, &first, MINUTE * 2).await.unwrap();
    bench.pass(MINUTE);
    bench.store.sweep(bench.now()).await.unwrap();
    assert_eq!(bench.store.lease(&leased, &other, MINUTE).await, Ok(Lease::Held));
    assert!(cooling(bench.store.lease(&cooling_, &other, MINUTE).await.unwrap()).is_some());
}

/// What leads from a name to its sessions must live as long as the last of them.
pub(crate) async fn names_outlive_the_first_session_that_they_led_to(bench: &Bench) {
    let used = bench.keep(bench.record("anna", Some("org-1"))).await;
    bench.pass(MINUTE);
    let idle_ = bench.keep(bench.record("anna", Some("org-1"))).await;
    bench.pass(idle() - MINUTE * 2);
    bench.touch(&used, bench.now()).await;
    bench.pass(MINUTE * 5);
    bench.store.sweep(bench.now()).await.unwrap();
    assert!(!bench.has(&idle_).await);
    for whose in [of_person("anna"), of_organization("org-1")] {
        assert!(bench.keys_of(&whose).await == [used].into(), "{whose:?}");
    }
    assert!(bench.pages(10).await == [used]);
    assert_eq!(bench.store.count().await, Ok(1));
}
