//! Why messages are refused that nobody judges, by name.

use super::word::words;

words! {
    /// Why a message was refused before anybody judged it.
    Unreadable as "reason" {
        /// The request line is malformed.
        RequestLine = "request_line",
        /// The method is none, or TRACE or CONNECT.
        Method = "method",
        /// The version of HTTP.
        Version = "version",
        /// The target can be read in two ways.
        Target = "target",
        /// `Host` is missing, repeated or none.
        Host = "host",
        /// A field is malformed, or has a name that an app could take for another.
        Field = "field",
        /// The length of the body could be read in two ways.
        Framing = "framing",
        /// `Connection` names what it must not.
        Nomination = "nomination",
        /// `Expect` is not `100-continue`.
        Expectation = "expectation",
        /// A malformed WebSocket handshake.
        Handshake = "handshake",
        /// Too many bytes or fields.
        TooLarge = "too_large",
        /// Head or body came too slowly.
        TooSlow = "too_slow",
        /// Plain HTTP where TLS is spoken.
        NotEncrypted = "not_encrypted",
        /// A chunk or the trailer of a body is malformed.
        Chunk = "chunk",
    }
}
