//! What processes tell one another over Redis: written by the scripts, read here.

use crate::{clock::Timestamp, session::SessionKey};

/// Bytes of a session key.
const KEY: usize = 32;

/// Length of the name of a listener.
pub(super) const NAME: usize = 16;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The record of a session is of this generation now.
    Changed(SessionKey, u64),
    /// Sessions were removed.
    Ended(Vec<SessionKey>),
    /// A listener tells itself the time, to see that it hears.
    Beat {
        /// Which listener.
        name: [u8; NAME],
        /// When it said so, by its own clock.
        moment: Timestamp,
    },
}

impl News {
    /// Reads a message; `None` when it is none of ours.
    pub(super) fn read(message: &[u8]) -> Option<Self> {
        let (kind, rest) = message.split_first()?;
        match kind {
            b'c' => {
                let (key, generation) = rest.split_first_chunk::<KEY>()?;
                Some(Self::Changed(SessionKey::from_bytes(*key), number(generation)?))
            }
            b'e' => {
                let (keys, rest) = rest.as_chunks::<KEY>();
                let all = rest.is_empty().then(|| keys.iter().copied().map(SessionKey::from_bytes).collect())?;
                Some(Self::Ended(all))
            }
            b'b' => {
                let (name, moment) = rest.split_first_chunk::<NAME>()?;
                Some(Self::Beat { name: *name, moment: Timestamp::from_millis(number(moment)?) })
            }
            _ => None,
        }
    }

    /// The message of a beat.
    pub(super) fn beat(name: &[u8; NAME], moment: Timestamp) -> Vec<u8> {
        [b"b".as_slice(), name, moment.millis().to_string().as_bytes()].concat()
    }
}

fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_odd_is_not() {
        let (one, two) = ([1; KEY], [2; KEY]);
        let key = SessionKey::from_bytes;
        let message = |kind: &[u8], parts: &[&[u8]]| News::read(&[kind, &parts.concat()].concat());
        assert_eq!(message(b"c", &[&one, b"17"]), Some(News::Changed(key(one), 17)));
        assert_eq!(message(b"e", &[&one, &two]), Some(News::Ended(vec![key(one), key(two)])));
        let moment = Timestamp::from_millis(1_800_000_000_123);
        assert_eq!(News::read(&News::beat(&[7; NAME], moment)), Some(News::Beat { name: [7; NAME], moment }));
        for odd in [&b""[..], b"c", b"x", b"c12345678901234567890123456789012", b"eshort", b"b1234567890123456"] {
            assert_eq!(News::read(odd), None, "{odd:?}");
        }
    }
}
