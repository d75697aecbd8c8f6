//! What every store of sessions must do. One suite of tests (`suite/`) holds all of them to it.

mod bag;
mod file;
mod leases;
mod memory;
mod metered;
mod note;
mod redis;
#[cfg(test)]
pub(crate) mod shared;
#[cfg(test)]
pub(crate) mod suite;

use std::{
    fmt,
    sync::{Arc, Weak},
    time::Duration,
};

use async_trait::async_trait;
use aws_lc_rs::digest;

pub use file::{FileLook, FileStore, FileStoreError};
pub use memory::MemoryStore;
pub use metered::MeteredStore;
pub use note::{Edition, LONGEST_NOTE, MOST_OF_NOTES, Note, NoteName, SealedNote, Swap};
pub use redis::{RedisLook, RedisRefuses, RedisStore, RedisTrouble, RedisUrl, UrlProblem};

use super::{Handle, Record, SessionKey, Waiting};
use crate::{
    clock::Timestamp,
    entropy::{self, Entropy},
    identity::{Organization, Subject},
};

/// Most revocations that wait in a store. Beyond it the newest is given up, and said so.
pub const MOST_WAITING: usize = 100_000;

/// Why a store could not answer. The session is then neither there nor gone: whoever asks must deny.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or cannot write.
    #[error("the session store is not available: {0}")]
    Unavailable(String),
    /// What it holds does not open: sealed with a key that is in the key file no more, or changed by
    /// somebody.
    #[error("a record of the session store does not open with any key of the key file")]
    Unreadable,
}

/// A record with the time it was last used.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The record.
    pub record: Arc<Record>,
    /// When the session was last used.
    pub last_seen: Timestamp,
}

/// Whose sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The one of a public name.
    Handle(Handle),
    /// All of a person.
    Subject(Subject),
    /// All of an organization's people.
    Organization(Organization),
}

/// One session to remove.
#[derive(Clone, Debug)]
pub struct End {
    /// The session.
    pub key: SessionKey,
    /// Only when its record is of this generation; `None`: whatever it is.
    pub expected: Option<u64>,
    /// What is to be revoked when, and only when, this call removes the session: written in the same step.
    pub revocation: Option<Waiting>,
}

/// What came of one removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was there and is gone for good; with whether its revocation found a place in the queue.
    Removed {
        /// False when there was none, or the queue is full.
        queued: bool,
    },
    /// There is none.
    Absent,
    /// It is of another generation than expected, and still there.
    Changed,
}

/// Who wants a lease: a value that nobody else has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder(String);

impl Holder {
    /// A new one.
    pub fn draw(source: &dyn Entropy) -> Self {
        Self(entropy::hex::<16>(source))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What came of asking for a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// It is the caller's.
    Granted,
    /// Somebody else has it.
    Held,
    /// Nobody has it, and nobody may take it for so long: the last one failed.
    Cooling(Duration),
}

/// Something that happens once, by its hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark([u8; 32]);

impl Mark {
    /// The mark of a thing of one kind.
    #[must_use]
    pub fn of(kind: &str, what: &str) -> Self {
        Self(hash_of(kind, what))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[mark]")
    }
}

/// SHA-256 of a kind and a text.
fn hash_of(kind: &str, what: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    let text = format!("{kind}\0{what}");
    hash.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    hash
}

/// The queue of revocations as a store sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// How many wait, those that somebody works on included.
    pub length: usize,
    /// When the next one is due.
    pub next_due: Option<Timestamp>,
}

/// Who else writes to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody, and it is in this process's memory: there is nothing to be gained by a cache.
    Memory,
    /// Nobody: what this process wrote is what there is. A [`Listener`] hears of it as soon as it is done, for a
    /// call that was given up may be done later.
    Alone,
    /// Other processes. They tell a [`Listener`].
    Shared,
}

/// Hears what any process, this one included, does to the sessions of a store that is not memory. Calls are short
/// and never block.
pub trait Listener: Send + Sync {
    /// The record of a session is of this generation now.
    fn changed(&self, key: &SessionKey, generation: u64);

    /// A session was removed.
    fn ended(&self, key: &SessionKey);

    /// Everything that happened before `moment`, by this machine's clock, has been told.
    fn heard(&self, moment: Timestamp);

    /// Something may have been missed: nothing heard before this counts any more.
    fn missed(&self);
}

