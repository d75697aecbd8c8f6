//! Spans for a collector, as OTLP 1.x has them in JSON over HTTP
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).
//!
//! Not by the `opentelemetry` crates: they bring eleven more, read the clock and the environment by themselves, and have
//! no HTTP client but one that stays in another room. What is left of them here is one document and one request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value as Json, json};
use tokio::{
    net::TcpStream,
    sync::{mpsc, watch},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;

use super::{
    fields::Value,
    traces::{Ended, Kind},
};
use crate::clock::SharedClock;

/// Most spans in one request.
const BATCH: usize = 512;

/// How long spans are gathered for one request.
const GATHER: Duration = Duration::from_secs(2);

/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends spans to a collector.
#[derive(Debug)]
pub(super) struct Exporter {
    /// Host and port.
    pub(super) collector: String,
    pub(super) spans: mpsc::Receiver<Ended>,
    pub(super) lost: Arc<AtomicU64>,
    pub(super) clock: SharedClock,
}

impl Exporter {
    /// Works until `ends` says so, and sends then what is left.
    pub(super) async fn run(mut self, mut ends: watch::Receiver<bool>) {
        let mut goes_on = true;
        while goes_on {
            let mut batch = Vec::new();
            tokio::select! {
                _ = ends.wait_for(|ends| *ends) => goes_on = false,
                () = self.gather(&mut batch) => {}
            }
            if !goes_on {
                while batch.len() < BATCH
                    && let Ok(span) = self.spans.try_recv()
                {
                    batch.push(span);
                }
            }
            self.send(batch).await;
        }
    }

    async fn gather(&mut self, batch: &mut Vec<Ended>) {
        let Some(first) = self.spans.recv().await else { return std::future::pending().await };
        batch.push(first);
        let mut over = self.clock.sleep(GATHER);
        while batch.len() < BATCH {
            tokio::select! {
                more = self.spans.recv() => batch.extend(more),
                () = &mut over => return,
            }
        }
    }

    /// Sends once: what a collector does not take is gone.
    async fn send(&self, batch: Vec<Ended>) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if batch.is_empty() && lost == 0 {
            return;
        }
        let sent = timeout(PATIENCE, post(&self.collector, document(&batch))).await;
        let reason = match sent.unwrap_or_else(|_| Err("it took too long".to_owned())) {
            Ok(()) if lost == 0 => return,
            Ok(()) => "too many were waiting".to_owned(),
            Err(why) => why,
        };
        let count = lost.saturating_add(u64::try_from(batch.len()).unwrap_or(u64::MAX));
        tracing::warn!(event = "traces_not_exported", collector = %self.collector, count, reason);
    }
}

async fn post(collector: &str, document: Json) -> Result<(), String> {
    let stream = TcpStream::connect(collector).await.map_err(|why| why.to_string())?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|why| why.to_string())?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::post("/v1/traces")
        .header(header::HOST, collector)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(document.to_string())))
        .map_err(|why| why.to_string())?;
    let response = sender.send_request(request).await.map_err(|why| why.to_string())?;
    match response.status() {
        status if status.is_success() => Ok(()),
        status => Err(format!("it answers {status}")),
    }
}

/// An `ExportTraceServiceRequest`.
fn document(batch: &[Ended]) -> Json {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [("service.name", "schoolgate"), ("service.version", version)];
    let resource: Vec<_> =
        resource.iter().map(|(key, text)| json!({"key": key, "value": {"stringValue": text}})).collect();
    let spans: Vec<_> = batch.iter().map(span).collect();
    let scope = json!({"scope": {"name": "schoolgate", "version": version}, "spans": spans});
    json!({"resourceSpans": [{"resource": {"attributes": resource}, "scopeSpans": [scope]}]})
}

fn span(ended: &Ended) -> Json {
    let begun = u128::from(ended.begun.millis()) * 1_000_000;
    let attributes: Vec<_> =
        ended.attributes.iter().map(|(key, found)| json!({"key": key, "value": value(found)})).collect();
    let mut span = json!({
        "traceId": ended.trace_id,
        "spanId": ended.span_id,
        "name": ended.name,
        "kind": match ended.kind {
            Kind::Server => 2,
            Kind::Client => 3,
        },
        // 64-bit numbers are texts in JSON.
        "startTimeUnixNano": begun.to_string(),
        "endTimeUnixNano": (begun + ended.lasted.as_nanos()).to_string(),
        "attributes": attributes,
        // STATUS_CODE_ERROR; a success is for the app to tell.
        "status": if ended.failed { json!({"code": 2}) } else { json!({}) },
    });
    for (key, text) in [("parentSpanId", &ended.parent), ("traceState", &ended.state)] {
        if let (Some(text), Some(members)) = (text, span.as_object_mut()) {
            members.insert(key.to_owned(), text.as_str().into());
        }
    }
    span
}

fn value(value: &Value) -> Json {
    match value {
        Value::Text(text) | Value::Shown(text) => json!({"stringValue": text}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        Value::Float(number) => json!({"doubleValue": number}),
        Value::Flag(flag) => json!({"boolValue": flag}),
    }
}
