//! What stands in Redis: nothing that anybody can read, and nothing that stays for ever.

use std::{fs, path::Path, sync::Arc, time::Duration};

use crate::{
    clock::{Clock, ManualClock, SharedClock, SystemClock},
    entropy::SystemEntropy,
    identity::Organization,
    session::{
        End, Holder, Lifetimes, MOST_OF_NOTES, Mark, NoteName, RedisStore, Revocation, Selector, SessionId, Store,
        StoreError, Stored, Swap, Waiting,
        store::note::{DROPPED_AT_ONCE, weight},
        store::redis::{keys::Keys, process::Server, testing, words::Words},
        testing::{codec, record_of},
    },
};

fn bytes_below(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        all.extend(if path.is_dir() { bytes_below(&path) } else { fs::read(path).unwrap() });
    }
    all
}

#[tokio::test]
async fn nothing_of_a_person_and_no_token_and_no_cookie_is_ever_written() {
    let server = Server::with(&["--appendonly", "yes", "--appendfsync", "always", "--appenddirname", "written"]);
    let store = testing::store_on(&server, codec()).await;
    let id = SessionId::draw(&SystemEntropy);
    let now = store.clock.now();
    let record = Arc::new(record_of("anna", Some("org-1"), now));
    store.insert(id.key(), Stored { record: Arc::clone(&record), last_seen: now }).await.unwrap();
    let waiting = Waiting::new(Revocation::of(&record), now, &SystemEntropy);
    store.lease(&id.key(), &Holder::draw(&SystemEntropy), Duration::from_secs(9)).await.unwrap();
    store.mark(&Mark::of("kind", "state"), Duration::from_secs(9)).await.unwrap();
    write(&store, "note-of-anna", Duration::from_secs(9)).await;
    store.remove(vec![End { key: id.key(), expected: None, revocation: Some(waiting) }]).await.unwrap();
    let written = bytes_below(&server.path("written"));
    let has = |text: &[u8]| written.windows(text.len()).any(|window| window == text);
    assert!(has(b"{schoolgate}:session:") && has(b"{schoolgate}:waiting") && has(b"{schoolgate}:note:"));
    for secret in ["anna", "org-1", "access-1", "refresh-1", "raw", "edu.users", "Test/1.0", "state", id.expose()] {
        assert!(!has(secret.as_bytes()), "{secret}");
    }
}

/// The keys that do not go away by themselves.
fn for_ever(server: &Server) -> String {
    let script = "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
        if redis.call('PTTL', key) < 0 then all[#all + 1] = key end end return all";
    server.cli(&["EVAL", script, "0"])
}

#[tokio::test]
async fn whatever_belongs_to_sessions_goes_away_by_itself() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let key = testing::session(&store).await;
    assert_eq!(for_ever(&server), "{schoolgate}:proof");
    store.touch(&[(key, store.clock.now().plus(Duration::from_secs(60)))]).await.unwrap();
    store.lease(&key, &Holder::draw(&SystemEntropy), Duration::from_secs(9)).await.unwrap();
    store.mark(&Mark::of("a", "b"), Duration::from_secs(9)).await.unwrap();
    let name = write(&store, "note", Duration::from_secs(9)).await;
    assert_eq!(for_ever(&server), "{schoolgate}:proof");
    let note = store.note(&name).await.unwrap();
    store.swap_note(&name, note.as_ref(), Some(b"other"), Duration::from_secs(5)).await.unwrap();
    write(&store, "another", Duration::from_secs(9)).await;
    take(&store, &name).await;
    assert_eq!(for_ever(&server), "{schoolgate}:proof");
}

#[tokio::test]
async fn nothing_is_left_of_sessions_that_were_ended_or_swept() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let (ended, _swept) = (testing::session(&store).await, testing::session(&store).await);
    store.remove(vec![End { key: ended, expected: None, revocation: None }]).await.unwrap();
    write(&store, "note", Duration::from_secs(1)).await;
    assert_eq!(store.sweep(store.clock.now().plus(Duration::from_secs(9 * 3600))).await.unwrap(), 1);
    server.waits_until(&["KEYS", "*"], |said| said == "{schoolgate}:proof");
}

#[tokio::test]
async fn a_session_that_went_away_by_itself_is_found_by_no_name() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let (gone, stays) = (testing::session(&store).await, testing::session(&store).await);
    store.link.ask(&Words::of("DEL").arg(store.keys.session(&gone))).await.unwrap();
    let owner = Selector::Organization(Organization::parse("org-1").unwrap());
    assert_eq!(store.keys_of(&owner).await.unwrap(), [stays]);
}

