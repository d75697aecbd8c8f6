//! Ways in which one endpoint can misbehave.

use std::time::Duration;

use super::{ErrorCode, Gate};

/// The parts of the stand-in that can be told apart in switches and in the record of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    /// `authorize`: the browser arrives.
    Authorize,
    /// The page where one picks a person was sent back.
    Pick,
    /// `token` with anything but a refresh token.
    Exchange,
    /// `token` with `grant_type=refresh_token`.
    Refresh,
    /// `keys`.
    Keys,
    /// `revoke`.
    Revoke,
    /// The Roster API.
    Roster,
    /// Any other path or method: 404 or 405.
    Elsewhere,
}

/// The name of the header that says when to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryHeader {
    /// `Retry-After` (RFC 9110, section 10.2.3).
    Standard,
    /// `X-Retry-After`, as the Roster API says it.
    Apple,
}

/// What an endpoint does instead of its duty, or besides it.
#[derive(Clone, Debug)]
pub enum Trouble {
    /// Waits by the clock, then does its duty.
    Slow(Duration),
    /// Waits until the gate is open, then does its duty.
    Hang(Gate),
    /// Does its duty at once and holds the answer back until the gate is open.
    HoldAnswer(Gate),
    /// Does its duty and breaks the connection off in the middle of the answer.
    LoseAnswer,
    /// Answers with this status and nothing else.
    Status(u16),
    /// Answers 429.
    TooManyRequests(Option<(RetryHeader, u64)>),
    /// Answers with this error of OAuth and 400.
    Error(ErrorCode),
    /// Waits until the gate is open, then answers with this error.
    LateError(Gate, ErrorCode),
    /// Answers 200 with a page instead of JSON.
    Html,
    /// Answers 200 with something that is not JSON although it says so.
    InvalidJson,
    /// Answers 200 with a JSON array.
    JsonArray,
    /// Answers 200 with no body.
    Empty,
    /// Does its duty, and every member of the JSON answer stands in it twice, with another value first.
    DuplicateMembers,
    /// Does its duty, and a member of so many bytes comes with the JSON answer.
    Huge(usize),
    /// Answers 307 and sends the caller, and what it posted, elsewhere.
    Redirect(String),
}

impl Trouble {
    /// Whether the endpoint still does its duty.
    #[must_use]
    pub const fn does_its_duty(&self) -> bool {
        match self {
            Self::Slow(_)
            | Self::Hang(_)
            | Self::HoldAnswer(_)
            | Self::LoseAnswer
            | Self::DuplicateMembers
            | Self::Huge(_) => true,
            Self::Status(_)
            | Self::TooManyRequests(_)
            | Self::Error(_)
            | Self::LateError(..)
            | Self::Html
            | Self::InvalidJson
            | Self::JsonArray
            | Self::Empty
            | Self::Redirect(_) => false,
        }
    }
}
