//! The claims of a token whose signature is good, read one by one. A claim that is there has its type, or
//! the token is refused: `"1700000000"` is no date and `["x"]` is no issuer.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    identity::{Email, Organization, ScopeSet, Subject},
};

use super::{
    RawIdToken, VerifyError,
    json::{self, Object},
};

/// Latest date in seconds: beyond it a JSON number means different things to different readers (RFC 8259,
/// section 6).
const LATEST: u64 = 1 << 53;
/// Longest address in bytes: 64 before the `@`, 255 behind it (RFC 5321, section 4.5.3.1).
const LONGEST_EMAIL: usize = 320;
/// Most audiences that are looked at.
const MOST_AUDIENCES: usize = 16;
/// Most claims that are kept for `claim:NAME`.
const MOST_KEPT: usize = 64;
/// Longest name of a claim that is kept, in bytes.
const LONGEST_NAME: usize = 64;
/// Longest value of a claim that is kept, in bytes.
const LONGEST_VALUE: usize = 1024;

/// The claims of one token. Only [`UnverifiedToken::check`](super::compact::UnverifiedToken::check) makes
/// them outside tests.
pub(super) struct Claims(Object);

impl Claims {
    pub(super) fn new(object: Object) -> Self {
        Self(object)
    }

    /// A claim of any type.
    pub(super) fn any(&self, name: &'static str) -> Option<&Value> {
        self.0.get(name)
    }

    /// A claim that is a text when it is there.
    pub(super) fn text(&self, name: &'static str) -> Result<Option<&str>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(VerifyError::Odd(name)),
        }
    }

    /// A claim that must be there and be a text.
    pub(super) fn needed_text(&self, name: &'static str) -> Result<&str, VerifyError> {
        self.text(name)?.ok_or(VerifyError::Missing(name))
    }

    /// A `NumericDate` (RFC 7519, section 2) in whole seconds, when it is there.
    pub(super) fn seconds(&self, name: &'static str) -> Result<Option<u64>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => {
                let seconds = value.as_u64().filter(|seconds| *seconds <= LATEST);
                seconds.map(Some).ok_or(VerifyError::Odd(name))
            }
        }
    }

    /// A date that must be there.
    pub(super) fn needed_date(&self, name: &'static str) -> Result<Timestamp, VerifyError> {
        self.seconds(name)?.map(Timestamp::from_seconds).ok_or(VerifyError::Missing(name))
    }

    /// `aud`: one text, or a list of texts (RFC 7519, section 4.1.3).
    pub(super) fn audiences(&self) -> Result<Vec<&str>, VerifyError> {
        let odd = VerifyError::Odd("aud");
        match self.0.get("aud") {
            None => Err(VerifyError::Missing("aud")),
            Some(Value::String(one)) => Ok(vec![one]),
            Some(Value::Array(list)) if (1..=MOST_AUDIENCES).contains(&list.len()) => {
                list.iter().map(|item| item.as_str().ok_or(odd.clone())).collect()
            }
            Some(_) => Err(odd),
        }
    }

    /// `sub`.
    pub(super) fn subject(&self) -> Result<Subject, VerifyError> {
        Subject::parse(self.needed_text("sub")?).map_err(VerifyError::Subject)
    }

    /// `org_id`, which personal accounts do not have.
    pub(super) fn organization(&self) -> Result<Option<Organization>, VerifyError> {
        self.text("org_id")?.map(Organization::parse).transpose().map_err(VerifyError::Organization)
    }

    /// `email` and `email_verified`. Apple gives younger pupils an empty address: that is none.
    pub(super) fn email(&self) -> Result<Option<Email>, VerifyError> {
        let verified = self.flag("email_verified")?.unwrap_or(false);
        let Some(address) = self.text("email")?.filter(|address| !address.is_empty()) else {
            return Ok(None);
        };
        // White space too: an app that trims it would take one person for another.
        let odd = address.len() > LONGEST_EMAIL || address.chars().any(|c| c.is_control() || c.is_whitespace());
        if odd { Err(VerifyError::Odd("email")) } else { Ok(Some(Email { address: address.into(), verified })) }
    }

    /// A boolean. Apple documents, and has sent, both `true` and `"true"`.
    pub(super) fn flag(&self, name: &'static str) -> Result<Option<bool>, VerifyError> {
        match self.0.get(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" => Ok(Some(true)),
            Some(Value::String(text)) if text == "false" => Ok(Some(false)),
            Some(_) => Err(VerifyError::Odd(name)),
        }
    }

    /// Apple's claim `scopes`, which only managed accounts have.
    pub(super) fn scopes(&self) -> Result<Option<ScopeSet>, VerifyError> {
        self.text("scopes")?.map(ScopeSet::parse).transpose().map_err(|_| VerifyError::Odd("scopes"))
    }

    /// The claims that a header can carry: texts, whole numbers and booleans, of bounded number and size and
    /// without control characters. `nonce` is left out: it belongs to the sign-in.
    pub(super) fn scalars(&self) -> BTreeMap<String, String> {
        let text = |value: &Value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Bool(flag) => Some(flag.to_string()),
            Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
            Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        self.0
            .iter()
            .filter(|(name, _)| *name != "nonce" && super::tokens::is_tokenish(name, LONGEST_NAME))
            .filter_map(|(name, value)| Some((name.clone(), text(value)?)))
            .filter(|(_, text)| text.len() <= LONGEST_VALUE && !text.chars().any(char::is_control))
            .take(MOST_KEPT)
            .collect()
    }
}

