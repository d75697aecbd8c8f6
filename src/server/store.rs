//! Where sessions are kept, as the settings say.

use std::{path::Path, sync::Arc};

use super::StoreChoice;
use crate::{
    clock::SharedClock,
    entropy::SharedEntropy,
    session::{Codec, FileStore, FileStoreError, LiveLifetimes, MemoryStore, RedisRefuses, RedisStore, Store},
};

/// Why the store of sessions does not open.
#[derive(Debug, thiserror::Error)]
pub enum StoreProblem {
    /// The file does not.
    #[error("{0}; see [session] store and [server] state_dir")]
    File(#[from] FileStoreError),
    /// Redis does not do what it must.
    #[error("{0}; see [session] store and encryption_key_file")]
    Redis(#[from] RedisRefuses),
}

/// Opens the store. Blocks while a file is checked.
pub(super) async fn open(
    choice: StoreChoice,
    state_dir: &Path,
    lifetimes: LiveLifetimes,
    codec: Codec,
    (clock, entropy): (SharedClock, SharedEntropy),
) -> Result<Arc<dyn Store>, StoreProblem> {
    Ok(match choice {
        StoreChoice::Memory => Arc::new(MemoryStore::new(lifetimes, clock)),
        StoreChoice::File => Arc::new(FileStore::open(&state_dir.join(FileStore::NAME), lifetimes, codec, clock)?),
        StoreChoice::Redis(url) => Arc::new(RedisStore::open(url, codec, lifetimes, clock, entropy).await?),
    })
}
