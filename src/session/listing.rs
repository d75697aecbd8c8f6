//! The list of sessions, for administrators.

use std::sync::Arc;

use super::{Record, SessionKey, Sessions, StoreError};
use crate::clock::Timestamp;

/// A session in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where the list goes on.
    pub key: SessionKey,
    /// What is known of it.
    pub record: Arc<Record>,
    /// When it was last used, give or take a minute.
    pub last_seen: Timestamp,
    /// When it ends if it is not used again.
    pub ends_at: Timestamp,
}

impl Sessions {
    /// Up to `most` live sessions, those that come after `after`; with where the list goes on, when it does.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn list(
        &self,
        after: Option<&SessionKey>,
        most: usize,
    ) -> Result<(Vec<Listed>, Option<SessionKey>), StoreError> {
        let page = self.near.store().page(after, most).await?;
        let next = page.last().filter(|_| page.len() == most).map(|(key, _)| *key);
        let now = self.clock.now();
        let listed = page.into_iter().map(|(key, stored)| Listed {
            key,
            ends_at: self.ends_at(&stored),
            last_seen: stored.last_seen,
            record: stored.record,
        });
        Ok((listed.filter(|session| session.ends_at > now).collect(), next))
    }
}
