//! Sessions in one file of `state_dir`: a transactional tree, which this process has to itself.

mod disk;
mod look;
mod notes;
mod open;
mod shadow;
mod tables;
#[cfg(test)]
mod tests;
mod view;
mod writer;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use redb::{Error, ReadableDatabase};
use tokio::{sync::Semaphore, task, time::timeout};

pub use self::{look::FileLook, open::FileStoreError};
use self::{
    open::{Checked, guarded, wrong},
    tables::{Changes, SealedEnd, SealedWaiting},
    view::View,
    writer::{Call, Shared, Writer, reason},
};
use super::{
    End, Holder, LONGEST_NOTE, Lease, Listener, Mark, Note, NoteName, Queue, Removal, Selector, Sharing, Store,
    StoreError, Stored, Swap, leases::Leases,
};
use crate::{
    clock::{SharedClock, Stopwatch, Timestamp},
    session::{Codec, LiveLifetimes, Record, SessionKey, Waiting},
};

/// Longest that a call waits: a disk that hangs is no answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is said of one that does.
const SILENT: &str = "the disk does not answer";

/// Most threads that read at once.
const READERS: usize = 16;

/// Most notes that wait to be written at once: they may be long.
const NOTE_WRITERS: usize = 16;

/// How often a call reads again, after the tree was opened anew under it.
const READ_TRIES: u32 = 3;

/// How many sessions or marks are swept in one step: others write in between.
const SWEEP: usize = 100;

/// Readiness without a write for so long is tried, not assumed.
const BEAT: Duration = Duration::from_secs(30);

/// Who hears of what is written. A call that was given up may be done all the same, when the disk goes on: then
/// its caller knows nothing of it.
type Listeners = Arc<Mutex<Vec<Weak<dyn Listener>>>>;

/// With less room on its disk the store is not ready: the next sign-ins may find none.
const LEAST_ROOM: u64 = 256 * 1024;

/// The file store.
pub struct FileStore {
    path: PathBuf,
    lifetimes: LiveLifetimes,
    codec: Codec,
    clock: SharedClock,
    leases: Leases,
    readers: Arc<Semaphore>,
    note_writers: Semaphore,
    listeners: Listeners,
    shared: Arc<Shared>,
    // Last: when it is gone, the file is closed.
    writer: Writer,
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore").field("path", &self.path).finish_non_exhaustive()
    }
}

impl FileStore {
    /// The name of the file in `state_dir`.
    pub const NAME: &'static str = "sessions.redb";

    /// Opens the store at `path`, or makes an empty one when there is nothing. Every page is checked; it
    /// takes a second for some 100,000 sessions. Blocks.
    ///
    /// # Errors
    /// When the file cannot be read and written, is in use, is damaged, or was sealed with a key that
    /// `codec` does not have. The file is left as it was.
    pub fn open(
        path: &Path,
        lifetimes: impl Into<LiveLifetimes>,
        codec: Codec,
        clock: SharedClock,
    ) -> Result<Self, FileStoreError> {
        let stopwatch = Stopwatch::start();
        let checked = open::open(path, &codec)?;
        let milliseconds = u64::try_from(stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX);
        let sessions = checked.sessions;
        tracing::info!(event = "store_opened", path = %path.display(), sessions, milliseconds);
        Self::on(checked, path, lifetimes.into(), codec, clock)
    }

