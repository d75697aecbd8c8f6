//! Sets of OAuth scopes (RFC 6749, section 3.3).

use std::{collections::BTreeSet, fmt};

/// Longest scope token accepted, in bytes.
const LONGEST: usize = 128;

/// A text is no scope token of RFC 6749, section 3.3: `1*( %x21 / %x23-5B / %x5D-7E )`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a scope: 1 to 128 visible ASCII characters, neither a double quote nor a backslash")]
pub struct ScopeError;

/// Scopes without order and without doubles.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeSet(BTreeSet<Box<str>>);

impl ScopeSet {
    /// No scopes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one scope.
    ///
    /// # Errors
    /// When `scope` is not a scope token.
    pub fn insert(&mut self, scope: &str) -> Result<(), ScopeError> {
        let fine = (1..=LONGEST).contains(&scope.len())
            && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
        if !fine {
            return Err(ScopeError);
        }
        self.0.insert(scope.into());
        Ok(())
    }

    /// Reads a list separated by spaces; several spaces count as one.
    ///
    /// # Errors
    /// When any item is not a scope token.
    pub fn parse(list: &str) -> Result<Self, ScopeError> {
        let mut set = Self::new();
        list.split(' ').filter(|item| !item.is_empty()).try_for_each(|item| set.insert(item))?;
        Ok(set)
    }

    /// Everything in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self(self.0.union(&other.0).cloned().collect())
    }

    /// What `granted` lacks of this set.
    #[must_use]
    pub fn missing_from(&self, granted: &Self) -> Self {
        Self(self.0.difference(&granted.0).cloned().collect())
    }

    /// Whether every scope of this set is in `granted`.
    #[must_use]
    pub fn is_within(&self, granted: &Self) -> bool {
        self.0.is_subset(&granted.0)
    }

    /// Whether there is no scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }
}

/// The scopes in alphabetical order, separated by one space each.
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_no_order_and_no_doubles() {
        let set = ScopeSet::parse("edu.users.read  edu.classes.read edu.users.read").unwrap();
        assert_eq!(set.to_string(), "edu.classes.read edu.users.read");
        assert_eq!(set, ScopeSet::parse("edu.classes.read edu.users.read").unwrap());
        assert!(ScopeSet::parse("").unwrap().is_empty());
    }

    #[test]
    fn missing_and_union_are_what_a_step_up_needs() {
        let have = ScopeSet::parse("a").unwrap();
        let need = ScopeSet::parse("a b").unwrap();
        assert_eq!(need.missing_from(&have).to_string(), "b");
        assert!(!need.is_within(&have));
        assert!(need.is_within(&have.union(&need)));
    }

    #[test]
    fn what_could_break_out_of_a_header_or_a_url_is_no_scope() {
        for text in ["a\"b", "a\\b", "a\r\nb", "é", &"a".repeat(129)] {
            assert_eq!(ScopeSet::parse(text), Err(ScopeError), "{text:?}");
        }
    }
}
