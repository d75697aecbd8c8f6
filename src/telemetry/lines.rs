//! One line for each event: its own fields, and those of the request that it belongs to.

use std::sync::Arc;

use time::OffsetDateTime;
use tracing::{Event as Said, Level, Metadata, Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{
    LogFormat,
    events::Event,
    fields::{Fields, Value},
    journal::{self, Manner},
    limiter::{LeftOut, Limiter},
    queue::Queue,
};
use crate::clock::{SharedClock, Timestamp};

/// What a span says of the request that all its events belong to. Other fields of spans are for traces.
const OF_THE_REQUEST: &[&str] = &["request_id", "trace_id", "client", "host"];

/// Writes lines.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) shape: Shape,
    pub(super) clock: SharedClock,
    pub(super) limiter: Arc<Limiter>,
    pub(super) queue: Queue,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) format: LogFormat,
    pub(super) manner: Manner,
}

impl Lines {
    /// Tells what was left out of windows that are over; with `now` at `None`, of all.
    pub(super) fn tell_left_out(&self, now: Option<Timestamp>) {
        for LeftOut { event, level, count } in self.limiter.left_out(now) {
            let mut fields = Fields::default();
            fields.set("event", Value::Text("suppressed".to_owned()));
            fields.set("kind", Value::Text(event.map_or("other", |event| event.name).to_owned()));
            fields.set("level_of_kind", Value::Text(level.as_str().to_owned()));
            fields.set("count", Value::Number(count.into()));
            self.queue.push(self.shape.line(Level::INFO, self.clock.now(), "schoolgate::telemetry", &fields));
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        span.extensions_mut().insert(OfTheRequest(fields));
    }

    fn on_event(&self, said: &Said<'_>, context: Context<'_, S>) {
        let now = self.clock.now();
        self.tell_left_out(Some(now));
        let mut fields = Fields::default();
        said.record(&mut fields);
        let event = fields.get("event").and_then(|name| Event::named(&name.plain()));
        let metadata: &Metadata<'_> = said.metadata();
        if !self.limiter.admits(event, *metadata.level(), now) {
            return;
        }
        for span in context.event_scope(said).into_iter().flatten() {
            let extensions = span.extensions();
            let Some(OfTheRequest(more)) = extensions.get() else { continue };
            for (name, value) in more.iter().filter(|(name, _)| OF_THE_REQUEST.contains(name)) {
                if fields.get(name).is_none() {
                    fields.set(name, value.clone());
                }
            }
        }
        self.queue.push(self.shape.line(*metadata.level(), now, metadata.target(), &fields));
    }
}

/// The fields of a span.
struct OfTheRequest(Fields);

impl Shape {
    /// The bytes of one line, in whatever way its reader wants it.
    pub(super) fn line(self, level: Level, now: Timestamp, target: &str, fields: &Fields) -> Vec<u8> {
        match self.manner {
            Manner::Plain => {
                let mut line = self.text(level, Some(now), target, fields);
                line.push('\n');
                line.into_bytes()
            }
            Manner::Prefixed => {
                // sd-daemon(3). The journal has the time and the level.
                let message = self.text(level, None, target, fields);
                format!("<{}>{message}\n", journal::priority(level)).into_bytes()
            }
            Manner::Native => journal::entry(level, &self.text(level, None, target, fields), target, fields),
        }
    }

    /// With a time, also the level.
    fn text(self, level: Level, now: Option<Timestamp>, target: &str, fields: &Fields) -> String {
        match self.format {
            LogFormat::Json => json(level, now, target, fields),
            LogFormat::Text => text(level, now, target, fields),
        }
    }
}

fn text(level: Level, now: Option<Timestamp>, target: &str, fields: &Fields) -> String {
    let mut line = match now {
        Some(now) => format!("{} {level:>5} {target}:", moment(now)),
        None => format!("{target}:"),
    };
    for (name, value) in fields.iter() {
        line.push(' ');
        line.push_str(name);
        line.push('=');
        value.onto_text(&mut line);
    }
    line
}

fn json(level: Level, now: Option<Timestamp>, target: &str, fields: &Fields) -> String {
    let mut line = String::from("{");
    let mut member = |name: &str, value: &serde_json::Value| {
        let separator = if line.len() > 1 { "," } else { "" };
        line.push_str(&format!("{separator}{}:{value}", serde_json::Value::from(name)));
    };
    if let Some(now) = now {
        member("timestamp", &moment(now).into());
    }
    member("level", &level.as_str().into());
    member("target", &target.into());
    for (name, value) in fields.iter() {
        member(name, &value.to_json());
    }
    line.push('}');
    line
}

/// RFC 3339 in UTC, with milliseconds.
fn moment(now: Timestamp) -> String {
    let Ok(at) = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now.millis()) * 1_000_000) else {
        return now.to_string();
    };
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let (hour, minute, second, millis) = (at.hour(), at.minute(), at.second(), at.millisecond());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);

    fn fields() -> Fields {
        let mut fields = Fields::default();
        fields.set("event", Value::Text("refused".to_owned()));
        fields.set("reason", Value::Shown("a\n{\"level\":\"ERROR\"}".to_owned()));
        fields.set("status", Value::Number(400));
        fields
    }

    fn line(format: LogFormat, manner: Manner) -> String {
        let bytes = Shape { format, manner }.line(Level::INFO, NOW, "schoolgate::access", &fields());
        String::from_utf8(bytes).unwrap()
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
}
