//! The keys that apps check assertions with.

use crate::proxy::{Answer, Facts, Gateway, identity_headers::not_vouched};

/// RFC 7517, section 8.5.2.
const JWK_SET: &str = "application/jwk-set+json";

impl Gateway {
    /// The key set; an empty one while there are no assertions.
    pub(super) async fn jwks(&self, facts: &Facts) -> Answer {
        let Some(assertions) = &self.assertions else { return Answer::new(200, JWK_SET, r#"{"keys":[]}"#) };
        match assertions.jwks().await {
            Ok(keys) => Answer::new(200, JWK_SET, keys),
            Err(error) => *not_vouched(&error, facts),
        }
    }
}
