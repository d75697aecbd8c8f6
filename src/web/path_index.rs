//! Which of many rules' paths a request's path meets, at a cost that does not depend on how many they are.

use std::{borrow::Cow, collections::HashMap};

use super::{CanonicalPath, PathPrefix};

/// Rules' paths, each known by its number, for all ways in which a path can be read.
#[derive(Clone, Debug, Default)]
pub struct PathIndex {
    exact: Tree,
    loose: Tree,
    behind: Tree,
    /// Those that name a script, as `behind`: they are met behind one by paths that name none.
    behind_named: Tree,
}

/// What lies below one segment of rules' paths.
#[derive(Clone, Debug, Default)]
struct Tree {
    /// The rules whose paths end here, in their order.
    rules: Vec<usize>,
    below: HashMap<Box<[u8]>, Tree>,
}

impl PathIndex {
    /// From the paths of rules, numbered from 0.
    #[must_use]
    pub fn new<'p>(prefixes: impl IntoIterator<Item = &'p PathPrefix>) -> Self {
        let mut index = Self::default();
        for (number, prefix) in prefixes.into_iter().enumerate() {
            index.exact.add(number, &prefix.segments);
            index.loose.add(number, &prefix.loose);
            index.behind.add(number, &prefix.behind);
            if prefix.names_a_script() {
                index.behind_named.add(number, &prefix.behind);
            }
        }
        index
    }

    /// The rules that cover `path` ([`PathPrefix::covers`]): the shortest first, and equal ones in their order.
    pub fn covering<'a>(&'a self, path: &'a CanonicalPath) -> impl Iterator<Item = usize> + 'a {
        self.exact.along(path.decoded())
    }

    /// The rules that may cover it ([`PathPrefix::may_cover`]), in the same order. Those that cover it are among them.
    pub fn may_cover<'a>(&'a self, path: &'a CanonicalPath) -> impl Iterator<Item = usize> + 'a {
        self.loose.along(path.loose())
    }

    /// The rules that may cover it behind a script ([`PathPrefix::may_cover_behind_a_script`]), in the same order.
    pub fn may_cover_behind_a_script<'a>(&'a self, path: &'a CanonicalPath) -> impl Iterator<Item = usize> + 'a {
        let tree = if path.may_name_a_script() { &self.behind } else { &self.behind_named };
        tree.along(path.behind_scripts())
    }
}

impl Tree {
    fn add(&mut self, number: usize, path: &[Box<[u8]>]) {
        let end = path.iter().fold(self, |tree, segment| tree.below.entry(segment.clone()).or_default());
        end.rules.push(number);
    }

    /// The rules that are met on the way.
    fn along<'a>(&'a self, mut segments: impl Iterator<Item = Cow<'a, [u8]>> + 'a) -> impl Iterator<Item = usize> + 'a {
        let mut here = Some(self);
        let trees = std::iter::from_fn(move || {
            let tree = here?;
            // Nothing is read of a path that no rule goes on for.
            here = if tree.below.is_empty() { None } else { segments.next().and_then(|one| tree.below.get(&*one)) };
            Some(tree)
        });
        trees.flat_map(|tree| tree.rules.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SEGMENTS: [&str; 18] = [
        "",
        "a",
        "A",
        "b",
        "a;x",
        ";",
        "a.",
        "a%20",
        "a%2561",
        "%2541",
        "x.php",
        "X.PHP",
        "index.php;s",
        "%C5%BF",
        "s",
        "a%3Bx",
        "x%252ephp",
        "a.b",
    ];

    fn path() -> impl Strategy<Value = CanonicalPath> {
        let segments = prop::collection::vec(prop::sample::select(&SEGMENTS[..]), 0..5);
        segments.prop_filter_map("no canonical path", |segments| {
            CanonicalPath::parse(&format!("/{}", segments.join("/"))).ok()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        /// Each rule for itself says the same.
        #[test]
        fn the_index_finds_what_each_rule_says_of_itself(
            rules in prop::collection::vec(path().prop_map(PathPrefix::new), 0..30),
            path in path(),
        ) {
            let index = PathIndex::new(&rules);
            let those = |meets: fn(&PathPrefix, &CanonicalPath) -> bool| -> Vec<usize> {
                (0..rules.len()).filter(|number| meets(&rules[*number], &path)).collect()
            };
            let found = |found: Vec<usize>, depth: fn(&PathPrefix) -> usize| {
                assert!(found.is_sorted_by_key(|number| (depth(&rules[*number]), *number)), "{found:?}");
                let mut found = found;
                found.sort_unstable();
                found
            };
            let covering = found(index.covering(&path).collect(), |rule| rule.segments.len());
            prop_assert_eq!(covering, those(PathPrefix::covers));
            let may_cover = found(index.may_cover(&path).collect(), |rule| rule.loose.len());
            prop_assert_eq!(may_cover, those(PathPrefix::may_cover));
            let behind = found(index.may_cover_behind_a_script(&path).collect(), |rule| rule.behind.len());
            prop_assert_eq!(behind, those(PathPrefix::may_cover_behind_a_script));
        }
    }
}
