//! Files that hold secrets. What is in them is never part of a message.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use zeroize::Zeroizing;

use super::report::Fault;

/// Most bytes that are read: keys are small, and a wrong path may lead anywhere.
const LARGEST: u64 = 64 * 1024;

/// The text of a key file.
#[derive(Debug)]
pub(super) struct KeyFile {
    /// The text.
    pub(super) text: Zeroizing<String>,
    /// Whether every user of the machine can read it.
    pub(super) is_open: bool,
}

/// Reads a key file.
pub(super) fn read(path: &Path) -> Result<KeyFile, Fault> {
    let unreadable = |error: io::Error| cannot_read(path, &error);
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Fault::new(format!("is not a file: {}", path.display()), "write the path of the key file itself"));
    }
    let mut text = Zeroizing::new(Vec::new());
    File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text)).map_err(unreadable)?;
    let text = std::str::from_utf8(&text).ok().filter(|_| text.len() as u64 <= LARGEST);
    let Some(text) = text else {
        return Err(Fault::new(format!("holds no text, so it is no key file: {}", path.display()), "check the path"));
    };
    let is_open = metadata.permissions().mode() & 0o004 != 0;
    Ok(KeyFile { text: Zeroizing::new(text.to_owned()), is_open })
}

/// Why the system does not let a file be read.
pub(super) fn cannot_read(path: &Path, error: &io::Error) -> Fault {
    let path = path.display();
    if error.kind() == io::ErrorKind::NotFound {
        Fault::new(format!("is not there: {path}"), "put the file there, or correct the path")
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        Fault::new(
            format!("may not be read by this user: {path}"),
            "let the user that runs schoolgate read it, or use LoadCredential= in the systemd unit",
        )
    } else {
        Fault::new(format!("cannot be read: {path}: {error}"), "correct the path, or mend the file")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_read_and_one_that_all_can_read_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "secret").unwrap();
        for (mode, is_open) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let file = read(&path).unwrap();
            assert_eq!((&**file.text, file.is_open), ("secret", is_open), "{mode:o}");
        }
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_a_word_of_its_content() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap_err().message.starts_with("is not there"));
        assert!(read(folder.path()).unwrap_err().message.starts_with("is not a file"));
        for content in [vec![0xff, 0xfe], vec![b'a'; 70_000]] {
            let path = folder.path().join("binary");
            fs::write(&path, content).unwrap();
            assert!(read(&path).unwrap_err().message.starts_with("holds no text"));
        }
    }
}
