//! The section `[log]`.

use super::{Change, Default, Key, Kind, Section};

pub(super) const LOG: Section = Section {
    path: "log",
    repeats: false,
    doc: "The log, which goes to stderr. How much is logged is up to the variable `RUST_LOG`, `info` by default (docs/logs.md).",
    keys: &[
        Key {
            name: "format",
            kind: Kind::OneOf(&[("text", "for people"), ("json", "one JSON object a line, for programs")]),
            default: Default::Is(r#""text""#),
            example: r#""json""#,
            change: Change::Restart,
            doc: "How a line of the log is written. Events and fields are in docs/logs.md.",
        },
        Key {
            name: "traces",
            kind: Kind::Text,
            default: Default::Means("nowhere"),
            example: r#""http://127.0.0.1:4318""#,
            change: Change::Restart,
            doc: "Where traces go: a collector that takes OTLP over HTTP, by plain http and close by (docs/logs.md).",
        },
        Key {
            name: "traces_one_in",
            kind: Kind::Count,
            default: Default::Is("1"),
            example: "10",
            change: Change::Reload,
            doc: "One in so many traces that begin here is recorded. A trace that a trusted proxy has begun \
              goes on as it was decided there.",
        },
    ],
};
