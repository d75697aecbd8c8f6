//! A gateway from its settings: built, listening, and drained at the end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::task::TaskTracker;

use super::{
    AdminAddress, NeedsRestart, Settings, StartError,
    core::Core,
    listener::{Acceptor, Door},
    restart::Fixed,
    serving::{Serving, Wanted},
    sockets::Sockets,
    watchdog::Pulse,
};
use crate::{
    acme::Orderer,
    admin::{self, Admin, Present},
    apple::Apple,
    clock::{SharedClock, Stopwatch, SystemClock},
    entropy::{SharedEntropy, SystemEntropy},
    proxy::{Generations, Service, wire::FAREWELL},
    session::Store,
    telemetry::{CertificateState, Metrics},
    tls::{self, Certificates, Expiry, Keeper},
};

/// How long the last revocations may take when the gateway stops.
const LAST_REVOCATIONS: Duration = Duration::from_secs(5);

/// How long Apple's first keys may take when the gateway stops as soon as it has started.
const FIRST_KEYS: Duration = Duration::from_secs(1);

/// How long Apple's keys may hold up a reload.
const LAST_KEYS: Duration = Duration::from_secs(5);

/// How long requests in flight may take once the streams are over.
const LAST_REQUESTS: Duration = Duration::from_secs(10);

/// How long the last refreshes may take beyond the time that requests have.
const LAST_REFRESHES: Duration = Duration::from_secs(5);

/// How long store and log may take to put everything away.
const LAST_WORDS: Duration = Duration::from_secs(20);

/// What a gateway takes from its surroundings.
#[derive(Debug)]
pub struct Parts {
    /// The clock.
    pub clock: SharedClock,
    /// The randomness.
    pub entropy: SharedEntropy,
    /// Where sessions are kept, when that is not what the settings say.
    pub store: Option<Arc<dyn Store>>,
    /// Sockets that listen already.
    pub sockets: Sockets,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            store: None,
            sockets: Sockets::default(),
        }
    }
}

/// A gateway that is running.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<SocketAddr>,
    redirected: Vec<SocketAddr>,
    keeper: Option<Arc<Keeper>>,
    keeping: Option<JoinHandle<()>>,
    ordering: Option<JoinHandle<()>>,
    admin: Admin,
    drain: watch::Sender<bool>,
    shut: watch::Sender<bool>,
    listeners: Vec<JoinHandle<()>>,
    connections: TaskTracker,
    streams: TaskTracker,
    has_heirs: bool,
    core: Core,
    fixed: Fixed,
    grace: Duration,
    generations: Generations,
    pulse: Pulse,
    serving: Serving,
    present: Arc<ArcSwap<Present>>,
    revoking: JoinHandle<()>,
    tending: JoinHandle<()>,
    /// The fetch of Apple's keys, while it is under way.
    warming: Option<JoinHandle<()>>,
}

