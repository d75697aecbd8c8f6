//! Sessions in Redis: shared by several gateways, kept when they end.
//!
//! [`RedisUrl`] says where. `link` keeps a connection (`finder` finds the server, `greeting` looks at it, and
//! `client` alone knows the crate), `scripts` are the steps that must be one, `keys` their names, and `events`
//! hears what other gateways do.

mod access;
mod client;
mod events;
mod finder;
mod greeting;
mod keys;
mod link;
mod look;
mod news;
mod notes;
mod parse;
#[cfg(test)]
mod process;
mod scripts;
mod steps;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod url;
mod words;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

pub use look::{RedisLook, RedisTrouble};
pub use parse::UrlProblem;
pub use url::RedisUrl;

use self::{
    events::Ear,
    finder::Finder,
    greeting::Greeting,
    keys::Keys,
    link::{Link, Trouble},
    words::{Call, Reply, Words, odd},
};
use super::{
    End, Holder, LONGEST_NOTE, Lease, Listener, MOST_OF_NOTES, MOST_WAITING, Mark, Note, NoteName, Queue, Removal,
    Selector, Sharing, Store, StoreError, Stored, Swap,
};
use crate::{
    clock::{SharedClock, Timestamp},
    entropy::{self, SharedEntropy},
    session::{Codec, LiveLifetimes, Record, SealedRecord, SessionKey, Waiting},
};

/// How long Redis keeps a session beyond its end: whether it has ended is for our own clock to say, and who
/// used a browser last is asked a while after.
const SLACK: Duration = Duration::from_secs(600);

/// How many sessions one script touches.
const BATCH: usize = 500;

/// Longest time that Redis is told: no configuration has a longer one.
const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);

/// Redis was reached and will not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the sessions cannot be kept in {place}: {why}")]
pub struct RedisRefuses {
    place: String,
    why: String,
}

/// The Redis store.
#[derive(Debug)]
pub struct RedisStore {
    link: Arc<Link>,
    keys: Keys,
    codec: Codec,
    lifetimes: LiveLifetimes,
    clock: SharedClock,
    entropy: SharedEntropy,
    runtime: Handle,
    ears: Mutex<Vec<AbortOnDropHandle<()>>>,
}

impl RedisStore {
    /// The store at a place. When nobody answers there it goes on to look, and tells so.
    ///
    /// # Errors
    /// When the server answers and will not let us work, or holds sessions of another key.
    pub async fn open(
        url: RedisUrl,
        codec: Codec,
        lifetimes: impl Into<LiveLifetimes>,
        clock: SharedClock,
        entropy: SharedEntropy,
    ) -> Result<Self, RedisRefuses> {
        let keys = Keys::new(url.database);
        Self::with_keys(url, keys, codec, lifetimes.into(), clock, entropy).await
    }

    async fn with_keys(
        url: RedisUrl,
        keys: Keys,
        codec: Codec,
        lifetimes: LiveLifetimes,
        clock: SharedClock,
        entropy: SharedEntropy,
    ) -> Result<Self, RedisRefuses> {
        let place = url.to_string();
        let greeting = Greeting::new(codec.clone(), keys.clone());
        let link = Arc::new(Link::start(Finder::new(url, keys.clone()), greeting));
        match link.first_try().await {
            Ok(()) | Err(Trouble::Away(_)) => {}
            Err(Trouble::Refused(why)) => return Err(RedisRefuses { place, why }),
        }
        let (runtime, ears) = (Handle::current(), Mutex::default());
        Ok(Self { link, keys, codec, lifetimes, clock, entropy, runtime, ears })
    }

    /// With the lifetimes from now on, as the scripts read them.
    fn with_lifetimes(&self, call: Call) -> Call {
        let lifetimes = self.lifetimes.now();
        call.number(self.clock.now().millis())
            .number(millis(lifetimes.idle_timeout))
            .number(millis(lifetimes.max_lifetime))
            .number(millis(SLACK))
    }

    fn tag_keys(&self, sealed: &SealedRecord) -> impl Iterator<Item = Vec<u8>> {
        sealed.tags.iter().map(|tag| self.keys.tag(tag))
    }

    fn queue_keys(&self) -> Vec<Vec<u8>> {
        vec![self.keys.queue(), self.keys.waiting()]
    }

