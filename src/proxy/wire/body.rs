//! Where a message ends.

use super::{BodyKind, Refusal, chunks::Chunks};

/// Follows the bytes of a body and says where it ends.
#[derive(Clone, Debug)]
pub struct Body(State);

#[derive(Clone, Debug)]
enum State {
    Length(u64),
    Chunked(Chunks),
}

impl Body {
    /// A body of which no byte has come.
    #[must_use]
    pub const fn new(kind: BodyKind) -> Self {
        Self(match kind {
            BodyKind::None => State::Length(0),
            BodyKind::Length(length) => State::Length(length),
            BodyKind::Chunked => State::Chunked(Chunks::new()),
        })
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        match &self.0 {
            State::Length(left) => *left == 0,
            State::Chunked(chunks) => chunks.is_done(),
        }
    }

    /// Takes the next bytes and says how many of them belong to the body; those behind belong to the
    /// next message.
    ///
    /// # Errors
    /// When the chunked coding is not exactly that of RFC 9112, section 7.1. Nobody knows then where
    /// the next message would begin: the connection must end.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match &mut self.0 {
            State::Length(left) => {
                let here = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= here as u64;
                Ok(here)
            }
            State::Chunked(chunks) => chunks.feed(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_length_counts_and_no_body_is_over_at_once() {
        assert!(Body::new(BodyKind::None).is_done());
        let mut body = Body::new(BodyKind::Length(5));
        assert_eq!((body.feed(b"abc"), body.is_done()), (Ok(3), false));
        assert_eq!((body.feed(b"defg"), body.is_done()), (Ok(2), true));
        assert_eq!(body.feed(b"x"), Ok(0));
    }

    fn feed_in(pieces: &[&[u8]]) -> Result<(usize, bool), Refusal> {
        let mut body = Body::new(BodyKind::Chunked);
        let mut used = 0;
        for piece in pieces {
            used += body.feed(piece)?;
        }
        Ok((used, body.is_done()))
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            bytes in prop_oneof![
                "(([0-9a-f]{1,2}(;[ -~]{0,5})?\r\n[ -~]{0,9}\r\n){0,3}0\r\n(X: [a-z]\r\n)?\r\n[A-Z]{0,4})",
                "([1]\r\nx\r\n){0,4}0\r\n(Y: [a-z]\r\n)?\r\n[A-Z]{0,4}",
            ],
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let bytes = bytes.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(feed_in(&pieces), feed_in(&[bytes]));
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(feed_in(&single), feed_in(&[bytes]));
        }
    }
}
