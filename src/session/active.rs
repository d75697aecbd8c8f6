//! The proof that a session is live.

use std::sync::Arc;

use super::{Record, SessionKey};

/// A session that was open a moment ago: not ended, not idle too long, not too old. Only
/// [`Sessions`](super::Sessions) makes one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ActiveSession {
    key: SessionKey,
    record: Arc<Record>,
}

impl ActiveSession {
    pub(super) fn new(key: SessionKey, record: Arc<Record>) -> Self {
        Self { key, record }
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
}
