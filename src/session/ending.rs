//! How sessions are ended: for good, and with their revocations queued in the same step.

use std::sync::Arc;

use futures_util::future::try_join_all;

use super::{
    ActiveSession, Record, Revocation, SessionKey, Sessions, StoreError, Waiting,
    store::{End, Removal, Selector},
};

/// How many sessions are read in one step.
const BATCH: usize = 500;

/// How many ends are under way at once.
const AT_ONCE: usize = 64;

/// How often an end is tried against refreshes that change the session at the same time.
const MOST_ENDS: usize = 16;

/// Whether the tokens of an ended session are revoked at Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// Queued in the same step that ends the session.
    Yes,
    /// Apple has taken them back already, or they go on in another session, or nobody wants it.
    No,
}

impl Sessions {
    /// Ends a session for good, unless its record has changed since `session` was opened; false when it has.
    /// Nothing is revoked.
    ///
    /// # Errors
    /// When the store is not available: the session may then still be live.
    pub async fn end_unchanged(&self, session: &ActiveSession) -> Result<bool, StoreError> {
        let expected = Some(session.record().generation);
        let removals = self.near.remove(vec![End { key: *session.key(), expected, revocation: None }]).await?;
        Ok(!removals.contains(&Removal::Changed))
    }

    /// Ends a session for good and gives back its last record; `None` when it had ended already.
    ///
    /// # Errors
    /// When the store is not available: the session may then still be live.
    pub async fn end(&self, key: &SessionKey, revoke: Revoke) -> Result<Option<Arc<Record>>, StoreError> {
        for _ in 0..MOST_ENDS {
            let found = match self.near.find_anew(key).await {
                Ok(None) => return Ok(None),
                Ok(Some(stored)) => Some(stored.record),
                // Nobody can say whose it was; it ends all the same.
                Err(StoreError::Unreadable) => None,
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
            };
            let end = End {
                key: *key,
                expected: found.as_ref().map(|record| record.generation),
                revocation: found.as_deref().filter(|_| revoke == Revoke::Yes).map(|record| self.to_revoke(record)),
            };
            let wanted = end.revocation.is_some();
            match self.near.remove(vec![end]).await?.first() {
                Some(Removal::Removed { queued }) => {
                    self.told_of_queue(found.as_deref(), wanted, *queued);
                    return Ok(found);
                }
                Some(Removal::Absent) | None => return Ok(None),
                // A refresh was quicker: its grant is the one to revoke.
                Some(Removal::Changed) => {}
            }
        }
        Err(StoreError::Unavailable("the session changes all the time".to_owned()))
    }

    /// Ends all sessions of somebody; with `None`, everybody's. Gives back how many.
    ///
    /// # Errors
    /// When the store is not available: some may have ended then.
    pub async fn end_all(&self, whose: Option<&Selector>, revoke: Revoke) -> Result<usize, StoreError> {
        let mut ended = 0;
        match whose {
            Some(whose) => {
                let keys = self.near.store().keys_of(whose).await?;
                for keys in keys.chunks(BATCH) {
                    ended += self.end_each(keys, revoke).await?;
                }
            }
            None => {
                let mut after = None;
                loop {
                    let page = self.near.store().page(after.as_ref(), BATCH).await?;
                    let keys: Vec<_> = page.iter().map(|(key, _)| *key).collect();
                    let Some(last) = keys.last() else { break };
                    after = Some(*last);
                    ended += self.end_each(&keys, revoke).await?;
                }
            }
        }
        Ok(ended)
    }

    /// Side by side: a store that writes to a disk has many in one commit. Each has its line in the log.
    async fn end_each(&self, keys: &[SessionKey], revoke: Revoke) -> Result<usize, StoreError> {
        let mut ended = 0;
        for some in keys.chunks(AT_ONCE) {
            let ends: Vec<_> = some.iter().map(|key| self.end(key, revoke)).collect();
            for record in try_join_all(ends).await?.into_iter().flatten() {
                ended += 1;
                tracing::info!(event = "session_ended", session = %record.handle);
            }
        }
        Ok(ended)
    }

    fn to_revoke(&self, record: &Record) -> Waiting {
        Waiting::new(Revocation::of(record), self.clock.now(), &*self.entropy)
    }

    fn told_of_queue(&self, record: Option<&Record>, wanted: bool, queued: bool) {
        if queued {
            self.bell.notify_one();
        } else if let Some(record) = record.filter(|_| wanted) {
            tracing::error!(event = "revocation_lost", session = %record.handle, reason = "the queue is full");
        }
    }
}
