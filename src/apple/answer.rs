//! What came back from Apple, and whose fault it is when it is no good. Judged by status and by members
//! of JSON, never by searching in a text.

use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::clock::Timestamp;

use super::{
    CallError, Malformed, Unavailable,
    json::{self, JsonError, Object},
};

/// Longest wait that Apple can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// One answer, with its body read to the end.
pub(super) struct Answer {
    pub(super) status: u16,
    /// `Retry-After`, or Apple's `X-Retry-After`, in seconds.
    pub(super) retry_after: Option<Duration>,
    /// When it was made, by Apple's clock.
    pub(super) date: Option<Timestamp>,
    /// May hold tokens.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Answer {
    /// The JSON object of a success.
    pub(super) fn object(&self) -> Result<Object, CallError> {
        self.success()?;
        match json::object(&self.body) {
            Ok(object) => Ok(object),
            // The body decides, not its label: an HTML page is no answer of Apple's whatever it is called.
            Err(JsonError::Syntax) => Err(Unavailable::NotJson(self.status).into()),
            Err(JsonError::Repeated) => Err(Malformed::Repeated.into()),
            Err(JsonError::NotAnObject) => Err(Malformed::NotAnObject.into()),
        }
    }

    /// A success without content, such as that of a revocation. A maintenance page that says 200 is none.
    pub(super) fn nothing(&self) -> Result<(), CallError> {
        self.success()?;
        if self.body.iter().all(u8::is_ascii_whitespace) { Ok(()) } else { self.object().map(drop) }
    }

    fn success(&self) -> Result<(), CallError> {
        match self.status {
            200 => Ok(()),
            400 | 401 => Err(self.refusal()),
            429 => Err(CallError::Throttled { retry_after: self.retry_after }),
            status @ 300..=399 => Err(Unavailable::Redirect(status).into()),
            // Only the statuses of RFC 6749, section 5.2, speak of the grant or the client: a 403 or 500
            // that says `invalid_grant` signs nobody out.
            status => Err(Unavailable::Status(status).into()),
        }
    }

    fn refusal(&self) -> CallError {
        match json::object(&self.body) {
            Ok(object) => match object.get("error") {
                Some(Value::String(code)) => CallError::of_code(code),
                _ => Unavailable::Status(self.status).into(),
            },
            Err(JsonError::Syntax) => Unavailable::NotJson(self.status).into(),
            Err(JsonError::Repeated | JsonError::NotAnObject) => Unavailable::Status(self.status).into(),
        }
    }
}

/// The longer of the two headers, each a number of seconds. The other form of RFC 9110, section 10.2.3, a
/// date, is not read: nothing depends on it.
pub(super) fn retry_after(values: [Option<&str>; 2]) -> Option<Duration> {
    let seconds = |value: &str| match value.trim() {
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Duration::from_secs(digits.parse().unwrap_or(u64::MAX)).min(LONGEST_WAIT))
        }
        _ => None,
    };
    values.into_iter().flatten().filter_map(seconds).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apple::OAuthCode;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, date: None, body: Zeroizing::new(body.into()) }
    }

    fn fault(status: u16, body: &str) -> CallError {
        let answer = answer(status, body);
        let fault = answer.object().unwrap_err();
        assert_eq!(answer.nothing().unwrap_err(), fault);
        fault
    }

    const HTML: &str = "<html><body>invalid_grant</body></html>";

    #[test]
    fn codes_count_at_400_and_401_only() {
        for status in [400, 401] {
            assert_eq!(fault(status, r#"{"error":"invalid_grant"}"#), CallError::InvalidGrant);
            assert_eq!(
                fault(status, r#"{"error":"invalid_client","error_description":"x"}"#),
                CallError::InvalidClient
            );
            assert_eq!(fault(status, r#"{"error":"invalid_request"}"#), CallError::Refused(OAuthCode::InvalidRequest));
        }
        for status in [201, 204, 402, 403, 404, 500, 502, 503, 504, 599] {
            assert_eq!(fault(status, r#"{"error":"invalid_grant"}"#), Unavailable::Status(status).into());
        }
        assert_eq!(fault(429, r#"{"error":"invalid_grant"}"#), CallError::Throttled { retry_after: None });
        assert_eq!(fault(302, r#"{"error":"invalid_grant"}"#), Unavailable::Redirect(302).into());
    }

    #[test]
    fn an_error_is_never_recognised_by_a_text_inside_something_else() {
        assert_eq!(fault(400, HTML), Unavailable::NotJson(400).into());
        for body in [
            r#"{"error_description":"invalid_grant"}"#,
            r#"{"error":["invalid_grant"]}"#,
            r#"{"error":{"code":"invalid_grant"}}"#,
            r#"{"error":null}"#,
            r#"["invalid_grant"]"#,
            r#""invalid_grant""#,
            r#"{"error":"invalid_client","error":"invalid_grant"}"#,
        ] {
            assert_eq!(fault(400, body), Unavailable::Status(400).into(), "{body}");
        }
        assert!(matches!(fault(400, r#"{"error":"not invalid_grant"}"#), CallError::Refused(OAuthCode::Other(_))));
    }

    #[test]
    fn html_instead_of_json_is_an_outage() {
        assert_eq!(fault(200, HTML), Unavailable::NotJson(200).into());
        assert_eq!(fault(503, HTML), Unavailable::Status(503).into());
        assert_eq!(answer(200, "").object(), Err(Unavailable::NotJson(200).into()));
    }

    #[test]
    fn json_that_is_no_clean_object_is_malformed() {
        assert_eq!(fault(200, "[]"), Malformed::NotAnObject.into());
        assert_eq!(fault(200, r#"{"a":1,"a":2}"#), Malformed::Repeated.into());
    }

    #[test]
    fn an_empty_answer_is_a_success_where_nothing_is_expected() {
        for body in ["", " \n", "{}"] {
            assert_eq!(answer(200, body).nothing(), Ok(()), "{body:?}");
        }
    }

    #[test]
    fn retry_after_is_a_bounded_number_of_seconds() {
        let read = |value| retry_after([Some(value), None]);
        assert_eq!(read("120"), Some(Duration::from_secs(120)));
        assert_eq!(read("99999999999999999999999"), Some(LONGEST_WAIT));
        for odd in ["", "-1", "+1", "1.5", "1e3", "soon", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(read(odd), None, "{odd}");
        }
        assert_eq!(retry_after([None, Some("7")]), Some(Duration::from_secs(7)));
        assert_eq!(retry_after([Some("5"), Some("7")]), Some(Duration::from_secs(7)));
        assert_eq!(retry_after([None, None]), None);
    }
}
