//! What is to be revoked at Apple.

use super::{Grant, Handle, Record};
use crate::{
    apple::Revocable,
    clock::Timestamp,
    entropy::{self, Entropy},
};

/// One token to revoke.
#[derive(Clone, Debug)]
pub struct Revocation {
    /// The session it belonged to, for the log.
    pub handle: Handle,
    /// The token.
    pub token: Revocable,
}

impl Revocation {
    /// What to revoke of a session that has ended: the refresh token, or without one the access token.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self::of_grant(record.handle.clone(), &record.grant)
    }

    /// The same of a grant that no record holds.
    #[must_use]
    pub fn of_grant(handle: Handle, grant: &Grant) -> Self {
        let token = match &grant.refresh_token {
            Some(refresh) => Revocable::Refresh(refresh.clone()),
            None => Revocable::Access(grant.access_token.clone()),
        };
        Self { handle, token }
    }
}

/// A revocation in a queue.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Its name in the queue: 32 hexadecimal digits.
    pub id: String,
    /// What to revoke.
    pub revocation: Revocation,
    /// Since when it waits.
    pub queued: Timestamp,
    /// How often it was tried in vain.
    pub tries: u32,
}

impl Waiting {
    /// Queues a revocation at `now`; due at once.
    pub fn new(revocation: Revocation, now: Timestamp, source: &dyn Entropy) -> Self {
        Self { id: entropy::hex::<16>(source), revocation, queued: now, tries: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{active_session, grant};

    #[test]
    fn the_refresh_token_is_revoked_and_without_one_the_access_token() {
        let record = active_session("anna", "").record().as_ref().clone();
        assert!(matches!(Revocation::of(&record).token, Revocable::Refresh(_)));
        let record = Record { grant: Grant { refresh_token: None, ..grant("") }, ..record };
        assert!(matches!(Revocation::of(&record).token, Revocable::Access(_)));
    }
}
