//! The way in: [`Apple`], with every call that the gateway makes.

use std::{fmt, sync::Arc, time::Duration};

use tracing::Instrument;
use url::Url;

use crate::{
    clock::{SharedClock, Stopwatch, Timestamp},
    entropy::{self, SharedEntropy},
    telemetry::Metrics,
};

use super::{
    AccessToken, AuthorizationCode, AuthorizationRequest, CallError, CodeVerifier, Expected, KeysStatus, Nonce,
    Notification, NotificationError, Posted, RawIdToken, RefreshToken, Settings, State, TokenAnswer, Unavailable,
    VerifiedIdToken, VerifyError,
    answer::Answer,
    authorize,
    claims::Claims,
    client_secret::ClientSecrets,
    compact::UnverifiedToken,
    id_token::Rules,
    key_ring::KeyRing,
    notification,
    report::{Call, report, span},
    transport::{NotBuilt, Transport},
};

/// Largest answer of the token and revocation endpoints, in bytes; Apple's have about 2 KiB.
const LARGEST_ANSWER: usize = 64 * 1024;

/// Why there is no client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// TLS could not be set up, most often because the machine has no certificate authorities.
    #[error(
        "cannot set up TLS for calls to Apple ({0}): install the system's certificate authorities (ca-certificates)"
    )]
    Tls(String),
}

/// A token that can be revoked.
#[derive(Clone, Debug)]
pub enum Revocable {
    /// A refresh token, and with it every access token.
    Refresh(RefreshToken),
    /// An access token, where there is no refresh token.
    Access(AccessToken),
}

/// Apple's OAuth service. Shared by all as one `Arc<Apple>`.
pub struct Apple {
    pub(super) settings: Settings,
    pub(super) clock: SharedClock,
    entropy: SharedEntropy,
    metrics: Arc<Metrics>,
    pub(super) transport: Transport,
    secrets: ClientSecrets,
    keys: KeyRing,
}

