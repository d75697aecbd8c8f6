//! systemd's journal: whether stderr is it, and how it wants its entries.

use std::{
    io::{self, Write},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use tracing::Level;

/// Where the journal takes entries with fields of their own (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// How a line goes to its reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it is, with time and level.
    #[default]
    Plain,
    /// To the journal by stderr: with a priority in front.
    Prefixed,
    /// To the journal by its socket: every field is one of the entry.
    Native,
}

/// Whether stderr, a file of this device and inode, goes to the journal: `said` is `$JOURNAL_STREAM` (systemd.exec(5)).
/// Somebody who redirects stderr leaves the variable as it was, so the numbers count.
pub(super) fn is_journal(said: Option<&str>, device: u64, inode: u64) -> bool {
    let numbers = said.and_then(|said| said.split_once(':'));
    numbers.is_some_and(|(one, other)| one.parse() == Ok(device) && other.parse() == Ok(inode))
}

/// The journal's priority for a level (syslog(3)).
pub(super) fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Begins an entry of the native protocol. The fields of the event follow, each under its name in capitals.
pub(super) fn begin(entry: &mut Vec<u8>, level: Level, message: &str, target: &str) {
    field(entry, "PRIORITY", &priority(level).to_string());
    field(entry, "SYSLOG_IDENTIFIER", "schoolgate");
    field(entry, "MESSAGE", message);
    field(entry, "TARGET", target);
}

/// Name and value in one line, or, when the value has lines of its own, with its length before it.
pub(super) fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        entry.push(b'\n');
        entry.extend_from_slice(&u64::try_from(value.len()).unwrap_or(u64::MAX).to_le_bytes());
    } else {
        entry.push(b'=');
    }
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

/// The journal's socket. Each write is one entry.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// # Errors
    /// When nobody listens there.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        // Without a peer from here on: a journal that is started anew is another.
        Ok(Self { socket: UnixDatagram::unbound()?, path: path.to_owned() })
    }
}

impl Write for Journal {
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        self.socket.send_to(entry, &self.path)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_stream_that_systemd_has_made_is_the_journal() {
        assert!(is_journal(Some("8:123"), 8, 123));
        for said in [None, Some(""), Some("8:124"), Some("9:123"), Some("8"), Some("8:123:1"), Some(":"), Some("a:b")] {
            assert!(!is_journal(said, 8, 123), "{said:?}");
        }
    }

    #[test]
    fn a_journal_that_is_started_anew_gets_the_next_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        assert!(Journal::at(&path).is_err());
        let first = UnixDatagram::bind(&path).unwrap();
        let mut journal = Journal::at(&path).unwrap();
        let heard = |socket: &UnixDatagram| {
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        journal.write_all(b"MESSAGE=one\n").unwrap();
        assert_eq!(heard(&first), "MESSAGE=one\n");
        drop(first);
        std::fs::remove_file(&path).unwrap();
        assert!(journal.write_all(b"MESSAGE=lost\n").is_err());
        let second = UnixDatagram::bind(&path).unwrap();
        journal.write_all(b"MESSAGE=two\n").unwrap();
        assert_eq!(heard(&second), "MESSAGE=two\n");
    }
}