/// The claims of a token that was verified once, which a header can carry: none of what is no token.
#[must_use]
pub fn kept_claims(verified: &RawIdToken) -> BTreeMap<String, String> {
    let payload = verified.expose().split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let object = payload.and_then(|payload| json::object(&payload).ok());
    object.map(|object| Claims(object).scalars()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        Claims::new(value.as_object().unwrap().clone())
    }

    #[test]
    fn flags_are_booleans_or_their_names() {
        for (value, flag) in
            [(json!(true), true), (json!("true"), true), (json!(false), false), (json!("false"), false)]
        {
            assert_eq!(claims(json!({ "email_verified": value })).flag("email_verified"), Ok(Some(flag)));
        }
        for odd in [json!("True"), json!("1"), json!(1), json!(""), json!(null), json!([true])] {
            let result = claims(json!({ "email_verified": odd })).email();
            assert_eq!(result, Err(VerifyError::Odd("email_verified")), "{odd}");
        }
    }

    #[test]
    fn an_email_may_be_absent_or_empty() {
        assert_eq!(claims(json!({})).email(), Ok(None));
        assert_eq!(claims(json!({"email": "", "email_verified": "false"})).email(), Ok(None));
        let email = Email { address: "a@school.example".into(), verified: false };
        assert_eq!(claims(json!({"email": "a@school.example"})).email(), Ok(Some(email)));
    }

    #[test]
    fn an_email_that_is_long_or_binary_is_refused() {
        let long = format!("{}@school.example", "a".repeat(320));
        for odd in [
            json!(long),
            json!("a\r\n@x"),
            json!("a\0@x"),
            json!(" a@x"),
            json!("a@x\u{a0}"),
            json!("a\u{85}@x"),
            json!(1),
            json!(null),
            json!(["a@x"]),
        ] {
            assert_eq!(claims(json!({ "email": odd })).email(), Err(VerifyError::Odd("email")), "{odd}");
        }
    }

    #[test]
    fn only_what_a_header_can_carry_is_kept() {
        let kept = claims(json!({
            "sub": "s", "auth_time": 5, "below": -5, "is_private_email": true, "email_verified": "false", "name": "Zoë",
            "nonce": "n", "list": [1], "object": {}, "nothing": null, "half": 0.5, "huge": 1e300,
            "binary": "a\r\nb", "long": "x".repeat(1025), "odd name": "x", "": "x", ("n".repeat(65)): "x",
        }))
        .scalars();
        let kept: Vec<_> = kept.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        assert_eq!(
            kept,
            [
                ("auth_time", "5"),
                ("below", "-5"),
                ("email_verified", "false"),
                ("is_private_email", "true"),
                ("name", "Zoë"),
                ("sub", "s"),
            ]
        );
        let many: Object = (0..100).map(|number| (format!("c{number:03}"), json!(1))).collect();
        assert_eq!(Claims::new(many).scalars().len(), MOST_KEPT);
    }
}
