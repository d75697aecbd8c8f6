//! Chromium without a window, with an empty profile. It ends with the test, also when the test fails.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use fantoccini::{Client, ClientBuilder, Locator, error::CmdError, wd::WindowHandle};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// No test waits longer for a page.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often chromedriver may fail to start.
const TRIES: usize = 3;

/// Between two looks at a page.
const PAUSE: Duration = Duration::from_millis(50);

const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Containers give little of /dev/shm, and no crash is reported to anybody.
    "--disable-dev-shm-usage",
    "--disable-breakpad",
];

/// A browser with one tab or more.
pub(super) struct Chromium {
    client: Client,
    base: String,
    _driver: Driver,
}

impl Chromium {
    /// Opens a browser; paths are those of `base`.
    pub(super) async fn start(base: &str) -> Self {
        Self::with(base, &json!({})).await
    }

    /// The same for somebody who has turned scripts off.
    pub(super) async fn without_scripts(base: &str) -> Self {
        Self::with(base, &json!({ "profile.managed_default_content_settings.javascript": 2 })).await
    }

    async fn with(base: &str, preferences: &Value) -> Self {
        let chromium = program(&["chromium", "chromium-browser", "google-chrome"], "chromium");
        let (driver, address) = Driver::start();
        let mut arguments: Vec<String> = FLAGS.iter().map(|&flag| flag.into()).collect();
        arguments.push(format!("--user-data-dir={}", driver.profile.path().display()));
        let options = json!({ "binary": chromium, "args": arguments, "prefs": preferences });
        let capabilities = serde_json::Map::from_iter([("goog:chromeOptions".to_owned(), options)]);
        let connected = ClientBuilder::new(HttpConnector::new()).capabilities(capabilities).connect(&address).await;
        let client = connected.unwrap_or_else(|why| panic!("Chromium does not start: {why}"));
        Self { client, base: base.to_owned(), _driver: driver }
    }

    /// Opens a path of the demo, or a URL.
    pub(super) async fn open(&self, place: &str) {
        let url = if place.starts_with('/') { format!("{}{place}", self.base) } else { place.to_owned() };
        self.client.goto(&url).await.unwrap();
    }

    /// Presses the link or button with this text as soon as there is one.
    pub(super) async fn press(&self, label: &str) {
        let path = &format!("//*[self::a or self::button][normalize-space(text())=\"{label}\"]");
        // A page that is on its way out may take the button with it: then the next page is looked at.
        let pressed =
            self.eventually(|| async move { self.client.find(Locator::XPath(path)).await.ok()?.click().await.ok() });
        if pressed.await.is_none() {
            panic!("there is no {label:?} to press, but\n{}", self.page().await);
        }
    }

    /// Waits until the path and query are these.
    pub(super) async fn arrives(&self, place: &str) {
        let arrived = self.eventually(|| async move { (self.place().await == place).then_some(()) });
        if arrived.await.is_none() {
            panic!("the browser does not come to {place}, but to\n{}", self.page().await);
        }
    }

    /// Types into the field with this identifier.
    pub(super) async fn write(&self, field: &str, text: &str) {
        self.client.find(Locator::Id(field)).await.unwrap().send_keys(text).await.unwrap();
    }

    /// Waits for a page with this heading, and with these texts.
    pub(super) async fn sees(&self, heading: &str, texts: &[&str]) {
        let script = "return [document.querySelector('h1')?.innerText ?? '', document.body.innerText]";
        let seen = self.eventually(|| async move {
            let page = self.client.execute(script, vec![]).await.ok()?;
            let body = page[1].as_str()?;
            (page[0] == heading && texts.iter().all(|text| body.contains(text))).then_some(())
        });
        if seen.await.is_none() {
            panic!("there is no page {heading:?} with {texts:?}, but\n{}", self.page().await);
        }
    }

    /// Asserts that the page does not show these texts, nor has them in its source.
    pub(super) async fn sees_nothing_of(&self, texts: &[&str]) {
        let source = self.client.source().await.unwrap();
        for text in texts {
            assert!(!source.contains(text), "{text}: {}", self.page().await);
        }
    }

    /// From now on looks at the first frame of the page, as soon as there is one, until a page is opened.
    pub(super) async fn looks_into_the_frame(&self) {
        let entered =
            self.eventually(
                || async move { self.client.find(Locator::Css("iframe")).await.ok()?.enter_frame().await.ok() },
            );
        assert!(entered.await.is_some(), "there is no frame");
    }

    /// From now on looks at the whole page again.
    pub(super) async fn looks_at_the_whole_page(&self) {
        self.client.enter_parent_frame().await.unwrap();
    }

