//! What is in the file: nine tables, and what one transaction can do to them.
//!
//! | table | from | to |
//! |---|---|---|
//! | `meta` | name | what format this is, whose key it is, what the notes take |
//! | `sessions` | session key | generation, tags, sealed record |
//! | `seen` | session key | when it was last used, when it was made (milliseconds) |
//! | `tags` | tag | session keys |
//! | `queue` | name of a revocation | when it is due, sealed revocation |
//! | `due` | when it is due, name of a revocation | |
//! | `marks` | mark | until when |
//! | `notes` | name of a note | until when, edition and sealed value |
//! | `note ends` | until when, name of a note | |
//!
//! `seen` is apart from `sessions` so that noting a use writes 48 bytes instead of a record, and a sweep
//! reads a hundredth of the file.

use redb::{
    Error, MultimapTable, MultimapTableDefinition, ReadableTable, ReadableTableMetadata, Table, TableDefinition,
    WriteTransaction,
};

use crate::{
    clock::Timestamp,
    session::{Codec, Lifetimes, MOST_WAITING, Mark, Removal, SealedRecord, SessionKey, StoreError, Waiting},
};

type Hash = &'static [u8; 32];

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const SESSIONS: TableDefinition<'_, Hash, (u64, &[u8], &[u8])> = TableDefinition::new("sessions");
pub(super) const SEEN: TableDefinition<'_, Hash, (u64, u64)> = TableDefinition::new("seen");
pub(super) const TAGS: MultimapTableDefinition<'_, Hash, Hash> = MultimapTableDefinition::new("tags");
pub(super) const QUEUE: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("queue");
pub(super) const DUE: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("due");
pub(super) const MARKS: TableDefinition<'_, Hash, u64> = TableDefinition::new("marks");

pub(super) const NOTES: TableDefinition<'_, Hash, (u64, &[u8])> = TableDefinition::new("notes");
pub(super) const NOTE_ENDS: TableDefinition<'_, (u64, Hash), ()> = TableDefinition::new("note ends");

/// Most sessions: ten times what the largest district is expected to have. Beyond it nobody signs in.
const MOST_SESSIONS: u64 = 1_000_000;

/// Most marks.
const MOST_MARKS: u64 = 1_000_000;

/// One session to remove.
pub(super) struct SealedEnd {
    pub(super) key: SessionKey,
    pub(super) expected: Option<u64>,
    pub(super) revocation: Option<SealedWaiting>,
}

/// A revocation at rest.
pub(super) struct SealedWaiting {
    pub(super) id: String,
    pub(super) due: Timestamp,
    pub(super) sealed: Vec<u8>,
}

impl SealedWaiting {
    pub(super) fn new(codec: &Codec, waiting: &Waiting, due: Timestamp) -> Self {
        Self { id: waiting.id.clone(), due, sealed: codec.seal_waiting(waiting) }
    }
}

/// The tables in one write transaction.
pub(super) struct Changes<'t> {
    pub(super) meta: Table<'t, &'static str, &'static [u8]>,
    sessions: Table<'t, Hash, (u64, &'static [u8], &'static [u8])>,
    seen: Table<'t, Hash, (u64, u64)>,
    tags: MultimapTable<'t, Hash, Hash>,
    queue: Table<'t, &'static str, (u64, &'static [u8])>,
    due: Table<'t, (u64, &'static str), ()>,
    marks: Table<'t, Hash, u64>,
    pub(super) notes: Table<'t, Hash, (u64, &'static [u8])>,
    pub(super) note_ends: Table<'t, (u64, Hash), ()>,
    pub(super) any: bool,
}

impl<'t> Changes<'t> {
    /// Opens all tables; makes those that are not there.
    pub(super) fn new(transaction: &'t WriteTransaction) -> Result<Self, Error> {
        Ok(Self {
            meta: transaction.open_table(META)?,
            sessions: transaction.open_table(SESSIONS)?,
            seen: transaction.open_table(SEEN)?,
            tags: transaction.open_multimap_table(TAGS)?,
            queue: transaction.open_table(QUEUE)?,
            due: transaction.open_table(DUE)?,
            marks: transaction.open_table(MARKS)?,
            notes: transaction.open_table(NOTES)?,
            note_ends: transaction.open_table(NOTE_ENDS)?,
            any: false,
        })
    }

