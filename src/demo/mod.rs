//! Everything embedded, for `schoolgate demo` and for the tests: the stand-in for Apple and the sample apps.
//!
//! [`StandIn`] judges the gateway as strictly as Apple is known to, and misbehaves on demand
//! ([`Switches`]). It shares no code with `crate::apple`: a mistake there must not excuse itself here.
//! [`GradeBook`] is an app of 2009 that believes request headers and knows nothing else, and [`NoticeBoard`] another on
//! another host.

mod grade_book;
mod listener;
mod notice_board;
mod stand_in;

pub use grade_book::GradeBook;
pub use notice_board::NoticeBoard;
pub use stand_in::{
    AfterRevocation, Behaviour, Call, Calls, Choice, Client, ClientKey, ClientPublicKey, DateHeader, EmailClaim,
    Endpoint, Envelope, ErrorCode, EventsClaim, ExpiresIn, Forgery, Gate, Granted, Issuer, KeyOddity, Notice, Others,
    Outcome, PERSON_HEADER, Persona, Reach, RetryHeader, ReturnMode, Returned, Role, Service, StandIn, StandInSettings,
    Switches, TokenType, Trouble, UserMember, Verified, VerifiedClaim,
};