    /// The path and query of the page.
    pub(super) async fn place(&self) -> String {
        let url = self.client.current_url().await.unwrap().to_string();
        url.strip_prefix(&self.base).map_or(url.clone(), str::to_owned)
    }

    /// The address of the page.
    pub(super) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().into()
    }

    /// Presses the browser's Back button.
    pub(super) async fn back(&self) {
        self.client.back().await.unwrap();
    }

    /// Presses the browser's Reload button.
    pub(super) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// Opens a tab and goes there.
    pub(super) async fn new_tab(&self) -> WindowHandle {
        let tab = self.client.new_window(true).await.unwrap().handle;
        self.client.switch_to_window(tab.clone()).await.unwrap();
        tab
    }

    /// The tab that one looks at.
    pub(super) async fn tab(&self) -> WindowHandle {
        self.client.window().await.unwrap()
    }

    /// Looks at a tab.
    pub(super) async fn look_at(&self, tab: &WindowHandle) {
        self.client.switch_to_window(tab.clone()).await.unwrap();
    }

    /// What a script of the page returns, after its promise.
    pub(super) async fn script(&self, body: &str) -> Value {
        let whole = format!("const done = arguments[0]; (async () => {{ {body} }})().then(done, e => done(String(e)))");
        self.client.execute_async(&whole, vec![]).await.unwrap()
    }

    /// Names of the cookies of the page, also of those that scripts cannot see.
    pub(super) async fn cookie_names(&self) -> Vec<String> {
        let cookies = self.client.get_all_cookies().await.unwrap();
        cookies.iter().map(|cookie| cookie.name().to_owned()).collect()
    }

    /// For messages of failures.
    async fn page(&self) -> String {
        let source = self.client.source().await.unwrap_or_else(|why| why.to_string());
        let url = self.client.current_url().await.map_or_else(|why: CmdError| why.to_string(), Into::into);
        format!("{url}\n{source}")
    }

    async fn eventually<T, F: Future<Output = Option<T>>>(&self, attempt: impl Fn() -> F) -> Option<T> {
        let trying = async {
            loop {
                if let Some(value) = attempt().await {
                    return value;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, trying).await.ok()
    }
}

/// A chromedriver of our own, and the profile of its browser.
struct Driver {
    child: Child,
    profile: TempDir,
}

impl Driver {
    /// On a free port; returns where it listens. chromedriver takes one port for two addresses: when somebody else has
    /// it at one of them, it gives up.
    fn start() -> (Self, String) {
        (0..TRIES).find_map(|_| Self::attempt()).expect("chromedriver says where it listens")
    }

    fn attempt() -> Option<(Self, String)> {
        let profile = tempfile::tempdir().unwrap();
        let mut child = Command::new(program(&["chromedriver"], "chromium-driver"))
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let driver = Self { child, profile };
        let (sender, receiver) = mpsc::channel();
        // Reads on to the end, for a full pipe would stop it.
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let port = line.split_once("started successfully on port ").map(|(_, rest)| rest.trim_end_matches('.'));
                if let Some(Ok(port)) = port.map(str::parse::<u16>) {
                    let _ = sender.send(port);
                }
            }
        });
        let port = receiver.recv_timeout(PATIENCE).ok()?;
        Some((driver, format!("http://127.0.0.1:{port}")))
    }

    /// Kills chromedriver and every process that it started, and no other.
    fn end(&mut self) {
        let started = descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in started {
            // Most have ended by themselves.
            let _ = Command::new("sh").args(["-c", &format!("kill -s KILL {process}")]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.end();
        // The last of them may still write there: `TempDir` would give up.
        #[allow(clippy::disallowed_methods, reason = "other processes have their own time")]
        let start = Instant::now();
        while fs::remove_dir_all(self.profile.path()).is_err()
            && self.profile.path().exists()
            && start.elapsed() < Duration::from_secs(5)
        {
            thread::sleep(PAUSE);
        }
    }
}

/// The processes that this one started, and those that they started. Where there is no /proc: none, and
/// Chromium ends when it misses chromedriver.
fn descendants(process: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // The name of the program stands in brackets, and may itself hold some: proc_pid_stat(5).
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![process];
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        found.extend(children.get(parent).into_iter().flatten().copied().collect::<Vec<_>>());
        next += 1;
    }
    found.split_off(1)
}

/// A program on the PATH, under one of its names.
fn program(names: &[&str], package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        names.iter().find_map(|name| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file()));
    found.unwrap_or_else(|| {
        panic!("{} is not on the PATH. Run scripts/setup test, or install it: apt-get install {package}", names[0])
    })
}
