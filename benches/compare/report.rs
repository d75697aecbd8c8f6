//! Tables: as text for the terminal, as Markdown for docs/performance.md.

use crate::{
    figures::{Outcome, Row, Spread},
    goals::Goal,
};

/// Lines of cells; the first one is the head.
pub(crate) type Table = Vec<Vec<String>>;

/// A column: its head, and what stands in it.
type Column<'a> = (String, Box<dyn Fn(&Row) -> String + 'a>);

/// A scenario with all figures of everybody.
pub(crate) fn table(outcome: &Outcome) -> Table {
    let columns = columns(outcome);
    let head = columns.iter().map(|(head, _)| head.clone()).collect();
    let lines = outcome.rows.iter().map(|row| columns.iter().map(|(_, cell)| cell(row)).collect());
    [head].into_iter().chain(lines).collect()
}

fn columns(outcome: &Outcome) -> Vec<Column<'_>> {
    let mut columns: Vec<Column<'_>> = vec![
        ("proxy".to_owned(), Box::new(|row| row.title.clone())),
        ("CPU s per 10,000".to_owned(), Box::new(|row| spread(row.spread(|round| round.cpu_s_per_10k), 3))),
    ];
    for (name, head) in [("nginx", "× nginx"), ("bare", "× bare pingora")] {
        if let Some(other) = outcome.row(name) {
            let cell = move |row: &Row| spread(row.against(other, |round| round.cpu_s_per_10k), 2);
            columns.push((head.to_owned(), Box::new(cell)));
        }
    }
    if outcome.rows.iter().any(|row| row.rounds.iter().any(|round| round.cpu_s_per_gb.is_some())) {
        let part = |of: Option<f64>| of.unwrap_or(f64::NAN);
        let gigabyte = move |row: &Row| spread(row.spread(|round| part(round.cpu_s_per_gb)), 2);
        let rate = move |row: &Row| spread(row.spread(|round| part(round.mb_per_second)), 0);
        // Of so few requests, 99 of 100 are all.
        let middle = |row: &Row| spread(row.spread(|round| round.p50_us / 1e3), 1);
        columns[1] = ("CPU s per GB".to_owned(), Box::new(gigabyte));
        columns.push(("MB/s".to_owned(), Box::new(rate)));
        columns.push(("p50 ms".to_owned(), Box::new(middle)));
    } else {
        let second = |row: &Row| spread(row.spread(|round| round.requests_per_second), 0);
        columns.push(("requests/s".to_owned(), Box::new(second)));
        columns.push(("p50 ms".to_owned(), Box::new(|row| spread(row.spread(|round| round.p50_us / 1e3), 2))));
        columns.push(("p99 ms".to_owned(), Box::new(|row| spread(row.spread(|round| round.p99_us / 1e3), 2))));
        columns.push(("p99.9 ms".to_owned(), Box::new(|row| spread(row.spread(|round| round.p999_us / 1e3), 2))));
    }
    columns.push(("peak MiB".to_owned(), Box::new(|row| spread(row.spread(|round| round.peak_memory_mib), 0))));
    columns
}

/// The median, and how far the rounds go.
fn spread(spread: Spread, places: usize) -> String {
    let [median, min, max] = [spread.median, spread.min, spread.max].map(|figure| grouped(figure, places));
    if min == max { median } else { format!("{median} ({min}–{max})") }
}

/// With commas between thousands.
fn grouped(figure: f64, places: usize) -> String {
    let text = format!("{figure:.places$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups: Vec<_> = whole.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    format!("{}{rest}", groups.join(","))
}

/// The goals, and what came of them.
pub(crate) fn judged(goals: &[Goal]) -> Table {
    let head = ["goal", "at most", "measured", "met"].map(str::to_owned).to_vec();
    let lines = goals.iter().map(|goal| {
        let measured = goal.measured.map_or_else(|| "not measured".to_owned(), |measured| spread(measured, 2));
        let met = goal.met.map_or("", |met| if met { "yes" } else { "**no**" });
        vec![goal.what.clone(), format!("{:.2}", goal.at_most), measured, met.to_owned()]
    });
    [head].into_iter().chain(lines).collect()
}

/// For the terminal.
pub(crate) fn text(table: &Table) -> String {
    let width = |at: usize| table.iter().map(|line| line[at].chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..table.first().map_or(0, Vec::len)).map(width).collect();
    let padded = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).enumerate().map(|(at, (cell, width))| {
            let room = " ".repeat(width - cell.chars().count());
            if at == 0 { format!("{cell}{room}") } else { format!("{room}{cell}") }
        });
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    table.iter().map(padded).collect()
}

/// For a page.
pub(crate) fn markdown(table: &Table) -> String {
    let line = |cells: &Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|---|{}\n", "--:|".repeat(table.first().map_or(1, Vec::len) - 1));
    let mut lines = table.iter().map(line);
    lines.next().unwrap_or_default() + &rule + &lines.collect::<String>()
}
