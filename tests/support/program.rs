//! The real program as a process of its own, as an administrator starts it.

use std::{
    net::SocketAddr,
    os::fd::{AsFd, AsRawFd},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use schoolgate::{
    clock::{SharedClock, SystemClock},
    demo::StandIn,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::{
    Answer, Browser, Echo,
    world::{CALLBACK, configuration, stand_in, through_apple},
};

/// No test waits longer for the program to say or do something.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the program needs around it: the stand-in for Apple, an app, and a folder with key and configuration.
pub struct Site {
    pub apple: StandIn,
    pub echo: Echo,
    folder: tempfile::TempDir,
}

impl Site {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        let apple = stand_in(&clock, folder.path(), CALLBACK).await;
        Self { apple, echo: Echo::start().await, folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A configuration with the admin listener on a unix socket and the state in `state`.
    pub fn configuration(&self, lines: &[(&str, &str)]) -> String {
        let folder = self.folder.path().display();
        configuration(self.folder.path(), &self.apple, &self.echo.address.to_string(), lines)
            .replace("admin_listen = \"127.0.0.1:0\"", &format!("admin_listen = \"unix:{folder}/admin.sock\""))
            .replace(&format!("state_dir = \"{folder}\""), &format!("state_dir = \"{folder}/state\""))
    }

    /// Writes a configuration and starts the program with it.
    pub fn spawn(&self, text: &str) -> Program {
        self.spawn_as("gateway", text)
    }

    /// The same for one of several programs, which have a file each.
    pub fn spawn_as(&self, name: &str, text: &str) -> Program {
        let path = self.path(&format!("{name}.toml"));
        std::fs::write(&path, text).unwrap();
        Program::spawn(&path)
    }

    /// What the program says with a configuration with which it must not start.
    pub async fn fails(&self, text: &str) -> String {
        let (status, said) = self.spawn(text).ended().await;
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked") && !said.contains("event=\"started\""), "{said}");
        said
    }

    /// Writes a configuration for a program that runs already.
    pub fn rewrite(&self, text: &str) {
        std::fs::write(self.path("gateway.toml"), text).unwrap();
    }

    /// Starts the program as systemd does, with what else `environment` has: it listens on `socket`, which stays open
    /// when the program ends.
    pub fn spawn_with(&self, text: &str, socket: Option<&dyn AsFd>, environment: &[(&str, &str)]) -> Program {
        self.rewrite(text);
        let path = self.path("gateway.toml");
        // systemd hands its sockets over as the descriptors from 3 on, to one process (sd_listen_fds(3)). The shell
        // has the number that the program will have.
        let script = socket.map_or("exec \"$@\"".into(), |socket| {
            rustix::io::fcntl_setfd(socket, rustix::io::FdFlags::empty()).unwrap();
            format!("exec 3<&{}; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"", socket.as_fd().as_raw_fd())
        });
        let mut command = Command::new("bash");
        command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_schoolgate")]);
        command.args(["run", "--config", path.to_str().unwrap()]).kill_on_drop(true);
        for variable in ["SCHOOLGATE_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"] {
            command.env_remove(variable);
        }
        command.env("RUST_LOG", "info,schoolgate::access=off").envs(environment.iter().copied());
        Program::watched(command)
    }

    /// The program, once it listens.
    pub async fn run(&self, lines: &[(&str, &str)]) -> Program {
        let mut program = self.spawn(&self.configuration(lines));
        program.started().await;
        program
    }
}

/// The program while it runs; it is killed when this is dropped.
pub struct Program {
    child: Child,
    log: watch::Receiver<String>,
    reader: JoinHandle<()>,
    address: Option<SocketAddr>,
}

impl Program {
    /// A command of the program, with nothing of this environment that it would listen to.
    pub fn command(arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_schoolgate"));
        for variable in ["SCHOOLGATE_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY"] {
            command.env_remove(variable);
        }
        command.args(arguments).env("RUST_LOG", "trace").kill_on_drop(true);
        command
    }

    fn spawn(configuration: &Path) -> Self {
        Self::watched(Self::command(&["run", "--config", configuration.to_str().unwrap()]))
    }

    /// A command that runs the program.
    pub fn watched(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (writer, log) = watch::channel(String::new());
        let reader = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                writer.send_modify(|log| log.push_str(&format!("{line}\n")));
            }
        });
        Self { child, log, reader, address: None }
    }

    /// Where browsers connect.
    pub fn address(&self) -> SocketAddr {
        self.address.expect("the program listens")
    }

    /// Its number, for a test that is the administrator's shell.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("it has ended already")
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.address())
    }

    /// The browser of somebody who has signed in.
    pub async fn signed_in(&self, person: &str) -> Browser {
        let mut browser = self.browser();
        let answer = through_apple(&mut browser, "/start", person).await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
        browser
    }

    /// Waits until it listens.
    pub async fn started(&mut self) {
        self.logged("\"started\"").await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains("\"started\"")).unwrap_or_else(|| panic!("{log}"));
        let address = line.split_once("127.0.0.1:").unwrap().1.split(']').next().unwrap();
        self.address = Some(SocketAddr::from(([127, 0, 0, 1], address.parse().unwrap())));
    }

    /// Everything on stderr so far.
    pub fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until it has said something.
    pub async fn logged(&self, text: &str) {
        let mut log = self.log.clone();
        let waited = timeout(PATIENCE, log.wait_for(|log| log.contains(text))).await;
        assert!(matches!(waited, Ok(Ok(_))), "it does not say {text:?}: {}", self.log());
    }

    /// Sends SIGTERM, as systemd does.
    pub async fn terminate(&self) {
        self.signal("TERM").await;
    }

    /// Sends SIGHUP, as `systemctl reload` does.
    pub async fn hang_up(&self) {
        self.signal("HUP").await;
    }

    /// Waits until it has said something so many times.
    pub async fn logged_times(&self, text: &str, times: usize) {
        let mut log = self.log.clone();
        let waited = timeout(PATIENCE, log.wait_for(|log| log.matches(text).count() >= times)).await;
        assert!(matches!(waited, Ok(Ok(_))), "it does not say {text:?} {times} times: {}", self.log());
    }

    /// Stops it in its tracks, as a machine that swaps does.
    pub async fn freeze(&self) {
        self.signal("STOP").await;
        // The signal is sent; each thread stops when it next comes by the kernel.
        while !self.stands_still() {
            tokio::task::yield_now().await;
        }
    }

    fn stands_still(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        threads.flatten().all(|thread| {
            let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            // The name before may have anything in it (proc(5)).
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with(['T', 't']))
        })
    }

    /// Lets it go on.
    pub async fn thaw(&self) {
        self.signal("CONT").await;
    }

    async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id().expect("it has ended already"));
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }

    /// Ends it as a power cut does, and waits until it is gone.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Waits for the end; returns the exit status and all it said.
    pub async fn ended(mut self) -> (ExitStatus, String) {
        let Ok(status) = timeout(PATIENCE, self.child.wait()).await else { panic!("it goes on: {}", self.log()) };
        let _ = (&mut self.reader).await;
        (status.unwrap(), self.log())
    }
}

/// What a unix socket answers.
pub async fn ask(socket: &Path, method: &str, target: &str) -> Answer {
    ask_as(socket, "localhost", method, target).await
}

/// The same, asked by another name.
pub async fn ask_as(socket: &Path, host: &str, method: &str, target: &str) -> Answer {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        body: body.into(),
    }
}
