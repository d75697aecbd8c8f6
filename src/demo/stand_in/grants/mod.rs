//! The book of codes, grants and tokens.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    behaviour::{AfterRevocation, Reach},
    error_code::Refusal,
    people::Persona,
    service::Service,
};
use crate::{
    clock::Timestamp,
    entropy::{self, Entropy},
    identity::ScopeSet,
};

/// How long a code lives: five minutes.
const CODE_LIFETIME: Duration = Duration::from_secs(300);

/// Most grants that are remembered; the oldest goes first.
const MOST_GRANTS: usize = 20_000;

/// What a person agreed to.
#[derive(Clone)]
pub(super) struct Approval {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: Option<String>,
    pub(super) nonce: Option<String>,
    pub(super) scopes: ScopeSet,
    pub(super) person: Persona,
    /// When.
    pub(super) at: Timestamp,
}

struct Code {
    approval: Approval,
    spent_for: Option<GrantNumber>,
}

/// The place of a grant in the book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GrantNumber(u64);

#[derive(Clone, Copy, PartialEq, Eq)]
enum RefreshState {
    Live,
    Rotated,
    Revoked,
}

struct RefreshToken {
    grant: GrantNumber,
    state: RefreshState,
}

struct AccessToken {
    grant: GrantNumber,
    expires: Timestamp,
}

/// What a client offers for tokens; the service is the one whose paths it calls.
pub(super) struct Offer<'a> {
    pub(super) service: Service,
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) code: &'a str,
    pub(super) verifier: Option<&'a str>,
}

/// Codes, grants and tokens. A grant lives as long as it is in here.
#[derive(Default)]
pub(super) struct Grants {
    codes: HashMap<String, Code>,
    grants: BTreeMap<GrantNumber, Approval>,
    refresh_tokens: HashMap<String, RefreshToken>,
    access_tokens: HashMap<String, AccessToken>,
    made: u64,
}

impl Grants {
    /// Makes a code for an approval.
    pub(super) fn make_code(&mut self, approval: Approval, entropy: &dyn Entropy) -> String {
        let now = approval.at;
        // A spent code is remembered as long as it could have been used, to know it again. Sweeping only at
        // powers of two keeps ten thousand sign-ins cheap.
        if self.codes.len().is_power_of_two() {
            self.codes.retain(|_, code| now < code.approval.at.plus(CODE_LIFETIME));
        }
        let code = opaque('c', entropy);
        self.codes.insert(code.clone(), Code { approval, spent_for: None });
        code
    }

    /// Redeems a code, once.
    pub(super) fn redeem(&mut self, offer: &Offer<'_>, now: Timestamp) -> Result<GrantNumber, Refusal> {
        let code = self.codes.get_mut(offer.code).ok_or(Refusal::grant("the code is unknown"))?;
        if now >= code.approval.at.plus(CODE_LIFETIME) {
            return Err(Refusal::grant("the code is older than five minutes"));
        }
        if let Some(grant) = code.spent_for {
            // RFC 6749, section 4.1.2: a code that comes twice was stolen, and so may the tokens be.
            self.end(grant);
            return Err(Refusal::grant("the code was used before"));
        }
        let approval = &code.approval;
        if approval.client_id != offer.client_id {
            return Err(Refusal::grant("the code is another client's"));
        }
        if approval.redirect_uri != offer.redirect_uri {
            return Err(Refusal::new(
                offer.service.redirect_mismatch(),
                "the redirect_uri is not that of the authorization",
            ));
        }
        check_verifier(approval.challenge.as_deref(), offer.verifier)?;
        self.made += 1;
        let grant = GrantNumber(self.made);
        code.spent_for = Some(grant);
        self.grants.insert(grant, code.approval.clone());
        if self.grants.len() > MOST_GRANTS
            && let Some((oldest, _)) = self.grants.pop_first()
        {
            self.end(oldest);
        }
        Ok(grant)
    }

    /// What was agreed to, as long as it holds.
    pub(super) fn approval(&self, grant: GrantNumber) -> Option<&Approval> {
        self.grants.get(&grant)
    }

    /// Whether what a code was redeemed for still holds.
    pub(super) fn stands(&self, code: &str) -> bool {
        self.codes.get(code).and_then(|code| code.spent_for).is_some_and(|grant| self.grants.contains_key(&grant))
    }

    /// A new access token.
    pub(super) fn make_access_token(
        &mut self,
        grant: GrantNumber,
        now: Timestamp,
        lifetime: Duration,
        entropy: &dyn Entropy,
    ) -> String {
        if self.access_tokens.len().is_power_of_two() {
            self.access_tokens.retain(|_, token| now < token.expires);
        }
        let token = opaque('a', entropy);
        self.access_tokens.insert(token.clone(), AccessToken { grant, expires: now.plus(lifetime) });
        token
    }

