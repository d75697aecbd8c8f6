//! The guard between the client's socket and whoever serves it: one reading of every HTTP/1.x request, or none.
//!
//! pingora repairs what it can: a repeated `Content-Length` is forwarded as it came, bare line feeds
//! are normalised, a missing `Host` is fine, blanks in the target are encoded, a header may drip for
//! ever. A gateway that judges a request must not share it with somebody who reads it differently
//! (RFC 9112, section 11.2, request smuggling). So nobody ever sees a byte that was not judged here:
//!
//! ```text
//! socket ── Guard ─┬─ straight: the judged head; then only whether the client has gone
//!            │     └─ pingora: the head, then its body and nothing more
//!            │ next_head: whole head, strictly parsed, in time
//!            └ held: what came beyond a message, and becomes the next head
//! ```
//!
//! The accept loop owns the connection and asks [`Guard::next_head`] for each request:
//!
//! - [`Next::Request`]: the request goes straight, or the guard goes to pingora as its stream, and comes back when the
//!   connection may be used again. pingora reads the head (request line rewritten to the canonical target, fields as
//!   they came) and the body, whose framing is checked byte by byte; then nothing until the next head.
//!   Pipelined requests wait in a bounded buffer and are judged one by one.
//! - [`Next::Refused`]: the loop renders an answer and [`Guard::refuse`] writes it, then closes with
//!   a short linger, so that the client sees the answer and no reset.
//! - [`Next::Closed`]: nobody is there any more.
//!
//! A WebSocket handshake is an ordinary request until the app answers `101`; only then do bytes pass in
//! both directions unseen. An answer of `101` to anything else is an error.
//!
//! The pure part (no sockets, no time): [`Head`], [`Body`], [`Refusal`]. The moving part: [`Guard`].

mod alarm;
mod answer;
mod body;
mod chunks;
mod connection;
mod field;
mod framing;
mod guard;
mod handshake;
mod head;
mod head_end;
mod http2;
mod introduction;
mod io;
mod linger;
mod outbox;
mod pace;
mod peer;
mod refusal;
mod request_line;
mod settings;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod through_pingora;

pub(in crate::proxy) use alarm::{Alarm, BRIEF};
pub use body::Body;
pub use framing::BodyKind;
pub use guard::{FAREWELL, Guard, Next, drained};
pub use head::Head;
pub use http2::{OF_HTTP_1, Transcript};
pub use introduction::{Introduction, IntroductionError, introduction, may_introduce};
pub(in crate::proxy) use pace::Pace;
pub use peer::Peer;
pub use refusal::Refusal;
pub use request_line::{Version, parse_method};
pub use settings::Settings;
