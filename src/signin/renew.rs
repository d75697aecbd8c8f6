//! Fresh access tokens: one refresh at a time for each session, ahead of expiry, and none that signs
//! anybody out but `invalid_grant`.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{SignIn, finish::replaced};
use crate::{
    apple::{CallError, RefreshToken, TokenAnswer},
    clock::Timestamp,
    session::{ActiveSession, Grant, Record, Revocation, Revoke, SessionKey, StoreError},
};

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

/// A refresh under way; everybody who waits gets its result.
pub(super) type Renewal = Shared<BoxFuture<'static, Result<ActiveSession, RenewProblem>>>;

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

/// The place of a refresh among those under way: free again when the refresh ends, even by a panic.
struct Entry<'a> {
    signin: &'a SignIn,
    key: SessionKey,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.signin.renewing.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

impl SignIn {
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
                if !self.is_cooling(&session, now) {
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
        let outcome = match self.cooling.get(session.key()).filter(|until| *until > now) {
            Some(until) => Err(RenewProblem::Unavailable { retry_after: until.since(now) }),
            None => self.join(&session).await,
        };
        match outcome {
            // While this one waited, the person may have signed out.
            Err(RenewProblem::Unavailable { .. }) if session.record().grant.access_expires_at > self.clock.now() => {
                self.sessions.reopen(&session).await?.ok_or(RenewProblem::Ended)
            }
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
        self.cooling.get(session.key()).is_some_and(|until| until > now)
    }

    /// The refresh of this session that is under way, or a new one. It runs to its end whether or not
    /// anybody waits: a rotated refresh token must not be lost with an impatient browser.
    fn join(self: &Arc<Self>, session: &ActiveSession) -> Renewal {
        let mut renewing = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(renewal) = renewing.get(session.key()) {
            return renewal.clone();
        }
        let (this, session_) = (Arc::clone(self), session.clone());
        let task = tokio::spawn(async move {
            let _entry = Entry { signin: &this, key: *session_.key() };
            this.renew(&session_).await
        });
        let renewal = async move { task.await.unwrap_or(Err(RenewProblem::Unavailable { retry_after: COOL_DOWN })) }
            .boxed()
            .shared();
        renewing.insert(*session.key(), renewal.clone());
        renewal
    }

    async fn renew(&self, session: &ActiveSession) -> Result<ActiveSession, RenewProblem> {
        // Somebody may have been here between the caller's look and ours.
        let session = self.sessions.reopen(session).await?.ok_or(RenewProblem::Ended)?;
        if self.need(session.record(), self.clock.now()) == Need::Nothing {
            return Ok(session);
        }
        let Some(token) = session.record().grant.refresh_token.clone() else {
            return self.ended(&session).await;
        };
        match self.apple.refresh(&token).await {
            Ok(answer) => self.keep(&session, answer, token).await,
            Err(CallError::InvalidGrant) => self.ended(&session).await,
            Err(error) => Err(self.failed_refresh(&session, &error)),
        }
    }

    async fn keep(
        &self,
        session: &ActiveSession,
        answer: TokenAnswer,
        old: RefreshToken,
    ) -> Result<ActiveSession, RenewProblem> {
        let grant = Grant {
            access_token: answer.access_token,
            access_expires_at: answer.expires_at,
            refresh_token: Some(answer.refresh_token.unwrap_or(old)),
            refreshed_at: Some(self.clock.now()),
            scopes: answer.scope.unwrap_or_else(|| session.record().grant.scopes.clone()),
        };
        tracing::info!(event = "refreshed", session = %session.record().handle);
        if let Some(renewed) = self.sessions.regrant(session, grant.clone()).await? {
            return Ok(renewed);
        }
        // The session ended, or another node was quicker.
        match self.sessions.reopen(session).await? {
            Some(newer) => Ok(newer),
            None => {
                if self.settings.revoke_on_sign_out && !self.goes_on_elsewhere(session).await? {
                    self.queue.push(Revocation::of_grant(session.record().handle.clone(), &grant)).await;
                }
                Err(RenewProblem::Ended)
            }
        }
    }

    /// Whether a new session of the same person took the place of this one: then Apple would take back the
    /// new grant with what a late refresh brought the old.
    async fn goes_on_elsewhere(&self, session: &ActiveSession) -> Result<bool, StoreError> {
        self.sessions.is_marked(&replaced(session.key())).await
    }

    /// Apple takes the refresh token no more: one look at the store for a newer grant, then the end.
    async fn ended(&self, session: &ActiveSession) -> Result<ActiveSession, RenewProblem> {
        match self.sessions.reopen(session).await? {
            Some(newer) if newer.record().generation > session.record().generation => Ok(newer),
            Some(_) | None => {
                self.sessions.end(session.key(), Revoke::No).await?;
                let record = session.record();
                tracing::info!(event = "session_ended", session = %record.handle, subject = %record.person.subject, reason = "invalid_grant");
                Err(RenewProblem::Ended)
            }
        }
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
        self.cooling.insert(*session.key(), self.clock.now().plus(retry_after));
        tracing::warn!(event = "refresh_failed", session = %session.record().handle, reason = %error);
        RenewProblem::Unavailable { retry_after }
    }
}
