//! Clauses on notes.

use std::time::Duration;

use super::{Bench, MARGIN, MINUTE};
use crate::session::{LONGEST_NOTE, Note, NoteName, Swap};

/// Nothing here ends before this.
const LONG: Duration = Duration::from_secs(3600);

fn name() -> NoteName {
    NoteName::of("kind", "one")
}

impl Bench {
    async fn note(&self, name: &NoteName) -> Option<Note> {
        self.store.note(name).await.unwrap()
    }

    /// What a note says; `None` when there is none.
    async fn says(&self, name: &NoteName) -> Option<Vec<u8>> {
        self.note(name).await.map(|note| note.value().to_vec())
    }

    async fn swap(&self, name: &NoteName, expected: Option<&Note>, new: Option<&[u8]>, keep: Duration) -> Swap {
        self.store.swap_note(name, expected, new, keep).await.unwrap()
    }

    async fn write(&self, name: &NoteName, value: &[u8], keep: Duration) -> Note {
        assert_eq!(self.swap(name, None, Some(value), keep).await, Swap::Done);
        self.note(name).await.expect("the note is there")
    }
}

pub(crate) async fn a_note_comes_back_as_it_was_written(bench: &Bench) {
    assert!(bench.note(&name()).await.is_none());
    for (what, value) in [("text", b"hello".as_slice()), ("nothing", b""), ("bytes", &[0, 255, 13, 10, 0])] {
        let note = bench.write(&NoteName::of("kind", what), value, LONG).await;
        assert_eq!(note.value(), value);
        assert!(note.has_current_seal());
    }
}

pub(crate) async fn names_of_notes_are_apart(bench: &Bench) {
    bench.write(&NoteName::of("jti", "1"), b"1", LONG).await;
    for other in [NoteName::of("jti", "2"), NoteName::of("state", "1"), NoteName::of("jti1", "")] {
        assert!(bench.note(&other).await.is_none());
        bench.write(&other, b"2", LONG).await;
    }
    assert_eq!(bench.says(&NoteName::of("jti", "1")).await.unwrap(), b"1");
}

pub(crate) async fn a_note_is_made_once(bench: &Bench) {
    bench.write(&name(), b"first", LONG).await;
    assert_eq!(bench.swap(&name(), None, Some(b"second"), LONG).await, Swap::Changed);
    assert_eq!(bench.swap(&name(), None, Some(b"first"), LONG).await, Swap::Changed);
    assert_eq!(bench.says(&name()).await.unwrap(), b"first");
}

pub(crate) async fn a_note_is_replaced_by_whoever_has_seen_it_as_it_is(bench: &Bench) {
    let first = bench.write(&name(), b"first", LONG).await;
    assert_eq!(bench.swap(&name(), Some(&first), Some(b"second"), LONG).await, Swap::Done);
    assert_eq!(bench.swap(&name(), Some(&first), Some(b"third"), LONG).await, Swap::Changed);
    assert_eq!(bench.swap(&name(), Some(&first), None, LONG).await, Swap::Changed);
    let second = bench.note(&name()).await.unwrap();
    assert_eq!(second.value(), b"second");
    assert_eq!(bench.swap(&name(), Some(&second), Some(b"third"), LONG).await, Swap::Done);
    assert_eq!(bench.says(&name()).await.unwrap(), b"third");
}

/// Else whoever saw the first would change what came after it unseen.
pub(crate) async fn a_note_that_says_the_same_again_is_another(bench: &Bench) {
    let first = bench.write(&name(), b"same", LONG).await;
    assert_eq!(bench.swap(&name(), Some(&first), Some(b"same"), LONG).await, Swap::Done);
    assert_eq!(bench.swap(&name(), Some(&first), Some(b"other"), LONG).await, Swap::Changed);
    let second = bench.note(&name()).await.unwrap();
    assert_eq!(bench.swap(&name(), Some(&second), None, LONG).await, Swap::Done);
    bench.write(&name(), b"same", LONG).await;
    for old in [&first, &second] {
        assert_eq!(bench.swap(&name(), Some(old), None, LONG).await, Swap::Changed);
    }
}

pub(crate) async fn a_note_is_taken_away_once(bench: &Bench) {
    let note = bench.write(&name(), b"once", LONG).await;
    assert_eq!(bench.swap(&name(), Some(&note), None, LONG).await, Swap::Done);
    assert_eq!(bench.swap(&name(), Some(&note), None, LONG).await, Swap::Changed);
    assert_eq!(bench.swap(&name(), Some(&note), Some(b"again"), LONG).await, Swap::Changed);
    assert!(bench.note(&name()).await.is_none());
    bench.write(&name(), b"anew", LONG).await;
}

