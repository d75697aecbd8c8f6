//! The published key set and its rotation, and its oddities on demand.

use std::{collections::BTreeSet, io};

use serde_json::{Value, json};

use super::{forgery::Forgery, signing_key::SigningKey, switches::KeyOddity};
use crate::entropy::{self, Entropy};

/// How many keys a new set has.
const AT_FIRST: usize = 3;

/// How many keys stand side by side before the oldest goes: Apple has three to five.
const MOST: usize = 5;

/// Places of the pairs that stand-ins share, behind the ordinary ones.
const FOREIGN: usize = AT_FIRST;
const PURPOSE: usize = AT_FIRST + 1;

/// Keys, oldest first. The youngest signs.
pub(super) struct KeyRing {
    published: Vec<SigningKey>,
    signer: SigningKey,
    foreign: SigningKey,
    /// Published for other purposes when an oddity or a forgery wants it.
    purpose: SigningKey,
}

impl KeyRing {
    /// Three keys.
    pub(super) fn new(entropy: &dyn Entropy) -> io::Result<Self> {
        let published =
            (0..AT_FIRST).map(|place| SigningKey::shared(place, kid(entropy))).collect::<io::Result<Vec<_>>>()?;
        let signer = published[AT_FIRST - 1].clone();
        let foreign = SigningKey::shared(FOREIGN, kid(entropy))?;
        let purpose = SigningKey::shared(PURPOSE, kid(entropy))?;
        Ok(Self { published, signer, foreign, purpose })
    }

    /// Adds a key that signs from now on; the oldest goes when there are more than five.
    pub(super) fn rotate(&mut self, entropy: &dyn Entropy) -> io::Result<()> {
        self.signer = SigningKey::fresh(kid(entropy))?;
        self.published.push(self.signer.clone());
        if self.published.len() > MOST {
            self.published.remove(0);
        }
        Ok(())
    }

    /// Throws all keys away for new ones, without any overlap.
    pub(super) fn replace(&mut self, entropy: &dyn Entropy) -> io::Result<()> {
        let fresh = (0..AT_FIRST).map(|_| SigningKey::fresh(kid(entropy))).collect::<io::Result<Vec<_>>>()?;
        self.signer = fresh[AT_FIRST - 1].clone();
        self.published = fresh;
        Ok(())
    }

    /// The key that signs now.
    pub(super) fn signer(&self) -> &SigningKey {
        &self.signer
    }

    /// A key that is never published.
    pub(super) fn foreign(&self) -> &SigningKey {
        &self.foreign
    }

    /// A key that is published only for something else than RS256 signatures.
    pub(super) fn purpose(&self) -> &SigningKey {
        &self.purpose
    }

    /// The document, in random order, as oddities and a forgery want it.
    pub(super) fn document(
        &self,
        oddities: &BTreeSet<KeyOddity>,
        forgery: Option<Forgery>,
        entropy: &dyn Entropy,
    ) -> Value {
        let mut keys: Vec<Value> = self.published.iter().map(SigningKey::jwk).collect();
        keys.extend(self.published_for_other_purposes(forgery));
        for oddity in oddities {
            self.make_odd(&mut keys, *oddity);
        }
        shuffle(&mut keys, entropy);
        json!({ "keys": if oddities.contains(&KeyOddity::NotAList) { json!("none") } else { json!(keys) } })
    }

    fn make_odd(&self, keys: &mut Vec<Value>, oddity: KeyOddity) {
        let changed = |name: &str, value: Value| {
            let mut key = self.purpose.jwk();
            key[name] = value;
            key
        };
        match oddity {
            KeyOddity::Empty => keys.clear(),
            KeyOddity::UnknownType => keys.push(json!({
                "kty": "LATTICE", "kid": "FUTUREKEY1", "use": "sig", "alg": "ML-DSA-65", "pub": [1, 2, 3],
            })),
            KeyOddity::Broken => keys.extend([
                json!({"kty": "RSA", "kid": "BROKENKEY1", "use": "sig", "alg": "RS256", "n": "!", "e": "AQAB"}),
                json!({"kty": "RSA", "kid": 7}),
                json!({}),
                json!("key"),
                Value::Null,
            ]),
            KeyOddity::DuplicateKid => {
                let mut twin = self.foreign.jwk();
                twin["kid"] = self.signer.kid().into();
                keys.push(twin);
            }
            KeyOddity::EncryptionKey => keys.push(changed("use", json!("enc"))),
            KeyOddity::WithoutSigner => keys.retain(|key| key["kid"] != self.signer.kid()),
            KeyOddity::Many => keys.extend((0..500).map(|number| changed("kid", json!(format!("MANY{number:06}"))))),
            // The whole document is other then.
            KeyOddity::NotAList => {}
        }
    }

