//! What is said of all keys, and the small language of their texts.

use schoolgate::config::keys::{Change, Default, Key, Kind};

/// What values look like, for the beginning of a document: a title and its sentences.
pub(crate) const VALUES: &[(&str, &str)] = &[
    ("Texts", "stand in double quotes, lists in brackets: `[\"a\", \"b\"]`."),
    (
        "Durations",
        "are a whole number and a unit, one of `ms`, `s`, `m`, `h` and `d`: `\"500ms\"`, `\"30s\"`, `\"8h\"`, `\"7d\"`.",
    ),
    ("Sizes", "are a whole number and a unit, one of `B`, `KiB`, `MiB` and `GiB`: `\"512B\"`, `\"100MiB\"`."),
    (
        "Paths",
        "may begin with `$CREDENTIALS_DIRECTORY` or `$STATE_DIRECTORY`, which systemd sets. A relative path begins in the \
         folder of this file.",
    ),
    (
        "Header templates",
        "are a table of names and values: `{ X-Remote-User = \"{sub}\" }`. What stands in braces is replaced.",
    ),
];

/// What an unknown key is, and where mistakes are told.
pub(crate) const STRICT: &str = "An unknown key or section is an error, and the gateway does not start. `schoolgate check` \
     tells all mistakes at once, each with its place and what to write instead; `schoolgate explain` says what a request \
     would meet.";

/// When a change takes effect.
pub(crate) const CHANGES: &str = "A change takes effect when the gateway reads the file again (`systemctl reload schoolgate`), unless the key says that \
     it takes a restart.";

/// How to have an editor help.
pub(crate) const EDITORS: &str = "Editors that know taplo complete keys, explain them and underline mistakes when the file \
     begins with the line `#:schema /usr/share/schoolgate/gateway.schema.json`. `schoolgate check --schema` prints that \
     schema.";

/// A piece of a text.
pub(crate) enum Piece<'a> {
    Plain(&'a str),
    Code(&'a str),
    /// The name of a file below `docs/`.
    Document(&'a str),
}

/// A text in pieces: code stands in backquotes.
pub(crate) fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    for (index, part) in text.split('`').enumerate() {
        if index % 2 == 1 {
            pieces.push(Piece::Code(part));
            continue;
        }
        let mut rest = part;
        while let Some(at) = rest.find("docs/") {
            let end = rest[at..].find(".md").unwrap() + at + ".md".len();
            pieces.extend([Piece::Plain(&rest[..at]), Piece::Document(&rest[at + "docs/".len()..end])]);
            rest = &rest[end..];
        }
        pieces.push(Piece::Plain(rest));
    }
    pieces
}

/// The kind, the default and when a change takes effect, in half sentences.
pub(crate) fn facts(key: &Key) -> Vec<String> {
    let kind = match key.kind {
        Kind::OneOf(values) => {
            let values: Vec<_> = values.iter().map(|(value, _)| format!("`\"{value}\"`")).collect();
            let (last, others) = values.split_last().unwrap();
            if others.is_empty() { last.clone() } else { format!("{} or {last}", others.join(", ")) }
        }
        Kind::Text
        | Kind::Texts
        | Kind::TextOrTexts
        | Kind::Flag
        | Kind::Count
        | Kind::Duration
        | Kind::PositiveDuration
        | Kind::Size
        | Kind::Path
        | Kind::Headers => key.kind.name().to_owned(),
    };
    let default = match key.default {
        Default::Required => "required".to_owned(),
        Default::Is(value) => format!("default `{value}`"),
        Default::Means(words) => format!("default: {words}"),
    };
    let change = match key.change {
        Change::Reload => None,
        Change::Restart => Some("a change takes a restart".to_owned()),
    };
    [kind, default].into_iter().chain(change).collect()
}
