//! Whose turn it is, and who is well enough to take it.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// So many checks in a row must fail until an upstream counts as down; one that succeeds brings it back.
const PATIENCE: u8 = 2;

/// Takes turns among the healthy. All of them are healthy until something else is known.
#[derive(Debug)]
pub(super) struct Balancer {
    turn: AtomicUsize,
    /// Failed checks in a row, up to `PATIENCE`.
    failures: Vec<AtomicU8>,
}

impl Balancer {
    /// For so many upstreams.
    pub(super) fn new(count: usize) -> Self {
        Self { turn: AtomicUsize::new(0), failures: (0..count).map(|_| AtomicU8::new(0)).collect() }
    }

    /// Whether there is a choice: one upstream alone is always tried.
    pub(super) fn has_choice(&self) -> bool {
        self.failures.len() > 1
    }

    /// The next one that is healthy and not among the `tried`.
    pub(super) fn pick(&self, tried: &[usize]) -> Option<usize> {
        if !self.has_choice() {
            return Some(0);
        }
        let fit = || (0..self.failures.len()).filter(|index| self.is_healthy(*index) && !tried.contains(index));
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(fit().count()).and_then(|turn| fit().nth(turn))
    }

    /// A check has failed; says whether that was one too many.
    pub(super) fn failed(&self, index: usize) -> bool {
        let Some(failures) = self.failures.get(index) else { return false };
        let one_more = |before: u8| (before < PATIENCE).then_some(before + 1);
        failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) == Ok(PATIENCE - 1)
    }

    /// A request could not be sent: no need to wait for a check. Says whether that is news.
    pub(super) fn refused(&self, index: usize) -> bool {
        self.failures.get(index).is_some_and(|failures| failures.swap(PATIENCE, Ordering::Relaxed) < PATIENCE)
    }

    /// A check has succeeded; says whether that is news.
    pub(super) fn succeeded(&self, index: usize) -> bool {
        self.failures.get(index).is_some_and(|failures| failures.swap(0, Ordering::Relaxed) >= PATIENCE)
    }

    /// Takes over what another balancer knows of one of its upstreams.
    pub(super) fn learn(&self, index: usize, other: &Self, there: usize) {
        if let (Some(failures), Some(known)) = (self.failures.get(index), other.failures.get(there)) {
            failures.store(known.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Whether requests go there.
    pub(super) fn is_healthy(&self, index: usize) -> bool {
        self.failures.get(index).is_some_and(|failures| failures.load(Ordering::Relaxed) < PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(balancer: &Balancer, times: usize) -> Vec<usize> {
        (0..times).filter_map(|_| balancer.pick(&[])).collect()
    }

    #[test]
    fn everybody_gets_a_turn() {
        let mut picked = picks(&Balancer::new(3), 6);
        assert_eq!(picked[..3], picked[3..]);
        picked[..3].sort_unstable();
        assert_eq!(picked[..3], [0, 1, 2]);
    }

    #[test]
    fn the_turns_of_one_that_is_down_are_shared_by_all_others() {
        let balancer = Balancer::new(3);
        assert!(balancer.refused(1) && !balancer.refused(1));
        let picked = picks(&balancer, 4);
        assert_eq!(picked.iter().filter(|index| **index == 0).count(), 2, "{picked:?}");
        assert_eq!(picked.iter().filter(|index| **index == 2).count(), 2, "{picked:?}");
    }

    #[test]
    fn two_failed_checks_in_a_row_take_an_upstream_down_and_one_good_one_brings_it_back() {
        let balancer = Balancer::new(2);
        assert!(!balancer.failed(0) && !balancer.succeeded(0) && !balancer.failed(0), "not in a row");
        assert_eq!(picks(&balancer, 4).iter().filter(|index| **index == 0).count(), 2);
        assert!(balancer.failed(0));
        assert!(!balancer.failed(0), "told once");
        assert_eq!(picks(&balancer, 3), [1, 1, 1]);
        assert!(balancer.succeeded(0) && !balancer.succeeded(0));
        assert!(picks(&balancer, 2).contains(&0));
    }

    #[test]
    fn nobody_is_picked_when_all_are_down_or_tried() {
        let balancer = Balancer::new(2);
        assert_eq!(balancer.pick(&[0]), Some(1));
        assert_eq!(balancer.pick(&[1, 0]), None);
        assert!(balancer.refused(0) && balancer.refused(1));
        assert_eq!(balancer.pick(&[]), None);
    }

    #[test]
    fn one_upstream_alone_is_always_tried() {
        let balancer = Balancer::new(1);
        assert!(balancer.refused(0));
        assert_eq!(balancer.pick(&[0]), Some(0));
    }
}
