//! The client of Apple's that is in use now. A reload puts another in its place, and revocations that wait go to it.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use async_trait::async_trait;

use crate::{
    apple::{Apple, BuildError, Revocable, Settings},
    clock::SharedClock,
    entropy::SharedEntropy,
    session::{Revoker, Verdict},
};

/// Whatever client is in use.
#[derive(Debug)]
pub(super) struct CurrentApple(ArcSwap<Apple>);

impl CurrentApple {
    /// Begins with the first. Calls nobody.
    pub(super) fn new(settings: Settings, clock: SharedClock, entropy: SharedEntropy) -> Result<Arc<Self>, BuildError> {
        Ok(Arc::new(Self(ArcSwap::from_pointee(Apple::new(settings, clock, entropy)?))))
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
