//! Redis gone, frozen, full, forbidden or sealed with another key: no answer is made up, none takes long, and
//! what was wrong passes when its cause does.

use std::{fs, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use crate::{
    clock::SystemClock,
    entropy::SystemEntropy,
    session::{
        Codec, End, Handle, Holder, Lease, Listener, Mark, NoteName, RedisRefuses, RedisStore, RedisUrl, Removal,
        Revocation, Sealer, Selector, SessionKey, Store, StoreError, Swap, Waiting,
        store::redis::{process::Server, testing},
        testing::{codec, lifetimes, record_of},
    },
};

/// Every call of a store; which of them failed, and how.
async fn everything(store: &RedisStore, key: SessionKey) -> Vec<Option<StoreError>> {
    let now = store.clock.now();
    let record = Arc::new(record_of("anna", None, now));
    let waiting = Waiting::new(Revocation::of(&record), now, &SystemEntropy);
    let holder = Holder::draw(&SystemEntropy);
    let (mark, name, soon) = (Mark::of("kind", "what"), NoteName::of("kind", "what"), Duration::from_secs(9));
    let handle = Selector::Handle(Handle::parse("h").unwrap());
    macro_rules! all {
        ($($call:expr),* $(,)?) => {
            join_all([$(Box::pin(async { $call.await.err() }) as std::pin::Pin<Box<dyn Future<Output = _> + Send>>),*]).await
        };
    }
    let stored = crate::session::Stored { record: Arc::clone(&record), last_seen: now };
    all![
        store.ready(),
        store.insert(crate::session::SessionId::draw(&SystemEntropy).key(), stored),
        store.find(&key),
        store.touch(&[(key, now.plus(soon))]),
        store.replace(&key, 7, Arc::clone(&record)),
        store.remove(vec![End { key, expected: Some(7), revocation: None }]),
        store.keys_of(&handle),
        store.page(None, 10),
        store.count(),
        store.sweep(now),
        store.lease(&key, &holder, soon),
        store.release(&key, &holder, soon),
        store.mark(&mark, soon),
        store.is_marked(&mark),
        store.note(&name),
        store.swap_note(&name, None, Some(b"new"), soon),
        store.enqueue(waiting.clone()),
        store.claim(now, now.plus(soon), 1),
        store.postpone(&waiting, now),
        store.settle(&waiting),
        store.queue(),
    ]
}

/// Everything fails, and within a limit.
async fn all_fails_within(limit: Duration, store: &RedisStore, key: SessionKey) {
    let outcomes = timeout(limit, everything(store, key)).await.expect("it takes too long");
    for outcome in outcomes {
        assert!(matches!(outcome, Some(StoreError::Unavailable(_))), "{outcome:?}");
    }
}

fn keeps_everything() -> Server {
    Server::with(&["--appendonly", "yes", "--appendfsync", "always"])
}

async fn open(server: &Server, codec: Codec) -> Result<RedisStore, RedisRefuses> {
    open_at(&format!("redis://127.0.0.1:{}", server.port()), codec).await
}

/// A store that works.
async fn opened(server: &Server, codec: Codec) -> RedisStore {
    let store = open(server, codec).await.unwrap_or_else(|refusal| panic!("{refusal}"));
    testing::works(&store).await;
    store
}

async fn open_at(url: &str, codec: Codec) -> Result<RedisStore, RedisRefuses> {
    let url = RedisUrl::parse(url).unwrap();
    RedisStore::open(url, codec, lifetimes(), Arc::new(SystemClock), Arc::new(SystemEntropy)).await
}

fn ring(keys: &[&str]) -> Codec {
    Codec::new(Arc::new(Sealer::from_key_file(&keys.join("\n")).unwrap()), Arc::new(SystemEntropy))
}

#[tokio::test]
async fn a_frozen_server_is_given_up_in_time_then_at_once_and_taken_up_again_when_it_goes_on() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let key = testing::session(&store).await;
    assert!(everything(&store, key).await.iter().all(Option::is_none));
    server.freeze();
    all_fails_within(Duration::from_millis(2_500), &store, key).await;
    // Now it is known.
    testing::says(&store, "no answer in time").await;
    all_fails_within(Duration::from_millis(200), &store, key).await;
    server.thaw();
    testing::works(&store).await;
    assert!(everything(&store, key).await.iter().all(Option::is_none));
}

