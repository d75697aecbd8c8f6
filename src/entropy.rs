//! Randomness as a parameter, from the operating system by way of the cryptographic library.

use std::{fmt, sync::Arc};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// A source of bytes that nobody can guess.
pub trait Entropy: Send + Sync + fmt::Debug {
    /// Fills `buffer` with random bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: no identifier, key or nonce may ever be
    /// made without it, and the request at hand dies instead.
    fn fill(&self, buffer: &mut [u8]);
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
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(N * 2);
    for byte in bytes::<N>(source) {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from(DIGITS[usize::from(digit)])));
    }
    text
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
    fn hexadecimal_has_two_digits_for_each_byte() {
        #[derive(Debug)]
        struct Counting;

        impl Entropy for Counting {
            fn fill(&self, buffer: &mut [u8]) {
                for (number, byte) in buffer.iter_mut().enumerate() {
                    *byte = u8::try_from(number * 17).unwrap();
                }
            }
        }

        assert_eq!(hex::<16>(&Counting), "00112233445566778899aabbccddeeff");
    }
}