impl Apple {
    /// A client. Calls nobody: an Apple that is down does not keep the gateway from starting.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(
        settings: Settings,
        clock: SharedClock,
        entropy: SharedEntropy,
        metrics: Arc<Metrics>,
    ) -> Result<Self, BuildError> {
        let transport =
            Transport::new(&settings.endpoints, settings.timeout).map_err(|NotBuilt(cause)| BuildError::Tls(cause))?;
        let keys = KeyRing::new(&settings, transport.clone(), SharedClock::clone(&clock), Arc::clone(&metrics));
        Ok(Self { settings, clock, entropy, metrics, transport, secrets: ClientSecrets::default(), keys })
    }

    /// A client with other settings, which knows the keys that this one knows when they come from the same address.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub fn with(&self, settings: Settings) -> Result<Self, BuildError> {
        let transport =
            Transport::new(&settings.endpoints, settings.timeout).map_err(|NotBuilt(cause)| BuildError::Tls(cause))?;
        let keys = KeyRing::after(&self.keys, &settings, transport.clone());
        let (clock, entropy) = (SharedClock::clone(&self.clock), SharedEntropy::clone(&self.entropy));
        let metrics = Arc::clone(&self.metrics);
        Ok(Self { settings, clock, entropy, metrics, transport, secrets: ClientSecrets::default(), keys })
    }

    /// The longest that one call takes.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// A state for one sign-in: 256 random bits.
    #[must_use]
    pub fn draw_state(&self) -> State {
        State::new(entropy::text::<32>(&*self.entropy))
    }

    /// A nonce for one sign-in: 256 random bits.
    #[must_use]
    pub fn draw_nonce(&self) -> Nonce {
        Nonce::new(entropy::text::<32>(&*self.entropy))
    }

    /// A PKCE verifier for one sign-in, when PKCE is on (RFC 7636, section 4.1: 43 characters).
    #[must_use]
    pub fn draw_verifier(&self) -> Option<CodeVerifier> {
        self.settings.pkce.then(|| CodeVerifier::new(entropy::text::<32>(&*self.entropy)))
    }

    /// Where the browser goes to sign in.
    #[must_use]
    pub fn authorize_url(&self, request: &AuthorizationRequest<'_>) -> String {
        authorize::authorize_url(&self.settings, request)
    }

    /// Redeems a code (RFC 6749, section 4.1.3). A code is good once: never call this twice for one.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn redeem(
        &self,
        code: &AuthorizationCode,
        verifier: Option<&CodeVerifier>,
    ) -> Result<TokenAnswer, CallError> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code.expose()),
            ("redirect_uri", self.settings.redirect_uri.as_str()),
        ];
        fields.extend(verifier.map(|verifier| ("code_verifier", verifier.expose())));
        self.tokens(Call::Redeem, fields).await
    }

    /// Gets a fresh access token (RFC 6749, section 6). An answer without a refresh token is the normal
    /// one: the old one goes on.
    ///
    /// # Errors
    /// See [`CallError`]; only [`CallError::InvalidGrant`] ends a session.
    pub async fn refresh(&self, token: &RefreshToken) -> Result<TokenAnswer, CallError> {
        self.tokens(Call::Refresh, vec![("grant_type", "refresh_token"), ("refresh_token", token.expose())]).await
    }

    /// Revokes a token (RFC 7009). Apple says yes to one that is dead already.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn revoke(&self, token: &Revocable) -> Result<(), CallError> {
        let (token, hint) = match token {
            Revocable::Refresh(token) => (token.expose(), "refresh_token"),
            Revocable::Access(token) => (token.expose(), "access_token"),
        };
        let fields = vec![("token", token), ("token_type_hint", hint)];
        self.call(Call::Revoke, &self.settings.endpoints.revoke, fields, |answer, _| answer.nothing()).await
    }

    /// Verifies an ID token: signature, then every claim.
    ///
    /// # Errors
    /// See [`VerifyError`]; [`VerifyError::KeysUnavailable`] says nothing about the token.
    pub async fn verify(&self, token: &RawIdToken, expected: &Expected<'_>) -> Result<VerifiedIdToken, VerifyError> {
        let outcome = self.judge(token, expected).await;
        match &outcome {
            Ok(_) => tracing::debug!(event = "id_token_verified"),
            Err(error) => tracing::info!(event = "id_token_refused", outcome = error.outcome(), reason = %error),
        }
        outcome
    }

    /// Verifies a notification as an ID token is verified: signature, then every claim.
    ///
    /// # Errors
    /// See [`NotificationError`]; [one kind](NotificationError::is_transient) says nothing about the notification.
    pub async fn verify_notification(&self, posted: &Posted) -> Result<Notification, NotificationError> {
        let claims = self.signed(posted.raw().expose()).await.map_err(NotificationError::of_token)?;
        notification::judge(&claims, &self.settings, self.clock.now()).map_err(NotificationError::NotForUs)
    }

    /// How things stand with Apple's keys. Asking also starts a fetch, in the background and no more often
    /// than `[apple] keys_min_interval`, when there are none that can be used.
    pub async fn keys_ready(&self) -> KeysStatus {
        self.keys.status()
    }

    /// Fetches Apple's keys when there are none or they are due, and waits for them. Failure is no error: it
    /// is in the log and in [`Apple::keys_ready`], and the next one who needs keys tries again.
    pub async fn warm_keys(&self) {
        self.keys.warm().await;
    }

    async fn judge(&self, token: &RawIdToken, expected: &Expected<'_>) -> Result<VerifiedIdToken, VerifyError> {
        let claims = self.signed(token.expose()).await?;
        Rules::new(&self.settings, self.clock.now()).judge(&claims, expected, token)
    }

    /// The claims of a token that Apple signed.
    async fn signed(&self, token: &str) -> Result<Claims, VerifyError> {
        let unverified = UnverifiedToken::parse(token)?;
        let key = self.keys.key(unverified.kid()).await?;
        unverified.check(&key)
    }

    async fn tokens(&self, call: Call, fields: Vec<(&str, &str)>) -> Result<TokenAnswer, CallError> {
        self.call(call, &self.settings.endpoints.token, fields, |answer, started| {
            Ok(TokenAnswer::read(answer.object()?, started)?)
        })
        .await
    }

    /// One call with the client's credentials in the form, where alone Apple takes them.
    async fn call<T>(
        &self,
        call: Call,
        url: &Url,
        mut fields: Vec<(&str, &str)>,
        read: impl FnOnce(&Answer, Timestamp) -> Result<T, CallError>,
    ) -> Result<T, CallError> {
        let (started, watch) = (self.clock.now(), Stopwatch::start());
        let secret = self.secrets.current(&self.settings, started).map_err(|_| Unavailable::NotSigned)?;
        fields.push(("client_id", &self.settings.client_id));
        fields.push(("client_secret", secret.expose()));
        let called = async {
            let answer = self.transport.post(url, &fields, LARGEST_ANSWER).await;
            let status = answer.as_ref().ok().map(|answer| answer.status);
            let outcome = match &answer {
                Ok(answer) => read(answer, started),
                Err(why) => Err(why.clone().into()),
            };
            report(&self.metrics, call, status, watch, outcome.as_ref().err());
            outcome
        };
        called.instrument(span(call.word(), "POST", url)).await
    }
}

