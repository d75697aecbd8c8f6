//! What the log says about a call to Apple: the same fields for every call, and never a secret.

use tracing::{Span, field::Empty};
use url::Url;

use crate::{
    clock::Stopwatch,
    telemetry::{AppleEndpoint, CallOutcome, Metrics},
};

use super::CallError;

/// A call to Apple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Fetches the keys.
    Keys,
    /// Redeems a code.
    Redeem,
    /// Refreshes an access token.
    Refresh,
    /// Revokes a token.
    Revoke,
}

impl Call {
    /// The word in the log.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Redeem => "redeem",
            Self::Refresh => "refresh",
            Self::Revoke => "revoke",
        }
    }

    const fn endpoint(self) -> AppleEndpoint {
        match self {
            Self::Keys => AppleEndpoint::Keys,
            Self::Redeem | Self::Refresh => AppleEndpoint::Token,
            Self::Revoke => AppleEndpoint::Revoke,
        }
    }
}

/// The span of a call, for traces.
pub(super) fn span(call: &'static str, method: &'static str, url: &Url) -> Span {
    tracing::trace_span!(
        target: "schoolgate::trace", "apple",
        kind = "client", name = format!("{method} {}", url.path()), http.request.method = method,
        server.address = url.host_str(), server.port = url.port_or_known_default(), url.full = url.as_str(),
        http.response.status_code = Empty, "error.type" = Empty, schoolgate.apple_call = call,
    )
}

/// Tells the log and the metrics how a call went. Wrong client credentials are the operator's to mend, and the only
/// `error`. A code or a token that Apple does not take is what anybody can cause who comes back with a made-up one.
pub(super) fn report(metrics: &Metrics, call: Call, status: Option<u16>, watch: Stopwatch, error: Option<&CallError>) {
    let took = watch.elapsed();
    metrics.called_apple(call.endpoint(), error.map_or(CallOutcome::Done, CallError::kind), took);
    let (call, millis) = (call.word(), u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let span = Span::current();
    if let Some(status) = status {
        span.record("http.response.status_code", status);
    }
    if let Some(error) = error {
        span.record("error.type", error.outcome());
    }
    match error {
        None => tracing::info!(event = "apple_call", call, outcome = "ok", status, millis),
        Some(error @ CallError::InvalidClient) => {
            tracing::error!(event = "apple_call", call, outcome = error.outcome(), status, millis, reason = %error);
        }
        Some(error @ CallError::InvalidGrant) => {
            tracing::info!(event = "apple_call", call, outcome = error.outcome(), status, millis, reason = %error);
        }
        Some(error) => {
            tracing::warn!(event = "apple_call", call, outcome = error.outcome(), status, millis, reason = %error);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex, PoisonError},
    };

    use serde_json::{Value, json};
    use tracing::Dispatch;

    use crate::{
        apple::{
            AuthorizationCode, CodeVerifier, Expected, RawIdToken, RefreshToken, Revocable,
            testing::{self, NOW, Script, Server, key_set},
        },
        clock::ManualClock,
    };

    #[derive(Clone, Default)]
    struct Pages(Arc<Mutex<Vec<u8>>>);

    impl Write for Pages {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn subscriber(pages: Pages) -> Dispatch {
        let builder = tracing_subscriber::fmt().json().with_max_level(tracing::Level::TRACE);
        Dispatch::new(builder.with_writer(move || pages.clone()).finish())
    }

    #[tokio::test]
    async fn the_log_has_stable_fields_and_no_secret() {
        let pages = Pages::default();
        // With a single subscriber in the process, tracing asks whichever thread meets an event first
        // whether anybody listens, and remembers a test's "nobody" for all. A second one prevents that.
        let second = subscriber(Pages::default());
        let listening = tracing::dispatcher::set_default(&subscriber(pages.clone()));

        let id_token = testing::id_token(&testing::claims());
        let tokens = json!({
            "access_token": testing::ACCESS_TOKEN, "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": "r-secret", "id_token": id_token,
        });
        let server = Server::start([
            Script::json(200, &tokens.to_string()),
            key_set(),
            Script::json(400, r#"{"error":"invalid_grant"}"#),
            Script::json(400, r#"{"error":"invalid_client"}"#),
        ])
        .await;
        let apple = testing::apple(server.settings(), ManualClock::at(NOW));
        let (nonce, code, access_token) = testing::expected();
        let verifier = CodeVerifier::new("the-verifier");
        let answer = apple.redeem(&code, Some(&verifier)).await.unwrap();
        let expected = Expected { nonce: &nonce, code: &code, access_token: &access_token };
        apple.verify(answer.id_token.as_ref().unwrap(), &expected).await.unwrap();
        let wrong = Expected { code: &AuthorizationCode::new("c-other"), ..expected };
        apple.verify(&RawIdToken::new(id_token.clone()), &wrong).await.unwrap_err();
        apple.refresh(&RefreshToken::new("r-secret")).await.unwrap_err();
        apple.revoke(&Revocable::Refresh(RefreshToken::new("r-secret"))).await.unwrap_err();
        drop((listening, second));

        let log = String::from_utf8(pages.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap();
        let secret = server.requests()[0].form().into_iter().find(|(name, _)| name == "client_secret").unwrap().1;
        let secrets = [testing::CODE, testing::ACCESS_TOKEN, testing::NONCE, "r-secret", "c-other", "the-verifier"];
        let parts = id_token.split('.').chain(secret.split('.'));
        for text in secrets.into_iter().chain(parts) {
            assert!(!log.contains(text), "{text} in {log}");
        }
        let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let calls: Vec<_> = lines
            .iter()
            .filter(|line| line["fields"]["event"] == "apple_call")
            .map(|line| {
                assert!(line["fields"]["millis"].is_u64(), "{line}");
                let fields = &line["fields"];
                json!([line["level"], fields["call"], fields["outcome"], fields["status"]])
            })
            .collect();
        assert_eq!(
            json!(calls),
            json!([
                ["INFO", "redeem", "ok", 200],
                ["INFO", "keys", "ok", 200],
                ["INFO", "refresh", "invalid_grant", 400],
                ["ERROR", "revoke", "invalid_client", 400],
            ])
        );
        assert!(log.contains(r#""outcome":"c_hash""#), "{log}");
    }
}
