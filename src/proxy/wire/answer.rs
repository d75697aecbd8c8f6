//! What goes back to the client, as far as the guard must know it: the status.

/// Length of `HTTP/1.1 200`.
const STATUS_END: u8 = 12;

/// Follows the bytes of the answers to one request: interim ones (1xx), then the final one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// In the status line, after so many bytes; the digits so far.
    Status { seen: u8, code: u16 },
    /// In the rest of an interim head, after so many bytes of the empty line that ends it.
    Interim { matched: u8 },
    /// In the final answer; the rest is of no concern.
    Final,
    /// Behind the status of `101 Switching Protocols`.
    Switched,
}

impl Answer {
    pub(super) const fn new() -> Self {
        Self::Status { seen: 0, code: 0 }
    }

    /// The state after these bytes.
    pub(super) fn after(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self = match self {
                Self::Final | Self::Switched => return self,
                Self::Status { seen, code } => {
                    let code = if (9..STATUS_END).contains(&seen) { code * 10 + u16::from(byte & 0x0f) } else { code };
                    match (seen + 1, code) {
                        (STATUS_END, 101) => Self::Switched,
                        (STATUS_END, 100..=199) => Self::Interim { matched: 0 },
                        (STATUS_END, _) => Self::Final,
                        (seen, code) => Self::Status { seen, code },
                    }
                }
                Self::Interim { matched } => match (matched, byte) {
                    (3, b'\n') => Self::new(),
                    (0 | 2, b'\r') | (1, b'\n') => Self::Interim { matched: matched + 1 },
                    (_, b'\r') => Self::Interim { matched: 1 },
                    _ => Self::Interim { matched: 0 },
                },
            };
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Answer {
        let at_once = Answer::new().after(text.as_bytes());
        let one_by_one = text.bytes().fold(Answer::new(), |answer, byte| answer.after(&[byte]));
        assert_eq!(at_once, one_by_one);
        at_once
    }

    #[test]
    fn switching_protocols_is_seen_also_behind_interim_answers() {
        assert_eq!(after("HTTP/1.1 101 Switching Protocols\r\n"), Answer::Switched);
        assert_eq!(after("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nA: b\r\n\r\nHTTP/1.1 101"), Answer::Switched);
        assert_eq!(after("HTTP/1.1 100 Continue\r\nX: HTTP/1.1 101\r\n"), Answer::Interim { matched: 2 });
    }

    #[test]
    fn a_final_answer_may_say_what_it_likes() {
        assert_eq!(after("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n"), Answer::Final);
        assert_eq!(after("HTTP/1.1 10"), Answer::Status { seen: 11, code: 10 });
    }
}
