//! The log as an interface: every event in the source is in the list of `telemetry` and in `docs/logs.md`, with its levels
//! and its fields, and nothing else is there.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use schoolgate::telemetry::{EVENTS, Pace};

/// Fields that `docs/logs.md` tells of once.
const OF_EVERY_REQUEST: [&str; 4] = ["request_id", "trace_id", "client", "host"];

/// Fields that no line may have: they would name a person.
const OF_A_PERSON: [&str; 7] = ["subject", "sub", "email", "user", "person", "name", "whose"];

/// The levels and the fields of one event.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shape {
    levels: BTreeSet<String>,
    fields: BTreeSet<String>,
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The arguments of a macro that begins before `text`, split at its commas.
fn arguments(text: &str) -> Vec<String> {
    let (mut arguments, mut current) = (Vec::new(), String::new());
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for letter in text.chars() {
        let opens = !quoted && "([{".contains(letter);
        let closes = !quoted && ")]}".contains(letter);
        if closes && depth == 0 {
            break;
        }
        depth = depth + i32::from(opens) - i32::from(closes);
        if letter == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && letter == '\\' && !escaped;
        if letter == ',' && depth == 0 && !quoted {
            arguments.push(std::mem::take(&mut current));
        } else {
            current.push(letter);
        }
    }
    arguments.push(current);
    let trimmed = arguments.iter().map(|argument| argument.trim().to_owned());
    trimmed.filter(|argument| !argument.is_empty()).collect()
}

/// The name of a field, from `name = value`, `%name`, `?name` or `name`; words without a name are the message.
fn field(argument: &str) -> String {
    let argument = argument.trim_start_matches(['%', '?']);
    if argument.starts_with('"') {
        return "message".to_owned();
    }
    argument.chars().take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_').collect()
}

/// Every event that the source can write.
fn said() -> BTreeMap<String, Shape> {
    let mut paths = Vec::new();
    sources(Path::new("src"), &mut paths);
    let mut events: BTreeMap<String, Shape> = BTreeMap::new();
    for path in paths {
        let text = fs::read_to_string(&path).unwrap();
        for level in ["error", "warn", "info", "debug", "trace"] {
            for rest in text.split(&format!("tracing::{level}!(")).skip(1) {
                let arguments = arguments(rest);
                let name = arguments.iter().find_map(|argument| argument.strip_prefix("event = \"")?.strip_suffix('"'));
                let name = name.unwrap_or_else(|| panic!("{}: an event without a name: {arguments:?}", path.display()));
                let shape = events.entry(name.to_owned()).or_default();
                shape.levels.insert(level.to_owned());
                // Behind the words stands what is filled into them.
                let words = arguments.iter().position(|argument| argument.starts_with('"'));
                let arguments = &arguments[..words.map_or(arguments.len(), |at| at + 1)];
                let fields = arguments.iter().filter(|argument| !argument.starts_with("target:"));
                let fields = fields.map(|argument| field(argument));
                shape
                    .fields
                    .extend(fields.filter(|name| name != "event" && !OF_EVERY_REQUEST.contains(&name.as_str())));
            }
        }
        let bare = ["error!(", "warn!(", "info!(", "debug!(", "trace!(", "event!("];
        for name in bare {
            let all = text.matches(name).count();
            let ours = text.matches(&format!("tracing::{name}")).count();
            assert_eq!(all, ours, "{}: {name} by another name than tracing::{name}", path.display());
        }
    }
    // What the log says of itself goes around `tracing`.
    let of_itself =
        [("suppressed", "info", &["kind", "level_of_kind", "count"][..]), ("lines_lost", "warn", &["count"])];
    for (name, level, fields) in of_itself {
        let fields = fields.iter().map(|field| (*field).to_owned()).collect();
        events.insert(name.to_owned(), Shape { levels: BTreeSet::from([level.to_owned()]), fields });
    }
    events
}

/// The rows of the documentation: whether there is an asterisk, and the shape.
fn documented() -> BTreeMap<String, (bool, Shape)> {
    let text = fs::read_to_string("docs/logs.md").unwrap();
    let part = text.split_once("<!-- events -->").unwrap().1.split_once("<!-- end of events -->").unwrap().0;
    let mut rows = BTreeMap::new();
    for line in part.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = line.trim_matches('|').splitn(4, '|').map(str::trim).collect();
        let [name, levels, fields, meaning] = cells[..] else { panic!("{line}") };
        assert!(meaning.ends_with('.'), "no meaning: {line}");
        let list = |cell: &str| {
            cell.split(", ").map(|item| item.trim_matches('`').to_owned()).filter(|item| !item.is_empty()).collect()
        };
        let shape = Shape { levels: list(levels), fields: list(fields) };
        let limited = name.ends_with('*');
        let name = name.trim_end_matches([' ', '*']).trim_matches('`').to_owned();
        assert!(rows.insert(name, (limited, shape)).is_none(), "twice: {line}");
    }
    rows
}

#[test]
fn every_event_is_documented_with_its_levels_and_fields() {
    let (said, mut documented) = (said(), documented());
    assert!(said.len() > 70, "{}", said.len());
    for (name, shape) in said {
        let (limited, row) = documented.remove(&name).unwrap_or_else(|| panic!("{name} is not in docs/logs.md"));
        assert_eq!(row, shape, "{name} in docs/logs.md, and in the source");
        let event = EVENTS.iter().find(|event| event.name == name);
        let event = event.unwrap_or_else(|| panic!("{name} is not in src/telemetry/events.rs"));
        assert_eq!(limited, event.pace == Pace::Limited, "the asterisk of {name}");
    }
    assert!(documented.is_empty(), "only in docs/logs.md: {:?}", documented.keys());
}

#[test]
fn every_event_of_the_list_is_said_somewhere() {
    let said = said();
    for event in EVENTS {
        assert!(said.contains_key(event.name), "{} is said nowhere", event.name);
    }
    assert!(EVENTS.is_sorted_by_key(|event| event.name));
}

#[test]
fn no_line_names_a_person() {
    for (name, Shape { fields, .. }) in said() {
        for field in OF_A_PERSON {
            assert!(!fields.contains(field), "{name} has the field {field}");
        }
    }
}

/// A stranger is at the other end of everything that is limited; what the store or the credentials cause is not theirs.
#[test]
fn an_error_is_nothing_that_a_stranger_can_cause() {
    let fine = [
        "apple_call",
        "panicked",
        "record_unreadable",
        "store_unavailable",
        "revocation_lost",
        "store_failed",
        "certificate_expired",
        // The administrator has told the gateway to read its file.
        "reload_refused",
        "configuration_problem",
    ];
    for (name, Shape { levels, .. }) in said() {
        assert!(!levels.contains("error") || fine.contains(&name.as_str()) || name == "stand_in_keys_kept", "{name}");
    }
}

#[test]
fn the_request_is_always_known_by_the_same_names() {
    let text = fs::read_to_string("docs/logs.md").unwrap();
    for field in OF_EVERY_REQUEST {
        assert!(text.contains(&format!("| `{field}` |")), "{field}");
    }
}
