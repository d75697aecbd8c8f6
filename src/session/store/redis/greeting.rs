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

/// What is said of sessions that we could not open.
const OTHER_KEY: &str = "the sessions in this Redis are sealed with a key that is not in encryption_key_file; put that \
     key there, in a line of its own, or choose another database for these gateways";

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

    /// The same without leaving anything behind; with how the server is set up, when it says so.
    pub(super) async fn examine(&self, wire: &Wire) -> Result<Option<Condition>, Trouble> {
        self.may_do_everything(wire).await?;
        let proof = wire.ask(&Words::of("GET").arg(self.keys.proof())).await?;
        if proof.bytes().is_ok_and(|proof| !self.codec.knows(proof)) {
            return Err(Trouble::Refused(OTHER_KEY.to_owned()));
        }
        Ok(Condition::of(wire).await?)
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
            return Err(Trouble::Refused(OTHER_KEY.to_owned()));
        }
        // With the current key, so that the one before it can go one day.
        let call = scripts::RENEW_PROOF.with(vec![self.keys.proof()]).arg(proof).arg(self.codec.proof());
        run(wire, &call).await?;
        Ok(())
    }
}

/// Says, once, when Redis may lose sessions.
async fn look(wire: &Wire) -> Result<(), Fault> {
    let Some(condition) = Condition::of(wire).await? else { return Ok(()) };
    if let Some(policy) = condition.evicts {
        tracing::warn!(
            event = "redis_evicts",
            policy,
            "Redis throws sessions away when its memory is full; set maxmemory-policy noeviction"
        );
    }
    if condition.forgets {
        tracing::warn!(
            event = "redis_forgets",
            "Redis loses the last sign-ins and sign-outs when it crashes; set appendonly yes"
        );
    }
    Ok(())
}

/// How a server says that it is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// Its version.
    pub(super) version: String,
    /// Its policy, when it throws things away by it.
    pub(super) evicts: Option<String>,
    /// Whether what it was told is lost when it dies.
    pub(super) forgets: bool,
}

impl Condition {
    /// Asks; `None` when the server does not tell, which is no error: it is not needed.
    async fn of(wire: &Wire) -> Result<Option<Self>, Fault> {
        let info = match wire.ask(&Words::of("INFO")).await {
            Ok(info) => info.text().to_owned(),
            Err(Fault::Refused { .. }) => return Ok(None),
            Err(error @ Fault::Gone(_)) => return Err(error),
        };
        let value = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or_default().trim()
        };
        let policy = value("maxmemory_policy");
        let evicts = value("maxmemory") != "0" && !matches!(policy, "noeviction" | "");
        Ok(Some(Self {
            version: value("redis_version").to_owned(),
            evicts: evicts.then(|| policy.to_owned()),
            forgets: value("aof_enabled") == "0",
        }))
    }
}
