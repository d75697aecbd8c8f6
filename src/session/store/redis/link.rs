//! The link to Redis: one connection, watched and made again by itself, with a limit to everybody's
//! patience.
//!
//! Nothing is asked twice. A command whose answer was lost may have been done, and not each of ours may be
//! done again: a session that was removed would seem to have been absent, and what was claimed would be
//! claimed by nobody. Whoever gets an error says so, and tries again when it wants to.

use std::{fmt, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    client::{Fault, Pushed, Wire},
    finder::Finder,
    greeting::Greeting,
    url::Node,
    words::{Call, Reply, Words},
};
use crate::session::StoreError;

/// How long a question may take, with all that must happen for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long it may take to find the server, to connect and to greet.
pub(super) const CONNECTING: Duration = Duration::from_millis(1_900);

/// Wait between two tries to connect.
const PAUSE: Duration = Duration::from_millis(250);

/// Wait after a connection was lost: a server that takes connections and cuts them is not run down.
const BREATH: Duration = Duration::from_millis(20);

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nobody answers, or not yet.
    Away(String),
    /// The server answers and will not let us work: that needs somebody's hand.
    Refused(String),
}

impl Trouble {
    /// The reason.
    pub(super) fn why(&self) -> &str {
        match self {
            Self::Away(why) | Self::Refused(why) => why,
        }
    }
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Gone(why) => Self::Away(why),
            Fault::Refused { code, why } => match &*code {
                // Passes by itself: it starts, or another is the primary now, or a disk is full.
                "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK" | "TRYAGAIN" | "MISCONF"
                | "OOM" | "NOREPLICAS" | "BUSY" | "UNKILLABLE" => Self::Away(why),
                "ERR" if why.contains("max number of clients") => Self::Away(why),
                _ => Self::Refused(why),
            },
        }
    }
}

/// A connection that works as far as is known.
#[derive(Clone, Debug)]
pub(super) struct Live {
    node: Node,
    wire: Wire,
    /// Rings once it does not work any more.
    lost: CancellationToken,
}

#[derive(Clone, Debug)]
enum State {
    /// It was lost a moment ago, or never there: whoever asks waits for the first try.
    Connecting,
    Live(Live),
    /// The last try failed: whoever asks is told so at once.
    Down(Trouble),
}

/// The link.
pub(super) struct Link {
    finder: Arc<Finder>,
    state: watch::Receiver<State>,
    _keeper: AbortOnDropHandle<()>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Link").field(&self.finder.place()).finish()
    }
}

impl Link {
    /// Begins to connect. Ends when it is dropped.
    pub(super) fn start(finder: Finder, greeting: Greeting) -> Self {
        let finder = Arc::new(finder);
        let (sender, state) = watch::channel(State::Connecting);
        let keeper = Keeper { finder: Arc::clone(&finder), greeting, state: sender };
        Self { finder, state, _keeper: AbortOnDropHandle::new(tokio::spawn(keeper.keep())) }
    }

    /// What came of the first try to connect.
    pub(super) async fn first_try(&self) -> Result<(), Trouble> {
        match timeout(PATIENCE, self.settled()).await {
            Ok(State::Live(_)) => Ok(()),
            Ok(State::Down(trouble)) => Err(trouble),
            Ok(State::Connecting) | Err(_) => Err(Trouble::Away("no answer in time".to_owned())),
        }
    }

    /// Asks.
    pub(super) async fn ask(&self, words: &Words) -> Result<Reply, StoreError> {
        self.patiently(async |live: &Live| live.wire.ask(words).await).await
    }

    /// Runs a script.
    pub(super) async fn run(&self, call: &Call) -> Result<Reply, StoreError> {
        self.patiently(async |live: &Live| run(&live.wire, call).await).await
    }

