//! The proof that a session is live.

use std::sync::Arc;

use super::{Record, SessionKey};
use crate::clock::Timestamp;

/// A session that was open a moment ago: not ended, not idle too long, not too old. Only
/// [`Sessions`](super::Sessions) makes one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ActiveSession {
    key: SessionKey,
    record: Arc<Record>,
    opened: Timestamp,
}

impl ActiveSession {
    pub(super) fn new(key: SessionKey, record: Arc<Record>, opened: Timestamp) -> Self {
        Self { key, record, opened }
    }

    /// The session's name in the store.
    #[must_use]
    pub fn key(&self) -> &SessionKey {
        &self.key
    }

    /// What is known of it.
    #[must_use]
    pub fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// When it was known to be live: the present, for who has just opened it and not waited for anything since.
    #[must_use]
    pub fn opened(&self) -> Timestamp {
        self.opened
    }
}