    fn published_for_other_purposes(&self, forgery: Option<Forgery>) -> Option<Value> {
        let (member, value) = if forgery == Some(Forgery::KeyForEncryption) {
            ("use", json!("enc"))
        } else if forgery == Some(Forgery::KeyForOtherOperations) {
            ("key_ops", json!(["encrypt", "wrapKey"]))
        } else if forgery == Some(Forgery::KeyForOtherAlgorithm) {
            ("alg", json!("RS512"))
        } else {
            return None;
        };
        let mut key = self.purpose.jwk();
        key[member] = value;
        Some(key)
    }
}

/// Ten characters like Apple's.
fn kid(entropy: &dyn Entropy) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    entropy::bytes::<10>(entropy).iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

/// Fisher and Yates; the bias of a few bits does not matter here.
fn shuffle(keys: &mut [Value], entropy: &dyn Entropy) {
    for last in (1..keys.len()).rev() {
        let chosen = usize::from(u16::from_le_bytes(entropy::bytes(entropy))) % (last + 1);
        keys.swap(last, chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn kids(ring: &KeyRing, oddities: &[KeyOddity]) -> Vec<Value> {
        let document = ring.document(&oddities.iter().copied().collect(), None, &SystemEntropy);
        document["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect()
    }

    #[test]
    fn rotation_overlaps_and_keeps_at_most_five_keys() {
        let mut ring = KeyRing::new(&SystemEntropy).unwrap();
        let first = ring.signer().kid().to_owned();
        assert_eq!(kids(&ring, &[]).len(), 3);
        for expected in [4, 5, 5] {
            ring.rotate(&SystemEntropy).unwrap();
            let kids = kids(&ring, &[]);
            assert_eq!(kids.len(), expected);
            assert!(kids.contains(&ring.signer().kid().into()) && kids.contains(&first.clone().into()));
        }
        ring.replace(&SystemEntropy).unwrap();
        assert!(!kids(&ring, &[]).contains(&first.into()));
    }

    #[test]
    fn the_order_changes() {
        let ring = KeyRing::new(&SystemEntropy).unwrap();
        let orders: std::collections::HashSet<_> = (0..64).map(|_| format!("{:?}", kids(&ring, &[]))).collect();
        assert!(orders.len() > 1);
    }

    #[test]
    fn oddities_stand_beside_the_good_keys() {
        let ring = KeyRing::new(&SystemEntropy).unwrap();
        let signer: Value = ring.signer().kid().into();
        let count = |oddity| kids(&ring, &[oddity]).iter().filter(|kid| **kid == signer).count();
        for (oddity, times) in [
            (KeyOddity::Empty, 0),
            (KeyOddity::UnknownType, 1),
            (KeyOddity::Broken, 1),
            (KeyOddity::DuplicateKid, 2),
            (KeyOddity::EncryptionKey, 1),
            (KeyOddity::WithoutSigner, 0),
            (KeyOddity::Many, 1),
        ] {
            assert_eq!(count(oddity), times, "{oddity:?}");
        }
        let odd = ring.document(&[KeyOddity::NotAList].into(), None, &SystemEntropy);
        assert!(odd["keys"].is_string());
    }

    #[test]
    fn every_forgery_that_needs_a_key_for_other_purposes_gets_it_published() {
        let ring = KeyRing::new(&SystemEntropy).unwrap();
        for forgery in Forgery::ALL {
            let document = ring.document(&BTreeSet::new(), Some(*forgery), &SystemEntropy);
            let published = document["keys"].as_array().unwrap().iter().any(|key| key["kid"] == ring.purpose().kid());
            assert_eq!(published, forgery.needs_a_key_for_other_purposes(), "{forgery:?}");
        }
    }
}
