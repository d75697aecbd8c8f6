//! The documentation says what the code does: every key, its kind, its default and its example.

use std::{cell::RefCell, collections::BTreeSet};

use super::{Change, Default, Key, Kind, SECTIONS, Section};
use crate::{
    config::{section::ASKED, tests::read},
    server::NeedsRestart,
};

/// The smallest file that is valid, made of the examples, with more lines below the header of one section.
fn file(below: &Section, lines: &str) -> String {
    let mut text = String::new();
    // A section that is in another stands after it, and nothing stands twice.
    for section in SECTIONS {
        let wanted = section.path == below.path || section.path == "app.route" && below.parent() == "app.route";
        let required: Vec<_> = section.keys.iter().filter(|key| key.default == Default::Required).collect();
        // TLS is all or nothing, and there need be none.
        let tls = |section: &Section| section.path.starts_with("server.tls");
        if !wanted && (required.is_empty() || tls(section)) {
            continue;
        }
        text += &format!("{}\n", section.header());
        let is_written = |key: &Key| lines.lines().any(|line| line.starts_with(&format!("{} =", key.name)));
        for key in required.iter().filter(|key| !(section.path == below.path && is_written(key))) {
            text += &format!("{} = {}\n", key.name, at_hand(key.example));
        }
        if section.path == below.path {
            text += lines;
            text.push('\n');
        }
        if section.path == "server.tls.acme" && lines.contains("external_account") {
            for key in section.keys.iter().filter(|key| key.name.starts_with("external_account") && !is_written(key)) {
                text += &format!("{} = {}\n", key.name, at_hand(key.example));
            }
        }
        if section.path == "server.tls" {
            // What a pair consists of.
            for key in section.keys[..2].iter().filter(|key| !is_written(key)) {
                text += &format!("{} = {}\n", key.name, at_hand(key.example));
            }
        }
    }
    text
}

/// Where the tests keep files.
fn at_hand(value: &str) -> String {
    value
        .replace("/etc/schoolgate/apps-ca.pem", "$CREDENTIALS_DIRECTORY/ca.pem")
        .replace("/etc/schoolgate/tls/fullchain.pem", "$CREDENTIALS_DIRECTORY/tls.pem")
        .replace("$CREDENTIALS_DIRECTORY/acme.key", "$CREDENTIALS_DIRECTORY/session.key")
        .replace("/etc/schoolgate/tls/privkey.pem", "$CREDENTIALS_DIRECTORY/tls.key")
}

/// The line for a key, with what else the section must then have.
fn line(key: &Key, value: &str) -> String {
    let with = if value.starts_with("\"redis") {
        "\nencryption_key_file = \"$CREDENTIALS_DIRECTORY/session.key\""
    } else {
        ""
    };
    format!("{} = {}{with}", key.name, at_hand(value))
}

/// What the gateway would run on. Sets of headers are numbered anew at every reading.
fn settings(text: &str) -> Result<String, String> {
    let loaded = read(text).map_err(|problems| format!("{text}\n{problems}"))?;
    let shown = format!("{:?}", loaded.settings);
    // The folder of each reading has a name of its own.
    let begin = std::env::temp_dir().join(".tmp").display().to_string();
    let shown: String = shown.split(&begin).map(|part| part.trim_start_matches(char::is_alphanumeric)).collect();
    let mut parts = shown.split(", id: ");
    let first = parts.next().unwrap_or_default().to_owned();
    Ok(parts.fold(first, |whole, part| whole + part.trim_start_matches(|digit: char| digit.is_ascii_digit())))
}

fn every_key() -> impl Iterator<Item = (&'static Section, &'static Key)> {
    SECTIONS.iter().flat_map(|section| section.keys.iter().map(move |key| (section, key)))
}

#[test]
fn the_documented_keys_are_those_that_are_asked_for() {
    ASKED.with_borrow_mut(BTreeSet::clear);
    for (section, key) in every_key() {
        read(&file(section, &line(key, key.example))).unwrap();
    }
    let asked = ASKED.with(RefCell::take);
    let sections = SECTIONS.iter().map(|section| section.path.to_owned());
    let keys = every_key().map(|(section, key)| format!("{}.{}", section.path, key.name));
    let documented: BTreeSet<_> = sections.chain(keys).collect();
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect::<Vec<_>>();
    assert_eq!(only(&asked, &documented), [""; 0], "keys without documentation in src/config/keys");
    assert_eq!(only(&documented, &asked), [""; 0], "keys that are documented and that nobody asks for");
}

#[test]
fn every_example_is_taken_and_every_default_is_what_holds_without_the_key() {
    for (section, key) in every_key() {
        let name = format!("{}.{}", section.path, key.name);
        let with =
            |value: &str| settings(&file(section, &line(key, value))).unwrap_or_else(|why| panic!("{name}: {why}"));
        let example = with(key.example);
        let Default::Is(default) = key.default else { continue };
        let without = settings(&file(section, "")).unwrap();
        assert_eq!(with(default), without, "{name}: {default} is not what holds without it");
        if key.example != default {
            assert_ne!(example, without, "{name}: the example changes nothing");
        }
    }
}

#[test]
fn the_keys_that_take_a_restart_are_those_that_a_reload_leaves_alone() {
    for (section, key) in every_key() {
        let name = format!("{}.{}", section.path, key.name);
        let with = |lines: &str| read(&file(section, lines)).unwrap().settings;
        let left = with("").needs_restart(&with(&line(key, key.example)));
        assert_eq!(
            left.iter().any(|NeedsRestart(one)| *one == name),
            key.change == Change::Restart,
            "{name}: {left:?}"
        );
    }
}

