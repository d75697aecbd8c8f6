//! The story of a sign-in, told once: begin, finish, step-up, renew, sign out, and what Apple's notifications end;
//! and the forms that must not be lost on the way.
//!
//! [`SignIn`] brings Apple and the sessions together. It knows cookies and forms, and no sockets: the
//! proxy translates requests into its calls, and what it returns into answers.

mod begin;
mod browser;
mod cookies;
mod errand;
mod finish;
mod hand_over;
mod home;
mod kept_forms;
mod labels;
mod meters;
mod notified;
mod receipt;
mod renew;
mod sent_form;
mod settings;
mod sign_out;
mod successor;
mod transaction;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use moka::sync::Cache;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

pub use begin::{AtApple, Begun};
pub use browser::Browser;
pub use cookies::CookieNames;
pub use errand::Wish;
pub use finish::{Finished, Onward, Problem};
pub use hand_over::{Granted, TicketProblem};
pub use home::Home;
pub use kept_forms::{Found, Keeping, KeptForm, Sender, Taken, TakenForm, Waiting};
pub use labels::{Label, Labels, Owner};
pub use notified::{Notified, NotifyProblem};
pub use receipt::Receipt;
pub use renew::RenewProblem;
pub use sent_form::{LONGEST_FORM, SentForm};
pub use settings::Settings;
pub use sign_out::{LeftBy, SignedOut};

use crate::{
    apple::Apple,
    clock::{SharedClock, Timestamp},
    entropy::SharedEntropy,
    session::{ActiveSession, RevocationQueue, Revoke, Sealer, SessionId, SessionKey, Sessions, StoreError},
    telemetry::Metrics,
};

/// How long a form is kept: for as long as a sign-in may take.
pub const FORM_LIFETIME: Duration = LIFETIME;

/// How long one sign-in may take.
const LIFETIME: Duration = Duration::from_secs(600);

/// Most sessions whose last refresh failed that are remembered.
const MOST_COOLING: u64 = 200_000;

/// Everything that signs people in, keeps their tokens fresh, and signs them out.
#[derive(Debug)]
pub struct SignIn {
    settings: Settings,
    names: CookieNames,
    apple: Arc<Apple>,
    sessions: Arc<Sessions>,
    sealer: Arc<Sealer>,
    queue: RevocationQueue,
    clock: SharedClock,
    entropy: SharedEntropy,
    metrics: Arc<Metrics>,
    renewals: Arc<Renewals>,
}

/// Most refreshes under way at once.
const REFRESHES_AT_ONCE: usize = 64;

/// The refreshes of this process. They go on when the settings change.
#[derive(Debug)]
struct Renewals {
    running: Mutex<HashMap<SessionKey, renew::Renewal>>,
    tasks: TaskTracker,
    /// When the tokens of a whole school end together, Apple is asked for some at a time.
    turns: Semaphore,
    /// When a session whose refresh failed may try again.
    cooling: Cache<SessionKey, Timestamp>,
}

impl Default for Renewals {
    fn default() -> Self {
        let cooling = Cache::builder().max_capacity(MOST_COOLING).time_to_live(Duration::from_secs(3600)).build();
        let (running, turns) = (Mutex::default(), Semaphore::new(REFRESHES_AT_ONCE));
        Self { running, tasks: TaskTracker::new(), turns, cooling }
    }
}

/// What a sign-in is made of.
#[derive(Debug)]
pub struct Parts {
    /// Who vouches for people.
    pub apple: Arc<Apple>,
    /// The sessions.
    pub sessions: Arc<Sessions>,
    /// What seals cookies.
    pub sealer: Arc<Sealer>,
    /// What revokes tokens.
    pub queue: RevocationQueue,
    /// The clock.
    pub clock: SharedClock,
    /// The randomness.
    pub entropy: SharedEntropy,
    /// What counts.
    pub metrics: Arc<Metrics>,
}

impl SignIn {
    /// Brings the parts together.
    #[must_use]
    pub fn new(settings: Settings, parts: Parts) -> Arc<Self> {
        let Parts { apple, sessions, sealer, queue, clock, entropy, metrics } = parts;
        Arc::new(Self {
            names: CookieNames::new(settings.external_scheme),
            settings,
            apple,
            sessions,
            sealer,
            queue,
            clock,
            entropy,
            metrics,
            renewals: Arc::default(),
        })
    }

    /// The same with other settings and another client of Apple's. What is under way goes on, and is known to both.
    #[must_use]
    pub fn with(&self, settings: Settings, apple: Arc<Apple>) -> Arc<Self> {
        Arc::new(Self {
            names: CookieNames::new(settings.external_scheme),
            settings,
            apple,
            sessions: Arc::clone(&self.sessions),
            sealer: Arc::clone(&self.sealer),
            queue: self.queue.clone(),
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            metrics: Arc::clone(&self.metrics),
            renewals: Arc::clone(&self.renewals),
        })
    }

    /// The names of the gateway's cookies.
    #[must_use]
    pub fn cookie_names(&self) -> &CookieNames {
        &self.names
    }

    /// The sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Whether the tokens of sessions that end are revoked.
    fn revoke(&self) -> Revoke {
        if self.settings.revoke_on_sign_out { Revoke::Yes } else { Revoke::No }
    }

    /// The labels of apps' cookies.
    #[must_use]
    pub fn labels(&self) -> Labels<'_> {
        Labels::new(&self.names, &self.sealer)
    }

    /// The session of a browser.
    ///
    /// # Errors
    /// When the store is not available.
    pub async fn session_of(&self, browser: &Browser<'_>) -> Result<Option<ActiveSession>, StoreError> {
        match self.id_of(browser) {
            Some(id) => self.sessions.open(&id).await,
            None => Ok(None),
        }
    }

    /// The session identifier that a browser shows. Two different ones are none: one of them was planted.
    fn id_of(&self, browser: &Browser<'_>) -> Option<SessionId> {
        let mut values = browser.jar.values(self.names.session());
        let first = values.next()?;
        let id = self.read_id(browser.host, first)?;
        values.all(|other| other == first).then_some(id)
    }

    /// Every session identifier that a browser shows; `None` for a value that is none.
    fn ids_of<'a>(&'a self, browser: &'a Browser<'_>) -> impl Iterator<Item = Option<SessionId>> + 'a {
        browser.jar.values(self.names.session()).map(|value| self.read_id(browser.host, value))
    }
}
