//! The scripts that Redis runs, each in one step.
//!
//! A script that Redis refuses to begin has done nothing, and one that has begun is not stopped: Redis looks
//! at its memory, its disk and its replicas only before the first write of a script. Scripts that must work
//! even when the memory is full begin with a write that needs none.

use super::words::Script;

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(include_str!("lua/common.lua"), include_str!(concat!("lua/", $file))))
    };
}

/// Sees whether every command is allowed that the others use.
pub(super) static PROBE: Script = script!("probe.lua");
/// Puts a proof in the place of another.
pub(super) static RENEW_PROOF: Script = script!("renew_proof.lua");
/// Keeps a new session.
pub(super) static INSERT: Script = script!("insert.lua");
/// Notes when sessions were last used.
pub(super) static TOUCH: Script = script!("touch.lua");
/// Puts a newer record in the place of an expected one.
pub(super) static REPLACE: Script = script!("replace.lua");
/// Removes sessions and queues their revocations.
pub(super) static REMOVE: Script = script!("remove.lua");
/// The sessions of somebody.
pub(super) static KEYS_OF: Script = script!("keys_of.lua");
/// Sessions in order.
pub(super) static PAGE: Script = script!("page.lua");
/// Removes what has ended by itself.
pub(super) static SWEEP: Script = script!("sweep.lua");
/// Takes or renews a lease.
pub(super) static LEASE: Script = script!("lease.lua");
/// Gives a lease back.
pub(super) static RELEASE: Script = script!("release.lua");
/// Changes a note.
pub(super) static SWAP_NOTE: Script = script!("swap_note.lua");
/// Forgets what notes took whose time is over.
pub(super) static SWEEP_NOTES: Script = script!("sweep_notes.lua");
/// Queues a revocation.
pub(super) static ENQUEUE: Script = script!("enqueue.lua");
/// Takes revocations that are due.
pub(super) static CLAIM: Script = script!("claim.lua");
/// Puts a revocation back.
pub(super) static POSTPONE: Script = script!("postpone.lua");
/// Takes a revocation out for good.
pub(super) static SETTLE: Script = script!("settle.lua");
/// How long the queue is, and when there is something to do.
pub(super) static QUEUE: Script = script!("queue.lua");
/// Tells everybody who listens that this connection is alive.
pub(super) static BEAT: Script = script!("beat.lua");
