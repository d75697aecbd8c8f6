//! What is wrong with the file, told like a colleague would: where, what, and what to write instead.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::source::Excerpt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from one; zero when the file could not even be read.
    pub line: usize,
    /// The column in characters, from one.
    pub column: usize,
    /// The key, such as `app.route.path`; empty when it is about no key.
    pub key: String,
    /// The text at fault as it stands in the file; empty when something is missing.
    pub found: String,
    /// What is wrong, as a predicate of `found`, or of `key` when nothing was found.
    pub message: String,
    /// What to write or do instead.
    pub cure: String,
    pub(super) excerpt: Option<Excerpt>,
}

impl Problem {
    /// A problem of the file as a whole.
    pub(super) fn of_the_file(message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self {
            line: 0,
            column: 0,
            key: String::new(),
            found: String::new(),
            message: message.into(),
            cure: cure.into(),
            excerpt: None,
        }
    }

    fn show(&self, file: &Path, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(file, self.line, self.column, f)?;
        f.write_str(": error: ")?;
        match (&*self.key, &*self.found) {
            ("", "") => {}
            (subject, "") | ("", subject) => write!(f, "{subject} ")?,
            (key, found) => write!(f, "{key}: {found} ")?,
        }
        writeln!(f, "{}", self.message)?;
        write_excerpt(self.line, self.excerpt.as_ref(), f)?;
        writeln!(f, "   = {}", self.cure)
    }
}

/// Everything that is wrong, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    file: PathBuf,
    list: Vec<Problem>,
}

impl Problems {
    pub(super) fn new(file: &Path, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| (problem.line, problem.column));
        Self { file: file.to_owned(), list }
    }

    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.list.iter()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            problem.show(&self.file, f)?;
            writeln!(f)?;
        }
        let count = self.list.len();
        let noun = if count == 1 { "error" } else { "errors" };
        write!(f, "{}: {count} {noun}", self.file.display())
    }
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Good to know.
    Note,
    /// Probably not what was meant.
    Warning,
}

/// Something to know about a valid file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// How much it matters.
    pub weight: Weight,
    /// The file.
    pub file: PathBuf,
    /// The line, from one.
    pub line: usize,
    /// The column in characters, from one.
    pub column: usize,
    /// What there is to know, and what to do about it.
    pub text: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(&self.file, self.line, self.column, f)?;
        let weight = match self.weight {
            Weight::Note => "note",
            Weight::Warning => "warning",
        };
        write!(f, ": {weight}: {}", self.text)
    }
}

fn write_place(file: &Path, line: usize, column: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{}", file.display())?;
    if line > 0 { write!(f, ":{line}:{column}") } else { Ok(()) }
}

fn write_excerpt(line: usize, excerpt: Option<&Excerpt>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Some(Excerpt { text, indent, width }) = excerpt else { return Ok(()) };
    let gutter = line.to_string().len();
    writeln!(f, " {:gutter$} |", "")?;
    writeln!(f, " {line} | {text}")?;
    writeln!(f, " {:gutter$} | {:indent$}{}", "", "", "^".repeat(*width))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Source;

    #[test]
    fn a_problem_shows_place_text_fault_and_cure() {
        let source = Source::new("[server]\nlisten = [\"8080\"]\n");
        let problem = Problem {
            line: 2,
            column: 11,
            key: "server.listen".into(),
            found: "\"8080\"".into(),
            message: "is not an address with a port".into(),
            cure: "write \"127.0.0.1:8080\"".into(),
            excerpt: Some(source.excerpt(&(19..25))),
        };
        let shown = Problems::new(Path::new("gateway.toml"), vec![problem]).to_string();
        assert_eq!(
            shown,
            "gateway.toml:2:11: error: server.listen: \"8080\" is not an address with a port\n   \
             |\n 2 | listen = [\"8080\"]\n   |           ^^^^^^\n   = write \"127.0.0.1:8080\"\n\n\
             gateway.toml: 1 error"
        );
    }

    #[test]
    fn a_missing_file_has_no_line() {
        let problem = Problem::of_the_file("cannot be read: no such file", "name another with --config");
        let shown = Problems::new(Path::new("x.toml"), vec![problem]).to_string();
        assert!(shown.starts_with("x.toml: error: cannot be read: no such file\n   = name another"), "{shown}");
    }
}
