//! Opens, makes and ends sessions, and judges their lifetimes.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;

use super::{
    ActiveSession, Device, Grant, Handle, IdToken, LiveLifetimes, Mark, Note, NoteName, Record, SessionId, SessionKey,
    Store, StoreError, Swap,
    near::Near,
    seen::Seen,
    store::{Holder, Lease, Stored},
    watches::{Over, Watches},
};
use crate::{
    apple::VerifiedIdToken,
    clock::{SharedClock, Timestamp},
    entropy::SharedEntropy,
    identity::ScopeSet,
};

/// How often at most "last seen" is written: the hot path writes nothing in between.
const TOUCH_EVERY: Duration = Duration::from_secs(60);

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
    lifetimes: LiveLifetimes,
    pub(super) near: Near,
    pub(super) seen: Seen,
    pub(super) watches: Arc<Watches>,
    pub(super) clock: SharedClock,
    pub(super) entropy: SharedEntropy,
    pub(super) bell: Arc<Notify>,
}

impl Sessions {
    /// Sessions in `store`.
    #[must_use]
    pub fn new(
        lifetimes: impl Into<LiveLifetimes>,
        store: Arc<dyn Store>,
        clock: SharedClock,
        entropy: SharedEntropy,
    ) -> Arc<Self> {
        let watches = Arc::<Watches>::default();
        let near = Near::new(store, Arc::clone(&watches), Arc::clone(&clock));
        Arc::new(Self {
            lifetimes: lifetimes.into(),
            near,
            seen: Seen::default(),
            watches,
            clock,
            entropy,
            bell: Arc::default(),
        })
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
        device: Device,
    ) -> Result<NewSession, StoreError> {
        let id = SessionId::draw(&*self.entropy);
        let now = self.clock.now();
        let record = Arc::new(Record {
            handle: Handle::draw(&*self.entropy),
            person: token.person().clone(),
            id_token: IdToken::new(token.raw(), token.person()),
            grant,
            asked,
            device,
            created: now,
            generation: 0,
        });
        self.near.insert(id.key(), Stored { record: Arc::clone(&record), last_seen: now }).await?;
        Ok(NewSession { session: ActiveSession::new(id.key(), record, now), id })
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
        let (found, now) = self.look(key).await?;
        let Some(stored) = found else { return Ok(None) };
        let unseen = now.since(stored.last_seen);
        if unseen >= TOUCH_EVERY || unseen >= self.lifetimes.now().idle_timeout / 10 {
            if self.near.is_memory() {
                self.near.store().touch(&[(*key, now)]).await?;
            } else {
                self.near.seen(key, now);
                self.seen.note(*key, now);
            }
        }
        Ok(Some(ActiveSession::new(*key, stored.record, now)))
    }

    /// A live session, and the moment at which it was live; that somebody looks does not count as use. The clock is
    /// read once, unless the store has to be asked, which takes time.
    pub(super) async fn look(&self, key: &SessionKey) -> Result<(Option<Stored>, Timestamp), StoreError> {
        let now = self.clock.now();
        match self.near.known_for_sure(key, now) {
            // Another process may have seen it since.
            Some(Some(stored)) if self.is_over(&stored, now) && !self.near.is_memory() => {}
            Some(found) => return Ok((found.filter(|stored| !self.is_over(stored, now)), now)),
            None => {}
        }
        let found = self.near.find_anew(key).await;
        let now = self.clock.now();
        match found {
            Ok(stored) => Ok((stored.filter(|stored| !self.is_over(stored, now)), now)),
            // Whoever has the cookie may sign in anew. That no key opens the store at all is found at the start.
            Err(StoreError::Unreadable) => {
                tracing::error!(
                    event = "record_unreadable",
                    "no key of the key file opens this session; put back the line that was taken out of it"
                );
                Ok((None, now))
            }
            Err(error @ StoreError::Unavailable(_)) => Err(error),
        }
    }

    fn is_over(&self, stored: &Stored, now: Timestamp) -> bool {
        self.ends_at(stored) <= now
    }

