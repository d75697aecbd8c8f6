//! Whole requests through gateways with one session and with many in memory: does one take longer where more people are
//! signed in? The gateways share a core, wrk and the app have another; they take turns, and ratios are made turn by turn.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use rustix::thread::{CpuSet, disable_transparent_huge_pages, sched_setaffinity};
use schoolgate::{
    clock::{SharedClock, SystemClock},
    config,
    server::{Parts, Running},
};
use serde_json::Value;

use super::{
    common::{self, BROWSER, median, pinned},
    figures::Figures,
    memory::{cookie, skewed, store, uniform},
    support::{HOST, world},
};

/// Many and short ones: what disturbs the machine for a while disturbs a few of them.
const ROUNDS: usize = 25;

/// How long a turn is.
const SECONDS: &str = "1";

/// How many requests a turn has, each of another session; they begin anew after the last.
const A_TURN: usize = 25_000;

/// How many there are in all. The first turn warms up.
const DIFFERENT: usize = (ROUNDS + 1) * A_TURN;

/// A gateway with so many sessions. It goes on until it is killed.
pub(crate) async fn serve(configuration: &Path, sessions: usize) {
    // As the program itself does.
    let _ = disable_transparent_huge_pages(true);
    let loaded = config::load(configuration, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    let parts = Parts { store: Some(Arc::new(store(sessions).await)), ..Parts::default() };
    let running = Running::start(loaded.settings, parts).await.unwrap();
    println!("{}", running.addresses()[0]);
    std::future::pending().await
}

/// The gateways, and who asks them: all with one session, with some, and with most.
pub(crate) fn measure(figures: &mut Figures, most: usize) {
    let cores = env::var("CORES").unwrap_or_else(|_| {
        let count = std::thread::available_parallelism().map_or(2, usize::from);
        format!("{},{}", count - 1, count.saturating_sub(2))
    });
    let (own, load) = cores.split_once(',').expect("CORES=3,2: the gateways' and the other");
    let (own, load) = (own.parse().unwrap(), load.parse().unwrap());
    let mut set = CpuSet::new();
    set.set(load);
    sched_setaffinity(None, &set).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let apple = runtime.block_on(world::stand_in(&clock, folder.path(), world::CALLBACK));
    let app = runtime.block_on(common::app::start(common::app::LITTLE)).to_string();
    let configuration = folder.path().join("gateway.toml");
    fs::write(&configuration, world::configuration(folder.path(), &apple, &app, &[])).unwrap();
    let script = folder.path().join("requests.lua");
    fs::write(&script, [include_str!("requests.lua"), include_str!("../compare/wrk.lua")].concat()).unwrap();

    let gateways = [1, 1, 10_000.min(most), most].map(|sessions| Gateway::start(own, &configuration, sessions));
    let [one, other, some, many] = &gateways;
    let asked = |gateway, who: &str, cookies: Vec<String>| {
        let file = folder.path().join(who.replace(' ', "-"));
        fs::write(&file, cookies.join("\n")).unwrap();
        Asked { gateway, who: who.to_owned(), cookies: file }
    };
    let same = || vec![cookie(0); DIFFERENT];
    let all = [
        asked(one, "one session, that one", same()),
        // Whatever this differs by is no matter of sessions.
        asked(other, "the same in another process", same()),
        asked(some, &format!("{} sessions, any of them", some.sessions), uniform(0, DIFFERENT, some.sessions)),
        asked(many, &format!("{most} sessions, always the same one"), same()),
        asked(many, &format!("{most} sessions, some of them much more often"), skewed(0, DIFFERENT, most)),
        asked(many, &format!("{most} sessions, any of them"), uniform(0, DIFFERENT, most)),
    ];
    for connections in [1, 32] {
        let part = &format!("whole requests, {connections} at once");
        let mut turns: Vec<Vec<Turn>> = all.iter().map(|_| Vec::new()).collect();
        for round in 0..=ROUNDS {
            for place in 0..all.len() {
                // Nobody is always the first.
                let at = (place + round) % all.len();
                turns[at].push(all[at].turn(load, connections, &script, round));
            }
        }
        for (asked, taken) in all.iter().zip(&turns) {
            for (name, unit, of) in FIGURES {
                let (own, first) = (taken.iter().skip(1).map(of), turns[0].iter().skip(1).map(of));
                let mut ratios: Vec<_> = own.clone().zip(first).map(|(own, first)| own / first).collect();
                ratios.sort_by(f64::total_cmp);
                // Half of the turns lie between them.
                let [lower, middle, upper] = [ROUNDS / 4, ROUNDS / 2, ROUNDS * 3 / 4].map(|at| ratios[at]);
                let ratio = format!("{middle:.3} ({lower:.3} to {upper:.3})");
                figures.note(part, &format!("{}: {name}, {ratio} times the first", asked.who), median(own), unit);
            }
        }
    }
    for Gateway { sessions, child, .. } in &gateways {
        let memory = common::memory(&[child.id()], "VmRSS") as f64 / 1024.0;
        figures.note("whole requests", &format!("memory of the gateway, {sessions} sessions"), memory, "MiB");
    }
}

type Figure = (&'static str, &'static str, fn(&Turn) -> f64);

const FIGURES: [Figure; 3] = [
    ("half within", "µs", |turn| turn.half),
    ("99 of 100 within", "µs", |turn| turn.most),
    ("the gateway's processor", "µs", |turn| turn.cpu),
];

/// A gateway that runs.
struct Gateway {
    sessions: usize,
    child: Child,
    address: String,
}

impl Gateway {
    fn start(core: usize, configuration: &Path, sessions: usize) -> Self {
        let mut command = pinned(core, env::current_exe().unwrap());
        command.arg("serve").arg(configuration).arg(sessions.to_string());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Self { sessions, child, address: address.trim().to_owned() }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who is asked, with which cookies.
struct Asked<'a> {
    gateway: &'a Gateway,
    who: String,
    cookies: PathBuf,
}

/// What wrk saw, and what the gateway took, of a request; in microseconds.
struct Turn {
    half: f64,
    most: f64,
    cpu: f64,
}

impl Asked<'_> {
    fn turn(&self, core: usize, connections: usize, script: &Path, round: usize) -> Turn {
        let Gateway { child, address, .. } = self.gateway;
        let mut command: Command = pinned(core, "wrk");
        command.args(["--threads", "1", "--timeout", "30s", "--latency", "--duration", SECONDS]);
        command.args(["--connections", &connections.to_string(), "--script"]).arg(script);
        let fetched = [("Host", HOST), ("Sec-Fetch-Mode", "cors"), ("Sec-Fetch-Dest", "empty")];
        for (name, value) in BROWSER.iter().chain(&fetched) {
            command.args(["--header", &format!("{name}: {value}")]);
        }
        command.arg(format!("http://{address}/")).arg("--").arg(&self.cookies);
        command.args([round * A_TURN, A_TURN].map(|number| number.to_string()));
        let before = common::cpu(&[child.id()]);
        let said = command.output().expect("wrk is missing: `scripts/setup bench` installs it");
        let cpu = common::cpu(&[child.id()]) - before;
        let said = String::from_utf8(said.stdout).unwrap();
        let line = said.lines().rfind(|line| line.starts_with('{')).unwrap_or_else(|| panic!("wrk: {said}"));
        let done: Value = serde_json::from_str(line).unwrap();
        let number = |name: &str| done[name].as_f64().unwrap();
        assert!(number("requests") > 0.0 && number("refused") + number("broken") == 0.0, "{}: {said}", self.who);
        assert!(number("bytes") > number("requests") * 1024.0, "{}: {said}", self.who);
        Turn { half: number("p50"), most: number("p99"), cpu: cpu * 1e6 / number("requests") }
    }
}
