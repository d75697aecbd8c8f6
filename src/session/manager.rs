//! Opens, makes and ends sessions, and judges their lifetimes.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::{
    ActiveSession, Grant, Handle, Lifetimes, Mark, Origin, Record, Revocation, SessionId, SessionKey, Store,
    StoreError, Waiting,
    store::{End, Removal, Selector, Stored},
};
use crate::{
    apple::VerifiedIdToken,
    clock::{SharedClock, Timestamp},
    entropy::SharedEntropy,
    identity::ScopeSet,
};

/// How often at most "last seen" is written: the hot path writes nothing in between.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// How many sessions are ended or read in one step.
const BATCH: usize = 500;

/// How often an end is tried against refreshes that change the session at the same time.
const MOST_ENDS: usize = 16;

/// A session that was just made: the identifier goes to the browser, and nowhere else.
#[derive(Debug)]
pub struct NewSession {
    /// The identifier for the cookie.
    pub id: SessionId,
    /// The session.
    pub session: ActiveSession,
}

/// Whether the tokens of an ended session are revoked at Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// Queued in the same step that ends the session.
    Yes,
    /// Apple has taken them back already, or they go on in another session, or nobody wants it.
    No,
}

/// A session in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where the list goes on.
    pub key: SessionKey,
    /// What is known of it.
    pub record: Arc<Record>,
    /// When it was last used, give or take a minute.
    pub last_seen: Timestamp,
    /// When it ends if it is not used again.
    pub ends_at: Timestamp,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    lifetimes: Lifetimes,
    store: Arc<dyn Store>,
    clock: SharedClock,
    entropy: SharedEntropy,
    bell: Arc<Notify>,
}

impl Sessions {
    /// Sessions in `store`.
    #[must_use]
    pub fn new(lifetimes: Lifetimes, store: Arc<dyn Store>, clock: SharedClock, entropy: SharedEntropy) -> Arc<Self> {
        Arc::new(Self { lifetimes, store, clock, entropy, bell: Arc::default() })
    }

