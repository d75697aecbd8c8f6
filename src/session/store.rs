//! What every store of sessions must do.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Record, SessionKey};
use crate::clock::Timestamp;

/// Why a store could not answer. The session is then neither there nor gone: whoever asks must deny.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or cannot write.
    #[error("the session store is not available: {0}")]
    Unavailable(String),
}

/// A record with the time it was last used.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The record.
    pub record: Arc<Record>,
    /// When the session was last used.
    pub last_seen: Timestamp,
}

/// Keeps records by the hash of their identifier. Lifetimes are judged by
/// [`Sessions`](super::Sessions), not here.
#[async_trait]
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Keeps a new record.
    ///
    /// # Errors
    /// When the store is not available.
    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError>;

    /// Looks a record up.
    ///
    /// # Errors
    /// When the store is not available.
    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError>;

    /// Notes that the session was used at `now`.
    ///
    /// # Errors
    /// When the store is not available.
    async fn touch(&self, key: &SessionKey, now: Timestamp) -> Result<(), StoreError>;

    /// Puts a newer record in the place of generation `expected`; false when that is not there any
    /// more, for an ended session must not come back.
    ///
    /// # Errors
    /// When the store is not available.
    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError>;

    /// Removes a record for good and gives it back.
    ///
    /// # Errors
    /// When the store is not available.
    async fn remove(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError>;
}
