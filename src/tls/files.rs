//! Where a certificate and its key are kept, and what is there now.

use std::{
    fs::File,
    io::Read,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_lc_rs::digest::{Context, SHA256};
use zeroize::Zeroizing;

use super::{Pair, PairError};

/// Most bytes that are read: a wrong path may lead anywhere.
const LARGEST: u64 = 1 << 20;

/// The files of one pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}

/// A pair that files held, and how they looked then.
#[derive(Clone, Debug)]
pub struct Kept {
    pub(super) files: Files,
    pub(super) mark: Mark,
    pub(super) pair: Arc<Pair>,
    key_is_open: bool,
}

/// What files hold, in short. By content, because renewals come in many ways: a file is written over, or renamed, or
/// a link far above it leads elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark([u8; 32]);

/// What files hold, unjudged.
pub(super) struct Content {
    chain: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    key_is_open: bool,
}

impl Files {
    /// Reads both.
    pub(super) fn content(&self) -> Result<Content, PairError> {
        let (chain, _) = read(&self.certificate, false)?;
        let (key, mode) = read(&self.key, true)?;
        Ok(Content { chain: chain.to_vec(), key, key_is_open: mode & 0o004 != 0 })
    }
}

impl Content {
    pub(super) fn mark(&self) -> Mark {
        let mut context = Context::new(&SHA256);
        context.update(&(self.chain.len() as u64).to_be_bytes());
        context.update(&self.chain);
        context.update(&self.key);
        let mut mark = [0; 32];
        mark.copy_from_slice(context.finish().as_ref());
        Mark(mark)
    }

    /// Judges it.
    pub(super) fn judge(self, files: Files) -> Result<Kept, PairError> {
        let pair = Arc::new(Pair::from_pem(&self.chain, &self.key)?);
        Ok(Kept { files, mark: self.mark(), pair, key_is_open: self.key_is_open })
    }
}

impl Kept {
    /// Reads a pair.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(files: Files) -> Result<Self, PairError> {
        files.content()?.judge(files)
    }

    /// The pair.
    #[must_use]
    pub fn pair(&self) -> &Arc<Pair> {
        &self.pair
    }

    /// Whether every user of the machine can read the key.
    #[must_use]
    pub fn key_is_open(&self) -> bool {
        self.key_is_open
    }
}

/// The bytes of a file, and who may read it.
fn read(path: &Path, key: bool) -> Result<(Zeroizing<Vec<u8>>, u32), PairError> {
    let unreadable = |source| PairError::Unreadable { path: path.to_owned(), source, key };
    let no_file = || PairError::NoFile { path: path.to_owned(), key };
    // Looked at before it is opened: to open a pipe would wait.
    let metadata = std::fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(no_file());
    }
    let mut bytes = Zeroizing::new(Vec::new());
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        return Err(no_file());
    }
    Ok((bytes, metadata.permissions().mode()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::pair::tests::made_for;
    use std::fs;

    #[test]
    fn a_pair_is_read_and_a_key_that_all_can_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem") };
        let (chain, key) = made_for(&["a.school.example"]);
        fs::write(&files.certificate, &chain).unwrap();
        fs::write(&files.key, &key).unwrap();
        for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Kept::read(files.clone()).unwrap().key_is_open(), is_open, "{mode:o}");
        }
        let mark = |files: &Files| files.content().unwrap().mark();
        let before = mark(&files);
        assert_eq!(before, mark(&files));
        // The same bytes with another border between them are another pair.
        fs::write(&files.certificate, format!("{chain}{}", &key[..1])).unwrap();
        fs::write(&files.key, &key[1..]).unwrap();
        assert_ne!(before, mark(&files));
    }

    #[test]
    fn what_is_no_file_is_refused_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        fs::write(&large, vec![b' '; (1 << 20) + 1]).unwrap();
        for (path, expected) in [
            (folder.path().join("none"), "cannot be read: /"),
            (folder.path().to_owned(), "is no file"),
            (large, "is no file"),
            ("/dev/null".into(), "is no file"),
        ] {
            let files = Files { certificate: path.clone(), key: path };
            let error = Kept::read(files).unwrap_err();
            assert!(error.to_string().starts_with(expected) && !error.is_of_the_key(), "{error}");
        }
    }
}
