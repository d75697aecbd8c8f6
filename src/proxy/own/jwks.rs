//! The keys that apps check assertions with.

use http::header;

use crate::{
    pages::Failure,
    proxy::{Answer, Facts, Gateway},
};

/// RFC 7517, section 8.5.2.
const JWK_SET: &str = "application/jwk-set+json";

impl Gateway {
    /// The key set; an empty one while there are no assertions.
    pub(super) async fn jwks(&self, facts: &Facts) -> Answer {
        let Some(assertions) = &self.assertions else { return Answer::new(200, JWK_SET, r#"{"keys":[]}"#) };
        match assertions.jwks().await {
            Ok(keys) => Answer::new(200, JWK_SET, keys),
            Err(error) => {
                tracing::warn!(event = "assertion_unavailable", request_id = %facts.request_id, reason = %error);
                let answer = Answer::failure(Failure::NotVouched, facts.kind, &facts.request_id);
                answer.with(header::RETRY_AFTER, "5")
            }
        }
    }
}