impl Running {
    /// Builds a gateway and begins to listen: all of it or nothing.
    ///
    /// # Errors
    /// When an address is taken, the key cannot be read or made, or the store does not open.
    pub async fn start(settings: Settings, mut parts: Parts) -> Result<Self, StartError> {
        let has_heirs = !parts.sockets.is_empty();
        let sockets = open(&settings.listen, &mut parts.sockets).await?;
        let redirects = settings.tls.as_ref().map_or(&[][..], |tls| &tls.redirect_listen);
        let redirects = open(redirects, &mut parts.sockets).await?;
        parts.sockets.all_taken()?;
        let core = Core::open(&settings, parts).await?;
        let (fixed, grace) = (Fixed::of(&settings), settings.shutdown_grace);
        let admin_listen = settings.admin_listen.clone();
        let keeper = settings.tls.as_ref().map(|tls| Keeper::new(tls.certificates.clone(), Arc::clone(&core.clock)));
        let acme = settings.tls.as_ref().and_then(|tls| tls.acme.clone());
        let tls = keeper.as_ref().map(|keeper| tls::Acceptor::new(Arc::clone(keeper.certificates()))).transpose()?;
        let (mut serving, generation) = Serving::first(&core, Wanted::of(settings))?;
        let (drain, drains) = watch::channel(false);
        let present = Arc::new(ArcSwap::from_pointee(serving.present.clone()));
        let operators = admin::Parts {
            present: Arc::clone(&present),
            sessions: Arc::clone(&core.sessions),
            queue: core.queue.clone(),
            metrics: Arc::clone(&core.metrics),
            clock: Arc::clone(&core.clock),
            entropy: Arc::clone(&core.entropy),
            certificates: keeper.as_ref().map(|keeper| Arc::clone(keeper.certificates())),
            draining: drains.clone(),
        };
        let admin = admin(&admin_listen, operators).await?;
        // Nothing can fail from here on.
        let generations = Generations::new(generation);
        let streams = TaskTracker::new();
        let service = Service { generations: generations.clone(), drain: drains, streams: streams.clone() };
        let (shut, shuts) = watch::channel(false);
        let mut pulse = Pulse::new(generations.clone(), shuts.clone());
        let acceptor = Acceptor::new(service, shuts);
        let addresses: Vec<_> = sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let connections = acceptor.tasks().clone();
        let redirected: Vec<_> = redirects.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let certificates = keeper.as_ref().map(|keeper| Arc::clone(keeper.certificates()));
        let door = Door::Public(tls.map(Arc::new));
        let doors = sockets.into_iter().map(|socket| (socket, door.clone()));
        let doors = doors.chain(redirects.into_iter().map(|socket| (socket, Door::Redirect(certificates.clone()))));
        let open = |(socket, door)| tokio::spawn(acceptor.clone().accept_all(socket, door, pulse.of_a_listener()));
        let listeners = doors.map(open).collect();
        if let Some(keeper) = &keeper {
            tell_of(&core.metrics, Arc::clone(keeper.certificates()));
        }
        let keeping = keeper.clone().map(|keeper| tokio::spawn(keeper.watch()));
        let ordering = keeper.clone().zip(acme).map(|(keeper, acme)| {
            let orderer = Orderer::new(acme, keeper, Arc::clone(&core.clock), Arc::clone(&core.entropy));
            tokio::spawn(orderer.run())
        });
        serving.work(&core);
        let queue = core.queue.clone();
        let revoking = tokio::spawn(async move { queue.run().await });
        let tending = tokio::spawn(Arc::clone(&core.sessions).tend());
        let warming = Some(warm(&serving.apple));
        tracing::info!(event = "started", listen = ?addresses);
        Ok(Self {
            addresses,
            redirected,
            keeper,
            keeping,
            ordering,
            admin,
            drain,
            shut,
            listeners,
            connections,
            streams,
            has_heirs,
            core,
            fixed,
            grace,
            generations,
            pulse,
            serving,
            present,
            revoking,
            tending,
            warming,
        })
    }

    /// Serves by other settings from the next request on, all of them or none. Requests under way keep theirs, and
    /// sessions and streams stay. Gives back what only a restart can change and was left as it is.
    ///
    /// # Errors
    /// When what the settings ask for cannot be built: then nothing has changed.
    pub async fn reload(&mut self, settings: Settings) -> Result<Vec<NeedsRestart>, StartError> {
        let (fixed, grace, lifetimes) = (Fixed::of(&settings), settings.shutdown_grace, settings.session);
        let certificates = settings.tls.as_ref().map(|tls| tls.certificates.clone());
        let (mut next, generation) = self.serving.next(&self.core, Wanted::of(settings))?;
        // Before it serves: nobody should wait for keys that were there a moment ago.
        let mut warming = warm(&next.apple);
        let in_time = timeout(LAST_KEYS, &mut warming).await.is_ok();
        self.core.apple.replace(Arc::clone(&next.apple));
        self.core.lifetimes.replace(lifetimes);
        let waiting = self.fixed.changed(&fixed);
        next.present.needs_restart = waiting.iter().map(|NeedsRestart(key)| *key).collect();
        self.present.store(Arc::new(next.present.clone()));
        self.generations.replace(generation);
        if let Some((keeper, certificates)) = self.keeper.as_ref().zip(certificates) {
            keeper.replace(certificates);
        }
        self.serving.rest();
        next.work(&self.core);
        self.serving = next;
        self.grace = grace;
        self.warming = (!in_time).then_some(warming);
        Ok(waiting)
    }

    /// Whether requests are served.
    pub(super) fn pulse(&self) -> &Pulse {
        &self.pulse
    }

