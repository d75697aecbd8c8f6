//! One refresh for all processes: the test plays another process on the same store.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{sync::Arc, time::Duration};

use schoolgate::{
    apple::{AccessToken, RefreshToken},
    clock::Clock,
    demo::{Endpoint, ErrorCode, Gate, Trouble},
    entropy::SystemEntropy,
    session::{Grant, Holder, Lease, Lifetimes, MemoryStore, Record, SessionId, SessionKey, Store},
};
use support::{Answer, Browser, HOST, World, world::at};
use tokio::task::JoinHandle;

/// A gateway whose session has a token that is about to die, and the store under it.
struct House {
    world: World,
    store: Arc<MemoryStore>,
    browser: Browser,
    key: SessionKey,
    /// The other process.
    other: Holder,
}

impl House {
    async fn with_a_dying_token() -> Self {
        let mut kept = None;
        let world = World::with_own_store(|clock| {
            let hours = |hours: u64| Duration::from_secs(hours * 3600);
            let lifetimes = Lifetimes { idle_timeout: hours(8), max_lifetime: hours(24) };
            let store = Arc::new(MemoryStore::new(lifetimes, clock));
            kept = Some(Arc::clone(&store));
            store
        })
        .await;
        let browser = world.signed_in("teacher-1").await;
        let id = SessionId::parse(&browser.cookie(HOST, "__Host-schoolgate").unwrap()).unwrap();
        world.clock.advance(Duration::from_secs(3600 - 200));
        Self { world, store: kept.unwrap(), browser, key: id.key(), other: Holder::draw(&SystemEntropy) }
    }

    /// The other process asks for the lease.
    async fn lease_there(&self) -> Lease {
        self.store.lease(&self.key, &self.other, Duration::from_secs(15)).await.unwrap()
    }

    /// The other process has got a new token.
    async fn renewed_there(&self, token: &str) {
        let now = self.world.clock.now();
        let old = self.store.find(&self.key).await.unwrap().unwrap().record;
        let grant = Grant {
            access_token: AccessToken::new(token),
            access_expires_at: now.plus(Duration::from_secs(3600)),
            refresh_token: Some(RefreshToken::new("theirs")),
            refreshed_at: Some(now),
            ..old.grant.clone()
        };
        let expected = old.generation;
        let record = Record { grant, generation: expected + 1, ..Record::clone(&old) };
        assert!(self.store.replace(&self.key, expected, Arc::new(record)).await.unwrap());
    }

    /// So many requests, under way.
    fn requests(&self, count: usize) -> Vec<JoinHandle<Answer>> {
        (0..count)
            .map(|_| {
                let mut browser = self.browser.clone();
                tokio::spawn(async move { browser.open(&at("/")).await })
            })
            .collect()
    }

