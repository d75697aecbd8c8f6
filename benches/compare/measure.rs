//! The rounds of one scenario.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, thread::sleep, time::Duration};

use crate::{
    figures::{Round, Row},
    ground::{Ground, UPSTREAM, read},
    load::{Done, Load},
    options::Options,
    proxies::{Kind, Peer, Started, find},
    scenarios::{How, Scenario},
    support::{Connection, Request},
};

/// Bytes that are to take about a second.
const A_SECOND: u64 = 400_000_000;

/// All proxies that have been started, and those that could not be.
#[derive(Default)]
pub(crate) struct Field {
    running: BTreeMap<String, Runner>,
    pub(crate) absent: BTreeMap<String, String>,
}

struct Runner {
    peer: &'static Peer,
    kind: Kind,
    started: Started,
}

impl Field {
    /// Who of a scenario takes part.
    fn starters(&mut self, ground: &Ground, options: &Options, scenario: &Scenario) -> Result<Vec<&Runner>, String> {
        let wanted: Vec<_> = scenario.contestants.iter().filter(|name| options.has(name)).collect();
        for name in &wanted {
            if self.running.contains_key(**name) || self.absent.contains_key(**name) {
                continue;
            }
            let number = u16::try_from(self.running.len() + self.absent.len()).unwrap_or_default();
            let (peer, kind) = find(name, UPSTREAM + 10 + number)?;
            match peer.start(ground, &kind) {
                Ok(started) => drop(self.running.insert((**name).to_owned(), Runner { peer, kind, started })),
                Err(why) => {
                    println!("{why}");
                    self.absent.insert((**name).to_owned(), why);
                }
            }
        }
        Ok(wanted.iter().filter_map(|name| self.running.get(**name)).collect())
    }

    /// Runs a scenario: who takes part is warmed up, and then takes turns.
    pub(crate) fn run(&mut self, ground: &Ground, options: &Options, scenario: &Scenario) -> Result<Vec<Row>, String> {
        let runners = self.starters(ground, options, scenario)?;
        let turn = |runner: &Runner, load: How, seconds: u64| {
            let turn = Turn { ground, options, scenario, runner };
            turn.take(load, seconds).map_err(|error| format!("{}, {}: {error}", scenario.name, runner.kind.name))
        };
        let mut rates = Vec::new();
        for runner in &runners {
            turn(runner, full(scenario.how), 1)?;
            if matches!(scenario.how, How::Half { .. }) {
                rates.push(turn(runner, How::Full, 2)?.requests_per_second);
            }
        }
        let slowest = rates.iter().copied().fold(f64::INFINITY, f64::min);
        let mut rows: Vec<_> =
            runners.iter().map(|runner| Row::new(&runner.kind.name, runner.peer.title(&runner.kind.name))).collect();
        for round in 0..options.rounds {
            for place in 0..runners.len() {
                // Nobody is always the first.
                let at = (place + round) % runners.len();
                let turn = Turn { ground, options, scenario, runner: runners[at] };
                let measured = match scenario.how {
                    How::Half { own } => turn.at_rate(if own { rates[at] } else { slowest } / 2.0, options.seconds),
                    how @ (How::Full | How::Bulk { .. } | How::Http2 { .. }) => turn.take(how, options.seconds),
                };
                let name = &runners[at].kind.name;
                rows[at].rounds.push(measured.map_err(|error| format!("{}, {name}: {error}", scenario.name))?);
            }
        }
        Ok(rows)
    }
}

/// The load that warms up and finds the highest rate.
const fn full(how: How) -> How {
    match how {
        How::Half { .. } => How::Full,
        how @ (How::Full | How::Bulk { .. } | How::Http2 { .. }) => how,
    }
}

/// One proxy's turn.
struct Turn<'a> {
    ground: &'a Ground,
    options: &'a Options,
    scenario: &'a Scenario,
    runner: &'a Runner,
}

