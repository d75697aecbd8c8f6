//! The end of a session.

use std::sync::Arc;

use super::{Browser, SignIn, transaction};
use crate::{
    session::{Record, StoreError},
    web::{SameSite, SetCookie},
};

/// Of how many session cookies it is looked up where their sessions went on. A browser has one; a stranger may make up
/// hundreds.
const MOST_FOLLOWED: usize = 4;

/// What ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftBy {
    /// The gateway's own sign-out.
    Gateway,
    /// The app's.
    App,
}

impl LeftBy {
    /// The word in the log.
    const fn word(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::App => "app",
        }
    }
}

/// A sign-out that is done: there is no session any more.
#[derive(Debug)]
pub struct SignedOut {
    /// The cookies to delete.
    pub cookies: Vec<SetCookie>,
    /// Who was signed in.
    pub record: Option<Arc<Record>>,
}

impl SignIn {
    /// Ends the browser's session for good first, then names the cookies to clear, then has the tokens
    /// revoked at Apple in the background.
    ///
    /// # Errors
    /// When the store is not available: the session may then still be live, and nobody may be told
    /// otherwise.
    pub async fn sign_out(&self, browser: &Browser<'_>, by: LeftBy) -> Result<SignedOut, StoreError> {
        let mut ended = None;
        for (count, id) in self.ids_of(browser).flatten().enumerate() {
            let record = match count < MOST_FOLLOWED {
                true => self.end_wherever_it_is(&id.key()).await?,
                false => self.sessions.end(&id.key(), self.revoke()).await?,
            };
            if let Some(record) = record {
                tracing::info!(event = "signed_out", session = %record.handle, by = by.word());
                self.metrics.endings.count(by.ending());
                self.remember_leaving(&id.key(), &record).await;
                ended = Some(record);
            }
        }
        let names = &self.names;
        let mut cookies = vec![SetCookie::deletion(names.session(), SameSite::Lax, names.secure())];
        for (name, _) in browser.jar.with_prefix(names.login_prefix()) {
            cookies.push(transaction::deletion(names, name, self.settings.response_mode));
        }
        cookies.extend(self.forget_forms(browser).await);
        Ok(SignedOut { cookies, record: ended })
    }
}
