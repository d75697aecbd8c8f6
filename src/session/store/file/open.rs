//! From a path to a tree that can be trusted, or to an error that says what to do. What does not open is
//! left as it is: nothing here makes a file anew, cuts one off, or mends one by guessing.

use std::{
    fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, FileExt, PermissionsExt},
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use redb::{Database, Error, ReadableDatabase, StorageBackend, backends::FileBackend};

use super::{disk::Disk, shadow::Shadow, tables::Changes, view::View};
use crate::session::Codec;

/// The format that this program reads and writes.
const FORMAT: u32 = 1;

/// What every file of redb begins with.
const MAGIC: &[u8] = b"redb\x1a\x0a\xa9\x0d\x0a";

/// Pages of the file that are kept in memory. The system keeps the rest as it sees fit, and the sessions in
/// use are in the cache above the store.
const CACHE: usize = 32 << 20;

/// A process that was killed a moment ago may still hold its lock.
const LOCK_TRIES: u32 = 40;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Why the store does not open.
#[derive(Debug, thiserror::Error)]
pub enum FileStoreError {
    /// The system refuses.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    System {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "{path} is in use: another schoolgate is running; stop it, or give each a state_dir of its own",
        path = path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is not what was written.
    #[error(
        "{path} is damaged ({why}) and was left as it is; put a backup in its place, or move it away: everybody \
         signs in again then, and tokens that waited to be revoked are not",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How it shows.
        why: String,
    },
    /// It is something else.
    #[error("{path} is no session store of schoolgate and was left as it is; move it away", path = path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version wrote it.
    #[error(
        "{path} has format {found}, and this schoolgate knows {FORMAT} only; start the one that wrote it",
        path = path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The key ring does not fit.
    #[error(
        "{path} was sealed with a key that is not in the key file; put that key back (the current one on the first \
         line, the one before it on the second), or, if it is lost, move {path} away: everybody signs in again then",
        path = path.display()
    )]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
}

/// A file that was checked, and is not opened for writing yet.
pub(super) struct Checked {
    pub(super) disk: Arc<dyn StorageBackend>,
    pub(super) sessions: usize,
    /// A new proof is due: the one in the file is of a previous key.
    pub(super) proof: Option<Vec<u8>>,
}

/// Opens the file at `path`, or makes it when there is none.
pub(super) fn open(path: &Path, codec: &Codec) -> Result<Checked, FileStoreError> {
    let file = match options().open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create(path, codec)?;
            options().open(path)
        }
        other => other,
    };
    let file = file.map_err(system("open", path))?;
    lock(&file, path)?;
    close_to_others(&begins_well(&file, path)?, path)?;
    let disk = Disk::new(file, path);
    disk.warm().map_err(system("read", path))?;
    trusted(Arc::new(disk), path, codec)
}

/// Checks what is on a disk, and whose it is, without changing a byte of it.
pub(super) fn trusted(disk: Arc<dyn StorageBackend>, path: &Path, codec: &Codec) -> Result<Checked, FileStoreError> {
    let database = shadow(&disk, Check::All).map_err(|error| wrong(error, path))?;
    let (sessions, proof) = vouch(&database, codec, path)?;
    Ok(Checked { disk, sessions, proof })
}

/// How much of a file is looked at before it is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Every page: at the start, for nobody knows what happened to the file meanwhile.
    All,
    /// What the last commit left for this: within the process that has had the file since it was checked.
    LastCommit,
}

/// The tree on a disk, to read only: what this one writes, the disk never sees.
pub(super) fn shadow(disk: &Arc<dyn StorageBackend>, check: Check) -> Result<Database, Error> {
    tree(Shadow::of(Arc::clone(disk))?, check)
}

/// The tree on a disk. Whatever it stumbles over is an error, a panic too.
pub(super) fn tree(disk: impl StorageBackend, check: Check) -> Result<Database, Error> {
    guarded(|| {
        // An empty disk would be taken for a new one, and what was on it a moment ago for nothing.
        if disk.len()? == 0 {
            return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        let mut builder = Database::builder();
        builder.set_cache_size(CACHE).set_check_integrity_on_open(check == Check::All);
        Ok(builder.create_with_backend(disk)?)
    })
}

/// Runs something on the tree; what it panics with becomes an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        let said = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let said = said.or_else(|| payload.downcast_ref::<String>().cloned());
        Err(Error::Corrupted(said.unwrap_or_else(|| "a panic".to_owned())))
    })
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options
}

pub(super) fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileStoreError {
    move |source| FileStoreError::System { action, path: path.to_path_buf(), source }
}