impl Turn<'_> {
    fn take(&self, how: How, seconds: u64) -> Result<Round, String> {
        let usual = self.options.connections;
        match how {
            How::Full | How::Half { .. } => self.measured(usual, None, seconds, |load| load.wrk()),
            How::Bulk { connections, body } => {
                let each = self.scenario.transferred().unwrap_or(1);
                let requests = (seconds * A_SECOND / each).max(2 * connections as u64);
                let file = body.map(|file| self.ground.folder.join("www").join(file));
                self.measured(connections, file.as_deref(), seconds, |load| load.transfers(requests, file.as_deref()))
            }
            How::Http2 { connections, streams } => {
                self.measured(connections * streams, None, seconds, |load| load.h2load(connections, streams))
            }
        }
    }

    fn at_rate(&self, rate: f64, seconds: u64) -> Result<Round, String> {
        self.measured(self.options.connections, None, seconds, |load| load.at_rate(rate))
    }

    /// Lets `run` put its load on the proxy, with so many requests at once, and judges what came of it.
    fn measured(
        &self,
        at_once: usize,
        body: Option<&Path>,
        seconds: u64,
        run: impl Fn(&Load<'_>) -> Result<Done, String>,
    ) -> Result<Round, String> {
        let Self { ground, scenario, runner, .. } = self;
        let headers = scenario.headers(&runner.kind.authority(), &runner.started.session);
        let load = Load {
            core: ground.load_core,
            connections: at_once,
            seconds,
            port: runner.kind.port,
            tls: runner.kind.tls,
            authority: &runner.kind.authority(),
            path: scenario.path,
            headers: &headers,
        };
        let answer = self.one(&headers, body)?;
        sleep(Duration::from_millis(50));
        let process = &runner.started.process;
        process.forget_peak();
        let (asked, before) = (ground.count()?, process.cpu());
        let done = run(&load)?;
        let after = process.cpu();
        sleep(Duration::from_millis(50));
        self.judge(&done, &answer, at_once as u64, ground.count()? - asked)?;
        Ok(Round::new(&done, after - before, process.peak_memory(), scenario.transferred()))
    }

    /// The status that this proxy must answer with, and how often it asks the app for each request.
    fn expected(&self) -> (u16, u64) {
        let plain = self.scenario.size > 0;
        match self.scenario.refusal() {
            Some(status) if self.runner.peer.refuses => (status, 0),
            // An upload is answered without a body, after the app has asked itself.
            _ if plain => (200, self.runner.peer.asks),
            _ => (204, 2),
        }
    }

    /// Sends one request, looks at all of the answer, and gives back how long head and body are.
    fn one(&self, headers: &[(String, String)], body: Option<&Path>) -> Result<(u64, u64), String> {
        let method = if body.is_some() { "POST" } else { "GET" };
        let mut request = Request::new(method, self.scenario.path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(file) = body {
            request = request.body("application/octet-stream", read(file)?);
        }
        let address = SocketAddr::from(([127, 0, 0, 1], self.runner.kind.port));
        let answer = self.ground.runtime.block_on(async {
            let mut connection = match self.runner.kind.tls {
                true => self.ground.tls.open(address, self.runner.kind.host()).await,
                false => Connection::open(address).await,
            };
            request.send_over(&mut connection).await
        });
        let (status, _) = self.expected();
        let is_right = answer.status == status
            && (self.scenario.refusal() == Some(status)
                || answer.body.len() == self.scenario.size && answer.body.iter().all(|byte| *byte == b'x'));
        if !is_right {
            return Err(format!("{status} with {} bytes was expected: {answer:?}", self.scenario.size));
        }
        let lines = answer.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
        Ok(((lines + "HTTP/1.1 200 \r\n\r\n".len()) as u64, answer.body.len() as u64))
    }

    /// Whether all answers were what one was: statuses, lengths, and that the app was asked for each.
    fn judge(&self, done: &Done, (head, body): &(u64, u64), at_once: u64, asked: u64) -> Result<(), String> {
        let (status, asks) = self.expected();
        let refused = if status >= 400 { done.requests } else { 0 };
        let length = if done.heads { head + body } else { *body };
        let bytes = done.requests * length;
        // What one answer says of itself in its status line is not counted.
        let spare = bytes / 20 + done.requests * 64 + at_once * length;
        // A few may be of somebody else: a proxy may look by itself whether the app is there.
        let counted = done.requests * asks..=(done.requests + 2 * at_once) * asks + 8;
        if done.broken > 0 || done.refused != refused {
            return Err(format!("not all answers are {status}: {done:?}"));
        }
        if done.bytes.abs_diff(bytes) > spare {
            return Err(format!("answers of {length} bytes were expected: {done:?}"));
        }
        if done.requests == 0 || !counted.contains(&asked) {
            return Err(format!("the app was asked {asked} times, and {asks} times for each were expected: {done:?}"));
        }
        Ok(())
    }
}
