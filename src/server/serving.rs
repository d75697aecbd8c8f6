//! What a reload replaces: built whole before anything of it is in force.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::{Settings, StartError, core::Core};
use crate::{
    admin::Present,
    apple::{self, Apple},
    assertion::{self, Assertions},
    policy::Table,
    proxy::{self, Connections, Gateway, Generation, OwnHosts, Upstreams},
    session::Revoke,
    signin::{self, SignIn},
};

/// The settings of what a reload replaces.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) apple: apple::Settings,
    pub(super) assertion: Option<assertion::Settings>,
    pub(super) signin: signin::Settings,
    pub(super) proxy: proxy::Settings,
    pub(super) table: Table,
}

impl Wanted {
    /// Those among all settings.
    pub(super) fn of(settings: Settings) -> Self {
        let Settings { apple, assertion, signin, proxy, table, .. } = settings;
        Self { apple, assertion, signin, proxy, table }
    }
}

/// The half of a gateway that its configuration makes.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) apple: Arc<Apple>,
    pub(super) signin: Arc<SignIn>,
    pub(super) present: Present,
    upstreams: Arc<Upstreams>,
    assertion: Option<(assertion::Settings, Arc<Assertions>)>,
    tasks: Tasks,
}

/// What works in the background for as long as this serves.
#[derive(Debug)]
struct Tasks(Vec<JoinHandle<()>>);

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

impl Serving {
    /// The first.
    pub(super) fn first(core: &Core, wanted: Wanted) -> Result<(Self, Generation), StartError> {
        let apple = core.apple.now();
        let parts = signin::Parts {
            apple: Arc::clone(&apple),
            sessions: Arc::clone(&core.sessions),
            sealer: Arc::clone(&core.sealer),
            queue: core.queue.clone(),
            clock: Arc::clone(&core.clock),
            entropy: Arc::clone(&core.entropy),
            metrics: Arc::clone(&core.metrics),
        };
        let signin = SignIn::new(wanted.signin.clone(), parts);
        Self::build(core, wanted, apple, signin, None)
    }

    /// The one after this. What this one knows and what still holds is handed on.
    pub(super) fn next(&self, core: &Core, wanted: Wanted) -> Result<(Self, Generation), StartError> {
        let apple = Arc::new(self.apple.with(wanted.apple.clone())?);
        let signin = self.signin.with(wanted.signin.clone(), Arc::clone(&apple));
        Self::build(core, wanted, apple, signin, Some(self))
    }

    fn build(
        core: &Core,
        wanted: Wanted,
        apple: Arc<Apple>,
        signin: Arc<SignIn>,
        before: Option<&Self>,
    ) -> Result<(Self, Generation), StartError> {
        let Wanted { apple: _, assertion, signin: signin_settings, proxy, table } = wanted;
        let (clock, entropy) = (Arc::clone(&core.clock), Arc::clone(&core.entropy));
        let since = clock.now();
        let assertion = assertion.map(|settings| {
            let known = before.and_then(|before| before.assertion.as_ref()).filter(|(known, _)| *known == settings);
            let assertions = known.map(|(_, assertions)| Arc::clone(assertions)).unwrap_or_else(|| {
                let sessions = Arc::clone(&core.sessions);
                Assertions::new(settings.clone(), sessions, Arc::clone(&clock), Arc::clone(&entropy))
            });
            (settings, assertions)
        });
        let hosts = OwnHosts::of(&table, &signin_settings.home);
        let (sessions, metrics) = (Arc::clone(&core.sessions), Arc::clone(&core.metrics));
        let connections = Connections::new(&proxy, hosts, sessions, Arc::clone(&entropy), Arc::clone(&metrics));
        let assertions = assertion.as_ref().map(|(_, assertions)| Arc::clone(assertions));
        let gateway = Gateway::new(proxy, table, Arc::clone(&signin), clock, entropy, metrics)?;
        let gateway = gateway.asserting(assertions.clone());
        let gateway = match before {
            Some(before) => gateway.after(&before.upstreams),
            None => gateway,
        };
        let upstreams = gateway.upstreams();
        let generation = Generation::new(gateway, connections);
        let present = Present {
            apple: Arc::clone(&apple),
            refresh_before: signin_settings.refresh_before,
            revoke: if signin_settings.revoke_on_sign_out { Revoke::Yes } else { Revoke::No },
            assertions,
            since,
            needs_restart: Vec::new(),
        };
        let tasks = Tasks(Vec::new());
        Ok((Self { apple, signin, present, upstreams, assertion, tasks }, generation))
    }

    /// Starts what works in the background, and tells of it. It ends when this is dropped.
    pub(super) fn work(&mut self, core: &Core) {
        let told = Arc::clone(&self.upstreams);
        core.metrics.upstreams.is(move || told.states());
        let (upstreams, clock) = (Arc::clone(&self.upstreams), Arc::clone(&core.clock));
        self.tasks.0.push(tokio::spawn(async move { upstreams.watch(&*clock).await }));
        if let Some((_, assertions)) = &self.assertion {
            self.tasks.0.push(tokio::spawn(Arc::clone(assertions).tend()));
        }
    }

    /// Ends what works in the background.
    pub(super) fn rest(&mut self) {
        self.tasks = Tasks(Vec::new());
    }
}
