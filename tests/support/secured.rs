//! A gateway with TLS of its own, and clients that agree on a version of HTTP with it.

use std::ops::Deref;

use super::{Answer, Authority, Browser, Connection, HOST, Http2, Request, TlsClient, World, world::through_apple};

/// A gateway whose certificate is for the app's host.
pub struct Secured {
    pub world: World,
    pub authority: Authority,
    folder: tempfile::TempDir,
}

impl Deref for Secured {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl Secured {
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// With further lines, as `World::with` takes them.
    pub async fn with(lines: &[(&str, &str)]) -> Self {
        Self::around(lines, async |lines: Vec<(&str, &str)>| World::with(&lines).await).await
    }

    /// In front of another app.
    pub async fn before(app: &str, lines: &[(&str, &str)]) -> Self {
        Self::around(lines, async |lines: Vec<(&str, &str)>| World::before(app, &lines).await).await
    }

    async fn around(lines: &[(&str, &str)], world: impl AsyncFnOnce(Vec<(&str, &str)>) -> World) -> Self {
        let (authority, folder) = (Authority::new("School"), tempfile::tempdir().unwrap());
        let certificate = authority.signs(&[HOST]).write(folder.path(), "gateway");
        // The section of TLS goes to the end of its parent's.
        let (server, mut all): (Vec<_>, Vec<_>) = lines.iter().copied().partition(|(section, _)| *section == "server");
        let server: String = server.iter().map(|(_, line)| format!("{line}\n")).collect();
        let section = format!("{server}[server.tls]\n{certificate}");
        all.push(("server", &section));
        Self { world: world(all).await, authority, folder }
    }

    /// A client that offers these protocols.
    pub fn client(&self, protocols: &[&str]) -> TlsClient {
        TlsClient::speaking(&self.authority, protocols)
    }

    /// A connection of HTTP/2, as browsers agree on it.
    pub async fn open(&self) -> Http2 {
        let stream = self.client(&["h2", "http/1.1"]).connect(self.world.address, HOST).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        Http2::over(stream).await
    }

    /// A connection of HTTP/1.1.
    pub async fn plain(&self) -> Connection {
        self.client(&["http/1.1"]).open(self.world.address, HOST).await
    }

    /// Sends a request of HTTP/1.1 for the app's host.
    pub async fn send(&self, request: Request) -> Answer {
        request.header("Host", HOST).send_over(&mut self.plain().await).await
    }

    /// A browser of HTTP/1.1.
    pub fn browser(&self) -> Browser {
        self.world.browser().with_tls(self.client(&["http/1.1"]))
    }

    /// One in which `person` is signed in.
    pub async fn signed_in(&self, person: &str) -> Browser {
        let mut browser = self.browser();
        let answer = through_apple(&mut browser, "/start", person).await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
        browser
    }
}
