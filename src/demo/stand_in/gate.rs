//! A gate that a test opens: whoever hangs at it goes on then.

use std::sync::Arc;

use tokio::sync::watch;

/// Closed when made; opened once and for all. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// How many calls wait at the gate.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.0.receiver_count()
    }

    /// Resolves once the gate is open.
    pub(super) async fn pass(&self) {
        let mut view = self.0.subscribe();
        // The sender lives as long as `self`, so there is no error.
        let _ = view.wait_for(|open| *open).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_passes_a_closed_gate_and_everybody_an_open_one() {
        let gate = Gate::closed();
        let waiter = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiter.is_finished());
        assert_eq!(gate.waiting(), 1);
        gate.open();
        waiter.await.unwrap();
        gate.pass().await;
    }
}
