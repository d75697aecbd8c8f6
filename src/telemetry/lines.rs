//! One line for each event: its own fields, and those of the request that it belongs to.

use std::sync::Arc;

use tracing::{
    Event as Said, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::{
    LogFormat,
    draft::{self, Value},
    events::Event,
    journal::Manner,
    limiter::{LeftOut, Limiter},
    queue::Queue,
    request,
};
use crate::clock::{SharedClock, Timestamp};

/// Writes lines.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) shape: Shape,
    pub(super) clock: SharedClock,
    pub(super) limiter: Arc<Limiter>,
    pub(super) queue: Queue,
}

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) format: LogFormat,
    pub(super) manner: Manner,
}

impl Lines {
    /// Tells what was left out of windows that are over; with `now` at `None`, of all.
    pub(super) fn tell_left_out(&self, now: Option<Timestamp>) {
        for LeftOut { event, level, count } in self.limiter.left_out(now) {
            let line = (self.shape, Level::INFO, self.clock.now(), "schoolgate::telemetry");
            let fields = |draft: &mut draft::Draft| {
                draft.field("event", Value::Text("suppressed"));
                draft.field("kind", Value::Text(event.map_or("other", |event| event.name)));
                draft.field("level_of_kind", Value::Text(level.as_str()));
                draft.field("count", Value::Count(count));
            };
            draft::write(line, fields, |line| self.queue.push(line));
        }
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, said: &Said<'_>, _: Context<'_, S>) {
        let now = self.clock.now();
        self.tell_left_out(Some(now));
        let (mut name, metadata) = (Name(None), said.metadata());
        said.record(&mut name);
        if !self.limiter.admits(name.0, *metadata.level(), now) {
            return;
        }
        let line = (self.shape, *metadata.level(), now, metadata.target());
        let fields = |draft: &mut draft::Draft| {
            said.record(draft);
            request::with_current(|request| draft.describe(request));
        };
        draft::write(line, fields, |line| self.queue.push(line));
    }
}

/// Which event it is.
struct Name(Option<&'static Event>);

impl Visit for Name {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            self.0 = Event::named(value);
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl Shape {
    /// The line that tells how many were lost.
    pub(super) fn lost(self, count: u64, now: Timestamp) -> Vec<u8> {
        let fields = |draft: &mut draft::Draft| {
            draft.field("event", Value::Text("lines_lost"));
            draft.field("count", Value::Count(count));
        };
        draft::write((self, Level::WARN, now, "schoolgate::telemetry"), fields, <[u8]>::to_vec)
    }
}
