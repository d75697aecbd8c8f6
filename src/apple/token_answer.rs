//! The answer of the token endpoint (RFC 6749, section 5.1, and Apple's `TokenResponse`).

use std::time::Duration;

use serde_json::Value;

use crate::{clock::Timestamp, identity::ScopeSet};

use super::{
    AccessToken, Malformed, RawIdToken, RefreshToken, compact::LONGEST_TOKEN, json::Object, tokens::is_tokenish,
};

/// Longest access or refresh token in bytes: it must fit into a request header. Apple's have about 65.
const LONGEST_OPAQUE: usize = 8 * 1024;
/// Longest life of an access token in seconds; Apple's live for an hour.
const LONGEST_LIFE: u64 = 366 * 24 * 3600;

/// What a code or a refresh token was exchanged for.
#[derive(Clone, Debug)]
pub struct TokenAnswer {
    /// For Apple's other interfaces.
    pub access_token: AccessToken,
    /// Counted from the moment the request went out, so that it is never later than Apple thinks.
    pub expires_at: Timestamp,
    /// Absent in the answer to a refresh: the old one goes on.
    pub refresh_token: Option<RefreshToken>,
    /// Not verified yet. Apple's own pages disagree on when it is there.
    pub id_token: Option<RawIdToken>,
    /// The granted scopes, when Apple says.
    pub scope: Option<ScopeSet>,
}

impl TokenAnswer {
    /// Reads the answer to a request that went out at `started`.
    pub(super) fn read(mut object: Object, started: Timestamp) -> Result<Self, Malformed> {
        // RFC 6749, section 7.1: the type is compared without case, and an unknown one is not used.
        match object.get("token_type") {
            Some(Value::String(kind)) if kind.eq_ignore_ascii_case("bearer") => (),
            Some(Value::String(_)) => return Err(Malformed::TokenType),
            Some(_) => return Err(Malformed::Odd("token_type")),
            None => return Err(Malformed::Missing("token_type")),
        }
        let life = match object.get("expires_in") {
            Some(Value::Number(number)) => number.as_u64().filter(|life| (1..=LONGEST_LIFE).contains(life)),
            Some(_) => None,
            None => return Err(Malformed::Missing("expires_in")),
        };
        let life = life.map(Duration::from_secs).ok_or(Malformed::Odd("expires_in"))?;
        let access_token = take(&mut object, "access_token", LONGEST_OPAQUE)?;
        let scope = match take_text(&mut object, "scope")? {
            Some(list) => Some(ScopeSet::parse(&list).map_err(|_| Malformed::Odd("scope"))?),
            None => None,
        };
        Ok(Self {
            access_token: AccessToken::new(access_token.ok_or(Malformed::Missing("access_token"))?),
            expires_at: started.plus(life),
            refresh_token: take(&mut object, "refresh_token", LONGEST_OPAQUE)?.map(RefreshToken::new),
            id_token: take(&mut object, "id_token", LONGEST_TOKEN)?.map(RawIdToken::new),
            scope,
        })
    }
}

/// Moves a text out, so that no copy of a token stays behind. `null` counts as absent.
fn take_text(object: &mut Object, name: &'static str) -> Result<Option<String>, Malformed> {
    match object.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Malformed::Odd(name)),
    }
}

fn take(object: &mut Object, name: &'static str, longest: usize) -> Result<Option<String>, Malformed> {
    match take_text(object, name)? {
        Some(text) if !is_tokenish(&text, longest) => Err(Malformed::Odd(name)),
        fine => Ok(fine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<TokenAnswer, Malformed> {
        TokenAnswer::read(value.as_object().unwrap().clone(), Timestamp::from_seconds(1000))
    }

    fn with(name: &str, value: Value) -> Value {
        let mut answer = json!({
            "access_token": "a.0.nwsw.x", "token_type": "Bearer", "expires_in": 3600,
            "refresh_token": "r.0.nwsw.y", "id_token": "h.c.s", "scope": "b a",
        });
        answer[name] = value;
        answer
    }

    fn without(name: &str) -> Value {
        let mut answer = with("x", json!(1));
        answer.as_object_mut().unwrap().remove(name);
        answer
    }

    #[test]
    fn an_answer_is_read_and_its_life_counts_from_the_request() {
        let answer = read(with("unknown", json!({"a": 1}))).unwrap();
        assert!(answer.access_token.matches("a.0.nwsw.x"));
        assert!(answer.refresh_token.unwrap().matches("r.0.nwsw.y"));
        assert!(answer.id_token.unwrap().matches("h.c.s"));
        assert_eq!(answer.scope.unwrap().to_string(), "a b");
        assert_eq!(answer.expires_at, Timestamp::from_seconds(4600));
    }

    #[test]
    fn the_answer_to_a_refresh_may_have_an_access_token_only() {
        let answer = read(json!({"access_token": "a", "token_type": "bearer", "expires_in": 1})).unwrap();
        assert!(answer.refresh_token.is_none() && answer.id_token.is_none() && answer.scope.is_none());
        let nulls = json!({
            "access_token": "a", "token_type": "BEARER", "expires_in": 1,
            "refresh_token": null, "id_token": null, "scope": null,
        });
        assert!(read(nulls).unwrap().id_token.is_none());
    }

    #[test]
    fn what_is_missing_is_named() {
        for name in ["access_token", "token_type", "expires_in"] {
            assert_eq!(read(without(name)).err(), Some(Malformed::Missing(name)));
        }
        assert_eq!(read(with("access_token", Value::Null)).err(), Some(Malformed::Missing("access_token")));
    }

    #[test]
    fn another_type_of_token_is_refused() {
        for kind in ["mac", "", "bearer ", "DPoP"] {
            assert_eq!(read(with("token_type", json!(kind))).err(), Some(Malformed::TokenType));
        }
        assert_eq!(read(with("token_type", json!(["bearer"]))).err(), Some(Malformed::Odd("token_type")));
    }

    #[test]
    fn a_life_is_a_whole_positive_number_of_at_most_a_year() {
        for odd in [
            json!(0),
            json!(-1),
            json!("3600"),
            json!(3600.5),
            json!(1e300),
            json!(u64::MAX),
            json!(LONGEST_LIFE + 1),
            json!(null),
            json!(true),
        ] {
            assert_eq!(read(with("expires_in", odd.clone())).err(), Some(Malformed::Odd("expires_in")), "{odd}");
        }
    }

    #[test]
    fn a_token_that_could_break_out_of_a_header_is_refused() {
        for name in ["access_token", "refresh_token", "id_token"] {
            for odd in [
                json!(""),
                json!("a b"),
                json!("a\r\nX: y"),
                json!("a\0"),
                json!("é"),
                json!(1),
                json!(["a"]),
                json!({}),
                json!("a".repeat(LONGEST_TOKEN + 1)),
            ] {
                assert_eq!(read(with(name, odd.clone())).err(), Some(Malformed::Odd(name)), "{name} {odd}");
            }
        }
        for odd in [json!("a\"b"), json!(["a"]), json!(1)] {
            assert_eq!(read(with("scope", odd.clone())).err(), Some(Malformed::Odd("scope")), "{odd}");
        }
    }

    #[test]
    fn debug_shows_no_token() {
        let text = format!("{:?}", read(with("x", json!(1))).unwrap());
        assert!(!text.contains("nwsw") && !text.contains("h.c.s"), "{text}");
    }
}
