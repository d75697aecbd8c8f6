//! A disk that fails: nothing that was answered is lost, nothing that failed is half done, and when the
//! disk is well again, so is the store.

use std::{
    fs::OpenOptions,
    io,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc::channel,
    },
};

use redb::StorageBackend;

use super::*;
use crate::{
    identity::ScopeSet,
    session::{
        Revoke, Sessions,
        store::file::disk::Disk,
        testing::{device, grant, verified},
    },
};

/// What a disk can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Read,
    Grow,
    Sync,
    Write,
}

/// How it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// From the step with this number on, everything that changes the disk.
    FullFrom(usize),
    /// The step with this number, once.
    Once(usize),
    /// The step with this number, with a panic.
    Panic(usize),
    /// Not at all: every flush waits until the trouble is over.
    Hang,
}

/// A disk that fails when it is told to.
#[derive(Debug)]
struct Faulty {
    disk: Disk,
    trouble: Mutex<Option<Trouble>>,
    over: Condvar,
    steps: AtomicUsize,
    syncs: AtomicUsize,
}

impl Faulty {
    fn at(place: &Place) -> Arc<Self> {
        drop(place.open());
        let file = OpenOptions::new().read(true).write(true).open(place.path()).unwrap();
        let disk = Disk::new(file, &place.path());
        let (steps, syncs) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { disk, trouble: Mutex::default(), over: Condvar::new(), steps, syncs })
    }

    fn has(&self, trouble: Option<Trouble>) {
        self.steps.store(0, Ordering::SeqCst);
        *self.trouble.lock().unwrap() = trouble;
        self.over.notify_all();
    }

    /// Whether the trouble has come to pass.
    fn has_failed(&self) -> bool {
        let number = match *self.trouble.lock().unwrap() {
            Some(Trouble::FullFrom(number) | Trouble::Once(number) | Trouble::Panic(number)) => number,
            Some(Trouble::Hang) | None => return false,
        };
        self.steps.load(Ordering::SeqCst) > number
    }

    fn step(&self, step: Step) -> io::Result<()> {
        let trouble = *self.trouble.lock().unwrap();
        let now = self.steps.fetch_add(1, Ordering::SeqCst);
        self.syncs.fetch_add(usize::from(step == Step::Sync), Ordering::SeqCst);
        match trouble {
            Some(Trouble::FullFrom(number)) if now >= number && step != Step::Read => {
                Err(io::ErrorKind::StorageFull.into())
            }
            Some(Trouble::Once(number)) if now == number => Err(io::Error::other("a broken sector")),
            Some(Trouble::Panic(number)) if now == number => panic!("the disk has gone mad"),
            Some(Trouble::Hang) if step == Step::Sync => {
                let trouble = self.trouble.lock().unwrap();
                drop(self.over.wait_while(trouble, |trouble| *trouble == Some(Trouble::Hang)).unwrap());
                Ok(())
            }
            Some(Trouble::FullFrom(_) | Trouble::Once(_) | Trouble::Panic(_) | Trouble::Hang) | None => Ok(()),
        }
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.step(Step::Read)?;
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.step(Step::Grow)?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step(Step::Sync)?;
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.step(Step::Write)?;
        self.disk.write(offset, data)
    }
}

/// What must be there, and what may be.
#[derive(Default)]
struct Ledger {
    live: Vec<SessionKey>,
    ended: Vec<SessionKey>,
    unsure: Vec<SessionKey>,
}

impl Ledger {
    async fn sign_in(&mut self, store: &FileStore) -> bool {
        let (key, stored) = new_session("anna");
        let answer = store.insert(key, stored).await;
        if answer.is_ok() {
            self.live.push(key)
        } else {
            self.unsure.push(key)
        };
        answer.is_ok()
    }

