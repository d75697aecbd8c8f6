//! A page of `docs/` and the blocks in it, which tests run as they are printed.

use std::{collections::BTreeMap, path::PathBuf};

/// Stands above a block that is tested, with a name.
const TESTED: &str = "<!-- tested as ";

/// Stands above a block that is not.
const NOT_TESTED: &str = "<!-- not tested -->";

/// A page.
pub struct Document {
    name: String,
    blocks: BTreeMap<String, String>,
}

impl Document {
    /// By its path from the root of the repository. Fails for a block that does not say whether it is tested.
    pub fn of(name: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name);
        let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut blocks = BTreeMap::new();
        let (mut above, mut lines) = ("", text.lines());
        while let Some(line) = lines.next() {
            if line.trim_start().starts_with("```") {
                let block: String =
                    lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
                match above.strip_prefix(TESTED).and_then(|rest| rest.strip_suffix(" -->")) {
                    Some(one) => assert!(blocks.insert(one.to_owned(), block).is_none(), "{name}: {one} stands twice"),
                    None => assert_eq!(above, NOT_TESTED, "{name}: does not say whether it is tested: {block}"),
                }
            }
            above = line;
        }
        Self { name: name.to_owned(), blocks }
    }

    /// The block that says that it is tested under this name.
    pub fn block(&self, name: &str) -> &str {
        self.blocks.get(name).unwrap_or_else(|| panic!("{} has no block {name:?}", self.name))
    }

    /// The names of all blocks that say that they are tested.
    pub fn names(&self) -> Vec<&str> {
        self.blocks.keys().map(String::as_str).collect()
    }

    /// A block with what the test puts in the place of something of the reader's, all of which must stand in it.
    pub fn filled(&self, name: &str, places: &[(&str, &str)]) -> String {
        places.iter().fold(self.block(name).to_owned(), |text, (said, instead)| {
            assert!(text.contains(said), "{}: {name:?} does not say {said:?}", self.name);
            text.replace(said, instead)
        })
    }
}