    fn opened(&self, key: &SessionKey, generation: &Reply, seen: &Reply, record: &Reply) -> Result<Stored, StoreError> {
        let unreadable = |_| StoreError::Unreadable;
        let (generation, seen) = (generation.count().map_err(unreadable)?, seen.count().map_err(unreadable)?);
        let record = self.codec.open_record(key, generation, record.bytes().map_err(unreadable)?)?;
        Ok(Stored { record: Arc::new(record), last_seen: Timestamp::from_millis(seen) })
    }
}

#[async_trait]
impl Store for RedisStore {
    async fn ready(&self) -> Result<(), StoreError> {
        let write = Words::of("SET").arg(self.keys.probe()).arg("1").arg("PX").arg("1000");
        self.link.ask(&write).await.map(|_| ())
    }

    fn listen(&self, listener: Weak<dyn Listener>) -> Sharing {
        let ear = Ear {
            link: Arc::clone(&self.link),
            keys: self.keys.clone(),
            clock: Arc::clone(&self.clock),
            name: entropy::bytes(&*self.entropy),
            listener,
        };
        let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        ears.retain(|ear| !ear.is_finished());
        ears.push(AbortOnDropHandle::new(self.runtime.spawn(ear.listen())));
        Sharing::Shared
    }

    async fn insert(&self, key: SessionKey, stored: Stored) -> Result<(), StoreError> {
        let sealed = self.codec.seal_record(&key, &stored.record)?;
        let mut keys = vec![self.keys.session(&key), self.keys.ends(), self.keys.order()];
        keys.extend(self.tag_keys(&sealed));
        let call = scripts::INSERT
            .with(keys)
            .arg(*key.bytes())
            .arg(tags(&sealed))
            .number(sealed.generation)
            .number(sealed.created.millis())
            .number(stored.last_seen.millis())
            .arg(sealed.sealed);
        self.link.run(&self.with_lifetimes(call)).await.map(|_| ())
    }

    async fn find(&self, key: &SessionKey) -> Result<Option<Stored>, StoreError> {
        let words = Words::of("HMGET").arg(self.keys.session(key)).arg("g").arg("s").arg("r");
        let reply = self.link.ask(&words).await?;
        match reply.list()? {
            [Reply::Nil, Reply::Nil, Reply::Nil] => Ok(None),
            [generation, seen, record] => self.opened(key, generation, seen, record).map(Some),
            _ => Err(odd()),
        }
    }

    async fn touch(&self, seen: &[(SessionKey, Timestamp)]) -> Result<(), StoreError> {
        for seen in seen.chunks(BATCH) {
            let mut keys = vec![self.keys.ends(), self.keys.order()];
            keys.extend(seen.iter().map(|(key, _)| self.keys.session(key)));
            let mut call = self.with_lifetimes(scripts::TOUCH.with(keys).arg(self.keys.tags()));
            for (key, moment) in seen {
                call = call.arg(*key.bytes()).number(moment.millis());
            }
            self.link.run(&call).await?;
        }
        Ok(())
    }

    async fn replace(&self, key: &SessionKey, expected: u64, record: Arc<Record>) -> Result<bool, StoreError> {
        let sealed = self.codec.seal_record(key, &record)?;
        let mut keys = vec![self.keys.session(key)];
        keys.extend(self.tag_keys(&sealed));
        let call = scripts::REPLACE
            .with(keys)
            .arg(*key.bytes())
            .number(expected)
            .number(sealed.generation)
            .arg(tags(&sealed))
            .arg(sealed.sealed)
            .arg(self.keys.tags())
            .arg(self.keys.channel());
        Ok(self.link.run(&self.with_lifetimes(call)).await?.count()? == 1)
    }

    async fn remove(&self, ends: Vec<End>) -> Result<Vec<Removal>, StoreError> {
        let mut removals = Vec::with_capacity(ends.len());
        for ends in ends.chunks(BATCH) {
            removals.extend(self.remove_some(ends).await?);
        }
        Ok(removals)
    }

    async fn keys_of(&self, whose: &Selector) -> Result<Vec<SessionKey>, StoreError> {
        let tags = self.codec.tags_of(whose).iter().map(|tag| self.keys.tag(tag)).collect();
        let reply = self.link.run(&scripts::KEYS_OF.with(tags).arg(self.keys.sessions())).await?;
        reply.list()?.iter().map(session_key).collect()
    }

    async fn page(&self, after: Option<&SessionKey>, most: usize) -> Result<Vec<(SessionKey, Stored)>, StoreError> {
        self.page_of(after.copied(), most).await
    }

