//! The keys with their times: which one signs, which are published, whether a new one is due. No clock, no store.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use zeroize::{Zeroize, Zeroizing};

use super::{AssertionError, key::Key};
use crate::clock::Timestamp;

/// How long a key signs.
pub(super) const SIGNS_FOR: Duration = Duration::from_secs(30 * 86_400);

/// How long before it signs a key is published: apps keep the set for a while, a day at most. An hour more, so that
/// every gateway knows it by then, also one that could not look for [`STALE`](super::keeper::STALE).
pub(super) const KNOWN_BEFORE: Duration = Duration::from_secs(25 * 3600);

/// How long a key stays published after the next one has begun to sign: a day beyond the life of its last assertion,
/// with an hour for clocks that differ.
pub(super) const KNOWN_AFTER: Duration = Duration::from_secs(25 * 3600);

/// Most keys of a set. Three is what there ever is while clocks agree.
const MOST_KEYS: usize = 8;

/// A key, and when it begins to sign.
#[derive(Clone, Debug)]
struct Timed {
    key: Arc<Key>,
    signs_from: Timestamp,
}

/// Some keys in the order of their times. Each signs until the next one does.
#[derive(Clone, Debug, Default)]
pub(super) struct KeySet(Vec<Timed>);

impl KeySet {
    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// When it is anything else.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, AssertionError> {
        let shape: Shape = serde_json::from_slice(bytes).map_err(|_| AssertionError::Malformed)?;
        let timed = shape.keys.iter().map(|TimedShape { key, signs_from }| {
            Some(Timed { key: Arc::new(Key::from_text(key)?), signs_from: Timestamp::from_millis(*signs_from) })
        });
        let timed: Vec<_> = timed.collect::<Option<_>>().ok_or(AssertionError::Malformed)?;
        let is_sorted = timed.is_sorted_by_key(|timed| timed.signs_from);
        if is_sorted && (1..=MOST_KEYS).contains(&timed.len()) {
            Ok(Self(timed))
        } else {
            Err(AssertionError::Malformed)
        }
    }

    /// The set with its private keys, for a sealed place.
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let keys = self
            .0
            .iter()
            .map(|timed| TimedShape { key: timed.key.to_text().to_string(), signs_from: timed.signs_from.millis() });
        let shape = Shape { keys: keys.collect() };
        // Large enough: what a buffer outgrows is not wiped.
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        // Texts and numbers cannot fail.
        if serde_json::to_writer(&mut *bytes, &shape).is_err() {
            bytes.clear();
        }
        bytes
    }

    /// The key that signs at `now`.
    pub(super) fn signer(&self, now: Timestamp) -> Option<&Arc<Key>> {
        self.signer_at(now).map(|place| &self.0[place].key)
    }

    /// Since when the key signs that signs at `now`.
    pub(super) fn signs_since(&self, now: Timestamp) -> Option<Timestamp> {
        self.signer_at(now).map(|place| self.0[place].signs_from)
    }

    /// The last one whose time has come; before all times, when a clock was set back, the first.
    fn signer_at(&self, now: Timestamp) -> Option<usize> {
        let begun = self.0.iter().rposition(|timed| timed.signs_from <= now);
        begun.or((!self.0.is_empty()).then_some(0))
    }

    /// Whether a key of this name is published at `now`.
    pub(super) fn publishes(&self, kid: &str, now: Timestamp) -> bool {
        self.published(now).any(|key| key.kid() == kid)
    }

    /// The keys that apps may meet at `now`, and those that they will: the private half stays here.
    pub(super) fn jwks(&self, now: Timestamp) -> Value {
        json!({ "keys": self.published(now).map(|key| key.jwk()).collect::<Vec<_>>() })
    }

    fn published(&self, now: Timestamp) -> impl Iterator<Item = &Arc<Key>> {
        self.0[self.first_published(now)..].iter().map(|timed| &timed.key)
    }

    /// Where the keys begin of which an assertion may be about.
    fn first_published(&self, now: Timestamp) -> usize {
        self.0.iter().skip(1).take_while(|next| next.signs_from.plus(KNOWN_AFTER) <= now).count()
    }

    /// When the next key is to be made; at once, when there is none.
    pub(super) fn next_made(&self, now: Timestamp) -> Timestamp {
        let Some(place) = self.signer_at(now) else { return now };
        // A key that begins later than any that is made now is the work of a wrong clock, and nobody's successor.
        let latest = now.plus(KNOWN_BEFORE * 2);
        let last = self.0[place..].iter().rfind(|timed| timed.signs_from <= latest).unwrap_or(&self.0[place]);
        last.signs_from.plus(SIGNS_FOR).minus(KNOWN_BEFORE)
    }

    /// The set as it should be at `now`: with a successor when one is due, without keys that nobody needs any more.
    /// `None` when it is so already.
    ///
    /// # Errors
    /// When no key can be made.
    pub(super) fn advanced(
        &self,
        now: Timestamp,
        draw: impl FnOnce() -> Result<Key, AssertionError>,
    ) -> Result<Option<Self>, AssertionError> {
        let over = self.first_published(now);
        let due = self.next_made(now);
        if due > now && over == 0 {
            return Ok(None);
        }
        let mut keys = self.0[over..].to_vec();
        if due <= now {
            // Nobody has learned any other key when this is the first.
            let signs_from = if keys.is_empty() { now } else { now.plus(KNOWN_BEFORE) };
            let place = keys.partition_point(|timed| timed.signs_from <= signs_from);
            keys.insert(place, Timed { key: Arc::new(draw()?), signs_from });
            keys.truncate(MOST_KEYS);
        }
        Ok(Some(Self(keys)))
    }

    /// The names of the keys, for the log.
    pub(super) fn kids(&self) -> Vec<&str> {
        self.0.iter().map(|timed| timed.key.kid()).collect()
    }
}

