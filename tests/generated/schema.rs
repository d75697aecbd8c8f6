//! The JSON schema: what an editor says of files, good and bad.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use jsonschema::Validator;
use schoolgate::config::keys::{Default, Key, Kind, SECTIONS};
use serde_json::Value;

/// The schema as the program prints it, which needs no configuration.
pub(crate) fn printed() -> String {
    let program = env!("CARGO_BIN_EXE_schoolgate");
    let output = Command::new(program).args(["check", "--schema", "--config", "/nowhere"]).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&printed()).unwrap();
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::draft7::new(&schema).unwrap()
}

/// What is wrong with a file, and where.
fn faults(validator: &Validator, text: &str) -> Vec<String> {
    let file: toml::Table = toml::from_str(text).unwrap();
    let file = serde_json::to_value(file).unwrap();
    validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn example() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.toml.example")).unwrap()
}

#[test]
fn the_example_obeys_the_schema_that_its_first_line_names() {
    let example = example();
    assert_eq!(example.lines().next(), Some("#:schema /usr/share/schoolgate/gateway.schema.json"));
    assert_eq!(faults(&validator(), &example), [""; 0]);
}

/// What stands behind a `#` is the default, where there is one that can be written.
#[test]
fn the_example_shows_every_key_and_its_default() {
    let mut missing: BTreeSet<_> =
        SECTIONS.iter().flat_map(|one| one.keys.iter().map(|key| format!("{}.{}", one.path, key.name))).collect();
    let mut section = None;
    for line in example().lines() {
        let written = line.trim_start_matches('#').trim_start();
        if let Some(found) = SECTIONS.iter().find(|one| one.header() == written) {
            section = Some(found);
            continue;
        }
        let Some((name, value)) = written.split_once(" = ") else { continue };
        let Some(section) = section else { continue };
        let Some(key) = section.keys.iter().find(|key| key.name == name) else { continue };
        missing.remove(&format!("{}.{name}", section.path));
        let value = value.split("  #").next().unwrap().trim();
        if let (true, Default::Is(default)) = (line.starts_with('#'), key.default) {
            let is_example = default == "[]";
            assert!(value == default || is_example, "{}: {line}, but {default} is the default", section.path);
        }
    }
    assert!(missing.is_empty(), "gateway.toml.example does not show {missing:?}");
}

/// A file with every key, each with its example.
fn everything() -> String {
    let line = |key: &Key| format!("{} = {}\n", key.name, key.example);
    SECTIONS.iter().map(|one| format!("{}\n{}", one.header(), one.keys.iter().map(line).collect::<String>())).collect()
}

#[test]
fn a_file_with_every_key_obeys_the_schema() {
    assert_eq!(faults(&validator(), &everything()), [""; 0]);
}

#[test]
fn the_schema_refuses_an_unknown_key_in_every_section_and_in_the_file() {
    let validator = validator();
    let refuses = |text: &str| {
        let faults = faults(&validator, text);
        assert!(faults.len() == 1 && faults[0].contains("of_tomorrow"), "{text}\n{faults:?}");
    };
    refuses(&format!("of_tomorrow = 1\n{}", everything()));
    refuses(&format!("{}[of_tomorrow]\n", everything()));
    for section in SECTIONS {
        let header = format!("{}\n", section.header());
        refuses(&everything().replacen(&header, &format!("{header}of_tomorrow = true\n"), 1));
    }
}

#[test]
fn the_schema_refuses_values_of_a_wrong_type_or_form_for_every_key() {
    let validator = validator();
    for section in SECTIONS {
        for key in section.keys {
            let wrong: &[&str] = match key.kind {
                Kind::Text => &["1", "true", "[\"a\"]", "{}"],
                Kind::Texts => &["1", "\"a\"", "[1]", "{}"],
                Kind::TextOrTexts => &["1", "[1]", "{}"],
                Kind::OneOf(_) => &["1", "\"of_tomorrow\"", "\"\""],
                Kind::Flag => &["1", "\"true\""],
                Kind::Count => &["0", "1.5", "\"1\"", "4294967296"],
                Kind::Duration => &["30", "\"30\"", "\"1.5h\"", "\"30 s\"", "\"\"", "\"1h30m\""],
                Kind::PositiveDuration => &["30", "\"30\"", "\"0s\"", "\"00ms\"", "\"30s \""],
                Kind::Size => &["100", "\"100\"", "\"100MB\"", "\"KiB\"", "\"1kib\""],
                Kind::Path => &["1", "\"\"", "\"~/x\"", "\"$HOME/x\"", "\"$STATE_DIRECTORYx/y\"", "[\"a\"]"],
                Kind::Headers => &["[\"X-A\"]", "{ X-A = 1 }", "\"X-A: a\""],
            };
            for value in wrong {
                let header = format!("{}\n", section.header());
                let (before, after) =
                    everything().split_once(&header).map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
                let line = format!("{} = {}\n", key.name, key.example);
                let after = after.replacen(&line, &format!("{} = {value}\n", key.name), 1);
                let faults = faults(&validator, &format!("{before}{header}{after}"));
                let at = |fault: &String| fault.split(':').next().unwrap().contains(&format!("/{}", key.name));
                assert!(!faults.is_empty() && faults.iter().all(at), "{} = {value}: {faults:?}", key.name);
            }
        }
    }
}

#[test]
fn the_schema_misses_what_is_required() {
    let validator = validator();
    assert_eq!(faults(&validator, "").len(), 2, "apple and app");
    for section in SECTIONS {
        for key in section.keys.iter().filter(|key| key.default == Default::Required) {
            let header = format!("{}\n", section.header());
            let whole = everything();
            let (before, after) = whole.split_once(&header).unwrap();
            let line = format!("{} = {}\n", key.name, key.example);
            let text = format!("{before}{header}{}", after.replacen(&line, "", 1));
            let faults = faults(&validator, &text);
            assert!(faults.len() == 1 && faults[0].contains(key.name), "{}: {faults:?}", key.name);
        }
    }
}

/// What the documents show is part of a file, so that nothing is required of it.
#[test]
fn what_the_documents_show_of_the_file_obeys_the_schema() {
    let mut schema: Value = serde_json::from_str(&printed()).unwrap();
    require_nothing(&mut schema);
    let validator = jsonschema::draft7::new(&schema).unwrap();
    let (mut shown, mut wrong) = (0, String::new());
    for path in
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap().map(|entry| entry.unwrap().path())
    {
        if path.extension().is_none_or(|extension| extension != "md") || path.ends_with("configuration.md") {
            continue;
        }
        for part in fs::read_to_string(&path).unwrap().split("```toml\n").skip(1) {
            let text = part.split("```").next().unwrap();
            let faults = faults(&validator, text);
            if !faults.is_empty() {
                wrong += &format!("{}: {faults:?}\n{text}\n", path.display());
            }
            shown += 1;
        }
    }
    assert!(wrong.is_empty() && shown > 5, "{shown}\n{wrong}");
}

fn require_nothing(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.remove("required");
            map.values_mut().for_each(require_nothing);
        }
        Value::Array(items) => items.iter_mut().for_each(require_nothing),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
