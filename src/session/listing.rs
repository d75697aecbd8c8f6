//! The list of sessions, for administrators.

use std::sync::Arc;

use super::{
    Record, SessionKey, Sessions, StoreError,
    store::{Selector, Stored},
};
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
        Ok((page.into_iter().filter_map(|(key, stored)| self.listed(key, stored, now)).collect(), next))
    }

    /// The same of somebody's sessions.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn list_of(
        &self,
        whose: &Selector,
        after: Option<&SessionKey>,
        most: usize,
    ) -> Result<(Vec<Listed>, Option<SessionKey>), StoreError> {
        let mut keys = self.near.store().keys_of(whose).await?;
        keys.retain(|key| after.is_none_or(|after| key > after));
        keys.sort_unstable();
        let goes_on = keys.len() > most;
        keys.truncate(most);
        let now = self.clock.now();
        let mut listed = Vec::new();
        for key in &keys {
            match self.near.store().find(key).await {
                Ok(stored) => listed.extend(stored.and_then(|stored| self.listed(*key, stored, now))),
                // It opens for nobody, so it is nobody's session, and must not hide the others.
                Err(StoreError::Unreadable) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
            }
        }
        Ok((listed, keys.last().copied().filter(|_| goes_on)))
    }

    /// How many sessions somebody has, with those that ended by themselves a moment ago.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn count_of(&self, whose: &Selector) -> Result<usize, StoreError> {
        Ok(self.near.store().keys_of(whose).await?.len())
    }

    /// `None` for a session that has ended by itself and waits to be swept.
    fn listed(&self, key: SessionKey, stored: Stored, now: Timestamp) -> Option<Listed> {
        let ends_at = self.ends_at(&stored);
        let Stored { record, last_seen } = stored;
        (ends_at > now).then_some(Listed { key, record, last_seen, ends_at })
    }
}