    async fn sign_out(&mut self, store: &FileStore) -> bool {
        let Some(key) = self.live.pop() else { return true };
        let answer = store.remove(vec![End { key, expected: None, revocation: None }]).await;
        if answer.is_ok() {
            self.ended.push(key)
        } else {
            self.unsure.push(key)
        };
        answer.is_ok()
    }

    async fn holds(&self, store: &FileStore, what: &str) {
        for key in &self.live {
            assert!(store.find(key).await.unwrap().is_some(), "{what}: a session is lost");
        }
        for key in &self.ended {
            assert!(store.find(key).await.unwrap().is_none(), "{what}: an ended session lives");
        }
        let most = self.live.len() + self.unsure.len();
        assert!((self.live.len()..=most).contains(&store.count().await.unwrap()), "{what}");
        // A session is there with all that goes with it, or not at all.
        let whose = Selector::Organization(Organization::parse("org-1").unwrap());
        let mut tagged = store.keys_of(&whose).await.unwrap();
        let mut there: Vec<_> = store.page(None, most + 1).await.unwrap().into_iter().map(|(key, _)| key).collect();
        tagged.sort_unstable();
        there.sort_unstable();
        assert!(tagged == there, "{what}: {} of {} are tagged", tagged.len(), there.len());
    }
}

