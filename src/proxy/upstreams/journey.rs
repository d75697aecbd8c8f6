//! The way of one request: where it goes, and where it could not go.

use pingora::{Error, ErrorType};

use crate::policy::{App, Upstream};

/// One request under way to an upstream.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Journey {
    now: Option<usize>,
    tried: Vec<usize>,
}

impl Journey {
    /// The upstream that the request goes to.
    pub(in crate::proxy) fn upstream<'a>(&self, app: &'a App) -> pingora::Result<&'a Upstream> {
        let upstream = self.now.and_then(|index| app.upstreams.get(index));
        upstream.ok_or_else(|| Error::new_in(ErrorType::InternalError))
    }

    /// Goes to an upstream.
    pub(super) fn go<'a>(&mut self, app: &'a App, index: usize) -> pingora::Result<&'a Upstream> {
        self.now = Some(index);
        self.upstream(app)
    }

    /// The number of the upstream that the request goes to.
    pub(super) fn now(&self) -> Option<usize> {
        self.now
    }

    /// Not there again.
    pub(super) fn failed(&mut self, index: usize) {
        self.tried.push(index);
    }

    /// Where not again.
    pub(super) fn tried(&self) -> &[usize] {
        &self.tried
    }
}
