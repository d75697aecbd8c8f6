//! What a stranger posts as a notification: the signed text, taken out of its envelope.

use std::fmt;

use super::{
    RawNotification, VerifyError,
    compact::UnverifiedToken,
    json::{self, JsonError},
};
use crate::web::Form;

/// The member, or the field, that holds the signed text.
const PAYLOAD: &str = "payload";

/// What is wrong with an envelope. None quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeFault {
    /// There is nothing.
    #[error("is empty")]
    Empty,
    /// It is neither JSON, nor a form, nor a signed text.
    #[error("is not JSON")]
    Json,
    /// A member or a field stands twice.
    #[error("has something twice")]
    Repeated,
    /// It has no `payload` that is a text.
    #[error("has no `payload` that is a text")]
    Payload,
}

/// A posted notification. Nobody has checked anything: it may be anybody's.
pub struct Posted(RawNotification);

impl Posted {
    /// Opens the envelope. Apple documents `{"payload": "..."}` for one of its services and nothing for the other,
    /// and programs mislabel what they post. So `Content-Type` is not asked, the first letter tells: JSON begins
    /// with a brace, a form has an equals sign, and a bare signed text (RFC 7515, section 3.1) has neither.
    ///
    /// # Errors
    /// When there is no signed text in it, or more than one.
    pub fn parse(body: &[u8]) -> Result<Self, EnvelopeFault> {
        let body = body.trim_ascii();
        let text = match body.first() {
            None => return Err(EnvelopeFault::Empty),
            Some(b'{') => of_json(body)?,
            Some(_) if body.contains(&b'=') => of_form(body)?,
            Some(_) => std::str::from_utf8(body).map_err(|_| EnvelopeFault::Json)?.to_owned(),
        };
        if text.is_empty() { Err(EnvelopeFault::Payload) } else { Ok(Self(RawNotification::new(text))) }
    }

    /// The signed text.
    #[must_use]
    pub fn raw(&self) -> &RawNotification {
        &self.0
    }

    /// The name of the key that it says it is signed with.
    ///
    /// # Errors
    /// When it is no signed text, or its header is not in order.
    pub fn key_id(&self) -> Result<String, VerifyError> {
        UnverifiedToken::parse(self.0.expose()).map(|token| token.kid().to_owned())
    }
}

impl fmt::Debug for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Posted")
    }
}

fn of_json(body: &[u8]) -> Result<String, EnvelopeFault> {
    let envelope = json::object(body).map_err(|error| match error {
        JsonError::Repeated => EnvelopeFault::Repeated,
        JsonError::Syntax | JsonError::NotAnObject => EnvelopeFault::Json,
    })?;
    envelope.get(PAYLOAD).and_then(|payload| payload.as_str()).map(str::to_owned).ok_or(EnvelopeFault::Payload)
}

fn of_form(body: &[u8]) -> Result<String, EnvelopeFault> {
    let form = Form::parse(body).map_err(|_| EnvelopeFault::Payload)?;
    let payload = form.only(PAYLOAD).map_err(|_| EnvelopeFault::Repeated)?;
    payload.map(str::to_owned).ok_or(EnvelopeFault::Payload)
}

#[cfg(test)]
mod tests {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    use super::*;

    fn opened(body: &str) -> Result<String, EnvelopeFault> {
        Posted::parse(body.as_bytes()).map(|posted| posted.raw().expose().to_owned())
    }

    #[test]
    fn the_signed_text_is_found_in_every_envelope() {
        for body in [
            r#"{"payload":"e30.e30.AA"}"#,
            " {\"payload\": \"e30\\u002ee30.AA\", \"more\": [1]}\r\n",
            "payload=e30.e30.AA",
            "more=1&payload=e30%2Ee30.AA",
            "e30.e30.AA",
            "e30.e30.AA\n",
        ] {
            assert_eq!(opened(body).as_deref(), Ok("e30.e30.AA"), "{body}");
        }
    }

    #[test]
    fn what_holds_no_signed_text_or_two_is_refused() {
        for (body, fault) in [
            ("", EnvelopeFault::Empty),
            (" \n", EnvelopeFault::Empty),
            ("{", EnvelopeFault::Json),
            ("{} {}", EnvelopeFault::Json),
            ("{}", EnvelopeFault::Payload),
            (r#"{"payload":7}"#, EnvelopeFault::Payload),
            (r#"{"payload":null}"#, EnvelopeFault::Payload),
            (r#"{"payload":""}"#, EnvelopeFault::Payload),
            (r#"{"payload":["a.b.c"]}"#, EnvelopeFault::Payload),
            (r#"{"Payload":"a.b.c"}"#, EnvelopeFault::Payload),
            (r#"{"payload":"a.b.c","payload":"d.e.f"}"#, EnvelopeFault::Repeated),
            ("payload=", EnvelopeFault::Payload),
            ("other=a.b.c", EnvelopeFault::Payload),
            ("payload=a.b.c&payload=d.e.f", EnvelopeFault::Repeated),
        ] {
            assert_eq!(opened(body), Err(fault), "{body}");
        }
        assert_eq!(Posted::parse(b"\xff").err(), Some(EnvelopeFault::Json));
    }

    #[test]
    fn what_is_in_no_envelope_is_judged_as_a_signed_text_and_is_none() {
        for body in ["nonsense", "[]", "\"a.b.c\"", "<payload/>", "a.b", "a.b.c.d"] {
            assert!(Posted::parse(body.as_bytes()).unwrap().key_id().is_err(), "{body}");
        }
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Posted::parse(b"a.b.c")), "Ok(Posted)");
    }

    proptest! {
        #[test]
        fn a_signed_text_is_the_same_in_every_envelope(kid in "[!#-\\[\\]-~]{1,64}", claims in "\\PC{1,40}") {
            let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
            let token = format!("{header}.{}.AAAA", URL_SAFE_NO_PAD.encode(claims));
            for body in [token.clone(), format!("payload={token}"), format!(r#"{{"payload":"{token}"}}"#)] {
                let posted = Posted::parse(body.as_bytes()).unwrap();
                prop_assert!(posted.raw().matches(&token));
                prop_assert_eq!(posted.key_id(), Ok(kid.clone()));
            }
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(posted) = Posted::parse(&bytes) {
                let _ = posted.key_id();
            }
        }
    }
}
