//! Where problems and notes are collected while the file is read.

use std::{cell::RefCell, ops::Range, path::Path};

use super::{
    problem::{Note, Problem, Problems, Weight},
    source::Source,
};

/// Where something stands, and under which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes of the file.
    pub(super) span: Range<usize>,
    /// The key.
    pub(super) key: String,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(super) struct Entry<T> {
    /// The value.
    pub(super) value: T,
    /// Where it stands.
    pub(super) place: Place,
}

impl<T> Entry<T> {
    /// The same place with another value.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Entry<U> {
        Entry { value: change(self.value), place: self.place }
    }
}

/// What is wrong with a value: a predicate, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Reads on from the value: `"8x" is not a duration`.
    pub(super) message: String,
    /// What to write or do instead.
    pub(super) cure: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { message: message.into(), cure: cure.into() }
    }
}

/// Collects.
#[derive(Debug)]
pub(super) struct Report<'a> {
    file: &'a Path,
    source: &'a Source<'a>,
    problems: RefCell<Vec<Problem>>,
    notes: RefCell<Vec<Note>>,
    /// Lines that are no TOML: what else they seem to say is not worth a word.
    broken_lines: RefCell<Vec<usize>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(file: &'a Path, source: &'a Source<'a>) -> Self {
        Self { file, source, problems: RefCell::default(), notes: RefCell::default(), broken_lines: RefCell::default() }
    }

    /// The value at `place` is wrong.
    pub(super) fn problem(&self, place: &Place, message: impl Into<String>, cure: impl Into<String>) {
        self.push(place, self.source.quote(&place.span), message.into(), cure.into());
    }

    /// The value at `place` is wrong.
    pub(super) fn fault(&self, place: &Place, fault: Fault) {
        self.problem(place, fault.message, fault.cure);
    }

    /// The value at `place` is wrong and must not be shown.
    pub(super) fn hidden(&self, place: &Place, fault: Fault) {
        let found = String::from("(not shown)");
        self.push(place, found, fault.message, fault.cure);
        if let Some(problem) = self.problems.borrow_mut().last_mut() {
            problem.excerpt = None;
        }
    }

    /// Something that must be at `place` is not there. Silent in a file that is no TOML, for it may
    /// stand on the very line that could not be read.
    pub(super) fn missing(&self, place: &Place, message: &str, cure: impl Into<String>) {
        if self.is_toml() {
            self.push(place, String::new(), message.into(), cure.into());
        }
    }

    /// The file is no TOML here. One such problem a line is enough.
    pub(super) fn syntax(&self, span: Option<Range<usize>>, message: &str, cure: String) {
        let place = Place { span: span.unwrap_or_else(|| self.source.end()), key: String::new() };
        let (line, _) = self.source.position(place.span.start);
        if self.broken_lines.borrow().contains(&line) {
            return;
        }
        let found = Some(self.source.quote(&place.span)).filter(|text| !text.trim().is_empty());
        self.push(&place, found.unwrap_or_else(|| "this".into()), format!("does not read as TOML: {message}"), cure);
        self.broken_lines.borrow_mut().push(line);
    }

    /// Something to know.
    pub(super) fn note(&self, place: &Place, text: impl Into<String>) {
        self.tell(Weight::Note, place, text.into());
    }

    /// Something that is probably not what was meant.
    pub(super) fn warn(&self, place: &Place, text: impl Into<String>) {
        self.tell(Weight::Warning, place, text.into());
    }

    /// Whether every line could be read.
    pub(super) fn is_toml(&self) -> bool {
        self.broken_lines.borrow().is_empty()
    }

    /// The line of a place, to be named in a message about another.
    pub(super) fn line(&self, place: &Place) -> usize {
        self.source.position(place.span.start).0
    }

    /// The place after the last line.
    pub(super) fn end(&self, key: &str) -> Place {
        Place { span: self.source.end(), key: key.to_owned() }
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// Everything that was collected: the notes when nothing is wrong, else the problems.
    pub(super) fn finish(self) -> Result<Vec<Note>, Problems> {
        let problems = self.problems.into_inner();
        if !problems.is_empty() {
            return Err(Problems::new(self.file, problems));
        }
        let mut notes = self.notes.into_inner();
        notes.sort_by_key(|note| (note.line, note.column));
        Ok(notes)
    }

    fn push(&self, place: &Place, found: String, message: String, cure: String) {
        let (line, column) = self.source.position(place.span.start);
        if self.broken_lines.borrow().contains(&line) {
            return;
        }
        let excerpt = Some(self.source.excerpt(&place.span));
        let problem = Problem { line, column, key: place.key.clone(), found, message, cure, excerpt };
        self.problems.borrow_mut().push(problem);
    }

    /// A warning at a place whose words depend on the time.
    pub(super) fn blank_warning(&self, place: &Place) -> Note {
        self.worded(Weight::Warning, place, String::new())
    }

    fn tell(&self, weight: Weight, place: &Place, text: String) {
        self.notes.borrow_mut().push(self.worded(weight, place, text));
    }

    fn worded(&self, weight: Weight, place: &Place, text: String) -> Note {
        let (line, column) = self.source.position(place.span.start);
        Note { weight, file: self.file.to_owned(), line, column, text }
    }
}
