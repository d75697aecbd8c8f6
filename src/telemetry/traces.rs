//! Spans that have ended, on their way to a collector.
//!
//! Rooms open spans of `tracing` and know nothing of this. What a span is in a trace it says in fields: `kind`
//! (`server` or `client`), `name`, and for one that a trace begins or goes on with `trace_id`, `span_id`,
//! `parent_span_id`, `sampled` and `trace_state`. Fields with a dot in their names are its attributes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tracing::{Subscriber, span};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::fields::{Fields, Value};
use crate::{
    clock::{SharedClock, Stopwatch, Timestamp},
    entropy::{self, SharedEntropy},
};

/// Most spans that wait for the collector.
const MOST_WAITING: usize = 4096;

/// Longest text of an attribute, in bytes: a stranger chooses paths, and a collector that is slow has many of them wait.
const LONGEST_TEXT: usize = 1024;

/// Who asked whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The gateway was asked.
    Server,
    /// The gateway asked.
    Client,
}

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ended {
    pub(super) trace_id: String,
    pub(super) span_id: String,
    pub(super) parent: Option<String>,
    pub(super) state: Option<String>,
    pub(super) kind: Kind,
    pub(super) name: String,
    pub(super) begun: Timestamp,
    pub(super) lasted: Duration,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) failed: bool,
}

/// Takes note of spans.
#[derive(Debug)]
pub(super) struct Traces {
    clock: SharedClock,
    entropy: SharedEntropy,
    ended: mpsc::Sender<Ended>,
    lost: Arc<AtomicU64>,
}

impl Traces {
    /// With the other end, and the count of spans for which that had no room.
    pub(super) fn new(clock: SharedClock, entropy: SharedEntropy) -> (Self, mpsc::Receiver<Ended>, Arc<AtomicU64>) {
        let (ended, receiver) = mpsc::channel(MOST_WAITING);
        let lost = Arc::new(AtomicU64::new(0));
        (Self { clock, entropy, ended, lost: Arc::clone(&lost) }, receiver, lost)
    }
}

/// What a span is in a trace, while it is open.
#[derive(Debug)]
struct Open {
    trace_id: String,
    span_id: String,
    parent: Option<String>,
    sampled: bool,
    begun: Timestamp,
    watch: Stopwatch,
    fields: Fields,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Traces {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if fields.get("kind").is_none() {
            return;
        }
        let text = |name: &str| fields.get(name).map(Value::plain);
        let above = span.scope().skip(1).find_map(|above| {
            let extensions = above.extensions();
            let open: &Open = extensions.get()?;
            Some((open.trace_id.clone(), open.span_id.clone(), open.sampled))
        });
        let (trace_id, parent, sampled) = match (text("trace_id"), above) {
            (Some(trace_id), _) => {
                (trace_id, text("parent_span_id"), fields.get("sampled") == Some(&Value::Flag(true)))
            }
            (None, Some((trace_id, parent, sampled))) => (trace_id, Some(parent), sampled),
            // Nobody's request: a trace of its own. There are few.
            (None, None) => (entropy::public_hex::<16>(&*self.entropy), None, true),
        };
        let span_id = text("span_id").unwrap_or_else(|| entropy::public_hex::<8>(&*self.entropy));
        let (begun, watch) = (self.clock.now(), Stopwatch::start());
        span.extensions_mut().insert(Open { trace_id, span_id, parent, sampled, begun, watch, fields });
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.fields);
        }
    }

    fn on_close(&self, id: span::Id, context: Context<'_, S>) {
        let open = context.span(&id).and_then(|span| span.extensions_mut().remove::<Open>());
        let Some(open) = open.filter(|open| open.sampled) else { return };
        // No room, or nobody: the collector does not hold anybody up.
        if self.ended.try_send(open.end()).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Open {
    fn end(self) -> Ended {
        let Self { trace_id, span_id, parent, begun, watch, mut fields, .. } = self;
        let text = |name: &str| fields.get(name).map(Value::plain);
        let kind = if text("kind").as_deref() == Some("server") { Kind::Server } else { Kind::Client };
        let status = text("http.response.status_code");
        // Whoever asks for what there is not has failed; whoever answers so has not.
        let worst = match kind {
            Kind::Server => 500,
            Kind::Client => 400,
        };
        let bad = status.as_deref().and_then(|status| status.parse().ok()).is_some_and(|status: u16| status >= worst);
        if let Some(status) = status.filter(|_| bad && fields.get("error.type").is_none()) {
            fields.set("error.type", Value::Text(status));
        }
        let text = |name: &str| fields.get(name).map(Value::plain);
        Ended {
            // The number that the next was told.
            span_id: text("span_id").unwrap_or(span_id),
            state: text("trace_state"),
            name: text("name").unwrap_or_default(),
            failed: fields.get("error.type").is_some(),
            attributes: fields
                .iter()
                .filter(|(name, _)| name.contains('.'))
                .map(|(name, value)| (name, value.begin(LONGEST_TEXT)))
                .collect(),
            lasted: watch.elapsed(),
            trace_id,
            parent,
            kind,
            begun,
        }
    }
}
