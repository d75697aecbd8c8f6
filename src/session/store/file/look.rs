//! A look at the file from outside, for an operator: nothing is made, changed or kept locked.

use std::{
    fs::{File, TryLockError},
    io::ErrorKind,
    path::Path,
    sync::Arc,
};

use super::{
    FileStore, FileStoreError,
    disk::Disk,
    open::{begins_well, system, trusted},
};
use crate::session::Codec;

/// What is found in the place of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileLook {
    /// Nothing: the first start makes it.
    Absent,
    /// A process has it open.
    Held,
    /// A store that opens with these keys.
    Sound {
        /// How many sessions it keeps.
        sessions: usize,
    },
}

impl FileStore {
    /// Looks at the store at `path`. Every page is checked, unless a process has it open. Blocks.
    ///
    /// # Errors
    /// The same as [`FileStore::open`] would say, except that the store is in use.
    pub fn look(path: &Path, codec: &Codec) -> Result<FileLook, FileStoreError> {
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FileLook::Absent),
            other => other.map_err(system("open", path))?,
        };
        if is_held(&file, path)? {
            return Ok(FileLook::Held);
        }
        let again = file.try_clone().map_err(system("open", path))?;
        let looked = begins_well(&file, path).and_then(|_| trusted(Arc::new(Disk::new(file, path)), path, codec));
        match looked {
            Ok(checked) => Ok(FileLook::Sound { sessions: checked.sessions }),
            // No lock was kept, for it would keep a gateway from starting: one that has started since writes, and
            // what is read while somebody writes means nothing.
            Err(_) if is_held(&again, path)? => Ok(FileLook::Held),
            Err(error) => Err(error),
        }
    }
}

fn is_held(file: &File, path: &Path) -> Result<bool, FileStoreError> {
    match file.try_lock_shared() {
        Ok(()) => file.unlock().map(|()| false).map_err(system("unlock", path)),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(system("lock", path)(error)),
    }
}