impl fmt::Debug for Apple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apple").field("settings", &self.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        apple::{
            Malformed, OAuthCode, ResponseMode,
            testing::{self, NOW, Script, Server},
        },
        clock::{ManualClock, SystemClock},
        entropy::SystemEntropy,
        identity::ScopeSet,
    };

    const TOKENS: &str = r#"{"access_token":"a.new","token_type":"Bearer","expires_in":3600}"#;

    async fn apple(scripts: impl IntoIterator<Item = Script>) -> (Apple, Server) {
        let server = Server::start(scripts).await;
        let apple = testing::apple(server.settings(), ManualClock::at(NOW));
        (apple, server)
    }

    async fn refresh(script: Script) -> Result<TokenAnswer, CallError> {
        let (apple, _server) = apple([script]).await;
        apple.refresh(&RefreshToken::new("r.old")).await
    }

    #[tokio::test]
    async fn a_code_is_redeemed_with_credentials_in_the_form() {
        let body = r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","id_token":"x.y.z","scope":"s"}"#;
        let (apple, server) = apple([Script::json(200, body)]).await;
        let verifier = CodeVerifier::new("the-verifier");
        let answer = apple.redeem(&AuthorizationCode::new("c.1"), Some(&verifier)).await.unwrap();
        assert!(answer.access_token.matches("a") && answer.refresh_token.unwrap().matches("r"));
        assert_eq!(answer.expires_at, NOW.plus(Duration::from_secs(3600)));
        let request = server.requests().remove(0);
        assert_eq!(request.line, "POST /auth/oauth2/v2/token HTTP/1.1");
        let fields = request.form();
        let names: Vec<_> = fields.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "client_secret"]);
        let values: Vec<_> = fields.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(
            values[..5],
            [
                "authorization_code",
                "c.1",
                "https://library.school.example/.schoolgate/callback",
                "the-verifier",
                "org.example.school.gateway",
            ]
        );
        assert_eq!(values[5].split('.').count(), 3);
    }

    #[tokio::test]
    async fn without_pkce_no_verifier_is_sent() {
        let (apple, server) = apple([Script::json(200, TOKENS)]).await;
        apple.redeem(&AuthorizationCode::new("c.1"), None).await.unwrap();
        assert!(!server.requests()[0].body.contains("verifier"));
        assert!(apple.draw_verifier().is_none());
        let settings = Settings { pkce: true, ..testing::settings() };
        let verifier = testing::apple(settings, ManualClock::at(NOW)).draw_verifier().unwrap();
        assert_eq!(verifier.expose().len(), 43);
        assert_ne!(apple.draw_state().expose(), apple.draw_state().expose());
        assert_eq!(apple.draw_nonce().expose().len(), 43);
    }

    #[tokio::test]
    async fn a_refresh_sends_the_token_and_may_bring_no_new_one() {
        let (apple, server) = apple([Script::json(200, TOKENS)]).await;
        let answer = apple.refresh(&RefreshToken::new("r.old")).await.unwrap();
        assert!(answer.access_token.matches("a.new") && answer.refresh_token.is_none());
        let names_and_values = server.requests()[0].form();
        assert_eq!(names_and_values[0], ("grant_type".into(), "refresh_token".into()));
        assert_eq!(names_and_values[1], ("refresh_token".into(), "r.old".into()));
    }

    #[tokio::test]
    async fn a_revocation_says_which_kind_of_token_it_is_and_expects_nothing() {
        let (apple, server) = apple([Script::json(200, ""), Script::json(200, "")]).await;
        apple.revoke(&Revocable::Refresh(RefreshToken::new("r"))).await.unwrap();
        apple.revoke(&Revocable::Access(AccessToken::new("a"))).await.unwrap();
        let requests = server.requests();
        assert_eq!(requests[0].line, "POST /auth/oauth2/v2/revoke HTTP/1.1");
        assert!(requests[0].body.starts_with("token=r&token_type_hint=refresh_token&client_id="));
        assert!(requests[1].body.starts_with("token=a&token_type_hint=access_token&client_id="));
    }

    #[tokio::test]
    async fn a_maintenance_page_is_no_revocation() {
        let (apple, _server) = apple([Script::html(200)]).await;
        let result = apple.revoke(&Revocable::Access(AccessToken::new("a"))).await;
        assert_eq!(result, Err(Unavailable::NotJson(200).into()));
    }

    #[tokio::test]
    async fn every_refusal_of_apple_gets_its_own_error() {
        for (script, expected) in [
            (Script::json(400, r#"{"error":"invalid_grant"}"#), CallError::InvalidGrant),
            (Script::json(400, r#"{"error":"invalid_client"}"#), CallError::InvalidClient),
            (Script::json(401, r#"{"error":"invalid_client"}"#), CallError::InvalidClient),
            (Script::json(400, r#"{"error":"invalid_request"}"#), CallError::Refused(OAuthCode::InvalidRequest)),
            (
                Script::json(400, r#"{"error":"unauthorized_client"}"#),
                CallError::Refused(OAuthCode::UnauthorizedClient),
            ),
            (
                Script::json(400, r#"{"error":"unsupported_grant_type"}"#),
                CallError::Refused(OAuthCode::UnsupportedGrantType),
            ),
            (Script::json(400, r#"{"error":"invalid_scope"}"#), CallError::Refused(OAuthCode::InvalidScope)),
            (Script::json(400, r#"{"error":"odd one"}"#), CallError::Refused(OAuthCode::Other("odd?one".into()))),
            (Script::json(429, ""), CallError::Throttled { retry_after: None }),
            (
                Script::raw("HTTP/1.1 429 Slow\r\nX-Retry-After: 7\r\nContent-Length: 0\r\n\r\n"),
                CallError::Throttled { retry_after: Some(Duration::from_secs(7)) },
            ),
            (Script::json(500, r#"{"error":"invalid_grant"}"#), Unavailable::Status(500).into()),
            (Script::html(200), Unavailable::NotJson(200).into()),
            (Script::html(400), Unavailable::NotJson(400).into()),
            (Script::json(307, ""), Unavailable::Redirect(307).into()),
            (Script::json(200, &format!("{TOKENS}{}", " ".repeat(LARGEST_ANSWER))), Unavailable::TooLarge.into()),
            (Script::json(200, "{}"), Malformed::Missing("token_type").into()),
            (Script::json(200, r#"{"error":"invalid_grant"}"#), Malformed::Missing("token_type").into()),
        ] {
            assert_eq!(refresh(script).await.err(), Some(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_given_up_after_the_configured_time() {
        assert_eq!(refresh(Script::silence()).await.err(), Some(Unavailable::Timeout.into()));
    }

    #[tokio::test]
    async fn the_authorize_url_is_that_of_the_settings() {
        let settings = Settings { response_mode: Some(ResponseMode::FormPost), ..testing::settings() };
        let apple = testing::apple(settings, ManualClock::at(NOW));
        let (state, nonce, scopes) = (State::new("s"), Nonce::new("n"), ScopeSet::new());
        let request = AuthorizationRequest { state: &state, nonce: &nonce, scopes: &scopes, verifier: None };
        assert!(apple.authorize_url(&request).ends_with("&scope=&state=s&nonce=n&response_mode=form_post"));
    }

    #[test]
    fn construction_needs_nobody_and_debug_shows_no_secret() {
        let apple = Apple::new(
            testing::settings(),
            Arc::new(SystemClock),
            Arc::new(SystemEntropy),
            Metrics::new(Arc::new(SystemClock)),
        )
        .unwrap();
        let text = format!("{apple:?}");
        assert!(text.contains("signing_key: [redacted]"), "{text}");
    }
}
