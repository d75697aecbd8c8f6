//! Lines that are no TOML: what was probably meant, and how it is written.
//!
//! The parser says what it expected, in its own words. What to write instead is found by a look at the line, for the
//! slips that people make who do not write TOML every day.

use toml::de::Error;

use super::report::Report;

/// Most faults that are looked at closely. Whoever has more has another kind of file.
const CLOSELY: usize = 20;

/// Quotation marks of word processors.
const CURLY: [char; 9] = ['“', '”', '„', '‟', '‘', '’', '‚', '«', '»'];

/// Says what is wrong with a text that is no TOML.
pub(super) fn tell(text: &str, errors: &[Error], report: &Report<'_>) {
    let mut is_open = false;
    for (index, error) in errors.iter().enumerate() {
        let at = error.span().map_or(text.len(), |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[start..].lines().next().unwrap_or_default().trim();
        let is_fine = index < CLOSELY && !line.is_empty() && !line.starts_with('#') && is_toml(line);
        if is_fine && is_open {
            // Only what stands above is wrong, and was told.
            continue;
        }
        let cure = if index >= CLOSELY {
            usual()
        } else if !is_fine {
            of_line(line)
        } else if stands_in(line, &text[..start]) {
            "remove one of the two: a key stands once in its section, and a section once in the file, unless it is \
             [[app]] or [[app.route]]"
                .into()
        } else {
            is_open = index == 0;
            "look at the lines above: a list or a text there is not closed".into()
        };
        report.syntax(error.span(), error.message(), cure);
    }
}

fn is_toml(text: &str) -> bool {
    toml::from_str::<toml::Table>(text).is_ok()
}

/// Whether the text has a line with the same key, or the same header.
fn stands_in(line: &str, text: &str) -> bool {
    let name = |line: &str| line.split('=').next().unwrap_or_default().trim().trim_matches(['[', ']']).to_owned();
    let sought = name(line);
    text.lines().any(|other| name(other) == sought)
}

/// What to write in the place of a line. Nothing of its value is repeated: it may be a password.
fn of_line(line: &str) -> String {
    if line.contains(CURLY) {
        return "write straight quotation marks: \"…\"".into();
    }
    if line.starts_with('[') {
        let name: String = line.trim_start_matches('[').chars().take_while(|letter| is_of_key(*letter)).collect();
        let count = if line.starts_with("[[") { 2 } else { 1 };
        return format!("write {}{name}{} on a line of its own", "[".repeat(count), "]".repeat(count));
    }
    let key: String = line.chars().take_while(|letter| is_of_key(*letter)).take(64).collect();
    let rest = line.get(key.len()..).unwrap_or_default().trim_start();
    match rest.strip_prefix('=') {
        _ if key.is_empty() => usual(),
        Some(value) => of_value(&key, value.trim()),
        None if rest.starts_with([':', '"', '\'', '[']) => format!("write an equals sign after the key: {key} = …"),
        None => usual(),
    }
}

fn of_value(key: &str, value: &str) -> String {
    let count = |letter| value.matches(letter).count();
    if value.is_empty() {
        "write a value after the equals sign, or remove the line".into()
    } else if value.starts_with('"') {
        if value.contains('\\') {
            "write \\\\ for a backslash, or put the text in single quotes".into()
        } else if count('"') % 2 == 1 {
            "close the text with a double quote".into()
        } else {
            format!("write one text, or several as a list: {key} = [\"…\", \"…\"]")
        }
    } else if value.starts_with('[') {
        if count('[') > count(']') {
            "close the list with ]".into()
        } else {
            format!("put each text in double quotes, and commas between them: {key} = [\"…\", \"…\"]")
        }
    } else if value.starts_with('{') {
        format!("write names and texts with commas between them: {key} = {{ NAME = \"…\", OTHER = \"…\" }}")
    } else if ["true", "false", "yes", "no", "on", "off"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
        format!("write {key} = true or {key} = false, in small letters and without quotes")
    } else {
        format!("put the text in double quotes: {key} = \"…\"")
    }
}

fn usual() -> String {
    "write key = value, texts in double quotes, lists in [ ], each key once in its [section], [[app]] and [[app.route]] in \
     double brackets"
        .into()
}

fn is_of_key(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "_-.".contains(letter)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::from_text;

    /// Each fault with its line and its cure; those of the values of a file that is fine so far are left out.
    fn told(text: &str) -> Vec<(usize, String)> {
        let problems = from_text(Path::new("gateway.toml"), text, &|_| None).unwrap_err();
        let syntax = problems.iter().filter(|problem| problem.message.contains("does not read as TOML"));
        syntax.map(|problem| (problem.line, problem.cure.clone())).collect()
    }

    #[test]
    fn the_usual_slips_have_a_cure_of_their_own() {
        for (line, cure) in [
            ("listen = 127.0.0.1:8080", "put the text in double quotes: listen = \"…\""),
            ("external_scheme = https", "put the text in double quotes: external_scheme = \"…\""),
            ("idle_timeout = 60s", "put the text in double quotes: idle_timeout = \"…\""),
            ("listen = [“127.0.0.1:8080”]", "write straight quotation marks"),
            ("listen = [127.0.0.1:8080]", "put each text in double quotes"),
            ("listen = [\"a\" \"b\"]", "commas between them: listen = [\"…\", \"…\"]"),
            ("listen = [\"a\"", "close the list with ]"),
            ("state_dir = \"/var", "close the text with a double quote"),
            ("state_dir = \"C:\\data\"", "write \\\\ for a backslash"),
            ("state_dir = \"a\" \"b\"", "several as a list: state_dir = [\"…\", \"…\"]"),
            ("state_dir =", "write a value after the equals sign"),
            ("state_dir \"/var\"", "an equals sign after the key: state_dir = …"),
            ("state_dir: \"/var\"", "an equals sign after the key: state_dir = …"),
            ("pkce = yes", "write pkce = true or pkce = false"),
            ("pkce = True", "in small letters"),
            ("headers = { X-A = \"a\", X-B \"b\" }", "headers = { NAME = \"…\", OTHER = \"…\" }"),
            ("[apple", "write [apple] on a line of its own"),
            ("[[app]", "write [[app]] on a line of its own"),
            ("[app.route]]", "write [app.route] on a line of its own"),
            ("[server]", "remove one of the two"),
            ("listen = []\nlisten = []", "remove one of the two"),
            ("<server>", "write key = value"),
            ("{\"server\": 1}", "write key = value"),
        ] {
            let told = told(&format!("[server]\n{line}\n"));
            assert!(told.len() == 1 && told[0].1.contains(cure), "{line}\n{told:#?}");
            assert_eq!(told[0].0, 1 + line.lines().count(), "{line}");
        }
    }

    #[test]
    fn a_list_that_is_not_closed_is_told_once_and_not_at_every_line_below() {
        let told = told("[server]\nlisten = [\"127.0.0.1:8080\"\n\n[apple]\nclient_id = \"x\"\nteam_id = \"y\"\n");
        assert!(told.len() == 1 && told[0].0 == 4 && told[0].1.contains("is not closed"), "{told:#?}");
    }

    #[test]
    fn nothing_of_a_value_is_repeated_in_a_cure() {
        for line in ["store = redis://:hunter2@db", "store = \"redis://:hunter2@db", "store = [redis://:hunter2@db]"] {
            let told = told(&format!("[session]\n{line}\n"));
            assert!(told.len() == 1 && !told[0].1.contains("hunter2"), "{told:#?}");
        }
    }
}