    fn on(
        checked: Checked,
        path: &Path,
        lifetimes: LiveLifetimes,
        codec: Codec,
        clock: SharedClock,
    ) -> Result<Self, FileStoreError> {
        // The first write tells whether the disk takes anything, leaves what a quick opening needs, and puts back
        // into the queue what another process worked on. Whether it succeeds or not, what is there can be read.
        let (now, proof) = (clock.now(), checked.proof);
        let (first, mut answer) = Call::new(move |changes: &mut Changes<'_>| {
            beat(changes, now)?;
            changes.unclaim(now)?;
            proof.map(|proof| changes.remember("proof", &proof)).transpose()
        });
        let started = Writer::start(checked.disk, Box::new(first), Arc::clone(&clock));
        let (writer, shared) = started.map_err(|error| wrong(error, path))?;
        if let Ok(Ok(Some(()))) = answer.try_recv() {
            tracing::info!(event = "store_key_changed");
        }
        let (readers, note_writers) = (Arc::new(Semaphore::new(READERS)), Semaphore::new(NOTE_WRITERS));
        let path = path.to_path_buf();
        let (leases, listeners) = (Leases::default(), Listeners::default());
        Ok(Self { path, lifetimes, codec, clock, leases, readers, note_writers, listeners, shared, writer })
    }

    /// Has the thread do something, and waits until it is on the disk.
    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Changes<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.write_and_tell(work, |_, _| ()).await
    }

    /// The same; the listeners are told as soon as it is there, whether or not anybody still waits.
    async fn write_and_tell<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Changes<'_>) -> Result<T, Error> + Send + 'static,
        tell: impl Fn(&T, &dyn Listener) + Send + 'static,
    ) -> Result<T, StoreError> {
        let listeners = Arc::clone(&self.listeners);
        let (call, answer) = Call::telling(work, move |done| {
            let listeners = listeners.lock().unwrap_or_else(PoisonError::into_inner).clone();
            listeners.iter().filter_map(Weak::upgrade).for_each(|listener| tell(done, &*listener));
        });
        let written = async {
            self.writer.queue(Box::new(call)).await;
            answer.await.unwrap_or_else(|_| Err("the thread that writes has ended".to_owned()))
        };
        let outcome = timeout(PATIENCE, written).await.unwrap_or_else(|_| Err(SILENT.to_owned()));
        outcome.map_err(|reason| self.unavailable(&reason))
    }

    /// Reads in a thread that may wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        work: impl Fn(&View) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, StoreError> {
        let work = Arc::new(work);
        let mut why = String::new();
        for _ in 0..READ_TRIES {
            match timeout(PATIENCE, self.read_once(Arc::clone(&work))).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(reason)) => why = reason,
                Err(_) => return Err(self.unavailable(SILENT)),
            }
            // When the tree is at fault, this makes the thread open it anew.
            let _ = self.write(|_| Ok(())).await;
        }
        Err(self.unavailable(&why))
    }

    async fn read_once<T: Send + 'static>(
        &self,
        work: Arc<impl Fn(&View) -> Result<T, Error> + Send + Sync + 'static>,
    ) -> Result<T, String> {
        let permit = Arc::clone(&self.readers).acquire_owned().await.map_err(|error| error.to_string())?;
        let shared = Arc::clone(&self.shared);
        let reading = task::spawn_blocking(move || {
            let database = shared.readable();
            let read = guarded(|| work(&View(database.begin_read()?)));
            let is_current = Arc::ptr_eq(&database, &shared.readable());
            drop(permit);
            match read {
                // The new tree may have written over what the old one was about to read.
                Ok(_) if !is_current => Err("the file was opened anew".to_owned()),
                Ok(value) => Ok(value),
                Err(error) => Err(reason(&error)),
            }
        });
        reading.await.unwrap_or_else(|error| Err(error.to_string()))
    }

    /// Small writes may still go well on a full disk, in room that the file has already.
    async fn has_room(&self) -> Result<(), StoreError> {
        let path = self.path.clone();
        let looking = task::spawn_blocking(move || disk::room_beside(&path));
        match timeout(PATIENCE, looking).await {
            Ok(Ok(Ok(room))) if room >= LEAST_ROOM => Ok(()),
            Ok(Ok(Ok(room))) => {
                let why = format!("{room} bytes are left on the disk; make room, and it goes on by itself");
                Err(self.unavailable(&why))
            }
            Ok(Ok(Err(error))) => Err(self.unavailable(&error.to_string())),
            Ok(Err(error)) => Err(self.unavailable(&error.to_string())),
            Err(_) => Err(self.unavailable(SILENT)),
        }
    }

    fn unavailable(&self, why: &str) -> StoreError {
        StoreError::Unavailable(format!("{}: {why}", self.path.display()))
    }

    fn seal(&self, waiting: &Waiting, due: Timestamp) -> SealedWaiting {
        SealedWaiting::new(&self.codec, waiting, due)
    }
}

/// A write that changes nothing of importance.
fn beat(changes: &mut Changes<'_>, now: Timestamp) -> Result<(), Error> {
    changes.remember("beat", &now.millis().to_be_bytes())
}

#[async_trait]
impl Store for FileStore {
    async fn ready(&self) -> Result<(), StoreError> {
        self.read(View::count).await?;
        let is_stale = self.clock.now().since(self.shared.last_commit()) >= BEAT;
        if is_stale || self.shared.trouble().is_some() {
            let now = self.clock.now();
            self.write(move |changes| beat(changes, now)).await?;
        }
        self.has_room().await
    }