    /// What is counted and measured.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.core.metrics
    }

    /// Where browsers connect: with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where browsers that come without TLS are sent to the other addresses.
    #[must_use]
    pub fn redirected(&self) -> &[SocketAddr] {
        &self.redirected
    }

    /// The certificates in use, where TLS ends here.
    #[must_use]
    pub fn certificates(&self) -> Option<&Arc<Certificates>> {
        self.keeper.as_deref().map(Keeper::certificates)
    }

    /// Where operators ask, when it is a TCP address.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.address()
    }

    /// How long requests in flight may go on when it stops.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace
    }

    /// How long a drain can take, with some time to write down what must not be lost.
    pub(super) fn longest_drain(&self) -> Duration {
        let rest = LAST_REQUESTS + LAST_REFRESHES + FIRST_KEYS + LAST_REVOCATIONS + LAST_WORDS;
        self.grace.saturating_add(rest)
    }

    /// How many revocations wait; very many, when the store cannot tell.
    pub async fn revocations_waiting(&self) -> usize {
        self.core.queue.length().await.unwrap_or(usize::MAX)
    }

    /// Accepts nothing more, lets requests in flight and refreshes finish within `grace`, and gives the last
    /// revocations a moment.
    ///
    /// Where the sockets are somebody else's, who connects after the end waits for the next process. Nobody should wait
    /// for the streams of others, so that it accepts until they are over.
    pub async fn drain(mut self, mut grace: Duration) {
        if self.has_heirs {
            self.streams.close();
            if !self.streams.is_empty() {
                tracing::info!(event = "draining_streams", streams = self.streams.len());
                let _ = timeout(grace, self.streams.wait()).await;
            }
            grace = LAST_REQUESTS;
        }
        // Before it is said: who reads the log may ask at once.
        self.drain.send_replace(true);
        tracing::info!(event = "draining", connections = self.connections.len());
        if self.has_heirs {
            // Whoever is told to connect again should not wait for those who have not been told yet.
            sleep(FAREWELL).await;
        }
        self.shut.send_replace(true);
        for listener in self.listeners {
            let _ = listener.await;
        }
        self.connections.close();
        let stopwatch = Stopwatch::start();
        if timeout(grace, self.connections.wait()).await.is_err() {
            tracing::warn!(event = "drain_incomplete", connections = self.connections.len());
        }
        // No browser waits for a refresh ahead of time, but what Apple answers to it must not be lost.
        let rest = grace.saturating_sub(stopwatch.elapsed()).max(LAST_REFRESHES);
        if timeout(rest, self.serving.signin.renewed()).await.is_err() {
            tracing::warn!(event = "refreshes_cut_off");
        }
        // Cut off in the middle it would say that Apple is away.
        if let Some(warming) = self.warming {
            let _ = timeout(FIRST_KEYS, warming).await;
        }
        self.tending.abort();
        self.keeping.inspect(JoinHandle::abort);
        self.ordering.inspect(JoinHandle::abort);
        self.serving.rest();
        let Core { sessions, queue, .. } = self.core;
        sessions.write_seen().await;
        self.revoking.abort();
        let _ = timeout(LAST_REVOCATIONS, queue.finish()).await;
        match queue.length().await {
            Ok(0) => {}
            Ok(count) => tracing::warn!(event = "revocations_waiting", count),
            Err(error) => tracing::warn!(event = "revocation_queue_unavailable", reason = %error),
        }
        // The last to go: until here operators can ask how it goes.
        self.admin.stop().await;
        tracing::info!(event = "stopped");
    }
}

/// Certificates are measured where they are in use, whatever brings new ones.
fn tell_of(metrics: &Metrics, certificates: Arc<Certificates>) {
    metrics.certificates.is(move || {
        let state = |Expiry { names, until }| CertificateState { name: names, expires: until };
        certificates.expiries().into_iter().map(state).collect()
    });
}

async fn open(addresses: &[SocketAddr], given: &mut Sockets) -> Result<Vec<TcpListener>, StartError> {
    let mut sockets = Vec::new();
    for address in addresses {
        sockets.push(given.at(*address).await?);
    }
    Ok(sockets)
}

/// Fetches Apple's keys. Apple may be down: public routes work all the same, and sign-ins say what is wrong.
fn warm(apple: &Arc<Apple>) -> JoinHandle<()> {
    let apple = Arc::clone(apple);
    tokio::spawn(async move { apple.warm_keys().await })
}

async fn admin(address: &AdminAddress, parts: admin::Parts) -> Result<Admin, StartError> {
    let failed = |address: String| move |source| StartError::Bind { address, source };
    match address {
        AdminAddress::Tcp(address) => Admin::on_tcp(*address, parts).await.map_err(failed(address.to_string())),
        AdminAddress::Unix(path) => Admin::on_unix(path, parts).map_err(failed(path.display().to_string())),
    }
}
