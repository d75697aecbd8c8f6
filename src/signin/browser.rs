//! Whose a browser is and was, for apps that keep sessions of their own in it, and for forms that are kept.

use std::{fmt, time::Duration};

use super::{Owner, SignIn};
use crate::{
    identity::Subject,
    session::{ActiveSession, Mark, Record, SessionKey},
    web::{CookieJar, Host},
};

/// How long after a sign-in it is known whose the browser was: until the next day. A store keeps only so many
/// marks.
const REMEMBERED: Duration = Duration::from_secs(2 * 24 * 3600);

/// A browser as one request shows it.
#[derive(Clone)]
pub struct Browser<'a> {
    /// The host that it asks.
    pub host: &'a Host,
    /// The cookies that it has for this host.
    pub jar: CookieJar<'a>,
}

/// Shows no cookie.
impl fmt::Debug for Browser<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").field("host", &self.host.name()).finish_non_exhaustive()
    }
}

impl SignIn {
    /// Who is signed in, where a request needs no session: it does not count as use of one.
    pub async fn owner_of(&self, browser: &Browser<'_>) -> Owner {
        let Some(id) = self.id_of(browser) else { return Owner::Nobody };
        match self.sessions.live_record(&id).await {
            Ok(Some(record)) => Owner::Person(record.person.subject.clone()),
            Ok(None) => Owner::Nobody,
            Err(_) => Owner::Unknown,
        }
    }

    /// Whether this browser was the person's until now: every session that it shows was theirs. A form post
    /// from Apple's site shows none; then it is the one that the browser had when the sign-in began. When
    /// nobody can say, it was another's.
    pub(super) async fn was_theirs(&self, person: &Subject, before: Option<SessionKey>, browser: &Browser<'_>) -> bool {
        let shown: Vec<_> = self.ids_of(browser).collect();
        if shown.is_empty() {
            return match before {
                Some(key) => self.was_of(&key, person).await,
                None => false,
            };
        }
        for id in shown {
            let Some(id) = id else { return false };
            if !self.was_of(&id.key(), person).await {
                return false;
            }
        }
        true
    }

    /// Whether a session, of which there may be nothing left, was a person's.
    async fn was_of(&self, key: &SessionKey, person: &Subject) -> bool {
        match self.sessions.last_record(key).await {
            Ok(Some(record)) => record.person.subject == *person,
            Ok(None) => self.sessions.is_marked(&whose(key, person)).await.unwrap_or(false),
            Err(_) => false,
        }
    }

    /// Notes whose a browser is, for longer than the session lives. When that fails, it will be nobody's.
    pub(super) async fn remember_browser(&self, session: &ActiveSession) {
        let (key, person) = (session.key(), &session.record().person.subject);
        let whose = self.settings.remembers_browsers.then(|| whose(key, person));
        let lived = self.settings.keeps_forms.then(|| lived(key));
        for mark in whose.into_iter().chain(lived) {
            self.set(&mark, session.record()).await;
        }
    }

    /// Notes that somebody has left on purpose: of such a session no form is kept.
    pub(super) async fn remember_leaving(&self, key: &SessionKey, record: &Record) {
        if self.settings.keeps_forms {
            self.set(&left(key), record).await;
        }
    }

    async fn set(&self, mark: &Mark, record: &Record) {
        if let Err(error) = self.sessions.mark(mark, REMEMBERED).await {
            tracing::warn!(event = "browser_not_remembered", session = %record.handle, reason = %error);
        }
    }
}

/// The mark of a session that was this person's.
pub(super) fn whose(key: &SessionKey, person: &Subject) -> Mark {
    Mark::of("whose browser", &format!("{} {person}", key.to_text()))
}

/// The mark of a session that there has been, whoever had it.
pub(super) fn lived(key: &SessionKey) -> Mark {
    Mark::of("session that lived", &key.to_text())
}

/// The mark of a session that somebody has ended on purpose.
pub(super) fn left(key: &SessionKey) -> Mark {
    Mark::of("session that was left", &key.to_text())
}