    async fn count(&self) -> Result<usize, StoreError> {
        let count = self.link.ask(&Words::of("ZCARD").arg(self.keys.order())).await?.count()?;
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    async fn sweep(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut swept = 0;
        loop {
            let call = scripts::SWEEP
                .with(vec![self.keys.ends(), self.keys.order()])
                .arg(self.keys.sessions())
                .arg(self.keys.tags())
                .arg(self.keys.channel())
                .number(now.millis())
                .number(BATCH as u64);
            let some = usize::try_from(self.link.run(&call).await?.count()?).unwrap_or(usize::MAX);
            swept += some;
            if some < BATCH {
                break;
            }
        }
        self.sweep_notes(now.millis()).await?;
        Ok(swept)
    }

    async fn lease(&self, key: &SessionKey, holder: &Holder, length: Duration) -> Result<Lease, StoreError> {
        let call = scripts::LEASE.with(vec![self.keys.lease(key)]).arg(holder.as_str()).number(millis(length).max(1));
        match self.link.run(&call).await? {
            Reply::Number(-1) => Ok(Lease::Granted),
            Reply::Number(-2) => Ok(Lease::Held),
            reply @ (Reply::Number(_) | Reply::Nil | Reply::Bytes(_) | Reply::List(_)) => {
                Ok(Lease::Cooling(Duration::from_millis(reply.count()?)))
            }
        }
    }

    async fn release(&self, key: &SessionKey, holder: &Holder, cool_down: Duration) -> Result<(), StoreError> {
        let call = scripts::RELEASE.with(vec![self.keys.lease(key)]).arg(holder.as_str()).number(millis(cool_down));
        self.link.run(&call).await.map(|_| ())
    }

    async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        let words = Words::of("SET").arg(self.keys.mark(mark)).arg("1").arg("NX").arg("PX");
        Ok(self.link.ask(&words.number(millis(keep).max(1))).await? != Reply::Nil)
    }

    async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        Ok(self.link.ask(&Words::of("EXISTS").arg(self.keys.mark(mark))).await?.count()? == 1)
    }

    async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        self.find_note(name).await
    }

    async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        self.change_note(name, expected, new, keep).await
    }

    async fn enqueue(&self, waiting: Waiting) -> Result<bool, StoreError> {
        let call = scripts::ENQUEUE
            .with(self.queue_keys())
            .number(MOST_WAITING as u64)
            .arg(waiting.id.as_str())
            .number(waiting.queued.millis())
            .arg(self.codec.seal_waiting(&waiting));
        Ok(self.link.run(&call).await?.count()? == 1)
    }

    async fn claim(&self, now: Timestamp, until: Timestamp, most: usize) -> Result<Vec<Waiting>, StoreError> {
        self.claim_some(now, until, most).await
    }

    async fn postpone(&self, waiting: &Waiting, due: Timestamp) -> Result<(), StoreError> {
        let call = scripts::POSTPONE
            .with(self.queue_keys())
            .arg(waiting.id.as_str())
            .number(due.millis())
            .arg(self.codec.seal_waiting(waiting));
        self.link.run(&call).await.map(|_| ())
    }

    async fn settle(&self, waiting: &Waiting) -> Result<(), StoreError> {
        let call = scripts::SETTLE.with(self.queue_keys()).arg(waiting.id.as_str());
        self.link.run(&call).await.map(|_| ())
    }

    async fn queue(&self) -> Result<Queue, StoreError> {
        let reply = self.link.run(&scripts::QUEUE.with(vec![self.keys.queue()])).await?;
        let [length, due @ ..] = reply.list()? else { return Err(odd()) };
        let next_due = due.first().map(Reply::count).transpose()?.map(Timestamp::from_millis);
        Ok(Queue { length: usize::try_from(length.count()?).unwrap_or(usize::MAX), next_due })
    }
}

/// The tags of a record in one piece.
fn tags(sealed: &SealedRecord) -> Vec<u8> {
    sealed.tags.iter().flat_map(|tag| *tag.bytes()).collect()
}

fn session_key(reply: &Reply) -> Result<SessionKey, StoreError> {
    reply.bytes()?.try_into().map(SessionKey::from_bytes).map_err(|_| odd())
}

fn millis(while_: Duration) -> u64 {
    u64::try_from(while_.min(LONGEST).as_millis()).unwrap_or(u64::MAX)
}
