//! What can be wrong with a certificate and its key.

use std::{io, path::PathBuf};

/// Why a certificate and a key are not used. Reads on from the name of the file or the value of the key.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// A file cannot be read.
    #[error("cannot be read: {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
        /// Whether it is the file of the key.
        key: bool,
    },
    /// A file is a folder or a pipe, or too large to be what it should be.
    #[error("is no file of at most 1 MiB: {}", path.display())]
    NoFile {
        /// The file.
        path: PathBuf,
        /// Whether it is the file of the key.
        key: bool,
    },
    /// The file of the certificate has none.
    #[error("holds no certificate")]
    NoCertificate,
    /// One that cannot be read, counted from 1.
    #[error("has a certificate that cannot be read, number {0}")]
    BrokenCertificate(usize),
    /// One that did not sign the one before it, counted from 1.
    #[error("has its certificates in the wrong order: number {0} is not the authority of the one before it")]
    Order(usize),
    /// A certificate without a name of a host.
    #[error("has a certificate for no host: it has no subject alternative name")]
    NoName,
    /// A certificate for people or programs that call servers.
    #[error("has a certificate that is not for servers")]
    NotForServers,
    /// The file of the key has none.
    #[error("holds no private key")]
    NoKey,
    /// The key needs a password.
    #[error("holds a key that is locked with a password")]
    LockedKey,
    /// A key of another kind.
    #[error(
        "holds a key of a kind that is not used: it must be ECDSA P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits or more"
    )]
    KeyKind,
    /// The key is another's.
    #[error("does not belong to the certificate")]
    Mismatch,
}

impl PairError {
    /// Whether the file of the key is at fault, and not that of the certificate.
    #[must_use]
    pub fn is_of_the_key(&self) -> bool {
        match self {
            Self::Unreadable { key, .. } | Self::NoFile { key, .. } => *key,
            Self::NoKey | Self::LockedKey | Self::KeyKind | Self::Mismatch => true,
            Self::NoCertificate | Self::BrokenCertificate(_) | Self::Order(_) | Self::NoName | Self::NotForServers => {
                false
            }
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "put the file there, or correct the path"
            }
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                "let the user that runs schoolgate read it, or hand it over with LoadCredential= of systemd"
            }
            Self::Unreadable { .. } | Self::NoFile { .. } => "write the path of the file itself",
            Self::NoCertificate | Self::BrokenCertificate(_) => {
                "put the certificate there in PEM, as -----BEGIN CERTIFICATE-----; certbot calls it fullchain.pem"
            }
            Self::Order(_) => "put the host's own certificate first, then the one that signed it, and so on",
            Self::NoName => "order a certificate with the names of the hosts; browsers do not look at the common name",
            Self::NotForServers => "order one for web servers (extended key usage serverAuth)",
            Self::NoKey => "put the key there in PEM, as -----BEGIN PRIVATE KEY-----; certbot calls it privkey.pem",
            Self::LockedKey => "unlock it: openssl pkey -in locked.pem -out key.pem",
            Self::KeyKind => {
                "make a new key, such as with openssl ecparam -name prime256v1 -genkey, and a new certificate"
            }
            Self::Mismatch => "name the key that this certificate was ordered with",
        }
    }
}
