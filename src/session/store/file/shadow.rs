//! A way to look at the file without touching it.

use std::{
    collections::{HashMap, hash_map::Entry},
    io::{self, ErrorKind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

/// How finely a [`Shadow`] remembers.
const BLOCK: usize = 4096;

/// A disk that is only read: what is written to it stays in memory and is forgotten with it. The tree
/// writes to the file as soon as it opens it, before it knows whether the file is in order.
#[derive(Debug)]
pub(super) struct Shadow {
    disk: Arc<dyn StorageBackend>,
    end: u64,
    written: Mutex<Written>,
}

#[derive(Debug)]
struct Written {
    blocks: HashMap<u64, Box<[u8; BLOCK]>>,
    length: u64,
}

impl Shadow {
    pub(super) fn of(disk: Arc<dyn StorageBackend>) -> io::Result<Self> {
        let end = disk.len()?;
        Ok(Self { disk, end, written: Mutex::new(Written { blocks: HashMap::new(), length: end }) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A block of the disk; what lies beyond its end is zero.
    fn block(&self, number: u64) -> io::Result<Box<[u8; BLOCK]>> {
        let mut block = Box::new([0; BLOCK]);
        let start = number * BLOCK as u64;
        let there = usize::try_from(self.end.saturating_sub(start)).map_or(BLOCK, |there| there.min(BLOCK));
        if there > 0 {
            self.disk.read(start, &mut block[..there])?;
        }
        Ok(block)
    }
}

/// The parts of `length` bytes from `offset` on: block, place in it, length.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = usize::try_from(at % BLOCK as u64).unwrap_or_default();
        let part = (BLOCK - within).min(length - done);
        done += part;
        (part > 0).then_some((at / BLOCK as u64, within, part))
    })
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().length)
    }

    fn read(&self, offset: u64, mut out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.saturating_add(out.len() as u64) > written.length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        for (number, within, part) in parts(offset, out.len()) {
            let (piece, rest) = out.split_at_mut(part);
            let at = number * BLOCK as u64 + within as u64;
            match written.blocks.get(&number) {
                Some(block) => piece.copy_from_slice(&block[within..within + part]),
                None if at + part as u64 <= self.end => self.disk.read(at, piece)?,
                None => piece.copy_from_slice(&self.block(number)?[within..within + part]),
            }
            out = rest;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.written().length = len;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, mut data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        for (number, within, part) in parts(offset, data.len()) {
            let (piece, rest) = data.split_at(part);
            let block = match written.blocks.entry(number) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(self.block(number)?),
            };
            block[within..within + part].copy_from_slice(piece);
            data = rest;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;

    use super::*;

    fn shadowed() -> (Arc<dyn StorageBackend>, Shadow) {
        let disk: Arc<dyn StorageBackend> = Arc::new(InMemoryBackend::new());
        disk.set_len(10_000).unwrap();
        disk.write(0, &[1; 10_000]).unwrap();
        (Arc::clone(&disk), Shadow::of(disk).unwrap())
    }

    #[test]
    fn what_is_written_can_be_read_and_the_disk_knows_nothing_of_it() {
        let (disk, shadow) = shadowed();
        shadow.write(4_000, &[2; 5_000]).unwrap();
        shadow.set_len(20_000).unwrap();
        let mut all = vec![9; 20_000];
        shadow.read(0, &mut all).unwrap();
        let expected = [vec![1; 4_000], vec![2; 5_000], vec![1; 1_000], vec![0; 10_000]].concat();
        assert!(all == expected);
        shadow.sync_data().unwrap();
        let mut below = vec![0; 10_000];
        disk.read(0, &mut below).unwrap();
        assert!(below == [1; 10_000] && disk.len().unwrap() == 10_000);
    }

    #[test]
    fn beyond_the_end_there_is_nothing() {
        let (_, shadow) = shadowed();
        assert_eq!(shadow.read(9_999, &mut [0; 2]).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        shadow.set_len(100).unwrap();
        assert!(shadow.read(100, &mut [0; 1]).is_err() && shadow.read(99, &mut [0; 1]).is_ok());
    }
}
