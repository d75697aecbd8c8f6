//! Writes a JWS by hand, so that it can be written wrong.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use super::signing_key::{RsaAlgorithm, SigningKey};

/// How the signature is made.
pub(super) enum Seal {
    /// By an RSA key.
    Rsa(SigningKey, RsaAlgorithm),
    /// HMAC with SHA-256.
    Hmac(Vec<u8>),
    /// Not at all.
    Open,
}

/// What is done to the finished text.
pub(super) enum Mangle {
    /// Nothing.
    Not,
    /// Other claims than those that were signed.
    SwapClaims(Map<String, Value>),
    /// One bit of the signature flipped.
    FlipSignature,
    /// No signature, and no dot before it.
    TwoParts,
    /// So many parts more.
    MoreParts(usize),
    /// `=` where base64 would have it.
    Pad,
    /// The empty text.
    Nothing,
}

/// A token before it is written.
pub(super) struct Draft {
    pub(super) header: Map<String, Value>,
    pub(super) claims: Map<String, Value>,
    pub(super) seal: Seal,
    pub(super) mangle: Mangle,
    /// A member that the header has once more, before its own.
    pub(super) header_first: Option<String>,
    /// A member that the claims have once more, before (false) or after (true) their own.
    pub(super) claims_again: Option<(bool, String)>,
    /// What stands there instead of the claims.
    pub(super) claims_instead: Option<&'static str>,
}

impl Draft {
    /// A token by the book: RS256.
    pub(super) fn new(key: &SigningKey, claims: Map<String, Value>) -> Self {
        let mut header = Map::new();
        header.insert("alg".into(), json!("RS256"));
        header.insert("kid".into(), json!(key.kid()));
        Self {
            header,
            claims,
            seal: Seal::Rsa(key.clone(), RsaAlgorithm::Rs256),
            mangle: Mangle::Not,
            header_first: None,
            claims_again: None,
            claims_instead: None,
        }
    }

    /// The compact serialization (RFC 7515, section 7.1).
    pub(super) fn write(self) -> String {
        let header = join(self.header_first.as_deref(), &text(&self.header), None);
        let again = self.claims_again.as_ref();
        let before = again.filter(|(after, _)| !after).map(|(_, member)| member.as_str());
        let after = again.filter(|(after, _)| *after).map(|(_, member)| member.as_str());
        let own = text(&self.claims);
        let claims = self.claims_instead.map_or_else(|| join(before, &own, after), str::to_owned);
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let mut signature = match &self.seal {
            Seal::Rsa(key, algorithm) => key.sign(*algorithm, signed.as_bytes()),
            Seal::Hmac(key) => hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), signed.as_bytes()).as_ref().to_vec(),
            Seal::Open => Vec::new(),
        };
        if let (Mangle::FlipSignature, Some(byte)) = (&self.mangle, signature.last_mut()) {
            *byte ^= 1;
        }
        let sealed = URL_SAFE_NO_PAD.encode(&signature);
        match self.mangle {
            Mangle::Not | Mangle::FlipSignature => format!("{signed}.{sealed}"),
            Mangle::SwapClaims(claims) => format!("{}.{}.{sealed}", encode(&header), encode(&text(&claims))),
            Mangle::TwoParts => signed,
            Mangle::MoreParts(more) => format!("{signed}.{sealed}{}", ".AAAA".repeat(more)),
            Mangle::Pad => format!("{signed}.{}", URL_SAFE.encode(&signature)),
            Mangle::Nothing => String::new(),
        }
    }
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn text(object: &Map<String, Value>) -> String {
    // A map of JSON values with texts as names always has a JSON text.
    serde_json::to_string(object).unwrap_or_default()
}

/// Puts members into the text of an object, as no JSON library would.
fn join(first: Option<&str>, object: &str, last: Option<&str>) -> String {
    let inner = object.trim_start_matches('{').trim_end_matches('}');
    let members: Vec<_> = first.into_iter().chain([inner]).chain(last).filter(|member| !member.is_empty()).collect();
    format!("{{{}}}", members.join(","))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation};

    use super::*;

    fn draft() -> (Draft, DecodingKey) {
        let key = SigningKey::shared(0, "A".into()).unwrap();
        let public = DecodingKey::from_rsa_pem(key.public_pem().as_bytes()).unwrap();
        let claims = json!({"sub": "a", "exp": 4_000_000_000_u64});
        (Draft::new(&key, claims.as_object().unwrap().clone()), public)
    }

    #[test]
    fn a_token_by_the_book_is_one_for_another_library() {
        let (draft, public) = draft();
        let token = jsonwebtoken::decode::<Value>(draft.write(), &public, &Validation::new(Algorithm::RS256)).unwrap();
        assert_eq!(token.claims["sub"], "a");
        assert_eq!(token.header.kid.as_deref(), Some("A"));
    }

    #[test]
    fn doubled_members_are_in_the_text() {
        let (mut draft, _) = draft();
        draft.header_first = Some(r#""alg":"none""#.into());
        draft.claims_again = Some((true, r#""sub":"b""#.into()));
        let token = draft.write();
        let part = |place: usize| {
            String::from_utf8(URL_SAFE_NO_PAD.decode(token.split('.').nth(place).unwrap()).unwrap()).unwrap()
        };
        assert_eq!(part(0), r#"{"alg":"none","alg":"RS256","kid":"A"}"#);
        assert_eq!(part(1), r#"{"exp":4000000000,"sub":"a","sub":"b"}"#);
    }
}
