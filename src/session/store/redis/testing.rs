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
    clock::{ManualClock, SharedClock, Timestamp},
    entropy::SystemEntropy,
    session::{
        Codec,
        store::suite::Bench,
        testing::{codec, lifetimes},
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
    RedisStore::with_keys(url, keys, codec, lifetimes(), clock, Arc::new(SystemEntropy)).await.unwrap()
}

/// A store on the bench, at a place that `redis-cli` of `server` reaches.
pub(super) async fn bench_at(url: RedisUrl, server: &'static Server) -> Bench {
    let tag = own_tag();
    let clock = ManualClock::at(Timestamp::from_seconds(1_800_000_000));
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let store = Arc::new(store_at(url, &tag, codec(), shared).await);
    let elsewhere = move |passed: Duration| {
        let (prefix, passed) = (format!("{{{tag}}}:"), passed.as_millis().to_string());
        let said = server.cli(&["-c", "EVAL", PASS, "1", &prefix, &prefix, &passed]);
        assert_eq!(said, "");
    };
    Bench { store, clock, elsewhere: Some(Box::new(elsewhere)), keeps: Box::new(()) }
}
