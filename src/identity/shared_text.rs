//! Texts that many have, kept once: a school has one number, a handful of permissions and a few kinds of browsers.

use std::{
    borrow::Borrow,
    collections::HashSet,
    fmt,
    ops::Deref,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

/// Among fewer texts nobody looks for those that are held no more.
const FEW: usize = 64;

static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Known {
    texts: HashSet<SharedText>,
    /// From so many on it is looked for those that nobody holds any more.
    look_at: usize,
}

/// A text of which there is one copy in this process. Made under a lock: not for what comes with every request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SharedText(Arc<Box<str>>);

impl SharedText {
    /// The copy of a text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(copy) = known.texts.get(text) {
            return copy.clone();
        }
        if known.texts.len() >= known.look_at {
            known.texts.retain(|copy| Arc::strong_count(&copy.0) > 1);
            known.look_at = (known.texts.len() * 2).max(FEW);
        }
        let copy = Self(Arc::new(text.into()));
        known.texts.insert(copy.clone());
        copy
    }
}

impl Deref for SharedText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for SharedText {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Debug for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_copy_and_others_are_not() {
        let (one, two) = (SharedText::of("a school"), SharedText::of("a school"));
        assert!(Arc::ptr_eq(&one.0, &two.0));
        assert_ne!(one, SharedText::of("A school"));
    }

    #[test]
    fn texts_that_nobody_holds_are_forgotten() {
        let held = SharedText::of("held all the while");
        for number in 0..100 * FEW {
            drop(SharedText::of(&format!("passing {number}")));
        }
        let known = KNOWN.lock().unwrap();
        // Other tests hold some too.
        let passing = known.texts.iter().filter(|text| text.starts_with("passing")).count();
        assert!(passing <= 2 * FEW + known.texts.len() - passing, "{passing} are left");
        assert!(known.texts.contains("held all the while"));
        drop((known, held));
    }
}
