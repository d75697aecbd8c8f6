//! `docs/configuration.md`.

use std::{collections::BTreeSet, fs, path::Path};

use schoolgate::config::keys::{Key, Kind, SECTIONS, Section};

use super::words::{self, Piece, pieces};

/// Longest line.
const WIDTH: usize = 120;

/// All keys, to be read on GitHub.
pub(crate) fn configuration() -> String {
    let mut text = String::from("<!-- Made of src/config/keys by: UPDATE=1 cargo test --test generated -->\n\n");
    text += "# Configuration: every key of gateway.toml\n\n";
    text += &wrapped(
        "For whoever runs the gateway. `/etc/schoolgate/gateway.toml`, or what `--config` or `$SCHOOLGATE_CONFIG` names, \
         is a file in [TOML](https://toml.io). `gateway.toml.example` is one to begin with; this is what can stand in it.",
    );
    text += &wrapped(words::STRICT);
    text += &wrapped(words::CHANGES);
    text += &wrapped(words::EDITORS);
    for (what, sentences) in words::VALUES {
        text += &item(&format!("**{what}** {sentences}"));
    }
    text += "\n";
    text += &contents();
    for section in SECTIONS {
        text += &format!("\n## `{}`\n\n", section.header());
        text += &wrapped(section.doc);
        text += &section.keys.iter().map(|key| of_key(section, key)).collect::<Vec<_>>().join("\n");
    }
    format!("{}\n", text.trim_end())
}

/// All sections with their keys, as links.
fn contents() -> String {
    let mut text = String::from("| section | keys |\n|---|---|\n");
    for section in SECTIONS {
        let link = |key: &Key| format!("[{0}](#{1})", key.name, anchor(&title(section, key)));
        let keys: Vec<_> = section.keys.iter().map(link).collect();
        text += &format!("| [`{}`](#{}) | {} |\n", section.header(), anchor(&section.header()), keys.join(", "));
    }
    text
}

fn of_key(section: &Section, key: &Key) -> String {
    let mut text = format!("### `{}`\n\n", title(section, key));
    text += &wrapped(&format!("{}.", capital(&words::facts(key).join("; "))));
    text += &wrapped(key.doc);
    if let Kind::OneOf(values) = key.kind {
        text += &values.iter().map(|(value, meaning)| item(&format!("`\"{value}\"`: {meaning}."))).collect::<String>();
        text.push('\n');
    }
    text + &format!("```toml\n{} = {}\n```\n", key.name, key.example)
}

/// Keys of several sections have one name, and each heading is to have an address of its own.
fn title(section: &Section, key: &Key) -> String {
    format!("{}.{}", section.path, key.name)
}

/// The address of a heading, as GitHub makes it.
fn anchor(title: &str) -> String {
    title
        .chars()
        .filter(|letter| letter.is_alphanumeric() || "-_ ".contains(*letter))
        .collect::<String>()
        .replace(' ', "-")
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn item(text: &str) -> String {
    let lines = wrapped(text);
    let indented: Vec<_> = lines.trim_end().lines().map(|line| format!("  {line}")).collect();
    format!("- {}\n", indented.join("\n").trim_start())
}

/// A paragraph in lines, with its links. What stands in backquotes may be broken at a space, as Markdown allows.
fn wrapped(text: &str) -> String {
    let linked: String = pieces(text)
        .iter()
        .map(|piece| match piece {
            Piece::Plain(plain) => (*plain).to_owned(),
            Piece::Code(code) => format!("`{code}`"),
            Piece::Document(name) => format!("[{name}]({name})"),
        })
        .collect();
    let (mut lines, mut line) = (String::new(), String::new());
    for word in linked.split_whitespace() {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > WIDTH - 4 {
            lines += &format!("{line}\n");
            line.clear();
        }
        line = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
    }
    format!("{lines}{line}\n\n")
}

/// Links of all documents to this one, and its own to its sections.
#[test]
fn every_link_to_a_key_leads_to_one() {
    let headings: BTreeSet<String> = configuration()
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches(['#', ' '])))
        .collect();
    let mut links = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap() {
        let path = entry.unwrap().path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".md")) else {
            continue;
        };
        let start = if name == "configuration.md" { "](#" } else { "](configuration.md#" };
        for link in fs::read_to_string(&path).unwrap().split(start).skip(1) {
            let link = link.split(')').next().unwrap();
            assert!(headings.contains(link), "{name}: #{link}");
            links += 1;
        }
    }
    assert!(links > 60, "{links}");
}