/// The set as it is written. Fields are added with a default, and none is ever given another meaning.
#[derive(Serialize, Deserialize)]
struct Shape {
    keys: Vec<TimedShape>,
}

#[derive(Serialize, Deserialize)]
struct TimedShape {
    key: String,
    signs_from: u64,
}

impl Drop for TimedShape {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: Duration = Duration::from_secs(86_400);

    fn draw() -> Result<Key, AssertionError> {
        Key::draw(&SystemEntropy)
    }

    fn none() -> Result<Key, AssertionError> {
        panic!("no key is due")
    }

    fn first() -> KeySet {
        KeySet::default().advanced(START, draw).unwrap().unwrap()
    }

    /// As a gateway that looks once an hour would have it.
    fn after(set: &KeySet, mut now: Timestamp, while_: Duration) -> KeySet {
        let (mut set, end) = (set.clone(), now.plus(while_));
        while now <= end {
            set = set.advanced(now, draw).unwrap().unwrap_or(set);
            now = now.plus(HOUR);
        }
        set
    }

    fn signer(set: &KeySet, now: Timestamp) -> String {
        set.signer(now).unwrap().kid().to_owned()
    }

    fn published(set: &KeySet, now: Timestamp) -> Vec<String> {
        let jwks = set.jwks(now);
        jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_first_key_signs_at_once_and_for_thirty_days() {
        assert!(KeySet::default().signer(START).is_none());
        assert_eq!(KeySet::default().jwks(START), json!({ "keys": [] }));
        assert_eq!(KeySet::default().next_made(START), START);
        let set = first();
        let kid = signer(&set, START);
        assert_eq!(published(&set, START), [kid.as_str()]);
        assert!(set.advanced(START.plus(SIGNS_FOR).minus(KNOWN_BEFORE).minus(HOUR), none).unwrap().is_none());
        assert_eq!(signer(&after(&set, START, SIGNS_FOR - HOUR), START.plus(SIGNS_FOR - HOUR)), kid);
    }

    #[test]
    fn a_successor_is_published_for_a_day_before_it_signs() {
        let set = first();
        let due = set.next_made(START);
        assert_eq!(due, START.plus(SIGNS_FOR).minus(KNOWN_BEFORE));
        let old = signer(&set, START);
        let next = set.advanced(due, draw).unwrap().unwrap();
        let both = published(&next, due);
        assert_eq!((both.len(), &both[0]), (2, &old));
        assert!(next.advanced(due, none).unwrap().is_none(), "one is enough");
        assert_eq!(signer(&next, due.plus(DAY)), old);
        assert_eq!(signer(&next, due.plus(KNOWN_BEFORE).minus(Duration::from_millis(1))), old);
        assert_eq!(signer(&next, START.plus(SIGNS_FOR)), both[1], "after thirty days");
    }

    #[test]
    fn an_old_key_is_published_for_a_day_after_its_last_assertion_has_expired_and_then_forgotten() {
        let set = first();
        let next = set.advanced(set.next_made(START), draw).unwrap().unwrap();
        let handed_over = START.plus(SIGNS_FOR);
        let (old, new) = (signer(&set, START), signer(&next, handed_over));
        let life = Duration::from_secs(300);
        assert_eq!(published(&next, handed_over.plus(life + DAY)), [old.as_str(), &new]);
        assert!(next.publishes(&old, handed_over.plus(life + DAY)));
        assert!(next.advanced(handed_over.plus(life + DAY), none).unwrap().is_none());
        let later = handed_over.plus(KNOWN_AFTER);
        assert_eq!(published(&next, later), [new.as_str()]);
        assert!(!next.publishes(&old, later));
        let rid = next.advanced(later, none).unwrap().unwrap();
        assert_eq!(rid.kids(), [new]);
        assert!(!String::from_utf8(rid.to_bytes().to_vec()).unwrap().contains(&**set.0[0].key.to_text()));
    }

    #[test]
    fn years_go_by_without_a_gap_and_without_heaps_of_keys() {
        let (mut set, mut now, mut signers) = (first(), START, Vec::new());
        // What an app has that fetches the set once a day, at the worst moment.
        let mut known_to_app = published(&set, now);
        for hour in 0..24 * 365 {
            if let Some(next) = set.advanced(now, draw).unwrap() {
                set = next;
            }
            let kid = signer(&set, now);
            assert!(set.publishes(&kid, now));
            assert!(known_to_app.contains(&kid), "an app does not know the key");
            assert!(published(&set, now).len() <= 3 && set.0.len() <= 3);
            if hour % 24 == 0 {
                known_to_app = published(&set, now);
            }
            if signers.last() != Some(&kid) {
                assert!(!signers.contains(&kid), "a key comes back");
                signers.push(kid);
            }
            now = now.plus(HOUR);
        }
        assert_eq!(signers.len(), 13, "a new one each thirty days");
    }

    #[test]
    fn a_gateway_that_was_away_for_months_goes_on_with_its_key_until_apps_know_another() {
        let set = first();
        let now = START.plus(DAY * 100);
        let next = set.advanced(now, draw).unwrap().unwrap();
        let old = signer(&set, START);
        assert_eq!(signer(&next, now), old);
        assert_eq!(signer(&next, now.plus(DAY)), old);
        assert_ne!(signer(&next, now.plus(KNOWN_BEFORE)), old);
    }

    #[test]
    fn a_clock_that_goes_wrong_loses_no_key() {
        let set = first();
        let past = START.minus(DAY * 1000);
        assert_eq!(signer(&set, past), signer(&set, START));
        assert!(set.advanced(past, none).unwrap().is_none());
        // One that was years ahead made a successor for then. Others make one for now, in its time.
        let ahead = set.advanced(START.plus(DAY * 1000), draw).unwrap().unwrap();
        let due = START.plus(SIGNS_FOR).minus(KNOWN_BEFORE);
        assert!(ahead.advanced(due.minus(HOUR), none).unwrap().is_none());
        let mended = ahead.advanced(due, draw).unwrap().unwrap();
        assert_eq!(mended.kids().len(), 3);
        assert!(mended.advanced(due, none).unwrap().is_none());
        assert_ne!(signer(&mended, START.plus(SIGNS_FOR)), signer(&set, START));
        assert_ne!(signer(&mended, START.plus(SIGNS_FOR)), signer(&ahead, START.plus(DAY * 1100)));
        assert!(after(&mended, due, DAY * 400).0.len() <= 4);
    }

    #[test]
    fn a_set_comes_back_as_it_was() {
        let set = first();
        let set = set.advanced(set.next_made(START), draw).unwrap().unwrap();
        let again = KeySet::read(&set.to_bytes()).unwrap();
        assert_eq!(again.kids(), set.kids());
        assert_eq!(again.to_bytes(), set.to_bytes());
        let shown = format!("{set:?}");
        assert!(set.0.iter().all(|timed| !shown.contains(&**timed.key.to_text())));
    }

    #[test]
    fn what_is_no_set_is_refused() {
        let (key, other) = (Key::draw(&SystemEntropy).unwrap(), Key::draw(&SystemEntropy).unwrap());
        let (key, other) = (key.to_text(), other.to_text());
        let one = format!(r#"{{"key":"{}","signs_from":7}}"#, *key);
        let earlier = format!(r#"{{"key":"{}","signs_from":6}}"#, *other);
        assert!(KeySet::read(format!(r#"{{"keys":[{earlier},{one}]}}"#).as_bytes()).is_ok());
        for text in [
            String::new(),
            "{}".into(),
            r#"{"keys":[]}"#.into(),
            r#"{"keys":[{"key":"AAAA","signs_from":7}]}"#.into(),
            format!(r#"{{"keys":[{one},{earlier}]}}"#),
            format!(r#"{{"keys":[{}]}}"#, vec![one; MOST_KEYS + 1].join(",")),
        ] {
            assert!(KeySet::read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
