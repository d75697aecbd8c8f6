//! That a request becomes no dearer in silence: how `make count` judges its figures, and that the change log has a word of
//! those that are kept.
#![allow(
    clippy::unwrap_used,
    unreachable_pub,
    reason = "a test fails by panicking; the guard is of a program of its own"
)]

#[path = "../benches/count/guard.rs"]
mod guard;

use std::fs;

use guard::{Figures, Kept, compare, read, unsaid, write};

const KIND: &str = "instructions";

fn figures(figure: f64) -> Figures {
    Figures::from([("public".to_owned(), figure)])
}

fn kept(figure: f64) -> Kept {
    Kept::from([(KIND.to_owned(), figures(figure))])
}

#[test]
fn a_figure_that_has_grown_by_more_than_5_percent_fails() {
    let verdict = compare(KIND, &figures(105_001.0), &kept(100_000.0));
    assert_eq!(verdict.failures.len(), 1);
    assert!(verdict.failures[0].contains("CHANGELOG.md"), "it says what to do: {}", verdict.failures[0]);
    assert!(verdict.hints.is_empty());
}

#[test]
fn a_figure_within_5_percent_passes_in_silence() {
    for figure in [95_001.0, 100_000.0, 104_999.0] {
        assert_eq!(compare(KIND, &figures(figure), &kept(100_000.0)), guard::Verdict::default(), "{figure}");
    }
}

#[test]
fn a_figure_that_has_shrunk_passes_and_asks_to_be_kept() {
    let verdict = compare(KIND, &figures(94_999.0), &kept(100_000.0));
    assert!(verdict.failures.is_empty());
    assert!(verdict.hints[0].contains("UPDATE=1"), "{verdict:?}");
}

#[test]
fn a_figure_that_is_not_kept_fails() {
    assert_eq!(compare("system-calls", &figures(9.0), &kept(100_000.0)).failures.len(), 1);
    assert_eq!(compare(KIND, &figures(9.0), &Kept::new()).failures.len(), 1);
}

#[test]
fn a_kept_figure_that_has_grown_needs_a_word_in_the_change_log() {
    let log = "- Instructions of a request (`make count`): bare 9, public 100,000,\n  and others.\n";
    assert_eq!(unsaid(&kept(104_999.0), log), Vec::<String>::new());
    assert_eq!(unsaid(&kept(9.0), log), Vec::<String>::new());
    let said = unsaid(&kept(105_001.0), log);
    assert!(said[0].contains("100000") && said[0].contains("public 105001"), "{said:?}");
}

#[test]
fn the_newest_word_of_a_figure_counts() {
    let log = "- Instructions of a request (`make count`): public 120,000, because of\n  a check.\n\n## Older\n\n\
               - Instructions of a request (`make count`): public 100,000.\n";
    assert!(unsaid(&kept(110_000.0), log).is_empty());
    let log = "- Instructions of a request (`make count`): public 100,000.\n- Instructions of a request (`make count`): public 120,000.\n";
    assert_eq!(unsaid(&kept(110_000.0), log).len(), 1);
}

#[test]
fn words_of_something_else_are_none() {
    for log in [
        "",
        "- public 100,000\n",
        "- System calls of a request (`make count`): public 100,000.\n",
        "- Instructions of a request (`make count`): bare 100,000.\n",
        "Instructions of a request (`make count`): public 100,000.\n",
        "- Instructions of a request (`make count`): bare 9.\n\n  public 100,000\n",
    ] {
        assert_eq!(unsaid(&kept(100_000.0), log).len(), 1, "{log}");
    }
}

#[test]
fn figures_are_read_as_they_are_written() {
    let kept = Kept::from([(KIND.to_owned(), figures(123_456.0)), ("system-calls".to_owned(), figures(11.5))]);
    let text = write("# What.\n# More.\n\n[old]\nx = 1\n", &kept);
    assert!(text.starts_with("# What.\n# More.\n\n[instructions]\npublic = 123456\n\n[system-calls]\n"), "{text}");
    assert_eq!(read(&text).unwrap(), kept);
}

#[test]
fn the_change_log_has_a_word_of_each_kept_figure() {
    let file = |name| fs::read_to_string(format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let kept = read(&file("benches/count/expected.toml")).unwrap();
    assert!(!kept.is_empty());
    assert_eq!(unsaid(&kept, &file("CHANGELOG.md")), Vec::<String>::new());
}
