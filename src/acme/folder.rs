//! What is kept between starts: the account, the pair, and when to try again.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{SHA256, digest};
use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::tls::{Files, Kept, PairError};

/// The folder below `state_dir`.
#[derive(Clone, Debug)]
pub(super) struct Folder(PathBuf);

/// How orders have gone lately. It outlives the process: one that starts again and again must not ask again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempts {
    /// Orders that failed since the last that did not.
    pub(super) failures: u32,
    /// No order before, in seconds since 1970.
    pub(super) not_before: u64,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The account at a directory, if there is one.
    pub(super) fn account(&self, directory: &str) -> io::Result<Option<AccountCredentials>> {
        match fs::read(self.account_path(directory)) {
            Ok(bytes) => serde_json::from_slice(&Zeroizing::new(bytes)).map(Some).map_err(io::Error::other),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(why),
        }
    }

    pub(super) fn keep_account(&self, directory: &str, account: &AccountCredentials) -> io::Result<()> {
        let text = Zeroizing::new(serde_json::to_vec(account).map_err(io::Error::other)?);
        self.write(&self.account_path(directory), &text)
    }

    /// The pair, if there is one.
    pub(super) fn pair(&self) -> Option<Result<Kept, PairError>> {
        let path = self.pair_path();
        path.exists().then(|| Kept::read(Files { certificate: path.clone(), key: path }))
    }

    /// Both in one file: they change together, or not at all.
    pub(super) fn keep_pair(&self, chain: &str, key: &str) -> io::Result<()> {
        let text = Zeroizing::new(format!("{key}{chain}"));
        self.write(&self.pair_path(), text.as_bytes())
    }

    /// How orders went; as if none had, when nobody knows.
    pub(super) fn attempts(&self) -> Attempts {
        let read = fs::read(self.0.join("attempts.json")).ok();
        read.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    pub(super) fn keep_attempts(&self, attempts: Attempts) -> io::Result<()> {
        self.write(&self.0.join("attempts.json"), &serde_json::to_vec(&attempts).map_err(io::Error::other)?)
    }

    fn pair_path(&self) -> PathBuf {
        self.0.join("certificate.pem")
    }

    /// Each directory has accounts of its own.
    fn account_path(&self, directory: &str) -> PathBuf {
        let digest = digest(&SHA256, directory.as_bytes());
        let short: String = digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.0.join(format!("account-{short}.json"))
    }

    /// Whole or not at all, and for this user alone.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let mut draft = tempfile::NamedTempFile::new_in(&self.0)?;
        draft.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        draft.write_all(bytes)?;
        draft.as_file().sync_all()?;
        draft.persist(path)?;
        fs::File::open(&self.0)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_for_this_user_alone() {
        let state = tempfile::tempdir().unwrap();
        let folder = Folder::new(&state.path().join("acme"));
        assert_eq!(folder.attempts(), Attempts::default());
        assert!(folder.pair().is_none() && folder.account("https://a/").unwrap().is_none());
        let attempts = Attempts { failures: 3, not_before: 17 };
        folder.keep_attempts(attempts).unwrap();
        folder.keep_pair("no certificate", "no key").unwrap();
        assert_eq!(folder.attempts(), attempts);
        assert!(matches!(folder.pair(), Some(Err(_))));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&folder.pair_path())), (0o700, 0o600));
        assert_ne!(folder.account_path("https://a/"), folder.account_path("https://b/"));
    }
}
