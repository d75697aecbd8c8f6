//! A real web server in front of an app, as a process of its own, with a configuration from the document.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::Duration,
};

use schoolgate::clock::Stopwatch;

use crate::support::Document;

/// How long a web server may take to start.
const STARTING: Duration = Duration::from_secs(20);

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Stops the web server when nobody holds its standard input any more: when the test process has ended,
/// however it ended.
const WARDEN: &str = r#"PATH=$PATH:/usr/sbin; exec 3<&0; "$@" & server=$!
    { read -r _ <&3; kill -KILL $server; } 2>/dev/null & wait $server"#;

/// A kind of web server.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// The document.
    pub(crate) page: &'static str,
    /// The blocks of the document that make its configuration. A file is called as its block.
    pub(crate) blocks: &'static [&'static str],
    /// What stands in the blocks for something of the administrator's, and what the test puts there.
    pub(crate) places: fn(&Places) -> Vec<(&'static str, String)>,
    /// The file around the configuration that Debian's package brings.
    pub(crate) around: fn(&Places) -> Option<(&'static str, String)>,
    /// How it is started in the foreground, in a single process.
    pub(crate) command: fn(&Places) -> Vec<String>,
}

/// Where things are in a test.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    pub(crate) port: u16,
    pub(crate) gateway: SocketAddr,
    pub(crate) app: SocketAddr,
}

impl Places {
    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.join(name).to_str().unwrap().to_owned()
    }
}

/// A web server while it runs. It dies with this value.
#[derive(Debug)]
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    warden: Child,
    _folder: tempfile::TempDir,
}

impl Front {
    /// In front of an app, with a gateway to ask.
    pub(crate) fn start(proxy: &Proxy, gateway: SocketAddr, app: SocketAddr) -> Self {
        // Somebody else may take the port before the server does.
        (0..3).find_map(|_| Self::try_start(proxy, gateway, app).ok()).unwrap_or_else(|| {
            let said = Self::try_start(proxy, gateway, app).err().unwrap_or_default();
            panic!("it does not start: {:?}: {said}", proxy.blocks)
        })
    }

    fn try_start(proxy: &Proxy, gateway: SocketAddr, app: SocketAddr) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        // Apache gives up root before it reads its script.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let places = Places { folder: folder.path().to_owned(), port: free_port(), gateway, app };
        for (name, text) in configuration(proxy, &places) {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let log = folder.path().join("log");
        let output = || Stdio::from(File::options().create(true).append(true).open(&log).unwrap());
        let warden = Command::new("sh")
            .args(["-c", WARDEN, "warden"])
            .args((proxy.command)(&places))
            .env("HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(output())
            .stderr(output())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], places.port));
        let mut front = Self { address, warden, _folder: folder };
        if front.listens() { Ok(front) } else { Err(fs::read_to_string(&log).unwrap_or_default()) }
    }

    /// Waits until it listens; `false` when it never will.
    fn listens(&mut self) -> bool {
        let begun = Stopwatch::start();
        while begun.elapsed() < STARTING && self.warden.try_wait().unwrap().is_none() {
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            thread::sleep(LOOK);
        }
        false
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        drop(self.warden.stdin.take());
        let _ = self.warden.wait();
    }
}

/// The files of a web server. Whatever the test puts into the configuration must have stood there as the
/// document says.
fn configuration(proxy: &Proxy, places: &Places) -> Vec<(&'static str, String)> {
    let page = Document::of(proxy.page);
    let mut files: Vec<(&str, String)> = proxy.blocks.iter().map(|name| (*name, page.block(name).to_owned())).collect();
    for (said, instead) in (proxy.places)(places) {
        assert!(files.iter().any(|(_, text)| text.contains(said)), "{:?} do not say {said:?}", proxy.blocks);
        for (_, text) in &mut files {
            *text = text.replace(said, &instead);
        }
    }
    files.extend((proxy.around)(places));
    files
}

/// A port that nobody has, below those that systems give away by themselves: another test's server would else be
/// there first, and answer.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 97).unwrap() * 100;
    let mut ports = std::iter::repeat_with(|| 20_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
