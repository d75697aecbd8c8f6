//! What is heard of other processes, and that it is known when nothing is heard.

use std::{
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use crate::{
    clock::{Clock, ManualClock, Timestamp},
    session::{
        Codec, End, Listener, Record, Removal, SessionKey, Sharing, Store,
        store::redis::{RedisStore, process::Server, testing},
        testing::codec,
    },
};

#[derive(Clone, Debug, PartialEq, Eq)]
enum Told {
    Changed(SessionKey, u64),
    Ended(SessionKey),
    Beat(Timestamp),
    Missed,
}

#[derive(Debug, Default)]
struct Recorder {
    all: Mutex<Vec<Told>>,
    rings: Notify,
}

impl Recorder {
    fn note(&self, what: Told) {
        self.all.lock().unwrap().push(what);
        self.rings.notify_one();
    }

    /// What was heard, once the last of it is so.
    async fn until(&self, is_so: impl Fn(&Told) -> bool) -> Vec<Told> {
        let waiting = async {
            while !self.all.lock().unwrap().last().is_some_and(&is_so) {
                self.rings.notified().await;
            }
        };
        assert!(timeout(Duration::from_secs(20), waiting).await.is_ok(), "{:?}", self.all);
        std::mem::take(&mut *self.all.lock().unwrap())
    }

    async fn hears(&self) -> Vec<Told> {
        self.until(|last| matches!(last, Told::Beat(_))).await
    }
}

impl Listener for Recorder {
    fn changed(&self, key: &SessionKey, generation: u64) {
        self.note(Told::Changed(*key, generation));
    }

    fn ended(&self, key: &SessionKey) {
        self.note(Told::Ended(*key));
    }

    fn heard(&self, moment: Timestamp) {
        self.note(Told::Beat(moment));
    }

    fn missed(&self) {
        self.note(Told::Missed);
    }
}

/// A store that is listened to, another that acts, on a server of their own.
struct Bench {
    server: Server,
    here: RedisStore,
    there: RedisStore,
    clock: Arc<ManualClock>,
    recorder: Arc<Recorder>,
}

impl Bench {
    async fn new() -> Self {
        let server = Server::start();
        let clock = ManualClock::at(Timestamp::from_seconds(1_800_000_000));
        let codec = codec();
        let at = async |codec: Codec| {
            testing::store_at(testing::url(&server), "schoolgate", codec, Arc::<ManualClock>::clone(&clock)).await
        };
        let (here, there) = (at(codec.clone()).await, at(codec).await);
        let recorder = Arc::<Recorder>::default();
        let listener: Arc<dyn Listener> = Arc::<Recorder>::clone(&recorder);
        assert_eq!(here.listen(Arc::downgrade(&listener)), Sharing::Shared);
        Self { server, here, there, clock, recorder }
    }

    /// Lets time pass once somebody waits for it.
    async fn pass(&self, while_: Duration) {
        while self.clock.sleeping() == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        self.clock.advance(while_);
    }

    async fn next(&self, key: &SessionKey) -> Record {
        let old = self.there.find(key).await.unwrap().unwrap().record;
        Record { generation: old.generation + 1, ..old.as_ref().clone() }
    }

    async fn ends_there(&self, key: SessionKey) -> Vec<Removal> {
        self.there.remove(vec![End { key, expected: None, revocation: None }]).await.unwrap()
    }

    /// How many connections listen.
    fn ears(&self) -> usize {
        self.server.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]).lines().filter(|line| line.contains("id=")).count()
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn what_happens_elsewhere_is_told_in_order_and_before_the_beat_that_follows() {
    let bench = Bench::new().await;
    let start = bench.clock.now();
    assert_eq!(bench.recorder.hears().await, [Told::Beat(start)]);
    let (key, other) = (testing::session(&bench.there).await, testing::session(&bench.here).await);
    let next = Arc::new(bench.next(&key).await);
    assert!(bench.there.replace(&key, 0, Arc::clone(&next)).await.unwrap());
    assert!(!bench.there.replace(&key, 0, next).await.unwrap(), "nothing changed, so nothing is told");
    bench.ends_there(key).await;
    bench.ends_there(key).await;
    bench.here.remove(vec![End { key: other, expected: None, revocation: None }]).await.unwrap();
    bench.pass(SECOND).await;
    let told = bench.recorder.hears().await;
    let beat = Told::Beat(start.plus(SECOND));
    assert_eq!(told, [Told::Changed(key, 1), Told::Ended(key), Told::Ended(other), beat]);
}

#[tokio::test]
async fn what_was_swept_is_told_too() {
    let bench = Bench::new().await;
    let key = testing::session(&bench.there).await;
    bench.recorder.hears().await;
    assert_eq!(bench.there.sweep(bench.clock.now().plus(SECOND * 9 * 3600)).await.unwrap(), 1);
    assert_eq!(bench.recorder.until(|last| *last == Told::Ended(key)).await.len(), 1);
}

#[tokio::test]
async fn every_second_a_beat_says_that_all_was_heard() {
    let bench = Bench::new().await;
    for seconds in 0..5 {
        let moment = Timestamp::from_seconds(1_800_000_000 + seconds);
        assert_eq!(bench.recorder.hears().await, [Told::Beat(moment)]);
        bench.pass(SECOND).await;
    }
}

#[tokio::test]
async fn a_beat_of_another_and_what_is_none_of_ours_say_nothing() {
    let bench = Bench::new().await;
    bench.recorder.hears().await;
    let foreign = format!("b{}{}", "1234567890123456", bench.clock.now().plus(SECOND * 60).millis());
    for message in [&*foreign, "", "rubbish", "e123", "c"] {
        assert_eq!(bench.server.cli(&["PUBLISH", "{schoolgate}:news:0", message]), "1");
    }
    bench.pass(SECOND).await;
    assert_eq!(bench.recorder.hears().await, [Told::Beat(bench.clock.now())]);
}

#[tokio::test]
async fn when_the_connection_that_hears_is_cut_something_was_missed_until_the_next_beat() {
    let bench = Bench::new().await;
    bench.recorder.hears().await;
    for _ in 0..3 {
        bench.server.cli(&["CLIENT", "KILL", "TYPE", "pubsub"]);
        let heard = bench.recorder.hears().await;
        assert_eq!(heard, [Told::Missed, Told::Beat(bench.clock.now())]);
    }
}

#[tokio::test]
async fn when_the_connection_that_asks_is_cut_both_are_made_anew() {
    let bench = Bench::new().await;
    bench.recorder.hears().await;
    bench.server.cli(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert_eq!(bench.recorder.hears().await, [Told::Missed, Told::Beat(bench.clock.now())]);
    assert_eq!(bench.ears(), 1);
}

#[tokio::test]
async fn a_beat_that_does_not_come_back_in_time_says_that_something_may_have_been_missed() {
    let bench = Bench::new().await;
    bench.recorder.hears().await;
    bench.server.freeze();
    bench.pass(SECOND).await;
    // The beat is on its way now; it is late after two seconds.
    bench.pass(SECOND).await;
    bench.pass(SECOND).await;
    assert_eq!(bench.recorder.until(|last| *last == Told::Missed).await, [Told::Missed]);
    bench.server.thaw();
    bench.recorder.hears().await;
}

#[tokio::test]
async fn a_server_that_may_not_write_is_not_believed_to_tell_everything() {
    let bench = Bench::new().await;
    bench.recorder.hears().await;
    assert_eq!(bench.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "1"]), "OK");
    bench.pass(SECOND).await;
    assert_eq!(bench.recorder.until(|last| *last == Told::Missed).await, [Told::Missed]);
    assert_eq!(bench.server.cli(&["CONFIG", "SET", "min-replicas-to-write", "0"]), "OK");
    bench.recorder.hears().await;
}

