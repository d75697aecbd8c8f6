//! A proxy as processes: what it takes of its core, what memory it had, and its end.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use crate::common;

/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// A program and all processes that it has started. They end with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a command, with its words in a file, and waits until it listens.
    pub(crate) fn start(mut command: Command, log: &Path, port: u16) -> Result<Self, String> {
        let words = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let other = words.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(words).stderr(other);
        let child = command.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut process = Self { child, log: log.to_owned() };
        process.listens(port)?;
        Ok(process)
    }

    fn listens(&mut self, port: u16) -> Result<(), String> {
        for _ in 0..1000 {
            if TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).is_ok() {
                return Ok(());
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it has ended ({status}):\n{}", self.last_words()));
            }
            sleep(LOOK);
        }
        Err(format!("it does not listen on port {port}:\n{}", self.last_words()))
    }

    /// The end of what it has said.
    pub(crate) fn last_words(&self) -> String {
        let words = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = words.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// It and all processes below it.
    fn tree(&self) -> Vec<u32> {
        common::family(self.child.id())
    }

    /// Seconds that its threads have had of the processor.
    pub(crate) fn cpu(&self) -> f64 {
        common::cpu(&self.tree())
    }

    /// The most memory that its processes have had since [`Self::forget_peak`], in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        common::memory(&self.tree(), "VmHWM") * 1024
    }

    /// Counts the most memory anew.
    pub(crate) fn forget_peak(&self) {
        common::forget_peak(&self.tree());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let tree = self.tree();
        let send = |signal: &str, ids: &[u32]| {
            let _ =
                Command::new("kill").arg(signal).args(ids.iter().map(u32::to_string)).stderr(Stdio::null()).status();
        };
        send("-TERM", &tree[..1]);
        for _ in 0..100 {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                break;
            }
            sleep(LOOK);
        }
        let left: Vec<u32> = tree.into_iter().filter(|id| Path::new(&format!("/proc/{id}")).exists()).collect();
        if !left.is_empty() {
            send("-KILL", &left);
        }
        let _ = self.child.wait();
    }
}