/// Made under another name and linked into place when it is whole: a start that was cut off leaves no half
/// store, and nobody's store is replaced.
fn create(path: &Path, codec: &Codec) -> Result<(), FileStoreError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(system("make the folder", folder))?;
    let draft = tempfile::Builder::new().prefix("sessions.redb.").tempfile_in(folder).map_err(system("make", path))?;
    let written = guarded(|| {
        let database = Database::builder().create_with_backend(FileBackend::new(draft.as_file().try_clone()?)?)?;
        let transaction = database.begin_write()?;
        let mut changes = Changes::new(&transaction)?;
        changes.remember("format", FORMAT.to_string().as_bytes())?;
        changes.remember("proof", &codec.proof())?;
        drop(changes);
        transaction.commit()?;
        Ok(database.close()?)
    });
    written.map_err(|error| system("make", path)(into_io(error)))?;
    match draft.persist_noclobber(path) {
        Ok(_) => {}
        // Another process was quicker; whether it still has the file shows when it is locked.
        Err(error) if error.error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(system("make", path)(error.error)),
    }
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(system("make", path))?;
    tracing::info!(event = "store_created", path = %path.display());
    Ok(())
}

fn lock(file: &File, path: &Path) -> Result<(), FileStoreError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            Err(TryLockError::Error(error)) => return Err(system("lock", path)(error)),
        }
    }
    Err(FileStoreError::InUse { path: path.to_path_buf() })
}

/// What can be said before the tree looks at it.
pub(super) fn begins_well(file: &File, path: &Path) -> Result<Metadata, FileStoreError> {
    let metadata = file.metadata().map_err(system("read", path))?;
    if !metadata.is_file() {
        return Err(FileStoreError::Foreign { path: path.to_path_buf() });
    }
    if metadata.len() == 0 {
        return Err(FileStoreError::Damaged { path: path.to_path_buf(), why: "it is empty".to_owned() });
    }
    let mut beginning = [0; MAGIC.len()];
    match file.read_exact_at(&mut beginning, 0) {
        Ok(()) if beginning == MAGIC => Ok(metadata),
        Ok(()) => Err(FileStoreError::Foreign { path: path.to_path_buf() }),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(FileStoreError::Foreign { path: path.to_path_buf() })
        }
        Err(error) => Err(system("read", path)(error)),
    }
}

fn close_to_others(metadata: &Metadata, path: &Path) -> Result<(), FileStoreError> {
    if metadata.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(system("make private", path))?;
        tracing::warn!(event = "store_was_open_to_others", path = %path.display());
    }
    Ok(())
}

/// Whose file it is.
fn vouch(database: &Database, codec: &Codec, path: &Path) -> Result<(usize, Option<Vec<u8>>), FileStoreError> {
    let read = guarded(|| {
        let view = View(database.begin_read()?);
        let (format, proof) = (view.remembered("format")?, view.remembered("proof")?);
        Ok((format, proof, view.count().unwrap_or_default()))
    });
    let path_ = || path.to_path_buf();
    let (format, proof, sessions) = read.map_err(|error| wrong(error, path))?;
    let format = format.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
    match (format, proof) {
        (Some(FORMAT), Some(proof)) if codec.knows(&proof) => {
            Ok((sessions, (!codec.is_current(&proof)).then(|| codec.proof())))
        }
        (Some(FORMAT), Some(_)) => Err(FileStoreError::WrongKey { path: path_() }),
        (Some(found), _) if found > FORMAT => Err(FileStoreError::Newer { path: path_(), found }),
        (Some(_) | None, _) => Err(FileStoreError::Foreign { path: path_() }),
    }
}

/// What the tree says of a file, in our words.
pub(super) fn wrong(error: Error, path: &Path) -> FileStoreError {
    let path = path.to_path_buf();
    // Where there should be more of the file, its end is damage, and so is what cannot be a tree.
    let is_damage = |error: &io::Error| matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::InvalidData);
    if let Error::Io(source) = error {
        return match is_damage(&source) {
            true => FileStoreError::Damaged { path, why: source.to_string() },
            false => FileStoreError::System { action: "open", path, source },
        };
    }
    let is_foreign = matches!(
        error,
        Error::UpgradeRequired(_)
            | Error::TableDoesNotExist(_)
            | Error::TableTypeMismatch { .. }
            | Error::TableIsMultimap(_)
            | Error::TableIsNotMultimap(_)
    );
    match is_foreign {
        true => FileStoreError::Foreign { path },
        false => FileStoreError::Damaged { path, why: error.to_string() },
    }
}

fn into_io(error: Error) -> io::Error {
    if let Error::Io(error) = error { error } else { io::Error::other(error.to_string()) }
}
