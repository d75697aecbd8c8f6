//! The book in `docs/`: every link leads somewhere, every page is in the table of contents, and every test that a page names
//! is there.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A page, and what stands in it outside fences.
struct Page {
    path: PathBuf,
    text: String,
}

impl Page {
    fn of(path: PathBuf) -> Self {
        let mut in_fence = false;
        let text = fs::read_to_string(&path).unwrap();
        let outside = |line: &&str| {
            let is_fence = line.trim_start().starts_with("```");
            in_fence ^= is_fence;
            !in_fence && !is_fence
        };
        let text = text.lines().filter(outside).collect::<Vec<_>>().join("\n");
        Self { path, text }
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// Text and target of each link that leads to no other site.
    fn links(&self) -> Vec<(&str, &str)> {
        let links = self.text.match_indices("](").filter_map(|(at, _)| {
            let text = self.text[..at].rsplit('[').next()?;
            Some((text, self.text[at + 2..].split(')').next()?))
        });
        links.filter(|(_, target)| !target.contains("://")).collect()
    }

    /// The anchors of its headings.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        for heading in self.text.lines().filter(|line| line.starts_with('#')) {
            let first = anchor(heading);
            let further = (1..).map(|number| format!("{first}-{number}"));
            let free = [first.clone()].into_iter().chain(further).find(|one| !anchors.contains(one));
            anchors.extend(free);
        }
        anchors
    }
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim();
    // Of a link only its text counts.
    let title: String = title.split("](").map(|part| part.split_once(')').map_or(part, |(_, rest)| rest)).collect();
    let kept = title.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

fn pages_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => pages_in(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect()
}

fn book() -> Vec<Page> {
    pages_in(&root().join("docs")).into_iter().map(Page::of).collect()
}

#[test]
fn every_link_leads_to_a_file_and_to_a_heading() {
    let at_the_root = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path());
    let at_the_root = at_the_root.filter(|path| path.extension().is_some_and(|it| it == "md")).map(Page::of);
    let (mut links, mut dead) = (0, Vec::new());
    for page in at_the_root.chain(book()) {
        for (_, link) in page.links() {
            links += 1;
            let (file, place) = link.split_once('#').map_or((link, None), |(file, place)| (file, Some(place)));
            let target = if file.is_empty() { page.path.clone() } else { page.path.parent().unwrap().join(file) };
            if !target.exists() {
                dead.push(format!("{}: {link} leads nowhere", page.name()));
            } else if let Some(place) = place
                && !Page::of(target).anchors().contains(place)
            {
                dead.push(format!("{}: {link} leads to no heading", page.name()));
            }
        }
    }
    assert!(dead.is_empty(), "\n{}", dead.join("\n"));
    assert!(links > 100, "only {links} links");
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let contents = Page::of(root().join("docs/README.md"));
    let linked: BTreeSet<PathBuf> = contents
        .links()
        .iter()
        .filter_map(|(_, link)| root().join("docs").join(link.split('#').next().unwrap()).canonicalize().ok())
        .collect();
    let missing: Vec<String> = book()
        .iter()
        .filter(|page| page.path != contents.path && !linked.contains(&page.path.canonicalize().unwrap()))
        .map(Page::name)
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not link to {missing:?}");
}

/// A promise that names a test, as `[`name`](../tests/file.rs)`, has that test.
#[test]
fn every_test_that_a_page_links_to_is_there() {
    let mut named = 0;
    for page in book() {
        for (text, link) in page.links() {
            let Some(name) = text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else { continue };
            if !link.contains("tests/") {
                continue;
            }
            named += 1;
            let file = page.path.parent().unwrap().join(link);
            let tests = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {link}: {error}", page.name()));
            assert!(tests.contains(&format!("fn {name}(")), "{}: no test in {link} is called {name}", page.name());
        }
    }
    assert!(named > 20, "only {named} tests are named");
}

#[test]
fn anchors_are_those_of_github() {
    assert_eq!(anchor("## `GET /readyz`"), "get-readyz");
    assert_eq!(
        anchor("# Sessions: where they are kept, backup, and the key"),
        "sessions-where-they-are-kept-backup-and-the-key"
    );
    assert_eq!(anchor("### A host of its own for redirect_uri"), "a-host-of-its-own-for-redirect_uri");
}

/// What stands in a block of TOML has keys that there are, with values of their kind. Blocks show parts only, so that
/// nothing is missed. `configuration.md` shows lines without their sections, and is made of the table of keys.
#[test]
fn every_block_of_toml_has_keys_that_there_are() {
    let schema = fs::read_to_string(root().join("docs/gateway.schema.json")).unwrap();
    let mut schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    ask_for_nothing(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut blocks = 0;
    for path in pages_in(&root().join("docs")).into_iter().chain([root().join("README.md")]) {
        if path.ends_with("configuration.md") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for block in text.split("```toml\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()) {
            blocks += 1;
            let value: serde_json::Value =
                toml::from_str(block).unwrap_or_else(|error| panic!("{}: {error}\n{block}", path.display()));
            let wrong: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}\n{block}", path.display());
        }
    }
    assert!(blocks > 10, "only {blocks} blocks");
}

/// Takes every `required` out of a schema.
fn ask_for_nothing(schema: &mut serde_json::Value) {
    if let Some(object) = schema.as_object_mut() {
        object.retain(|name, value| name != "required" || !value.is_array());
    }
    let parts: Vec<&mut serde_json::Value> = match schema {
        serde_json::Value::Object(object) => object.values_mut().collect(),
        serde_json::Value::Array(list) => list.iter_mut().collect(),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => Vec::new(),
    };
    parts.into_iter().for_each(ask_for_nothing);
}
