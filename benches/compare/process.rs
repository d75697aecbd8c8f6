//! A proxy as processes: pinned to a core, what it takes of it, what memory it had, and its end.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(20);

/// A program and all processes that it has started. They end with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// A command that runs on one core only, and ends when this program does.
pub(crate) fn pinned(core: usize, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "taskset", "--cpu-list", &core.to_string()]).arg(program);
    // Where Debian keeps web servers.
    command.env("PATH", format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default()));
    command
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
        let mut tree = vec![self.child.id()];
        let mut at = 0;
        while let Some(parent) = tree.get(at) {
            let lists =
                threads(*parent).into_iter().filter_map(|thread| fs::read_to_string(thread.join("children")).ok());
            let children: Vec<u32> =
                lists.flat_map(|list| list.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect();
            tree.extend(children);
            at += 1;
        }
        tree
    }

    /// Seconds that its threads have had of the processor.
    pub(crate) fn cpu(&self) -> f64 {
        let times = self.tree().into_iter().flat_map(threads).filter_map(|thread| {
            fs::read_to_string(thread.join("schedstat")).ok()?.split(' ').next()?.parse::<u64>().ok()
        });
        times.sum::<u64>() as f64 / 1e9
    }

    /// The most memory that its processes have had since [`Self::forget_peak`], in bytes.
    pub(crate) fn peak_memory(&self) -> u64 {
        let peak = |id: &u32| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().trim_end_matches(" kB").parse::<u64>().ok()
        };
        self.tree().iter().filter_map(peak).sum::<u64>() * 1024
    }

    /// Counts the most memory anew (proc(5), `clear_refs`).
    pub(crate) fn forget_peak(&self) {
        for id in self.tree() {
            let _ = fs::write(format!("/proc/{id}/clear_refs"), "5");
        }
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

fn threads(id: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{id}/task"));
    entries.map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}