#[tokio::test]
async fn a_server_that_dies_and_comes_back_is_taken_up_again_with_all_that_was_answered() {
    let mut server = keeps_everything();
    let store = testing::store_on(&server, codec()).await;
    let key = testing::session(&store).await;
    server.kill();
    all_fails_within(Duration::from_millis(2_500), &store, key).await;
    testing::says(&store, "onnection refused").await;
    all_fails_within(Duration::from_millis(200), &store, key).await;
    server.revive();
    testing::works(&store).await;
    assert!(store.find(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_call_waits_for_a_server_that_is_back_at_once() {
    let mut server = keeps_everything();
    let store = testing::store_on(&server, codec()).await;
    let key = testing::session(&store).await;
    for _ in 0..3 {
        // The connection is cut, and the next call finds another.
        server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
        testing::works(&store).await;
        assert!(store.find(&key).await.unwrap().is_some());
    }
    server.kill();
    server.revive();
    testing::works(&store).await;
}

#[tokio::test]
async fn a_store_opens_without_its_server_and_works_once_it_is_there() {
    let mut server = Server::start();
    server.kill();
    let began = Instant::now();
    let store = open(&server, codec()).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(2_500));
    testing::says(&store, &format!("127.0.0.1:{}", server.port())).await;
    server.revive();
    testing::works(&store).await;
    testing::session(&store).await;
}

#[tokio::test]
async fn a_frozen_server_does_not_hold_up_the_start() {
    let server = Server::start();
    server.freeze();
    let began = Instant::now();
    let store = open(&server, codec()).await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(2_500));
    server.thaw();
    testing::works(&store).await;
}

#[tokio::test]
async fn a_server_that_has_lost_its_scripts_is_told_them_again() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let key = testing::session(&store).await;
    assert_eq!(server.cli(&["SCRIPT", "FLUSH"]), "OK");
    assert!(everything(&store, key).await.iter().all(Option::is_none));
}

#[tokio::test]
async fn sessions_of_another_key_are_refused_at_the_start_and_the_message_says_what_to_do() {
    let server = Server::start();
    testing::session(&*testing::store_on(&server, codec()).await).await;
    let refusal = open(&server, codec()).await.unwrap_err().to_string();
    assert!(refusal.contains("encryption_key_file; put that key there"), "{refusal}");
    assert!(refusal.contains(&format!("redis://127.0.0.1:{}/0", server.port())), "{refusal}");
}

#[tokio::test]
async fn a_key_can_be_changed_in_three_steps_with_sessions_going_on() {
    let server = Server::start();
    let (old, new) = (Sealer::new_key(&SystemEntropy), Sealer::new_key(&SystemEntropy));
    let before = opened(&server, ring(&[&old])).await;
    let key = testing::session(&before).await;
    let between = opened(&server, ring(&[&old, &new])).await;
    assert!(between.find(&key).await.unwrap().is_some());
    let after = opened(&server, ring(&[&new, &old])).await;
    let stored = after.find(&key).await.unwrap().unwrap();
    let owner = Selector::Subject(stored.record.person.subject.clone());
    assert_eq!(after.keys_of(&owner).await.unwrap(), [key]);
    let younger = testing::session(&after).await;
    assert!(between.find(&younger).await.unwrap().is_some(), "who knows both keys opens both");
    let mut both = between.keys_of(&owner).await.unwrap();
    both.sort_unstable();
    let mut expected = [key, younger];
    expected.sort_unstable();
    assert_eq!(both, expected);
    // A refresh seals and names anew.
    let next = crate::session::Record { generation: 1, ..stored.record.as_ref().clone() };
    assert!(after.replace(&key, 0, Arc::new(next)).await.unwrap());
    let last = opened(&server, ring(&[&new])).await;
    assert!(last.find(&key).await.unwrap().is_some());
    let mut both = last.keys_of(&owner).await.unwrap();
    both.sort_unstable();
    assert_eq!(both, expected);
    assert!(open(&server, ring(&[&old])).await.is_err(), "who knows the old key alone is refused");
}

