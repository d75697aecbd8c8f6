//! Every key of gateway.toml with its documentation: the one place that feeds `schoolgate check --schema`, the man page
//! gateway.toml(5) and `docs/configuration.md`.
//!
//! A new key gets its entry in the file of its section here; `UPDATE=1 cargo test --test generated` does the rest.
//! Tests fail when the code asks for a key that has no entry, when an entry is asked for by nobody, and when kind,
//! default or example are not what the code takes.
//!
//! The texts are plain sentences. What stands in backquotes is code, and `docs/NAME.md` becomes a link where there can be
//! one.

mod app;
mod apple;
mod log;
mod schema;
mod server;
mod session;
#[cfg(test)]
mod tests;

pub use schema::schema;

/// One section of the file.
#[derive(Debug)]
pub struct Section {
    /// Its name with those above it, such as `app.route`.
    pub path: &'static str,
    /// Whether it may stand in the file several times, in double brackets.
    pub repeats: bool,
    /// What it is for.
    pub doc: &'static str,
    /// Its keys, in the order in which they are shown.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// Its name in its section.
    pub name: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What holds when the file does not have it.
    pub default: Default,
    /// A value as it is written in the file.
    pub example: &'static str,
    /// When a change takes effect.
    pub change: Change,
    /// What it does.
    pub doc: &'static str,
}

/// What may stand in the place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text. What it must look like is said in the documentation.
    Text,
    /// A list of texts.
    Texts,
    /// One text, or a list of them.
    TextOrTexts,
    /// One of these texts, each with what it means.
    OneOf(&'static [(&'static str, &'static str)]),
    /// `true` or `false`.
    Flag,
    /// A whole number of one or more.
    Count,
    /// A whole number and a unit, such as `"30s"`; zero is fine.
    Duration,
    /// The same, but not zero.
    PositiveDuration,
    /// A whole number and a unit, such as `"1KiB"`.
    Size,
    /// The path of a file or folder.
    Path,
    /// Names of headers with templates of their values.
    Headers,
}

/// What holds for a key that is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Default {
    /// It may not be left out.
    Required,
    /// This value, as it would be written in the file.
    Is(&'static str),
    /// Something that no value says; in words, without a full stop.
    Means(&'static str),
}

/// When a changed key takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// When the running gateway is told to read its configuration again.
    Reload,
    /// When the gateway is started again.
    Restart,
}

/// All sections, in the order in which they are shown; a section stands after the one that it is in.
pub const SECTIONS: &[Section] = &[
    server::SERVER,
    server::TLS,
    server::CERTIFICATE,
    server::ACME,
    apple::APPLE,
    session::SESSION,
    session::ASSERTION,
    log::LOG,
    app::APP,
    app::ROUTE,
    app::ALLOW,
];

impl Section {
    /// Its header as it stands in the file.
    pub fn header(&self) -> String {
        if self.repeats { format!("[[{}]]", self.path) } else { format!("[{}]", self.path) }
    }

    /// Its own name, without those above it.
    pub fn name(&self) -> &'static str {
        self.path.rsplit('.').next().unwrap_or(self.path)
    }

    /// The path of the section that it is in; empty for the file itself.
    pub fn parent(&self) -> &'static str {
        self.path.rsplit_once('.').map_or("", |(parent, _)| parent)
    }
}

impl Kind {
    /// What it is called in the documentation.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Texts => "list of texts",
            Self::TextOrTexts => "text or list of texts",
            Self::OneOf(_) => "one of the values below",
            Self::Flag => "true or false",
            Self::Count => "whole number of 1 or more",
            Self::Duration => "duration",
            Self::PositiveDuration => "duration above zero",
            Self::Size => "size",
            Self::Path => "path",
            Self::Headers => "table of header templates",
        }
    }
}
