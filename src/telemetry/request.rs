//! Which request a line belongs to.
//!
//! Not by a span: a registry keeps one for each request, with its fields written out, and nearly all of them for nothing.

use std::{future::Future, net::IpAddr, sync::Arc};

use tracing::Instrument;

/// What every line of a request says of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Description<'a> {
    /// The number that people tell.
    pub request_id: &'a str,
    /// The trace that it belongs to.
    pub trace_id: Option<&'a str>,
    /// Who asks.
    pub client: Option<IpAddr>,
    /// The host that was asked for.
    pub host: Option<&'a str>,
}

/// A request whose lines say that they are its.
pub trait Described: Send + Sync + 'static {
    /// What they say; `None` for one that no line is to know of.
    fn description(&self) -> Option<Description<'_>>;
}

/// A number is enough to find lines by.
impl Described for String {
    fn description(&self) -> Option<Description<'_>> {
        Some(Description { request_id: self, ..Description::default() })
    }
}

tokio::task_local! {
    static CURRENT: Arc<dyn Described>;
}

/// What is said while `work` goes on belongs to this request.
pub fn in_request<F: Future>(request: Arc<dyn Described>, work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(request, work)
}

/// What is said before `work` returns belongs to this request.
pub fn in_request_now<R>(request: Arc<dyn Described>, work: impl FnOnce() -> R) -> R {
    CURRENT.sync_scope(request, work)
}

/// The same request and the same span, for work that goes on in a task of its own.
pub fn still_in_request<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let request = CURRENT.try_with(Arc::clone).ok();
    let work = work.in_current_span();
    async move {
        match request {
            Some(request) => in_request(request, work).await,
            None => work.await,
        }
    }
}

/// Looks at the request that something is said in.
pub(super) fn with_current(look: impl FnOnce(Description<'_>)) {
    // Outside of a request there is nothing to look at.
    let _ = CURRENT.try_with(|request| request.description().map(look));
}
