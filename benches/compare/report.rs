//! The tables on the terminal.

use crate::figures::{Outcome, Row, Spread};

/// A column: its head, and what stands in it.
type Column<'a> = (String, Box<dyn Fn(&Row) -> String + 'a>);

/// A scenario as a table of text.
pub(crate) fn table(outcome: &Outcome) -> String {
    let columns = columns(outcome);
    let mut lines: Vec<Vec<String>> = vec![columns.iter().map(|(head, _)| head.clone()).collect()];
    lines.extend(outcome.rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect()));
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or_default())
        .collect();
    let padded = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            let room = " ".repeat(width - cell.chars().count());
            if at == 0 { format!("{cell}{room}") } else { format!("{room}{cell}") }
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    let body = lines.iter().map(padded).collect::<Vec<_>>().join("\n");
    format!("\n{} ({})\n{body}\n", outcome.title, outcome.scenario)
}

fn columns(outcome: &Outcome) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = vec![
        ("proxy".to_owned(), Box::new(|row| row.title.clone())),
        ("CPU s / 10,000".to_owned(), Box::new(|row| spread(row.spread(|round| round.cpu_s_per_10k), 3))),
    ];
    for name in ["nginx", "bare"] {
        if let Some(other) = outcome.row(name) {
            let cell = move |row: &Row| spread(row.against(other, |round| round.cpu_s_per_10k), 2);
            columns.push((format!("x {name}"), Box::new(cell)));
        }
    }
    if outcome.rows.iter().any(|row| row.rounds.iter().any(|round| round.cpu_s_per_gb.is_some())) {
        let part = |of: Option<f64>| of.unwrap_or(f64::NAN);
        let gigabyte = move |row: &Row| spread(row.spread(|round| part(round.cpu_s_per_gb)), 3);
        columns.push(("CPU s / GB".to_owned(), Box::new(gigabyte)));
        let rate = move |row: &Row| spread(row.spread(|round| part(round.mb_per_second)), 0);
        columns.push(("MB/s".to_owned(), Box::new(rate)));
    }
    columns.push(("req/s".to_owned(), Box::new(|row| spread(row.spread(|round| round.requests_per_second), 0))));
    columns.push(("p50 us".to_owned(), Box::new(|row| spread(row.spread(|round| round.p50_us), 0))));
    columns.push(("p99 us".to_owned(), Box::new(|row| spread(row.spread(|round| round.p99_us), 0))));
    columns.push(("p99.9 us".to_owned(), Box::new(|row| spread(row.spread(|round| round.p999_us), 0))));
    columns.push(("peak MiB".to_owned(), Box::new(|row| spread(row.spread(|round| round.peak_memory_mib), 0))));
    columns
}

/// The median, and how far the rounds go.
fn spread(spread: Spread, places: usize) -> String {
    let Spread { median, min, max } = spread;
    if median.is_nan() { String::new() } else { format!("{median:.places$} ({min:.places$}..{max:.places$})") }
}