#[tokio::test]
async fn sessions_of_another_key_keep_the_store_away_when_they_are_met_later() {
    let mut server = keeps_everything();
    drop(testing::store_on(&server, codec()).await);
    server.kill();
    let store = open(&server, codec()).await.unwrap();
    server.revive();
    testing::says(&store, "sealed with a key that is not in encryption_key_file").await;
    let key = crate::session::SessionId::draw(&SystemEntropy).key();
    all_fails_within(Duration::from_millis(200), &store, key).await;
    assert_eq!(server.cli(&["FLUSHALL"]), "OK");
    testing::works(&store).await;
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_told_and_the_right_one_may_come_from_a_file() {
    let server = Server::with(&["--requirepass", "hunter2"]);
    let at = |rest: &str| format!("redis://{rest}");
    let port = server.port();
    for url in [at(&format!("127.0.0.1:{port}")), at(&format!(":wrong-one@127.0.0.1:{port}"))] {
        let refusal = open_at(&url, codec()).await.unwrap_err().to_string();
        assert!(refusal.contains("NOAUTH") || refusal.contains("WRONGPASS"), "{refusal}");
        assert!(!refusal.contains("wrong-one"), "{refusal}");
    }
    let file = server.path("password");
    let url = at(&format!("127.0.0.1:{port}?password_file={}", file.display()));
    assert!(open_at(&url, codec()).await.unwrap_err().to_string().contains("cannot be read"));
    fs::write(&file, "\n").unwrap();
    assert!(open_at(&url, codec()).await.unwrap_err().to_string().contains("is empty"));
    fs::write(&file, "hunter2\n").unwrap();
    let store = open_at(&url, codec()).await.unwrap();
    testing::works(&store).await;
    assert!(!format!("{store:?}").contains("hunter2"));
    // A new password is read from the file when the old one is not good any more.
    fs::write(&file, "hunter3\n").unwrap();
    assert_eq!(server.cli(&["-a", "hunter2", "CONFIG", "SET", "requirepass", "hunter3"]), "OK");
    server.cli(&["-a", "hunter3", "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    testing::works(&store).await;
}

#[tokio::test]
async fn a_command_that_is_forbidden_is_named_before_anything_is_done_half() {
    let server = Server::start();
    assert_eq!(server.cli(&["ACL", "SETUSER", "sg", "on", ">x", "~*", "&*", "+@all", "-zadd"]), "OK");
    let url = format!("redis://sg:x@127.0.0.1:{}", server.port());
    let refusal = open_at(&url, codec()).await.unwrap_err().to_string();
    assert!(refusal.contains("refuses the command ZADD") && refusal.contains("docs/redis.md"), "{refusal}");
    assert_eq!(server.cli(&["KEYS", "*"]), "");
}

#[tokio::test]
async fn a_database_that_is_not_there_is_refused() {
    let server = Server::start();
    let url = format!("redis://127.0.0.1:{}/1000", server.port());
    let refusal = open_at(&url, codec()).await.unwrap_err().to_string();
    assert!(refusal.contains("DB index"), "{refusal}");
}

#[tokio::test]
async fn what_is_no_redis_is_no_store() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::AsyncWriteExt;
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let opened = open_at(&format!("redis://127.0.0.1:{port}"), codec()).await;
    if let Ok(store) = opened {
        assert!(store.ready().await.is_err());
    }
}

#[tokio::test]
async fn a_replica_is_no_place_for_sessions_until_it_is_made_the_primary() {
    let primary = Server::start();
    let from = format!("127.0.0.1 {}", primary.port());
    let replica = Server::with(&["--replicaof", &from]);
    replica.waits_until(&["INFO", "replication"], |said| said.contains("master_link_status:up"));
    let store = open(&replica, codec()).await.unwrap();
    testing::says(&store, "READONLY").await;
    assert_eq!(replica.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    testing::works(&store).await;
    // And back, under a connection that is in use.
    assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", &primary.port().to_string()]), "OK");
    let outcome = store.mark(&Mark::of("a", "b"), Duration::from_secs(9)).await;
    assert!(matches!(outcome, Err(StoreError::Unavailable(_))), "{outcome:?}");
}

#[tokio::test]
async fn a_full_memory_refuses_new_sessions_and_lets_the_others_live_and_end() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let (key, other) = (testing::session(&store).await, testing::session(&store).await);
    let record = store.find(&key).await.unwrap().unwrap().record;
    let (name, keep) = (NoteName::of("kind", "what"), Duration::from_secs(9));
    assert_eq!(store.swap_note(&name, None, Some(b"note"), keep).await, Ok(Swap::Done));
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    let now = store.clock.now();
    testing::says(&store, "OOM").await;
    let stored = crate::session::Stored { record: Arc::clone(&record), last_seen: now };
    let new = crate::session::SessionId::draw(&SystemEntropy).key();
    assert!(matches!(store.insert(new, stored).await, Err(StoreError::Unavailable(_))));
    // Not half, either.
    assert_eq!(store.count().await.unwrap(), 2);
    store.touch(&[(key, now.plus(Duration::from_secs(60)))]).await.unwrap();
    let holder = Holder::draw(&SystemEntropy);
    assert_eq!(store.lease(&key, &holder, Duration::from_secs(9)).await.unwrap(), Lease::Granted);
    let next = crate::session::Record { generation: 1, ..record.as_ref().clone() };
    assert!(store.replace(&key, 0, Arc::new(next)).await.unwrap());
    let waiting = Waiting::new(Revocation::of(&record), now, &SystemEntropy);
    let end = End { key: other, expected: None, revocation: Some(waiting) };
    assert_eq!(store.remove(vec![end]).await.unwrap(), [Removal::Removed { queued: true }]);
    assert_eq!(store.queue().await.unwrap().length, 1);
    // A note can be taken away, and none is written.
    let note = store.note(&name).await.unwrap();
    assert!(matches!(store.swap_note(&name, note.as_ref(), Some(b"new"), keep).await, Err(StoreError::Unavailable(_))));
    let other = NoteName::of("kind", "other");
    assert!(matches!(store.swap_note(&other, None, Some(b"new"), keep).await, Err(StoreError::Unavailable(_))));
    assert_eq!(store.swap_note(&name, note.as_ref(), None, keep).await, Ok(Swap::Done));
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    testing::works(&store).await;
}

#[tokio::test]
async fn a_server_that_may_not_write_is_read_and_not_run_down() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let key = testing::session(&store).await;
    let deaf: Arc<dyn Listener> = Arc::new(Deaf);
    store.listen(Arc::downgrade(&deaf));
    assert_eq!(server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]), "OK");
    testing::says(&store, "NOREPLICAS").await;
    assert!(store.find(&key).await.unwrap().is_some());
    let end = End { key, expected: None, revocation: None };
    assert!(matches!(store.remove(vec![end]).await, Err(StoreError::Unavailable(_))));
    let connections = || {
        let info = server.cli(&["INFO", "stats"]);
        let count = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        count.unwrap().trim().parse::<u32>().unwrap()
    };
    let before = connections();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(connections() - before < 30, "{}", connections() - before);
    assert_eq!(server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]), "OK");
    testing::works(&store).await;
}

struct Deaf;

impl Listener for Deaf {
    fn changed(&self, _: &SessionKey, _: u64) {}

    fn ended(&self, _: &SessionKey) {}

    fn heard(&self, _: crate::clock::Timestamp) {}

    fn missed(&self) {}
}
