//! Leases of stores that one process has to itself: they may end with it.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    clock::Timestamp,
    session::{Holder, Lease, SessionKey},
};

/// Who holds the lease of a session, or nobody while it cools, and until when.
type Held = (Option<Holder>, Timestamp);

/// All leases.
#[derive(Debug, Default)]
pub(super) struct Leases(Mutex<HashMap<SessionKey, Held>>);

impl Leases {
    fn all(&self) -> MutexGuard<'_, HashMap<SessionKey, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a lease, or renews it for the one who has it.
    pub(super) fn take(&self, key: &SessionKey, holder: &Holder, length: Duration, now: Timestamp) -> Lease {
        let mut all = self.all();
        match all.get(key).filter(|(_, until)| *until > now) {
            Some((None, until)) => return Lease::Cooling(until.since(now)),
            Some((Some(other), _)) if other != holder => return Lease::Held,
            Some(_) | None => {}
        }
        all.insert(*key, (Some(holder.clone()), now.plus(length)));
        Lease::Granted
    }

    /// Gives a lease back, when it is still `holder`'s.
    pub(super) fn give_back(&self, key: &SessionKey, holder: &Holder, cool_down: Duration, now: Timestamp) {
        let mut all = self.all();
        let is_theirs = |(who, until): &&Held| who.as_ref() == Some(holder) && *until > now;
        if all.get(key).filter(is_theirs).is_some() {
            all.remove(key);
            if !cool_down.is_zero() {
                all.insert(*key, (None, now.plus(cool_down)));
            }
        }
    }

    /// Forgets those that are over.
    pub(super) fn sweep(&self, now: Timestamp) {
        self.all().retain(|_, (_, until)| *until > now);
    }
}
