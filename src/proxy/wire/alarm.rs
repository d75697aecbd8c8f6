//! A timer that is set again for each request and seldom rings.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Most waits are over within this time. Nothing rings earlier, so the timers of everything that lasts are made only
/// then.
pub(in crate::proxy) const BRIEF: Duration = Duration::from_millis(100);

/// Rings when something is not brief. A timer of its own for each wait would be put into the runtime's list and taken
/// out again, under a lock that all connections share; one that is only put off costs next to nothing.
#[derive(Default)]
pub(in crate::proxy) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Sets it, or puts it off: it rings [`BRIEF`] after `now`.
    pub(in crate::proxy) fn put_off(&mut self, now: Instant) {
        let at = now + BRIEF;
        match &mut self.0 {
            Some(timer) => timer.as_mut().reset(at),
            None => self.0 = Some(Box::pin(sleep_until(at))),
        }
    }

    /// Ready when it rings, and from then on until it is put off. One that was never set does not ring.
    pub(in crate::proxy) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
    }

    /// Waits until it rings.
    pub(in crate::proxy) async fn rings(&mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }
}

impl fmt::Debug for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Alarm").field(&self.0.as_ref().map(|timer| timer.deadline())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_alarm_that_is_put_off_rings_later_and_then_goes_on_ringing() {
        let mut alarm = Alarm::default();
        let begun = Instant::now();
        alarm.put_off(begun);
        for _ in 0..3 {
            tokio::time::advance(BRIEF / 2).await;
            alarm.put_off(Instant::now());
        }
        alarm.rings().await;
        assert!(begun.elapsed() >= BRIEF * 5 / 2, "{:?}", begun.elapsed());
        alarm.rings().await;
        alarm.put_off(Instant::now());
        let rung = Instant::now();
        alarm.rings().await;
        assert!(rung.elapsed() >= BRIEF);
    }
}
