//! A store of sessions that cannot be reached: nobody gets in by that, and nobody is sent to Apple for it.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use schoolgate::{
    clock::Timestamp,
    demo::Endpoint,
    session::{MemoryStore, Record, SessionKey, Store, StoreError, Stored},
};
use support::{HOST, Request, World, world::at};

/// A memory store that can be taken away.
#[derive(Debug)]
struct Fragile {
    inner: MemoryStore,
    down: AtomicBool,
}

impl Fragile {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new(Duration::from_secs(86_400)), down: AtomicBool::new(false) })
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        if self.down.load(Ordering::SeqCst) { Err(StoreError::Unavailable("down".into())) } else { Ok(&self.inner) }
    }

    fn is_down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }
}

#[async_trait]
impl Store for Fragile {
    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        self.up()?.insert(key, stored).await
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        self.up()?.find(key).await
    }

    async fn touch(&self, key: &SessionKey, now: Timestamp) -> Result<(), StoreError> {
        self.up()?.touch(key, now).await
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        self.up()?.replace(key, expected, record).await
    }

    async fn remove(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        self.up()?.remove(key).await
    }
}

#[tokio::test]
async fn a_store_that_is_down_denies_with_503_and_lets_public_routes_be() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.signed_in("teacher-1").await;
    world.echo.forget();
    store.is_down(true);
    for path in ["/", "/optional", "/classes", "/staff", "/.schoolgate/", "/.schoolgate/me", "/.schoolgate/sign-out"] {
        for answer in [browser.open(&at(path)).await, browser.fetch(&at(path)).await] {
            assert_eq!(answer.status, 503, "{path}: {}", answer.text());
            assert!(answer.header("retry-after").is_some(), "{path}");
            assert_eq!(answer.header("location"), None, "{path}: never a redirect to Apple");
            assert_eq!(answer.all("set-cookie").count(), 0, "{path}: nobody is told that they are signed out");
        }
    }
    assert_eq!(world.echo.count(), 0);
    assert_eq!(browser.open(&at("/public")).await.status, 200);
    store.is_down(false);
    assert_eq!(browser.open(&at("/")).await.status, 200, "all is as before");
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_kept_is_none_and_its_tokens_are_revoked() {
    let store = Fragile::new();
    let world = World::with_store(Arc::<Fragile>::clone(&store)).await;
    let mut browser = world.browser();
    let answer = browser.open(&at("/")).await;
    let callback = world.at_apple(answer.location(), "teacher-1").await;
    store.is_down(true);
    let answer = browser.open(&callback).await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(browser.cookie_names(HOST), Vec::<String>::new());
    world.reached(Endpoint::Revoke, 1).await;
    store.is_down(false);
    assert_eq!(world.send(Request::get("/")).await.status, 401);
}
