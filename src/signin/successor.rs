//! Where a session went on that a sign-in of the same person has replaced. The cookies that other hosts still have of it
//! open nothing any more; but who signs out there means to sign out.

use std::sync::Arc;

use super::SignIn;
use crate::session::{ActiveSession, NoteName, Record, SessionKey, StoreError};

/// How many replacements are followed: nobody gives more permissions one by one in the life of a session.
const MOST_STEPS: usize = 16;

impl SignIn {
    /// Notes that a session goes on in another one of the same person, for as long as that one may live.
    ///
    /// # Errors
    /// When the store is not available.
    pub(super) async fn goes_on_in(&self, old: &SessionKey, new: &ActiveSession) -> Result<(), StoreError> {
        let keep = self.sessions.expires_at(new).since(self.clock.now());
        // A store that has no room for it loses a sign-out at a host that nobody has visited since, and no sign-in.
        self.sessions.swap_note(&successor(old), None, Some(new.key().bytes()), keep).await?;
        Ok(())
    }

    /// Ends the session of a cookie, or the one in which it goes on. Only ends: a cookie that was replaced opens nothing.
    ///
    /// # Errors
    /// When the store is not available: the session may then still be live.
    pub(super) async fn end_wherever_it_is(&self, key: &SessionKey) -> Result<Option<Arc<Record>>, StoreError> {
        let mut key = *key;
        for _ in 0..MOST_STEPS {
            if let Some(record) = self.sessions.end(&key, self.revoke()).await? {
                return Ok(Some(record));
            }
            let next = self.sessions.note(&successor(&key)).await?;
            let Some(next) = next.and_then(|note| note.value().try_into().ok()) else { return Ok(None) };
            key = SessionKey::from_bytes(next);
        }
        Ok(None)
    }
}

fn successor(key: &SessionKey) -> NoteName {
    NoteName::of("successor of a session", &key.to_text())
}
