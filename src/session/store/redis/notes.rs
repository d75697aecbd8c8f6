//! Notes in Redis.

use std::time::Duration;

use super::{
    LONGEST_NOTE, MOST_OF_NOTES, Note, NoteName, RedisStore, Reply, StoreError, Swap, Words, millis, odd, scripts,
};
use crate::session::store::note::{DROPPED_AT_ONCE, room_for, weight};

impl RedisStore {
    /// The note of a name.
    pub(super) async fn find_note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        match self.link.ask(&Words::of("GET").arg(self.keys.note(name))).await? {
            Reply::Nil => Ok(None),
            reply @ (Reply::Number(_) | Reply::Bytes(_) | Reply::List(_)) => {
                self.codec.open_note(name, reply.bytes()?).map(Some)
            }
        }
    }

    /// Changes it.
    pub(super) async fn change_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        if new.is_some_and(|value| value.len() > LONGEST_NOTE) {
            return Ok(Swap::Full);
        }
        let at_rest = new.map(|value| self.codec.seal_note(name, value).bytes().to_vec()).unwrap_or_default();
        let call = scripts::SWAP_NOTE
            .with(vec![self.keys.note(name), self.keys.note_ends(), self.keys.note_bytes()])
            .arg(*name.bytes())
            .arg(expected.map(|note| note.edition().bytes().to_vec()).unwrap_or_default())
            .arg(at_rest)
            .number(millis(keep).max(1))
            .number(self.clock.now().millis())
            .number(weight(0))
            .number(room_for(keep, MOST_OF_NOTES))
            .number(DROPPED_AT_ONCE as u64);
        loop {
            match self.link.run(&call).await?.count()? {
                0 => return Ok(Swap::Changed),
                1 => return Ok(Swap::Done),
                2 => return Ok(Swap::Full),
                // There was no room, and there is more now.
                3 => {}
                _ => return Err(odd()),
            }
        }
    }

    /// Forgets what notes took that are over; they themselves go away by themselves.
    pub(super) async fn sweep_notes(&self, now: u64) -> Result<(), StoreError> {
        let most = DROPPED_AT_ONCE as u64;
        loop {
            let keys = vec![self.keys.note_ends(), self.keys.note_bytes()];
            let reply = self.link.run(&scripts::SWEEP_NOTES.with(keys).number(now).number(most)).await?;
            if reply.count()? < most {
                return Ok(());
            }
        }
    }
}
