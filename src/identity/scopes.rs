//! Sets of OAuth scopes (RFC 6749, section 3.3).

use std::{collections::BTreeSet, fmt};

use super::SharedText;

/// Longest scope token accepted, in bytes.
const LONGEST: usize = 128;

/// A text is no scope token of RFC 6749, section 3.3: `1*( %x21 / %x23-5B / %x5D-7E )`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a scope: 1 to 128 visible ASCII characters, neither a double quote nor a backslash")]
pub struct ScopeError;

/// Scopes without order and without doubles. Small, for each session holds two: their one text is kept once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ScopeSet(Option<SharedText>);

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
        let all: BTreeSet<_> = self.iter().chain([checked(scope)?]).collect();
        *self = Self::of(&all);
        Ok(())
    }

    /// Reads a list separated by spaces; several spaces count as one.
    ///
    /// # Errors
    /// When any item is not a scope token.
    pub fn parse(list: &str) -> Result<Self, ScopeError> {
        let items = list.split(' ').filter(|item| !item.is_empty());
        Ok(Self::of(&items.map(checked).collect::<Result<_, _>>()?))
    }

    fn of(scopes: &BTreeSet<&str>) -> Self {
        let text = scopes.iter().copied().collect::<Vec<_>>().join(" ");
        Self((!text.is_empty()).then(|| SharedText::of(&text)))
    }

    /// Everything in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::of(&self.iter().chain(other.iter()).collect())
    }

    /// What `granted` lacks of this set.
    #[must_use]
    pub fn missing_from(&self, granted: &Self) -> Self {
        if self.is_within(granted) {
            return Self::new();
        }
        Self::of(&self.iter().filter(|scope| !granted.has(scope)).collect())
    }

    /// Whether every scope of this set is in `granted`.
    #[must_use]
    pub fn is_within(&self, granted: &Self) -> bool {
        self.iter().all(|scope| granted.has(scope))
    }

    fn has(&self, scope: &str) -> bool {
        self.iter().any(|one| one == scope)
    }

    /// Whether there is no scope.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().flat_map(|text| text.split(' '))
    }

    /// The scopes in alphabetical order, separated by one space each.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }
}

fn checked(scope: &str) -> Result<&str, ScopeError> {
    let fine = (1..=LONGEST).contains(&scope.len())
        && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    fine.then_some(scope).ok_or(ScopeError)
}

/// As [`ScopeSet::as_str`].
impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
