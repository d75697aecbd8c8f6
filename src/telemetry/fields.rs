//! The fields of a span, kept until it ends.

use std::fmt::Debug;

use tracing::field::{Field, Visit};

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// Something that was written out by its `Display` or `Debug`.
    Shown(String),
    /// A number.
    Number(i128),
    /// A number with a fraction.
    Float(f64),
    /// Yes or no.
    Flag(bool),
}

impl Value {
    /// The same, with no more than so many bytes of a text.
    pub(super) fn begin(&self, most: usize) -> Self {
        let cut = |text: &str| text.get(..text.floor_char_boundary(most)).unwrap_or_default().to_owned();
        match self {
            Self::Text(text) => Self::Text(cut(text)),
            Self::Shown(text) => Self::Shown(cut(text)),
            Self::Number(_) | Self::Float(_) | Self::Flag(_) => self.clone(),
        }
    }

    /// Without quotes.
    pub(super) fn plain(&self) -> String {
        match self {
            Self::Text(text) | Self::Shown(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

/// Names and values in the order in which they were said.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(&'static str, Value)>);

impl Fields {
    /// The value of a field.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Sets a field, in the place of what it had.
    pub(super) fn set(&mut self, name: &'static str, value: Value) {
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.set(field.name(), Value::Shown(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field.name(), Value::Text(value.to_owned()));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field.name(), Value::Number(value.into()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field.name(), Value::Number(value.into()));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field.name(), Value::Flag(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field.name(), Value::Float(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_begins_with_whole_characters() {
        let begin = |text: &str, most| Value::Shown(text.to_owned()).begin(most).plain();
        assert_eq!((begin("abc", 3), begin("abcd", 3), begin("aéb", 2)), ("abc".into(), "abc".into(), "a".to_owned()));
        assert_eq!(Value::Text("x".repeat(9)).begin(4), Value::Text("xxxx".to_owned()));
        assert_eq!(Value::Number(12_345).begin(1), Value::Number(12_345));
    }
}
