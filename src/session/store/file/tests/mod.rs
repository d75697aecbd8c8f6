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
    session::{Handle, Revocation, Sealer, SessionId, testing::active_session, testing::lifetimes},
};

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
        FileStore::on(checked, &self.path(), lifetimes(), self.codec(), ManualClock::at(NOW))
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
