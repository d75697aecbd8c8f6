//! The secrets that travel between the browser, the gateway and Apple. Each has a type of its own, so
//! that none can go where another belongs.

use crate::secret::Secret;

/// The kinds of secrets of this room: they have no values, they only tell types apart.
pub mod kind {
    /// Marks an [`AuthorizationCode`](super::AuthorizationCode).
    #[derive(Debug)]
    pub enum Code {}
    /// Marks an [`AccessToken`](super::AccessToken).
    #[derive(Debug)]
    pub enum Access {}
    /// Marks a [`RefreshToken`](super::RefreshToken).
    #[derive(Debug)]
    pub enum Refresh {}
    /// Marks a [`RawIdToken`](super::RawIdToken).
    #[derive(Debug)]
    pub enum IdToken {}
    /// Marks a [`RawNotification`](super::RawNotification).
    #[derive(Debug)]
    pub enum Notification {}
    /// Marks a [`Nonce`](super::Nonce).
    #[derive(Debug)]
    pub enum Nonce {}
    /// Marks a [`State`](super::State).
    #[derive(Debug)]
    pub enum State {}
    /// Marks a [`CodeVerifier`](super::CodeVerifier).
    #[derive(Debug)]
    pub enum Verifier {}
    /// Marks the JWT that proves who the gateway is.
    #[derive(Debug)]
    pub(in crate::apple) enum Client {}
}

/// An authorization code: good for one call, for five minutes.
pub type AuthorizationCode = Secret<kind::Code>;
/// An access token: opaque, good for an hour.
pub type AccessToken = Secret<kind::Access>;
/// A refresh token: opaque, good until it is revoked.
pub type RefreshToken = Secret<kind::Refresh>;
/// An ID token that nobody has looked at yet.
pub type RawIdToken = Secret<kind::IdToken>;
/// A signed notification that nobody has looked at yet.
pub type RawNotification = Secret<kind::Notification>;
/// Ties an ID token to one sign-in (OpenID Connect Core, section 3.1.2.1).
pub type Nonce = Secret<kind::Nonce>;
/// Ties a callback to one sign-in (RFC 6749, section 10.12).
pub type State = Secret<kind::State>;
/// Ties the redemption of a code to one sign-in (RFC 7636, section 4.1).
pub type CodeVerifier = Secret<kind::Verifier>;
/// The client secret: an ES256 JWT.
pub(super) type ClientSecret = Secret<kind::Client>;

/// Whether a text from outside may be a code, a token or a state: 1 to `longest` visible ASCII
/// characters. RFC 6749, appendix A, allows spaces too; Apple's have none, and what goes into a header
/// or a log line is better without.
pub(super) fn is_tokenish(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A text from outside, cut down to what may stand in a log line: at most 64 characters of RFC 6749,
/// appendix A.7, without spaces.
pub(super) fn sanitised(text: &str) -> String {
    let fine = |letter: char| letter.is_ascii_graphic() && letter != '"' && letter != '\\';
    text.chars().take(64).map(|letter| if fine(letter) { letter } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_break_out_of_a_header_is_no_token() {
        assert!(is_tokenish("c1b0.0.nwsw._-~+/=", 64));
        assert!(is_tokenish(&"a".repeat(64), 64));
        for text in ["", "a b", "a\r\nb", "a\0", "é", "\u{7f}", &"a".repeat(65)] {
            assert!(!is_tokenish(text, 64), "{text:?}");
        }
    }

    #[test]
    fn a_sanitised_text_is_short_and_plain() {
        assert_eq!(sanitised("user_cancelled_authorize"), "user_cancelled_authorize");
        assert_eq!(sanitised("a\r\n\"\\<é>\u{1b}[1m"), "a????<?>?[1m");
        assert_eq!(sanitised(&"é".repeat(500)).len(), 64);
    }
}
