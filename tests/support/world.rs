//! A gateway over real sockets, with a clock that a test moves, the stand-in for Apple and an app.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use schoolgate::{
    clock::{ManualClock, SharedClock, Timestamp},
    config,
    demo::{Client, ClientKey, Endpoint, PERSON_HEADER, StandIn, StandInSettings},
    entropy::SystemEntropy,
    server::{Parts, Running, Sockets},
    session::Store,
};
use url::Url;

use super::{Answer, Browser, Echo, Request, browser::target};

/// The host of the app.
pub const HOST: &str = "library.school.example";

/// When the clock starts.
pub const START: u64 = 1_800_000_000;

/// Where Apple sends the browser back.
pub const CALLBACK: &str = "https://library.school.example/.schoolgate/callback";

/// The configuration, with `@...@` for what is known only at run time.
const CONFIG: &str = r#"
[server]
listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
state_dir = "@FOLDER@"
#server#

[apple]
service = "organization"
client_id = "org.example.school.gateway"
team_id = "A1B2C3D4E5"
key_id = "K1L2M3N4O5"
private_key_file = "@FOLDER@/apple.p8"
redirect_uri = "https://library.school.example/.schoolgate/callback"
base_url = "@APPLE@"
#apple#

[session]
store = "memory"
#session#

[[app]]
name = "library"
host = "library.school.example"
upstream = "http://@APP@"
#app#

  [[app.route]]
  path = "/"

  [[app.route]]
  path = "/public"
  access = "public"

  [[app.route]]
  path = "/optional"
  access = "optional"

  [[app.route]]
  path = "/classes"
  scopes = ["edu.classes.read"]

  [[app.route]]
  path = "/staff"
  [app.route.allow]
  users = ["nobody-but-me"]

  [[app.route]]
  path = "/no-token"
  headers = { X-Forwarded-Access-Token = "{claim:none}" }

#routes#
"#;

pub struct World {
    pub apple: StandIn,
    pub echo: Echo,
    pub clock: Arc<ManualClock>,
    pub address: SocketAddr,
    pub admin: SocketAddr,
    pub running: Running,
    folder: tempfile::TempDir,
}

impl World {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With further lines in the sections `server`, `apple`, `session`, `app` and `routes`, where `@APP@` is the app; `service` names another
    /// of Apple's services, `home` another redirect URI, `apps` all the apps.
    pub async fn with(lines: &[(&str, &str)]) -> Self {
        let echo = Echo::start().await;
        let app = echo.address.to_string();
        Self::around(echo, &app, lines, clock(), None).await
    }

    /// With another store of sessions than the settings name.
    pub async fn with_store(store: Arc<dyn Store>) -> Self {
        let echo = Echo::start().await;
        let app = echo.address.to_string();
        Self::around(echo, &app, &[], clock(), Some(store)).await
    }

    /// With a store of sessions that the test reaches into, on the same clock.
    pub async fn with_own_store(make: impl FnOnce(SharedClock) -> Arc<dyn Store>) -> Self {
        let echo = Echo::start().await;
        let app = echo.address.to_string();
        let clock = clock();
        let store = make(Arc::<ManualClock>::clone(&clock));
        Self::around(echo, &app, &[], clock, Some(store)).await
    }

    /// In front of another app, as `host:port`; nobody asks the echo.
    pub async fn before(app: &str, lines: &[(&str, &str)]) -> Self {
        Self::around(Echo::start().await, app, lines, clock(), None).await
    }

    /// In front of another app, with another store of sessions.
    pub async fn before_with_store(app: &str, lines: &[(&str, &str)], store: Arc<dyn Store>) -> Self {
        Self::around(Echo::start().await, app, lines, clock(), Some(store)).await
    }

