//! The contract of [`Store`], as tests that every store passes.
//!
//! A store's tests call [`store_contract!`] with a way to make a [`Bench`].

use std::{fmt, sync::Arc, time::Duration};

use super::Store;
use crate::clock::ManualClock;

/// A store on the bench, with the time in the test's hand.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    /// Moves the time of a server that has its own clock.
    pub(crate) elsewhere: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    /// What must live as long as the store: a folder, a server.
    pub(crate) keeps: Box<dyn std::any::Any + Send + Sync>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Bench {
    /// Lets time pass, here and where the store lives.
    pub(crate) fn pass(&self, while_: Duration) {
        self.clock.advance(while_);
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere(while_);
        }
    }
}