    /// Lets so much time pass, in small steps.
    async fn pass(&self, while_: Duration) {
        const STEP: Duration = Duration::from_millis(100);
        for _ in 0..while_.as_millis() / STEP.as_millis() {
            self.world.clock.advance(STEP);
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Lets time pass until a request is answered.
    async fn answer(&self, request: JoinHandle<Answer>) -> Answer {
        while !request.is_finished() {
            self.pass(Duration::from_millis(100)).await;
        }
        request.await.unwrap()
    }

    fn refreshes(&self) -> usize {
        self.world.apple.calls().count(Endpoint::Refresh)
    }
}

#[tokio::test]
async fn while_another_process_refreshes_everybody_waits_for_its_result() {
    let house = House::with_a_dying_token().await;
    assert_eq!(house.lease_there().await, Lease::Granted);
    let requests = house.requests(50);
    house.pass(Duration::from_secs(5)).await;
    assert!(requests.iter().all(|request| !request.is_finished()));
    house.renewed_there("brought-by-the-other").await;
    house.store.release(&house.key, &house.other, Duration::ZERO).await.unwrap();
    for request in requests {
        assert_eq!(house.answer(request).await.status, 200);
        assert_eq!(house.world.echo.access_token(), "brought-by-the-other");
    }
    assert_eq!(house.refreshes(), 0);
}

#[tokio::test]
async fn when_another_process_dies_in_the_middle_this_one_takes_over() {
    let house = House::with_a_dying_token().await;
    assert_eq!(house.lease_there().await, Lease::Granted);
    let requests = house.requests(50);
    house.pass(Duration::from_secs(14)).await;
    assert_eq!(house.refreshes(), 0);
    for request in requests {
        assert_eq!(house.answer(request).await.status, 200);
    }
    assert_eq!(house.refreshes(), 1);
}

#[tokio::test]
async fn what_failed_in_another_process_is_not_tried_here_before_its_time() {
    let house = House::with_a_dying_token().await;
    assert_eq!(house.lease_there().await, Lease::Granted);
    house.store.release(&house.key, &house.other, Duration::from_secs(300)).await.unwrap();
    let mut browser = house.browser.clone();
    assert_eq!(browser.open(&at("/")).await.status, 200, "the old token lives");
    house.world.clock.advance(Duration::from_secs(210));
    let answer = browser.open(&at("/")).await;
    assert_eq!(answer.status, 503, "the old token is dead");
    assert_eq!(answer.header("retry-after"), Some("90"));
    assert_eq!(house.refreshes(), 0);
    house.world.clock.advance(Duration::from_secs(91));
    assert_eq!(browser.open(&at("/")).await.status, 200);
    assert_eq!(house.refreshes(), 1);
}

#[tokio::test]
async fn a_failure_here_is_known_to_the_others() {
    let house = House::with_a_dying_token().await;
    house.world.apple.switches().trouble(Endpoint::Refresh, Trouble::Status(503));
    assert_eq!(house.browser.clone().open(&at("/")).await.status, 200);
    assert!(matches!(house.lease_there().await, Lease::Cooling(_)));
    // oauth2-proxy reads this as fatal; it is the operator's mistake, and signs nobody out.
    house.world.clock.advance(Duration::from_secs(11));
    house.world.apple.switches().trouble(Endpoint::Refresh, Trouble::Error(ErrorCode::InvalidClient));
    assert_eq!(house.browser.clone().open(&at("/")).await.status, 200);
    assert!(matches!(house.lease_there().await, Lease::Cooling(_)));
}

#[tokio::test]
async fn the_lease_is_kept_for_as_long_as_apple_takes() {
    let house = House::with_a_dying_token().await;
    let gate = Gate::closed();
    house.world.apple.switches().trouble(Endpoint::Refresh, Trouble::Hang(gate.clone()));
    let requests = house.requests(3);
    house.world.reached(Endpoint::Refresh, 1).await;
    // oauth2-proxy's lock lives two seconds and is never renewed.
    for _ in 0..50 {
        house.pass(Duration::from_secs(1)).await;
        assert_eq!(house.lease_there().await, Lease::Held);
    }
    gate.open();
    for request in requests {
        assert_eq!(house.answer(request).await.status, 200);
    }
    assert_eq!(house.refreshes(), 1);
    assert_eq!(house.lease_there().await, Lease::Granted, "it was given back");
}

#[tokio::test]
async fn an_answer_that_comes_too_late_does_not_replace_a_newer_grant() {
    for rejected in [false, true] {
        let house = House::with_a_dying_token().await;
        let gate = Gate::closed();
        house.world.apple.switches().trouble(
            Endpoint::Refresh,
            match rejected {
                true => Trouble::LateError(gate.clone(), ErrorCode::InvalidGrant),
                false => Trouble::Hang(gate.clone()),
            },
        );
        let requests = house.requests(3);
        house.world.reached(Endpoint::Refresh, 1).await;
        house.renewed_there("newer").await;
        gate.open();
        for request in requests {
            assert_eq!(house.answer(request).await.status, 200, "rejected: {rejected}");
            assert_eq!(house.world.echo.access_token(), "newer");
        }
    }
}
