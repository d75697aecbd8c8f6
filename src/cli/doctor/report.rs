//! The findings, for people and for programs.

use std::io::{self, IsTerminal};

use super::finding::{Finding, State};
use crate::cli::{describe, output};

/// The findings as text: one line each, the cure below.
pub(super) fn text(findings: &[Finding], colours: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let Finding { id, state, about, what, cure } = finding;
        let about = about.as_ref().map(|about| format!("{}: ", output::harmless(about))).unwrap_or_default();
        text.push_str(&format!("{} {}: {about}{}\n", word(*state, colours), id.name(), output::harmless(what)));
        if let Some(cure) = cure {
            text.push_str(&format!("          = {}\n", output::harmless(cure)));
        }
    }
    text.push('\n');
    text.push_str(&summary(findings));
    text
}

/// The findings as a JSON array.
pub(super) fn json(findings: &[Finding]) -> String {
    output::harmless_json(&serde_json::to_string_pretty(findings).unwrap_or_default())
}

/// Whether colours are wanted (<https://no-color.org>).
pub(super) fn wants_colours(no_color: Option<&str>) -> bool {
    io::stdout().is_terminal() && no_color.is_none_or(str::is_empty)
}

fn summary(findings: &[Finding]) -> String {
    let number = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (problems, warnings) = (number(State::Problem), number(State::Warning));
    match (problems, warnings) {
        (0, 0) => format!("all is well: {}", describe::count("finding", findings.len())),
        _ => format!("{}, {}", describe::count("problem", problems), describe::count("warning", warnings)),
    }
}

fn word(state: State, colours: bool) -> String {
    let (word, colour) = match state {
        State::Ok => ("ok", "32"),
        State::Note => ("note", "36"),
        State::Warning => ("warning", "33"),
        State::Problem => ("problem", "31"),
    };
    if colours { format!("\u{1b}[{colour}m{word:<8}\u{1b}[0m") } else { format!("{word:<8}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::Id;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::well(Id::AppleKeys, "3 keys"),
            Finding::ill(Id::UpstreamUnreachable, "refused\u{1b}[2J", "start it").about("a\nb"),
            Finding::ill(Id::StoreForgets, "x", "y"),
        ]
    }

    #[test]
    fn each_finding_has_a_line_and_its_cure_another() {
        assert_eq!(
            text(&findings(), false),
            "ok       apple-keys: 3 keys\n\
             problem  upstream-unreachable: a�b: refused�[2J\n          = start it\n\
             warning  store-forgets: x\n          = y\n\n\
             1 problem, 1 warning"
        );
        assert!(text(&findings()[..1], false).ends_with("\n\nall is well: 1 finding"));
    }

    #[test]
    fn colours_are_around_the_state_alone() {
        let coloured = text(&findings(), true);
        assert!(coloured.contains("\u{1b}[31mproblem \u{1b}[0m upstream-unreachable"), "{coloured:?}");
        assert_eq!(coloured.matches('\u{1b}').count(), 6);
    }

    #[test]
    fn json_has_the_same_members_for_every_finding() {
        let read: serde_json::Value = serde_json::from_str(&json(&findings())).unwrap();
        assert_eq!(
            read[0],
            serde_json::json!({"id": "apple-keys", "state": "ok", "about": null, "what": "3 keys", "cure": null})
        );
        assert_eq!(read[1]["about"], "a\nb");
        assert_eq!(read[1]["what"], "refused\u{1b}[2J");
    }
}
