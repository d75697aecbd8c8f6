//! A gateway on localhost in front of an app of the test's own, with a clock that the test moves.

use std::{net::TcpListener, sync::Arc};

use schoolgate::{
    clock::{ManualClock, SharedClock, Timestamp},
    config,
    demo::StandIn,
    entropy::SystemEntropy,
    server::{Parts, Running, Sockets},
};

use super::support::{
    Relay,
    world::{START, configuration, stand_in},
};

/// All of it, until the test ends.
pub(super) struct School {
    pub(super) apple: StandIn,
    pub(super) clock: Arc<ManualClock>,
    /// What a browser opens, without a path.
    pub(super) base: String,
    /// What went between browser and gateway.
    pub(super) wire: Relay,
    _running: Running,
    _folder: tempfile::TempDir,
}

impl School {
    /// With further lines of the configuration, as `World::with` has them.
    pub(super) async fn start(app: &str, lines: &[(&str, &str)]) -> Self {
        let clock = ManualClock::at(Timestamp::from_seconds(START));
        let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
        // Apple's redirect_uri has a port: it must be known before the gateway listens.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let wire = Relay::to(address).await;
        let base = format!("http://localhost:{}", wire.address.port());
        let folder = tempfile::tempdir().unwrap();
        let apple = stand_in(&shared, folder.path(), &format!("{base}/.schoolgate/callback")).await;
        let text = configuration(folder.path(), &apple, app, lines)
            .replacen("listen = [\"127.0.0.1:0\"]", &format!("listen = [\"{address}\"]\nexternal_scheme = \"http\""), 1)
            .replace("https://library.school.example", &base)
            .replace("library.school.example", "localhost");
        let loaded = config::from_text(&folder.path().join("gateway.toml"), &text, &|_| None)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let parts = Parts { clock: shared, entropy: Arc::new(SystemEntropy), store: None, sockets: Sockets::default() };
        let running = Running::start(loaded.settings, parts).await.unwrap();
        Self { apple, clock, base, wire, _running: running, _folder: folder }
    }
}
