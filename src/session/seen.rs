//! When sessions were last used, gathered for one write to the store.

use std::{
    collections::HashMap,
    mem,
    sync::{Mutex, PoisonError},
};

use super::SessionKey;
use crate::clock::Timestamp;

/// Most sessions that wait to be written. Beyond it the newest is not noted: it will be at its next use.
const MOST: usize = 200_000;

/// Notes of use that the store does not have yet.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<HashMap<SessionKey, Timestamp>>);

impl Seen {
    /// A session was used.
    pub(super) fn note(&self, key: SessionKey, now: Timestamp) {
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < MOST || notes.contains_key(&key) {
            let last = notes.entry(key).or_insert(now);
            *last = now.max(*last);
        }
    }

    /// Takes all notes.
    pub(super) fn take(&self) -> Vec<(SessionKey, Timestamp)> {
        mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SystemEntropy, session::SessionId};

    #[test]
    fn a_session_is_noted_once_with_its_latest_use() {
        let (seen, key) = (Seen::default(), SessionId::draw(&SystemEntropy).key());
        for seconds in [5, 9, 7] {
            seen.note(key, Timestamp::from_seconds(seconds));
        }
        assert!(seen.take() == [(key, Timestamp::from_seconds(9))]);
        assert!(seen.take().is_empty());
    }
}
