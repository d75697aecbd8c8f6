//! The section `[log]`.

use super::{Change, Default, Key, Kind, Section};

pub(super) const LOG: Section = Section {
    path: "log",
    repeats: false,
    doc: "The log, which goes to stderr. How much is logged is up to the variable `RUST_LOG`, `info` by default.",
    keys: &[Key {
        name: "format",
        kind: Kind::OneOf(&[("text", "for people"), ("json", "one JSON object a line, for programs")]),
        default: Default::Is(r#""text""#),
        example: r#""json""#,
        change: Change::Restart,
        doc: "How a line of the log is written.",
    }],
};
