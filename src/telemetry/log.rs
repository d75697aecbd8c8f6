//! The log from its start to its last line.

use std::{
    env, io,
    num::NonZeroU32,
    os::fd::AsFd,
    panic,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle, time::timeout};
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::{SubscriberInitExt, TryInitError},
};

use super::{
    Sampling, is_ours,
    journal::{self, Journal, Manner},
    limiter::Limiter,
    lines::{Lines, Shape},
    otlp::Exporter,
    queue::{Queue, Sink},
    traces::Traces,
};
use crate::{clock::SharedClock, entropy::SharedEntropy};

/// How often what was left out is told when nothing else is.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long the last traces may take.
const LAST_TRACES: Duration = Duration::from_secs(2);

/// So much goes into a pipe in one piece (pipe(7)): another process that writes to the same one gets between no two
/// halves of a line.
const PIPE_BUF: usize = 4096;

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What is written, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How lines look.
    pub format: LogFormat,
    /// Where traces go: host and port of a collector that speaks OTLP over HTTP. `None` when nobody collects them.
    pub traces: Option<String>,
    /// One in so many traces that begin here is recorded.
    pub traces_one_in: NonZeroU32,
}

impl Settings {
    /// Lines alone.
    #[must_use]
    pub const fn lines(format: LogFormat) -> Self {
        Self { format, traces: None, traces_one_in: NonZeroU32::MIN }
    }

    /// Which traces are recorded.
    #[must_use]
    pub const fn sampling(&self) -> Sampling {
        match self.traces {
            Some(_) => Sampling::OneIn(self.traces_one_in),
            None => Sampling::Off,
        }
    }
}

/// The log of this process. The last lines are written when it is dropped.
#[derive(Debug)]
pub struct Log {
    lines: Lines,
    /// Until somebody tends it.
    exporter: Mutex<Option<Exporter>>,
    ends: watch::Sender<bool>,
}

impl Log {
    /// Starts writing to stderr, with the levels of `RUST_LOG`, else from `level` on. Traces, when somebody collects
    /// them, are sent by [`Log::tend`].
    ///
    /// # Errors
    /// When a log was started before, or the system has no thread to give.
    pub fn start(
        settings: &Settings,
        level: Level,
        clock: SharedClock,
        entropy: SharedEntropy,
    ) -> Result<Self, StartError> {
        Self::start_by(Path::new(journal::SOCKET), settings, level, clock, entropy)
    }

    /// The same with the journal's socket somewhere.
    fn start_by(
        socket: &Path,
        settings: &Settings,
        level: Level,
        clock: SharedClock,
        entropy: SharedEntropy,
    ) -> Result<Self, StartError> {
        let (manner, sink) = destination(socket);
        let shape = Shape { format: settings.format, manner };
        let tell_lost = {
            let clock = Arc::clone(&clock);
            move |count: u64| shape.lost(count, clock.now())
        };
        let queue = Queue::into(sink, Box::new(tell_lost))?;
        let lines = Lines { shape, clock, limiter: Arc::new(Limiter::new()), queue };
        let levels = EnvFilter::builder().with_default_directive(level.into()).from_env_lossy();
        // A span costs each request much, and only a directive that names one or its fields looks at it.
        let by_span = env::var(EnvFilter::DEFAULT_ENV).is_ok_and(|directives| directives.contains('['));
        let wanted = filter_fn(move |metadata| (metadata.is_event() || by_span) && is_ours(metadata.target()));
        let ours = levels.and(wanted);
        let (traces, exporter) = match &settings.traces {
            None => (None, None),
            Some(collector) => {
                let (traces, spans, lost) = Traces::new(Arc::clone(&lines.clock), entropy);
                let (collector, clock) = (collector.clone(), Arc::clone(&lines.clock));
                (Some(traces), Some(Exporter { collector, spans, lost, clock }))
            }
        };
        let spans = filter_fn(|metadata| metadata.is_span() && is_ours(metadata.target()));
        // A layer that is not there must not ask for spans.
        let mut layers = vec![lines.clone().with_filter(ours).boxed()];
        layers.extend(traces.map(|traces| traces.with_filter(spans).boxed()));
        tracing_subscriber::registry().with(layers).try_init()?;
        Ok(Self { lines, exporter: Mutex::new(exporter), ends: watch::Sender::new(false) })
    }

