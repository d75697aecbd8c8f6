//! What only the file store has to show: it survives, it refuses, it comes back.

mod damage;
mod durability;
mod faults;
mod keys;

use std::path::PathBuf;

use super::*;
use crate::{
    clock::ManualClock,
    entropy::SystemEntropy,
    identity::Organization,
    session::{
        Handle, MOST_WAITING, Revocation, Sealer, SessionId,
        store::suite::{Bench, store_contract},
        testing::{active_session, lifetimes},
    },
};

store_contract!(make);

async fn make() -> Bench {
    let (place, clock) = (Place::new(), ManualClock::at(Timestamp::from_seconds(1_000_000)));
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let store = FileStore::open(&place.path(), lifetimes(), place.codec(), shared).unwrap();
    Bench { store: Arc::new(store), clock, elsewhere: None, keeps: Box::new(place) }
}

/// When the clock stands still.
const NOW: Timestamp = Timestamp::from_seconds(1_000);

/// A folder with a store and the key file's text.
struct Place {
    folder: tempfile::TempDir,
    keys: String,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), keys: new_key() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join(FileStore::NAME)
    }

    fn codec(&self) -> Codec {
        Codec::new(Arc::new(Sealer::from_key_file(&self.keys).unwrap()), Arc::new(SystemEntropy))
    }

    fn try_open(&self) -> Result<FileStore, FileStoreError> {
        FileStore::open(&self.path(), lifetimes(), self.codec(), ManualClock::at(NOW))
    }

    fn open(&self) -> FileStore {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The same on another disk.
    fn open_on(&self, disk: Arc<dyn redb::StorageBackend>) -> Result<FileStore, FileStoreError> {
        let checked = open::trusted(disk, &self.path(), &self.codec())?;
        FileStore::on(checked, &self.path(), lifetimes().into(), self.codec(), ManualClock::at(NOW))
    }
}

fn new_key() -> String {
    Sealer::new_key(&SystemEntropy).to_string()
}

fn new_session(subject: &str) -> (SessionKey, Stored) {
    let mut record = active_session(subject, "edu.users.read").record().as_ref().clone();
    record.handle = Handle::draw(&SystemEntropy);
    record.person.organization = Some(Organization::parse("org-1").unwrap());
    (SessionId::draw(&SystemEntropy).key(), Stored { record: Arc::new(record), last_seen: NOW })
}

async fn sign_in(store: &FileStore, subject: &str) -> (SessionKey, Stored) {
    let (key, stored) = new_session(subject);
    store.insert(key, stored.clone()).await.unwrap();
    (key, stored)
}

fn end(key: SessionKey, record: &Record) -> End {
    let revocation = Waiting::new(Revocation::of(record), NOW, &SystemEntropy);
    End { key, expected: None, revocation: Some(revocation) }
}

fn changed(record: &Record) -> Arc<Record> {
    Arc::new(Record { generation: record.generation + 1, ..record.clone() })
}

#[tokio::test]
async fn a_full_queue_takes_nothing_more_and_the_session_ends_all_the_same() {
    let place = Place::new();
    let store = place.open();
    let filling = store.write(|changes| {
        for index in 0..MOST_WAITING {
            let id = format!("{index:032x}");
            assert!(changes.enqueue(&SealedWaiting { id, due: NOW, sealed: Vec::new() })?);
        }
        Ok(())
    });
    filling.await.unwrap();
    let (key, stored) = sign_in(&store, "anna").await;
    assert!(!store.enqueue(end(key, &stored.record).revocation.unwrap()).await.unwrap());
    assert_eq!(store.remove(vec![end(key, &stored.record)]).await.unwrap(), [Removal::Removed { queued: false }]);
    assert!(store.find(&key).await.unwrap().is_none());
    store.write(|changes| changes.settle(&format!("{:032x}", 7))).await.unwrap();
    assert!(store.enqueue(end(key, &stored.record).revocation.unwrap()).await.unwrap(), "there is room again");
}
