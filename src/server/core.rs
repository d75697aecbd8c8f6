//! What lives as long as the process: the store, the sessions, the queue. A reload leaves it alone.

use std::sync::Arc;

use super::{Parts, Settings, StartError, StoreChoice, current::CurrentApple, key_file, store};
use crate::{
    apple::Apple,
    clock::SharedClock,
    entropy::SharedEntropy,
    session::{Codec, LiveLifetimes, MeteredStore, RevocationQueue, Sealer, Sessions},
    telemetry::Metrics,
};

/// The lasting half of a gateway.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) clock: SharedClock,
    pub(super) entropy: SharedEntropy,
    pub(super) sealer: Arc<Sealer>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) lifetimes: LiveLifetimes,
    pub(super) queue: RevocationQueue,
    pub(super) apple: Arc<CurrentApple>,
    pub(super) metrics: Arc<Metrics>,
}

impl Core {
    /// Reads the key and opens the store.
    pub(super) async fn open(settings: &Settings, parts: Parts) -> Result<Self, StartError> {
        let Parts { clock, entropy, store: given, sockets: _ } = parts;
        let sealer = Arc::new(key_file::load(settings.encryption_key_file.as_deref(), &settings.state_dir, &*entropy)?);
        let metrics = Metrics::new(Arc::clone(&clock));
        let apple = CurrentApple::new(Apple::new(
            settings.apple.clone(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::clone(&metrics),
        )?);
        let lifetimes = LiveLifetimes::from(settings.session);
        // Memory always answers, and no request is to wait for a look at the clock.
        let is_metered = given.is_some() || !matches!(settings.store, StoreChoice::Memory);
        let store = match given {
            Some(store) => store,
            None => {
                let codec = Codec::new(Arc::clone(&sealer), Arc::clone(&entropy));
                let surroundings = (Arc::clone(&clock), Arc::clone(&entropy));
                store::open(settings.store.clone(), &settings.state_dir, lifetimes.clone(), codec, surroundings).await?
            }
        };
        let store = if is_metered { Arc::new(MeteredStore::new(store, Arc::clone(&metrics))) } else { store };
        let sessions = Sessions::new(lifetimes.clone(), Arc::clone(&store), Arc::clone(&clock), Arc::clone(&entropy));
        let queue = RevocationQueue::new(
            store,
            Arc::<CurrentApple>::clone(&apple),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            Arc::clone(&metrics),
            sessions.bell(),
        );
        Ok(Self { clock, entropy, sealer, sessions, lifetimes, queue, apple, metrics })
    }
}