#[test]
fn a_key_that_is_required_is_missed_and_no_other() {
    for (section, key) in every_key() {
        let text = file(section, "");
        let without: String = text
            .lines()
            .filter(|line| key.default != Default::Required || !line.starts_with(&format!("{} =", key.name)))
            .map(|line| line.to_owned() + "\n")
            .collect();
        assert_eq!(settings(&without).is_err(), key.default == Default::Required, "{}.{}", section.path, key.name);
    }
}

/// Values that a kind does not have, and values that it has whatever the key.
fn samples(kind: Kind) -> (Vec<String>, Vec<String>) {
    let (wrong, right): (&[&str], &[&str]) = match kind {
        Kind::Text => (&["1", "true", "[\"a\"]", "{}"], &[]),
        Kind::Texts => (&["\"a\"", "[1]", "true"], &["[]"]),
        Kind::TextOrTexts => (&["1", "[1]", "true"], &[]),
        Kind::OneOf(values) => {
            return (
                vec!["\"of_tomorrow\"".into(), "1".into()],
                values.iter().map(|(one, _)| format!("{one:?}")).collect(),
            );
        }
        Kind::Flag => (&["\"true\"", "1"], &["true", "false"]),
        Kind::Count => (&["0", "-1", "1.5", "\"1\"", "4294967296"], &["1", "4294967295"]),
        Kind::Duration => (&["30", "\"30\"", "\"1.5h\"", "\"30 s\""], &["\"0s\"", "\"1ms\"", "\"1m\""]),
        Kind::PositiveDuration => (&["30", "\"30\"", "\"0s\"", "\"00m\""], &["\"1ms\"", "\"1h\""]),
        Kind::Size => (&["100", "\"100\"", "\"100MB\"", "\"1 KiB\""], &["\"1024B\"", "\"1MiB\""]),
        Kind::Path => (&["1", "\"\"", "\"~/x\"", "\"$HOME/x\"", "\"$STATE_DIRECTORYx/y\""], &[]),
        Kind::Headers => (&["[\"X-A\"]", "{ X-A = 1 }", "\"X-A: a\""], &["{}", "{ X-A = \"a\" }"]),
    };
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    (owned(wrong), owned(right))
}

#[test]
fn every_key_takes_what_its_kind_says_and_nothing_else() {
    for (section, key) in every_key() {
        let name = format!("{}.{}", section.path, key.name);
        let (wrong, right) = samples(key.kind);
        for value in wrong {
            assert!(settings(&file(section, &line(key, &value))).is_err(), "{name} = {value} is taken");
        }
        // That there must be something to listen at, and somebody to believe, is said in words.
        let not_empty = |value: &String| value != "[]" || !matches!(key.name, "listen" | "issuers");
        // A scheme goes with the hosts of all apps.
        let alone = |value: &String| {
            // Who does not agree to the terms gets no certificate.
            !matches!((key.name, &**value), ("external_scheme", "\"http\"") | ("terms_of_service_agreed", "false"))
        };
        for value in right.iter().filter(|value| not_empty(value) && alone(value)) {
            settings(&file(section, &line(key, value))).unwrap_or_else(|why| panic!("{name} = {value}: {why}"));
        }
    }
}

/// Durations and sizes have a kind of their own.
#[test]
fn no_text_is_a_duration_a_size_or_a_closed_set_without_saying_so() {
    for (section, key) in every_key() {
        let Err(told) = settings(&file(section, &line(key, "\"of_tomorrow\""))) else { continue };
        let is = |said: &str| told.contains(said);
        let name = format!("{}.{}", section.path, key.name);
        assert_eq!(is("not a duration"), matches!(key.kind, Kind::Duration | Kind::PositiveDuration), "{name}");
        assert_eq!(is("not a size"), key.kind == Kind::Size, "{name}");
    }
}

#[test]
fn the_texts_are_sentences_and_name_documents_that_are_there() {
    let docs = SECTIONS.iter().map(|section| (section.path, section.doc));
    let docs: Vec<_> = docs.chain(every_key().map(|(_, key)| (key.name, key.doc))).collect();
    for (name, doc) in docs {
        assert!(
            doc.ends_with('.') && doc.starts_with(|first: char| first.is_uppercase() || first == '`'),
            "{name}: {doc}"
        );
        assert_eq!(doc.matches('`').count() % 2, 0, "{name}: {doc}");
        assert!(!doc.contains("  "), "{name}: {doc}");
        for (at, _) in doc.match_indices("docs/") {
            let path: String =
                doc[at..].chars().take_while(|letter| letter.is_alphanumeric() || "/-.".contains(*letter)).collect();
            let path = path.trim_end_matches('.');
            assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path).is_file(), "{name}: {path}");
        }
    }
}

#[test]
fn every_section_stands_after_the_one_that_it_is_in_and_nothing_stands_twice() {
    let mut seen = BTreeSet::from([String::new()]);
    for section in SECTIONS {
        assert!(seen.contains(section.parent()), "{} stands before {}", section.path, section.parent());
        assert!(seen.insert(section.path.to_owned()), "{} stands twice", section.path);
        for key in section.keys {
            assert!(
                seen.insert(format!("{}.{}", section.path, key.name)),
                "{}.{} stands twice",
                section.path,
                key.name
            );
        }
    }
}
