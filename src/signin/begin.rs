//! The way to Apple: straight from the home, by way of the home from everywhere else.

use super::{
    Browser, SignIn,
    errand::{Errand, Wish},
    transaction::{self, Awaits, Transaction},
};
use crate::{
    apple::AuthorizationRequest,
    identity::ScopeSet,
    session::{ActiveSession, SessionKey},
    web::{ReturnPath, SetCookie},
};

/// A sign-in that has begun.
#[derive(Debug)]
pub struct Begun {
    /// Where the browser goes: Apple's authorize URL, or the home.
    pub location: String,
    /// The cookies to set and to delete on the way.
    pub cookies: Vec<SetCookie>,
}

/// Whether a sign-in leads to Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtApple {
    /// Only when the home does not know the person, or the scopes do not suffice.
    IfNeeded,
    /// In any case: the person asks for it.
    Always,
}

impl SignIn {
    /// Begins a sign-in, or a step-up when there is a `session`: Apple is asked for the scopes of every
    /// sign-in, those that are `wanted`, and those that the session has.
    #[must_use]
    pub fn begin(
        &self,
        browser: &Browser<'_>,
        session: Option<&ActiveSession>,
        wanted: &ScopeSet,
        return_to: ReturnPath,
        at_apple: AtApple,
    ) -> Begun {
        // Also one that has ended by itself: whose it was counts when somebody comes back.
        let had = session.map(|session| *session.key()).or_else(|| self.id_of(browser).map(|id| id.key()));
        match self.home().is(browser.host) {
            true => self.to_apple(browser, session, wanted, return_to, had, Awaits::Apple),
            false => self.to_home(browser, wanted, return_to, had, at_apple),
        }
    }

    /// Begins, at home, the sign-in that another host wishes for.
    #[must_use]
    pub fn begin_for(&self, wish: Wish, browser: &Browser<'_>, session: Option<&ActiveSession>) -> Begun {
        let Wish { errand, wanted, return_to, had, .. } = wish;
        // The one here is what the other hosts have; what the host that asks had may be long over. A form post from
        // Apple's site shows neither.
        let had = self.id_of(browser).map(|id| id.key()).or(had);
        self.to_apple(browser, session, &wanted, return_to, had, Awaits::AppleFor(errand))
    }

    fn to_apple(
        &self,
        browser: &Browser<'_>,
        session: Option<&ActiveSession>,
        wanted: &ScopeSet,
        return_to: ReturnPath,
        had: Option<SessionKey>,
        awaits: Awaits,
    ) -> Begun {
        let granted = session.map(|session| &session.record().grant.scopes);
        let asked = self.settings.asks_for(wanted, granted);
        let drawn = (self.apple.draw_state(), self.apple.draw_nonce(), self.apple.draw_verifier());
        let transaction = Transaction::begin(drawn, self.clock.now(), asked, return_to, had, awaits);
        let location = self.apple.authorize_url(&AuthorizationRequest {
            state: &transaction.state,
            nonce: &transaction.nonce,
            scopes: &transaction.asked,
            verifier: transaction.verifier.as_ref(),
        });
        tracing::info!(event = "sign_in_begun", scopes = %transaction.asked, step_up = session.is_some());
        Begun { location, cookies: self.remember(&transaction, browser) }
    }

    fn to_home(
        &self,
        browser: &Browser<'_>,
        wanted: &ScopeSet,
        return_to: ReturnPath,
        had: Option<SessionKey>,
        at_apple: AtApple,
    ) -> Begun {
        let now = self.clock.now();
        let drawn = (self.apple.draw_state(), self.apple.draw_nonce(), None);
        let transaction = Transaction::begin(drawn, now, wanted.clone(), return_to.clone(), had, Awaits::Home);
        let errand = Errand { host: browser.host.clone(), login: Transaction::login(&transaction.state) };
        let wish = Wish::new(errand, wanted.clone(), return_to, at_apple == AtApple::Always, now, had);
        let location = self.home().url(&format!("sign-in?wish={}", wish.seal(&self.sealer, &*self.entropy)));
        Begun { location, cookies: self.remember(&transaction, browser) }
    }

    /// The cookie of a sign-in, and the end of those for which there is no more room.
    fn remember(&self, transaction: &Transaction, browser: &Browser<'_>) -> Vec<SetCookie> {
        let (names, mode) = (&self.names, self.settings.response_mode);
        let cookie = transaction.cookie(names, mode, &self.sealer, &*self.entropy);
        let size = cookie.header_value().len();
        let mut cookies: Vec<_> = transaction::to_drop(names, &browser.jar, &self.sealer, self.clock.now(), size)
            .iter()
            .map(|name| transaction::deletion(names, name, mode))
            .collect();
        cookies.push(cookie);
        cookies
    }
}
