//! Where sessions are kept, as the settings say.

use std::{path::Path, sync::Arc};

use super::StoreChoice;
use crate::{
    clock::SharedClock,
    session::{Codec, FileStore, FileStoreError, Lifetimes, MemoryStore, Store},
};

/// Opens the store. Blocks while a file is checked.
pub(super) fn open(
    choice: StoreChoice,
    state_dir: &Path,
    lifetimes: Lifetimes,
    codec: Codec,
    clock: SharedClock,
) -> Result<Arc<dyn Store>, FileStoreError> {
    Ok(match choice {
        StoreChoice::Memory => Arc::new(MemoryStore::new(lifetimes, clock)),
        StoreChoice::File => Arc::new(FileStore::open(&state_dir.join(FileStore::NAME), lifetimes, codec, clock)?),
    })
}
