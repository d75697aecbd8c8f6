//! What is seen to at the beginning of each connection: that everything may be done there that has to be
//! done, that the sessions there are sealed with our key, and that Redis is set up to keep them.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{
    client::{Fault, Wire},
    keys::Keys,
    link::{Trouble, run},
    scripts,
    words::Words,
};
use crate::session::Codec;

/// Greets each new connection.
#[derive(Debug)]
pub(super) struct Greeting {
    codec: Codec,
    keys: Keys,
    has_looked: AtomicBool,
}

impl Greeting {
    pub(super) fn new(codec: Codec, keys: Keys) -> Self {
        Self { codec, keys, has_looked: AtomicBool::new(false) }
    }

    /// Sees whether this connection can be worked with.
    pub(super) async fn greet(&self, wire: &Wire) -> Result<(), Trouble> {
        self.may_do_everything(wire).await?;
        self.has_our_key(wire).await?;
        if !self.has_looked.swap(true, Ordering::Relaxed) {
            look(wire).await?;
        }
        Ok(())
    }

    /// A command that is forbidden would be found in the middle of a script, which would then be done half.
    async fn may_do_everything(&self, wire: &Wire) -> Result<(), Trouble> {
        let call = scripts::PROBE.with(vec![self.keys.probe()]).arg(self.keys.channel());
        let refused = run(wire, &call).await?;
        let Ok([command, why]) = <&[_; 2]>::try_from(refused.list().unwrap_or_default()) else { return Ok(()) };
        let reason = format!(
            "Redis refuses the command {}: {}; allow it to the user of session.store (docs/redis.md has the list)",
            command.text(),
            why.text()
        );
        Err(Trouble::Refused(reason))
    }

    /// Sessions of another key could not be opened, and would all seem to be broken.
    async fn has_our_key(&self, wire: &Wire) -> Result<(), Trouble> {
        let mut proof = wire.ask(&Words::of("GET").arg(self.keys.proof())).await?;
        if proof.bytes().is_err() {
            let set = Words::of("SET").arg(self.keys.proof()).arg(self.codec.proof()).arg("NX");
            wire.ask(&set).await?;
            // Another process may have been quicker.
            proof = wire.ask(&Words::of("GET").arg(self.keys.proof())).await?;
        }
        let proof = proof.bytes().unwrap_or_default();
        if !self.codec.knows(proof) {
            return Err(Trouble::Refused(
                "the sessions in this Redis are sealed with a key that is not in encryption_key_file; put that key \
                 there, in a line of its own, or choose another database for these gateways"
                    .to_owned(),
            ));
        }
        // With the current key, so that the one before it can go one day.
        let call = scripts::RENEW_PROOF.with(vec![self.keys.proof()]).arg(proof).arg(self.codec.proof());
        run(wire, &call).await?;
        Ok(())
    }
}

/// Says, once, when Redis may lose sessions.
async fn look(wire: &Wire) -> Result<(), Fault> {
    let info = match wire.ask(&Words::of("INFO")).await {
        Ok(info) => info.text().to_owned(),
        // It is not needed.
        Err(Fault::Refused { .. }) => return Ok(()),
        Err(error @ Fault::Gone(_)) => return Err(error),
    };
    let value = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim()
    };
    let policy = value("maxmemory_policy");
    if value("maxmemory") != "0" && !matches!(policy, "noeviction" | "") {
        tracing::warn!(
            event = "redis_evicts",
            policy,
            "Redis throws sessions away when its memory is full; set maxmemory-policy noeviction"
        );
    }
    if value("aof_enabled") == "0" {
        tracing::warn!(
            event = "redis_forgets",
            "Redis loses the last sign-ins and sign-outs when it crashes; set appendonly yes"
        );
    }
    Ok(())
}
