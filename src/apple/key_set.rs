//! Apple's key set (RFC 7517, section 5), read key by key.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Malformed, json::Object, key::VerificationKey};

/// Most keys that a set may have; Apple's has three to five.
const MOST_KEYS: usize = 64;

/// At least one usable key.
#[derive(Debug)]
pub(super) struct KeySet(BTreeMap<String, VerificationKey>);

impl KeySet {
    /// Reads a set. "Implementations SHOULD ignore JWKs within a JWK Set that use kty values that are not
    /// understood, that are missing required members, or for which values are out of the supported
    /// ranges." A name that two usable keys bear is ambiguous, and neither is used.
    pub(super) fn read(set: &Object) -> Result<Self, Malformed> {
        let keys = match set.get("keys") {
            Some(Value::Array(keys)) if keys.len() <= MOST_KEYS => keys,
            Some(Value::Array(_)) => return Err(Malformed::TooManyKeys),
            Some(_) => return Err(Malformed::Odd("keys")),
            None => return Err(Malformed::Missing("keys")),
        };
        let mut usable: BTreeMap<String, Option<VerificationKey>> = BTreeMap::new();
        for (kid, key) in keys.iter().filter_map(VerificationKey::read) {
            usable.entry(kid).and_modify(|earlier| *earlier = None).or_insert(Some(key));
        }
        let usable: BTreeMap<_, _> = usable.into_iter().filter_map(|(kid, key)| Some((kid, key?))).collect();
        if usable.is_empty() { Err(Malformed::NoKeys) } else { Ok(Self(usable)) }
    }

    pub(super) fn find(&self, kid: &str) -> Option<&VerificationKey> {
        self.0.get(kid)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::testing::{jwk, other_rsa_key, rsa_key};
    use serde_json::json;

    fn read(keys: Value) -> Result<KeySet, Malformed> {
        KeySet::read(json!({ "keys": keys, "more": 1 }).as_object().unwrap())
    }

    #[test]
    fn odd_keys_do_no_harm_to_the_others() {
        let set = read(json!([
            {"kty": "ML-DSA", "kid": "pq", "alg": "ML-DSA-65"},
            {"kty": "EC", "kid": "k1", "crv": "P-256"},
            jwk("k1", rsa_key()),
            null, "text", [], {}, {"kty": 7},
            jwk("k2", other_rsa_key()),
        ]))
        .unwrap();
        assert_eq!(set.len(), 2);
        assert!(set.find("k1").is_some() && set.find("k2").is_some());
        for kid in ["pq", "K1", "", "k1 "] {
            assert!(set.find(kid).is_none(), "{kid}");
        }
    }

    #[test]
    fn a_name_that_two_keys_bear_is_nobodys() {
        let set =
            read(json!([jwk("k1", rsa_key()), jwk("k2", rsa_key()), jwk("k1", other_rsa_key()), jwk("k1", rsa_key())]));
        let set = set.unwrap();
        assert!(set.find("k1").is_none() && set.find("k2").is_some());
    }

    #[test]
    fn a_set_without_usable_keys_is_no_set() {
        assert_eq!(read(json!([])).err(), Some(Malformed::NoKeys));
        assert_eq!(read(json!([{"kty": "EC", "kid": "k1"}])).err(), Some(Malformed::NoKeys));
        assert_eq!(read(json!([jwk("k1", rsa_key()), jwk("k1", rsa_key())])).err(), Some(Malformed::NoKeys));
        assert_eq!(read(json!({"k1": {}})).err(), Some(Malformed::Odd("keys")));
        assert_eq!(read(json!(null)).err(), Some(Malformed::Odd("keys")));
        assert_eq!(KeySet::read(&Object::new()).err(), Some(Malformed::Missing("keys")));
        assert_eq!(read(json!(vec![jwk("k1", rsa_key()); MOST_KEYS + 1])).err(), Some(Malformed::TooManyKeys));
    }
}
