//! The key that seals cookies and sessions: read from its file, or made on the first start.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::Settings;
use crate::{
    entropy::Entropy,
    session::{FileStore, KeyProblem, Sealer},
};

/// The name of the file in `state_dir`.
const NAME: &str = "session.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file cannot be read or made.
    #[error("cannot {action} {path}: {source}{cure}", path = path.display(), cure = cure(action, source))]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is there and holds no key. It is not replaced: what was sealed with it would be lost.
    #[error("{path} {problem}", path = path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: KeyProblem,
    },
    /// The file holds no key, and what was sealed with one is there. A new key would open none of it.
    #[error(
        "{path} {problem}, and without the key that it held nobody can open {sealed}; put the key file back from a \
         backup, or, if it is lost, move both away: everybody signs in again then",
        path = path.display(),
        sealed = sealed.display(),
        problem = without_cure(*problem)
    )]
    Spoilt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: KeyProblem,
        /// What the key sealed.
        sealed: PathBuf,
    },
    /// The file is gone, and what was sealed with its key is there. A new key would open none of it.
    #[error(
        "{path} is missing, and without it nobody can open {sealed}; put the key file back, or, if it is lost, move \
         {sealed} away: everybody signs in again then",
        path = path.display(),
        sealed = sealed.display()
    )]
    Lost {
        /// The file.
        path: PathBuf,
        /// What it sealed.
        sealed: PathBuf,
    },
}

/// What to do when the system refuses for want of rights.
fn cure(action: &str, error: &io::Error) -> &'static str {
    match (error.kind(), action) {
        (io::ErrorKind::PermissionDenied, "read") => "; give the file to the user that runs schoolgate, with chown",
        (io::ErrorKind::PermissionDenied, _) => {
            "; make the folder as root and give it to the user that runs schoolgate: install -d -m 700 -o schoolgate ..."
        }
        _ => "",
    }
}

/// Where the key of these settings is, or will be.
#[must_use]
pub fn session_key_file(settings: &Settings) -> PathBuf {
    settings.encryption_key_file.clone().unwrap_or_else(|| settings.state_dir.join(NAME))
}

/// The key of these settings; `None` when the first start will make it. Nothing is made here.
///
/// # Errors
/// When there is something in its place that is no key, or the key is missing and there is something to open with it.
pub fn session_key(settings: &Settings) -> Result<Option<Sealer>, KeyFileError> {
    find(settings.encryption_key_file.as_deref(), &settings.state_dir)
}

/// Loads the key from `configured`, or from `state_dir`, where it is made when it is not there.
pub(super) fn load(configured: Option<&Path>, state_dir: &Path, source: &dyn Entropy) -> Result<Sealer, KeyFileError> {
    if let Some(sealer) = find(configured, state_dir)? {
        return Ok(sealer);
    }
    let path = state_dir.join(NAME);
    let text = make(&path, state_dir, source)?;
    parse(&text, path, Some(state_dir))
}

fn find(configured: Option<&Path>, state_dir: &Path) -> Result<Option<Sealer>, KeyFileError> {
    let path = configured.map_or_else(|| state_dir.join(NAME), Path::to_path_buf);
    let text = match fs::read_to_string(&path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound && configured.is_none() => {
            let sealed = state_dir.join(FileStore::NAME);
            return match fs::exists(&sealed) {
                Ok(false) => Ok(None),
                Ok(true) => Err(KeyFileError::Lost { path, sealed }),
                Err(source) => Err(KeyFileError::File { action: "make", path, source }),
            };
        }
        Err(error) => return Err(KeyFileError::File { action: "read", path, source: error }),
    };
    parse(&text, path, configured.is_none().then_some(state_dir)).map(Some)
}

/// Reads the text of a key file; `state_dir` when the file is there because nobody named another.
fn parse(text: &str, path: PathBuf, state_dir: Option<&Path>) -> Result<Sealer, KeyFileError> {
    Sealer::from_key_file(text).map_err(|problem| match problem {
        // The right key may still be in the file, and the problem says how to write it.
        KeyProblem::TooMany | KeyProblem::Repeated => KeyFileError::Content { path, problem },
        KeyProblem::Base64 | KeyProblem::Length | KeyProblem::Empty => {
            match state_dir.map(|state_dir| state_dir.join(FileStore::NAME)).filter(|sealed| sealed.exists()) {
                Some(sealed) => KeyFileError::Spoilt { path, problem, sealed },
                None => KeyFileError::Content { path, problem },
            }
        }
    })
}

