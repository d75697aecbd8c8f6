//! A gateway from its settings: built, listening, and drained at the end.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time::timeout};

use super::{
    AdminAddress, KeyFileError, Settings, StoreChoice, key_file, listener, listener::Acceptor, store,
    store::StoreProblem,
};
use crate::{
    admin::{self, Admin},
    apple::{Apple, BuildError},
    assertion::Assertions,
    clock::{SharedClock, Stopwatch, SystemClock},
    entropy::{SharedEntropy, SystemEntropy},
    proxy::{self, Connections, Gateway, UpstreamsError},
    session::{Codec, MeteredStore, RevocationQueue, Revoke, Sessions, Store},
    signin::{self, SignIn},
    telemetry::Metrics,
};

/// How long the last revocations may take when the gateway stops.
const LAST_REVOCATIONS: Duration = Duration::from_secs(5);

/// How long Apple's first keys may take when the gateway stops as soon as it has started.
const FIRST_KEYS: Duration = Duration::from_secs(1);

/// How long the last refreshes may take beyond the time that requests have.
const LAST_REFRESHES: Duration = Duration::from_secs(5);

/// Why a gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be listened on.
    #[error(
        "cannot listen on {address}: {source}; see [server] listen and admin_listen: another program may listen there, \
         the port is below 1024, or the folder of a socket is missing or belongs to another user"
    )]
    Bind {
        /// The address.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// There is no key to seal cookies with.
    #[error("{0}; see [server] state_dir and [session] encryption_key_file")]
    KeyFile(#[from] KeyFileError),
    /// The store of sessions does not open.
    #[error(transparent)]
    Store(#[from] StoreProblem),
    /// The client of Apple's service cannot be built.
    #[error(transparent)]
    Apple(#[from] BuildError),
    /// Apps cannot be reached as the settings say.
    #[error(transparent)]
    Upstreams(#[from] UpstreamsError),
    /// The system refuses to tell of signals.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

/// What a gateway takes from its surroundings.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The clock.
    pub clock: SharedClock,
    /// The randomness.
    pub entropy: SharedEntropy,
    /// Where sessions are kept, when that is not what the settings say.
    pub store: Option<Arc<dyn Store>>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy), store: None }
    }
}

/// A gateway that is running.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    admin: Admin,
    drain: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    connections: tokio_util::task::TaskTracker,
    queue: RevocationQueue,
    revoking: JoinHandle<()>,
    sessions: Arc<Sessions>,
    signin: Arc<SignIn>,
    tending: JoinHandle<()>,
    warming: JoinHandle<()>,
    asserting: Option<JoinHandle<()>>,
    watching: JoinHandle<()>,
}

