//! A line that is being written: each field goes straight into its bytes. A thread writes all its lines in one draft, so
//! that a line costs no memory of its own.

use std::{
    cell::Cell,
    fmt::{Debug, Write as _},
    mem,
    net::IpAddr,
};

use time::OffsetDateTime;
use tracing::{
    Level,
    field::{Field, Visit},
};

use super::{LogFormat, journal, journal::Manner, lines::Shape, request::Description};
use crate::clock::Timestamp;

/// What a thread keeps of a draft for its next line, in bytes.
const KEPT: usize = 16 * 1024;

thread_local! {
    static DRAFT: Cell<Draft> = Cell::default();
}

/// The value of a field.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// A text, always in quotes.
    Text(&'a str),
    /// Something that was written out by its `Display` or `Debug`.
    Shown(&'a str),
    /// A number.
    Number(i64),
    /// A number that is never negative.
    Count(u64),
    /// A number with a fraction.
    Float(f64),
    /// Yes or no.
    Flag(bool),
}

/// A line under construction.
#[derive(Debug, Default)]
pub(super) struct Draft {
    line: String,
    /// Where its fields begin.
    fields: usize,
    /// The field that stands last: what the event says in words.
    words: String,
    /// The fields once more, as the journal takes them.
    entry: Vec<u8>,
    /// Which fields of a request the event has itself.
    own: [bool; OF_THE_REQUEST.len()],
    /// For what has to be written out before it is known whether it needs quotes.
    shown: String,
    /// The second of the last line, and how it is written.
    second: Option<(u64, String)>,
    shape: Shape,
}

/// What every line of a request says of it.
const OF_THE_REQUEST: [&str; 4] = ["request_id", "trace_id", "client", "host"];

/// Writes a line in the draft of this thread, and hands over its bytes.
pub(super) fn write<R>(
    (shape, level, now, target): (Shape, Level, Timestamp, &str),
    fields: impl FnOnce(&mut Draft),
    take: impl FnOnce(&[u8]) -> R,
) -> R {
    // Empty when somebody writes a line while a line asks them how they look.
    let mut draft = DRAFT.try_with(Cell::take).unwrap_or_default();
    draft.begin(shape, level, now, target);
    fields(&mut draft);
    let taken = take(draft.end(level, target));
    if draft.line.capacity() + draft.words.capacity() + draft.entry.capacity() + draft.shown.capacity() < KEPT {
        let _ = DRAFT.try_with(|kept| kept.set(draft));
    }
    taken
}

impl Draft {
    fn begin(&mut self, shape: Shape, level: Level, now: Timestamp, target: &str) {
        let Self { line, words, entry, own, .. } = self;
        line.clear();
        words.clear();
        entry.clear();
        *own = Default::default();
        self.shape = shape;
        if shape.manner == Manner::Prefixed {
            // sd-daemon(3). The journal has the time and the level.
            let _ = write!(self.line, "<{}>", journal::priority(level));
        }
        let is_timed = shape.manner == Manner::Plain;
        match shape.format {
            LogFormat::Text => {
                if is_timed {
                    self.moment(now);
                    self.line.push_str(match level {
                        Level::ERROR => " ERROR ",
                        Level::WARN => "  WARN ",
                        Level::INFO => "  INFO ",
                        Level::DEBUG => " DEBUG ",
                        Level::TRACE => " TRACE ",
                    });
                }
                self.line.push_str(target);
                self.line.push(':');
            }
            LogFormat::Json => {
                self.line.push('{');
                if is_timed {
                    self.line.push_str("\"timestamp\":\"");
                    self.moment(now);
                    self.line.push_str("\",");
                }
                self.line.push_str("\"level\":\"");
                self.line.push_str(level.as_str());
                self.line.push_str("\",\"target\":");
                quoted_for_json(&mut self.line, target);
            }
        }
        self.fields = self.line.len();
    }

    /// RFC 3339 in UTC, with milliseconds.
    fn moment(&mut self, now: Timestamp) {
        let known = self.second.as_ref().is_some_and(|(second, _)| *second == now.seconds());
        if !known {
            let at = i64::try_from(now.seconds()).ok().map(OffsetDateTime::from_unix_timestamp);
            let Some(Ok(at)) = at else {
                let _ = write!(self.line, "{now}");
                return;
            };
            let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
            let (hour, minute, second) = (at.hour(), at.minute(), at.second());
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.");
            self.second = Some((now.seconds(), text));
        }
        if let Some((_, text)) = &self.second {
            self.line.push_str(text);
        }
        let millis = now.millis() % 1000;
        for digit in [millis / 100, millis / 10 % 10, millis % 10] {
            self.line.push(char::from(b'0' + u8::try_from(digit).unwrap_or_default()));
        }
        self.line.push('Z');
    }

    /// Adds a field: which event it is first, and what it says in words last.
    pub(super) fn field(&mut self, name: &str, value: Value<'_>) {
        if let Some(place) = OF_THE_REQUEST.iter().position(|of_request| *of_request == name)
            && let Some(own) = self.own.get_mut(place)
        {
            *own = true;
        }
        let format = self.shape.format;
        let is_late = name == "event" && self.line.len() > self.fields;
        match name {
            "message" => append(&mut self.words, format, name, value),
            _late if is_late => {
                let mut piece = String::new();
                append(&mut piece, format, name, value);
                self.line.insert_str(self.fields, &piece);
            }
            _other => append(&mut self.line, format, name, value),
        }
        // The message of an event has its place in the text.
        if self.shape.manner == Manner::Native && name != "message" {
            let before = if is_late { mem::take(&mut self.entry) } else { Vec::new() };
            let name = name.to_ascii_uppercase();
            match value {
                Value::Text(text) | Value::Shown(text) => journal::field(&mut self.entry, &name, text),
                Value::Number(_) | Value::Count(_) | Value::Float(_) | Value::Flag(_) => {
                    let mut text = String::new();
                    plain(&mut text, value);
                    journal::field(&mut self.entry, &name, &text);
                }
            }
            self.entry.extend_from_slice(&before);
        }
    }

    /// Adds a field that is written as it shows itself.
    fn shown(&mut self, name: &str, value: &dyn Debug) {
        let mut shown = mem::take(&mut self.shown);
        shown.clear();
        let _ = write!(shown, "{value:?}");
        self.field(name, Value::Shown(&shown));
        self.shown = shown;
    }

    /// Adds what the event itself does not say of its request.
    pub(super) fn describe(&mut self, request: Description<'_>) {
        let [request_id, trace_id, client, host] = self.own;
        if !request_id {
            self.field("request_id", Value::Shown(request.request_id));
        }
        if let Some(id) = request.trace_id.filter(|_| !trace_id) {
            self.field("trace_id", Value::Shown(id));
        }
        if let Some(address) = request.client.filter(|_| !client) {
            match address {
                // What nearly all lines have.
                IpAddr::V4(address) => self.shown("client", &address),
                IpAddr::V6(address) => self.shown("client", &address),
            }
        }
        if let Some(name) = request.host.filter(|_| !host) {
            self.field("host", Value::Text(name));
        }
    }

    fn end(&mut self, level: Level, target: &str) -> &[u8] {
        self.line.push_str(&self.words);
        if self.shape.format == LogFormat::Json {
            self.line.push('}');
        }
        match self.shape.manner {
            Manner::Plain | Manner::Prefixed => {
                self.line.push('\n');
                self.line.as_bytes()
            }
            Manner::Native => {
                let fields = mem::take(&mut self.entry);
                journal::begin(&mut self.entry, level, &self.line, target);
                self.entry.extend_from_slice(&fields);
                &self.entry
            }
        }
    }
}

impl Visit for Draft {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.shown(field.name(), value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field.name(), Value::Text(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field.name(), Value::Count(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field.name(), Value::Number(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field.name(), Value::Flag(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field.name(), Value::Float(value));
    }
}

fn append(line: &mut String, format: LogFormat, name: &str, value: Value<'_>) {
    match format {
        LogFormat::Text => {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            match value {
                Value::Text(text) => quoted(line, text),
                Value::Shown(text) if is_one_word(text) => line.push_str(text),
                Value::Shown(text) => quoted(line, text),
                Value::Number(_) | Value::Count(_) | Value::Float(_) | Value::Flag(_) => plain(line, value),
            }
        }
        LogFormat::Json => {
            line.push(',');
            quoted_for_json(line, name);
            line.push(':');
            match value {
                Value::Text(text) | Value::Shown(text) => quoted_for_json(line, text),
                Value::Number(_) | Value::Count(_) | Value::Flag(_) => plain(line, value),
                // JSON has no infinity.
                Value::Float(number) => drop(write!(line, "{}", serde_json::Value::from(number))),
            }
        }
    }
}

/// Without quotes.
fn plain(line: &mut String, value: Value<'_>) {
    match value {
        Value::Text(text) | Value::Shown(text) => line.push_str(text),
        Value::Number(number) => drop(write!(line, "{number}")),
        Value::Count(number) => count(line, number),
        Value::Float(number) => drop(write!(line, "{number}")),
        Value::Flag(flag) => line.push_str(if flag { "true" } else { "false" }),
    }
}

/// Decimal digits, without the detour that all formatting takes: every line of a request has two numbers.
fn count(line: &mut String, mut number: u64) {
    let mut digits = [0_u8; 20];
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        used += 1;
        if number == 0 {
            break;
        }
    }
    line.extend(digits.iter().skip(digits.len() - used).map(|digit| char::from(*digit)));
}

/// Looks at all bytes: without a way out in between a processor looks at many at once.
fn all(text: &str, is_fine: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |fine, byte| fine & is_fine(byte))
}

/// For people.
fn quoted(line: &mut String, text: &str) {
    if all(text, |byte| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')) {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        let _ = write!(line, "{text:?}");
    }
}

fn quoted_for_json(line: &mut String, text: &str) {
    if all(text, |byte| (byte >= b' ') & (byte != b'"') & (byte != b'\\')) {
        line.push('"');
        line.push_str(text);
        line.push('"');
    } else {
        let _ = write!(line, "{}", serde_json::Value::from(text));
    }
}

/// Whether a value can be taken for nothing but one value, and for no other line.
fn is_one_word(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b'!'..=b'~') & (byte != b'"') & (byte != b'=') & (byte != b'\\');
    !text.is_empty()
        && (all(text, is_plain)
            || text.chars().all(|letter| !letter.is_whitespace() && !letter.is_control() && !"\"=\\".contains(letter))
            // What is not printed, or turns the direction of writing, is for `Debug` to show.
            && text.escape_debug().count() == text.chars().count() + text.matches('\'').count())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);

    fn written(format: LogFormat, manner: Manner, fields: &[(&str, Value<'_>)]) -> String {
        let said = |draft: &mut Draft| fields.iter().for_each(|(name, value)| draft.field(name, *value));
        let head = (Shape { format, manner }, Level::INFO, NOW, "schoolgate::access");
        write(head, said, |line| String::from_utf8(line.to_vec()).unwrap())
    }

    fn line(format: LogFormat, manner: Manner) -> String {
        let reason = Value::Shown("a\n{\"level\":\"ERROR\"}");
        written(format, manner, &[("event", Value::Text("refused")), ("reason", reason), ("status", Value::Count(400))])
    }

    #[test]
    fn a_line_of_text_is_one_line() {
        assert_eq!(
            line(LogFormat::Text, Manner::Plain),
            "2023-11-14T22:13:20.123Z  INFO schoolgate::access: event=\"refused\" \
             reason=\"a\\n{\\\"level\\\":\\\"ERROR\\\"}\" status=400\n"
        );
    }

    #[test]
    fn a_line_of_json_is_one_flat_object() {
        let line = line(LogFormat::Json, Manner::Plain);
        assert_eq!(line.matches('\n').count(), 1);
        let expected = serde_json::json!({
            "timestamp": "2023-11-14T22:13:20.123Z", "level": "INFO", "target": "schoolgate::access",
            "event": "refused", "reason": "a\n{\"level\":\"ERROR\"}", "status": 400,
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap(), expected);
    }

    #[test]
    fn a_line_for_the_journal_begins_with_its_priority_and_has_no_time() {
        assert!(line(LogFormat::Text, Manner::Prefixed).starts_with("<6>schoolgate::access: event=\"refused\" "));
        assert!(line(LogFormat::Json, Manner::Prefixed).starts_with("<6>{\"level\":\"INFO\","));
    }

    #[test]
    fn every_field_is_a_field_of_the_entry_and_none_makes_another() {
        let fields = [
            ("status", Value::Count(400)),
            ("event", Value::Text("refused")),
            ("message", Value::Shown("words")),
            ("reason", Value::Shown("x\nPRIORITY=0")),
        ];
        assert_eq!(
            written(LogFormat::Text, Manner::Native, &fields),
            "PRIORITY=6\nSYSLOG_IDENTIFIER=schoolgate\n\
             MESSAGE=schoolgate::access: event=\"refused\" status=400 reason=\"x\\nPRIORITY=0\" message=words\n\
             TARGET=schoolgate::access\nEVENT=refused\nSTATUS=400\nREASON\n\x0c\0\0\0\0\0\0\0x\nPRIORITY=0\n"
        );
    }

    #[test]
    fn the_event_stands_first_and_its_words_last_and_what_it_says_of_its_request_counts() {
        let head = (
            Shape { format: LogFormat::Text, manner: Manner::Plain },
            Level::WARN,
            Timestamp::from_millis(u64::MAX),
            "schoolgate::x",
        );
        let fields = |draft: &mut Draft| {
            draft.field("message", Value::Shown("so it is"));
            draft.field("client", Value::Shown("its own"));
            draft.field("event", Value::Text("late"));
            draft.describe(Description {
                request_id: "0123",
                trace_id: Some("4567"),
                client: Some([127, 0, 0, 1].into()),
                host: Some("a.example"),
            });
        };
        let line = write(head, fields, |line| String::from_utf8(line.to_vec()).unwrap());
        assert_eq!(
            line,
            "(beyond the calendar)  WARN schoolgate::x: event=\"late\" client=\"its own\" request_id=0123 \
             trace_id=4567 host=\"a.example\" message=\"so it is\"\n"
        );
    }

    #[test]
    fn the_second_of_the_last_line_is_not_that_of_the_next() {
        let at = |millis| {
            let head = (Shape::default(), Level::INFO, Timestamp::from_millis(millis), "t");
            write(head, |_| (), |line| String::from_utf8(line.to_vec()).unwrap())
        };
        assert!(at(1_700_000_000_007).starts_with("2023-11-14T22:13:20.007Z "));
        assert!(at(1_700_000_000_999).starts_with("2023-11-14T22:13:20.999Z "));
        assert!(at(1_700_000_001_000).starts_with("2023-11-14T22:13:21.000Z "));
        assert!(at(1_699_999_999_010).starts_with("2023-11-14T22:13:19.010Z "));
    }

    #[test]
    fn whoever_writes_a_line_while_a_line_is_written_spoils_neither() {
        struct Talker;
        impl Debug for Talker {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(written(LogFormat::Text, Manner::Plain, &[("a", Value::Flag(true))]).trim_end())
            }
        }
        let head = (Shape::default(), Level::INFO, NOW, "t");
        let line = write(head, |draft| draft.shown("b", &Talker), |line| String::from_utf8(line.to_vec()).unwrap());
        let inner = "2023-11-14T22:13:20.123Z  INFO schoolgate::access: a=true";
        assert_eq!(line, format!("2023-11-14T22:13:20.123Z  INFO t: b=\"{inner}\"\n"));
    }

    fn shown(text: &str) -> String {
        let mut line = String::new();
        append(&mut line, LogFormat::Text, "x", Value::Shown(text));
        line[3..].to_owned()
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
    fn numbers_stay_numbers_in_json() {
        let json = |value| {
            let mut line = String::new();
            append(&mut line, LogFormat::Json, "x", value);
            line[5..].to_owned()
        };
        assert_eq!(json(Value::Count(u64::MAX)), "18446744073709551615");
        assert_eq!(json(Value::Count(0)), "0");
        assert_eq!(json(Value::Number(-1)), "-1");
        assert_eq!(json(Value::Flag(true)), "true");
        assert_eq!(json(Value::Float(0.5)), "0.5");
        assert_eq!(json(Value::Float(f64::NAN)), "null");
    }

    proptest! {
        /// What most texts need none of is never left out where one does.
        #[test]
        fn the_short_way_writes_what_the_long_way_writes(text in "(\\PC|[\\x00-\\x7f]){0,12}", number: u64) {
            let (mut line, mut json, mut digits) = (String::new(), String::new(), String::new());
            quoted(&mut line, &text);
            quoted_for_json(&mut json, &text);
            count(&mut digits, number);
            prop_assert_eq!(line, format!("{text:?}"));
            prop_assert_eq!(json, serde_json::Value::from(&*text).to_string());
            prop_assert_eq!(digits, number.to_string());
            let is_odd = |letter: char| letter.is_whitespace() || letter.is_control() || "\"=\\".contains(letter);
            let is_fine = !text.is_empty()
                && !text.contains(is_odd)
                && text.escape_debug().count() == text.chars().count() + text.matches('\'').count();
            prop_assert_eq!(is_one_word(&text), is_fine);
        }
    }
}
