//! Figures that are kept, and what becomes of others: who makes a request dearer says so in the change log.

use std::collections::BTreeMap;

/// How far a figure may be from the one that is kept.
pub const TOLERANCE: f64 = 0.05;

/// Figures by the name of what was counted.
pub type Figures = BTreeMap<String, f64>;

/// What is kept in `expected.toml`: a table for each kind of figure.
pub type Kept = BTreeMap<String, Figures>;

/// Reads the kept figures.
pub fn read(text: &str) -> Result<Kept, String> {
    toml::from_str(text).map_err(|why| format!("benches/count/expected.toml: {why}"))
}

/// The file of figures, below the comment that `text` begins with.
pub fn write(text: &str, kept: &Kept) -> String {
    let mut lines: Vec<_> = text.lines().take_while(|line| line.starts_with('#')).map(str::to_owned).collect();
    for (kind, figures) in kept {
        lines.extend([String::new(), format!("[{kind}]")]);
        lines.extend(figures.iter().map(|(name, figure)| format!("{name} = {figure}")));
    }
    lines.join("\n") + "\n"
}

/// What there is to say of figures.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Each of them is a failure.
    pub failures: Vec<String>,
    /// These are none.
    pub hints: Vec<String>,
}

/// Compares one kind of figures with those that are kept.
pub fn compare(kind: &str, counted: &Figures, kept: &Kept) -> Verdict {
    let mut verdict = Verdict::default();
    for (name, &now) in counted {
        let Some(&then) = kept.get(kind).and_then(|figures| figures.get(name)) else {
            verdict.failures.push(format!("{name}: no {kind} of it are kept. `UPDATE=1 make count` writes them down."));
            continue;
        };
        let change = (now / then - 1.0) * 100.0;
        if now > then * (1.0 + TOLERANCE) {
            verdict.failures.push(format!(
                "{name}: {now} {kind} in a request, {change:.1} % more than {then}. Make it cheaper: \
                 `make count ARGS=\"--profile FILE {name}\"` shows where they are. If they are worth it, `UPDATE=1 make count` \
                 writes the new figure into benches/count/expected.toml; say it in CHANGELOG.md too."
            ));
        } else if now < then * (1.0 - TOLERANCE) {
            verdict.hints.push(format!(
                "{name}: {now} {kind} in a request, {change:.1} % against {then}. Keep it so: `UPDATE=1 make count`."
            ));
        }
    }
    verdict
}

/// What the change log does not say of the kept figures. The newest word counts: the first item with `` `make count` `` that
/// begins with the kind of figure and has the name of what was counted, as in
/// `` - Instructions of a request (`make count`): authenticated 123,000, … ``. Growth by less than the tolerance needs no
/// word, until it is more in sum.
pub fn unsaid(kept: &Kept, changelog: &str) -> Vec<String> {
    let items: Vec<_> = items(changelog).into_iter().filter(|item| item.contains("`make count`")).collect();
    let mut unsaid = Vec::new();
    for (kind, figures) in kept {
        let of_kind = |item: &&String| item.to_lowercase().starts_with(&kind.replace('-', " "));
        for (name, &figure) in figures {
            let missing = match items.iter().filter(of_kind).find_map(|item| said(item, name)) {
                Some(said) if figure <= said * (1.0 + TOLERANCE) => continue,
                Some(said) => format!("the last word of it in CHANGELOG.md was {said}"),
                None => "CHANGELOG.md has no word of it yet".to_owned(),
            };
            let begin = kind[..1].to_uppercase() + &kind[1..].replace('-', " ");
            unsaid.push(format!(
                "{name}: {figure} {kind} are kept, and {missing}. Add to its topmost section why, as in \
                 \"- {begin} of a request (`make count`): {name} {figure}, because ...\"."
            ));
        }
    }
    unsaid
}

/// The items of the lists in a Markdown file, each in one line.
fn items(text: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut is_within = false;
    for line in text.lines() {
        if let Some(first) = line.strip_prefix("- ") {
            items.push(first.to_owned());
            is_within = true;
        } else if let (true, Some(further), Some(item)) = (is_within, line.strip_prefix("  "), items.last_mut()) {
            item.push_str(&format!(" {}", further.trim()));
        } else {
            is_within = false;
        }
    }
    items
}

/// The figure behind a name.
fn said(item: &str, name: &str) -> Option<f64> {
    let words: Vec<_> = item.split_whitespace().collect();
    let figure = words.windows(2).find(|two| two[0] == name)?[1];
    figure.trim_end_matches(['.', ',', ';', ':']).replace(',', "").parse().ok()
}
