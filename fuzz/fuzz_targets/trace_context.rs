//! `traceparent` in the first line and `tracestate` in the others: what is passed on is read the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schoolgate::{entropy::SystemEntropy, telemetry::TraceContext};

fuzz_target!(|bytes: &[u8]| {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let parent = lines.next();
    let Some(trace) = TraceContext::go_on(parent.into_iter(), lines, &SystemEntropy) else { return };
    let (parent, state) = (trace.to_parent(trace.span_id()), trace.state().map(str::as_bytes));
    let again = TraceContext::go_on([parent.as_bytes()].into_iter(), state.into_iter(), &SystemEntropy);
    let again = again.expect("is good");
    assert_eq!((again.trace_id(), again.parent()), (trace.trace_id(), Some(trace.span_id())));
    assert_eq!((again.is_sampled(), again.state()), (trace.is_sampled(), trace.state()));
});
