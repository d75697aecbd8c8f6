//! What an administrator can say about an authority.

use std::path::PathBuf;

use aws_lc_rs::digest::{SHA256, digest};

use crate::web::Host;

/// Where certificates are ordered, and for which names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The directory of the authority.
    pub directory_url: String,
    /// Whom the authority may write to, each `mailto:` and an address.
    pub contact: Vec<String>,
    /// The authority that vouches for the directory's own certificate, in the place of the system's.
    pub ca_file: Option<PathBuf>,
    /// The account that one has at the authority otherwise.
    pub external_account: Option<ExternalAccount>,
    /// The names that one certificate shall have.
    pub names: Vec<Host>,
    /// Where account, key and certificate are kept.
    pub folder: PathBuf,
    /// Whether plain HTTP is answered as well, for a second way to prove a name.
    pub has_plain_http: bool,
}

/// An external account binding (RFC 8555, section 7.3.4).
#[derive(Clone, PartialEq, Eq)]
pub struct ExternalAccount {
    /// The identifier of the key.
    pub key_id: String,
    /// The key, decoded.
    pub key: zeroize::Zeroizing<Vec<u8>>,
}

impl ExternalAccount {
    /// What tells this key from another, and nothing else about it.
    #[must_use]
    pub fn mark(&self) -> [u8; 32] {
        let mut mark = [0; 32];
        mark.copy_from_slice(digest(&SHA256, &self.key).as_ref());
        mark
    }
}

/// Without the key.
impl std::fmt::Debug for ExternalAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExternalAccount").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}
