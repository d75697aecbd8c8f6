//! The text of the file, with lines, columns and excerpts for messages.

use std::ops::Range;

/// Widest part of a line that a message shows, in characters.
const WIDEST: usize = 110;

/// Longest piece of text that a message quotes, in characters.
const LONGEST_QUOTE: usize = 60;

/// A line of the file as a message shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    /// The line, or a part of it.
    pub(super) text: String,
    /// Characters before the place that is meant.
    pub(super) indent: usize,
    /// Characters that are meant, at least one.
    pub(super) width: usize,
}

/// The text of the file.
///
/// What is shown of it goes through one mask: passwords in URLs, private keys and tokens that somebody
/// has pasted into the file by mistake, and whatever a key calls a secret, are starred out.
#[derive(Debug)]
pub(super) struct Source<'a> {
    text: &'a str,
    masked: String,
    line_starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(newline, _)| newline + 1)).collect();
        Self { text, masked: mask(text), line_starts }
    }

    /// Line and column of a byte, both counted from one, the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = floor_boundary(self.text, offset);
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The place of the last character, for what is missing from the whole file.
    pub(super) fn end(&self) -> Range<usize> {
        let end = self.text.trim_end().len();
        end..end
    }

    /// The text of a span as a message quotes it: one line, not too long, nothing secret.
    pub(super) fn quote(&self, span: &Range<usize>) -> String {
        let (start, end) = self.bounds(span);
        let whole = clean(&self.masked[start..end]);
        let mut short: String = whole.chars().take(LONGEST_QUOTE).collect();
        if short.len() < whole.len() {
            short.push('…');
        }
        short
    }

    /// The first line of a span, with where it stands in it.
    pub(super) fn excerpt(&self, span: &Range<usize>) -> Excerpt {
        let (start, end) = self.bounds(span);
        let (line, _) = self.position(start);
        let line_start = self.line_starts[line - 1];
        let rest = &self.masked[line_start..];
        let whole: Vec<char> = clean(rest.split('\n').next().unwrap_or_default().trim_end()).chars().collect();
        let before = self.masked[line_start..start].chars().count().min(whole.len());
        let meant = self.masked[start..end].split('\n').next().unwrap_or_default().trim_end().chars().count();
        let from = if whole.len() > WIDEST { before.saturating_sub(WIDEST / 3) } else { 0 };
        let to = whole.len().min(from + WIDEST);
        let lead = if from > 0 { "…" } else { "" };
        let tail = if to < whole.len() { "…" } else { "" };
        let indent = before - from + usize::from(from > 0);
        let width = meant.min(to.saturating_sub(before)).max(1);
        Excerpt { text: format!("{lead}{}{tail}", whole[from..to].iter().collect::<String>()), indent, width }
    }

    fn bounds(&self, span: &Range<usize>) -> (usize, usize) {
        let start = floor_boundary(self.text, span.start);
        (start, floor_boundary(self.text, span.end).max(start))
    }
}

fn floor_boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// No control character reaches a terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            '\t' | '\n' | '\r' => ' ',
            odd if odd.is_control() => '\u{fffd}',
            fine => fine,
        })
        .collect()
}