#[tokio::test]
async fn names_last_as_long_as_the_session_when_the_configuration_lets_it_live_longer() {
    let (server, codec) = (Server::start(), codec());
    let before = testing::store_at(testing::url(&server), "schoolgate", codec.clone(), Arc::new(SystemClock)).await;
    let minute = Duration::from_secs(60);
    before.lifetimes.replace(Lifetimes { idle_timeout: minute, max_lifetime: minute });
    let key = testing::session(&before).await;
    let after = testing::store_on(&server, codec).await;
    after.touch(&[(key, after.clock.now().plus(Duration::from_secs(1)))]).await.unwrap();
    // Two hours later, by Redis' clock.
    let pass = "for _, key in ipairs(redis.call('KEYS', '*')) do local left = redis.call('PTTL', key) \
        if left >= 0 then redis.call('PEXPIRE', key, left - 7200000) end end";
    assert_eq!(server.cli(&["EVAL", pass, "0"]), "");
    assert!(after.find(&key).await.unwrap().is_some());
    let owner = Selector::Organization(Organization::parse("org-1").unwrap());
    assert_eq!(after.keys_of(&owner).await.unwrap(), [key]);
    assert_eq!((after.page(None, 9).await.unwrap().len(), after.count().await.unwrap()), (1, 1));
}

#[tokio::test]
async fn a_broken_record_is_told_from_none_and_leaves_no_gap_in_a_page() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let mut keys = Vec::new();
    for _ in 0..6 {
        keys.push(testing::session(&store).await);
    }
    keys.sort_unstable();
    // Two are broken: one is empty, one has another's record.
    let names = Keys::new(0);
    for (broken, value) in [(0, "''"), (3, "redis.call('HGET', KEYS[2], 'r')")] {
        let script = format!("return redis.call('HSET', KEYS[1], 'r', {value})");
        let call =
            Words::of("EVAL").arg(script).arg("2").arg(names.session(&keys[broken])).arg(names.session(&keys[5]));
        store.link.ask(&call).await.unwrap();
        assert_eq!(store.find(&keys[broken]).await.unwrap_err(), StoreError::Unreadable);
    }
    let page = store.page(None, 3).await.unwrap();
    assert_eq!(page.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [keys[1], keys[2], keys[4]]);
    let page = store.page(Some(&keys[4]), 3).await.unwrap();
    assert_eq!(page.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [keys[5]]);
}

#[tokio::test]
async fn a_revocation_that_does_not_open_is_dropped_and_the_next_is_worked_on() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let now = store.clock.now();
    let waiting = |seconds| {
        let queued = now.minus(Duration::from_secs(seconds));
        Waiting::new(Revocation::of(&record_of("anna", None, now)), queued, &SystemEntropy)
    };
    let (broken, fine) = (waiting(2), waiting(1));
    store.enqueue(broken.clone()).await.unwrap();
    store.enqueue(fine.clone()).await.unwrap();
    assert_eq!(server.cli(&["HSET", "{schoolgate}:waiting", &broken.id, "broken"]), "0");
    let claimed = store.claim(now, now.plus(Duration::from_secs(60)), 1).await.unwrap();
    assert_eq!(claimed.iter().map(|waiting| &waiting.id).collect::<Vec<_>>(), [&fine.id]);
    assert_eq!(store.queue().await.unwrap().length, 1);
}

#[tokio::test]
async fn a_full_queue_takes_no_more_and_sessions_end_all_the_same() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let fill = "for at = 1, 100000 do redis.call('ZADD', '{schoolgate}:queue', at, at) end return 'full'";
    assert_eq!(server.cli(&["EVAL", fill, "0"]), "full");
    testing::works(&store).await;
    let now = store.clock.now();
    let waiting = || Waiting::new(Revocation::of(&record_of("anna", None, now)), now, &SystemEntropy);
    assert!(!store.enqueue(waiting()).await.unwrap());
    let key = testing::session(&store).await;
    let removed = store.remove(vec![End { key, expected: None, revocation: Some(waiting()) }]).await.unwrap();
    assert_eq!(removed, [crate::session::Removal::Removed { queued: false }]);
    assert!(store.find(&key).await.unwrap().is_none());
}

/// A note that says its name.
async fn write(store: &RedisStore, what: &str, keep: Duration) -> NoteName {
    let name = NoteName::of("kind", what);
    assert_eq!(store.swap_note(&name, None, Some(what.as_bytes()), keep).await, Ok(Swap::Done));
    name
}

async fn take(store: &RedisStore, name: &NoteName) {
    let note = store.note(name).await.unwrap();
    assert!(note.is_some());
    assert_eq!(store.swap_note(name, note.as_ref(), None, Duration::ZERO).await, Ok(Swap::Done));
}

#[tokio::test]
async fn a_note_in_the_place_of_another_does_not_open() {
    let server = Server::start();
    let store = testing::store_on(&server, codec()).await;
    let names =
        [write(&store, "one", Duration::from_secs(9)).await, write(&store, "two", Duration::from_secs(9)).await];
    let [one, two] = names.map(|name| store.keys.note(&name));
    let script = "return redis.call('SET', KEYS[1], redis.call('GET', KEYS[2]))";
    store.link.ask(&Words::of("EVAL").arg(script).arg("2").arg(one).arg(two)).await.unwrap();
    assert_eq!(store.note(&names[0]).await.unwrap_err(), StoreError::Unreadable);
    assert_eq!(store.note(&names[1]).await.unwrap().unwrap().value(), b"two");
}

