//! The end of a session.

use std::sync::Arc;

use super::{Browser, SignIn, transaction};
use crate::{
    session::{Record, StoreError},
    web::{SameSite, SetCookie},
};

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
        for id in self.ids_of(browser).flatten() {
            if let Some(record) = self.sessions.end(&id.key(), self.revoke()).await? {
                tracing::info!(event = "signed_out", session = %record.handle, subject = %record.person.subject, by = by.word());
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