    async fn around(
        echo: Echo,
        app: &str,
        lines: &[(&str, &str)],
        clock: Arc<ManualClock>,
        store: Option<Arc<dyn Store>>,
    ) -> Self {
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        let folder = tempfile::tempdir().unwrap();
        let home = lines.iter().find(|(section, _)| *section == "home").map_or(CALLBACK, |(_, line)| *line);
        let apple = stand_in(&shared, folder.path(), home).await;
        let text = configuration(folder.path(), &apple, app, lines);
        let loaded = config::from_text(&folder.path().join("gateway.toml"), &text, &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let parts = Parts { clock: shared, entropy: Arc::new(SystemEntropy), store, sockets: Sockets::default() };
        let running = Running::start(loaded.settings, parts).await.unwrap();
        let (address, admin) = (running.addresses()[0], running.admin_address().unwrap());
        Self { apple, echo, clock, address, admin, running, folder }
    }

    /// Serves by a configuration with these lines instead.
    pub async fn reload(&mut self, lines: &[(&str, &str)]) {
        let text = configuration(self.folder.path(), &self.apple, &self.echo.address.to_string(), lines);
        let path = self.folder.path().join("gateway.toml");
        let loaded = config::from_text(&path, &text, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
        assert!(self.running.reload(loaded.settings).await.unwrap().is_empty(), "a restart is needed");
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// Sends a request for the app's host, without any cookie.
    pub async fn send(&self, request: Request) -> Answer {
        let request = if request.has_header("host") { request } else { request.header("Host", HOST) };
        request.send(self.address).await
    }

    /// Goes to Apple with the URL that the gateway gave, picks a person, and returns where Apple sends
    /// the browser.
    pub async fn at_apple(&self, authorize: &str, person: &str) -> String {
        at_apple(authorize, person).await
    }

    /// The way to Apple and back for one page; returns the answer to the callback.
    pub async fn through_apple(&self, browser: &mut Browser, path: &str, person: &str) -> Answer {
        through_apple(browser, path, person).await
    }

    /// Opens a page and follows every redirect, through Apple as `person` too. Gives back each URL on the way and the
    /// last answer.
    pub async fn walk(&self, browser: &mut Browser, url: &str, person: &str) -> (Vec<String>, Answer) {
        let mut way = vec![url.to_owned()];
        loop {
            assert!(way.len() < 12, "a loop: {way:#?}");
            let here = Url::parse(way.last().unwrap()).unwrap();
            let answer = browser.open(here.as_str()).await;
            if !matches!(answer.status, 302 | 303) {
                return (way, answer);
            }
            let mut next = here.join(answer.location()).unwrap().to_string();
            if next.starts_with(self.apple.base_url().as_str()) {
                way.push(next.clone());
                next = self.at_apple(&next, person).await;
            }
            way.push(next);
        }
    }

    /// The code and the state that Apple has the browser post.
    pub async fn posted_by_apple(&self, authorize: &str) -> [String; 2] {
        self.posted_for(authorize, "teacher-1").await
    }

    /// The same for somebody else.
    pub async fn posted_for(&self, authorize: &str, person: &str) -> [String; 2] {
        let address = SocketAddr::from(([127, 0, 0, 1], self.apple.base_url().port().unwrap()));
        let request = Request::get(&target(authorize)).header("Host", "127.0.0.1");
        let page = request.header(PERSON_HEADER, person).send(address).await.text();
        ["code", "state"].map(|name| {
            let rest = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{page}")).1;
            rest.split('"').next().unwrap().to_owned()
        })
    }

    /// How many sessions there are.
    pub async fn count_sessions(&self) -> usize {
        let request = Request::get("/sessions").header("Host", &self.admin.to_string());
        let list: serde_json::Value = serde_json::from_str(&request.send(self.admin).await.text()).unwrap();
        list["sessions"].as_array().unwrap().len()
    }

    /// A browser in which `person` is signed in.
    pub async fn signed_in(&self, person: &str) -> Browser {
        let mut browser = self.browser();
        let answer = self.through_apple(&mut browser, "/start", person).await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
        browser
    }

    /// Waits until an endpoint of Apple was called so often; fails when that never happens.
    pub async fn reached(&self, endpoint: Endpoint, times: usize) {
        let calls = self.apple.calls();
        let reached = tokio::time::timeout(Duration::from_secs(20), calls.reached(endpoint, times)).await;
        assert!(reached.is_ok(), "{endpoint:?} was called {} times, not {times}", calls.count(endpoint));
    }

    /// What an app is told about a person.
    pub fn subject(&self, person: &str) -> String {
        self.apple.people().iter().find(|one| one.id == person).expect("there is such a person").subject.clone()
    }

    pub async fn stop(self) {
        self.running.drain(Duration::from_secs(5)).await;
    }
}

fn clock() -> Arc<ManualClock> {
    ManualClock::at(Timestamp::from_seconds(START))
}

/// The configuration of a gateway in front of `app`, with further lines in its sections.
pub fn configuration(folder: &Path, apple: &StandIn, app: &str, lines: &[(&str, &str)]) -> String {
    let mut text = CONFIG.replace("@APPLE@", apple.base_url().as_str().trim_end_matches('/'));
    for (section, line) in lines {
        if *section == "home" {
            text = text.replace(CALLBACK, line);
            continue;
        }
        if *section == "apps" {
            text.truncate(text.find("[[app]]").expect("the apps are the last sections"));
            text.push_str(line);
            continue;
        }
        if *section == "service" {
            text = text.replace("service = \"organization\"", &format!("service = \"{line}\""));
            continue;
        }
        let mark = format!("#{section}#");
        assert!(text.contains(&mark), "{section}");
        text = text.replace(&mark, &format!("{line}\n{mark}"));
    }
    let upstream = if app.contains("://") { app.to_owned() } else { format!("\"http://{app}\"") };
    text.replace("@FOLDER@", folder.to_str().unwrap()).replace("\"http://@APP@\"", &upstream).replace("@APP@", app)
}

/// Goes to Apple with the URL that the gateway gave, picks a person, and returns where Apple sends the
/// browser.
pub async fn at_apple(authorize: &str, person: &str) -> String {
    let url = Url::parse(authorize).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()));
    let authority = format!("127.0.0.1:{}", url.port().unwrap());
    let request = Request::get(&target(authorize)).header("Host", &authority).header(PERSON_HEADER, person);
    let answer = request.send(address).await;
    assert!(matches!(answer.status, 302 | 303), "{} {}", answer.status, answer.text());
    answer.location().to_owned()
}

/// The way to Apple and back for one page; returns the answer to the callback.
pub async fn through_apple(browser: &mut Browser, path: &str, person: &str) -> Answer {
    let answer = browser.open(&at(path)).await;
    assert_eq!(answer.status, 302, "{}", answer.text());
    let callback = at_apple(answer.location(), person).await;
    browser.open(&callback).await
}

/// The URL of a path of the app.
pub fn at(path: &str) -> String {
    format!("https://{HOST}{path}")
}

/// A stand-in that knows the client of the configuration, whose key it leaves in `folder`.
pub async fn stand_in(clock: &SharedClock, folder: &Path, redirect_uri: &str) -> StandIn {
    let entropy = Arc::new(SystemEntropy);
    let key = ClientKey::generate(&*entropy).unwrap();
    std::fs::write(folder.join("apple.p8"), key.private_pem().expose()).unwrap();
    let client = Client {
        client_id: "org.example.school.gateway".into(),
        team_id: "A1B2C3D4E5".into(),
        key_id: "K1L2M3N4O5".into(),
        public_key: key.public(),
        redirect_uris: vec![redirect_uri.parse().unwrap()],
        local_redirects: redirect_uri.starts_with("http:"),
    };
    let settings = StandInSettings {
        clients: vec![client],
        clock: Arc::clone(clock),
        entropy,
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
    };
    StandIn::start(settings).await.unwrap()
}