#[tokio::test]
async fn full_of_notes_it_takes_no_more_until_some_are_over_or_taken_away() {
    let server = Server::start();
    let clock = ManualClock::at(SystemClock.now());
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let store = testing::store_at(testing::url(&server), "schoolgate", codec(), shared).await;
    let long = Duration::from_secs(3600);
    let fills = |bytes: u64| assert_eq!(server.cli(&["SET", "{schoolgate}:note-bytes", &bytes.to_string()]), "OK");
    let lasting = write(&store, "lasting", long).await;
    fills(MOST_OF_NOTES - 5);
    let name = NoteName::of("kind", "new");
    assert_eq!(store.swap_note(&name, None, Some(b"new"), long).await, Ok(Swap::Full));
    assert!(store.note(&name).await.unwrap().is_none());
    // What is a little longer finds room in what it takes the place of; what is much longer does not.
    let seen = store.note(&lasting).await.unwrap();
    assert_eq!(store.swap_note(&lasting, seen.as_ref(), Some(&[7; 99]), long).await, Ok(Swap::Full));
    assert_eq!(store.swap_note(&lasting, seen.as_ref(), Some(b"lasting on"), long).await, Ok(Swap::Done));
    assert_eq!(store.note(&lasting).await.unwrap().unwrap().value(), b"lasting on");
    // What is soon gone leaves room for what lasts.
    fills(MOST_OF_NOTES - MOST_OF_NOTES / 16);
    assert_eq!(store.swap_note(&name, None, Some(b"new"), Duration::from_secs(600)).await, Ok(Swap::Full));
    write(&store, "new", long).await;
    take(&store, &name).await;
    take(&store, &lasting).await;
    write(&store, "new", long).await;
    take(&store, &name).await;
    // Many that are over, by our clock.
    let takes = |what: &str| weight(what.len() + 16 + 12 + 16);
    let mut over = 0;
    for number in 0..=DROPPED_AT_ONCE {
        let what = format!("short-{number}");
        write(&store, &what, Duration::from_secs(60)).await;
        over += takes(&what);
    }
    // There is room when all of them are dropped, which takes two steps, and not before.
    fills(MOST_OF_NOTES + over - takes("new"));
    clock.advance(Duration::from_secs(61));
    write(&store, "new", long).await;
    assert_eq!(server.cli(&["ZCARD", "{schoolgate}:note-ends"]), "1");
    assert_eq!(server.cli(&["GET", "{schoolgate}:note-bytes"]), MOST_OF_NOTES.to_string());
}

#[tokio::test]
async fn what_notes_take_is_known_exactly() {
    let server = Server::start();
    let clock = ManualClock::at(SystemClock.now());
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let store = testing::store_at(testing::url(&server), "schoolgate", codec(), shared).await;
    let (short, long) = (Duration::from_secs(60), Duration::from_secs(3600));
    let seal = 16 + 12 + 16;
    let takes = |lengths: &[usize]| {
        let sum: u64 = lengths.iter().map(|length| weight(length + seal)).sum();
        assert_eq!(server.cli(&["GET", "{schoolgate}:note-bytes"]), sum.to_string());
        assert_eq!(server.cli(&["ZCARD", "{schoolgate}:note-ends"]), lengths.len().to_string());
    };
    let name = write(&store, "one", short).await;
    takes(&[3]);
    write(&store, "another", long).await;
    takes(&[3, 7]);
    let seen = store.note(&name).await.unwrap();
    store.swap_note(&name, seen.as_ref(), Some(b"as long as that"), short).await.unwrap();
    takes(&[15, 7]);
    // It goes away by itself, and is made anew with the same length and with another.
    for value in [b"as long as that".as_slice(), b"longer than it was before"] {
        assert_eq!(
            server.cli(&[
                "EVAL",
                "for _, key in ipairs(redis.call('KEYS', '*note:*')) do \
            if redis.call('PTTL', key) < 100000 then redis.call('DEL', key) end end return 'gone'",
                "0"
            ]),
            "gone"
        );
        clock.advance(Duration::from_secs(61));
        assert_eq!(store.swap_note(&name, None, Some(value), short).await, Ok(Swap::Done));
        takes(&[value.len(), 7]);
    }
    take(&store, &name).await;
    takes(&[7]);
    clock.advance(long);
    store.sweep(clock.now()).await.unwrap();
    assert_eq!(server.cli(&["ZCARD", "{schoolgate}:note-ends"]), "0");
    server.waits_until(&["GET", "{schoolgate}:note-bytes"], str::is_empty);
}

#[tokio::test]
async fn stores_with_other_databases_share_nothing() {
    let server = Server::start();
    let (one, other) = (codec(), codec());
    let at = async |database: u32, codec| {
        let url = format!("redis://127.0.0.1:{}/{database}", server.port());
        let url = crate::session::RedisUrl::parse(&url).unwrap();
        testing::store_at(url, "schoolgate", codec, Arc::new(SystemClock)).await
    };
    let (one, other) = (at(0, one).await, at(7, other).await);
    let key = testing::session(&one).await;
    assert!(other.find(&key).await.unwrap().is_none());
    assert_eq!((one.count().await.unwrap(), other.count().await.unwrap()), (1, 0));
    assert_ne!(one.keys.channel(), other.keys.channel());
}
