//! Notes: small things kept for a while under a name, changed only by whoever has seen them as they are.

use std::{fmt, time::Duration};

use zeroize::Zeroizing;

use super::hash_of;

/// Longest value of a note: 1.25 MiB.
pub const LONGEST_NOTE: usize = 1_310_720;

/// Most bytes that the notes of a store may take together.
pub const MOST_OF_NOTES: u64 = 256 << 20;

/// A note that is gone within this time leaves a sixteenth of the room to those that last.
const PASSING: Duration = Duration::from_secs(3600);

/// How many of `most` bytes may be taken once a note is there that is kept so long. Forms that people fill in are many,
/// large and soon gone; the keys of the assertion must find room beside them.
pub(super) fn room_for(keep: Duration, most: u64) -> u64 {
    if keep < PASSING { most - most / 16 } else { most }
}

/// What a note takes beyond its value, so that many empty ones fill a store too.
const BESIDES: u64 = 256;

/// Most notes that one step of a store drops because their time is over.
pub(super) const DROPPED_AT_ONCE: usize = 500;

/// What a note is found by: the hash of its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoteName([u8; 32]);

impl NoteName {
    /// The name of a thing of one kind.
    #[must_use]
    pub fn of(kind: &str, what: &str) -> Self {
        Self(hash_of(kind, what))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From bytes that [`Self::bytes`] gave.
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for NoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[note name]")
    }
}

/// Which writing of a note this is: no two are the same, also when they say the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Edition(pub(super) [u8; Self::LENGTH]);

impl Edition {
    /// How many bytes it has.
    pub const LENGTH: usize = 16;

    /// From bytes that nobody else draws.
    pub(in crate::session) fn of(bytes: [u8; Self::LENGTH]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }
}

/// A note as it was at one moment.
#[derive(Clone)]
pub struct Note {
    edition: Edition,
    value: Zeroizing<Vec<u8>>,
    has_current_seal: bool,
}

impl Note {
    pub(in crate::session) fn new(edition: Edition, value: Zeroizing<Vec<u8>>, has_current_seal: bool) -> Self {
        Self { edition, value, has_current_seal }
    }

    /// What it says.
    #[must_use]
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    /// Whether the current key sealed it. One that shall outlive a change of the key is written anew otherwise, before
    /// the key that sealed it is taken out of the key file.
    #[must_use]
    pub fn has_current_seal(&self) -> bool {
        self.has_current_seal
    }

    /// Which writing it is.
    pub(super) fn edition(&self) -> Edition {
        self.edition
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[note]")
    }
}

/// A note at rest: its edition in the clear, for comparisons, and what it says, sealed under both name and edition.
#[derive(Clone)]
pub struct SealedNote(Vec<u8>);

impl SealedNote {
    pub(in crate::session) fn new(edition: Edition, sealed: &[u8]) -> Self {
        Self([edition.bytes().as_slice(), sealed].concat())
    }

    /// The edition, and what is sealed; `None` when it is too short to have one.
    pub(in crate::session) fn split(at_rest: &[u8]) -> Option<(Edition, &[u8])> {
        let (edition, sealed) = at_rest.split_first_chunk()?;
        Some((Edition(*edition), sealed))
    }

    /// Its bytes.
    pub(in crate::session) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// What came of a change of a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    /// It is as the caller wanted it.
    Done,
    /// It was not what the caller expected, and is as it was.
    Changed,
    /// There is no room for it, or its value is longer than [`LONGEST_NOTE`]; it is as it was.
    Full,
}

/// What a value of so many bytes takes of the room for notes.
pub(super) fn weight(length: usize) -> u64 {
    length as u64 + BESIDES
}