impl Running {
    /// Builds a gateway and begins to listen: all of it or nothing.
    ///
    /// # Errors
    /// When an address is taken, the key cannot be read or made, or the store does not open.
    pub async fn start(settings: Settings, parts: Parts) -> Result<Self, StartError> {
        let Parts { clock, entropy, store: given } = parts;
        let metrics = Metrics::new(Arc::clone(&clock));
        let mut sockets = Vec::new();
        for address in &settings.listen {
            let bound = listener::bind(*address).await;
            sockets.push(bound.map_err(|source| StartError::Bind { address: address.to_string(), source })?);
        }
        let sealer = Arc::new(key_file::load(settings.encryption_key_file.as_deref(), &settings.state_dir, &*entropy)?);
        let apple =
            Arc::new(Apple::new(settings.apple, Arc::clone(&clock), Arc::clone(&entropy), Arc::clone(&metrics))?);
        // Memory always answers, and a request is not to wait for the clock.
        let is_metered = given.is_some() || !matches!(settings.store, StoreChoice::Memory);
        let store = match given {
            Some(store) => store,
            None => {
                let codec = Codec::new(Arc::clone(&sealer), Arc::clone(&entropy));
                let surroundings = (Arc::clone(&clock), Arc::clone(&entropy));
                store::open(settings.store, &settings.state_dir, settings.session, codec, surroundings).await?
            }
        };
        let store = if is_metered { Arc::new(MeteredStore::new(store, Arc::clone(&metrics))) } else { store };
        let sessions = Sessions::new(settings.session, Arc::clone(&store), Arc::clone(&clock), Arc::clone(&entropy));
        let queue = RevocationQueue::new(
            store,
            Arc::<Apple>::clone(&apple),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::clone(&metrics),
            sessions.bell(),
        );
        let assertions = settings
            .assertion
            .map(|settings| Assertions::new(settings, Arc::clone(&sessions), Arc::clone(&clock), Arc::clone(&entropy)));
        let (drain, drains) = watch::channel(false);
        let operators = admin::Parts {
            apple: Arc::clone(&apple),
            sessions: Arc::clone(&sessions),
            queue: queue.clone(),
            assertions: assertions.clone(),
            metrics: Arc::clone(&metrics),
            entropy: Arc::clone(&entropy),
            refresh_before: settings.signin.refresh_before,
            revoke: if settings.signin.revoke_on_sign_out { Revoke::Yes } else { Revoke::No },
            draining: drains.clone(),
        };
        let parts = signin::Parts {
            apple: Arc::clone(&apple),
            sessions: Arc::clone(&sessions),
            sealer,
            queue: queue.clone(),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            metrics: Arc::clone(&metrics),
        };
        let signin = SignIn::new(settings.signin, parts);
        let admin = admin(&settings.admin_listen, operators).await?;
        let (sharing, drawing, counting) = (Arc::clone(&sessions), Arc::clone(&entropy), Arc::clone(&metrics));
        let connections = Connections::new(&settings.proxy, sharing, drawing, counting);
        let waker = Arc::clone(&clock);
        let asserting = assertions.clone().map(|assertions| tokio::spawn(assertions.tend()));
        let counting = Arc::clone(&metrics);
        let gateway = Gateway::new(settings.proxy, settings.table, Arc::clone(&signin), clock, entropy, counting)?;
        let gateway = gateway.asserting(assertions);
        let upstreams = gateway.upstreams();
        metrics.upstreams.is({
            let upstreams = Arc::clone(&upstreams);
            move || upstreams.states()
        });
        let acceptor = Acceptor::new(proxy::proxy(gateway), connections, drains);
        let addresses: Vec<_> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let tasks = acceptor.tasks().clone();
        let listeners = sockets.into_iter().map(|socket| tokio::spawn(acceptor.clone().accept_all(socket))).collect();
        // Apple may be down: public routes work all the same, and sign-ins say what is wrong.
        let warming = tokio::spawn(async move { apple.warm_keys().await });
        let revoking = tokio::spawn({
            let queue = queue.clone();
            async move { queue.run().await }
        });
        let tending = tokio::spawn(Arc::clone(&sessions).tend());
        let watching = tokio::spawn(async move { upstreams.watch(&*waker).await });
        tracing::info!(event = "started", listen = ?addresses);
        Ok(Self {
            addresses,
            admin,
            drain,
            listeners,
            connections: tasks,
            queue,
            revoking,
            sessions,
            signin,
            tending,
            warming,
            asserting,
            watching,
        })
    }

    /// Where browsers connect: with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where operators ask, when it is a TCP address.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.address()
    }

    /// How many revocations wait; very many, when the store cannot tell.
    pub async fn revocations_waiting(&self) -> usize {
        self.queue.length().await.unwrap_or(usize::MAX)
    }

    /// Accepts nothing more, lets requests in flight and refreshes finish within `grace`, and gives the last
    /// revocations a moment.
    pub async fn drain(self, grace: Duration) {
        // Before it is said: who reads the log may ask at once.
        self.drain.send_replace(true);
        tracing::info!(event = "draining", connections = self.connections.len());
        for listener in self.listeners {
            let _ = listener.await;
        }
        self.connections.close();
        let stopwatch = Stopwatch::start();
        if timeout(grace, self.connections.wait()).await.is_err() {
            tracing::warn!(event = "drain_incomplete", connections = self.connections.len());
        }
        self.watching.abort();
        // No browser waits for a refresh ahead of time, but what Apple answers to it must not be lost.
        let rest = grace.saturating_sub(stopwatch.elapsed()).max(LAST_REFRESHES);
        if timeout(rest, self.signin.renewed()).await.is_err() {
            tracing::warn!(event = "refreshes_cut_off");
        }
        // Cut off in the middle it would say that Apple is away.
        let _ = timeout(FIRST_KEYS, self.warming).await;
        self.tending.abort();
        self.asserting.inspect(JoinHandle::abort);
        self.sessions.write_seen().await;
        self.revoking.abort();
        let _ = timeout(LAST_REVOCATIONS, self.queue.finish()).await;
        match self.queue.length().await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(event = "revocations_waiting", count),
            Err(error) => tracing::warn!(event = "revocation_queue_unavailable", reason = %error),
        }
        // The last to go: until here operators can ask how it goes.
        self.admin.stop().await;
        tracing::info!(event = "stopped");
    }
}

async fn admin(address: &AdminAddress, parts: admin::Parts) -> Result<Admin, StartError> {
    let failed = |address: String| move |source| StartError::Bind { address, source };
    match address {
        AdminAddress::Tcp(address) => Admin::on_tcp(*address, parts).await.map_err(failed(address.to_string())),
        AdminAddress::Unix(path) => Admin::on_unix(path, parts).map_err(failed(path.display().to_string())),
    }
}
