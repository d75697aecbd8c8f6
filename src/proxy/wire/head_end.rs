//! Where a request head ends, found while it arrives.

use super::Refusal;

/// So many bytes are looked at together.
const AT_ONCE: usize = 16;

/// What lines are made of: tabs, blanks, visible characters and bytes beyond ASCII.
const fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// How many bytes there are before the first that is no text.
pub(super) fn text_run(bytes: &[u8]) -> usize {
    // No way out within a piece: so the compiler judges its bytes all at once.
    let is_all_text = |piece: &&[u8]| piece.iter().fold(true, |fine, byte| fine & is_text(*byte));
    let run = bytes.chunks_exact(AT_ONCE).take_while(is_all_text).count() * AT_ONCE;
    run + bytes[run..].iter().take_while(|byte| is_text(**byte)).count()
}

/// Looks for the end of a head, each byte once, however the bytes are cut into pieces.
///
/// What no later byte could mend is refused at once: a bare line break, a control character (the
/// first byte of a TLS handshake is one), a head that is too large.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadEnd {
    seen: usize,
    line: usize,
    after_cr: bool,
    skipped: usize,
    begun: bool,
}

impl HeadEnd {
    /// Goes on where it stopped. `bytes` is everything from the first byte on.
    ///
    /// The result is the length of the head, last empty line included.
    pub(super) fn find(&mut self, bytes: &[u8], most: usize) -> Result<Option<usize>, Refusal> {
        loop {
            if !self.after_cr {
                let run = text_run(&bytes[self.seen..bytes.len().min(most)]);
                self.seen += run;
                self.line += run;
            }
            let Some(&byte) = bytes.get(self.seen) else { return Ok(None) };
            if self.seen >= most {
                return Err(Refusal::HeadTooLarge);
            }
            self.seen += 1;
            match (self.after_cr, byte) {
                (true, b'\n') => {
                    if self.end_line()? {
                        return Ok(Some(self.seen));
                    }
                }
                (true, _) | (false, b'\n') => return Err(Refusal::BareLineBreak),
                (false, b'\r') => self.after_cr = true,
                (false, _) => return Err(Refusal::ControlCharacter),
            }
        }
    }

    /// Length of the empty line before the request line: 0 or 2.
    pub(super) fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether nothing but that empty line has come.
    pub(super) fn idle(&self) -> bool {
        self.skipped == self.seen
    }

    /// RFC 9112, section 2.2: "a server ... SHOULD ignore at least one empty line (CRLF) received
    /// prior to the request-line". One it is.
    fn end_line(&mut self) -> Result<bool, Refusal> {
        let empty = self.line == 0;
        self.after_cr = false;
        self.line = 0;
        match (empty, self.begun) {
            (true, true) => return Ok(true),
            (true, false) if self.skipped > 0 => return Err(Refusal::RequestLine),
            (true, false) => self.skipped = self.seen,
            (false, _) => self.begun = true,
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(text: &str) -> Result<Option<usize>, Refusal> {
        HeadEnd::default().find(text.as_bytes(), 64)
    }

    #[test]
    fn a_head_ends_with_the_first_empty_line_after_the_request_line() {
        assert_eq!(find("GET / HTTP/1.1\r\n\r\nbody"), Ok(Some(18)));
        assert_eq!(find("GET / HTTP/1.1\r\nA: b\r\n\r"), Ok(None));
        assert_eq!(find(""), Ok(None));
    }

    #[test]
    fn one_empty_line_before_the_request_line_is_ignored_and_a_second_is_refused() {
        assert_eq!(find("\r\nGET / HTTP/1.1\r\n\r\n"), Ok(Some(20)));
        assert_eq!(find("\r\n\r\n"), Err(Refusal::RequestLine));
        let mut end = HeadEnd::default();
        assert_eq!((end.find(b"\r\n", 64), end.idle(), end.skipped()), (Ok(None), true, 2));
        assert_eq!((end.find(b"\r\nG", 64), end.idle()), (Ok(None), false));
    }

    #[test]
    fn bare_line_breaks_and_control_characters_are_refused_at_once() {
        for text in ["GET / HTTP/1.1\n", "GET / HTTP/1.1\rX", "\n", "\rG", "A\r\r\n", "A\r\nB: c\n"] {
            assert_eq!(find(text), Err(Refusal::BareLineBreak), "{text:?}");
        }
        for text in ["\x16\x03\x01", "GET /\0", "A\x0b", "A\x7f", "A\x1f"] {
            assert_eq!(find(text), Err(Refusal::ControlCharacter), "{text:?}");
        }
    }

    #[test]
    fn a_head_may_fill_its_limit_to_the_last_byte_and_no_further() {
        let head = format!("{}\r\n\r\n", "x".repeat(60));
        assert_eq!(find(&head), Ok(Some(64)));
        assert_eq!(find(&format!("x{head}")), Err(Refusal::HeadTooLarge));
        assert_eq!(find(&"x".repeat(64)), Ok(None));
        assert_eq!(find(&"x".repeat(65)), Err(Refusal::HeadTooLarge));
    }
}