    /// A new refresh token.
    pub(super) fn make_refresh_token(&mut self, grant: GrantNumber, entropy: &dyn Entropy) -> String {
        if self.refresh_tokens.len() >= 2 * MOST_GRANTS {
            self.refresh_tokens.retain(|_, token| token.state == RefreshState::Live);
        }
        let token = opaque('r', entropy);
        self.refresh_tokens.insert(token.clone(), RefreshToken { grant, state: RefreshState::Live });
        token
    }

    /// Finds the grant of a live refresh token of this client.
    pub(super) fn refresh(
        &self,
        token: &str,
        client_id: &str,
        after_revocation: AfterRevocation,
    ) -> Result<GrantNumber, Refusal> {
        let found = self.refresh_tokens.get(token).ok_or(Refusal::grant("the refresh token is unknown"))?;
        match found.state {
            RefreshState::Rotated => return Err(Refusal::grant("the refresh token was replaced by a newer one")),
            RefreshState::Revoked => {
                return Err(Refusal::new(after_revocation.error(), "the authorization was revoked"));
            }
            RefreshState::Live => {}
        }
        let approval = self.approval(found.grant).ok_or(Refusal::grant("the grant is over"))?;
        if approval.client_id == client_id {
            Ok(found.grant)
        } else {
            Err(Refusal::grant("the refresh token is another client's"))
        }
    }

    /// Marks a refresh token as replaced.
    pub(super) fn retire_refresh_token(&mut self, token: &str) {
        if let Some(token) = self.refresh_tokens.get_mut(token) {
            token.state = RefreshState::Rotated;
        }
    }

    /// Ends what a token stands for. Whoever ends a token that is no more has succeeded (RFC 7009, section 2.2).
    ///
    /// Returns the person, when there was one.
    pub(super) fn revoke(
        &mut self,
        token: &str,
        hint: Option<&str>,
        client_id: &str,
        reach: Reach,
    ) -> Result<Option<Persona>, Refusal> {
        let as_refresh = self.refresh_tokens.get(token).map(|found| (found.grant, "refresh_token"));
        let as_access = self.access_tokens.get(token).map(|found| (found.grant, "access_token"));
        let Some((grant, kind)) = as_refresh.or(as_access) else { return Ok(None) };
        if hint.is_some_and(|hint| hint != kind) {
            return Err(Refusal::request("the token is of another type than token_type_hint says"));
        }
        let Some(approval) = self.grants.get(&grant).cloned() else { return Ok(None) };
        if approval.client_id != client_id {
            return Err(Refusal::client("the token is another client's"));
        }
        let person = approval.person;
        let falls = |number: GrantNumber, other: &Approval| {
            other.client_id == client_id
                && match reach {
                    Reach::Grant => number == grant,
                    Reach::Person => other.person.subject == person.subject,
                    Reach::Organization => {
                        let same = other.person.organization == person.organization;
                        number == grant || (same && person.organization.is_some())
                    }
                }
        };
        let fallen: Vec<_> =
            self.grants.iter().filter(|(number, other)| falls(**number, other)).map(|(number, _)| *number).collect();
        fallen.into_iter().for_each(|number| self.end(number));
        Ok(Some(person))
    }

    /// What an access token allows, as long as it does.
    pub(super) fn bearer(&self, token: &str, now: Timestamp) -> Option<&Approval> {
        let found = self.access_tokens.get(token).filter(|found| now < found.expires)?;
        self.approval(found.grant)
    }

    /// Ends a grant and its tokens.
    fn end(&mut self, grant: GrantNumber) {
        let evicted = self.grants.remove(&grant).is_none();
        self.access_tokens.retain(|_, token| token.grant != grant);
        for token in self.refresh_tokens.values_mut().filter(|token| token.grant == grant) {
            token.state = RefreshState::Revoked;
        }
        if evicted {
            self.refresh_tokens.retain(|_, token| token.grant != grant);
        }
    }
}

/// PKCE with S256 (RFC 7636, section 4.6). A verifier without a challenge is refused too: it means that
/// somebody took the challenge out on the way (RFC 9700, section 2.1.1).
fn check_verifier(challenge: Option<&str>, verifier: Option<&str>) -> Result<(), Refusal> {
    match (challenge, verifier) {
        (None, None) => Ok(()),
        (None, Some(_)) => Err(Refusal::grant("there is a code_verifier, but there was no code_challenge")),
        (Some(_), None) => Err(Refusal::grant("there was a code_challenge, but there is no code_verifier")),
        (Some(challenge), Some(verifier)) => {
            let hash = digest::digest(&digest::SHA256, verifier.as_bytes());
            if URL_SAFE_NO_PAD.encode(hash) == challenge {
                Ok(())
            } else {
                Err(Refusal::grant("the code_verifier does not fit the code_challenge"))
            }
        }
    }
}

/// A letter, 32 of hexadecimal, two short parts and 22 of base64url, as in Apple's examples.
fn opaque(letter: char, entropy: &dyn Entropy) -> String {
    format!("{letter}{}.0.nwsw.{}", entropy::hex::<16>(entropy), entropy::text::<16>(entropy))
}

#[cfg(test)]
mod tests;
