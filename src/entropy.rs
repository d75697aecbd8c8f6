//! Randomness as a parameter, from the operating system by way of the cryptographic library.

use std::{cell::RefCell, fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// A source of bytes that nobody can guess.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buffer` with random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: no identifier, key or nonce may ever be
    /// made without it, and the request at hand dies instead.
    fn fill(&self, buffer: &mut [u8]);

    /// The same for a number that everybody may know: it may have been drawn before, with others. No secret is made of
    /// it.
    ///
    /// # Panics
    /// As [`Entropy::fill`].
    fn fill_public(&self, buffer: &mut [u8]) {
        self.fill(buffer);
    }
}

/// The source that all rooms share.
pub type SharedEntropy = Arc<dyn Entropy>;

/// `N` random bytes.
pub fn bytes<const N: usize>(source: &dyn Entropy) -> [u8; N] {
    let mut buffer = [0; N];
    source.fill(&mut buffer);
    buffer
}

/// `N` random bytes as base64url without padding (RFC 4648, section 5).
pub fn text<const N: usize>(source: &dyn Entropy) -> String {
    URL_SAFE_NO_PAD.encode(bytes::<N>(source))
}

/// `N` random bytes as lower-case hexadecimal.
pub fn hex<const N: usize>(source: &dyn Entropy) -> String {
    to_hex(&bytes::<N>(source))
}

/// The same for a number that everybody may know: of a request, of a trace. No secret is made of it.
pub fn public_hex<const N: usize>(source: &dyn Entropy) -> String {
    let mut buffer = [0; N];
    source.fill_public(&mut buffer);
    to_hex(&buffer)
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |half: u8| half + if half < 10 { b'0' } else { b'a' - 10 };
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]);
    let mut text = Vec::with_capacity(2 * bytes.len());
    text.extend(digits);
    // Digits are.
    String::from_utf8(text).unwrap_or_default()
}

/// Bytes that are drawn together for numbers that everybody may know. A request needs three such numbers, and each draw
/// costs as much as a kilobyte.
const DRAWN: usize = 1024;

/// What is left of the last draw stands at the end.
struct Drawn {
    bytes: [u8; DRAWN],
    left: usize,
}

thread_local! {
    static DRAWS: RefCell<Drawn> = const { RefCell::new(Drawn { bytes: [0; DRAWN], left: 0 }) };
}

/// The randomness of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]
    #[expect(clippy::expect_used, reason = "without randomness nothing may go on; see the trait")]
    fn fill(&self, buffer: &mut [u8]) {
        aws_lc_rs::rand::fill(buffer).expect("the operating system gives no randomness");
    }

    fn fill_public(&self, buffer: &mut [u8]) {
        let filled = DRAWS.try_with(|draws| {
            let Ok(mut draws) = draws.try_borrow_mut() else { return false };
            if draws.left < buffer.len() {
                self.fill(&mut draws.bytes);
                draws.left = DRAWN;
            }
            let begin = DRAWN - draws.left;
            let Some(bytes) = draws.bytes.get_mut(begin..begin + buffer.len()) else { return false };
            buffer.copy_from_slice(bytes);
            // No number is given twice.
            bytes.fill(0);
            draws.left -= buffer.len();
            true
        });
        if filled != Ok(true) {
            self.fill(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_draws_are_alike() {
        let (one, two) = (text::<32>(&SystemEntropy), text::<32>(&SystemEntropy));
        assert_eq!(one.len(), 43);
        assert_ne!(one, two);
        assert_eq!(hex::<16>(&SystemEntropy).len(), 32);
    }

    #[test]
    fn bytes_are_written_as_hexadecimal_digits() {
        assert_eq!(to_hex(&[0x00, 0x09, 0x0a, 0x9f, 0xa0, 0xff]), "00090a9fa0ff");
        for byte in 0..=u8::MAX {
            assert_eq!(to_hex(&[byte]), format!("{byte:02x}"));
        }
    }

    #[test]
    fn no_public_number_is_given_twice_on_any_thread_and_none_is_a_part_of_another() {
        let draw = || (0..2_000).map(|_| public_hex::<8>(&SystemEntropy)).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let drawn: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        let different: std::collections::HashSet<_> = drawn.iter().collect();
        assert_eq!((drawn.len(), different.len()), (8_000, 8_000));
        assert!(drawn.iter().all(|number| number.len() == 16 && number.bytes().any(|digit| digit != b'0')));
        // Sizes that do not fit into what is left, and one that fits into no draw.
        let (mut last, mut large) = ([0; 1000], [0; 3000]);
        for _ in 0..3 {
            let before = last;
            SystemEntropy.fill_public(&mut last);
            assert!(last != before && last.windows(16).all(|window| window != [0; 16]));
        }
        SystemEntropy.fill_public(&mut large);
        assert!(large.windows(16).all(|window| window != [0; 16]));
    }
}
