//! The switches with which a test makes the stand-in misbehave, and puts it right again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Behaviour, Endpoint, Trouble};
use crate::demo::listener::Wire;

/// An oddity of the key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyOddity {
    /// No key at all.
    Empty,
    /// A key of a type that nobody knows beside the good ones.
    UnknownType,
    /// Several broken keys beside the good ones.
    Broken,
    /// Another key with the identifier of the one that signs.
    DuplicateKid,
    /// A key with `use` = `enc` beside the good ones.
    EncryptionKey,
    /// The key that signs is missing: its `kid` is unknown.
    WithoutSigner,
    /// Five hundred more keys.
    Many,
    /// `keys` is not an array.
    NotAList,
}

struct Planned {
    trouble: Trouble,
    /// How many calls it still meets; all, when absent.
    times: Option<usize>,
}

/// All switches. They can be set at any time; each call sees them as they are when it is answered.
pub struct Switches {
    behaviour: Mutex<Behaviour>,
    troubles: Mutex<BTreeMap<Endpoint, Planned>>,
    wire: Wire,
}

impl Switches {
    pub(super) fn new(wire: Wire) -> Self {
        Self { behaviour: Mutex::default(), troubles: Mutex::default(), wire }
    }

    /// Changes the behaviour: `switches.change(|behaviour| behaviour.refresh_rotation = true)`.
    pub fn change(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut lock(&self.behaviour));
    }

    /// The present behaviour.
    #[must_use]
    pub fn behaviour(&self) -> Behaviour {
        lock(&self.behaviour).clone()
    }

    /// Publishes the key set with these oddities; none, when empty.
    pub fn key_oddities(&self, oddities: impl IntoIterator<Item = KeyOddity>) {
        let oddities: BTreeSet<_> = oddities.into_iter().collect();
        self.change(|behaviour| behaviour.key_oddities = oddities);
    }

    /// Every call of `endpoint` meets this trouble from now on.
    pub fn trouble(&self, endpoint: Endpoint, trouble: Trouble) {
        lock(&self.troubles).insert(endpoint, Planned { trouble, times: None });
    }

    /// The next `times` calls of `endpoint` meet this trouble; then all is well again.
    pub fn trouble_times(&self, endpoint: Endpoint, times: usize, trouble: Trouble) {
        lock(&self.troubles).insert(endpoint, Planned { trouble, times: Some(times) });
    }

    /// Ends the trouble of `endpoint`. Who hangs at a gate hangs until the gate opens.
    pub fn heal(&self, endpoint: Endpoint) {
        lock(&self.troubles).remove(&endpoint);
    }

    /// Cuts every connection, old and new, at once; or takes connections again.
    pub fn down(&self, down: bool) {
        self.wire.cut(down);
    }

    /// Puts everything right.
    pub fn reset(&self) {
        *lock(&self.behaviour) = Behaviour::default();
        lock(&self.troubles).clear();
        self.down(false);
    }

    /// The trouble that a call of `endpoint` meets now.
    pub(super) fn next_trouble(&self, endpoint: Endpoint) -> Option<Trouble> {
        let mut troubles = lock(&self.troubles);
        let planned = troubles.get_mut(&endpoint)?;
        match &mut planned.times {
            None => {}
            Some(0) => return None,
            Some(left) => *left -= 1,
        }
        Some(planned.trouble.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_ends_after_its_times_or_when_healed() {
        let switches = Switches::new(Wire::default());
        switches.trouble_times(Endpoint::Refresh, 2, Trouble::Html);
        assert!(switches.next_trouble(Endpoint::Exchange).is_none());
        assert!(switches.next_trouble(Endpoint::Refresh).is_some());
        assert!(switches.next_trouble(Endpoint::Refresh).is_some());
        assert!(switches.next_trouble(Endpoint::Refresh).is_none());
        switches.trouble(Endpoint::Keys, Trouble::Empty);
        assert!(switches.next_trouble(Endpoint::Keys).is_some());
        switches.heal(Endpoint::Keys);
        assert!(switches.next_trouble(Endpoint::Keys).is_none());
    }

    #[test]
    fn reset_puts_everything_right() {
        let switches = Switches::new(Wire::default());
        switches.change(|behaviour| behaviour.refresh_rotation = true);
        switches.key_oddities([KeyOddity::Empty]);
        switches.trouble(Endpoint::Keys, Trouble::Empty);
        switches.reset();
        assert!(!switches.behaviour().refresh_rotation && switches.behaviour().key_oddities.is_empty());
        assert!(switches.next_trouble(Endpoint::Keys).is_none());
    }
}
