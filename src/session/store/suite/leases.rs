//! Clauses on leases: who may refresh a session, and who must wait.

use std::time::Duration;

use super::{Bench, MARGIN, MINUTE, a_key, cooling};
use crate::{
    entropy::SystemEntropy,
    session::{Holder, Lease, SessionKey},
};

const LENGTH: Duration = Duration::from_secs(300);
const COOL_DOWN: Duration = Duration::from_secs(120);

fn holders() -> (Holder, Holder) {
    (Holder::draw(&SystemEntropy), Holder::draw(&SystemEntropy))
}

async fn ask(bench: &Bench, key: &SessionKey, holder: &Holder) -> Lease {
    bench.store.lease(key, holder, LENGTH).await.unwrap()
}

async fn give_back(bench: &Bench, key: &SessionKey, holder: &Holder, cool_down: Duration) {
    bench.store.release(key, holder, cool_down).await.unwrap();
}

pub(crate) async fn a_lease_is_granted_to_one(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Held);
    bench.pass(LENGTH - MARGIN);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Held);
}

pub(crate) async fn its_holder_may_take_a_lease_again_and_has_it_longer(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    for _ in 0..3 {
        assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
        bench.pass(LENGTH - MARGIN);
        assert_eq!(ask(bench, &key, &ben).await, Lease::Held, "to ask in vain does not shorten it");
    }
    bench.pass(MARGIN * 2);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted, "nor make it longer");
}

pub(crate) async fn a_lease_ends_when_its_time_is_over(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    bench.pass(LENGTH + MARGIN);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted);
    assert_eq!(ask(bench, &key, &anna).await, Lease::Held, "the last one cannot renew what another has");
}

pub(crate) async fn a_lease_that_was_given_back_is_free(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    give_back(bench, &key, &anna, Duration::ZERO).await;
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted);
    assert_eq!(ask(bench, &key, &anna).await, Lease::Held);
}

pub(crate) async fn nobody_gives_back_the_lease_of_another(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    give_back(bench, &key, &ben, Duration::ZERO).await;
    assert_eq!(ask(bench, &key, &ben).await, Lease::Held);
    give_back(bench, &key, &ben, COOL_DOWN).await;
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
}

/// Apple was so slow that another has taken over.
pub(crate) async fn a_lease_that_was_lost_cannot_be_given_back(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    bench.pass(LENGTH + MARGIN);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted);
    give_back(bench, &key, &anna, COOL_DOWN).await;
    assert_eq!(ask(bench, &key, &anna).await, Lease::Held);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted);
    // And when nobody has taken it, it was over all the same.
    bench.pass(LENGTH + MARGIN);
    give_back(bench, &key, &ben, COOL_DOWN).await;
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
}

pub(crate) async fn a_cool_down_keeps_everybody_away_until_it_is_over(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    give_back(bench, &key, &anna, COOL_DOWN).await;
    for holder in [&anna, &ben] {
        let rest = cooling(ask(bench, &key, holder).await).expect("it cools");
        assert!(rest > COOL_DOWN - MARGIN && rest <= COOL_DOWN, "{rest:?}");
    }
    bench.pass(COOL_DOWN - MARGIN);
    for holder in [&anna, &ben] {
        let rest = cooling(ask(bench, &key, holder).await).expect("it cools still");
        assert!(!rest.is_zero() && rest <= MARGIN, "{rest:?}");
    }
    bench.pass(MARGIN * 2);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted, "to ask in vain does not make it longer");
    assert_eq!(ask(bench, &key, &anna).await, Lease::Held);
}

pub(crate) async fn nobody_ends_a_cool_down(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    give_back(bench, &key, &anna, COOL_DOWN).await;
    for holder in [&anna, &ben] {
        give_back(bench, &key, holder, Duration::ZERO).await;
        assert!(cooling(ask(bench, &key, holder).await).is_some());
        give_back(bench, &key, holder, COOL_DOWN * 2).await;
    }
    bench.pass(COOL_DOWN + MARGIN);
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted);
}

pub(crate) async fn who_has_no_lease_cannot_start_a_cool_down(bench: &Bench) {
    let (key, (anna, ben)) = (bench.session("anna").await, holders());
    give_back(bench, &key, &ben, COOL_DOWN).await;
    assert_eq!(ask(bench, &key, &anna).await, Lease::Granted);
    give_back(bench, &key, &anna, Duration::ZERO).await;
    give_back(bench, &key, &anna, COOL_DOWN).await;
    assert_eq!(ask(bench, &key, &ben).await, Lease::Granted);
}

pub(crate) async fn leases_of_different_sessions_are_apart(bench: &Bench) {
    let (one, two, (anna, ben)) = (bench.session("anna").await, bench.session("anna").await, holders());
    assert_eq!(ask(bench, &one, &anna).await, Lease::Granted);
    assert_eq!(ask(bench, &two, &ben).await, Lease::Granted);
    give_back(bench, &one, &anna, COOL_DOWN).await;
    assert_eq!(ask(bench, &two, &anna).await, Lease::Held);
    assert_eq!(ask(bench, &two, &ben).await, Lease::Granted);
}

/// Whether the session exists is the fence's to find out; and a lease is neither made nor ended with it.
pub(crate) async fn a_lease_says_nothing_of_the_session(bench: &Bench) {
    let (never, ended, (anna, ben)) = (a_key(), bench.session("anna").await, holders());
    assert_eq!(ask(bench, &ended, &anna).await, Lease::Granted);
    bench.remove(&ended).await;
    assert_eq!(ask(bench, &ended, &ben).await, Lease::Held);
    assert_eq!(ask(bench, &never, &anna).await, Lease::Granted);
    assert_eq!(ask(bench, &never, &ben).await, Lease::Held);
    bench.pass(MINUTE);
    assert!(!bench.has(&never).await && !bench.has(&ended).await);
    assert_eq!(bench.store.count().await, Ok(0));
    assert!(bench.pages(10).await.is_empty());
}
