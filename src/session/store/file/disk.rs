//! The file below the tree: disk space that is really there, and a fence against who writes too late.

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::StorageBackend;
use rustix::{
    fs::{FallocateFlags, fallocate, statvfs},
    io::Errno,
};

/// How much is read at a time when the file is read from end to end.
const STRIDE: usize = 1 << 20;

/// The open file, locked for as long as this lives.
#[derive(Debug)]
pub(super) struct Disk {
    file: File,
    path: PathBuf,
}

impl Disk {
    /// `file` is open for reading and writing, locked, and found at `path`.
    pub(super) fn new(file: File, path: &Path) -> Self {
        Self { file, path: path.to_path_buf() }
    }

    /// Reads the file once from end to end. The check that follows jumps about in it, which a cold disk is
    /// slow at; afterwards it is in the system's memory.
    pub(super) fn warm(&self) -> io::Result<()> {
        let mut buffer = vec![0; STRIDE];
        let mut at = 0;
        loop {
            match self.file.read_at(&mut buffer, at)? {
                0 => return Ok(()),
                read => at += read as u64,
            }
        }
    }

    /// What is written into a file that nobody can find any more is lost at the next start.
    fn is_where_it_was(&self) -> io::Result<()> {
        let (here, open) = (fs::metadata(&self.path), self.file.metadata()?);
        if here.is_ok_and(|here| (here.dev(), here.ino()) == (open.dev(), open.ino())) {
            return Ok(());
        }
        Err(io::Error::other("the file was moved, removed or replaced while it was in use: put it back, or restart"))
    }

    /// Takes the room now: a file that only claims to be long meets a full disk in the middle of a commit.
    /// File systems that cannot do it meet it there.
    fn reserve(&self, old: u64, new: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::KEEP_SIZE, old, new - old) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => Ok(()),
            Err(error) => {
                // Gives back the part that there was room for.
                self.file.set_len(old)?;
                Err(error.into())
            }
        }
    }
}

/// How many bytes are free for us on the disk of a file.
pub(super) fn room_beside(path: &Path) -> io::Result<u64> {
    let disk = statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

impl StorageBackend for Disk {
    /// An empty file would be taken for a new one, and what was in it a moment ago for nothing.
    fn len(&self) -> io::Result<u64> {
        match self.file.metadata()?.len() {
            0 => Err(io::Error::new(ErrorKind::UnexpectedEof, "the file is empty")),
            length => Ok(length),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let old = self.len()?;
        if len > old {
            self.reserve(old, len)?;
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.is_where_it_was()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }
}

/// One opening of the tree. After a failure the tree is opened anew; readers may still hold the old one,
/// which reads on but can change nothing any more.
#[derive(Clone, Debug)]
pub(super) struct Fenced {
    disk: Arc<dyn StorageBackend>,
    retired: Arc<AtomicBool>,
}

impl Fenced {
    pub(super) fn new(disk: Arc<dyn StorageBackend>) -> Self {
        Self { disk, retired: Arc::default() }
    }

    /// From now on nothing is written through this one.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::SeqCst);
    }

    fn writable(&self) -> io::Result<()> {
        if self.retired.load(Ordering::SeqCst) {
            return Err(io::Error::other("the file has been opened anew"));
        }
        Ok(())
    }
}

impl StorageBackend for Fenced {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writable()?;
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.writable()?;
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.writable()?;
        self.disk.write(offset, data)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn disk(folder: &Path) -> Disk {
        let path = folder.join("sessions.redb");
        fs::write(&path, "0123456789").unwrap();
        Disk::new(OpenOptions::new().read(true).write(true).open(&path).unwrap(), &path)
    }

    #[test]
    fn a_longer_file_has_its_room_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        disk.set_len(1 << 20).unwrap();
        let metadata = disk.file.metadata().unwrap();
        assert_eq!(metadata.len(), 1 << 20);
        assert!(metadata.blocks() * 512 >= 1 << 20, "{} blocks", metadata.blocks());
        disk.warm().unwrap();
        disk.set_len(10).unwrap();
        assert_eq!(disk.len().unwrap(), 10);
    }

    #[test]
    fn a_file_that_was_taken_away_takes_no_promise() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        disk.sync_data().unwrap();
        fs::rename(&disk.path, folder.path().join("elsewhere")).unwrap();
        assert!(disk.sync_data().is_err());
        fs::write(&disk.path, "another").unwrap();
        assert!(disk.sync_data().is_err());
        fs::rename(folder.path().join("elsewhere"), &disk.path).unwrap();
        disk.sync_data().unwrap();
    }

    #[test]
    fn an_emptied_file_is_not_taken_for_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path());
        fs::write(&disk.path, "").unwrap();
        assert!(disk.len().is_err() && disk.set_len(100).is_err());
    }

    #[test]
    fn who_was_retired_reads_and_writes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let fenced = Fenced::new(Arc::new(disk(folder.path())));
        fenced.write(0, b"A").unwrap();
        fenced.retire();
        let mut read = [0; 2];
        fenced.read(0, &mut read).unwrap();
        assert_eq!((&read, fenced.len().unwrap()), (b"A1", 10));
        assert!(fenced.write(0, b"B").is_err() && fenced.set_len(1).is_err() && fenced.sync_data().is_err());
    }
}
