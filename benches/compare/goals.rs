//! What the figures were to be, and whether they are.

use serde::Serialize;

use crate::figures::{Outcome, Round, Row, Spread};

/// One goal: a ratio that is not to be above something.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) at_most: f64,
    /// Not there when one of the two was not measured.
    pub(crate) measured: Option<Spread>,
    pub(crate) met: Option<bool>,
}

/// Proxies that judge who comes, other than the program.
const AUTHENTICATING: &[&str] = &["auth_request", "envoy", "mod_auth_openidc", "caddy", "pingap"];

/// A goal, the scenario, whose figure, against whose, of what.
type Asked<'a> = (&'a str, f64, &'a str, &'a str, &'a str, fn(&Round) -> f64);

pub(crate) fn goals(outcomes: &[Outcome]) -> Vec<Goal> {
    let own = "schoolgate";
    let fastest = fastest(outcomes).unwrap_or("auth_request");
    let against_fastest = format!("authenticated GET against the fastest authenticating proxy ({fastest}), CPU");
    let asked: [Asked<'_>; 8] = [
        ("authenticated GET against bare pingora, CPU", 1.10, "auth", own, "bare", cpu),
        ("authenticated GET against plain nginx, CPU", 1.35, "auth", own, "nginx", cpu),
        (&against_fastest, 0.80, "auth", own, fastest, cpu),
        ("authenticated GET against mod_auth_openidc, CPU", 0.24, "auth", own, "mod_auth_openidc", cpu),
        ("p99 at half of the maximal rate against plain nginx", 1.5, "half", own, "nginx", |round| round.p99_us),
        ("1,000 routes against one, CPU", 1.02, "routes", "schoolgate+routes=1000", "schoolgate+routes=1", cpu),
        ("302 for a stranger against plain nginx, CPU", 0.8, "redirect", own, "nginx", cpu),
        ("401 for a stranger against plain nginx, CPU", 0.8, "unauthorized", own, "nginx", cpu),
    ];
    let judged = asked.into_iter().map(|(what, at_most, scenario, own, other, of)| {
        let outcome = outcomes.iter().find(|outcome| outcome.scenario == scenario);
        let measured = outcome.and_then(|outcome| Some(exact(outcome, own)?.against(exact(outcome, other)?, of)));
        let met = measured.map(|measured| measured.median <= at_most);
        Goal { what: what.to_owned(), at_most, measured, met }
    });
    judged.collect()
}

fn cpu(round: &Round) -> f64 {
    round.cpu_s_per_10k
}

fn exact<'a>(outcome: &'a Outcome, name: &str) -> Option<&'a Row> {
    outcome.rows.iter().find(|row| row.proxy == name)
}

fn fastest(outcomes: &[Outcome]) -> Option<&str> {
    let rows = &outcomes.iter().find(|outcome| outcome.scenario == "auth")?.rows;
    let peers = rows.iter().filter(|row| AUTHENTICATING.contains(&&*row.proxy));
    let middle = |row: &Row| row.spread(cpu).median;
    peers.min_by(|one, other| middle(one).total_cmp(&middle(other))).map(|row| &*row.proxy)
}
