//! The notes of the file: what one transaction can do to them.

use redb::{Error, ReadableTable};

use super::tables::Changes;
use crate::{
    clock::Timestamp,
    session::{
        Edition, MOST_OF_NOTES, NoteName, SealedNote, Swap,
        store::note::{DROPPED_AT_ONCE, room_for, weight},
    },
};

/// What `meta` calls the sum of all weights.
const BYTES: &str = "note bytes";

impl Changes<'_> {
    /// Changes what a name has.
    pub(super) fn swap_note(
        &mut self,
        name: &NoteName,
        expected: Option<Edition>,
        new: Option<&SealedNote>,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Swap, Error> {
        let known = self.notes.get(name.bytes())?.map(|row| {
            let (until, at_rest) = row.value();
            (until > now.millis(), SealedNote::split(at_rest).map(|(edition, _)| edition), weight(at_rest.len()))
        });
        // One that is there and has no edition is damaged: whatever is expected, it is not that.
        let is_expected = match known {
            Some((true, edition, _)) => expected.is_some() && edition == expected,
            Some((false, ..)) | None => expected.is_none(),
        };
        if !is_expected {
            return Ok(Swap::Changed);
        }
        let Some(new) = new else {
            self.drop_note(name)?;
            return Ok(Swap::Done);
        };
        let needed = weight(new.bytes().len());
        let room = room_for(until.since(now), MOST_OF_NOTES);
        let is_room = |bytes: u64, freed: u64| bytes.saturating_sub(freed) + needed <= room;
        let mut freed = known.map_or(0, |(.., weight)| weight);
        while !is_room(self.note_bytes()?, freed) {
            if self.drop_notes_over(now)? == 0 {
                return Ok(Swap::Full);
            }
            freed = self.notes.get(name.bytes())?.map_or(0, |row| weight(row.value().1.len()));
        }
        self.drop_note(name)?;
        self.notes.insert(name.bytes(), (until.millis(), new.bytes()))?;
        self.note_ends.insert((until.millis(), name.bytes()), ())?;
        let bytes = self.note_bytes()? + needed;
        self.remember(BYTES, &bytes.to_be_bytes())?;
        Ok(Swap::Done)
    }

    /// Drops some of those that are over; how many.
    pub(super) fn drop_notes_over(&mut self, now: Timestamp) -> Result<usize, Error> {
        for dropped in 0..DROPPED_AT_ONCE {
            let first = self.note_ends.first()?.map(|(row, _)| (row.value().0, *row.value().1));
            let Some((until, name)) = first.filter(|(until, _)| *until <= now.millis()) else { return Ok(dropped) };
            self.note_ends.remove((until, &name))?;
            self.drop_note(&NoteName::from_bytes(name))?;
        }
        Ok(DROPPED_AT_ONCE)
    }

    fn drop_note(&mut self, name: &NoteName) -> Result<(), Error> {
        let before = self.notes.remove(name.bytes())?.map(|row| (row.value().0, weight(row.value().1.len())));
        if let Some((until, freed)) = before {
            self.note_ends.remove((until, name.bytes()))?;
            let bytes = self.note_bytes()?.saturating_sub(freed);
            self.remember(BYTES, &bytes.to_be_bytes())?;
        }
        Ok(())
    }

    /// What all of them take.
    pub(super) fn note_bytes(&self) -> Result<u64, Error> {
        let bytes = self.meta.get(BYTES)?.and_then(|bytes| Some(u64::from_be_bytes(bytes.value().try_into().ok()?)));
        Ok(bytes.unwrap_or_default())
    }
}
