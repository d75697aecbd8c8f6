//! What opens Redis' door: the password and the certificates, read anew for each connection, so that they
//! can be changed without a restart.

use std::path::Path;

use tokio::fs;
use zeroize::Zeroizing;

use super::{
    client::Fault,
    url::{Password, RedisUrl},
};
use crate::secret::Secret;

/// Marks the key of our certificate.
#[derive(Debug)]
pub(super) enum PrivateKeyKind {}

/// Certificates in PEM.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    /// The authority, when it is not one of the system's.
    pub(super) authority: Option<Vec<u8>>,
    /// Ours, with its key.
    pub(super) client: Option<(Vec<u8>, Secret<PrivateKeyKind>)>,
}

/// Who we are.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) user: Option<String>,
    pub(super) password: Option<Password>,
    pub(super) tls: Option<Certificates>,
}

impl Access {
    /// What the URL says, with what is in its files.
    pub(super) async fn read(url: &RedisUrl) -> Result<Self, Fault> {
        let password = match &url.password_file {
            None => url.password.clone(),
            Some(file) => {
                let text = text(file).await?;
                let line = text.trim_end_matches(['\r', '\n']);
                if line.is_empty() {
                    return Err(refused(format!("the password file {} is empty", file.display())));
                }
                Some(Password::new(line))
            }
        };
        let tls = match &url.tls {
            None => None,
            Some(tls) => {
                let authority = match &tls.ca_file {
                    Some(file) => Some(text(file).await?.as_bytes().to_vec()),
                    None => None,
                };
                let client = match &tls.client {
                    Some((certificate, key)) => {
                        let certificate = text(certificate).await?.as_bytes().to_vec();
                        Some((certificate, Secret::new(text(key).await?.as_str())))
                    }
                    None => None,
                };
                Some(Certificates { authority, client })
            }
        };
        Ok(Self { user: url.user.clone(), password, tls })
    }

    /// The same without user and password.
    pub(super) fn anonymous(&self) -> Self {
        Self { user: None, password: None, tls: self.tls.clone() }
    }
}

async fn text(file: &Path) -> Result<Zeroizing<String>, Fault> {
    let text = fs::read_to_string(file).await;
    text.map(Zeroizing::new).map_err(|error| refused(format!("{} cannot be read: {error}", file.display())))
}

fn refused(why: String) -> Fault {
    Fault::Refused { code: "CLIENT".to_owned(), why }
}