/// Lets each step of the disk fail in turn, while somebody signs in and somebody out.
async fn every_step_fails(trouble: fn(usize) -> Trouble) {
    let place = Place::new();
    let disk = Faulty::at(&place);
    let store = place.open_on(Arc::<Faulty>::clone(&disk)).unwrap();
    let mut ledger = Ledger::default();
    for _ in 0..3 {
        assert!(ledger.sign_in(&store).await);
    }
    let mut failures = 0;
    for number in 0.. {
        disk.has(Some(trouble(number)));
        let fine = ledger.sign_in(&store).await & ledger.sign_out(&store).await;
        failures += usize::from(!fine);
        let has_failed = disk.has_failed();
        disk.has(None);
        let what = format!("{:?}", trouble(number));
        assert!(ledger.sign_in(&store).await, "{what}: it is well again");
        ledger.holds(&store, &what).await;
        store.ready().await.unwrap();
        if !has_failed {
            break;
        }
    }
    assert!(failures > 5, "{failures}");
    drop(store);
    drop(disk);
    ledger.holds(&place.open(), "after a restart").await;
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_is_over_when_there_is_room() {
    every_step_fails(Trouble::FullFrom).await;
}

#[tokio::test]
async fn one_failure_of_the_disk_costs_one_answer_and_nothing_else() {
    every_step_fails(Trouble::Once).await;
}

#[tokio::test]
async fn a_panic_below_is_an_error_like_any_other() {
    every_step_fails(Trouble::Panic).await;
}

#[tokio::test]
async fn a_full_disk_is_read_all_the_same_and_says_what_to_do() {
    let place = Place::new();
    let disk = Faulty::at(&place);
    let store = place.open_on(Arc::<Faulty>::clone(&disk)).unwrap();
    let (key, stored) = sign_in(&store, "anna").await;
    disk.has(Some(Trouble::FullFrom(0)));
    for _ in 0..3 {
        let (new, other) = new_session("ben");
        let error = store.insert(new, other).await.unwrap_err().to_string();
        assert!(error.contains("sessions.redb") && error.contains("make room"), "{error}");
        assert!(store.ready().await.is_err());
        assert_eq!(store.find(&key).await.unwrap().unwrap().record.handle, stored.record.handle);
        assert_eq!(store.count().await.unwrap(), 1);
        assert!(store.claim(NOW, NOW.plus(Duration::from_secs(60)), 8).await.unwrap().is_empty());
    }
    disk.has(None);
    store.ready().await.unwrap();
    sign_in(&store, "carl").await;
}

#[tokio::test]
async fn what_was_taken_away_is_missed_and_welcome_back() {
    let place = Place::new();
    let store = place.open();
    let (key, _) = sign_in(&store, "anna").await;
    let elsewhere = place.folder.path().join("elsewhere");
    std::fs::rename(place.path(), &elsewhere).unwrap();
    let (new, stored) = new_session("ben");
    let error = store.insert(new, stored.clone()).await.unwrap_err().to_string();
    assert!(error.contains("moved, removed or replaced"), "{error}");
    assert!(store.ready().await.is_err());
    std::fs::rename(&elsewhere, place.path()).unwrap();
    store.insert(new, stored).await.unwrap();
    store.ready().await.unwrap();
    drop(store);
    let store = place.open();
    assert!(store.find(&key).await.unwrap().is_some() && store.find(&new).await.unwrap().is_some());
}

#[tokio::test]
async fn many_who_come_at_once_share_a_commit() {
    let place = Place::new();
    let disk = Faulty::at(&place);
    let store = Arc::new(place.open_on(Arc::<Faulty>::clone(&disk)).unwrap());
    sign_in(&store, "first").await;
    let before = disk.syncs.load(Ordering::SeqCst);
    let sign_ins: Vec<_> = (0..100)
        .map(|index| {
            let (store, (key, stored)) = (Arc::clone(&store), new_session(&format!("pupil-{index}")));
            tokio::spawn(async move { store.insert(key, stored).await })
        })
        .collect();
    for sign_in in sign_ins {
        sign_in.await.unwrap().unwrap();
    }
    assert_eq!(store.count().await.unwrap(), 101);
    let syncs = disk.syncs.load(Ordering::SeqCst) - before;
    assert!(syncs < 100, "{syncs} flushes for 100 sessions");
    // What changes nothing costs nothing.
    let before = disk.syncs.load(Ordering::SeqCst);
    let absent = SessionId::draw(&SystemEntropy).key();
    store.touch(&[(absent, NOW)]).await.unwrap();
    store.remove(vec![End { key: absent, expected: None, revocation: None }]).await.unwrap();
    assert_eq!(disk.syncs.load(Ordering::SeqCst), before);
}

#[tokio::test]
async fn a_disk_that_hangs_gives_an_error_and_not_a_wait_without_end() {
    let place = Place::new();
    let disk = Faulty::at(&place);
    let store = place.open_on(Arc::<Faulty>::clone(&disk)).unwrap();
    sign_in(&store, "anna").await;
    disk.has(Some(Trouble::Hang));
    let (key, stored) = new_session("ben");
    tokio::time::pause();
    let error = store.insert(key, stored).await.unwrap_err().to_string();
    tokio::time::resume();
    assert!(error.contains("does not answer"), "{error}");
    disk.has(None);
    sign_in(&store, "carl").await;
    // It was under way, and is there whole.
    assert!(store.find(&key).await.unwrap().is_some());
    assert_eq!(store.count().await.unwrap(), 3);
}

#[tokio::test]
async fn what_was_read_while_the_file_was_opened_anew_is_read_again() {
    let place = Place::new();
    let disk = Faulty::at(&place);
    let store = Arc::new(place.open_on(Arc::<Faulty>::clone(&disk)).unwrap());
    sign_in(&store, "anna").await;
    let (reads, (begun, has_begun), (go_on, waits)) = (Arc::new(AtomicUsize::new(0)), channel(), channel::<()>());
    let reading = tokio::spawn({
        let (store, reads, waits) = (Arc::clone(&store), Arc::clone(&reads), Mutex::new(waits));
        async move {
            let read = store.read(move |view| {
                if reads.fetch_add(1, Ordering::SeqCst) == 0 {
                    begun.send(()).unwrap();
                    waits.lock().unwrap().recv().unwrap();
                }
                view.count()
            });
            read.await.unwrap()
        }
    });
    task::spawn_blocking(move || has_begun.recv().unwrap()).await.unwrap();
    disk.has(Some(Trouble::Once(0)));
    let (key, stored) = new_session("ben");
    assert!(store.insert(key, stored.clone()).await.is_err());
    disk.has(None);
    store.insert(key, stored).await.unwrap();
    go_on.send(()).unwrap();
    assert_eq!(reading.await.unwrap(), 2);
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn what_was_not_in_memory_can_be_read_on_a_disk_that_takes_nothing_at_all() {
    let place = Place::new();
    let store = place.open();
    let mut known = Vec::new();
    for _ in 0..40 {
        known.push(sign_in(&store, "anna").await.0);
    }
    drop(store);
    let disk = Faulty::at(&place);
    let store = place.open_on(Arc::<Faulty>::clone(&disk)).unwrap();
    disk.has(Some(Trouble::FullFrom(0)));
    let (key, stored) = new_session("ben");
    assert!(store.insert(key, stored).await.is_err());
    for key in &known {
        assert!(store.find(key).await.unwrap().is_some());
    }
    assert!(store.find(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn after_a_failure_the_file_is_opened_without_a_walk_through_it() {
    let place = Place::new();
    let disk = Faulty::at(&place);
    let store = place.open_on(Arc::<Faulty>::clone(&disk)).unwrap();
    let sign_ins = (0..1_000).map(|_| sign_in(&store, "anna"));
    futures_util::future::join_all(sign_ins).await;
    disk.has(Some(Trouble::Once(0)));
    let (key, stored) = new_session("ben");
    assert!(store.insert(key, stored).await.is_err());
    let steps = disk.steps.load(Ordering::SeqCst);
    assert!(steps < 100, "{steps} steps");
}

#[tokio::test]
async fn the_tree_that_failed_writes_nothing_any_more() {
    let place = Place::new();
    let store = place.open();
    let (key, _) = sign_in(&store, "anna").await;
    let old = store.shared.readable();
    assert!(store.write::<()>(|_| panic!("a fault of ours")).await.is_err());
    assert!(!Arc::ptr_eq(&old, &store.shared.readable()));
    let late = guarded(|| {
        let transaction = old.begin_write()?;
        let mut changes = Changes::new(&transaction)?;
        changes.remove(&[SealedEnd { key, expected: None, revocation: None }])?;
        drop(changes);
        Ok(transaction.commit()?)
    });
    assert!(late.is_err());
    drop(old);
    sign_in(&store, "ben").await;
    drop(store);
    let store = place.open();
    assert!(store.find(&key).await.unwrap().is_some());
    assert_eq!(store.count().await.unwrap(), 2);
}

#[tokio::test]
async fn a_session_whose_end_came_late_from_a_disk_that_hung_does_not_live_on_in_memory() {
    for is_patient in [true, false] {
        let place = Place::new();
        let disk = Faulty::at(&place);
        let store = Arc::new(place.open_on(Arc::<Faulty>::clone(&disk)).unwrap());
        let behind: Arc<dyn Store> = Arc::<FileStore>::clone(&store);
        let sessions = Sessions::new(lifetimes(), behind, ManualClock::at(NOW), Arc::new(SystemEntropy));
        let new = sessions.create(verified("anna"), grant(""), ScopeSet::new(), device()).await.unwrap();
        let opens = async || sessions.open(&new.id).await.unwrap().is_some();
        assert!(opens().await);
        disk.has(Some(Trouble::Hang));
        tokio::time::pause();
        if is_patient {
            assert!(sessions.end(new.session.key(), Revoke::No).await.is_err());
        } else {
            let gone = tokio::time::timeout(Duration::from_secs(1), sessions.end(new.session.key(), Revoke::No));
            assert!(gone.await.is_err(), "whoever asked has gone");
        }
        tokio::time::resume();
        assert!(opens().await, "it has not ended yet, and is known here again");
        disk.has(None);
        sign_in(&store, "ben").await;
        assert!(store.find(new.session.key()).await.unwrap().is_none());
        assert!(!opens().await, "an ended session lives");
    }
}
