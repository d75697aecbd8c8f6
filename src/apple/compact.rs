//! A JWS in compact form (RFC 7515, section 7.1), taken apart with no benefit of the doubt.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, crypto};
use serde_json::Value;

use super::{
    HeaderFault, VerifyError,
    claims::Claims,
    json::{self, JsonError, Object},
    key::{LONGEST_KID, VerificationKey},
};

/// Longest token in bytes; Apple's have about 900.
pub(super) const LONGEST_TOKEN: usize = 16 * 1024;
/// Members of the header that bring a key along, or change what is signed. A key comes from Apple's key
/// set and from nowhere else, so a token with one of these is forged or not for us.
const REFUSED: [&str; 6] = ["crit", "jwk", "jku", "x5u", "x5c", "b64"];

/// A token whose header is in order and whose signature nobody has checked. It gives away nothing but
/// the name of its key.
pub(super) struct UnverifiedToken<'a> {
    kid: String,
    message: &'a str,
    signature: &'a str,
    payload: &'a str,
}

impl<'a> UnverifiedToken<'a> {
    /// Takes a token apart and reads its header.
    pub(super) fn parse(token: &'a str) -> Result<Self, VerifyError> {
        if token.len() > LONGEST_TOKEN {
            return Err(VerifyError::TooLong);
        }
        let mut parts = token.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(VerifyError::Parts);
        };
        let message = &token[..header.len() + 1 + payload.len()];
        for part in [payload, signature] {
            decode(part)?;
        }
        let kid = kid(&members(&decode(header)?, VerifyError::Header(HeaderFault::Json))?)?;
        Ok(Self { kid, message, signature, payload })
    }

    /// The name of the key, as the token claims: up to 64 visible ASCII characters.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Checks the signature, with RS256 and nothing else, and only then reads the claims.
    pub(super) fn check(&self, key: &VerificationKey) -> Result<Claims, VerifyError> {
        // RFC 8725, section 3.1: the algorithm is ours to say, not the token's.
        let good = crypto::verify(self.signature, self.message.as_bytes(), key.decoding_key(), Algorithm::RS256);
        if !matches!(good, Ok(true)) {
            return Err(VerifyError::Signature);
        }
        members(&decode(self.payload)?, VerifyError::Json).map(Claims::new)
    }
}

/// base64url without padding, white space or stray bits, and not empty.
fn decode(part: &str) -> Result<Vec<u8>, VerifyError> {
    if part.is_empty() {
        return Err(VerifyError::Parts);
    }
    URL_SAFE_NO_PAD.decode(part).map_err(|_| VerifyError::Base64)
}

fn members(bytes: &[u8], otherwise: VerifyError) -> Result<Object, VerifyError> {
    json::object(bytes).map_err(|error| match error {
        JsonError::Repeated => VerifyError::Repeated,
        JsonError::Syntax | JsonError::NotAnObject => otherwise,
    })
}

/// Reads the header: RS256, a key to look for, and nothing that we would have to understand.
fn kid(header: &Object) -> Result<String, VerifyError> {
    let fault = |fault| Err(VerifyError::Header(fault));
    if let Some(name) = REFUSED.into_iter().find(|name| header.contains_key(*name)) {
        return fault(HeaderFault::Refused(name));
    }
    match header.get("alg") {
        Some(Value::String(alg)) if alg == "RS256" => (),
        _ => return fault(HeaderFault::Algorithm),
    }
    match header.get("typ") {
        None => (),
        Some(Value::String(typ)) if typ == "JWT" => (),
        Some(_) => return fault(HeaderFault::Type),
    }
    match header.get("kid") {
        Some(Value::String(kid)) if super::tokens::is_tokenish(kid, LONGEST_KID) => Ok(kid.clone()),
        _ => fault(HeaderFault::KeyId),
    }
}

#[cfg(test)]
mod tests {
    // The refusals, one by one, are in `forgeries`.
    use super::*;
    use crate::apple::testing;
    use proptest::prelude::*;

    #[test]
    fn an_unverified_token_gives_away_the_name_of_its_key() {
        let token = testing::id_token(&testing::claims());
        assert_eq!(UnverifiedToken::parse(&token).unwrap().kid(), "k1");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(header in "\\PC{0,40}", rest in "\\PC{0,40}", plain in "[A-Za-z0-9_.-]{0,80}") {
            let header = URL_SAFE_NO_PAD.encode(header);
            for token in [format!("{header}.{rest}"), format!("{header}.{header}.{header}"), rest, plain] {
                prop_assert!(UnverifiedToken::parse(&token).is_err());
            }
        }
    }
}
