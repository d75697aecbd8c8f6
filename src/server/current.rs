//! The client of Apple's that is in use now. A reload puts another in its place, and revocations that wait go to it.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::{
    apple::{Apple, Revocable},
    session::{Revoker, Verdict},
};

/// Whatever client is in use.
#[derive(Debug)]
pub(super) struct CurrentApple(ArcSwap<Apple>);

impl CurrentApple {
    /// Begins with the first.
    pub(super) fn new(first: Apple) -> Arc<Self> {
        Arc::new(Self(ArcSwap::from_pointee(first)))
    }

    /// The client.
    pub(super) fn now(&self) -> Arc<Apple> {
        self.0.load_full()
    }

    /// From now on this is the client.
    pub(super) fn replace(&self, next: Arc<Apple>) {
        self.0.store(next);
    }
}

#[async_trait]
impl Revoker for CurrentApple {
    async fn revoke(&self, token: &Revocable) -> Verdict {
        Revoker::revoke(&*self.now(), token).await
    }

    fn patience(&self) -> Duration {
        self.now().patience()
    }
}
