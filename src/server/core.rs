//! What lives as long as the process: the store, the sessions, the queue. A reload leaves it alone.

use std::sync::Arc;

use super::{Parts, Settings, StartError, key_file, store};
use crate::{
    clock::SharedClock,
    entropy::SharedEntropy,
    session::{Codec, RevocationQueue, Sealer, Sessions},
};

use super::current::CurrentApple;

/// The lasting half of a gateway.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) clock: SharedClock,
    pub(super) entropy: SharedEntropy,
    pub(super) sealer: Arc<Sealer>,
    pub(super) sessions: Arc<Sessions>,
    pub(super) queue: RevocationQueue,
    pub(super) apple: Arc<CurrentApple>,
}

impl Core {
    /// Reads the key and opens the store.
    pub(super) async fn open(settings: &Settings, parts: Parts) -> Result<Self, StartError> {
        let Parts { clock, entropy, store: given, sockets: _ } = parts;
        let sealer = Arc::new(key_file::load(settings.encryption_key_file.as_deref(), &settings.state_dir, &*entropy)?);
        let apple = CurrentApple::new(settings.apple.clone(), Arc::clone(&clock), Arc::clone(&entropy))?;
        let store = match given {
            Some(store) => store,
            None => {
                let codec = Codec::new(Arc::clone(&sealer), Arc::clone(&entropy));
                let surroundings = (Arc::clone(&clock), Arc::clone(&entropy));
                store::open(settings.store.clone(), &settings.state_dir, settings.session, codec, surroundings).await?
            }
        };
        let sessions = Sessions::new(settings.session, Arc::clone(&store), Arc::clone(&clock), Arc::clone(&entropy));
        let queue = RevocationQueue::new(
            store,
            Arc::<CurrentApple>::clone(&apple),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            sessions.bell(),
        );
        Ok(Self { clock, entropy, sealer, sessions, queue, apple })
    }
}