    /// Writes what is due without an event, and sends traces, until [`Log::end`].
    pub fn tend(&self) -> impl Future<Output = ()> + Send + 'static {
        let (lines, mut ends, more) = (self.lines.clone(), self.ends.subscribe(), self.ends.subscribe());
        let exporter = self.exporter.lock().unwrap_or_else(PoisonError::into_inner).take();
        let telling = async move {
            loop {
                lines.clock.sleep(LOOK_EVERY).await;
                lines.tell_left_out(Some(lines.clock.now()));
            }
        };
        let sending = async move {
            match exporter {
                Some(exporter) => exporter.run(more).await,
                None => drop(ends.wait_for(|ends| *ends).await),
            }
        };
        async move {
            tokio::select! {
                () = telling => {}
                () = sending => {}
            }
        }
    }

    /// Waits for the last traces, though not for long. `tending` is the task of [`Log::tend`].
    pub async fn end(&self, tending: JoinHandle<()>) {
        self.ends.send_replace(true);
        let _ = timeout(LAST_TRACES, tending).await;
    }

    /// From here on a panic is an event like others, and does not wait for whoever reads stderr.
    pub fn take_panics(&self) {
        panic::set_hook(Box::new(|info| {
            let place = info.location().map(ToString::to_string);
            tracing::error!(event = "panicked", place, reason = info.payload_as_str());
        }));
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.tell_left_out(None);
        self.lines.queue.finish();
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// One was started before.
    #[error("the log was started before")]
    Twice(#[from] TryInitError),
    /// The system has no thread to give.
    #[error("the log has no thread to write it: {0}")]
    Thread(#[from] io::Error),
}

/// Where lines go, and how.
fn destination(socket: &Path) -> (Manner, Sink) {
    let stderr = io::stderr();
    let stat = rustix::fs::fstat(stderr.as_fd());
    let said = env::var("JOURNAL_STREAM").ok();
    let journal = match stat {
        Ok(stat) if journal::is_journal(said.as_deref(), stat.st_dev, stat.st_ino) => Some(Journal::at(socket)),
        Ok(_) | Err(_) => None,
    };
    match journal {
        Some(Ok(journal)) => (Manner::Native, Sink { writer: Box::new(journal), piece: 0 }),
        // In a root folder of its own: stderr leads to the journal all the same.
        Some(Err(_)) => (Manner::Prefixed, Sink { writer: Box::new(stderr), piece: PIPE_BUF }),
        None => (Manner::Plain, Sink { writer: Box::new(stderr), piece: PIPE_BUF }),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::net::UnixDatagram,
        process::{Command, Stdio},
    };

    use super::*;
    use crate::telemetry::request;
    use crate::{clock::SystemClock, entropy::SystemEntropy};

    const SOCKET: &str = "SOCKET_OF_THIS_TEST";

    /// Twice: here, and in a process whose stderr is "the journal".
    #[test]
    fn when_stderr_is_the_journal_every_event_is_an_entry_with_fields() {
        if let Some(socket) = env::var_os(SOCKET) {
            let (settings, clock) = (Settings::lines(LogFormat::Text), Arc::new(SystemClock));
            let log =
                Log::start_by(Path::new(&socket), &settings, Level::INFO, clock, Arc::new(SystemEntropy)).unwrap();
            let say = || tracing::warn!(event = "store_unavailable", reason = "it is\naway");
            request::in_request_now(Arc::new("0123".to_owned()), say);
            drop(log);
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let journal = UnixDatagram::bind(&path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let (reader, writer) = io::pipe().unwrap();
        let stat = rustix::fs::fstat(writer.as_fd()).unwrap();
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", "telemetry::log::tests::when_stderr_is_the_journal_every_event_is_an_entry_with_fields"]);
        command
            .env(SOCKET, &path)
            .env("JOURNAL_STREAM", format!("{}:{}", stat.st_dev, stat.st_ino))
            .env_remove("RUST_LOG");
        assert!(command.stdout(Stdio::null()).stderr(writer).status().unwrap().success());
        drop(command);
        let mut buffer = [0; 4096];
        let length = journal.recv(&mut buffer).unwrap();
        let entry = String::from_utf8_lossy(&buffer[..length]);
        for part in
            ["PRIORITY=4\n", "\nEVENT=store_unavailable\n", "\nREQUEST_ID=0123\n", "\nREASON\n", "it is\naway\n"]
        {
            assert!(entry.contains(part), "{part:?}: {entry}");
        }
        assert_eq!(io::read_to_string(reader).unwrap(), "", "nothing goes to stderr beside it");
    }
}
