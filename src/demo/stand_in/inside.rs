//! What all endpoints of a stand-in share.

use std::{
    collections::HashSet,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{Calls, Client, StandInSettings, Switches, grants::Grants, key_ring::KeyRing, school::School};
use crate::{clock::SharedClock, demo::listener::Wire, entropy::SharedEntropy};

/// Client and subject of those who have told their name before.
type Acquaintances = HashSet<(String, String)>;

/// The inside of a stand-in.
pub(super) struct Inside {
    pub(super) clients: Vec<Client>,
    pub(super) clock: SharedClock,
    pub(super) entropy: SharedEntropy,
    pub(super) school: School,
    pub(super) switches: Switches,
    pub(super) calls: Calls,
    keys: Mutex<KeyRing>,
    grants: Mutex<Grants>,
    acquaintances: Mutex<Acquaintances>,
}

impl Inside {
    pub(super) fn new(settings: StandInSettings, wire: Wire) -> io::Result<Self> {
        Ok(Self {
            keys: Mutex::new(KeyRing::new(&*settings.entropy)?),
            clients: settings.clients,
            clock: settings.clock,
            entropy: settings.entropy,
            school: School::new(),
            switches: Switches::new(wire),
            calls: Calls::new(),
            grants: Mutex::default(),
            acquaintances: Mutex::default(),
        })
    }

    pub(super) fn keys(&self) -> MutexGuard<'_, KeyRing> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn grants(&self) -> MutexGuard<'_, Grants> {
        self.grants.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bounded by the cast times the clients.
    pub(super) fn acquaintances(&self) -> MutexGuard<'_, Acquaintances> {
        self.acquaintances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
