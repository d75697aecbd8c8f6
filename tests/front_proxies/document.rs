//! The configurations as `docs/forward-auth.md` prints them.

use std::collections::BTreeMap;

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/forward-auth.md");

/// Stands above a block that is tested, with a name.
const TESTED: &str = "<!-- tested as ";

/// Stands above a block that is not.
const NOT_TESTED: &str = "<!-- not tested -->";

/// All blocks that are said to be tested, by name. Fails for a block that says neither.
pub(crate) fn blocks() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(DOCUMENT).unwrap();
    let mut blocks = BTreeMap::new();
    let (mut above, mut lines) = ("", text.lines());
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            match above.strip_prefix(TESTED).and_then(|rest| rest.strip_suffix(" -->")) {
                Some(name) => assert!(blocks.insert(name.to_owned(), block).is_none(), "{name} stands twice"),
                None => assert_eq!(above, NOT_TESTED, "a block does not say whether it is tested: {block}"),
            }
        }
        above = line;
    }
    blocks
}

/// One block.
pub(crate) fn block(name: &str) -> String {
    blocks().remove(name).unwrap_or_else(|| panic!("docs/forward-auth.md has no block `{name}`"))
}
