//! wrk, and what it says.

use std::{path::Path, process::Command};

use serde::Deserialize;

use crate::common::pinned;

/// What wrk did in one turn.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Done {
    pub(crate) requests: u64,
    pub(crate) microseconds: u64,
    pub(crate) bytes: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    /// Answers of 400 and above.
    pub(crate) refused: u64,
    /// Connections that broke, and answers that did not come.
    pub(crate) broken: u64,
    /// Whether `bytes` counts heads too, and not bodies alone.
    pub(crate) heads: bool,
}

/// One load.
#[derive(Clone, Debug)]
pub(crate) struct Load<'a> {
    pub(crate) core: usize,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// What the proxy is called.
    pub(crate) authority: &'a str,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a [(String, String)],
}

impl Load<'_> {
    fn url(&self) -> String {
        let scheme = if self.tls { "https://localhost" } else { "http://127.0.0.1" };
        format!("{scheme}:{}{}", self.port, self.path)
    }

    /// As many requests as go, on all connections at once.
    pub(crate) fn wrk(&self) -> Result<Done, String> {
        let mut command = pinned(self.core, "wrk");
        command.args(["--threads", "1", "--timeout", "30s", "--latency", "--script"]);
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compare/wrk.lua"));
        command.args(["--connections", &self.connections.to_string(), "--duration", &format!("{}s", self.seconds)]);
        for (name, value) in self.headers {
            command.args(["--header", &format!("{name}: {value}")]);
        }
        command.arg(self.url());
        let said = run(command)?;
        let line = said.lines().rfind(|line| line.starts_with('{')).ok_or(format!("wrk has said:\n{said}"))?;
        serde_json::from_str(line).map_err(|error| format!("wrk: {error}: {line}"))
    }

    /// So many requests in all, each with the body of a file if there is one. Whole ones only, so that no byte is
    /// paid for that is not counted.
    pub(crate) fn transfers(&self, requests: u64, body: Option<&Path>) -> Result<Done, String> {
        let mut arguments = vec!["--h1".to_owned(), format!("--clients={}", self.connections)];
        arguments.push(format!("--requests={requests}"));
        arguments.extend(body.map(|file| format!("--data={}", file.display())));
        self.counted(&arguments)
    }

    /// HTTP/2 inside TLS, on so many connections with so many streams each.
    pub(crate) fn h2load(&self, connections: usize, streams: usize) -> Result<Done, String> {
        let duration = format!("--duration={}", self.seconds);
        self.counted(&[duration, format!("--clients={connections}"), format!("--max-concurrent-streams={streams}")])
    }

    /// HTTP/1.1 at a fixed rate over all connections.
    pub(crate) fn at_rate(&self, rate: f64) -> Result<Done, String> {
        let each = format!("--rps={:.1}", (rate / self.connections as f64).max(1.0));
        let duration = format!("--duration={}", self.seconds);
        self.counted(&["--h1".to_owned(), duration, format!("--clients={}", self.connections), each])
    }

    fn counted(&self, arguments: &[String]) -> Result<Done, String> {
        let log = tempfile::NamedTempFile::new().map_err(|error| error.to_string())?;
        let mut command = pinned(self.core, "h2load");
        command.args(["--threads=1", "--log-file"]).arg(log.path());
        command.args(arguments);
        for (name, value) in self.headers.iter().filter(|(name, _)| name != "Host") {
            command.args(["--header", &format!("{}: {value}", name.to_lowercase())]);
        }
        let scheme = if self.tls { "https" } else { "http" };
        command.args([&format!("--connect-to=127.0.0.1:{}", self.port)]);
        command.arg(format!("{scheme}://{}{}", self.authority, self.path));
        let said = run(command)?;
        let log = std::fs::read_to_string(log.path()).map_err(|error| error.to_string())?;
        from_log(&log, &said).ok_or_else(|| format!("h2load has said:\n{said}"))
    }
}

/// One line for each request: when it began, the status, the microseconds to the end of the answer.
fn from_log(log: &str, said: &str) -> Option<Done> {
    let lines = log.lines().filter_map(|line| {
        let mut fields = line.split('\t');
        let (_begun, status, time) =
            (fields.next()?, fields.next()?.parse::<i32>().ok()?, fields.next()?.parse::<u64>().ok()?);
        Some((status, time))
    });
    let (statuses, mut times): (Vec<i32>, Vec<u64>) = lines.unzip();
    times.sort_unstable();
    let part = |of: usize| times.get(times.len() * of / 1000).copied().unwrap_or_default();
    let count = |is: &dyn Fn(i32) -> bool| statuses.iter().filter(|status| is(**status)).count() as u64;
    Some(Done {
        requests: times.len() as u64,
        microseconds: taken(said)?,
        bytes: data(said)?,
        p50: part(500),
        p99: part(990),
        p999: part(999),
        refused: count(&|status| status >= 400),
        broken: count(&|status| status < 200),
        heads: false,
    })
}

/// Microseconds of `finished in 2.50s, 10.00 req/s, 1.00MB/s`.
fn taken(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.strip_prefix("finished in "))?;
    let taken = line.split(',').next()?;
    let number = taken.trim_end_matches(|it: char| it.is_alphabetic());
    let unit = match &taken[number.len()..] {
        "us" => 1.0,
        "ms" => 1e3,
        "s" => 1e6,
        _ => return None,
    };
    Some((number.parse::<f64>().ok()? * unit) as u64)
}

/// The bytes of bodies: `traffic: 1.00MB (1048576) total, 1.00KB (1024) headers (space savings 0.00%), 1.00MB (1000) data`.
fn data(said: &str) -> Option<u64> {
    let line = said.lines().find(|line| line.starts_with("traffic:"))?;
    line.rsplit('(').next()?.split(')').next()?.parse().ok()
}

fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(format!("{command:?}: {}\n{said}", output.status)) }
}
