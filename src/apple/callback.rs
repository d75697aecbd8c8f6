//! Apple's answer, as the browser brings it back: by query or by form, with the same rules.

use crate::web::{Form, FormError};

use super::{
    AuthorizationCode, State,
    tokens::{is_tokenish, sanitised},
};

/// Longest `state` in bytes; ours have 43.
const LONGEST_STATE: usize = 512;
/// Longest `code` in bytes; Apple's have about 60.
const LONGEST_CODE: usize = 2048;
/// Longest `error` in bytes.
const LONGEST_ERROR: usize = 256;

/// What the callback says (RFC 6749, sections 4.1.2 and 4.1.2.1).
#[derive(Debug)]
pub enum Callback {
    /// The person said yes.
    Granted {
        /// The state of the sign-in.
        state: State,
        /// To be redeemed.
        code: AuthorizationCode,
    },
    /// The person, or Apple, said no.
    Denied {
        /// The state of the sign-in.
        state: State,
        /// Why.
        error: DeniedReason,
    },
}

/// Why nobody signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeniedReason {
    /// The person changed their mind.
    Cancelled,
    /// Something else: at most 64 plain characters for the log, chosen by whoever made the request.
    Other(String),
}

/// Why a callback is refused before anything is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// A parameter that may stand once stands twice.
    #[error("the parameter `{0}` is repeated")]
    Repeated(&'static str),
    /// No `state`.
    #[error("the parameter `state` is missing")]
    NoState,
    /// Neither `code` nor `error`.
    #[error("there is neither a `code` nor an `error`")]
    NoAnswer,
    /// Both `code` and `error`.
    #[error("there is both a `code` and an `error`")]
    Contradiction,
    /// Too long, or with characters that neither we nor Apple use.
    #[error("the parameter `{0}` is too long or has a character that it cannot have")]
    Odd(&'static str),
}

impl Callback {
    /// Reads a query or a form.
    ///
    /// # Errors
    /// When it says nothing, says two things, or is unlike anything that Apple sends.
    pub fn parse(form: &Form) -> Result<Self, CallbackError> {
        let state = field(form, "state", LONGEST_STATE)?;
        let code = field(form, "code", LONGEST_CODE)?;
        let error = only(form, "error")?;
        if error.is_some_and(|error| error.len() > LONGEST_ERROR) {
            return Err(CallbackError::Odd("error"));
        }
        let state = State::new(state.ok_or(CallbackError::NoState)?);
        match (code, error) {
            (Some(code), None) => Ok(Self::Granted { state, code: AuthorizationCode::new(code) }),
            (None, Some(error)) => Ok(Self::Denied { state, error: DeniedReason::of(error) }),
            (Some(_), Some(_)) => Err(CallbackError::Contradiction),
            (None, None) => Err(CallbackError::NoAnswer),
        }
    }

    /// The state, whatever the answer is.
    #[must_use]
    pub fn state(&self) -> &State {
        match self {
            Self::Granted { state, .. } | Self::Denied { state, .. } => state,
        }
    }
}

impl DeniedReason {
    fn of(error: &str) -> Self {
        match error {
            // Apple's word, and the word of RFC 6749, section 4.1.2.1.
            "user_cancelled_authorize" | "access_denied" => Self::Cancelled,
            other => Self::Other(sanitised(other)),
        }
    }
}

/// An empty parameter counts as absent (RFC 6749, section 3.1).
fn only<'a>(form: &'a Form, name: &'static str) -> Result<Option<&'a str>, CallbackError> {
    match form.only(name) {
        Ok(value) => Ok(value.filter(|value| !value.is_empty())),
        Err(FormError::Repeated | FormError::TooMany) => Err(CallbackError::Repeated(name)),
    }
}

fn field<'a>(form: &'a Form, name: &'static str, longest: usize) -> Result<Option<&'a str>, CallbackError> {
    match only(form, name)? {
        Some(value) if !is_tokenish(value, longest) => Err(CallbackError::Odd(name)),
        fine => Ok(fine),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Callback, CallbackError> {
        Callback::parse(&Form::parse(text.as_bytes()).unwrap())
    }

    fn reason(text: &str) -> DeniedReason {
        match parse(text).unwrap() {
            Callback::Denied { error, .. } => error,
            Callback::Granted { .. } => panic!("granted"),
        }
    }

    #[test]
    fn a_code_with_a_state_is_a_grant() {
        let Callback::Granted { state, code } = parse("state=s&code=c.0.nwsw.x&user=%7B%7D&id_token=e.y.J").unwrap()
        else {
            panic!("denied")
        };
        assert!(state.matches("s") && code.matches("c.0.nwsw.x"));
        assert!(parse("error=x&state=s").unwrap().state().matches("s"));
    }

    #[test]
    fn cancelling_is_told_from_other_errors() {
        assert_eq!(reason("state=s&error=user_cancelled_authorize"), DeniedReason::Cancelled);
        assert_eq!(reason("state=s&error=access_denied"), DeniedReason::Cancelled);
        assert_eq!(reason("state=s&error=server_error&code="), DeniedReason::Other("server_error".into()));
        assert_eq!(
            reason("state=s&error=User_Cancelled_Authorize"),
            DeniedReason::Other("User_Cancelled_Authorize".into())
        );
    }

    #[test]
    fn an_error_is_sanitised_before_anybody_logs_it() {
        assert_eq!(reason("state=s&error=a%0d%0ab%1b%22"), DeniedReason::Other("a??b??".into()));
    }

    #[test]
    fn a_callback_that_says_nothing_or_two_things_is_refused() {
        use CallbackError::*;
        for (text, why) in [
            ("", NoState),
            ("code=c", NoState),
            ("state=&code=c", NoState),
            ("error=access_denied", NoState),
            ("state=s", NoAnswer),
            ("state=s&code=", NoAnswer),
            ("state=s&code=c&error=access_denied", Contradiction),
            ("state=s&state=s&code=c", Repeated("state")),
            ("state=s&state=&code=c", Repeated("state")),
            ("state=s&code=c&code=d", Repeated("code")),
            ("state=s&error=a&error=b", Repeated("error")),
            ("state=a%20b&code=c", Odd("state")),
            ("state=s&code=c%0d%0a", Odd("code")),
            ("state=s&code=%00", Odd("code")),
            ("state=%c3%a9&code=c", Odd("state")),
        ] {
            assert_eq!(parse(text).err(), Some(why), "{text}");
        }
    }

    #[test]
    fn long_parameters_are_refused() {
        let long = "a".repeat(4096);
        assert_eq!(parse(&format!("state={long}&code=c")).err(), Some(CallbackError::Odd("state")));
        assert_eq!(parse(&format!("state=s&code={long}")).err(), Some(CallbackError::Odd("code")));
        assert_eq!(parse(&format!("state=s&error={long}")).err(), Some(CallbackError::Odd("error")));
    }
}
