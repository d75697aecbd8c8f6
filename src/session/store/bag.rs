//! The notes of the memory store: a bag with a size.

use std::collections::{BTreeSet, HashMap};

use zeroize::Zeroizing;

use super::note::{DROPPED_AT_ONCE, Edition, LONGEST_NOTE, Note, NoteName, Swap, room_for, weight};
use crate::clock::Timestamp;

/// The notes.
#[derive(Debug)]
pub(super) struct Bag {
    notes: HashMap<NoteName, (Timestamp, Note)>,
    ends: BTreeSet<(Timestamp, NoteName)>,
    bytes: u64,
    most: u64,
    editions: u128,
}

impl Bag {
    /// An empty one with room for so many bytes.
    pub(super) fn with_room(most: u64) -> Self {
        Self { notes: HashMap::new(), ends: BTreeSet::new(), bytes: 0, most, editions: 0 }
    }

    /// What a name has.
    pub(super) fn find(&self, name: &NoteName, now: Timestamp) -> Option<Note> {
        self.notes.get(name).filter(|(until, _)| *until > now).map(|(_, note)| note.clone())
    }

    /// Changes what a name has.
    pub(super) fn swap(
        &mut self,
        name: &NoteName,
        expected: Option<Edition>,
        new: Option<&[u8]>,
        now: Timestamp,
        until: Timestamp,
    ) -> Swap {
        let known = self.notes.get(name).filter(|(until, _)| *until > now).map(|(_, note)| note);
        if known.map(Note::edition) != expected {
            return Swap::Changed;
        }
        let freed = self.notes.get(name).map_or(0, |(_, note)| weight(note.value().len()));
        let Some(value) = new else {
            self.drop_one(name);
            return Swap::Done;
        };
        let needed = weight(value.len());
        let room = room_for(until.since(now), self.most);
        if self.bytes - freed + needed > room {
            self.drop_over(now, usize::MAX);
        }
        let freed = self.notes.get(name).map_or(0, |(_, note)| weight(note.value().len()));
        if value.len() > LONGEST_NOTE || self.bytes - freed + needed > room {
            return Swap::Full;
        }
        self.drop_one(name);
        self.drop_over(now, DROPPED_AT_ONCE);
        self.editions += 1;
        let note = Note::new(Edition::of(self.editions.to_be_bytes()), Zeroizing::new(value.to_vec()), true);
        self.notes.insert(*name, (until, note));
        self.ends.insert((until, *name));
        self.bytes += needed;
        Swap::Done
    }

    /// Drops those that are over, so many at most.
    pub(super) fn drop_over(&mut self, now: Timestamp, most: usize) {
        for _ in 0..most {
            let Some((_, name)) = self.ends.first().copied().filter(|(until, _)| *until <= now) else { break };
            self.drop_one(&name);
        }
    }

    fn drop_one(&mut self, name: &NoteName) {
        if let Some((until, note)) = self.notes.remove(name) {
            self.ends.remove(&(until, *name));
            self.bytes -= weight(note.value().len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);
    /// Far enough away for a note to be one that lasts.
    const LATER: Timestamp = Timestamp::from_seconds(6_000);

    fn put(bag: &mut Bag, what: &str, value: &[u8], now: Timestamp, until: Timestamp) -> Swap {
        bag.swap(&NoteName::of("kind", what), None, Some(value), now, until)
    }

    fn is_there(bag: &Bag, what: &str, now: Timestamp) -> bool {
        bag.find(&NoteName::of("kind", what), now).is_some()
    }

    #[test]
    fn a_full_bag_takes_nothing_more_until_there_is_room_again() {
        let mut bag = Bag::with_room(weight(10) * 2);
        assert_eq!(put(&mut bag, "a", &[1; 10], NOW, LATER), Swap::Done);
        assert_eq!(put(&mut bag, "b", &[2; 10], NOW, LATER), Swap::Done);
        assert_eq!(put(&mut bag, "c", b"", NOW, LATER), Swap::Full);
        // What takes the place of something needs no room of its own, and a longer one does.
        let (name, seen) = (NoteName::of("kind", "a"), |bag: &Bag| bag.find(&NoteName::of("kind", "a"), NOW).unwrap());
        let edition = seen(&bag).edition();
        assert_eq!(bag.swap(&name, Some(edition), Some(&[3; 11]), NOW, LATER), Swap::Full);
        assert_eq!(seen(&bag).value(), [1; 10], "it is as it was");
        assert_eq!(bag.swap(&name, Some(edition), Some(&[3; 10]), NOW, LATER), Swap::Done);
        assert_eq!(bag.swap(&name, Some(seen(&bag).edition()), None, NOW, LATER), Swap::Done);
        assert_eq!(put(&mut bag, "c", &[4; 10], NOW, LATER), Swap::Done);
    }

    #[test]
    fn what_is_soon_gone_leaves_room_for_what_lasts() {
        let mut bag = Bag::with_room(weight(0) * 16);
        let soon = NOW.plus(std::time::Duration::from_secs(600));
        let forms = (0..20).map(|number| put(&mut bag, &format!("form {number}"), b"", NOW, soon));
        assert_eq!(forms.filter(|swap| *swap == Swap::Done).count(), 15);
        assert_eq!(put(&mut bag, "keys", b"", NOW, LATER), Swap::Done);
        assert_eq!(put(&mut bag, "more keys", b"", NOW, LATER), Swap::Full);
    }

    #[test]
    fn what_is_over_makes_room_and_what_lasts_stays() {
        let mut bag = Bag::with_room(weight(10) * 2);
        put(&mut bag, "a", &[1; 10], NOW, LATER);
        put(&mut bag, "b", &[2; 10], NOW, Timestamp::from_seconds(19_000));
        assert_eq!(put(&mut bag, "c", &[3; 10], LATER, Timestamp::from_seconds(19_000)), Swap::Done);
        assert!(!is_there(&bag, "a", NOW) && is_there(&bag, "b", LATER) && is_there(&bag, "c", LATER));
        assert_eq!((bag.notes.len(), bag.ends.len(), bag.bytes), (2, 2, weight(10) * 2));
    }

    #[test]
    fn a_sweep_leaves_nothing_of_what_is_over() {
        let mut bag = Bag::with_room(1 << 20);
        for what in 0..3 * DROPPED_AT_ONCE {
            put(&mut bag, &what.to_string(), b"", NOW, LATER);
        }
        bag.drop_over(LATER, usize::MAX);
        assert_eq!((bag.notes.len(), bag.ends.len(), bag.bytes), (0, 0, 0));
    }
}
