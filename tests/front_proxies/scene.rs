//! A gateway that is asked, a web server that asks, and an app that knows only what it is told.

use std::net::SocketAddr;

use crate::{
    front::{Front, Proxy},
    support::{Answer, Browser, Echo, HOST, Request, World, world::through_apple},
};

/// What the gateway of a test adds to its configuration. The routes are those of [`World`], and two that look at
/// the method. The other app is open to everybody, and the web server knows nothing of it.
const LINES: &[(&str, &str)] = &[
    ("server", "trusted_proxies = [\"127.0.0.1\"]"),
    ("session", "[assertion]\nenabled = true"),
    (
        "routes",
        "  [[app.route]]\n  path = \"/forms\"\n\n  \
         [[app.route]]\n  path = \"/forms\"\n  methods = [\"GET\", \"HEAD\"]\n  access = \"public\"\n\n\
         [[app]]\nname = \"open\"\nhost = \"open.school.example\"\nupstream = \"http://127.0.0.1:9\"\n  \
         [[app.route]]\n  path = \"/\"\n  access = \"public\"",
    ),
];

/// An address where nobody listens. The gateway thinks that the app is there: whatever reaches the app came by the
/// web server.
const NOBODY: &str = "127.0.0.1:9";

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) front: Front,
}

impl Scene {
    pub(crate) async fn of(proxy: &Proxy) -> Self {
        Self::with(proxy, &[]).await
    }

    /// With further lines in the gateway's configuration.
    pub(crate) async fn with(proxy: &Proxy, lines: &[(&str, &str)]) -> Self {
        let world = World::before(NOBODY, &[LINES, lines].concat()).await;
        let front = Front::start(proxy, world.address, world.echo.address);
        Self { world, front }
    }

    /// With another app.
    pub(crate) async fn around(proxy: &Proxy, app: SocketAddr) -> Self {
        let world = World::before(NOBODY, LINES).await;
        let front = Front::start(proxy, world.address, app);
        Self { world, front }
    }

    pub(crate) fn app(&self) -> &Echo {
        &self.world.echo
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.front.address)
    }

    /// A browser in which a person is signed in.
    pub(crate) async fn signed_in(&self, person: &str) -> Browser {
        let mut browser = self.browser();
        let answer = through_apple(&mut browser, "/start", person).await;
        assert_eq!((answer.status, answer.location()), (303, "/start"), "{}", answer.text());
        browser
    }

    /// Sends a request for the app's host, without any cookie.
    pub(crate) async fn send(&self, request: Request) -> Answer {
        let request = if request.has_header("host") { request } else { request.header("Host", HOST) };
        request.send(self.front.address).await
    }
}
