//! ID tokens: who signed in. OpenID Connect Core, section 3.1.3.7, rule by rule, with no switch to turn one
//! off.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use crate::{
    clock::Timestamp,
    identity::{Person, ScopeSet},
};

use super::{AccessToken, AuthorizationCode, Nonce, RawIdToken, Settings, VerifyError, claims::Claims};

/// What the token must fit: the other things of the same sign-in.
#[derive(Debug)]
pub struct Expected<'a> {
    /// What the authorize URL carried.
    pub nonce: &'a Nonce,
    /// The code that was redeemed.
    pub code: &'a AuthorizationCode,
    /// The access token that came along.
    pub access_token: &'a AccessToken,
}

/// The proof that Apple says who this is. Only verification makes one.
#[derive(Clone, Debug)]
pub struct VerifiedIdToken {
    person: Person,
    scopes: Option<ScopeSet>,
    raw: RawIdToken,
}

impl VerifiedIdToken {
    /// What verification would have returned, for tests of rooms that start after it.
    #[cfg(test)]
    pub(crate) fn for_tests(person: Person) -> Self {
        Self { person, scopes: None, raw: RawIdToken::new("raw") }
    }

    /// Who signed in.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// Apple's claim `scopes`.
    #[must_use]
    pub fn scopes(&self) -> Option<&ScopeSet> {
        self.scopes.as_ref()
    }

    /// The token as Apple gave it, for an app that wants it.
    #[must_use]
    pub fn raw(&self) -> &RawIdToken {
        &self.raw
    }
}

/// What every token of this gateway must fit.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    client_id: &'a str,
    issuers: &'a [String],
    skew: Duration,
    now: Timestamp,
}

impl<'a> Rules<'a> {
    pub(super) fn new(settings: &'a Settings, now: Timestamp) -> Self {
        Self { client_id: &settings.client_id, issuers: &settings.issuers, skew: settings.clock_skew, now }
    }

    /// Judges the claims of a token whose signature is good.
    pub(super) fn judge(
        &self,
        claims: &Claims,
        expected: &Expected<'_>,
        raw: &RawIdToken,
    ) -> Result<VerifiedIdToken, VerifyError> {
        self.issuer(claims)?;
        self.audience(claims)?;
        self.dates(claims)?;
        if !expected.nonce.matches(claims.needed_text("nonce")?) {
            return Err(VerifyError::Nonce);
        }
        hash(claims, "at_hash", expected.access_token.expose(), VerifyError::AccessTokenHash)?;
        hash(claims, "c_hash", expected.code.expose(), VerifyError::CodeHash)?;
        let person = Person {
            subject: claims.subject()?,
            organization: claims.organization()?,
            email: claims.email()?,
            is_private_email: claims.flag("is_private_email")?,
            auth_time: claims.seconds("auth_time")?,
        };
        Ok(VerifiedIdToken { person, scopes: claims.scopes()?, raw: raw.clone() })
    }

    /// "The Issuer Identifier MUST exactly match the value of the iss Claim."
    fn issuer(&self, claims: &Claims) -> Result<(), VerifyError> {
        let issuer = claims.needed_text("iss")?;
        if self.issuers.iter().any(|known| known == issuer) { Ok(()) } else { Err(VerifyError::Issuer) }
    }

    /// "The aud Claim MUST contain the client_id", and with several audiences, or an `azp`, `azp` is the
    /// client. Without `azp` any further audience is one that we do not trust.
    pub(super) fn audience(&self, claims: &Claims) -> Result<(), VerifyError> {
        let audiences = claims.audiences()?;
        if !audiences.contains(&self.client_id) {
            return Err(VerifyError::Audience);
        }
        match claims.text("azp")? {
            Some(party) if party == self.client_id => Ok(()),
            None if audiences.len() == 1 => Ok(()),
            Some(_) | None => Err(VerifyError::AuthorizedParty),
        }
    }

    /// "The current time MUST be before the time represented by the exp Claim", give or take the skew.
    fn dates(&self, claims: &Claims) -> Result<(), VerifyError> {
        let (expires, issued) = (claims.needed_date("exp")?, claims.needed_date("iat")?);
        if expires.plus(self.skew) <= self.now {
            return Err(VerifyError::Expired);
        }
        let latest = self.now.plus(self.skew);
        if issued > latest {
            return Err(VerifyError::FromTheFuture("iat"));
        }
        if issued >= expires {
            return Err(VerifyError::Lifetime);
        }
        match claims.seconds("nbf")? {
            Some(seconds) if Timestamp::from_seconds(seconds) > latest => Err(VerifyError::FromTheFuture("nbf")),
            Some(_) | None => Ok(()),
        }
    }
}

/// Sections 3.1.3.6 and 3.3.2.11: the left half of the SHA-256 of the ASCII text, in base64url. Absent is
/// fine; present and wrong is not.
fn hash(claims: &Claims, name: &'static str, of: &str, wrong: VerifyError) -> Result<(), VerifyError> {
    let Some(claimed) = claims.text(name)? else { return Ok(()) };
    let digest = digest::digest(&digest::SHA256, of.as_bytes());
    let actual = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]);
    if bool::from(actual.as_bytes().ct_eq(claimed.as_bytes())) { Ok(()) } else { Err(wrong) }
}
