//! ID tokens as Apple issues them, and forged ones on demand.

use serde_json::{Map, Value, json};

use super::{
    behaviour::{Behaviour, EmailClaim, VerifiedClaim},
    forging::{forge, half_hash},
    jws::Draft,
    key_ring::KeyRing,
    people::{Persona, Verified},
};
use crate::{clock::Timestamp, identity::ScopeSet};

/// How long an ID token is valid, in seconds.
const LIFETIME: u64 = 86_400;

/// What an ID token tells of.
pub(super) struct Occasion<'a> {
    pub(super) client_id: &'a str,
    pub(super) person: &'a Persona,
    pub(super) scopes: &'a ScopeSet,
    pub(super) nonce: Option<&'a str>,
    pub(super) access_token: &'a str,
    /// The code that was redeemed; none for a refresh.
    pub(super) code: Option<&'a str>,
    /// When the person picked themselves.
    pub(super) signed_in: Timestamp,
    pub(super) now: Timestamp,
}

impl Occasion<'_> {
    /// Writes the token.
    pub(super) fn token(&self, behaviour: &Behaviour, keys: &KeyRing) -> String {
        let draft = Draft::new(keys.signer(), self.claims(behaviour));
        match behaviour.forgery {
            None => draft.write(),
            Some(forgery) => forge(draft, forgery, keys, self.now.seconds()).write(),
        }
    }

    fn claims(&self, behaviour: &Behaviour) -> Map<String, Value> {
        let now = self.now.seconds();
        let managed = self.person.organization.as_deref();
        let scopes = (managed.is_some() && behaviour.scopes_claim && !self.scopes.is_empty())
            .then(|| json!(self.scopes.to_string()));
        let claims = [
            ("iss", Some(json!(behaviour.issuer.as_str()))),
            ("aud", Some(json!(self.client_id))),
            ("sub", Some(json!(self.person.subject))),
            ("iat", Some(json!(now))),
            ("exp", Some(json!(now + LIFETIME))),
            ("auth_time", behaviour.auth_time.then(|| json!(self.signed_in.seconds()))),
            ("nonce", self.nonce.map(|nonce| json!(nonce))),
            ("nonce_supported", Some(json!(true))),
            ("at_hash", behaviour.at_hash.then(|| json!(half_hash(self.access_token)))),
            ("c_hash", self.code.filter(|_| behaviour.c_hash).map(|code| json!(half_hash(code)))),
            ("email", email(self.person, behaviour)),
            ("email_verified", email_verified(self.person, behaviour)),
            ("org_id", managed.map(|organization| json!(organization))),
            ("scopes", scopes),
        ];
        claims.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

fn email(person: &Persona, behaviour: &Behaviour) -> Option<Value> {
    match behaviour.email {
        EmailClaim::OfPerson => person.email.as_ref().map(|email| json!(email)),
        EmailClaim::Absent => None,
        EmailClaim::Empty => Some(json!("")),
    }
}

fn email_verified(person: &Persona, behaviour: &Behaviour) -> Option<Value> {
    let verified = match behaviour.email_verified {
        VerifiedClaim::OfPerson => person.email_verified,
        VerifiedClaim::Always(verified) => verified,
        VerifiedClaim::Absent => return None,
    };
    email(person, behaviour).map(|_| match verified {
        Verified::Boolean(verified) => json!(verified),
        Verified::Text(verified) => json!(verified.to_string()),
    })
}
