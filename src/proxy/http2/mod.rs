//! HTTP/2 from browsers, within TLS.
//!
//! ```text
//! TLS ── Lookout ── h2 ── connection: one task for each request ─┬─ Reply ── straight
//!         │                │ Transcript: the head, read by the   └─ Stream ── pingora
//!         │                │ reader of HTTP/1.1                      │
//!         └ what drips     └ limits, drain, who asks too much        └ the Voice of either goes home when it is
//!                                                                      dropped, and the task answers in its place
//! ```
//!
//! What a request meets is the same as in HTTP/1.1: the same reading of its head, the same [`Exchange`](super::Exchange),
//! the same rules, the same answers. Why it is built so is told in `docs/decisions/0008-http2.md`.

mod connection;
mod lookout;
mod reply;
mod stream;
mod voice;

#[cfg(test)]
mod tests;

pub(super) use connection::serve;
