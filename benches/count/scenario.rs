//! What is counted: who runs, what they are asked, and what they must answer.

use std::{net::SocketAddr, path::PathBuf, process::Stdio};

use tokio::process::Command;

use crate::{
    common::{BROWSER, listens},
    support::{Connection, HOST, Program, Request, Site, pebble::free},
};

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// schoolgate.
    Gateway,
    /// pingora with nothing around it.
    Bare,
}

/// One kind of request.
pub struct Scenario {
    pub name: &'static str,
    pub who: Who,
    /// `RUST_LOG`; `None` as it is shipped.
    log: Option<&'static str>,
    target: &'static str,
    signed_in: bool,
    navigation: bool,
    status: u16,
}

/// Everything but the line of each request.
const NO_ACCESS_LINES: Option<&str> = Some("info,schoolgate::access=off");

pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "bare",
        who: Who::Bare,
        log: None,
        target: "/1k",
        signed_in: false,
        navigation: false,
        status: 200,
    },
    Scenario {
        name: "authenticated",
        who: Who::Gateway,
        log: None,
        target: "/1k",
        signed_in: true,
        navigation: false,
        status: 200,
    },
    Scenario {
        name: "authenticated-unlogged",
        who: Who::Gateway,
        log: NO_ACCESS_LINES,
        target: "/1k",
        signed_in: true,
        navigation: false,
        status: 200,
    },
    Scenario {
        name: "public",
        who: Who::Gateway,
        log: None,
        target: "/public/1k",
        signed_in: false,
        navigation: false,
        status: 200,
    },
    Scenario {
        name: "stranger-fetch",
        who: Who::Gateway,
        log: None,
        target: "/1k",
        signed_in: false,
        navigation: false,
        status: 401,
    },
    Scenario {
        name: "stranger-navigation",
        who: Who::Gateway,
        log: None,
        target: "/1k",
        signed_in: false,
        navigation: true,
        status: 302,
    },
];

/// Three cookies of the app.
const COOKIES: &str = "a=b; lang=de; theme=dark";

/// A cookie of the length of ours, for who knows nobody.
const STRANGE_COOKIE: &str = "x=0123456789012345678901234567890123456789012345";

impl Scenario {
    /// A request of it, with another target if there is one.
    fn request(&self, target: Option<&str>, session: Option<&str>) -> Request {
        let mut request = Request::get(target.unwrap_or(self.target)).header("Host", HOST);
        for (name, value) in BROWSER {
            request = request.header(name, value);
        }
        request = request.header("Sec-Fetch-Site", "same-origin");
        let (mode, dest) = if self.navigation { ("navigate", "document") } else { ("cors", "empty") };
        request = request.header("Sec-Fetch-Mode", mode).header("Sec-Fetch-Dest", dest);
        let cookies = match (self.signed_in, session) {
            (true, session) => format!("{}; {COOKIES}", session.expect("a session")),
            (false, _) if self.who == Who::Bare => format!("{STRANGE_COOKIE}; {COOKIES}"),
            (false, _) => COOKIES.to_owned(),
        };
        request.header("Cookie", &cookies)
    }
}

/// The programs that are counted.
pub struct Programs {
    pub gateway: PathBuf,
    pub bare: PathBuf,
}

/// A program that runs under a tool, with one connection to it.
pub struct Bench<'a> {
    scenario: &'a Scenario,
    session: Option<String>,
    connection: Connection,
    pub program: Program,
}

impl<'a> Bench<'a> {
    /// Starts what answers, behind `tool`.
    pub async fn start(
        scenario: &'a Scenario,
        programs: &Programs,
        site: &Site,
        upstream: SocketAddr,
        tool: Command,
    ) -> Self {
        let (program, address) = match scenario.who {
            Who::Gateway => {
                let lines = [("server", "sign_in_rate_per_ip = 1000000")];
                let text = site.configuration(&lines).replace(&site.echo.address.to_string(), &upstream.to_string());
                let path = site.path("gateway.toml");
                std::fs::write(&path, text).unwrap();
                let mut command = behind(tool, &programs.gateway, &["run", "--config", path.to_str().unwrap()]);
                command.env_remove("RUST_LOG").envs(scenario.log.map(|log| ("RUST_LOG", log)));
                let mut program = Program::watched(command);
                program.started().await;
                let address = program.address();
                (program, address)
            }
            Who::Bare => {
                let address = free();
                let command = behind(tool, &programs.bare, &[&address.to_string(), &upstream.to_string()]);
                let program = Program::watched(command);
                listens(address).await;
                (program, address)
            }
        };
        let session = match scenario.signed_in {
            true => {
                let browser = program.signed_in("teacher-1").await;
                let name = browser.cookie_names(HOST).into_iter().find(|name| !name.contains("login"));
                let name = name.expect("a session cookie");
                Some(format!("{name}={}", browser.cookie(HOST, &name).unwrap()))
            }
            false => None,
        };
        Self { scenario, session, connection: Connection::open(address).await, program }
    }

    /// Sends requests, one after the other.
    pub async fn send(&mut self, times: usize) {
        for _ in 0..times {
            self.send_to(None).await;
        }
    }

    /// Sends a request with a target that can be found again in a trace.
    pub async fn send_to(&mut self, target: Option<&str>) {
        let request = self.scenario.request(target, self.session.as_deref());
        let answer = request.send_over(&mut self.connection).await;
        assert_eq!(answer.status, self.scenario.status, "{}: {answer:?}", self.scenario.name);
        if answer.status == 200 {
            assert_eq!(answer.body.len(), 1024, "{}", self.scenario.name);
        }
    }

    /// The path of its requests.
    pub fn target(&self) -> &'static str {
        self.scenario.target
    }
}

/// The tool's command, with the program and its arguments at the end, on as few threads as it can.
fn behind(mut tool: Command, program: &std::path::Path, arguments: &[&str]) -> Command {
    for variable in ["SCHOOLGATE_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET"] {
        tool.env_remove(variable);
    }
    // callgrind takes `rep movsb` for an instruction a byte: have memcpy copy long texts as it does short ones.
    tool.env("GLIBC_TUNABLES", "glibc.cpu.x86_rep_movsb_threshold=1073741824");
    tool.env("TOKIO_WORKER_THREADS", "1").arg(program).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    tool
}
