//! What an operator asks of Apple before anybody signs in: with the same client, keys and credentials as the gateway,
//! and without leaving anything behind.

use std::time::Duration;

use url::Url;

use crate::{clock::Timestamp, identity::ScopeSet};

use super::{
    Apple, AuthorizationCode, AuthorizationRequest, CallError, Unavailable, key_ring::LARGEST_SET, key_set::KeySet,
};

/// How much of the sign-in page is looked at, in bytes.
const PAGE: usize = 64 * 1024;

/// A code that Apple never gave to anybody.
const NO_CODE: &str = "c00000000000000000000000000000000.0.none.schoolgate-doctor";

/// How far Apple's clock is from this machine's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// This machine is behind.
    Behind(Duration),
    /// This machine is ahead.
    Ahead(Duration),
}

/// What Apple has against a sign-in, as far as its page says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objection {
    /// `client_id` or `redirect_uri`: Apple says the same for both.
    ClientOrRedirect,
    /// A scope.
    Scope,
    /// Something else.
    Other,
}

/// What a browser would see that is sent to Apple.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignInPage {
    /// A page, or the way to one.
    Shown,
    /// A refusal.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Of what.
        objection: Objection,
    },
    /// No answer that says anything.
    Unknown(Unavailable),
}

impl Difference {
    /// Between the date of an answer, which has whole seconds, and the moments at which it was asked for and came.
    fn between(apple: Timestamp, asked: Timestamp, came: Timestamp) -> Self {
        let ours = asked.plus(came.since(asked) / 2);
        let apple = apple.plus(Duration::from_millis(500));
        if ours < apple { Self::Behind(apple.since(ours)) } else { Self::Ahead(ours.since(apple)) }
    }

    /// Without the direction.
    #[must_use]
    pub fn size(self) -> Duration {
        match self {
            Self::Behind(size) | Self::Ahead(size) => size,
        }
    }
}

impl Apple {
    /// Fetches Apple's keys and counts those that can be used; with how far the clocks differ, when Apple says.
    pub async fn probe_keys(&self) -> (Result<usize, CallError>, Option<Difference>) {
        let asked = self.clock.now();
        let answer = self.transport.fetch(&self.settings.endpoints.keys, LARGEST_SET).await;
        let came = self.clock.now();
        match answer {
            Err(why) => (Err(why.into()), None),
            Ok(answer) => {
                let count = answer.object().and_then(|set| Ok(KeySet::read(&set)?.len()));
                (count, answer.date.map(|date| Difference::between(date, asked, came)))
            }
        }
    }

    /// Redeems a code that is none. Apple looks at the credentials first: that it has something against the code
    /// says that they are right.
    ///
    /// # Errors
    /// See [`CallError`]; [`CallError::InvalidClient`] says that they are wrong.
    pub async fn probe_credentials(&self) -> Result<(), CallError> {
        match self.redeem(&AuthorizationCode::new(NO_CODE), self.draw_verifier().as_ref()).await {
            Ok(_) | Err(CallError::InvalidGrant) => Ok(()),
            Err(why) => Err(why),
        }
    }

    /// Opens the page that browsers are sent to. Nobody signs in.
    pub async fn probe_sign_in(&self, scopes: &ScopeSet) -> SignInPage {
        let (state, nonce, verifier) = (self.draw_state(), self.draw_nonce(), self.draw_verifier());
        let request = AuthorizationRequest { state: &state, nonce: &nonce, scopes, verifier: verifier.as_ref() };
        // It is a URL to which a query was added.
        let endpoint = &self.settings.endpoints.authorize;
        let url = Url::parse(&self.authorize_url(&request)).unwrap_or_else(|_| endpoint.clone());
        match self.transport.page(&url, PAGE).await {
            Ok((200..=399, _)) => SignInPage::Shown,
            Ok((status @ (400..=402 | 404..=428), page)) => {
                SignInPage::Refused { status, objection: objection(&String::from_utf8_lossy(&page)) }
            }
            Ok((status, _)) => SignInPage::Unknown(Unavailable::Status(status)),
            Err(why) => SignInPage::Unknown(why),
        }
    }
}

/// The first code that stands on the page. Apple documents the codes (TN3107) and not the page, so whatever is not
/// found is no objection of a known kind.
fn objection(page: &str) -> Objection {
    let has = |word: &str| page.contains(word);
    if has("invalid_client") || has("unauthorized_client") || has("redirect ur") {
        Objection::ClientOrRedirect
    } else if has("invalid_scope") {
        Objection::Scope
    } else {
        Objection::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apple::testing::{self, NOW, Script, Server, jwk, rsa_key},
        clock::ManualClock,
    };

    async fn apple(script: Script) -> (Apple, Server) {
        let server = Server::start([script]).await;
        (testing::apple(server.settings(), ManualClock::at(NOW)), server)
    }

    #[tokio::test]
    async fn the_clocks_are_compared_to_the_second() {
        let date = NOW.plus(Duration::from_secs(90)).to_http_date().unwrap();
        let body = serde_json::json!({ "keys": [jwk("k", rsa_key())] }).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let (apple, _server) = apple(Script::raw(&answer)).await;
        let (keys, difference) = apple.probe_keys().await;
        assert_eq!((keys, difference), (Ok(1), Some(Difference::Behind(Duration::from_millis(90_500)))));
    }

    #[test]
    fn half_of_the_way_there_and_back_is_not_a_difference() {
        let at = Timestamp::from_millis;
        assert_eq!(Difference::between(at(10_000), at(8_500), at(12_500)), Difference::Ahead(Duration::ZERO));
        assert_eq!(Difference::between(at(10_000), at(12_500), at(12_500)), Difference::Ahead(Duration::from_secs(2)));
        assert_eq!(Difference::between(at(10_000), at(500), at(500)).size(), Duration::from_secs(10));
    }

    #[tokio::test]
    async fn an_answer_about_the_code_says_that_the_credentials_are_right() {
        for (body, right) in [("invalid_grant", true), ("invalid_client", false), ("invalid_request", false)] {
            let (apple, _server) = apple(Script::json(400, &format!("{{\"error\":\"{body}\"}}"))).await;
            assert_eq!(apple.probe_credentials().await.is_ok(), right, "{body}");
        }
    }

    #[tokio::test]
    async fn the_sign_in_page_says_what_it_does_not_like() {
        for (status, page, seen) in [
            (200, "invalid_client", None),
            (302, "", None),
            (400, "<p>invalid_client</p>", Some(Objection::ClientOrRedirect)),
            (400, "unauthorized_client", Some(Objection::ClientOrRedirect)),
            (400, "invalid_request: Invalid web redirect url.", Some(Objection::ClientOrRedirect)),
            (400, "invalid_scope", Some(Objection::Scope)),
            (404, "", Some(Objection::Other)),
        ] {
            let (apple, _server) = apple(Script::json(status, page)).await;
            let expected = seen.map_or(SignInPage::Shown, |objection| SignInPage::Refused { status, objection });
            assert_eq!(apple.probe_sign_in(&ScopeSet::new()).await, expected, "{status} {page}");
        }
        for status in [403, 429, 500, 503] {
            let (apple, _server) = apple(Script::json(status, "invalid_client")).await;
            let unknown = SignInPage::Unknown(Unavailable::Status(status));
            assert_eq!(apple.probe_sign_in(&ScopeSet::new()).await, unknown);
        }
    }
}
