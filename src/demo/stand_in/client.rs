//! Who may call the stand-in: a client as it is registered at Apple's portal, and its private key.

use std::{fmt, io};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::STANDARD};
use url::{Host, Url};
use zeroize::Zeroizing;

use crate::{entropy::Entropy, secret::Secret};

/// Start and end of an `ECPrivateKey` of RFC 5915 on P-256; the 32 bytes of the scalar go between.
const EC_PRIVATE_KEY: (&[u8], &[u8]) = (
    &[0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20],
    &[0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
);

/// A registered client.
#[derive(Clone, Debug)]
pub struct Client {
    /// The App ID or Services ID.
    pub client_id: String,
    /// The developer team: `iss` of the client secret.
    pub team_id: String,
    /// The identifier of the key: `kid` of the client secret.
    pub key_id: String,
    /// The public half of the `.p8` file.
    pub public_key: ClientPublicKey,
    /// The registered Return URLs.
    pub redirect_uris: Vec<Url>,
    /// For local tests only: `http` redirect URIs on localhost are let through, which Apple never does.
    pub local_redirects: bool,
}

impl Client {
    /// Why Apple would not have this redirect URI, whoever registered it: it must be https, with a domain
    /// name, neither an IP address nor localhost, without a fragment.
    pub(super) fn complaint_about(&self, redirect_uri: &Url) -> Option<&'static str> {
        let local = match redirect_uri.host() {
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => return Some("the redirect_uri has no host"),
        };
        if redirect_uri.fragment().is_some() {
            return Some("the redirect_uri has a fragment");
        }
        if local && self.local_redirects {
            return None;
        }
        match redirect_uri.host() {
            Some(Host::Domain(_)) if local => Some("the redirect_uri is on localhost"),
            Some(Host::Domain(_)) if redirect_uri.scheme() != "https" => Some("the redirect_uri is not https"),
            Some(Host::Domain(_)) => None,
            Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => Some("the redirect_uri has an IP address"),
        }
    }
}

/// The public half of a client's key: an uncompressed point on P-256.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientPublicKey(Vec<u8>);

impl ClientPublicKey {
    /// The key of this point: `04`, x, y.
    #[must_use]
    pub fn of(point: &[u8]) -> Self {
        Self(point.to_vec())
    }

    /// The point: `04`, x, y.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for ClientPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientPublicKey(P-256)")
    }
}

/// The P-256 pair that Apple's portal makes for a client.
#[derive(Debug)]
pub struct ClientKey {
    private_pem: Secret<ClientKey>,
    public: ClientPublicKey,
}

impl ClientKey {
    /// Makes a pair.
    ///
    /// # Errors
    /// When no valid key comes out of a hundred draws, which means that `entropy` is broken.
    pub fn generate(entropy: &dyn Entropy) -> io::Result<Self> {
        // A random number is a valid scalar unless it is zero or not below the order of the curve.
        (0..100)
            .find_map(|_| Self::from_scalar(&crate::entropy::bytes(entropy)))
            .ok_or_else(|| io::Error::other("no P-256 key could be made from the source of randomness"))
    }

    fn from_scalar(scalar: &[u8; 32]) -> Option<Self> {
        let (start, end) = EC_PRIVATE_KEY;
        let der = Zeroizing::new([start, scalar, end].concat());
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).ok()?;
        let pkcs8 = pair.to_pkcs8v1().ok()?;
        let public = ClientPublicKey(pair.public_key().as_ref().to_vec());
        Some(Self { private_pem: Secret::new(pem("PRIVATE KEY", pkcs8.as_ref())), public })
    }

    /// The private key as Apple's `.p8` files have it: PKCS#8 in PEM.
    #[must_use]
    pub fn private_pem(&self) -> &Secret<Self> {
        &self.private_pem
    }

    /// The public half, for [`Client::public_key`].
    #[must_use]
    pub fn public(&self) -> ClientPublicKey {
        self.public.clone()
    }
}

/// DER in the clothes of RFC 7468.
pub(super) fn pem(label: &str, der: &[u8]) -> String {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let lines = encoded.as_bytes().chunks(64).map(String::from_utf8_lossy).collect::<Vec<_>>().join("\n");
    format!("-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn client(local_redirects: bool) -> Client {
        Client {
            client_id: "org.example.gateway".into(),
            team_id: "TEAM".into(),
            key_id: "KEY".into(),
            public_key: ClientKey::generate(&SystemEntropy).unwrap().public(),
            redirect_uris: Vec::new(),
            local_redirects,
        }
    }

    #[test]
    fn a_key_reads_as_pkcs8_pem_and_its_debug_shows_nothing() {
        let key = ClientKey::generate(&SystemEntropy).unwrap();
        let text = key.private_pem().expose();
        assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n") && text.ends_with("-----END PRIVATE KEY-----\n"));
        assert!(text.lines().all(|line| line.len() <= 64));
        jsonwebtoken::EncodingKey::from_ec_pem(text.as_bytes()).unwrap();
        assert_eq!(key.public().as_bytes().len(), 65);
        assert_eq!(format!("{key:?}"), "ClientKey { private_pem: [redacted], public: ClientPublicKey(P-256) }");
    }

    #[test]
    fn apple_wants_https_and_a_domain_name_unless_the_client_is_local() {
        for (uri, strict, local) in [
            ("https://library.school.example/.schoolgate/callback", true, true),
            ("http://library.school.example/.schoolgate/callback", false, false),
            ("https://localhost/cb", false, true),
            ("http://localhost:8080/cb", false, true),
            ("http://127.0.0.1:8080/cb", false, true),
            ("http://[::1]:8080/cb", false, true),
            ("https://192.0.2.1/cb", false, false),
            ("https://library.school.example/cb#x", false, false),
            ("http://localhost/cb#x", false, false),
        ] {
            let uri = Url::parse(uri).unwrap();
            assert_eq!(client(false).complaint_about(&uri).is_none(), strict, "{uri}");
            assert_eq!(client(true).complaint_about(&uri).is_none(), local, "{uri}");
        }
    }
}