pub(crate) async fn there_is_nothing_to_take_where_nothing_is(bench: &Bench) {
    assert_eq!(bench.swap(&name(), None, None, LONG).await, Swap::Done);
    bench.write(&name(), b"value", LONG).await;
    assert_eq!(bench.swap(&name(), None, None, LONG).await, Swap::Changed);
    assert_eq!(bench.says(&name()).await.unwrap(), b"value");
}

pub(crate) async fn a_note_of_another_name_is_not_what_was_expected(bench: &Bench) {
    let note = bench.write(&name(), b"value", LONG).await;
    let other = NoteName::of("kind", "other");
    assert_eq!(bench.swap(&other, Some(&note), Some(b"new"), LONG).await, Swap::Changed);
    bench.write(&other, b"value", LONG).await;
    assert_eq!(bench.swap(&other, Some(&note), None, LONG).await, Swap::Changed);
}

pub(crate) async fn the_longest_note_comes_back_and_a_longer_one_is_not_taken(bench: &Bench) {
    let longest: Vec<_> = (0..LONGEST_NOTE).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let note = bench.write(&name(), &longest, LONG).await;
    assert!(note.value() == longest);
    let longer = vec![7; LONGEST_NOTE + 1];
    assert_eq!(bench.swap(&name(), Some(&note), Some(&longer), LONG).await, Swap::Full);
    assert_eq!(bench.swap(&NoteName::of("kind", "other"), None, Some(&longer), LONG).await, Swap::Full);
    assert!(bench.says(&name()).await.unwrap() == longest);
    assert!(bench.note(&NoteName::of("kind", "other")).await.is_none());
}

/// With a sweep and without one.
pub(crate) async fn a_note_is_over_after_its_time_and_nobody_has_it_then(bench: &Bench) {
    for sweeps in [false, true] {
        let note = bench.write(&name(), b"value", MINUTE).await;
        bench.pass(MINUTE - MARGIN);
        assert_eq!(bench.says(&name()).await.unwrap(), b"value");
        bench.pass(MARGIN * 2);
        if sweeps {
            bench.store.sweep(bench.now()).await.unwrap();
        }
        assert!(bench.note(&name()).await.is_none());
        assert_eq!(bench.swap(&name(), Some(&note), None, LONG).await, Swap::Changed);
        assert_eq!(bench.swap(&name(), Some(&note), Some(b"new"), LONG).await, Swap::Changed);
        assert!(bench.note(&name()).await.is_none());
    }
}

pub(crate) async fn a_note_that_is_over_can_be_made_anew(bench: &Bench) {
    for value in [b"first".as_slice(), b"other", b"a longer one", b"a longer one"] {
        bench.write(&name(), value, MINUTE).await;
        bench.pass(MINUTE + MARGIN);
    }
    bench.write(&name(), b"last", MINUTE).await;
    bench.store.sweep(bench.now()).await.unwrap();
    assert_eq!(bench.says(&name()).await.unwrap(), b"last");
}

pub(crate) async fn a_new_value_is_kept_for_its_own_time(bench: &Bench) {
    let (longer, shorter) = (NoteName::of("kind", "longer"), NoteName::of("kind", "shorter"));
    let first = bench.write(&longer, b"value", MINUTE).await;
    assert_eq!(bench.swap(&longer, Some(&first), Some(b"value"), LONG).await, Swap::Done);
    let first = bench.write(&shorter, b"value", LONG).await;
    assert_eq!(bench.swap(&shorter, Some(&first), Some(b"value"), MINUTE).await, Swap::Done);
    bench.pass(MINUTE + MARGIN);
    bench.store.sweep(bench.now()).await.unwrap();
    assert!(bench.note(&longer).await.is_some() && bench.note(&shorter).await.is_none());
    bench.pass(LONG - MINUTE);
    assert!(bench.note(&longer).await.is_none());
}

pub(crate) async fn a_sweep_spares_a_note_that_lasts(bench: &Bench) {
    bench.write(&name(), b"value", MINUTE).await;
    bench.write(&NoteName::of("kind", "over"), b"value", MINUTE - MARGIN * 2).await;
    bench.pass(MINUTE - MARGIN);
    bench.store.sweep(bench.now()).await.unwrap();
    assert_eq!(bench.says(&name()).await.unwrap(), b"value");
}

/// More than the memory store has room for, one after the other: what was taken or replaced gives its room back.
pub(crate) async fn many_notes_come_and_go_and_leave_room(bench: &Bench) {
    let value = vec![7; LONGEST_NOTE];
    let replaced = NoteName::of("kind", "replaced");
    for _ in 0..26 {
        let note = bench.write(&name(), &value, LONG).await;
        assert_eq!(bench.swap(&name(), Some(&note), None, LONG).await, Swap::Done);
        let note = bench.note(&replaced).await;
        assert_eq!(bench.swap(&replaced, note.as_ref(), Some(&value), LONG).await, Swap::Done);
        bench.pass(LONG / 2);
    }
}
