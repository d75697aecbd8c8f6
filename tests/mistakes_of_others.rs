//! `docs/mistakes-of-others.md` promises a test for each mistake: here it is held to that. And whatever a test
//! says to be a published bypass must be told there.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    fs::read_to_string(root().join("docs/mistakes-of-others.md")).unwrap()
}

/// Every identifier in a text, as `cve-2020-1` and `ghsa-aaaa-bbbb-cccc`, however it is spelled: in names of tests
/// with underscores, and in the document with `CVE-2020-1, -2` for two of one year.
fn identifiers(text: &str) -> BTreeSet<String> {
    let text = text.to_ascii_lowercase().replace('_', "-");
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("cve-") {
        let Some((year, rest)) = text[at + 4..].split_once('-').filter(|(year, _)| is_number(year, 4)) else {
            continue;
        };
        let mut rest = rest;
        loop {
            let number = rest.split(|one: char| !one.is_ascii_digit()).next().unwrap_or_default();
            if !is_number(number, 4) {
                break;
            }
            found.insert(format!("cve-{year}-{number}"));
            match rest[number.len()..].strip_prefix(", -") {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    for (at, _) in text.match_indices("ghsa-") {
        if let Some(one) = text.get(at..at + 19)
            && one
                .split('-')
                .skip(1)
                .all(|part| part.len() == 4 && part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        {
            found.insert(one.to_owned());
        }
    }
    found
}

fn is_number(text: &str, least: usize) -> bool {
    text.len() >= least && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A line of a table that names tests.
struct Row {
    name: String,
    tests: String,
}

/// Lines with four cells; those with fewer say why there is no test.
fn rows() -> Vec<Row> {
    let cells = |line: &str| line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    let lines: Vec<Vec<String>> = document().lines().filter(|line| line.starts_with("| ")).map(cells).collect();
    let rows = lines.into_iter().filter(|cells| cells.len() == 4 && cells[0] != "identifier" && cells[0] != "---");
    rows.map(|cells| Row { name: cells[0].clone(), tests: cells[3].clone() }).collect()
}

/// The files that the letters mean, as the document introduces them: "`tests/requests.rs` (R)", or "(R; more)".
fn letters() -> BTreeMap<String, PathBuf> {
    let document = document();
    let introduced = document.match_indices("`tests/").filter_map(|(at, _)| {
        let (file, rest) = document[at + 1..].split_once('`')?;
        let (letter, _) = rest.strip_prefix(" (")?.split_once(')')?;
        Some((letter.split(';').next()?.to_owned(), root().join(file)))
    });
    introduced.collect()
}

/// A file that a line names, and a part of the name of a test in it.
type Named = (PathBuf, Option<String>);

/// What a line names: "R", "R `a_target`, `the_app`" (both in R), "`tests/cli.rs`", "unit `web/path.rs`".
fn named(row: &Row, letters: &BTreeMap<String, PathBuf>) -> Vec<Named> {
    let mut named: Vec<Named> = Vec::new();
    for part in row.tests.split(", ") {
        let mut words = part.split(' ').map(|word| word.trim_matches('`')).peekable();
        let first = words.next().unwrap();
        let file = match letters.get(first) {
            Some(file) => file.clone(),
            None if first == "unit" => root().join("src").join(words.next().unwrap_or("a unit test has a file")),
            None if first.starts_with("tests/") => root().join(first),
            // Another one in the file before.
            None => {
                let (file, _) = named.last().unwrap_or_else(|| panic!("{}: {part:?} is in no file", row.name)).clone();
                named.push((file, Some(first.to_owned())));
                continue;
            }
        };
        named.push((file, words.next().map(str::to_owned)));
    }
    named
}

fn text_of(path: &Path) -> String {
    if !path.is_dir() {
        return fs::read_to_string(path).unwrap_or_default();
    }
    let files = fs::read_dir(path).unwrap().map(|entry| text_of(&entry.unwrap().path()));
    files.collect()
}

/// The tests of a file: of one with code, what follows it, and never what a file says of itself at its top.
fn tests_of(text: &str) -> String {
    let tests = text.split_once("#[cfg(test)]").map_or(text, |(_, tests)| tests);
    tests.lines().filter(|line| !line.starts_with("//!")).collect::<Vec<_>>().join("\n")
}

/// Names of the tests of a file; of one that has none of its own, the sentences that a macro makes tests of.
fn tests_in(text: &str) -> Vec<&str> {
    let mut lines = text.lines().map(str::trim);
    let mut names = Vec::new();
    while let Some(line) = lines.next() {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            let function = lines.by_ref().find_map(|line| line.split_once("fn "));
            names.extend(function.and_then(|(_, rest)| rest.split('(').next()));
        }
    }
    if names.is_empty() {
        let sentences = text.lines().filter_map(|line| line.strip_prefix("pub(crate) async fn "));
        names.extend(sentences.filter_map(|rest| rest.split('(').next()));
    }
    names
}

#[test]
fn every_test_that_the_document_names_is_there_and_bears_the_identifier() {
    let letters = letters();
    let mut wrong = Vec::new();
    for row in rows() {
        let wanted = identifiers(&row.name);
        let mut borne = BTreeSet::new();
        for (file, part) in named(&row, &letters) {
            let text = text_of(&file);
            if text.is_empty() {
                wrong.push(format!("{}: there is no {}", row.name, file.display()));
            }
            let bears: BTreeSet<_> = identifiers(&tests_of(&text)).intersection(&wanted).cloned().collect();
            match &part {
                Some(part) if !tests_in(&text).iter().any(|name| name.contains(part)) => {
                    wrong.push(format!("{}: no test in {} is called {part}", row.name, file.display()));
                }
                None if bears.is_empty() && file.starts_with(root().join("tests")) => {
                    wrong.push(format!("{}: nothing in {} bears it; name the test", row.name, file.display()));
                }
                Some(_) | None => {}
            }
            borne.extend(bears);
        }
        let without: Vec<_> = wanted.difference(&borne).collect();
        if !without.is_empty() {
            wrong.push(format!("{}: no test bears {without:?}", row.name));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(rows().len() > 60 && letters.len() >= 12, "{} {letters:?}", rows().len());
}

#[test]
fn every_identifier_that_a_test_bears_is_in_the_document() {
    let told = identifiers(&document());
    let mut untold = Vec::new();
    for folder in ["tests", "src"] {
        for file in sources(&root().join(folder)) {
            for one in identifiers(&fs::read_to_string(&file).unwrap()).difference(&told) {
                untold.push(format!("{one} in {}", file.display()));
            }
        }
    }
    assert!(untold.is_empty(), "\n{}", untold.join("\n"));
}

/// What stands against a mistake goes by a name, and names change.
#[test]
fn the_code_that_the_document_names_is_there() {
    let files: Vec<(PathBuf, BTreeSet<String>)> =
        sources(&root().join("src")).into_iter().map(|file| (file.clone(), words(&file))).collect();
    let document = document();
    let mut checked = 0;
    let mut missing = Vec::new();
    for name in document.split('`').skip(1).step_by(2) {
        let is_there = if name.ends_with(".rs") {
            root().join("src").join(name).is_file() || root().join(name).is_file()
        } else if name.contains("::") {
            files.iter().any(|(_, words)| name.split("::").all(|part| words.contains(part)))
        } else {
            continue;
        };
        checked += 1;
        if !is_there {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "docs/mistakes-of-others.md names what is not there: {missing:?}");
    assert!(checked > 60, "{checked}");
}

/// The names in a file without its tests, and those of the rooms that it is in.
fn words(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    let code = text.split_once("#[cfg(test)]\nmod tests {").map_or(&*text, |(code, _)| code);
    let place = file.strip_prefix(root()).unwrap().with_extension("");
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//")).chain(place.to_str());
    let words = lines.flat_map(|line| line.split(|one: char| !one.is_ascii_alphanumeric() && one != '_'));
    words.map(str::to_owned).collect()
}

#[test]
fn each_mistake_is_told_once() {
    let mut seen = BTreeMap::new();
    for row in rows() {
        for one in identifiers(&row.name) {
            if let Some(before) = seen.insert(one.clone(), row.name.clone()) {
                panic!("{one} is in {before:?} and in {:?}", row.name);
            }
        }
    }
}

#[test]
fn identifiers_are_found_in_every_spelling() {
    let found = |text: &str| identifiers(text).into_iter().collect::<Vec<_>>();
    assert_eq!(found("CVE-2026-2833, -2835, -10836 pingora"), ["cve-2026-10836", "cve-2026-2833", "cve-2026-2835"]);
    assert_eq!(
        found("fn cve_2026_48794_ghsa_328g_jx67_v94g_a_host"),
        ["cve-2026-48794", "ghsa-328g-jx67-v94g"],
        "in the name of a test"
    );
    assert!(found("CVE-20-1, ghsa-, CVE-2026-").is_empty());
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(sources(&path)),
            // This file has made-up ones.
            false if path.ends_with(file!()) => {}
            false if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
            false => {}
        }
    }
    found
}