#[tokio::test]
async fn who_may_not_tell_the_others_does_its_work_and_everybody_knows_that_nothing_is_heard() {
    let bench = Bench::new().await;
    let key = testing::session(&bench.there).await;
    bench.recorder.hears().await;
    assert_eq!(bench.server.cli(&["ACL", "SETUSER", "default", "resetchannels"]), "OK");
    assert_eq!(bench.ends_there(key).await, [Removal::Removed { queued: false }]);
    assert_eq!(bench.recorder.until(|last| *last == Told::Missed).await, [Told::Missed]);
    assert_eq!(bench.server.cli(&["ACL", "SETUSER", "default", "allchannels"]), "OK");
    bench.recorder.hears().await;
}

#[tokio::test]
async fn nobody_listens_for_a_listener_that_is_gone_or_a_store_that_is_gone() {
    let bench = Bench::new().await;
    bench.recorder.hears().await;
    let Bench { server, here, clock, recorder, .. } = bench;
    let gone: Weak<Recorder> = Arc::downgrade(&recorder);
    drop(recorder);
    clock.advance(SECOND);
    let ears = |server: &Server| server.cli(&["CLIENT", "LIST", "TYPE", "pubsub"]);
    assert!(gone.upgrade().is_none());
    for _ in 0..500 {
        if ears(&server).is_empty() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(ears(&server), "");
    let other = Arc::<Recorder>::default();
    let listener: Arc<dyn Listener> = Arc::<Recorder>::clone(&other);
    here.listen(Arc::downgrade(&listener));
    other.hears().await;
    drop(here);
    for _ in 0..500 {
        if ears(&server).is_empty() {
            return;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("{}", ears(&server));
}
