//! systemd's journal: whether stderr is it, and how it wants its entries.

use std::{
    io::{self, Write},
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
};

use tracing::Level;

use super::fields::{Fields, Value};

/// Where the journal takes entries with fields of their own (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";

/// How a line goes to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it is, with time and level.
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

/// One entry of the native protocol. A field keeps its name, in capitals.
pub(super) fn entry(level: Level, message: &str, target: &str, fields: &Fields) -> Vec<u8> {
    let mut entry = Vec::new();
    field(&mut entry, "PRIORITY", &priority(level).to_string());
    field(&mut entry, "SYSLOG_IDENTIFIER", "schoolgate");
    field(&mut entry, "MESSAGE", message);
    field(&mut entry, "TARGET", target);
    // A message of an event has its place in the text.
    for (name, value) in fields.iter().filter(|(name, _)| *name != "message") {
        field(&mut entry, &name.to_ascii_uppercase(), &Value::plain(value));
    }
    entry
}

/// Name and value in one line, or, when the value has lines of its own, with its length before it.
fn field(entry: &mut Vec<u8>, name: &str, value: &str) {
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
    fn every_field_is_a_field_of_the_entry_and_none_makes_another() {
        let mut fields = Fields::default();
        fields.set("event", Value::Text("refused".to_owned()));
        fields.set("request_id", Value::Text("0123".to_owned()));
        fields.set("status", Value::Number(400));
        fields.set("reason", Value::Shown("x\nPRIORITY=0".to_owned()));
        let entry = entry(Level::WARN, "the message", "schoolgate::access", &fields);
        let expected = b"PRIORITY=4\nSYSLOG_IDENTIFIER=schoolgate\nMESSAGE=the message\nTARGET=schoolgate::access\n\
            EVENT=refused\nREQUEST_ID=0123\nSTATUS=400\nREASON\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n";
        assert_eq!(entry, expected, "{}", String::from_utf8_lossy(&entry));
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
