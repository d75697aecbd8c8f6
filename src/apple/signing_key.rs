//! The private key from Apple's developer portal: a `.p8` file, PKCS#8 in PEM, EC on curve P-256.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// Longest file that is looked at, in bytes; Apple's have about 260.
const LONGEST_FILE: usize = 16 * 1024;

/// Why a text is not such a key. Each says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PEM at all, or damaged.
    #[error(
        "is not a key file: it needs one block from `-----BEGIN PRIVATE KEY-----` to `-----END PRIVATE KEY-----`, as downloaded from Apple"
    )]
    NotPem,
    /// More than one block.
    #[error("holds more than one PEM block: keep only the private key")]
    SeveralBlocks,
    /// Protected with a passphrase.
    #[error("is encrypted with a passphrase: decrypt it with `openssl pkcs8 -in KEY -out apple.p8`")]
    Encrypted,
    /// The wrong half of the pair.
    #[error("is a public key: the private key is the .p8 file that Apple lets you download once")]
    Public,
    /// A certificate.
    #[error("is a certificate: the private key is the .p8 file that Apple lets you download once")]
    Certificate,
    /// An RSA key.
    #[error("is an RSA key: Apple's key is an EC key on curve P-256; this may be the key of a TLS certificate")]
    Rsa,
    /// The right key in the envelope of SEC 1.
    #[error(
        "is an EC key in the traditional form: convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY -out apple.p8`"
    )]
    Sec1,
    /// Another algorithm, another curve, or damaged.
    #[error("is not an EC key on curve P-256, or is damaged: download the key from Apple again, or make a new one")]
    NotP256,
}

/// An ES256 private key. `Debug` shows nothing.
#[derive(Clone)]
pub struct SigningKey(Arc<EcdsaKeyPair>);

/// The library could not sign; it gives no reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotSigned;

impl SigningKey {
    /// Reads a `.p8` file.
    ///
    /// # Errors
    /// When it is anything but one unencrypted EC P-256 key in PKCS#8 (RFC 5958) and PEM (RFC 7468).
    pub fn from_pem(text: &str) -> Result<Self, KeyError> {
        let (label, der) = only_block(text)?;
        match label {
            "PRIVATE KEY" => (),
            "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
            "PUBLIC KEY" | "RSA PUBLIC KEY" => return Err(KeyError::Public),
            "CERTIFICATE" | "TRUSTED CERTIFICATE" => return Err(KeyError::Certificate),
            "RSA PRIVATE KEY" => return Err(KeyError::Rsa),
            "EC PRIVATE KEY" => return Err(KeyError::Sec1),
            _ => return Err(KeyError::NotPem),
        }
        match EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der) {
            Ok(pair) => Ok(Self(Arc::new(pair))),
            Err(_) if names_rsa(&der) => Err(KeyError::Rsa),
            Err(_) => Err(KeyError::NotP256),
        }
    }

    /// The public half: an uncompressed point (SEC 1, section 2.3.3) of 65 bytes.
    #[must_use]
    pub fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// Signs as RFC 7518, section 3.4, wants it: `r` and `s`, 32 bytes each, without ASN.1.
    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, NotSigned> {
        // The library draws the nonce of the signature itself and does not use this source.
        let signature = self.0.sign(&SystemRandom::new(), message).map_err(|_| NotSigned)?;
        Ok(signature.as_ref().to_vec())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The label and the bytes of the only PEM block. Text around it is allowed (RFC 7468, section 2).
fn only_block(text: &str) -> Result<(&str, Zeroizing<Vec<u8>>), KeyError> {
    if text.len() > LONGEST_FILE {
        return Err(KeyError::NotPem);
    }
    let (_, rest) = text.split_once("-----BEGIN ").ok_or(KeyError::NotPem)?;
    let (label, rest) = rest.split_once("-----").ok_or(KeyError::NotPem)?;
    let (body, rest) = rest.split_once(&format!("-----END {label}-----")).ok_or(KeyError::NotPem)?;
    if rest.contains("-----BEGIN ") {
        return Err(KeyError::SeveralBlocks);
    }
    if matches!(label, "RSA PRIVATE KEY" | "EC PRIVATE KEY") {
        // The traditional envelopes may have headers (RFC 1421) before the base64; the label is enough.
        let encrypted = body.contains("Proc-Type:");
        return if encrypted { Err(KeyError::Encrypted) } else { Ok((label, Zeroizing::default())) };
    }
    let compact: Zeroizing<Vec<u8>> = Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    STANDARD.decode(&*compact).map(|der| (label, Zeroizing::new(der))).map_err(|_| KeyError::NotPem)
}

/// Whether the algorithm of a PKCS#8 key is `rsaEncryption` (RFC 8017, appendix A.1): its object
/// identifier stands within the first bytes.
fn names_rsa(der: &[u8]) -> bool {
    const RSA_ENCRYPTION: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    der.windows(RSA_ENCRYPTION.len()).take(32).any(|window| window == RSA_ENCRYPTION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::testing;
    use aws_lc_rs::{
        encoding::AsDer,
        signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED_SIGNING, UnparsedPublicKey},
    };

    #[test]
    fn a_key_signs_raw_and_shows_nothing() {
        let key = SigningKey::from_pem(&testing::client_key_pem()).unwrap();
        let signature = key.sign(b"message").unwrap();
        assert_eq!(signature.len(), 64);
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public_key()).verify(b"message", &signature).unwrap();
        assert_eq!(format!("{key:?}"), "[redacted]");
    }

    #[test]
    fn line_ends_and_text_around_the_block_do_not_matter() {
        let pem = testing::client_key_pem();
        for text in [pem.replace('\n', "\r\n"), format!("\u{feff}Key for the gateway\n{pem}\n\n"), pem.trim().into()] {
            assert!(SigningKey::from_pem(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn each_wrong_file_gets_an_error_of_its_own() {
        let good = testing::client_key_pem();
        let p384 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let rsa = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(testing::rsa_key()).unwrap();
        let block = |label: &str, der: &[u8]| testing::pem(label, der);
        for (text, why) in [
            (String::new(), KeyError::NotPem),
            ("hunter2".into(), KeyError::NotPem),
            ("-----BEGIN PRIVATE KEY-----".into(), KeyError::NotPem),
            ("-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----".into(), KeyError::NotPem),
            (good.replace("END PRIVATE", "END PUBLIC"), KeyError::NotPem),
            ("x".repeat(LONGEST_FILE + 1), KeyError::NotPem),
            (block("PGP MESSAGE", b"x"), KeyError::NotPem),
            (format!("{good}{good}"), KeyError::SeveralBlocks),
            (block("ENCRYPTED PRIVATE KEY", b"x"), KeyError::Encrypted),
            (
                "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: x\n\nAA==\n-----END EC PRIVATE KEY-----"
                    .into(),
                KeyError::Encrypted,
            ),
            (block("PUBLIC KEY", b"x"), KeyError::Public),
            (block("CERTIFICATE", b"x"), KeyError::Certificate),
            (block("RSA PRIVATE KEY", b"x"), KeyError::Rsa),
            (block("PRIVATE KEY", rsa.as_ref()), KeyError::Rsa),
            (block("EC PRIVATE KEY", b"x"), KeyError::Sec1),
            (block("PRIVATE KEY", p384.as_ref()), KeyError::NotP256),
            (block("PRIVATE KEY", b"damaged"), KeyError::NotP256),
            (block("PRIVATE KEY", b""), KeyError::NotP256),
        ] {
            assert_eq!(SigningKey::from_pem(&text).err(), Some(why), "{text}");
        }
    }
}
