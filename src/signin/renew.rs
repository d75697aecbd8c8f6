//! Fresh access tokens: one refresh at a time for each session, ahead of expiry, and none that signs
//! anybody out but `invalid_grant`.

use std::{
    pin::pin,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use tokio::{sync::oneshot, time::timeout};

use super::{SignIn, finish::replaced, meters};
use crate::{
    apple::{CallError, RefreshToken, TokenAnswer, Unavailable},
    clock::Timestamp,
    session::{ActiveSession, Grant, Holder, Lease, Record, Revocation, SessionKey, StoreError},
    telemetry::{Ending, Refresh, still_in_request},
};

/// How long the right to refresh a session is one process's, unless it is renewed. When a process dies with
/// it, the others wait for so long.
const LEASE: Duration = Duration::from_secs(15);

/// How often the lease is renewed while Apple takes its time.
const RENEW_EVERY: Duration = Duration::from_secs(4);

/// How often those who wait for another process look, when they hear nothing.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long anybody waits for another process.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How often a store that did not take Apple's answer is tried again.
const KEEP_EVERY: Duration = Duration::from_millis(500);

/// How long an answer of Apple's is kept for a store that does not take it.
const LONGEST_KEEPING: Duration = Duration::from_secs(600);

/// After a failed refresh nobody tries again for so long.
const COOL_DOWN: Duration = Duration::from_secs(10);

/// Longest cool-down, whatever Apple's `Retry-After` says: a token that dies meanwhile is worth a try.
const LONGEST_COOL_DOWN: Duration = Duration::from_secs(300);

/// Why there is no fresh token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenewProblem {
    /// Apple ended the grant, and so the session ended.
    #[error("the session has ended: Apple takes its refresh token no more")]
    Ended,
    /// The token is dead and Apple cannot be asked; later it may be.
    #[error("the access token has expired and Apple cannot be reached")]
    Unavailable {
        /// When to try again.
        retry_after: Duration,
    },
    /// The session could not be read or kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What comes of a refresh.
type Outcome = Result<ActiveSession, RenewProblem>;

/// A refresh under way; everybody who waits gets its result.
pub(super) type Renewal = Shared<BoxFuture<'static, Outcome>>;

/// Those who wait for a refresh. They may be told before it is over: nobody waits for a store.
struct Waiters(Option<oneshot::Sender<Outcome>>);

impl Waiters {
    /// Tells them, unless they have been told.
    fn tell(&mut self, outcome: Outcome) {
        if let Some(waiters) = self.0.take() {
            // Nobody waits when all browsers were impatient.
            let _ = waiters.send(outcome);
        }
    }
}

/// What a token's age asks for.
#[derive(Debug, PartialEq, Eq)]
enum Need {
    /// Nothing: it serves.
    Nothing,
    /// A refresh while it serves.
    Ahead,
    /// A refresh before anybody gets it.
    Now,
}

/// Whose turn it is.
enum Turn {
    /// Ours, with the newest state of the session.
    Mine(ActiveSession),
    /// Nobody's any more: another process has refreshed the session.
    Over(ActiveSession),
}

/// The place of a refresh among those under way: free again when the refresh ends, even by a panic.
struct Entry<'a> {
    signin: &'a SignIn,
    key: SessionKey,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.signin.renewals.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl SignIn {
    /// Whether the access token of a session that was opened just now serves without any more ado, as most do.
    #[must_use]
    pub fn serves(&self, session: &ActiveSession) -> bool {
        self.need(session.record(), session.opened()) == Need::Nothing
    }

    /// The session with an access token that has at least `refresh_before` of life left.
    ///
    /// A thousand calls at once are one call to Apple. While the old token lives, a refresh that fails
    /// costs nothing: the old one is served.
    ///
    /// # Errors
    /// When there is no live token to be had.
    pub async fn fresh(self: &Arc<Self>, session: ActiveSession) -> Result<ActiveSession, RenewProblem> {
        let now = self.clock.now();
        match self.need(session.record(), now) {
            Need::Nothing => Ok(session),
            Need::Ahead => {
                // Whose token is dead comes first.
                if self.renewals.turns.available_permits() > 0 && !self.is_cooling(&session, now) {
                    // Runs by itself; the result is in the store when it is needed.
                    drop(self.join(&session));
                }
                Ok(session)
            }
            Need::Now => self.renewed_or_old(session, now).await,
        }
    }

    async fn renewed_or_old(
        self: &Arc<Self>,
        session: ActiveSession,
        now: Timestamp,
    ) -> Result<ActiveSession, RenewProblem> {
        let lives = || session.record().grant.access_expires_at > self.clock.now();
        let outcome = match self.renewals.cooling.get(session.key()).filter(|until| *until > now) {
            Some(until) => Err(RenewProblem::Unavailable { retry_after: until.since(now) }),
            None => {
                let renewal = self.join(&session);
                match timeout(self.apple.timeout(), renewal.clone()).await {
                    Ok(outcome) => outcome,
                    // Behind many others it takes long, and goes on by itself: the old one is good enough.
                    Err(_) if lives() => Err(RenewProblem::Unavailable { retry_after: COOL_DOWN }),
                    Err(_) => renewal.await,
                }
            }
        };
        match outcome {
            // While this one waited, the person may have signed out.
            Err(RenewProblem::Unavailable { .. }) if lives() => {
                self.sessions.reopen(&session).await?.ok_or(RenewProblem::Ended)
            }
            // A store that can be read says which token is the newest; one that cannot, says nothing.
            Err(RenewProblem::Store(_)) if lives() => self.sessions.newest(&session).await?.ok_or(RenewProblem::Ended),
            other => other,
        }
    }

    fn need(&self, record: &Record, now: Timestamp) -> Need {
        let grant = &record.grant;
        let margin = self.settings.refresh_before;
        let left = grant.access_expires_at.since(now);
        let obtained = grant.refreshed_at.unwrap_or(record.created);
        let life = grant.access_expires_at.since(obtained);
        if !left.is_zero() {
            // Apple gives no longer ones: half of such a token's life is spent before the next call.
            let as_good_as_it_gets =
                grant.refreshed_at.is_some() && life < margin * 2 && now.since(obtained) < life / 2;
            if grant.refresh_token.is_none() || as_good_as_it_gets {
                return Need::Nothing;
            }
        }
        match left {
            left if left < margin || left.is_zero() => Need::Now,
            left if left < margin * 2 && life >= margin * 4 => Need::Ahead,
            _ => Need::Nothing,
        }
    }

    fn is_cooling(&self, session: &ActiveSession, now: Timestamp) -> bool {
        self.renewals.cooling.get(session.key()).is_some_and(|until| until > now)
    }

    /// The refresh of this session that is under way, or a new one. It runs to its end whether or not
    /// anybody waits: a rotated refresh token must not be lost with an impatient browser.
    fn join(self: &Arc<Self>, session: &ActiveSession) -> Renewal {
        let mut renewing = self.renewals.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(renewal) = renewing.get(session.key()) {
            return renewal.clone();
        }
        let (this, session_) = (Arc::clone(self), session.clone());
        let (waiters, told) = oneshot::channel();
        let task = async move {
            let _entry = Entry { signin: &this, key: *session_.key() };
            let mut waiters = Waiters(Some(waiters));
            let outcome = this.renew(&session_, &mut waiters).await;
            waiters.tell(outcome);
        };
        // In the log it belongs to the request that was the first to need it.
        self.renewals.tasks.spawn(still_in_request(task));
        let renewal = async move { told.await.unwrap_or(Err(RenewProblem::Unavailable { retry_after: COOL_DOWN })) }
            .boxed()
            .shared();
        renewing.insert(*session.key(), renewal.clone());
        renewal
    }

    /// Resolves when no refresh is under way any more: a process that ends before has lost what Apple answers.
    pub async fn renewed(&self) {
        self.renewals.turns.close();
        self.renewals.tasks.close();
        self.renewals.tasks.wait().await;
    }

    /// One refresh, of all processes at once: whoever has the lease calls Apple, the others wait for what
    /// comes of it.
    async fn renew(&self, session: &ActiveSession, waiters: &mut Waiters) -> Outcome {
        let holder = Holder::draw(&*self.entropy);
        let outcome = match self.turn(session, &holder).await? {
            Turn::Over(session) => return Ok(session),
            // Somebody may have been here between the caller's look and the lease.
            Turn::Mine(session) if self.need(session.record(), self.clock.now()) == Need::Nothing => Ok(session),
            Turn::Mine(session) => self.call_apple(&session, &holder, waiters).await,
        };
        let cool_down = match &outcome {
            Err(RenewProblem::Unavailable { retry_after }) => *retry_after,
            Ok(_) | Err(RenewProblem::Ended | RenewProblem::Store(_)) => Duration::ZERO,
        };
        // A lease that cannot be given back ends by itself.
        let _ = self.sessions.release(session, &holder, cool_down).await;
        outcome
    }

    /// Waits for the lease, or for the process that has it to be done.
    async fn turn(&self, session: &ActiveSession, holder: &Holder) -> Result<Turn, RenewProblem> {
        let begun = self.clock.now();
        loop {
            let lease = self.sessions.lease(session, holder, LEASE).await?;
            let newest = self.sessions.newest(session).await?.ok_or(RenewProblem::Ended)?;
            let now = self.clock.now();
            match lease {
                Lease::Granted => return Ok(Turn::Mine(newest)),
                Lease::Held | Lease::Cooling(_) if self.need(newest.record(), now) == Need::Nothing => {
                    return Ok(Turn::Over(newest));
                }
                Lease::Cooling(rest) => {
                    let retry_after = rest.max(Duration::from_secs(1));
                    self.renewals.cooling.insert(*session.key(), now.plus(retry_after));
                    return Err(RenewProblem::Unavailable { retry_after });
                }
                Lease::Held if now.since(begun) >= LONGEST_WAIT => {
                    return Err(RenewProblem::Unavailable { retry_after: COOL_DOWN });
                }
                Lease::Held => self.sessions.stirred(LOOK_EVERY).await,
            }
        }
    }

    async fn call_apple(&self, session: &ActiveSession, holder: &Holder, waiters: &mut Waiters) -> Outcome {
        let Some(token) = session.record().grant.refresh_token.clone() else {
            self.metrics.refreshes.count(Refresh::NoRefreshToken);
            return self.over(session, "no_refresh_token").await;
        };
        let mut call = pin!(async {
            // For as long as Apple is asked, and no longer: who waits for a lease or for the store keeps nobody else back.
            // At the end of the process there are no more turns.
            let _turn = self.renewals.turns.acquire().await.map_err(|_closed| Unavailable::Interrupted)?;
            self.apple.refresh(&token).await
        });
        let answer = loop {
            tokio::select! {
                answer = &mut call => break answer,
                () = self.clock.sleep(RENEW_EVERY) => {
                    // Lost or not, the call is under way, and its answer must not be lost. What fences off a
                    // holder who comes too late is the generation of the record.
                    let _ = self.sessions.lease(session, holder, LEASE).await;
                }
            }
        };
        match answer {
            Ok(answer) => {
                let grant = self.grant_of(answer, session, token.clone());
                match self.keep(session, &grant).await {
                    Err(RenewProblem::Store(error)) => {
                        self.metrics.refreshes.count(Refresh::NotKept);
                        tracing::warn!(event = "refresh_not_kept", session = %session.record().handle, reason = %error);
                        waiters.tell(Err(RenewProblem::Store(error)));
                        self.keep_in_the_end(session, &grant, holder).await
                    }
                    kept => {
                        self.metrics.refreshes.count(Refresh::Refreshed);
                        kept
                    }
                }
            }
            Err(error) => {
                self.metrics.refreshes.count(meters::failed_refresh(&error));
                // `invalid_request` is no end: TN3107 says that Apple uses it for "the user has revoked authorization"
                // too, but also for every mistake of ours, and a mistake of ours must not sign a school out.
                match error == CallError::InvalidGrant {
                    true => self.over(session, "invalid_grant").await,
                    false => Err(self.failed_refresh(session, &error)),
                }
            }
        }
    }

    fn grant_of(&self, answer: TokenAnswer, session: &ActiveSession, old: RefreshToken) -> Grant {
        Grant {
            access_token: answer.access_token,
            access_expires_at: answer.expires_at,
            refresh_token: Some(answer.refresh_token.unwrap_or(old)),
            refreshed_at: Some(self.clock.now()),
            scopes: answer.scope.unwrap_or_else(|| session.record().grant.scopes.clone()),
        }
    }

    async fn keep(&self, session: &ActiveSession, grant: &Grant) -> Outcome {
        if let Some(renewed) = self.sessions.regrant(session, grant.clone()).await? {
            tracing::info!(event = "refreshed", session = %session.record().handle);
            return Ok(renewed);
        }
        // The session ended, or another node was quicker.
        match self.sessions.newest(session).await? {
            Some(newer) => Ok(newer),
            None => {
                if self.settings.revoke_on_sign_out && !self.goes_on_elsewhere(session).await? {
                    self.queue.push(Revocation::of_grant(session.record().handle.clone(), grant)).await;
                }
                Err(RenewProblem::Ended)
            }
        }
    }

    /// Tries again and again: Apple may take the old refresh token no more, and then this is the only one.
    async fn keep_in_the_end(&self, session: &ActiveSession, grant: &Grant, holder: &Holder) -> Outcome {
        let begun = self.clock.now();
        loop {
            self.clock.sleep(KEEP_EVERY).await;
            match self.keep(session, grant).await {
                Err(RenewProblem::Store(_)) if self.clock.now().since(begun) < LONGEST_KEEPING => {
                    // Nobody else may call Apple with the old one meanwhile.
                    let _ = self.sessions.lease(session, holder, LEASE).await;
                }
                kept => return kept,
            }
        }
    }

    /// Whether a new session of the same person took the place of this one: then Apple would take back the
    /// new grant with what a late refresh brought the old.
    async fn goes_on_elsewhere(&self, session: &ActiveSession) -> Result<bool, StoreError> {
        self.sessions.is_marked(&replaced(session.key())).await
    }

    /// No fresh token can come of this grant: the end of the session, unless there is a newer grant.
    async fn over(&self, session: &ActiveSession, reason: &str) -> Result<ActiveSession, RenewProblem> {
        if self.sessions.end_unchanged(session).await? {
            let record = session.record();
            self.metrics.endings.count(Ending::GrantEnded);
            tracing::info!(event = "session_ended_by_apple", session = %record.handle, reason);
            return Err(RenewProblem::Ended);
        }
        self.sessions.newest(session).await?.ok_or(RenewProblem::Ended)
    }

    fn failed_refresh(&self, session: &ActiveSession, error: &CallError) -> RenewProblem {
        let asked = match error {
            CallError::Throttled { retry_after } => retry_after.unwrap_or(COOL_DOWN),
            CallError::InvalidGrant
            | CallError::InvalidClient
            | CallError::Refused(_)
            | CallError::Unavailable(_)
            | CallError::Malformed(_) => COOL_DOWN,
        };
        let retry_after = asked.clamp(Duration::from_secs(1), LONGEST_COOL_DOWN);
        self.renewals.cooling.insert(*session.key(), self.clock.now().plus(retry_after));
        tracing::warn!(event = "refresh_failed", session = %session.record().handle, reason = %error);
        RenewProblem::Unavailable { retry_after }
    }
}
