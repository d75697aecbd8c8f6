//! "Did you mean …": the known word that is nearest to a misspelt one.

/// The word of `known` that takes the fewest edits to reach from `word`, when that is few enough to
/// be a slip of the fingers.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace('-', "_");
    let word = plain(word);
    let (distance, near) = known.iter().map(|one| (edits(&word, &plain(one)), *one)).min_by_key(|(edits, _)| *edits)?;
    (distance <= 1 + near.chars().count() / 4).then_some(near)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words. Long words are cut:
/// no key is that long.
fn edits(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().take(64).collect(), right.chars().take(64).collect());
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (i, a) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["listen", "admin_listen", "idle_timeout", "max_body", "host"];

    #[test]
    fn a_slip_of_the_fingers_is_recognised() {
        for (word, meant) in [
            ("listne", "listen"),
            ("Listen", "listen"),
            ("admin-listen", "admin_listen"),
            ("idletimeout", "idle_timeout"),
            ("max_bdy", "max_body"),
            ("hots", "host"),
        ] {
            assert_eq!(nearest(word, KNOWN), Some(meant), "{word}");
        }
    }

    #[test]
    fn another_word_is_not_taken_for_a_slip() {
        for word in ["", "certificate", "x", &"listen".repeat(100)] {
            assert_eq!(nearest(word, KNOWN), None, "{word}");
        }
        assert_eq!(nearest("a", &[]), None);
    }
}
