//! What takes the Redis store more than one question.

use super::{
    BATCH, End, MOST_WAITING, RedisStore, Removal, Reply, SessionKey, StoreError, Stored, Timestamp, Waiting, odd,
    scripts, session_key,
};

impl RedisStore {
    /// Removes so many as one script takes.
    pub(super) async fn remove_some(&self, ends: &[End]) -> Result<Vec<Removal>, StoreError> {
        let mut keys = vec![self.keys.ends(), self.keys.order(), self.keys.queue(), self.keys.waiting()];
        keys.extend(ends.iter().map(|end| self.keys.session(&end.key)));
        let mut call =
            scripts::REMOVE.with(keys).arg(self.keys.tags()).arg(self.keys.channel()).number(MOST_WAITING as u64);
        for End { key, expected, revocation } in ends {
            call = call.arg(*key.bytes()).arg(expected.map(|number| number.to_string()).unwrap_or_default());
            call = match revocation {
                Some(waiting) => {
                    call.arg(waiting.id.as_str()).number(waiting.queued.millis()).arg(self.codec.seal_waiting(waiting))
                }
                None => call.arg("").arg("").arg(""),
            };
        }
        let outcomes = self.link.run(&call).await?;
        let outcomes = outcomes.list()?.iter().map(|outcome| match outcome {
            Reply::Number(0) => Ok(Removal::Absent),
            Reply::Number(1) => Ok(Removal::Removed { queued: false }),
            Reply::Number(2) => Ok(Removal::Removed { queued: true }),
            Reply::Number(3) => Ok(Removal::Changed),
            Reply::Number(_) | Reply::Nil | Reply::Bytes(_) | Reply::List(_) => Err(odd()),
        });
        let outcomes: Vec<_> = outcomes.collect::<Result<_, _>>()?;
        if outcomes.len() == ends.len() { Ok(outcomes) } else { Err(odd()) }
    }

    /// Up to `most` sessions that open, those that come after one.
    pub(super) async fn page_of(
        &self,
        mut after: Option<SessionKey>,
        most: usize,
    ) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        let mut page = Vec::new();
        // A record that is over or does not open leaves a gap, which what follows closes.
        while page.len() < most {
            let wanted = (most - page.len()).min(BATCH);
            let from = after.map_or_else(|| b"-".to_vec(), |key| [b"(".as_slice(), key.bytes()].concat());
            let call = scripts::PAGE.with(vec![self.keys.order()]).arg(self.keys.sessions()).arg(from);
            let reply = self.link.run(&call.number(wanted as u64)).await?;
            let [looked_at, last, sessions @ ..] = reply.list()? else { return Err(odd()) };
            let (sessions, []) = sessions.as_chunks::<4>() else { return Err(odd()) };
            for [key, generation, seen, record] in sessions {
                let key = session_key(key)?;
                if let Ok(stored) = self.opened(&key, generation, seen, record) {
                    page.push((key, stored));
                }
            }
            if looked_at.count()? < wanted as u64 {
                break;
            }
            after = Some(session_key(last)?);
        }
        Ok(page)
    }

    /// Claims up to `most` revocations that open; the others are given up.
    pub(super) async fn claim_some(
        &self,
        now: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<Waiting>, StoreError> {
        loop {
            let call = scripts::CLAIM.with(self.queue_keys()).number(now.millis()).number(until.millis());
            let reply = self.link.run(&call.number(most as u64)).await?;
            let (claimed, []) = reply.list()?.as_chunks::<2>() else { return Err(odd()) };
            let mut opened = Vec::with_capacity(claimed.len());
            for [id, text] in claimed {
                match self.codec.open_waiting(id.text(), text.bytes()?) {
                    Ok(waiting) => opened.push(waiting),
                    Err(why) => {
                        tracing::error!(event = "revocation_lost", reason = %why);
                        self.link.run(&scripts::SETTLE.with(self.queue_keys()).arg(id.bytes()?)).await?;
                    }
                }
            }
            if !opened.is_empty() || claimed.is_empty() {
                return Ok(opened);
            }
        }
    }
}
