//! Requests by app, route and decision. A table of routes gets its counters when it is built, so that a request is
//! counted by the number of its route and never looks for names.

use std::sync::OnceLock;

use super::{Metrics, counter::Counter, counts::Counters, word::Word, words::Decision};

/// The counters of a table of routes.
#[derive(Debug)]
pub struct Routes {
    family: Counters,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    app: String,
    route: String,
    /// Made when they are first needed: a school with a thousand routes has few decisions on most of them.
    counters: Vec<OnceLock<Counter>>,
}

impl Routes {
    /// Counters for routes, each with the name of its app and its path, in the order of their numbers. Those of a table
    /// that was there before go on.
    #[must_use]
    pub fn new(metrics: &Metrics, routes: impl IntoIterator<Item = (String, String)>) -> Self {
        let rows = routes.into_iter().map(|(app, route)| {
            let counters = Decision::ALL.iter().map(|_| OnceLock::new()).collect();
            Row { app, route, counters }
        });
        Self { family: metrics.requests.clone(), rows: rows.collect() }
    }

    /// Counts a request that met the route of this number.
    pub fn count(&self, number: usize, decision: Decision) {
        let Some(row) = self.rows.get(number) else { return };
        let Some(counter) = row.counters.get(decision.place()) else { return };
        counter
            .get_or_init(|| {
                let mut labels = decision.labels();
                labels.extend([("app", row.app.clone()), ("route", row.route.clone())]);
                self.family.get_or_create_owned(&labels)
            })
            .inc();
    }
}
