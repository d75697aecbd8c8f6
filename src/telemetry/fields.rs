//! The fields of an event or of a span, kept until they are written.

use std::fmt::{Debug, Write as _};

use tracing::field::{Field, Visit};

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A text, always in quotes.
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

    /// For people: in quotes wherever the value could be taken for more than one, or for another line.
    pub(super) fn onto_text(&self, line: &mut String) {
        let _ = match self {
            Self::Text(text) => write!(line, "{text:?}"),
            Self::Shown(text) if is_one_word(text) => write!(line, "{text}"),
            Self::Shown(text) => write!(line, "{text:?}"),
            Self::Number(_) | Self::Float(_) | Self::Flag(_) => write!(line, "{}", self.plain()),
        };
    }

    /// As JSON.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) | Self::Shown(text) => text.as_str().into(),
            Self::Number(number) => {
                let number = i64::try_from(*number).map(serde_json::Number::from);
                number
                    .or_else(|_| self.plain().parse::<u64>().map(Into::into))
                    .map_or_else(|_| self.plain().into(), Into::into)
            }
            Self::Float(number) => (*number).into(),
            Self::Flag(flag) => (*flag).into(),
        }
    }
}

fn is_one_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|letter| !letter.is_whitespace() && !letter.is_control() && !"\"=\\".contains(letter))
        // What is not printed, or turns the direction of writing, is for `Debug` to show.
        && text.escape_debug().count() == text.chars().count() + text.matches('\'').count()
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

    /// All of them: which event it is first, and what it says in words last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        let place = |name: &str| match name {
            "event" => 0,
            "message" => 2,
            _other => 1,
        };
        (0..=2)
            .flat_map(move |now| self.0.iter().filter(move |(name, _)| place(name) == now))
            .map(|(name, value)| (*name, value))
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

    fn shown(text: &str) -> String {
        let mut line = String::new();
        Value::Shown(text.to_owned()).onto_text(&mut line);
        line
    }

    #[test]
    fn no_value_passes_itself_off_as_two_or_as_another_line() {
        for text in ["", "a b", "a=b", "a\nb", "\u{1b}[31m", "a\"b", "a\u{202e}b", "a\u{2028}b", "a\tb", "a\\b"] {
            let line = shown(text);
            assert!(line.starts_with('"') && line.ends_with('"') && line.len() > 1, "{line}");
            assert!(!line.chars().any(|letter| letter.is_control() || letter == '\u{202e}'), "{line}");
        }
        for text in ["127.0.0.1", "GET", "[127.0.0.1:8080]", "Größe", "/a'b", "https://a.example/x?y"] {
            let fine = shown(text);
            assert_eq!(fine.trim_matches('"'), text);
            assert_eq!(fine, text);
        }
    }

    #[test]
    fn a_text_begins_with_whole_characters() {
        let begin = |text: &str, most| Value::Shown(text.to_owned()).begin(most).plain();
        assert_eq!((begin("abc", 3), begin("abcd", 3), begin("aéb", 2)), ("abc".into(), "abc".into(), "a".to_owned()));
        assert_eq!(Value::Text("x".repeat(9)).begin(4), Value::Text("xxxx".to_owned()));
        assert_eq!(Value::Number(12_345).begin(1), Value::Number(12_345));
    }

    #[test]
    fn numbers_stay_numbers_in_json() {
        assert_eq!(Value::Number(u64::MAX.into()).to_json(), serde_json::json!(u64::MAX));
        assert_eq!(Value::Number((-1).into()).to_json(), serde_json::json!(-1));
        assert_eq!(Value::Flag(true).to_json(), serde_json::json!(true));
        assert_eq!(Value::Float(0.5).to_json(), serde_json::json!(0.5));
    }
}
