//! What can be read in one read transaction.

use std::{
    ops::Bound::{Excluded, Unbounded},
    sync::Arc,
};

use redb::{Error, ReadTransaction, ReadableTable, ReadableTableMetadata, TableError};

use super::tables::{DUE, MARKS, META, NOTE_ENDS, NOTES, QUEUE, SEEN, SESSIONS, TAGS, is_over};
use crate::{
    clock::Timestamp,
    session::{Codec, Lifetimes, Mark, NoteName, Queue, SessionKey, StoreError, Stored, Tag},
};

/// The file as one commit left it.
pub(super) struct View(pub(super) ReadTransaction);

impl View {
    pub(super) fn remembered(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.open_table(META)?.get(name)?.map(|value| value.value().to_vec()))
    }

    pub(super) fn find(&self, codec: &Codec, key: &SessionKey) -> Result<Option<Result<Stored, StoreError>>, Error> {
        let sessions = self.0.open_table(SESSIONS)?;
        let Some(row) = sessions.get(key.bytes())? else { return Ok(None) };
        let (generation, _, sealed) = row.value();
        let record = match codec.open_record(key, generation, sealed) {
            Ok(record) => Arc::new(record),
            Err(error) => return Ok(Some(Err(error))),
        };
        let seen = self.0.open_table(SEEN)?.get(key.bytes())?.map(|row| Timestamp::from_millis(row.value().0));
        let last_seen = seen.unwrap_or(record.created);
        Ok(Some(Ok(Stored { record, last_seen })))
    }

    pub(super) fn keys_of(&self, tags: &[Tag]) -> Result<Vec<SessionKey>, Error> {
        let table = self.0.open_multimap_table(TAGS)?;
        let mut keys = Vec::new();
        for tag in tags {
            for key in table.get(tag.bytes())? {
                keys.push(SessionKey::from_bytes(*key?.value()));
            }
        }
        // A record that was changed while the key ring was has tags of one key only; be sure all the same.
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    pub(super) fn page(
        &self,
        codec: &Codec,
        after: Option<&SessionKey>,
        most: usize,
    ) -> Result<Vec<(SessionKey, Stored)>, Error> {
        let sessions = self.0.open_table(SESSIONS)?;
        let start = after.map_or(Unbounded, |key| Excluded(key.bytes()));
        let mut page = Vec::new();
        for row in sessions.range::<&[u8; 32]>((start, Unbounded))? {
            if page.len() == most {
                break;
            }
            let key = SessionKey::from_bytes(*row?.0.value());
            if let Some(Ok(stored)) = self.find(codec, &key)? {
                page.push((key, stored));
            }
        }
        Ok(page)
    }

    pub(super) fn count(&self) -> Result<usize, Error> {
        Ok(usize::try_from(self.0.open_table(SESSIONS)?.len()?).unwrap_or(usize::MAX))
    }

    /// The sessions that have ended by themselves.
    pub(super) fn over(&self, lifetimes: &Lifetimes, now: Timestamp) -> Result<Vec<SessionKey>, Error> {
        let mut over = Vec::new();
        for row in self.0.open_table(SEEN)?.iter()? {
            let (key, row) = row?;
            if is_over(row.value(), lifetimes, now) {
                over.push(SessionKey::from_bytes(*key.value()));
            }
        }
        Ok(over)
    }

    /// The marks that are over.
    pub(super) fn marks_over(&self, now: Timestamp) -> Result<Vec<[u8; 32]>, Error> {
        let mut over = Vec::new();
        for row in self.0.open_table(MARKS)?.iter()? {
            let (mark, until) = row?;
            if until.value() <= now.millis() {
                over.push(*mark.value());
            }
        }
        Ok(over)
    }

    pub(super) fn is_marked(&self, mark: &Mark, now: Timestamp) -> Result<bool, Error> {
        let until = self.0.open_table(MARKS)?.get(mark.bytes())?.map(|until| until.value());
        Ok(until.is_some_and(|until| until > now.millis()))
    }

    /// A note at rest; one that is over is none.
    pub(super) fn note(&self, name: &NoteName, now: Timestamp) -> Result<Option<Vec<u8>>, Error> {
        let notes = match self.0.open_table(NOTES) {
            Ok(notes) => notes,
            // A file that was written before there were notes, and not since.
            Err(TableError::TableDoesNotExist(_)) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let row = notes.get(name.bytes())?;
        Ok(row.and_then(|row| Some(row.value()).filter(|(until, _)| *until > now.millis()).map(|(_, at)| at.to_vec())))
    }

    /// Whether a note is over and still there.
    pub(super) fn has_notes_over(&self, now: Timestamp) -> Result<bool, Error> {
        let ends = match self.0.open_table(NOTE_ENDS) {
            Ok(ends) => ends,
            Err(TableError::TableDoesNotExist(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        Ok(ends.first()?.is_some_and(|(row, _)| row.value().0 <= now.millis()))
    }

    pub(super) fn queue(&self) -> Result<Queue, Error> {
        let length = usize::try_from(self.0.open_table(QUEUE)?.len()?).unwrap_or(usize::MAX);
        let next_due = self.0.open_table(DUE)?.first()?.map(|(row, _)| Timestamp::from_millis(row.value().0));
        Ok(Queue { length, next_due })
    }
}