/// Keeps sessions by the hash of their identifier, and what goes with them: leases, marks, notes, and
/// the revocations that wait.
///
/// What a call has answered survives the end of the process at any moment (but for the memory store);
/// a call that fails has been done whole or not at all. A store gives back whatever it has: whether a
/// session is still good is judged by [`Sessions`](super::Sessions).
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Whether it can be read and written at this moment.
    ///
    /// # Errors
    /// When not, with the reason.
    async fn ready(&self) -> Result<(), StoreError>;

    /// Tells `listener` from now on what happens, when there is something to tell.
    fn listen(&self, listener: Weak<dyn Listener>) -> Sharing;

    /// Keeps a new record.
    ///
    /// # Errors
    /// When the store is not available.
    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError>;

    /// The same as [`Self::find`], from a store that never has to wait; `None` from all others.
    fn at_hand(&self, _: &SessionKey) -> Option<Option<Stored>> {
        None
    }

    /// Looks a record up.
    ///
    /// # Errors
    /// When the store is not available, or the record does not open.
    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError>;

    /// Notes when sessions were last used. A time before the one that is known changes nothing, nor does
    /// a session that is not there.
    ///
    /// # Errors
    /// When the store is not available.
    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError>;

    /// Puts a newer record in the place of generation `expected`; false when that is not there any
    /// more, for an ended session must not come back. This is the fence of a refresh: who has lost the
    /// lease meanwhile finds a newer generation.
    ///
    /// # Errors
    /// When the store is not available.
    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError>;

    /// Removes sessions for good and queues their revocations, all in one step; one answer for each, in
    /// order.
    ///
    /// # Errors
    /// When the store is not available.
    async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError>;

    /// The sessions of somebody.
    ///
    /// # Errors
    /// When the store is not available.
    async fn keys_of(&self, whose: &Selector) -> Result<Vec<SessionKey>, StoreError>;

    /// Up to `most` sessions in the order of their keys, those that come after `after`. A record that
    /// does not open is left out.
    ///
    /// # Errors
    /// When the store is not available.
    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError>;

    /// How many sessions it keeps; some may have ended by themselves and wait to be swept.
    ///
    /// # Errors
    /// When the store is not available.
    async fn count(&self) -> Result<usize, StoreError>;

    /// Forgets what has ended by itself before `now`: sessions, marks, notes. Gives back how many sessions.
    ///
    /// # Errors
    /// When the store is not available.
    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// Takes the lease of a session's refresh for `length`, or renews it for the one who has it.
    ///
    /// # Errors
    /// When the store is not available.
    async fn lease(&self, key: &SessionKey, holder: &Holder, length: Duration) -> Result<Lease, StoreError>;

    /// Gives a lease back, when it is still `holder`'s; nobody may take it before `cool_down` is over.
    ///
    /// # Errors
    /// When the store is not available.
    async fn release(&self, key: &SessionKey, holder: &Holder, cool_down: Duration) -> Result<(), StoreError>;

    /// Sets a mark for `keep`; false when it was set before.
    ///
    /// # Errors
    /// When the store is not available.
    async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError>;

    /// Whether a mark is set.
    ///
    /// # Errors
    /// When the store is not available.
    async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError>;

    /// The note of a name; `None` when there is none, or its time is over.
    ///
    /// # Errors
    /// When the store is not available, or the note does not open.
    async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError>;

    /// Changes the note of a name, when it is still the one that the caller has seen: makes one where there is none
    /// (`expected` is `None`), puts a new value in its place, or takes it away (`new` is `None`). Of many who try the
    /// same, one is told [`Swap::Done`]. What is written is kept for `keep` from now on.
    ///
    /// The notes of a store have room for [`MOST_OF_NOTES`] bytes (those in memory for less), a sixteenth of it only for
    /// those that are kept for an hour or more. Beyond it those that are
    /// over are dropped, and when that does not help, nothing is written: [`Swap::Full`].
    ///
    /// # Errors
    /// When the store is not available.
    async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError>;

    /// Queues a revocation that belongs to no session; false when the queue is full.
    ///
    /// # Errors
    /// When the store is not available.
    async fn enqueue(&self, waiting: Waiting) -> Result<bool, StoreError>;

    /// Takes up to `most` revocations that are due at `now`, the oldest first, and makes them due again
    /// at `until`: nobody else gets them before. One that does not open is dropped, and said so.
    ///
    /// # Errors
    /// When the store is not available.
    async fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Waiting>, StoreError>;

    /// Puts a claimed revocation back with its new number of tries, due at `due`. Nothing, when it was
    /// settled meanwhile.
    ///
    /// # Errors
    /// When the store is not available.
    async fn postpone(&self, waiting: &Waiting, due: Timestamp) -> Result<(), StoreError>;

    /// Takes a revocation out of the queue for good.
    ///
    /// # Errors
    /// When the store is not available.
    async fn settle(&self, waiting: &Waiting) -> Result<(), StoreError>;

    /// The length of the queue and when there is something to do.
    ///
    /// # Errors
    /// When the store is not available.
    async fn queue(&self) -> Result<Queue, StoreError>;
}
