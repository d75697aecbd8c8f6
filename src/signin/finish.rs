//! The way back from Apple: every check, in order, before anybody is somebody.

use super::{
    Browser, LIFETIME, SignIn, TicketProblem,
    transaction::{self, Awaits, Transaction},
};
use crate::{
    apple::{
        AuthorizationCode, CallError, Callback, CallbackError, DeniedReason, Expected, State, TokenAnswer,
        VerifiedIdToken, VerifyError,
    },
    session::{
        ActiveSession, Device, Grant, Handle, Mark, NewSession, Revocation, Revoke, SessionId, SessionKey, StoreError,
    },
    telemetry::{Ending, SignInOutcome},
    web::{Form, Host, Place, ReturnPath, SameSite, SetCookie},
};

/// Why a sign-in did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// Apple's answer cannot be read in one way only.
    #[error("the callback is malformed: {0}")]
    Malformed(#[from] CallbackError),
    /// The answer belongs to no sign-in of this browser that is still under way.
    #[error("the state belongs to no sign-in under way in this browser")]
    Stale,
    /// What came from the home lets nobody in.
    #[error(transparent)]
    Ticket(#[from] TicketProblem),
    /// The person, or Apple for them, said no.
    #[error("the authorization was denied")]
    Denied(DeniedReason),
    /// A call to Apple failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Apple vouches for nobody: the answer has no ID token.
    #[error("Apple's answer has no id_token; see [apple] service")]
    NoIdToken,
    /// The ID token does not hold.
    #[error("the ID token is refused: {0}")]
    Verify(#[from] VerifyError),
    /// The session could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What came of a callback.
#[derive(Debug)]
pub enum Finished {
    /// Somebody has signed in.
    SignedIn {
        /// Cookies to set and to delete.
        cookies: Vec<SetCookie>,
        /// Where they wanted to go.
        onward: Onward,
        /// Whether this browser was theirs before, as far as anybody knows: what apps keep in it may stay.
        was_theirs: bool,
    },
    /// The callback was stale, and the browser has a session: on to where it wanted to go.
    AlreadySignedIn {
        /// Where that is.
        onward: Onward,
    },
    /// Nobody has signed in.
    Failed {
        /// Why.
        problem: Problem,
        /// Cookies to delete.
        cookies: Vec<SetCookie>,
        /// Where "Try again" leads after the sign-in.
        place: Place,
    },
}

/// The way on after a sign-in.
#[derive(Debug)]
pub enum Onward {
    /// On this host.
    Here(ReturnPath),
    /// To another host of ours, with a ticket.
    Elsewhere {
        /// The host.
        host: Host,
        /// The URL, with the ticket in it.
        url: String,
    },
}

impl SignIn {
    /// Judges Apple's answer.
    pub async fn finish(&self, form: &Form, browser: &Browser<'_>, device: Device) -> Finished {
        let finished = self.returned(form, browser, device).await;
        self.metrics.signed_in(finished.outcome(SignInOutcome::SignedIn));
        finished
    }

    async fn returned(&self, form: &Form, browser: &Browser<'_>, device: Device) -> Finished {
        // 1. One reading only: a repeated parameter is refused.
        let callback = match Callback::parse(form) {
            Ok(callback) => callback,
            Err(error) => return failed(error.into(), Vec::new(), ReturnPath::root().into()),
        };
        let state = callback.state();
        // 2. The state is of this browser: only its cookie opens to it.
        let Some(transaction) = Transaction::find(&self.names, &browser.jar, state, &self.sealer) else {
            return self.stale(browser, None).await;
        };
        // 3. In time, and 4. for the first time: both before the code is worth a call to Apple.
        let fresh = match transaction.has_expired(self.clock.now()) {
            true => Ok(false),
            false => self.use_up(state).await,
        };
        match fresh {
            Ok(true) => {}
            Ok(false) => return self.stale(browser, Some(transaction)).await,
            // The sign-in cookie stays: nothing is used up, and the same answer of Apple's can be tried again.
            Err(error) => return failed(error.into(), Vec::new(), self.place(transaction)),
        }
        let name = Transaction::cookie_name(&self.names, state);
        let mut cookies = vec![transaction::deletion(&self.names, &name, self.settings.response_mode)];
        match self.redeem(callback, &transaction, browser, device).await {
            Ok((new, was_theirs)) => {
                let names = &self.names;
                let value = self.write_id(browser.host, &new.id);
                cookies.push(SetCookie::new(names.session(), value, SameSite::Lax, names.secure()));
                Finished::SignedIn { cookies, onward: self.onward(transaction, new.id), was_theirs }
            }
            Err(problem) => failed(problem, cookies, self.place(transaction)),
        }
    }

    async fn redeem(
        &self,
        callback: Callback,
        transaction: &Transaction,
        browser: &Browser<'_>,
        device: Device,
    ) -> Result<(NewSession, bool), Problem> {
        // 5. The person agreed.
        let code = match callback {
            Callback::Granted { code, .. } => code,
            Callback::Denied { error, .. } => return Err(Problem::Denied(error)),
        };
        // 6. Apple takes the code from us, and only once.
        let mut answer = self.apple.redeem(&code, transaction.verifier.as_ref()).await?;
        // 7. and 8. Apple vouches for somebody, to us, in this very sign-in.
        let token = self.verify(&mut answer, transaction, &code).await?;
        let grant = granted(answer, &token, transaction);
        // Asked before the old session ends, for then nobody knows whose it was.
        let was_theirs = self.was_theirs(&token.person().subject, transaction.replaces, browser).await;
        let new = self.take_over(token, grant, transaction, browser, device).await?;
        self.remember_browser(&new.session).await;
        Ok((new, was_theirs))
    }

    async fn verify(
        &self,
        answer: &mut TokenAnswer,
        transaction: &Transaction,
        code: &AuthorizationCode,
    ) -> Result<VerifiedIdToken, Problem> {
        let raw = answer.id_token.take().ok_or(Problem::NoIdToken)?;
        let expected = Expected { nonce: &transaction.nonce, code, access_token: &answer.access_token };
        Ok(self.apple.verify(&raw, &expected).await?)
    }

    /// Puts a new session (9.) in the place of any that the browser had: the one it had when the sign-in
    /// began, and the one it has now.
    async fn take_over(
        &self,
        token: VerifiedIdToken,
        grant: Grant,
        transaction: &Transaction,
        browser: &Browser<'_>,
        device: Device,
    ) -> Result<NewSession, Problem> {
        let old = match self.old_sessions(transaction, browser).await {
            Ok(old) => old,
            Err(error) => {
                self.revoke_unused(grant).await;
                return Err(error.into());
            }
        };
        // What Apple was asked for before and did not grant is not asked for again by itself.
        let person = &token.person().subject;
        let own = old.iter().map(ActiveSession::record).filter(|record| record.person.subject == *person);
        let asked = own.fold(transaction.asked.clone(), |asked, record| asked.union(&record.asked));
        // Tokens that belong to no session would live on at Apple.
        let created = self.sessions.create(token, grant.clone(), asked, device).await;
        let new = match created {
            Ok(new) => new,
            Err(error) => {
                self.revoke_unused(grant).await;
                return Err(error.into());
            }
        };
        for session in old {
            self.replace(&session, &new.session).await?;
        }
        let record = new.session.record();
        tracing::info!(
            event = "signed_in", session = %record.handle,
            organization = record.person.organization.as_ref().map(tracing::field::display), scopes = %record.grant.scopes,
        );
        Ok(new)
    }

    /// The session that the browser had when the sign-in began, and the one that it has now.
    async fn old_sessions(
        &self,
        transaction: &Transaction,
        browser: &Browser<'_>,
    ) -> Result<Vec<ActiveSession>, StoreError> {
        let current = self.session_of(browser).await?;
        let before = match &transaction.replaces {
            Some(key) => self.sessions.open_key(key).await?,
            None => None,
        };
        let mut old: Vec<_> = before.into_iter().chain(current).collect();
        old.dedup_by_key(|session| *session.key());
        Ok(old)
    }

    /// Ends the session that a new one replaces. Another person's tokens are revoked, as at a sign-out;
    /// one's own are not, for Apple would take back the new grant with the old.
    pub(super) async fn replace(&self, old: &ActiveSession, new: &ActiveSession) -> Result<(), Problem> {
        let same = old.record().person.subject == new.record().person.subject;
        if same {
            // Before the end: a refresh of the old session may come back at any moment, in any process.
            self.sessions.mark(&replaced(old.key()), LIFETIME).await?;
            self.goes_on_in(old.key(), new).await?;
        }
        let revoke = if same { Revoke::No } else { self.revoke() };
        let Some(old) = self.sessions.end(old.key(), revoke).await? else { return Ok(()) };
        self.metrics.endings.count(Ending::Replaced);
        tracing::info!(event = "session_replaced", session = %old.handle, by = %new.record().handle, same_person = same);
        Ok(())
    }

    async fn revoke_unused(&self, grant: Grant) {
        if self.settings.revoke_on_sign_out {
            self.queue.push(Revocation::of_grant(Handle::draw(&*self.entropy), &grant)).await;
        }
    }

    /// Marks a state as used, in every process; false when it was.
    async fn use_up(&self, state: &State) -> Result<bool, StoreError> {
        let used = Mark::of("used state", &Transaction::cookie_name(&self.names, state));
        self.sessions.mark(&used, LIFETIME * 2).await
    }

    async fn stale(&self, browser: &Browser<'_>, transaction: Option<Transaction>) -> Finished {
        let place = |transaction: Option<Transaction>| match transaction {
            Some(transaction) => self.place(transaction),
            None => ReturnPath::root().into(),
        };
        match self.session_of(browser).await.map(|session| session.and(self.id_of(browser))) {
            Ok(Some(id)) => Finished::AlreadySignedIn {
                onward: match transaction {
                    Some(transaction) => self.onward(transaction, id),
                    None => Onward::Here(ReturnPath::root()),
                },
            },
            Ok(None) => failed(Problem::Stale, Vec::new(), place(transaction)),
            Err(error) => failed(error.into(), Vec::new(), place(transaction)),
        }
    }

    /// The way on from a sign-in that brought the session of `id`.
    fn onward(&self, transaction: Transaction, id: SessionId) -> Onward {
        match transaction.awaits {
            Awaits::AppleFor(errand) => self.with_ticket(errand, id),
            Awaits::Apple | Awaits::Home => Onward::Here(transaction.return_to),
        }
    }

    /// Where the person wanted to go.
    fn place(&self, transaction: Transaction) -> Place {
        let origin = match transaction.awaits {
            Awaits::AppleFor(errand) => Some(self.home().origin_of(&errand.host)),
            Awaits::Apple | Awaits::Home => None,
        };
        Place { origin, path: transaction.return_to }
    }
}

/// The mark of a session whose person goes on in another one.
pub(super) fn replaced(key: &SessionKey) -> Mark {
    Mark::of("replaced session", &key.to_text())
}

/// Told to the log by the caller, who knows the number of the request.
fn failed(problem: Problem, cookies: Vec<SetCookie>, place: Place) -> Finished {
    Finished::Failed { problem, cookies, place }
}

/// The scopes that Apple granted: those of the answer, else those of the ID token, else those asked for.
fn granted(answer: TokenAnswer, token: &VerifiedIdToken, transaction: &Transaction) -> Grant {
    let scopes = answer.scope.or_else(|| token.scopes().cloned()).unwrap_or_else(|| transaction.asked.clone());
    Grant {
        access_token: answer.access_token,
        access_expires_at: answer.expires_at,
        refresh_token: answer.refresh_token,
        refreshed_at: None,
        scopes,
    }
}
