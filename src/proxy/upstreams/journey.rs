//! The way of one request: where it goes, and where it could not go.

use pingora::{Error, ErrorType, RetryType};

use crate::policy::{App, Upstream};

/// One request under way to an upstream.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Journey {
    now: Option<usize>,
    tried: Vec<usize>,
    sent_again: bool,
}

impl Journey {
    /// The upstream that the request goes to.
    pub(in crate::proxy) fn upstream<'a>(&self, app: &'a App) -> pingora::Result<&'a Upstream> {
        let upstream = self.now.and_then(|index| app.upstreams.get(index));
        upstream.ok_or_else(|| Error::new_in(ErrorType::InternalError))
    }

    /// Whether a request may be sent again whose connection broke before an answer came.
    ///
    /// A connection that was used before may have been closed by the app while the request was on its way
    /// (RFC 9112, section 9.3.1). Nobody knows whether the app has read it, so this is for methods only that change
    /// nothing (RFC 9110, section 9.2.1), and once: a form is never sent twice.
    pub(in crate::proxy) fn may_send_again(&mut self, error: &Error, reused: bool, is_safe: bool) -> bool {
        let again = reused && is_safe && !self.sent_again && error.retry == RetryType::ReusedOnly;
        self.sent_again |= again;
        again
    }

    /// Goes to an upstream.
    pub(super) fn go<'a>(&mut self, app: &'a App, index: usize) -> pingora::Result<&'a Upstream> {
        self.now = Some(index);
        self.upstream(app)
    }

    /// The number of the upstream that the request goes to.
    pub(super) fn now(&self) -> Option<usize> {
        self.now
    }

    /// Not there again.
    pub(super) fn failed(&mut self, index: usize) {
        self.tried.push(index);
    }

    /// Where not again.
    pub(super) fn tried(&self) -> &[usize] {
        &self.tried
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> Box<Error> {
        let mut error = Error::new_up(ErrorType::ConnectionClosed);
        error.retry = RetryType::ReusedOnly;
        error
    }

    #[test]
    fn a_question_on_a_stale_connection_is_asked_again_once() {
        let mut journey = Journey::default();
        assert!(journey.may_send_again(&broken(), true, true));
        assert!(!journey.may_send_again(&broken(), true, true));
    }

    #[test]
    fn a_form_a_new_connection_or_another_fault_is_no_reason_to_send_again() {
        for (reused, is_safe) in [(true, false), (false, true), (false, false)] {
            assert!(!Journey::default().may_send_again(&broken(), reused, is_safe), "{reused} {is_safe}");
        }
        let other = Error::new_up(ErrorType::ReadError);
        assert!(!Journey::default().may_send_again(&other, true, true));
    }
}
