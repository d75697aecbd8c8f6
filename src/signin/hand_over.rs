//! One sign-in for many hosts: the home gives a browser a ticket for the host where it waits, and that host lets it
//! in once.

use super::{
    Browser, Finished, LIFETIME, Onward, Problem, SignIn,
    errand::{Errand, Ticket, Wish},
    transaction::{self, Transaction},
};
use crate::{
    session::{ActiveSession, Mark, SessionId, StoreError},
    telemetry::SignInOutcome,
    web::{OWN_PREFIX, Place, ReturnPath, SameSite, SetCookie},
};

/// Why a ticket lets nobody in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TicketProblem {
    /// Not ours, or changed.
    #[error("the ticket does not open")]
    Unreadable,
    /// For another of our hosts.
    #[error("the ticket is for another host")]
    OtherHost,
    /// Older than a minute.
    #[error("the ticket has expired")]
    Expired,
    /// The browser that brings it has not asked for it, or too long ago.
    #[error("this browser does not wait for the ticket")]
    OtherBrowser,
    /// Somebody brought it before, or another for the same sign-in.
    #[error("the ticket was used already")]
    Used,
    /// Somebody has signed out meanwhile.
    #[error("the session of the ticket has ended")]
    SessionEnded,
}

/// What becomes of a wish at home.
#[derive(Debug)]
pub enum Granted {
    /// The person is known here: on with a ticket.
    Onward(Onward),
    /// Apple must be asked; with the session that the browser has here.
    AskApple(Option<ActiveSession>),
    /// It has taken too long.
    Stale,
}

impl SignIn {
    /// Reads what another host sent a browser here for; `None` when no host of ours did.
    #[must_use]
    pub fn wish(&self, text: &str) -> Option<Wish> {
        Wish::open(text, &self.sealer)
    }

    /// Where a browser with this wish wanted to go.
    #[must_use]
    pub fn place_of(&self, wish: &Wish) -> Place {
        Place { origin: Some(self.home().origin_of(wish.host())), path: wish.return_to.clone() }
    }

    /// Whether the home can grant a wish by itself. A session lacks a scope for good when Apple was asked for it: then
    /// the other host tells the person so.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn grant(&self, wish: &Wish, browser: &Browser<'_>) -> Result<Granted, StoreError> {
        if wish.has_expired(self.clock.now()) {
            return Ok(Granted::Stale);
        }
        let session = self.session_of(browser).await?;
        let id = self.id_of(browser);
        Ok(match (session, id) {
            (Some(session), Some(id)) if !wish.anew => {
                let record = session.record();
                match wish.wanted.missing_from(&record.grant.scopes).is_within(&record.asked) {
                    true => Granted::Onward(self.with_ticket(wish.errand.clone(), id)),
                    false => Granted::AskApple(Some(session)),
                }
            }
            (session, _) => Granted::AskApple(session),
        })
    }

    /// On to the host of an errand, with a new ticket.
    pub(super) fn with_ticket(&self, errand: Errand, id: SessionId) -> Onward {
        let host = errand.host.clone();
        let ticket = Ticket::mint(errand, id, self.clock.now()).seal(&self.sealer, &*self.entropy);
        let url = format!("{}{OWN_PREFIX}session?ticket={ticket}", self.home().origin_of(&host));
        Onward::Elsewhere { host, url }
    }

    /// Judges a ticket at the host that it is for.
    pub async fn arrive(&self, ticket: Option<&str>, browser: &Browser<'_>) -> Finished {
        let finished = self.arrived(ticket, browser).await;
        self.metrics.signed_in(finished.outcome(SignInOutcome::HandedOver));
        finished
    }

    async fn arrived(&self, ticket: Option<&str>, browser: &Browser<'_>) -> Finished {
        let (ticket, transaction) = match self.awaited(ticket, browser) {
            Ok(found) => found,
            Err(problem) => return self.too_late(problem, browser, ReturnPath::root()).await,
        };
        // 5. For the first time, and 6. of a session that lives.
        let session = match self.use_ticket(&ticket).await {
            Ok(Ok(session)) => session,
            Ok(Err(problem)) => return self.too_late(problem, browser, transaction.return_to).await,
            Err(error) => return failed(error.into(), transaction.return_to),
        };
        let was_theirs = self.was_theirs(&session.record().person.subject, transaction.replaces, browser).await;
        if let Err(problem) = self.replace_others(&session, browser).await {
            return failed(problem, transaction.return_to);
        }
        tracing::info!(event = "handed_over", session = %session.record().handle, host = browser.host.name());
        let (names, mode) = (&self.names, self.settings.response_mode);
        let value = self.write_id(browser.host, &ticket.id);
        let cookies = vec![
            transaction::deletion(names, &Transaction::cookie_name(names, &transaction.state), mode),
            SetCookie::new(names.session(), value, SameSite::Lax, names.secure()),
        ];
        Finished::SignedIn { cookies, onward: Onward::Here(transaction.return_to), was_theirs }
    }

    /// 1. The ticket is ours, 2. for this host, 3. in time, and 4. for a browser that waits here for it.
    fn awaited(&self, ticket: Option<&str>, browser: &Browser<'_>) -> Result<(Ticket, Transaction), TicketProblem> {
        let ticket = ticket.and_then(|text| Ticket::open(text, &self.sealer)).ok_or(TicketProblem::Unreadable)?;
        if ticket.errand.host != *browser.host {
            return Err(TicketProblem::OtherHost);
        }
        let now = self.clock.now();
        if ticket.has_expired(now) {
            return Err(TicketProblem::Expired);
        }
        let waiting = Transaction::waiting(&self.names, &browser.jar, &ticket.errand.login, &self.sealer);
        let transaction = waiting.filter(|waiting| !waiting.has_expired(now)).ok_or(TicketProblem::OtherBrowser)?;
        Ok((ticket, transaction))
    }

    async fn use_ticket(&self, ticket: &Ticket) -> Result<Result<ActiveSession, TicketProblem>, StoreError> {
        // All tickets for one sign-in cookie are one: a program that keeps the cookie could use up any number of them, and
        // fill the store with marks.
        let used = Mark::of("used ticket", &ticket.errand.login);
        if !self.sessions.mark(&used, LIFETIME).await? {
            return Ok(Err(TicketProblem::Used));
        }
        Ok(self.sessions.open(&ticket.id).await?.ok_or(TicketProblem::SessionEnded))
    }

    /// Ends what the browser had at this host, when that is another session.
    async fn replace_others(&self, session: &ActiveSession, browser: &Browser<'_>) -> Result<(), Problem> {
        for id in self.ids_of(browser).flatten().filter(|id| id.key() != *session.key()) {
            if let Some(old) = self.sessions.open(&id).await? {
                self.replace(&old, session).await?;
            }
        }
        Ok(())
    }

    /// Who is signed in here goes on; anybody else may try again.
    async fn too_late(&self, problem: TicketProblem, browser: &Browser<'_>, path: ReturnPath) -> Finished {
        match self.session_of(browser).await {
            Ok(Some(_)) => Finished::AlreadySignedIn { onward: Onward::Here(path) },
            Ok(None) => failed(problem.into(), path),
            Err(error) => failed(error.into(), path),
        }
    }
}

/// The sign-in cookie stays: while it lasts and no ticket was used, the home may send another one.
fn failed(problem: Problem, path: ReturnPath) -> Finished {
    Finished::Failed { problem, cookies: Vec::new(), place: path.into() }
}
