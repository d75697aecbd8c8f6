//! Redis stores for unit tests: one server for all tests of a process, with names of their own for each.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{RedisStore, RedisUrl, keys::Keys, process::Server};
use crate::{
    clock::{ManualClock, SharedClock, SystemClock, Timestamp},
    entropy::SystemEntropy,
    session::{
        Codec, SessionId, SessionKey, Store, StoreError, Stored,
        store::suite::Bench,
        testing::{codec, lifetimes, record_of},
    },
};

/// Takes time off what every key of a test has left, as if it had passed.
const PASS: &str = "for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do \
    local left = redis.call('PTTL', key) \
    if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[2]) end end";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A tag that no other test has.
pub(super) fn own_tag() -> String {
    format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The server that tests share. It dies with the process.
pub(super) fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(Server::start)
}

/// The URL of a server.
pub(super) fn url(server: &Server) -> RedisUrl {
    RedisUrl::parse(&format!("redis://127.0.0.1:{}", server.port())).unwrap()
}

/// A store at a place.
pub(super) async fn store_at(url: RedisUrl, tag: &str, codec: Codec, clock: SharedClock) -> RedisStore {
    let keys = Keys::with_tag(tag, url.database);
    let store =
        RedisStore::with_keys(url, keys, codec, lifetimes().into(), clock, Arc::new(SystemEntropy)).await.unwrap();
    // A busy machine may take longer than the store is patient.
    works(&store).await;
    store
}

/// A store on a server of the test's own, with the real clock.
pub(super) async fn store_on(server: &Server, codec: Codec) -> Arc<RedisStore> {
    Arc::new(store_at(url(server), "schoolgate", codec, Arc::new(SystemClock)).await)
}

/// A session that is kept now.
pub(super) async fn session(store: &RedisStore) -> SessionKey {
    let key = SessionId::draw(&SystemEntropy).key();
    let now = store.clock.now();
    let record = Arc::new(record_of("anna", Some("org-1"), now));
    store.insert(key, Stored { record, last_seen: now }).await.unwrap();
    key
}

/// Waits until the store works.
pub(super) async fn works(store: &RedisStore) {
    for _ in 0..600 {
        match store.ready().await {
            Ok(()) => return,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    panic!("it does not recover: {:?}", store.ready().await);
}

/// What is wrong with the store.
pub(super) async fn trouble(store: &RedisStore) -> String {
    match store.ready().await.unwrap_err() {
        StoreError::Unavailable(why) => why,
        StoreError::Unreadable => panic!("unreadable"),
    }
}

/// Waits until the store says what is wrong.
pub(super) async fn says(store: &RedisStore, what: &str) {
    for _ in 0..600 {
        if trouble(store).await.contains(what) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{}", trouble(store).await);
}

/// A store on the bench, at a place that `redis-cli` of `server` reaches.
pub(super) async fn bench_at(url: RedisUrl, server: &'static Server) -> Bench {
    let (tag, database) = (own_tag(), url.database.to_string());
    let clock = ManualClock::at(Timestamp::from_seconds(1_800_000_000));
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let store = Arc::new(store_at(url, &tag, codec(), shared).await);
    let elsewhere = move |passed: Duration| {
        let (prefix, passed) = (format!("{{{tag}}}:"), passed.as_millis().to_string());
        let said = server.cli(&["-c", "-n", &database, "EVAL", PASS, "1", &prefix, &prefix, &passed]);
        assert_eq!(said, "");
    };
    Bench { store, clock, elsewhere: Some(Box::new(elsewhere)), keeps: Box::new(()) }
}