    /// Rings when a revocation was queued.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Makes a session for a person whom Apple vouched for, under a new identifier. `asked`
    /// are the scopes that Apple was asked for.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn create(
        &self,
        token: VerifiedIdToken,
        grant: Grant,
        asked: ScopeSet,
        origin: Origin,
    ) -> Result<NewSession, StoreError> {
        let id = SessionId::draw(&*self.entropy);
        let now = self.clock.now();
        let record = Arc::new(Record {
            handle: Handle::draw(&*self.entropy),
            person: token.person().clone(),
            id_token: token.raw().clone(),
            grant,
            asked,
            origin,
            created: now,
            generation: 0,
        });
        self.store.insert(id.key(), Stored { record: Arc::clone(&record), last_seen: now }).await?;
        Ok(NewSession { session: ActiveSession::new(id.key(), record), id })
    }

    /// Opens the session of an identifier and notes that it was used; `None` when there is none, or
    /// it has been idle too long, or is too old.
    ///
    /// # Errors
    /// When the store is not available: nobody knows then, and the answer must be no.
    pub async fn open(&self, id: &SessionId) -> Result<Option<ActiveSession>, StoreError> {
        self.open_key(&id.key()).await
    }

    /// Opens a session that was open before, to see its newest state.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn reopen(&self, session: &ActiveSession) -> Result<Option<ActiveSession>, StoreError> {
        self.open_key(session.key()).await
    }

    /// Opens the session of a key.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn open_key(&self, key: &SessionKey) -> Result<Option<ActiveSession>, StoreError> {
        let Some(stored) = self.store.find(key).await? else { return Ok(None) };
        let now = self.clock.now();
        if self.ends_at(&stored) <= now {
            return Ok(None);
        }
        if now.since(stored.last_seen) >= TOUCH_EVERY.min(self.lifetimes.idle_timeout / 10) {
            self.store.touch(&[(*key, now)]).await?;
        }
        Ok(Some(ActiveSession::new(*key, stored.record)))
    }

    /// The record of an identifier, of a session that is live or has ended by itself a while ago: who last
    /// used this browser. It opens nothing.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn last_record(&self, id: &SessionId) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.store.find(&id.key()).await?.map(|stored| stored.record))
    }

    fn ends_at(&self, stored: &Stored) -> Timestamp {
        self.lifetimes.ends_at(stored.record.created, stored.last_seen)
    }

    /// The last moment of a session, however much it is used.
    #[must_use]
    pub fn expires_at(&self, session: &ActiveSession) -> Timestamp {
        self.lifetimes.expires_at(session.record().created)
    }

    /// How long a session may go unused.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.lifetimes.idle_timeout
    }

    /// Puts a renewed grant in the place of the one that `session` shows. `None` when the session has
    /// ended or was changed meanwhile.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn regrant(&self, session: &ActiveSession, grant: Grant) -> Result<Option<ActiveSession>, StoreError> {
        let old = session.record();
        let record = Arc::new(Record { grant, generation: old.generation + 1, ..Record::clone(old) });
        let replaced = self.store.replace(session.key(), old.generation, Arc::clone(&record)).await?;
        Ok(replaced.then(|| ActiveSession::new(*session.key(), record)))
    }

    /// Ends a session for good and gives back its last record; `None` when it had ended already.
    ///
    /// # Errors
    /// When the store is not available: the session may then still be live.
    pub async fn end(&self, key: &SessionKey, revoke: Revoke) -> Result<Option<Arc<Record>>, StoreError> {
        for _ in 0..MOST_ENDS {
            let found = match self.store.find(key).await {
                Ok(None) => return Ok(None),
                Ok(Some(stored)) => Some(stored.record),
                // Nobody can say whose it was; it ends all the same.
                Err(StoreError::Unreadable) => None,
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
            };
            let end = End {
                key: *key,
                expected: found.as_ref().map(|record| record.generation),
                revocation: found.as_deref().filter(|_| revoke == Revoke::Yes).map(|record| self.to_revoke(record)),
            };
            let wanted = end.revocation.is_some();
            match self.store.remove(vec![end]).await?.first() {
                Some(Removal::Removed { queued }) => {
                    self.told_of_queue(found.as_deref(), wanted, *queued);
                    return Ok(found);
                }
                Some(Removal::Absent) | None => return Ok(None),
                // A refresh was quicker: its grant is the one to revoke.
                Some(Removal::Changed) => {}
            }
        }
        Err(StoreError::Unavailable("the session changes all the time".to_owned()))
    }

    /// Ends all sessions of somebody; with `None`, everybody's. Gives back how many.
    ///
    /// # Errors
    /// When the store is not available: some may have ended then.
    pub async fn end_all(&self, whose: Option<&Selector>, revoke: Revoke) -> Result<usize, StoreError> {
        let mut ended = 0;
        match whose {
            Some(whose) => {
                let keys = self.store.keys_of(whose).await?;
                for keys in keys.chunks(BATCH) {
                    ended += self.end_each(keys, revoke).await?;
                }
            }
            None => {
                let mut after = None;
                loop {
                    let page = self.store.page(after.as_ref(), BATCH).await?;
                    let keys: Vec<_> = page.iter().map(|(key, _)| *key).collect();
                    let Some(last) = keys.last() else { break };
                    after = Some(*last);
                    ended += self.end_each(&keys, revoke).await?;
                }
            }
        }
        Ok(ended)
    }

    async fn end_each(&self, keys: &[SessionKey], revoke: Revoke) -> Result<usize, StoreError> {
        match revoke {
            Revoke::No => {
                let ends = keys.iter().map(|key| End { key: *key, expected: None, revocation: None }).collect();
                let removals = self.store.remove(ends).await?;
                Ok(removals.iter().filter(|removal| matches!(removal, Removal::Removed { .. })).count())
            }
            Revoke::Yes => {
                let mut ended = 0;
                for key in keys {
                    ended += usize::from(self.end(key, revoke).await?.is_some());
                }
                Ok(ended)
            }
        }
    }

    /// Up to `most` live sessions, those that come after `after`; with where the list goes on, when it does.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn list(
        &self,
        after: Option<&SessionKey>,
        most: usize,
    ) -> Result<(Vec<Listed>, Option<SessionKey>), StoreError> {
        let page = self.store.page(after, most).await?;
        let next = page.last().filter(|_| page.len() == most).map(|(key, _)| *key);
        let now = self.clock.now();
        Ok((page.into_iter().filter_map(|(key, stored)| self.listed(key, stored, now)).collect(), next))
    }

    /// The same of somebody's sessions.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn list_of(
        &self,
        whose: &Selector,
        after: Option<&SessionKey>,
        most: usize,
    ) -> Result<(Vec<Listed>, Option<SessionKey>), StoreError> {
        let mut keys = self.store.keys_of(whose).await?;
        keys.retain(|key| after.is_none_or(|after| key > after));
        keys.sort_unstable();
        let goes_on = keys.len() > most;
        keys.truncate(most);
        let now = self.clock.now();
        let mut listed = Vec::new();
        for key in &keys {
            match self.store.find(key).await {
                Ok(stored) => listed.extend(stored.and_then(|stored| self.listed(*key, stored, now))),
                // It opens for nobody, so it is nobody's session, and must not hide the others.
                Err(StoreError::Unreadable) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
            }
        }
        Ok((listed, keys.last().copied().filter(|_| goes_on)))
    }

    /// `None` for a session that has ended by itself and waits to be swept.
    fn listed(&self, key: SessionKey, stored: Stored, now: Timestamp) -> Option<Listed> {
        let ends_at = self.ends_at(&stored);
        let Stored { record, last_seen } = stored;
        (ends_at > now).then_some(Listed { key, record, last_seen, ends_at })
    }

    /// How many sessions there are, give or take those that have ended by themselves a moment ago.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn count(&self) -> Result<usize, StoreError> {
        self.store.count().await
    }

    /// Whether the store can be read and written.
    ///
    /// # Errors
    /// When not, with the reason.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.store.ready().await
    }

    /// Sets a mark for `keep`; false when it was set before.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        self.store.mark(mark, keep).await
    }

    /// Whether a mark is set.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        self.store.is_marked(mark).await
    }

    fn to_revoke(&self, record: &Record) -> Waiting {
        Waiting::new(Revocation::of(record), self.clock.now(), &*self.entropy)
    }

    fn told_of_queue(&self, record: Option<&Record>, wanted: bool, queued: bool) {
        if queued {
            self.bell.notify_one();
        } else if let Some(record) = record.filter(|_| wanted) {
            tracing::error!(event = "revocation_given_up", session = %record.handle, reason = "queue full");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        identity::Subject,
        session::testing::{grant, origin, sessions_at, verified},
    };

    async fn signed_in(sessions: &Sessions) -> NewSession {
        sessions.create(verified("anna"), grant(""), ScopeSet::new(), origin()).await.unwrap()
    }

    #[tokio::test]
    async fn a_new_session_opens_and_an_ended_one_does_not() {
        let (sessions, _) = sessions_at(1_000);
        let new = signed_in(&sessions).await;
        let open = sessions.open(&new.id).await.unwrap().unwrap();
        assert_eq!(open.record().person.subject.as_str(), "anna");
        assert!(sessions.end(open.key(), Revoke::No).await.unwrap().is_some());
        assert!(sessions.open(&new.id).await.unwrap().is_none());
        assert!(sessions.end(open.key(), Revoke::No).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_stranger_identifier_opens_nothing() {
        let (sessions, _) = sessions_at(1_000);
        signed_in(&sessions).await;
        let other = SessionId::draw(&crate::entropy::SystemEntropy);
        assert!(sessions.open(&other).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_idle_session_ends_and_a_used_one_goes_on() {
        let (sessions, clock) = sessions_at(1_000);
        let (used, idle) = (signed_in(&sessions).await, signed_in(&sessions).await);
        for _ in 0..3 {
            clock.advance(Duration::from_secs(3 * 3600));
            assert!(sessions.open(&used.id).await.unwrap().is_some());
        }
        assert!(sessions.open(&idle.id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_session_ends_at_the_exact_moment_of_its_idle_timeout() {
        let (sessions, clock) = sessions_at(1_000);
        let new = signed_in(&sessions).await;
        clock.advance(Duration::from_secs(8 * 3600 - 1));
        let before = Arc::clone(new.session.record());
        assert!(sessions.ends_at(&Stored { record: before, last_seen: Timestamp::from_seconds(1_000) }) > clock.now());
        clock.advance(Duration::from_secs(1));
        assert!(sessions.open(&new.id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn no_session_outlives_its_maximum_however_much_it_is_used() {
        let (sessions, clock) = sessions_at(1_000);
        let new = signed_in(&sessions).await;
        for _ in 0..23 {
            clock.advance(Duration::from_secs(3600));
            assert!(sessions.open(&new.id).await.unwrap().is_some());
        }
        clock.advance(Duration::from_secs(3600));
        assert!(sessions.open(&new.id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_new_grant_does_not_bring_an_ended_session_back() {
        let (sessions, _) = sessions_at(1_000);
        let new = signed_in(&sessions).await;
        let renewed = sessions.regrant(&new.session, grant("edu.users.read")).await.unwrap().unwrap();
        assert_eq!(renewed.record().generation, 1);
        assert!(sessions.regrant(&new.session, grant("")).await.unwrap().is_none(), "an older state must not win");
        sessions.end(new.session.key(), Revoke::No).await.unwrap();
        assert!(sessions.regrant(&renewed, grant("")).await.unwrap().is_none());
        assert!(sessions.open(&new.id).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_list_of_somebody_has_all_of_theirs_page_by_page_and_nobody_elses() {
        let (sessions, clock) = sessions_at(1_000);
        let over = signed_in(&sessions).await;
        clock.advance(Duration::from_secs(9 * 3600));
        let mut expected = Vec::new();
        for _ in 0..5 {
            expected.push(*signed_in(&sessions).await.session.key());
        }
        sessions.create(verified("ben"), grant(""), ScopeSet::new(), origin()).await.unwrap();
        expected.sort_unstable();
        let anna = Selector::Subject(Subject::parse("anna").unwrap());
        for most in [1, 2, 3, 6, 7] {
            let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
            loop {
                let (page, next) = sessions.list_of(&anna, after.as_ref(), most).await.unwrap();
                assert!(page.len() <= most);
                found.extend(page.iter().map(|listed| listed.key));
                pages += 1;
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(pages, 6_usize.div_ceil(most), "{most}");
            assert!(found == expected, "{most}");
        }
        let one = Selector::Handle(over.session.record().handle.clone());
        assert!(sessions.list_of(&one, None, 10).await.unwrap().0.is_empty(), "it has ended by itself");
    }

    #[test]
    fn a_manual_clock_is_a_clock() {
        let clock: Arc<dyn Clock> = ManualClock::at(Timestamp::from_seconds(1));
        assert_eq!(clock.now().seconds(), 1);
    }
}
