//! Assertions, made when they are asked for and used again while they are young.

use std::{sync::Arc, time::Duration};

use http::HeaderValue;
use moka::sync::Cache;

use super::{
    AssertionError,
    keeper::Keeper,
    token::{LIFE, token},
};
use crate::{
    clock::{SharedClock, Timestamp},
    entropy::SharedEntropy,
    session::{ActiveSession, SessionKey, Sessions},
    web::Origin,
};

/// Most assertions that are kept ready.
const MOST: u64 = 50_000;

/// An assertion is used again while it has so much of its life.
const LEAST: Duration = Duration::from_secs(LIFE.as_secs() / 2);

/// What an administrator can say about assertions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Who vouches: the gateway's own origin.
    pub issuer: Origin,
}

/// What an assertion depends on: the session in one state, and the app.
type About = (SessionKey, u64, Origin);

/// One that is ready.
#[derive(Clone, Debug)]
struct Ready {
    value: HeaderValue,
    kid: Arc<str>,
    made: Timestamp,
}

/// Makes assertions.
#[derive(Debug)]
pub struct Assertions {
    issuer: Origin,
    keeper: Keeper,
    ready: Cache<About, Ready>,
    clock: SharedClock,
}

impl Assertions {
    /// With keys that are kept beside the sessions. They are there once [`Self::tend`] is polled.
    #[must_use]
    pub fn new(settings: Settings, sessions: Arc<Sessions>, clock: SharedClock, entropy: SharedEntropy) -> Arc<Self> {
        let keeper = Keeper::new(sessions, Arc::clone(&clock), entropy);
        let ready = Cache::builder().max_capacity(MOST).time_to_live(LIFE).build();
        Arc::new(Self { issuer: settings.issuer, keeper, ready, clock })
    }

    /// Keeps the keys for as long as it is polled.
    pub async fn tend(self: Arc<Self>) {
        self.keeper.tend().await;
    }

    /// Says to an app whose session this is, as the value of a header.
    ///
    /// # Errors
    /// When no key is to be had: then nobody vouches for anybody.
    pub async fn of(&self, session: &ActiveSession, audience: Origin) -> Result<HeaderValue, AssertionError> {
        let keys = self.keeper.set().await?;
        let now = self.clock.now();
        let about = (*session.key(), session.record().generation, audience);
        if let Some(ready) = self.ready.get(&about)
            && ready.made <= now
            && now.since(ready.made) <= LIFE - LEAST
            && keys.publishes(&ready.kid, now)
        {
            return Ok(ready.value);
        }
        let key = keys.signer(now).ok_or(AssertionError::Late)?;
        let text = token(key, &self.issuer, &about.2, &session.record().person, now)?;
        // Base64url and dots are a value.
        let mut value = HeaderValue::try_from(text).map_err(|_| AssertionError::Key)?;
        value.set_sensitive(true);
        let made = Timestamp::from_seconds(now.seconds());
        self.ready.insert(about, Ready { value: value.clone(), kid: key.kid().into(), made });
        Ok(value)
    }

    /// For how long the key has signed that signs now. Asks nobody.
    ///
    /// # Errors
    /// When there is none, with the reason: then no app that wants an assertion can be reached.
    pub fn key_age(&self) -> Result<Duration, AssertionError> {
        Ok(self.clock.now().since(self.keeper.status()?))
    }

    /// The public keys (RFC 7517, section 5), as JSON.
    ///
    /// # Errors
    /// When they were never there.
    pub async fn jwks(&self) -> Result<String, AssertionError> {
        let keys = match self.keeper.set().await {
            Ok(keys) => keys,
            Err(error) => self.keeper.last_known().ok_or(error)?,
        };
        Ok(keys.jwks(self.clock.now()).to_string())
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use serde_json::Value;

    use super::*;
    use crate::{
        clock::ManualClock,
        entropy::SystemEntropy,
        session::testing::{active_session, sessions_at},
        web::{Host, Scheme},
    };

    async fn assertions() -> (Arc<Assertions>, Arc<ManualClock>) {
        let (sessions, clock) = sessions_at(1_800_000_000);
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let settings = Settings { issuer: of("id.school.example") };
        let assertions = Assertions::new(settings, sessions, shared, Arc::new(SystemEntropy));
        tokio::spawn(Arc::clone(&assertions).tend());
        assertions.keeper.set().await.unwrap();
        (assertions, clock)
    }

    fn of(host: &str) -> Origin {
        Origin::new(Scheme::Https, &Host::parse(host).unwrap(), None)
    }

    fn claims(value: &HeaderValue) -> Value {
        let part = value.to_str().unwrap().split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn one_is_used_again_while_half_of_its_life_remains() {
        let (assertions, clock) = assertions().await;
        let session = active_session("anna", "");
        let first = assertions.of(&session, of("a.school.example")).await.unwrap();
        assert!(first.is_sensitive());
        clock.advance(Duration::from_secs(150));
        assert_eq!(assertions.of(&session, of("a.school.example")).await.unwrap(), first);
        clock.advance(Duration::from_secs(1));
        let second = assertions.of(&session, of("a.school.example")).await.unwrap();
        assert_eq!(
            (claims(&first)["exp"].as_u64(), claims(&second)["exp"].as_u64()),
            (Some(1_800_000_300), Some(1_800_000_451))
        );
        // A clock that was set back makes the one that is ready a statement from the future.
        clock.set_back(Duration::from_secs(60));
        assert_eq!(claims(&assertions.of(&session, of("a.school.example")).await.unwrap())["iat"], 1_800_000_091);
    }

    #[tokio::test]
    async fn no_two_sessions_states_or_apps_share_one() {
        let (assertions, _) = assertions().await;
        let (anna, other) = (active_session("anna", ""), active_session("ben", ""));
        let first = assertions.of(&anna, of("a.school.example")).await.unwrap();
        assert_eq!(claims(&assertions.of(&other, of("a.school.example")).await.unwrap())["sub"], "ben");
        let elsewhere = assertions.of(&anna, of("b.school.example")).await.unwrap();
        assert_eq!(claims(&elsewhere)["aud"], "https://b.school.example");
        assert_eq!(assertions.of(&anna, of("a.school.example")).await.unwrap(), first);
        assert_eq!(assertions.ready.iter().count(), 3);
        let about = (*anna.key(), anna.record().generation + 1, of("a.school.example"));
        assert!(assertions.ready.get(&about).is_none());
    }

    #[tokio::test]
    async fn one_of_a_key_that_is_published_no_more_is_not_used_again() {
        let (assertions, _) = assertions().await;
        let session = active_session("anna", "");
        let first = assertions.of(&session, of("a.school.example")).await.unwrap();
        let about = (*session.key(), session.record().generation, of("a.school.example"));
        let ready = assertions.ready.get(&about).unwrap();
        assertions.ready.insert(about, Ready { kid: "another".into(), ..ready });
        assert_ne!(assertions.of(&session, of("a.school.example")).await.unwrap(), first);
    }

    #[tokio::test]
    async fn only_the_public_halves_are_published() {
        let (assertions, _) = assertions().await;
        let jwks: Value = serde_json::from_str(&assertions.jwks().await.unwrap()).unwrap();
        assert_eq!(jwks["keys"].as_array().unwrap().len(), 1);
        assert!(jwks["keys"][0].get("d").is_none());
    }
}