    /// The newest state of a session, from the store itself: another process may just have renewed its
    /// grant.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn newest(&self, session: &ActiveSession) -> Result<Option<ActiveSession>, StoreError> {
        let Some(stored) = self.near.find_anew(session.key()).await? else { return Ok(None) };
        let now = self.clock.now();
        Ok((!self.is_over(&stored, now)).then(|| ActiveSession::new(*session.key(), stored.record, now)))
    }

    /// Resolves when a session has ended, here, in another process, or by itself; or when nobody has been able
    /// to say for a while.
    pub async fn over(&self, session: &ActiveSession) -> Over {
        let watch = self.watches.watch(session.key());
        // Watched first, so that no end is missed in between. A store that cannot tell is asked again, by
        // [`Self::tend`].
        match self.look(session.key()).await {
            Ok((None, _)) => Over::Ended,
            Ok((Some(_), _)) | Err(_) => watch.over().await,
        }
    }

    /// Resolves at the next change of any session that this process hears of, or after `while_`.
    pub async fn stirred(&self, while_: Duration) {
        tokio::select! {
            () = self.watches.stirred() => {}
            () = self.clock.sleep(while_) => {}
        }
    }

    /// Takes or renews the lease of a session's refresh.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn lease(&self, session: &ActiveSession, holder: &Holder, length: Duration) -> Result<Lease, StoreError> {
        self.near.store().lease(session.key(), holder, length).await
    }

    /// Gives the lease of a session's refresh back; nobody may take it before `cool_down` is over.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn release(
        &self,
        session: &ActiveSession,
        holder: &Holder,
        cool_down: Duration,
    ) -> Result<(), StoreError> {
        self.near.store().release(session.key(), holder, cool_down).await
    }

    /// The record of a key, of a session that is live or has ended by itself a while ago: who last used this
    /// browser. It opens nothing.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn last_record(&self, key: &SessionKey) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.near.find_anew(key).await?.map(|stored| stored.record))
    }

    /// The record of an identifier while its session is live. That somebody looks does not count as use.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn live_record(&self, id: &SessionId) -> Result<Option<Arc<Record>>, StoreError> {
        Ok(self.look(&id.key()).await?.0.map(|stored| stored.record))
    }

    pub(super) fn ends_at(&self, stored: &Stored) -> Timestamp {
        self.lifetimes.now().ends_at(stored.record.created, stored.last_seen)
    }

    /// The last moment of a session, however much it is used.
    #[must_use]
    pub fn expires_at(&self, session: &ActiveSession) -> Timestamp {
        self.lifetimes.now().expires_at(session.record().created)
    }

    /// How long a session may go unused.
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.lifetimes.now().idle_timeout
    }

    /// Puts a renewed grant in the place of the one that `session` shows. `None` when the session has
    /// ended or was changed meanwhile.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn regrant(&self, session: &ActiveSession, grant: Grant) -> Result<Option<ActiveSession>, StoreError> {
        let old = session.record();
        let record = Arc::new(Record { grant, generation: old.generation + 1, ..Record::clone(old) });
        let replaced = self.near.replace(session.key(), old.generation, Arc::clone(&record)).await?;
        Ok(replaced.then(|| ActiveSession::new(*session.key(), record, self.clock.now())))
    }

    /// How many sessions there are, give or take those that have ended by themselves a moment ago.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn count(&self) -> Result<usize, StoreError> {
        self.near.store().count().await
    }

    /// Whether the store can be read and written.
    ///
    /// # Errors
    /// When not, with the reason.
    pub async fn ready(&self) -> Result<(), StoreError> {
        self.near.store().ready().await
    }

    /// Sets a mark for `keep`; false when it was set before.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn mark(&self, mark: &Mark, keep: Duration) -> Result<bool, StoreError> {
        self.near.store().mark(mark, keep).await
    }

    /// Whether a mark is set.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn is_marked(&self, mark: &Mark) -> Result<bool, StoreError> {
        self.near.store().is_marked(mark).await
    }

    /// The note of a name; `None` when there is none, or its time is over.
    ///
    /// # Errors
    /// When the store is not available, or the note does not open.
    pub async fn note(&self, name: &NoteName) -> Result<Option<Note>, StoreError> {
        self.near.store().note(name).await
    }

    /// Changes the note of a name, when it is still the one that the caller has seen: see [`Store::swap_note`].
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn swap_note(
        &self,
        name: &NoteName,
        expected: Option<&Note>,
        new: Option<&[u8]>,
        keep: Duration,
    ) -> Result<Swap, StoreError> {
        self.near.store().swap_note(name, expected, new, keep).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        identity::Subject,
        session::{
            Revoke, Selector,
            testing::{device, grant, sessions_at, verified},
        },
    };

    async fn signed_in(sessions: &Sessions) -> NewSession {
        sessions.create(verified("anna"), grant(""), ScopeSet::new(), device()).await.unwrap()
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
    async fn to_look_whose_a_session_is_keeps_it_alive_no_longer() {
        let (sessions, clock) = sessions_at(1_000);
        let new = signed_in(&sessions).await;
        for _ in 0..2 {
            clock.advance(Duration::from_secs(3 * 3600));
            assert!(sessions.live_record(&new.id).await.unwrap().is_some());
        }
        clock.advance(Duration::from_secs(3 * 3600));
        assert!(sessions.live_record(&new.id).await.unwrap().is_none(), "looking counted as use");
        let last = sessions.last_record(&new.id.key()).await.unwrap().expect("it is known whose it was");
        assert_eq!(last.person.subject.as_str(), "anna");
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
        sessions.create(verified("ben"), grant(""), ScopeSet::new(), device()).await.unwrap();
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
