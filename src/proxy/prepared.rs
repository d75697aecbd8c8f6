//! Headers that are filled in when a session changes, not on every request, for the sessions that are in use.
//!
//! One slot for each of many keys, found by the key itself, which is a hash: no lock, no second hash, and no more room
//! than there are slots, however many sessions there are. Whoever comes to a slot that is another's takes it; what is
//! lost is filled in again, which costs less than any order in which to give slots up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderName, HeaderValue};

use crate::{
    clock::Timestamp,
    session::{ActiveSession, SessionKey},
};

/// Slots; a power of two.
const SLOTS: usize = 1 << 15;

/// Longest names and values that are kept, in bytes: with the slots they say how much all of them take at most.
const LONGEST: usize = 4096;

/// Headers are forgotten within twice this time after they were filled in, and filled in again when they are asked for:
/// they hold tokens.
const FORGET_AFTER: Duration = Duration::from_secs(600);

/// A header.
pub(super) type Header = (HeaderName, HeaderValue);

/// Headers of sessions in one state each, as a set of templates has it.
#[derive(Debug)]
pub(super) struct Prepared {
    slots: Box<[ArcSwapOption<Entry>]>,
    /// When it is looked for old ones, in milliseconds since the epoch.
    look_at: AtomicU64,
}

/// The headers of one session in one state.
#[derive(Debug)]
pub(super) struct Entry {
    key: SessionKey,
    generation: u64,
    set: u64,
    made: Timestamp,
    headers: Box<[Header]>,
}

impl Entry {
    /// The headers.
    pub(super) fn headers(&self) -> &[Header] {
        &self.headers
    }
}

impl Default for Prepared {
    fn default() -> Self {
        Self { slots: (0..SLOTS).map(|_| ArcSwapOption::empty()).collect(), look_at: AtomicU64::new(0) }
    }
}

impl Prepared {
    /// The headers of a session for the set of this number; filled in when they are not there.
    pub(super) fn of(&self, set: u64, session: &ActiveSession, fill: impl FnOnce() -> Box<[Header]>) -> Arc<Entry> {
        let (key, generation, now) = (*session.key(), session.record().generation, session.opened());
        let look_at = self.look_at.load(Ordering::Relaxed);
        // A clock that was set back must not put it off.
        if now.millis() >= look_at || look_at > now.plus(FORGET_AFTER).millis() {
            self.forget_old(now);
        }
        let slot = self.slot(set, &key);
        let known = slot.load();
        if let Some(known) = known.as_ref().filter(|it| it.key == key && it.generation == generation && it.set == set) {
            return Arc::clone(known);
        }
        let entry = Arc::new(Entry { key, generation, set, made: now, headers: together(fill()) });
        let length: usize = entry.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if length <= LONGEST {
            slot.store(Some(Arc::clone(&entry)));
        }
        entry
    }

    fn slot(&self, set: u64, key: &SessionKey) -> &ArcSwapOption<Entry> {
        let [a, b, c, d, e, f, g, h, ..] = *key.bytes();
        // The sets of one app's routes must not share a slot.
        let place = u64::from_le_bytes([a, b, c, d, e, f, g, h]).wrapping_add(set.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        &self.slots[(place >> 32) as usize % self.slots.len()]
    }

    fn forget_old(&self, now: Timestamp) {
        self.look_at.store(now.plus(FORGET_AFTER).millis(), Ordering::Relaxed);
        for slot in &self.slots {
            // What a clock that was set back makes younger is old too.
            if slot.load().as_ref().is_some_and(|entry| entry.made > now || now.since(entry.made) >= FORGET_AFTER) {
                slot.store(None);
            }
        }
    }
}

/// The same headers with all values in one piece of memory: whoever reads them fetches it once.
fn together(mut headers: Box<[Header]>) -> Box<[Header]> {
    let all: Bytes = headers.iter().flat_map(|(_, value)| value.as_bytes()).copied().collect();
    let mut end = 0;
    for (_, value) in &mut headers {
        let start = end;
        end += value.len();
        if let Ok(mut same) = HeaderValue::from_maybe_shared(all.slice(start..end)) {
            same.set_sensitive(value.is_sensitive());
            *value = same;
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::testing::{active_session, opened_at, with_record};

    fn headers(value: &str) -> Box<[Header]> {
        [(HeaderName::from_static("x-test"), HeaderValue::from_str(value).unwrap())].into()
    }

    /// The value that a session gets; `now` is what it would be filled with now.
    fn value(prepared: &Prepared, set: u64, session: &ActiveSession, now: &str) -> String {
        let got = prepared.of(set, session, || headers(now));
        got.headers()[0].1.to_str().unwrap().to_owned()
    }

    fn filled(prepared: &Prepared) -> usize {
        prepared.slots.iter().filter(|slot| slot.load().is_some()).count()
    }

    #[test]
    fn values_are_the_same_together() {
        let header = |name, value| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let mut apart = [header("x-a", "a"), header("x-b", ""), header("x-c", "c d")];
        apart[2].1.set_sensitive(true);
        let together = together(apart.clone().into());
        assert_eq!(*together, apart);
        assert!(together[2].1.is_sensitive() && !together[0].1.is_sensitive());
    }

    #[test]
    fn headers_are_filled_in_once_for_each_session_state_and_set() {
        let (prepared, anna, ben) = (Prepared::default(), active_session("anna", ""), active_session("ben", ""));
        assert_eq!(value(&prepared, 1, &anna, "first"), "first");
        assert_eq!(value(&prepared, 1, &anna, "again"), "first");
        assert_eq!(value(&prepared, 2, &anna, "other set"), "other set");
        assert_eq!(value(&prepared, 1, &ben, "other person"), "other person");
        let mut record = anna.record().as_ref().clone();
        record.generation += 1;
        assert_eq!(value(&prepared, 1, &with_record(&anna, record), "other grant"), "other grant");
    }

    #[test]
    fn who_shares_a_slot_never_gets_the_headers_of_another() {
        let prepared = Prepared { slots: [ArcSwapOption::empty()].into(), look_at: AtomicU64::new(u64::MAX) };
        let people: Vec<_> = (0..4).map(|number| active_session(&format!("person-{number}"), "")).collect();
        for round in 0..3 {
            for (number, person) in people.iter().enumerate() {
                let own = format!("{number}");
                assert_eq!(value(&prepared, 1, person, &own), own, "{round}");
            }
        }
    }

    #[test]
    fn headers_that_are_old_are_forgotten_whoever_asks() {
        let (prepared, anna) = (Prepared::default(), active_session("anna", ""));
        value(&prepared, 1, &anna, "a");
        let later = opened_at(&active_session("ben", ""), anna.opened().plus(FORGET_AFTER * 2));
        value(&prepared, 1, &later, "b");
        assert_eq!(filled(&prepared), 1, "only the new ones are left");
    }

    #[test]
    fn headers_that_are_very_long_are_not_kept() {
        let (prepared, anna) = (Prepared::default(), active_session("anna", ""));
        let long = "x".repeat(LONGEST);
        assert_eq!(value(&prepared, 1, &anna, &long), long);
        assert_eq!(filled(&prepared), 0);
    }
}