/// The same text, of the same length, with what looks secret starred out.
fn mask(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (at, _) in text.match_indices("://") {
        let authority = at + 3;
        let end = authority
            + if REDIS.iter().any(|scheme| text[..at].ends_with(scheme)) {
                end_of_text(&text[authority..])
            } else {
                let is_end = |end: char| end.is_whitespace() || "/?#\"'".contains(end);
                text[authority..].find(is_end).unwrap_or(text.len() - authority)
            };
        if let Some(user_end) = text[authority..end].rfind('@') {
            bytes[authority..authority + user_end].fill(b'*');
        }
    }
    for (at, marker) in text.match_indices("PRIVATE KEY-----") {
        let body = at + marker.len();
        let end = text[body..].find("-----END").map_or(text.len(), |length| body + length);
        bytes[body..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
    }
    for (at, _) in text.match_indices(TOKEN) {
        bytes[at..].iter_mut().take_while(|byte| is_of_token(**byte)).for_each(|byte| *byte = b'*');
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let shown = line.trim_end();
        if let Some((_, value)) = shown.split_once('=').filter(|(key, _)| names_a_secret(key)) {
            bytes[start + shown.len() - value.trim_start().len()..start + shown.len()].fill(b'*');
        }
        start += line.len();
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// Where a text in quotation marks ends. The password of Redis may have characters that should have been
/// encoded, a quotation mark among them.
fn end_of_text(text: &str) -> usize {
    let mut before = ' ';
    for (at, letter) in text.char_indices() {
        if letter == '\n' || letter == '"' && before != '\\' {
            return at;
        }
        before = letter;
    }
    text.len()
}

/// How the schemes of Redis end.
const REDIS: [&str; 4] = ["redis", "rediss", "+sentinel", "+cluster"];

/// How every JWT begins: `{"` in base64url (RFC 7519, section 3.1).
const TOKEN: &str = "eyJ";

fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

/// Whether the value of a key is a secret by the key's name. No key that we know is one.
fn names_a_secret(key: &str) -> bool {
    let name = key.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
    let says_so = ["secret", "password", "passwd", "token"].iter().any(|word| name.contains(word));
    let points_elsewhere = ["_url", "_file", "_id"].iter().any(|end| name.ends_with(end));
    (says_so || name.ends_with("key")) && !points_elsewhere
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn columns_count_characters_and_begin_at_one() {
        let source = Source::new("a = 1\nname = \"Zoë\" # x\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(6), (2, 1));
        assert_eq!(source.position(source.text.find('#').unwrap()), (2, 14));
        assert_eq!(source.position(1000), (3, 1));
    }

    #[test]
    fn an_excerpt_points_at_the_place() {
        let source = Source::new("a = 1\n\tname = \"Zoë\"\r\n");
        let at = source.text.find('"').unwrap();
        let excerpt = source.excerpt(&(at..at + 6));
        assert_eq!(excerpt, Excerpt { text: " name = \"Zoë\"".into(), indent: 8, width: 5 });
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let text = format!("{}X{}", "a".repeat(500), "b".repeat(500));
        let excerpt = Source::new(&text).excerpt(&(500..501));
        assert!(excerpt.text.chars().count() <= WIDEST + 2);
        assert_eq!(excerpt.text.chars().nth(excerpt.indent), Some('X'));
    }

    #[test]
    fn passwords_and_keys_are_never_shown() {
        let text = "store = \"redis://:hunter2@db:6379\"\nkey = '''-----BEGIN PRIVATE KEY-----\nMIGTAgEAMBMG\n-----END";
        let source = Source::new(text);
        for span in [0..text.len(), 10..30] {
            assert!(!source.quote(&span).contains("hunter2"));
            assert!(!source.excerpt(&span).text.contains("hunter2"));
        }
        let key = text.find("MIGT").unwrap();
        assert_eq!(source.excerpt(&(key..key + 3)).text, "************");
    }

    #[test]
    fn tokens_and_what_a_key_calls_a_secret_are_never_shown() {
        for (line, shown) in [
            ("scopes = [\"eyJhbGciOiJFUzI1NiJ9.eyJ.x-_\"]", "scopes = [\"****************************\"]"),
            ("client_secret = \"hunter2\"", "client_secret = *********"),
            ("  \"Password\"='é'", "  \"Password\"=****"),
            ("encryption_key =  \"bm90\" ", "encryption_key =  ******"),
            ("client_secret =", "client_secret ="),
            ("key_id = \"K1L2M3N4O5\"", "key_id = \"K1L2M3N4O5\""),
            ("private_key_file = \"a.p8\"", "private_key_file = \"a.p8\""),
            ("token_url = \"https://a/\"", "token_url = \"https://a/\""),
            ("keys_max_age = 5", "keys_max_age = 5"),
        ] {
            let text = format!("# before\n{line}\nafter = 1\n");
            assert_eq!(Source::new(&text).excerpt(&(9..10)).text, shown);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_wherever_one_looks(text in "\\PC{0,40}[\n\t\r\0:/@é]{0,9}\\PC{0,200}", a in 0usize..300, b in 0usize..300) {
            let source = Source::new(&text);
            let (line, column) = source.position(a);
            prop_assert!(line >= 1 && column >= 1);
            let excerpt = source.excerpt(&(a..b));
            prop_assert!(excerpt.indent <= excerpt.text.chars().count());
            source.quote(&(a..b));
            source.quote(&source.end());
        }
    }
}
