//! The way to Apple.

use url::Url;

use super::{
    SignIn,
    transaction::{self, Transaction},
};
use crate::{
    apple::AuthorizationRequest,
    identity::ScopeSet,
    session::ActiveSession,
    web::{CookieJar, ReturnPath, SetCookie},
};

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes: Apple's authorize URL.
    pub location: Url,
    /// The cookies to set and to delete on the way.
    pub cookies: Vec<SetCookie>,
}

impl SignIn {
    /// Begins a sign-in, or a step-up when there is a `session`: Apple is asked for the scopes of every
    /// sign-in, those that are `wanted`, and those that the session has.
    #[must_use]
    pub fn begin(
        &self,
        jar: &CookieJar<'_>,
        session: Option<&ActiveSession>,
        wanted: &ScopeSet,
        return_to: ReturnPath,
    ) -> Begun {
        let granted = session.map(|session| &session.record().grant.scopes);
        let asked = granted.into_iter().fold(self.settings.scopes.union(wanted), |asked, granted| asked.union(granted));
        let now = self.clock.now();
        let source = &*self.entropy;
        let drawn = (self.apple.draw_state(), self.apple.draw_nonce(), self.apple.draw_verifier());
        // Also one that has ended by itself: whose it was counts when somebody comes back.
        let had = session.map(|session| *session.key()).or_else(|| self.id_of(jar).map(|id| id.key()));
        let transaction = Transaction::begin(drawn, now, asked, return_to, had);
        let cookie = transaction.cookie(&self.names, self.settings.response_mode, &self.sealer, source);
        let size = cookie.header_value().len();
        let mut cookies: Vec<_> = transaction::to_drop(&self.names, jar, &self.sealer, now, size)
            .iter()
            .map(|name| transaction::deletion(&self.names, name, self.settings.response_mode))
            .collect();
        cookies.push(cookie);
        let location = self.apple.authorize_url(&AuthorizationRequest {
            state: &transaction.state,
            nonce: &transaction.nonce,
            scopes: &transaction.asked,
            verifier: transaction.verifier.as_ref(),
        });
        tracing::debug!(event = "sign_in_begun", scopes = %transaction.asked, step_up = session.is_some());
        Begun { location, cookies }
    }
}
