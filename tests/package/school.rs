//! A machine with the package, and what the gateway needs around it: the stand-in for Apple and an app, outside.

use std::{
    fs,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;

use crate::{
    deb::Packages,
    machine::Machine,
    support::{
        Answer, Browser, HOST, Request, Site,
        redis::free_port,
        world::{at, through_apple},
    },
};

pub struct School {
    pub site: Site,
    pub machine: Machine,
    pub address: SocketAddr,
}

impl School {
    /// A machine with nothing.
    pub async fn empty() -> Self {
        let machine = Machine::boot(Packages::made().folder());
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self { site: Site::start().await, machine, address }
    }

    /// With the package, and without a configuration.
    pub async fn installed() -> Self {
        let school = Self::empty().await;
        school.install(1);
        school
    }

    /// With a gateway that serves, and must not do what the unit forbids.
    pub async fn open(lines: &[(&str, &str)]) -> Self {
        let school = Self::installed().await;
        school.configure(lines);
        school.strict();
        school.machine.run("systemctl start schoolgate");
        school
    }

    /// A system call that the unit forbids ends the gateway here; on a machine of a school it would only be refused, and
    /// nobody would see.
    pub fn strict(&self) {
        self.drop_in("schoolgate.service", "strict", "[Service]\nSystemCallErrorNumber=kill\n");
    }

    /// Installs one of the packages; gives back what was said.
    pub fn install(&self, revision: u8) -> String {
        self.machine.run(&format!("dpkg --install /packages/schoolgate-{revision}.deb"))
    }

    /// What an operator writes: the key, the configuration, and where to listen.
    pub fn configure(&self, lines: &[(&str, &str)]) {
        self.machine.write("/etc/schoolgate/apple.p8", fs::read(self.site.path("apple.p8")).unwrap(), 0o600);
        self.write(&self.configuration(lines));
        let listen = format!("[Socket]\nListenStream=\nListenStream={}\n", self.address);
        self.drop_in("schoolgate.socket", "address", &listen);
    }

    /// Writes the configuration.
    pub fn write(&self, text: &str) {
        self.machine.write("/etc/schoolgate/gateway.toml", text, 0o644);
    }

    pub fn configuration(&self, lines: &[(&str, &str)]) -> String {
        let outside = self.site.path("");
        let outside = outside.to_str().unwrap().trim_end_matches('/');
        self.site
            .configuration(lines)
            .replace("\"127.0.0.1:0\"", &format!("\"{}\"", self.address))
            .replace(&format!("unix:{outside}/admin.sock"), "unix:/run/schoolgate/admin.sock")
            .replace(&format!("state_dir = \"{outside}/state\""), "")
            .replace(&format!("{outside}/apple.p8"), "$CREDENTIALS_DIRECTORY/apple.p8")
            .replace("store = \"memory\"", "")
    }

    /// What `systemctl edit` writes.
    pub fn drop_in(&self, unit: &str, name: &str, text: &str) {
        self.machine.write(&format!("/etc/systemd/system/{unit}.d/{name}.conf"), text, 0o644);
        self.machine.run("systemctl daemon-reload");
    }

    pub fn pid(&self) -> u32 {
        self.machine.property("schoolgate.service", "MainPID").parse().unwrap()
    }

    pub fn browser(&self) -> Browser {
        Browser::new(self.address)
    }

    /// The browser of somebody who has signed in.
    pub async fn signed_in(&self, person: &str) -> Browser {
        let mut browser = self.browser();
        let answer = through_apple(&mut browser, "/start", person).await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
        browser
    }

    /// Whether the session of a browser lives.
    pub async fn knows(&self, browser: &mut Browser) -> bool {
        browser.fetch(&at("/.schoolgate/me")).await.status == 200
    }

    pub async fn public(&self) -> Answer {
        Request::get("/public").header("Host", HOST).send(self.address).await
    }

    /// Whether anybody listens.
    pub async fn listens(&self) -> bool {
        tokio::net::TcpStream::connect(self.address).await.is_ok()
    }

    /// People who come without a pause.
    pub fn crowd(&self) -> Crowd {
        let (over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let visit = |_| {
            let (over, count, address) = (Arc::clone(&over), Arc::clone(&count), self.address);
            tokio::spawn(async move {
                let request = Request::get("/public").header("Host", HOST).header("Connection", "close");
                let mut failed = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    match request.clone().try_send(address).await {
                        Ok(answer) if answer.status == 200 => {}
                        other => failed.push(format!("{other:?}")),
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                }
                failed
            })
        };
        Crowd { visitors: (0..8).map(visit).collect(), over, count }
    }
}

pub struct Crowd {
    visitors: Vec<JoinHandle<Vec<String>>>,
    over: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Crowd {
    /// Waits until so many more have been served.
    pub async fn goes_on(&self, more: usize) {
        let wanted = self.count.load(Ordering::Relaxed) + more;
        while self.count.load(Ordering::Relaxed) < wanted {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sends them home; gives back what failed.
    pub async fn ends(self) -> Vec<String> {
        self.over.store(true, Ordering::Relaxed);
        let mut failed = Vec::new();
        for visitor in self.visitors {
            failed.extend(visitor.await.unwrap());
        }
        failed
    }
}