/// What is wrong, without the advice to make a key.
fn without_cure(problem: KeyProblem) -> String {
    let text = problem.to_string();
    text.split_once("; ").map_or(text.clone(), |(what, _)| what.to_owned())
}

/// Makes a key that only this user can read. Written beside and linked into place, so that no half key
/// is ever found, and nobody's key is replaced.
fn make(path: &Path, state_dir: &Path, source: &dyn Entropy) -> Result<Zeroizing<String>, KeyFileError> {
    let failed = |action| move |error| KeyFileError::File { action, path: path.to_path_buf(), source: error };
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(failed("make the folder of"))?;
    let key = Sealer::new_key(source);
    let draft = state_dir.join(format!("{NAME}.{}", crate::entropy::hex::<4>(source)));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(key.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    // The draft has done its work, or is a failure's rest.
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => Ok(key),
        // Another process was quicker: its key is the key.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::read_to_string(path).map(Zeroizing::new).map_err(failed("read"))
        }
        Err(error) => Err(failed("make")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_only_its_owner_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let state_dir = folder.path().join("state");
        let sealed = load(None, &state_dir, &SystemEntropy).unwrap().seal("p", b"x", &SystemEntropy);
        assert!(load(None, &state_dir, &SystemEntropy).unwrap().open("p", &sealed).is_ok());
        let mode = fs::metadata(state_dir.join(NAME)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::metadata(&state_dir).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_dir(&state_dir).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_broken_or_missing_key_file_is_an_error_and_never_a_new_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        fs::write(&path, "rubbish!").unwrap();
        assert!(matches!(load(None, folder.path(), &SystemEntropy), Err(KeyFileError::Content { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "rubbish!");
        let elsewhere = folder.path().join("none.key");
        let error = load(Some(&elsewhere), folder.path(), &SystemEntropy).unwrap_err();
        assert!(error.to_string().starts_with("cannot read "), "{error}");
        assert!(!elsewhere.exists());
    }

    #[test]
    fn nobody_is_told_to_make_a_key_while_something_is_there_that_another_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let told = |text: &str| {
            fs::write(folder.path().join(NAME), text).unwrap();
            load(None, folder.path(), &SystemEntropy).unwrap_err().to_string()
        };
        assert!(told("rubbish!").contains("make one with"));
        fs::write(folder.path().join(FileStore::NAME), "sealed").unwrap();
        for spoilt in ["rubbish!", "c2hvcnQ=", ""] {
            let told = told(spoilt);
            assert!(told.contains("from a backup") && !told.contains("make one"), "{told}");
        }
        let key = Sealer::new_key(&SystemEntropy);
        let told = told(&format!("{}\n{}\n", &*key, &*key));
        assert!(told.contains("the same key twice; keep the current one"), "{told}");
    }

    #[test]
    fn who_lacks_rights_is_told_whose_the_file_should_be() {
        let refused = |action| KeyFileError::File {
            action,
            path: "/var/lib/schoolgate/session.key".into(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        assert!(refused("read").to_string().ends_with("with chown"), "{}", refused("read"));
        assert!(refused("make the folder of").to_string().contains("install -d"), "{}", refused("make the folder of"));
    }

    #[test]
    fn a_lost_key_is_not_replaced_while_something_is_there_that_it_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = folder.path().join(FileStore::NAME);
        fs::write(&sealed, "sealed").unwrap();
        let error = load(None, folder.path(), &SystemEntropy).unwrap_err();
        assert!(matches!(error, KeyFileError::Lost { .. }), "{error}");
        assert!(error.to_string().contains("put the key file back"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no key is made");
        fs::remove_file(sealed).unwrap();
        assert!(load(None, folder.path(), &SystemEntropy).is_ok());
    }
}
