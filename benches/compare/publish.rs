//! The figures of a whole run in docs/performance.md, with charts and all of them in a file.

use std::{fmt::Write as _, fs, path::Path};

use crate::{
    Run,
    figures::{Outcome, Round, Row},
    ground::{read, write},
    report::{judged, markdown, table},
    svg::{Bar, Group, chart},
};

const BEGIN: &str = "<!-- Figures: written by `make bench ARGS=--publish`. -->\n";
const END: &str = "<!-- The end of the figures. -->";

/// What the two charts are called.
const CHARTS: [&str; 2] = ["What 10,000 authenticated requests cost", "What a request costs against plain nginx"];

pub(crate) fn publish(run: &Run, json: &str) -> Result<(), String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let folder = docs.join("performance");
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    write(&folder.join("compare.json"), json)?;
    write(&folder.join("authenticated.svg"), &authenticated(&run.outcomes))?;
    write(&folder.join("scenarios.svg"), &scenarios(&run.outcomes))?;
    let path = docs.join("performance.md");
    let page = read(&path)?;
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{}: the marks of the figures are not there", path.display()))?;
    write(&path, &format!("{before}{BEGIN}{}{END}{after}", figures(run)))
}

/// What stands between the marks.
fn figures(run: &Run) -> String {
    let machine = &run.machine;
    let mut text = format!(
        "\n![{}](performance/authenticated.svg)\n\n{}. {}, {} of {} cores used, {} GiB; {}, Linux {}. {} turns of {} s each, {} connections; {} minutes \
         in all. `{}` made this; [the file](performance/compare.json) has every turn.\n\n",
        CHARTS[0],
        machine.date,
        machine.cpu,
        if machine.proxy_core == machine.load_core { 1 } else { 2 },
        machine.cores,
        machine.memory_gib,
        machine.system,
        machine.kernel,
        run.rounds,
        run.seconds,
        run.connections,
        run.took_s.div_ceil(60),
        run.command,
    );
    let _ = writeln!(text, "{}", markdown(&judged(&run.goals)));
    let _ = write!(text, "![{}](performance/scenarios.svg)\n\n", CHARTS[1]);
    for outcome in run.outcomes.iter().filter(|outcome| !outcome.rows.is_empty()) {
        let _ = write!(text, "### {}\n\n{}\n", outcome.title, markdown(&table(outcome)));
    }
    for (name, why) in &run.absent {
        let _ = write!(text, "`{name}` is missing: {}\n\n", why.lines().next().unwrap_or_default());
    }
    let versions = machine.versions.iter().map(|(name, version)| format!("{name}: {version}")).collect::<Vec<_>>();
    let _ = write!(text, "### Versions\n\n- {}\n\n", versions.join("\n- "));
    text
}

/// What an authenticated request costs everybody.
fn authenticated(outcomes: &[Outcome]) -> String {
    let rows = outcomes.iter().find(|outcome| outcome.scenario == "auth").map(|outcome| &*outcome.rows);
    let mut bars: Vec<_> = rows.unwrap_or_default().iter().map(|row| bar(row, &row.title, row.spread(cpu))).collect();
    bars.sort_by(|one, other| one.spread.median.total_cmp(&other.spread.median));
    chart(
        CHARTS[0],
        "seconds of the processor in the proxy; less is better",
        &[Group { head: String::new(), bars }],
        None,
    )
}

/// What each scenario costs the program and bare pingora, with plain nginx as 1.
fn scenarios(outcomes: &[Outcome]) -> String {
    let groups = outcomes.iter().filter(|outcome| !outcome.scenario.starts_with("half")).filter_map(|outcome| {
        let nginx = outcome.row("nginx")?;
        let rows = ["bare", "schoolgate"].into_iter().filter_map(|name| outcome.row(name));
        let bars = rows.map(|row| bar(row, row.title.split(',').next().unwrap_or_default(), row.against(nginx, cpu)));
        Some(Group { head: outcome.title.clone(), bars: bars.collect() })
    });
    chart(
        CHARTS[1],
        "time of the processor; the red line is nginx; less is better",
        &groups.collect::<Vec<_>>(),
        Some(1.0),
    )
}

fn bar(row: &Row, name: &str, spread: crate::figures::Spread) -> Bar {
    Bar { name: name.to_owned(), spread, own: row.base() == "schoolgate" }
}

fn cpu(round: &Round) -> f64 {
    round.cpu_s_per_10k
}