    /// The connection of now, once there is one.
    pub(super) async fn live(&self) -> Live {
        let mut state = self.state.clone();
        loop {
            if let State::Live(live) = &*state.borrow_and_update() {
                return live.clone();
            }
            if state.changed().await.is_err() {
                // The keeper has ended, and with it whoever asks.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Another connection to the server of `live`, which hears what is said on a channel.
    pub(super) async fn listen(
        &self,
        live: &Live,
        channel: &[u8],
        pushed: impl Fn(Pushed) + Send + Sync + 'static,
    ) -> Result<Wire, StoreError> {
        let connecting = async {
            let wire = self.finder.open(&live.node, pushed).await?;
            wire.subscribe(channel).await?;
            Ok::<_, Fault>(wire)
        };
        match timeout(PATIENCE, connecting).await {
            Ok(wire) => wire.map_err(|fault| unavailable(Trouble::from(fault).why())),
            Err(_) => Err(too_slow()),
        }
    }

    async fn patiently(&self, asking: impl AsyncFnOnce(&Live) -> Result<Reply, Fault>) -> Result<Reply, StoreError> {
        let mut used = None;
        let asked = timeout(PATIENCE, async {
            let live = match self.settled().await {
                State::Live(live) => live,
                State::Down(trouble) => return Err(unavailable(trouble.why())),
                State::Connecting => return Err(too_slow()),
            };
            let live = used.insert(live);
            asking(live).await.map_err(|fault| {
                if is_of_the_connection(&fault) {
                    live.lost.cancel();
                }
                unavailable(Trouble::from(fault).why())
            })
        })
        .await;
        asked.unwrap_or_else(|_| {
            if let Some(live) = used {
                live.lost.cancel();
            }
            Err(too_slow())
        })
    }

    /// What there is when the first try is over.
    async fn settled(&self) -> State {
        let mut state = self.state.clone();
        let is_settled = |state: &State| match state {
            State::Connecting => false,
            // One that was given up is about to be replaced.
            State::Live(live) => !live.lost.is_cancelled(),
            State::Down(_) => true,
        };
        match state.wait_for(is_settled).await {
            Ok(state) => state.clone(),
            Err(_) => State::Connecting,
        }
    }
}

impl Live {
    /// Asks, for as long as it takes: whoever calls has a limit of its own.
    pub(super) async fn run(&self, call: &Call) -> Result<Reply, Fault> {
        let outcome = run(&self.wire, call).await;
        if outcome.as_ref().is_err_and(is_of_the_connection) {
            self.lost.cancel();
        }
        outcome
    }

    /// Says that it does not work.
    pub(super) fn give_up(&self) {
        self.lost.cancel();
    }

    /// Resolves when it does not work any more.
    pub(super) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

/// Runs a script by its name, and in full on a server that does not know it: then nothing was done.
pub(super) async fn run(wire: &Wire, call: &Call) -> Result<Reply, Fault> {
    match wire.ask(&call.by_name()).await {
        Err(Fault::Refused { code, .. }) if code == "NOSCRIPT" => wire.ask(&call.in_full()).await,
        other => other,
    }
}

/// Whether another connection may do better: a new primary, a server that is back, or one that must be greeted
/// anew.
fn is_of_the_connection(fault: &Fault) -> bool {
    match fault {
        Fault::Gone(_) => true,
        Fault::Refused { code, .. } => {
            matches!(&**code, "READONLY" | "MOVED" | "MASTERDOWN" | "CLUSTERDOWN" | "LOADING" | "NOAUTH" | "FORGOTTEN")
        }
    }
}

fn unavailable(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

fn too_slow() -> StoreError {
    unavailable("Redis gives no answer within two seconds")
}

/// Makes connections for as long as the link is there.
struct Keeper {
    finder: Arc<Finder>,
    greeting: Greeting,
    state: watch::Sender<State>,
}

impl Keeper {
    async fn keep(self) {
        let mut last = None;
        loop {
            let trouble = match timeout(CONNECTING, self.connect()).await {
                Ok(Ok(live)) => {
                    if last.take().is_some() {
                        tracing::info!(event = "redis_back", server = %live.node);
                    }
                    self.state.send_replace(State::Live(live.clone()));
                    live.lost().await;
                    self.state.send_replace(State::Connecting);
                    sleep(BREATH).await;
                    continue;
                }
                Ok(Err(trouble)) => trouble,
                Err(_) => Trouble::Away("no answer in time".to_owned()),
            };
            // Once for each reason, not four times a second.
            if last.as_ref() != Some(&trouble) {
                tracing::warn!(event = "redis_away", place = %self.finder.place(), reason = trouble.why());
            }
            last = Some(trouble.clone());
            self.state.send_replace(State::Down(trouble));
            sleep(PAUSE).await;
        }
    }

    async fn connect(&self) -> Result<Live, Trouble> {
        let node = self.finder.find().await?;
        let lost = CancellationToken::new();
        let bell = lost.clone();
        let pushed = move |what: Pushed| match what {
            Pushed::Closed => bell.cancel(),
            Pushed::News(_) => {}
        };
        let wire = self.finder.open(&node, pushed).await?;
        self.greeting.greet(&wire).await?;
        Ok(Live { node, wire, lost })
    }
}