    /// Whether there is anything to commit.
    pub(super) fn any(&self) -> bool {
        self.any
    }

    pub(super) fn remember(&mut self, name: &str, value: &[u8]) -> Result<(), Error> {
        self.meta.insert(name, value)?;
        self.any = true;
        Ok(())
    }

    pub(super) fn insert(
        &mut self,
        key: &SessionKey,
        record: &SealedRecord,
        last_seen: Timestamp,
    ) -> Result<Result<(), StoreError>, Error> {
        if self.sessions.len()? >= MOST_SESSIONS {
            return Ok(Err(StoreError::Unavailable(format!("it holds {MOST_SESSIONS} sessions and takes no more"))));
        }
        self.put(key, record)?;
        self.seen.insert(key.bytes(), (last_seen.millis(), record.created.millis()))?;
        Ok(Ok(()))
    }

    pub(super) fn replace(&mut self, key: &SessionKey, expected: u64, record: &SealedRecord) -> Result<bool, Error> {
        let is_expected = self.generation(key)? == Some(expected);
        if is_expected {
            self.put(key, record)?;
        }
        Ok(is_expected)
    }

    pub(super) fn touch(&mut self, seen: &[(SessionKey, Timestamp)]) -> Result<(), Error> {
        for (key, now) in seen {
            let known = self.seen.get(key.bytes())?.map(|row| row.value());
            if let Some((_, created)) = known.filter(|(last_seen, _)| *last_seen < now.millis()) {
                self.seen.insert(key.bytes(), (now.millis(), created))?;
                self.any = true;
            }
        }
        Ok(())
    }

    pub(super) fn remove(&mut self, ends: &[SealedEnd]) -> Result<Vec<Removal>, Error> {
        let mut removals = Vec::with_capacity(ends.len());
        for end in ends {
            removals.push(match (self.generation(&end.key)?, end.expected) {
                (None, _) => Removal::Absent,
                (Some(found), Some(expected)) if found != expected => Removal::Changed,
                (Some(_), Some(_) | None) => {
                    self.drop_session(&end.key)?;
                    let queued = match &end.revocation {
                        Some(waiting) => self.enqueue(waiting)?,
                        None => false,
                    };
                    Removal::Removed { queued }
                }
            });
        }
        Ok(removals)
    }

