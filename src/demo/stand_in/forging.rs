//! Turns a good draft of an ID token into a forged one.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    forgery::Forgery,
    jws::{Draft, Mangle, Seal},
    key_ring::KeyRing,
    signing_key::{RsaAlgorithm, SigningKey},
};

/// An hour in seconds.
const HOUR: u64 = 3600;

/// Whom a forger would like to be.
const COVETED: &str = "000001.VEhFLVNVQkpFQ1QtT0YtQU4tQURNSU5JU1RSQVRP.Uk9P";

/// A line break and a header after it.
const SMUGGLED: &str = "x\r\nX-Schoolgate-Organization: other";

/// Forges. `now` is in seconds.
pub(super) fn forge(draft: Draft, forgery: Forgery, keys: &KeyRing, now: u64) -> Draft {
    Forge { draft, keys, now }.work(forgery)
}

struct Forge<'a> {
    draft: Draft,
    keys: &'a KeyRing,
    now: u64,
}

impl Forge<'_> {
    fn work(self, forgery: Forgery) -> Draft {
        let (now, client) = (self.now, self.text("aud"));
        let true_subject = self.text("sub");
        let forged = match forgery {
            Forgery::AlgNone => self.header("alg", json!("none")).seal(Seal::Open),
            Forgery::AlgNoneInOddCase => self.header("alg", json!("nOnE")).seal(Seal::Open),
            Forgery::AlgNoneWithSignature => self.header("alg", json!("none")),
            Forgery::AlgMissing => self.header("alg", Value::Null),
            Forgery::HmacWithPublicPem => {
                let key = self.keys.signer().public_pem().into_bytes();
                self.header("alg", json!("HS256")).seal(Seal::Hmac(key))
            }
            Forgery::HmacWithModulus => {
                let modulus = self.keys.signer().jwk()["n"].as_str().map(|text| URL_SAFE_NO_PAD.decode(text));
                let key = modulus.and_then(Result::ok).unwrap_or_default();
                self.header("alg", json!("HS256")).seal(Seal::Hmac(key))
            }
            Forgery::HmacWithEmptyKey => self.header("alg", json!("HS256")).seal(Seal::Hmac(Vec::new())),
            Forgery::Rs512 => self.header("alg", json!("RS512")).sealed_with(RsaAlgorithm::Rs512),
            Forgery::Ps256 => self.header("alg", json!("PS256")).sealed_with(RsaAlgorithm::Ps256),
            Forgery::Rs512CalledRs256 => self.sealed_with(RsaAlgorithm::Rs512),
            Forgery::UnknownKid => {
                let kid = self.keys.foreign().kid().to_owned();
                self.by_foreigner().header("kid", json!(kid))
            }
            Forgery::ForeignKey => self.by_foreigner(),
            Forgery::KidMissing => self.header("kid", Value::Null),
            Forgery::KidEmpty => self.header("kid", json!("")),
            Forgery::KidIsPath => self.header("kid", json!("../../../../dev/null")),
            Forgery::KidHuge => self.header("kid", json!("A".repeat(65_536))),
            Forgery::KidNumber => self.header("kid", json!(7)),
            Forgery::EmbeddedKey => {
                let (kid, jwk) = (self.keys.foreign().kid().to_owned(), self.keys.foreign().jwk());
                self.by_foreigner().header("kid", json!(kid)).header("jwk", jwk)
            }
            Forgery::EmbeddedKeyKnownKid => {
                let jwk = self.keys.foreign().jwk();
                self.by_foreigner().header("jwk", jwk)
            }
            Forgery::KeyByAddress => self.by_foreigner().header("jku", json!("https://keys.invalid/keys")),
            Forgery::Critical => self.header("crit", json!(["urn:x"])).header("urn:x", json!(true)),
            Forgery::CriticalKnownName => self.header("crit", json!(["exp"])).header("exp", json!(now + HOUR)),
            Forgery::CriticalEmpty => self.header("crit", json!([])),
            Forgery::Unencoded => self.header("crit", json!(["b64"])).header("b64", json!(false)),
            Forgery::KeyForEncryption | Forgery::KeyForOtherOperations | Forgery::KeyForOtherAlgorithm => {
                let key = self.keys.purpose().clone();
                self.by(key.clone()).header("kid", json!(key.kid()))
            }
            Forgery::HeaderDuplicateAlg => self.header_first(r#""alg":"none""#),
            Forgery::HeaderDuplicateKid => self.header_first(r#""kid":"OTHERKEY00""#),
            Forgery::TamperedClaims => {
                let mut claims = self.draft.claims.clone();
                claims.insert("sub".into(), json!(COVETED));
                self.mangle(Mangle::SwapClaims(claims))
            }
            Forgery::TamperedSignature => self.mangle(Mangle::FlipSignature),
            Forgery::SignatureMissing => self.seal(Seal::Open),
            Forgery::TwoParts => self.mangle(Mangle::TwoParts),
            Forgery::FourParts => self.mangle(Mangle::MoreParts(1)),
            Forgery::FiveParts => self.mangle(Mangle::MoreParts(2)),
            Forgery::Padded => self.mangle(Mangle::Pad),
            Forgery::ClaimsNotJson => self.claims_instead("not JSON"),
            Forgery::ClaimsArray => self.claims_instead("[]"),
            Forgery::EmptyToken => self.mangle(Mangle::Nothing),
            Forgery::IssuerAccount => self.claim("iss", json!("https://account.apple.com")),
            Forgery::IssuerOrganizationService => self.claim("iss", json!("https://appleid.apple.com/auth/oauth2/v2")),
            Forgery::IssuerWithSlash => self.claim("iss", json!("https://appleid.apple.com/")),
            Forgery::IssuerLookalike => self.claim("iss", json!("https://appleid.apple.com.evil.example")),
            Forgery::IssuerArray => {
                let issuer = self.text("iss");
                self.claim("iss", json!([issuer, "https://evil.example"]))
            }
            Forgery::IssuerMissing => self.claim("iss", Value::Null),
            Forgery::AudienceOther => self.claim("aud", json!("org.example.other")),
            Forgery::AudienceLookalike => self.claim("aud", json!(format!("{client}.other"))),
            Forgery::AudienceSecond => self.claim("aud", json!([client, "org.example.other"])),
            Forgery::AudienceSecondAuthorized => {
                self.claim("aud", json!([client, "org.example.other"])).claim("azp", json!("org.example.other"))
            }
            Forgery::AudienceEmpty => self.claim("aud", json!([])),
            Forgery::AudienceObject => self.claim("aud", json!({ client: true })),
            Forgery::AudienceMissing => self.claim("aud", Value::Null),
            Forgery::AuthorizedPartyOther => self.claim("azp", json!("org.example.other")),
            Forgery::Expired => {
                self.claim("iat", json!(now.saturating_sub(25 * HOUR))).claim("exp", json!(now.saturating_sub(HOUR)))
            }
            Forgery::ExpiryMissing => self.claim("exp", Value::Null),
            Forgery::ExpiryText => self.claim("exp", json!((now + HOUR).to_string())),
            Forgery::ExpiryHuge => self.claim("exp", json!(1e300)),
            Forgery::ExpiryNegative => self.claim("exp", json!(-1)),
            Forgery::IssuedInFuture => self.claim("iat", json!(now + HOUR)),
            Forgery::IssuedMissing => self.claim("iat", Value::Null),
            Forgery::IssuedText => self.claim("iat", json!(now.to_string())),
            Forgery::IssuedHuge => self.claim("iat", json!(1e300)),
            Forgery::NotYetValid => self.claim("nbf", json!(now + HOUR)),
            Forgery::NonceMissing => self.claim("nonce", Value::Null),
            Forgery::NonceOther => self.claim("nonce", json!("another sign-in's")),
            Forgery::NonceEmpty => self.claim("nonce", json!("")),
            Forgery::NonceArray => {
                let nonce = self.text("nonce");
                self.claim("nonce", json!([nonce]))
            }
            Forgery::SubjectMissing => self.claim("sub", Value::Null),
            Forgery::SubjectEmpty => self.claim("sub", json!("")),
            Forgery::SubjectBinary => self.claim("sub", json!(format!("{true_subject}\0"))),
            Forgery::SubjectHeader => self.claim("sub", json!(SMUGGLED)),
            Forgery::SubjectHuge => self.claim("sub", json!("A".repeat(65_536))),
            Forgery::SubjectNumber => self.claim("sub", json!(1)),
            Forgery::SubjectBeyondAscii => self.claim("sub", json!("\u{430}dmin")),
            Forgery::DuplicateSubject => self.again(false, "sub", COVETED),
            Forgery::DuplicateSubjectLast => self.again(true, "sub", COVETED),
            Forgery::DuplicateAudience => self.again(false, "aud", "org.example.other"),
            Forgery::OrganizationHeader => self.claim("org_id", json!(SMUGGLED)),
            Forgery::AccessTokenHashOther => self.claim("at_hash", json!(half_hash("another access token"))),
            Forgery::AccessTokenHashNumber => self.claim("at_hash", json!(7)),
            Forgery::CodeHashOther => self.claim("c_hash", json!(half_hash("another code"))),
        };
        forged.draft
    }

    fn text(&self, claim: &str) -> String {
        self.draft.claims.get(claim).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Sets a member of the header; null takes it away.
    fn header(mut self, name: &str, value: Value) -> Self {
        set(&mut self.draft.header, name, value);
        self
    }

    /// Sets a claim; null takes it away.
    fn claim(mut self, name: &str, value: Value) -> Self {
        set(&mut self.draft.claims, name, value);
        self
    }

    fn seal(mut self, seal: Seal) -> Self {
        self.draft.seal = seal;
        self
    }

    fn sealed_with(self, algorithm: RsaAlgorithm) -> Self {
        let key = self.keys.signer().clone();
        self.seal(Seal::Rsa(key, algorithm))
    }

    fn by(self, key: SigningKey) -> Self {
        self.seal(Seal::Rsa(key, RsaAlgorithm::Rs256))
    }

    fn by_foreigner(self) -> Self {
        let key = self.keys.foreign().clone();
        self.by(key).claim("sub", json!(COVETED))
    }

    fn mangle(mut self, mangle: Mangle) -> Self {
        self.draft.mangle = mangle;
        self
    }

    fn header_first(mut self, member: &str) -> Self {
        self.draft.header_first = Some(member.to_owned());
        self
    }

    fn claims_instead(mut self, text: &'static str) -> Self {
        self.draft.claims_instead = Some(text);
        self
    }

    fn again(mut self, after: bool, name: &str, value: &str) -> Self {
        self.draft.claims_again = Some((after, format!("{}:{}", json!(name), json!(value))));
        self
    }
}

fn set(object: &mut serde_json::Map<String, Value>, name: &str, value: Value) {
    if value.is_null() {
        object.remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
}

/// The left half of SHA-256 in base64url, as `at_hash` and `c_hash` are (OpenID Connect Core, 3.1.3.6 and 3.3.2.11).
pub(super) fn half_hash(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(&digest::digest(&digest::SHA256, text.as_bytes()).as_ref()[..16])
}