    fn listen(&self, listener: Weak<dyn Listener>) -> Sharing {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
        Sharing::Alone
    }

    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        let record = self.codec.seal_record(&key, &stored.record)?;
        self.write(move |changes| changes.insert(&key, &record, stored.last_seen)).await?
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        let (codec, key) = (self.codec.clone(), *key);
        self.read(move |view| view.find(&codec, &key)).await?.transpose()
    }

    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        let seen = seen.to_vec();
        self.write(move |changes| changes.touch(&seen)).await
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        let (key, record) = (*key, self.codec.seal_record(key, &record)?);
        let generation = record.generation;
        let tell = move |replaced: &bool, listener: &dyn Listener| {
            if *replaced {
                listener.changed(&key, generation);
            }
        };
        self.write_and_tell(move |changes| changes.replace(&key, expected, &record), tell).await
    }

    async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError> {
        let sealed = ends.into_iter().map(|End { key, expected, revocation }| SealedEnd {
            key,
            expected,
            revocation: revocation.map(|waiting| self.seal(&waiting, waiting.queued)),
        });
        let ends: Vec<_> = sealed.collect();
        let keys: Vec<_> = ends.iter().map(|end| end.key).collect();
        let tell = move |removals: &Vec<Removal>, listener: &dyn Listener| {
            let removed = keys.iter().zip(removals).filter(|(_, what)| matches!(what, Removal::Removed { .. }));
            removed.for_each(|(key, _)| listener.ended(key));
        };
        self.write_and_tell(move |changes| changes.remove(&ends), tell).await
    }

    async fn keys_of(&self, whose: &Selector) -> Result<Vec<SessionKey>, StoreError> {
        let tags = self.codec.tags_of(whose);
        self.read(move |view| view.keys_of(&tags)).await
    }

    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        let (codec, after) = (self.codec.clone(), after.copied());
        self.read(move |view| view.page(&codec, after.as_ref(), most)).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        self.read(View::count).await
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.leases.sweep(now);
        let lifetimes = self.lifetimes.now();
        let (over, marks) = self.read(move |view| Ok((view.over(&lifetimes, now)?, view.marks_over(now)?))).await?;
        let mut swept = 0;
        for keys in over.chunks(SWEEP) {
            let keys = keys.to_vec();
            swept += self.write(move |changes| changes.sweep(&keys, &lifetimes, now)).await?;
        }
        for marks in marks.chunks(SWEEP) {
            let marks = marks.to_vec();
            self.write(move |changes| changes.sweep_marks(&marks, now)).await?;
        }
        while self.read(move |view| view.has_notes_over(now)).await? {
            self.write(move |changes| changes.drop_notes_over(now)).await?;
        }
        Ok(swept)
    }

    async fn lease(&self, key: &SessionKey, holder: &Holder, length: Duration) -> Result<Lease, StoreError> {
        Ok(self.leases.take(key, holder, length, self.clock.now()))
    }

    async fn release(&self, key: &SessionKey, holder: &Holder, cool_down: Duration) -> Result<(), StoreError> {
        self.leases.give_back(key, holder, cool_down, self.clock.now());
        Ok(())
    }

    async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        let (mark, now) = (*mark, self.clock.now());
        self.write(move |changes| changes.mark(&mark, now, now.plus(keep))).await?
    }

    async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        let (mark, now) = (*mark, self.clock.now());
        self.read(move |view| view.is_marked(&mark, now)).await
    }

    async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        let (name, now) = (*name, self.clock.now());
        let at_rest = self.read(move |view| view.note(&name, now)).await?;
        at_rest.map(|at_rest| self.codec.open_note(&name, &at_rest)).transpose()
    }

    async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        if new.is_some_and(|value| value.len() > LONGEST_NOTE) {
            return Ok(Swap::Full);
        }
        let Ok(Ok(_permit)) = timeout(PATIENCE, self.note_writers.acquire()).await else {
            return Err(self.unavailable(SILENT));
        };
        let (name, expected) = (*name, expected.map(Note::edition));
        let new = new.map(|value| self.codec.seal_note(&name, value));
        let now = self.clock.now();
        self.write(move |changes| changes.swap_note(&name, expected, new.as_ref(), now, now.plus(keep))).await
    }

    async fn enqueue(&self, waiting: Waiting) -> Result<bool, StoreError> {
        let sealed = self.seal(&waiting, waiting.queued);
        self.write(move |changes| changes.enqueue(&sealed)).await
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Waiting>, StoreError> {
        // Asked again and again: nothing is written when nothing is due.
        let next = self.read(View::queue).await?.next_due;
        if next.is_none_or(|due| due > now) {
            return Ok(Vec::new());
        }
        let codec = self.codec.clone();
        self.write(move |changes| changes.claim(&codec, now, until, most)).await
    }

    async fn postpone(&self, waiting: &Waiting, due: Timestamp) -> Result<(), StoreError> {
        let sealed = self.seal(waiting, due);
        self.write(move |changes| changes.postpone(&sealed)).await
    }

    async fn settle(&self, waiting: &Waiting) -> Result<(), StoreError> {
        let id = waiting.id.clone();
        self.write(move |changes| changes.settle(&id)).await
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        self.read(View::queue).await
    }
}