    /// Removes those of `keys` that have ended by themselves: they may have been used since they were found.
    pub(super) fn sweep(&mut self, keys: &[SessionKey], lifetimes: &Lifetimes, now: Timestamp) -> Result<usize, Error> {
        let mut swept = 0;
        for key in keys {
            let row = self.seen.get(key.bytes())?.map(|row| row.value());
            if row.is_some_and(|row| is_over(row, lifetimes, now)) {
                self.drop_session(key)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    pub(super) fn mark(
        &mut self,
        mark: &Mark,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Result<bool, StoreError>, Error> {
        let known = self.marks.get(mark.bytes())?.map(|until| until.value());
        if known.is_some_and(|until| until > now.millis()) {
            return Ok(Ok(false));
        }
        if known.is_none() && self.marks.len()? >= MOST_MARKS {
            return Ok(Err(StoreError::Unavailable(format!("it remembers {MOST_MARKS} things and takes no more"))));
        }
        self.marks.insert(mark.bytes(), until.millis())?;
        self.any = true;
        Ok(Ok(true))
    }

    pub(super) fn sweep_marks(&mut self, marks: &[[u8; 32]], now: Timestamp) -> Result<(), Error> {
        for mark in marks {
            let until = self.marks.get(mark)?.map(|until| until.value());
            if until.is_some_and(|until| until <= now.millis()) {
                self.marks.remove(mark)?;
                self.any = true;
            }
        }
        Ok(())
    }

    pub(super) fn enqueue(&mut self, waiting: &SealedWaiting) -> Result<bool, Error> {
        let room = self.queue.len()? < MOST_WAITING as u64;
        if room {
            self.put_waiting(&waiting.id, waiting.due.millis(), &waiting.sealed)?;
        }
        Ok(room)
    }

    pub(super) fn postpone(&mut self, waiting: &SealedWaiting) -> Result<(), Error> {
        if self.queue.get(waiting.id.as_str())?.is_some() {
            self.put_waiting(&waiting.id, waiting.due.millis(), &waiting.sealed)?;
        }
        Ok(())
    }

    pub(super) fn settle(&mut self, id: &str) -> Result<(), Error> {
        let due = self.queue.remove(id)?.map(|row| row.value().0);
        if let Some(due) = due {
            self.due.remove((due, id))?;
            self.any = true;
        }
        Ok(())
    }

    pub(super) fn claim(
        &mut self,
        codec: &Codec,
        now: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<Waiting>, Error> {
        let mut claimed = Vec::new();
        while claimed.len() < most {
            let Some((due, id)) = self.first_due(now)? else { break };
            // Whatever it leads to, it does not lead there again.
            self.due.remove((due, id.as_str()))?;
            self.any = true;
            let sealed = self.queue.get(id.as_str())?.map(|row| row.value().1.to_vec());
            match sealed.as_deref().map(|sealed| codec.open_waiting(&id, sealed)) {
                Some(Ok(waiting)) => {
                    self.put_waiting(&id, until.millis(), sealed.as_deref().unwrap_or_default())?;
                    claimed.push(waiting);
                }
                Some(Err(_)) => {
                    tracing::error!(
                        event = "revocation_lost",
                        reason = "it does not open with any key of the key file"
                    );
                    self.settle(&id)?;
                }
                None => {}
            }
            // What is due again already would be claimed twice.
            if until <= now {
                break;
            }
        }
        Ok(claimed)
    }

    /// Makes everything that waits due: whoever claimed it has ended, and a start is worth a try of the rest.
    pub(super) fn unclaim(&mut self, now: Timestamp) -> Result<(), Error> {
        let mut later = Vec::new();
        for row in self.queue.iter()? {
            let (id, row) = row?;
            let (due, sealed) = row.value();
            if due > now.millis() {
                later.push((id.value().to_owned(), sealed.to_vec()));
            }
        }
        for (id, sealed) in later {
            self.put_waiting(&id, now.millis(), &sealed)?;
        }
        Ok(())
    }

    fn first_due(&self, now: Timestamp) -> Result<Option<(u64, String)>, Error> {
        let first = self.due.first()?.map(|(row, _)| {
            let (due, id) = row.value();
            (due, id.to_owned())
        });
        Ok(first.filter(|(due, _)| *due <= now.millis()))
    }

    fn put_waiting(&mut self, id: &str, due: u64, sealed: &[u8]) -> Result<(), Error> {
        let before = self.queue.insert(id, (due, sealed))?.map(|row| row.value().0);
        if let Some(before) = before {
            self.due.remove((before, id))?;
        }
        self.due.insert((due, id), ())?;
        self.any = true;
        Ok(())
    }

    fn generation(&self, key: &SessionKey) -> Result<Option<u64>, Error> {
        Ok(self.sessions.get(key.bytes())?.map(|row| row.value().0))
    }

    fn put(&mut self, key: &SessionKey, record: &SealedRecord) -> Result<(), Error> {
        let tags: Vec<u8> = record.tags.iter().flat_map(|tag| *tag.bytes()).collect();
        let row = (record.generation, &*tags, &*record.sealed);
        let before = self.sessions.insert(key.bytes(), row)?.map(|row| row.value().1.to_vec());
        self.any = true;
        if before.as_ref() != Some(&tags) {
            self.untag(key, &before.unwrap_or_default())?;
            for tag in tags.as_chunks().0 {
                self.tags.insert(tag, key.bytes())?;
            }
        }
        Ok(())
    }

    fn drop_session(&mut self, key: &SessionKey) -> Result<(), Error> {
        let tags = self.sessions.remove(key.bytes())?.map(|row| row.value().1.to_vec());
        self.any = true;
        self.seen.remove(key.bytes())?;
        self.untag(key, &tags.unwrap_or_default())
    }

    fn untag(&mut self, key: &SessionKey, tags: &[u8]) -> Result<(), Error> {
        for tag in tags.as_chunks().0 {
            self.tags.remove(tag, key.bytes())?;
        }
        Ok(())
    }
}

/// Whether a session that was last used and made at these moments has ended by itself.
pub(super) fn is_over((last_seen, created): (u64, u64), lifetimes: &Lifetimes, now: Timestamp) -> bool {
    lifetimes.ends_at(Timestamp::from_millis(created), Timestamp::from_millis(last_seen)) <= now
}
