//! Opens, makes and ends sessions, and judges their lifetimes.

use std::{sync::Arc, time::Duration};

use super::{ActiveSession, Grant, Handle, Record, SessionId, SessionKey, Store, StoreError, store::Stored};
use crate::{
    apple::VerifiedIdToken,
    clock::{SharedClock, Timestamp},
    entropy::SharedEntropy,
    identity::ScopeSet,
};

/// How often at most "last seen" is written: the hot path writes nothing in between.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// Lifetimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// A session that is not used for so long has ended.
    pub idle_timeout: Duration,
    /// A session older than this has ended, used or not.
    pub max_lifetime: Duration,
}

/// A session that was just made: the identifier goes to the browser, and nowhere else.
#[derive(Debug)]
pub struct NewSession {
    /// The identifier for the cookie.
    pub id: SessionId,
    /// The session.
    pub session: ActiveSession,
}

/// All sessions.
#[derive(Debug)]
pub struct Sessions {
    settings: Settings,
    store: Arc<dyn Store>,
    clock: SharedClock,
    entropy: SharedEntropy,
}

impl Sessions {
    /// Sessions in `store`.
    #[must_use]
    pub fn new(settings: Settings, store: Arc<dyn Store>, clock: SharedClock, entropy: SharedEntropy) -> Self {
        Self { settings, store, clock, entropy }
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
    ) -> Result<NewSession, StoreError> {
        let id = SessionId::draw(&*self.entropy);
        let now = self.clock.now();
        let record = Arc::new(Record {
            handle: Handle::draw(&*self.entropy),
            person: token.person().clone(),
            id_token: token.raw().clone(),
            grant,
            asked,
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
        if now.since(stored.last_seen) >= TOUCH_EVERY.min(self.settings.idle_timeout / 10) {
            self.store.touch(key, now).await?;
        }
        Ok(Some(ActiveSession::new(*key, stored.record)))
    }

    /// When a session ends if it is not used again.
    fn ends_at(&self, stored: &Stored) -> Timestamp {
        let idle = stored.last_seen.plus(self.settings.idle_timeout);
        idle.min(stored.record.created.plus(self.settings.max_lifetime))
    }

    /// The last moment of a session, however much it is used.
    #[must_use]
    pub fn expires_at(&self, session: &ActiveSession) -> Timestamp {
        session.record().created.plus(self.settings.max_lifetime)
    }

    /// How long a session may go unused.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.settings.idle_timeout
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
    pub async fn end(&self, key: &SessionKey) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.store.remove(key).await?.map(|stored| stored.record))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        session::testing::{grant, sessions_at, verified},
    };

    async fn signed_in(sessions: &Sessions) -> NewSession {
        sessions.create(verified("anna"), grant(""), ScopeSet::new()).await.unwrap()
    }

    #[tokio::test]
    async fn a_new_session_opens_and_an_ended_one_does_not() {
        let (sessions, _) = sessions_at(1_000);
        let new = signed_in(&sessions).await;
        let open = sessions.open(&new.id).await.unwrap().unwrap();
        assert_eq!(open.record().person.subject.as_str(), "anna");
        assert!(sessions.end(open.key()).await.unwrap().is_some());
        assert!(sessions.open(&new.id).await.unwrap().is_none());
        assert!(sessions.end(open.key()).await.unwrap().is_none());
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
        sessions.end(new.session.key()).await.unwrap();
        assert!(sessions.regrant(&renewed, grant("")).await.unwrap().is_none());
        assert!(sessions.open(&new.id).await.unwrap().is_none());
    }

    #[test]
    fn a_manual_clock_is_a_clock() {
        let clock: Arc<dyn Clock> = ManualClock::at(Timestamp::from_seconds(1));
        assert_eq!(clock.now().seconds(), 1);
    }
}
