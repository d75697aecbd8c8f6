//! What an authority is told that asks whether a name is ours (RFC 8555, section 8).

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{crypto::aws_lc_rs::sign::any_supported_type, sign::CertifiedKey};
use rustls_pki_types::PrivateKeyDer;

use crate::web::Host;

/// The protocol by which an authority asks inside a handshake (RFC 8737, section 3).
pub(super) const PROTOCOL: &[u8] = b"acme-tls/1";

/// The answers to the questions of the present order; empty when there is none.
#[derive(Debug, Default)]
pub struct Challenges(Mutex<Answers>);

#[derive(Debug, Default)]
struct Answers {
    by_name: HashMap<Host, Arc<CertifiedKey>>,
    by_token: HashMap<String, String>,
}

/// Why an answer cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the certificate that answers the authority")]
pub struct ChallengeError;

impl Challenges {
    /// Answers in the handshake for a name, with the digest of the key authorization.
    ///
    /// # Errors
    /// When the certificate cannot be made.
    pub fn answer_in_handshake(&self, host: &Host, digest: &[u8]) -> Result<(), ChallengeError> {
        let certified = certificate(host, digest).ok_or(ChallengeError)?;
        self.lock().by_name.insert(host.clone(), Arc::new(certified));
        Ok(())
    }

    /// Answers over plain HTTP.
    pub fn answer_over_http(&self, token: &str, answer: &str) {
        self.lock().by_token.insert(token.to_owned(), answer.to_owned());
    }

    /// The answer to a token.
    #[must_use]
    pub fn over_http(&self, token: &str) -> Option<String> {
        self.lock().by_token.get(token).cloned()
    }

    /// Answers nothing any more.
    pub fn clear(&self) {
        *self.lock() = Answers::default();
    }

    /// The certificate for a name.
    pub(super) fn in_handshake(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        self.lock().by_name.get(&Host::parse(name).ok()?).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Answers> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn certificate(host: &Host, digest: &[u8]) -> Option<CertifiedKey> {
    let key = KeyPair::generate().ok()?;
    let mut params = CertificateParams::new(vec![host.name().to_owned()]).ok()?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let certificate = params.self_signed(&key).ok()?;
    let der = PrivateKeyDer::try_from(key.serialize_der()).ok()?;
    Some(CertifiedKey::new(vec![certificate.der().clone()], any_supported_type(&der).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_now_is_answered() {
        let challenges = Challenges::default();
        let host = Host::parse("a.school.example").unwrap();
        challenges.answer_in_handshake(&host, &[7; 32]).unwrap();
        challenges.answer_over_http("token", "token.key");
        assert!(challenges.in_handshake("A.school.example").is_some());
        assert!(challenges.in_handshake("b.school.example").is_none());
        assert_eq!(challenges.over_http("token").as_deref(), Some("token.key"));
        assert_eq!(challenges.over_http("other"), None);
        challenges.clear();
        assert!(challenges.in_handshake("a.school.example").is_none() && challenges.over_http("token").is_none());
    }
}
