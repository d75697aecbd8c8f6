//! The one place that writes to the terminal.

use std::io::{self, Write};

/// Writes to stdout. A reader that has gone away (`schoolgate check | head`) is no error.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{}", text.trim_end_matches('\n'));
}

/// Writes to stderr.
pub(super) fn complain(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{}", text.trim_end_matches('\n'));
}

/// Lays rows out in columns. The last column is as wide as it wants.
pub(super) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let line = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// One row whose cells have several lines, as rows of one line each.
pub(super) fn stacked<const N: usize>(cells: &[Vec<String>]) -> Vec<[String; N]> {
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let line =
        |cell: usize, index: usize| cells.get(cell).and_then(|cell| cell.get(index)).cloned().unwrap_or_default();
    (0..height).map(|index| std::array::from_fn(|cell| line(cell, index))).collect()
}

/// A text from elsewhere for a terminal: what could move the cursor, turn the reading direction round or hide
/// something is shown as a replacement character.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|letter| if is_treacherous(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// The same for JSON, where such a character can be written as an escape and keeps its meaning. Line ends
/// outside texts stay.
pub(super) fn harmless_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter == '\n' || !is_treacherous(letter) {
            shown.push(letter);
        } else {
            shown.extend(letter.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    shown
}

/// Control characters (C0 and C1, which terminals obey), and what Unicode formats with.
fn is_treacherous(letter: char) -> bool {
    let formats = matches!(letter,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    letter.is_control() || formats
}

/// The beginning of a text, with a mark when there is more of it.
pub(super) fn fitted(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        assert_eq!(columns(&[row("HOST", "X"), row("é", "yes"), row("", "")]), "HOST  X\né     yes\n\n");
        assert_eq!(columns::<2>(&[]), "");
    }

    #[test]
    fn a_row_is_as_high_as_its_highest_cell() {
        let cell = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let rows = stacked::<2>(&[cell(&["a"]), cell(&["b", "c"])]);
        assert_eq!(rows, [["a".to_owned(), "b".into()], [String::new(), "c".into()]]);
        assert!(stacked::<2>(&[Vec::new(), Vec::new()]).is_empty());
    }

    /// What somebody could want a terminal to do.
    const EVIL: &str = "a\u{1b}[2J\u{9b}31m\u{7}\r\n\u{202e}b\u{200b}\u{7f}\u{e0041}";

    #[test]
    fn nothing_that_a_terminal_obeys_gets_through() {
        assert_eq!(harmless(EVIL), "a�[2J�31m����b���");
        assert_eq!(harmless("Zoë 王 😀 \u{301}"), "Zoë 王 😀 \u{301}");
    }

    #[test]
    fn json_keeps_its_meaning_without_anything_that_a_terminal_obeys() {
        let value = serde_json::json!([EVIL, "Zoë 😀"]);
        let shown = harmless_json(&serde_json::to_string_pretty(&value).unwrap());
        assert!(!shown.chars().any(|letter| letter != '\n' && is_treacherous(letter)), "{shown:?}");
        assert!(shown.contains("Zoë 😀") && shown.contains("\\udb40\\udc41"), "{shown}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_and_says_so() {
        assert_eq!((fitted("été", 3), fitted("étés", 3)), ("été".to_owned(), "ét…".to_owned()));
    }
}
