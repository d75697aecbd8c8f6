//! The session store and the key that seals what it keeps.

use std::{os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use tokio::task;

use super::{
    Surroundings,
    finding::{Finding, Id},
};
use crate::{
    cli::describe,
    entropy::SharedEntropy,
    server::{self, Settings, StoreChoice},
    session::{Codec, FileLook, FileStore, FileStoreError, RedisLook, RedisStore, RedisTrouble, RedisUrl},
};

/// Looks at the key, and with it at the store. `is_running` says of the gateway whether it runs, when that is known.
pub(super) async fn check(around: &Surroundings, is_running: Option<bool>) -> Vec<Finding> {
    let settings = around.settings.clone();
    let place = server::session_key_file(&settings);
    // A disk may hang.
    let Ok((key, is_open)) = task::spawn_blocking(move || (server::session_key(&settings), is_open(&settings))).await
    else {
        return Vec::new();
    };
    let settings = &around.settings;
    let shown = place.display().to_string();
    let mut findings = Vec::new();
    let codec = match key {
        Ok(Some(sealer)) => {
            findings.push(Finding::well(Id::StoreKey, "the key that seals sessions can be read").about(&shown));
            Some(Codec::new(Arc::new(sealer), SharedEntropy::clone(&around.entropy)))
        }
        Ok(None) => {
            let what = "the key that seals sessions is made at the first start";
            findings.push(Finding::well(Id::StoreKey, what).about(&shown));
            None
        }
        Err(why) => {
            let cure = "do as it says; the key is a line of 32 bytes in base64 ([session] encryption_key_file, or \
                        session.key in [server] state_dir), which only the user that runs the gateway may read";
            findings.push(Finding::ill(Id::StoreKeyUnusable, why.to_string(), cure).about(&shown));
            return findings;
        }
    };
    if is_open {
        let cure = format!("chmod 600 {shown}; whoever may have read it can open the sessions in a copy of the store");
        findings.push(Finding::ill(Id::StoreKeyOpen, "other users may read this key", cure).about(&shown));
    }
    match (&settings.store, codec) {
        (StoreChoice::Memory, _) => findings.push(Finding::well(Id::Store, "sessions are kept in memory")),
        // Without a key there is no file either: that was looked at with the key.
        (StoreChoice::File, None) => {
            findings.push(Finding::well(Id::Store, "the file of sessions is made at the first start"));
        }
        (StoreChoice::File, Some(codec)) => {
            let path = settings.state_dir.join(FileStore::NAME);
            let about = path.display().to_string();
            let looked = task::spawn_blocking(move || FileStore::look(&path, &codec)).await;
            findings.extend(looked.ok().map(|looked| of_the_file(looked, is_running).about(about)));
        }
        (StoreChoice::Redis(url), Some(codec)) => findings.extend(of_redis(url, codec).await),
        // The configuration has seen to it that there is one.
        (StoreChoice::Redis(_), None) => {}
    }
    findings
}

/// Of a key that the gateway made; of one that was named, the configuration has a word.
fn is_open(settings: &Settings) -> bool {
    let mode = |path: &Path| path.metadata().map_or(0, |metadata| metadata.permissions().mode());
    settings.encryption_key_file.is_none() && mode(&server::session_key_file(settings)) & 0o077 != 0
}

fn of_the_file(looked: Result<FileLook, FileStoreError>, is_running: Option<bool>) -> Finding {
    match (looked, is_running) {
        (Ok(FileLook::Absent), _) => Finding::well(Id::Store, "the file of sessions is made at the first start"),
        (Ok(FileLook::Sound { sessions }), _) => {
            let count = describe::count("session", sessions);
            Finding::well(Id::Store, format!("the file of sessions is in order, and keeps {count}"))
        }
        (Ok(FileLook::Held), Some(true)) => Finding::well(Id::Store, "the running gateway has it open"),
        (Ok(FileLook::Held), None) => Finding::well(Id::Store, "in use; whether by the gateway cannot be told"),
        (Ok(FileLook::Held), Some(false)) => Finding::ill(
            Id::StoreHeld,
            "another process has the file of sessions open, and it is not the gateway of this configuration",
            "`fuser` or `lsof` name it: stop it, or give each gateway a [server] state_dir of its own",
        ),
        (Err(why), _) => Finding::ill(
            Id::StoreBroken,
            why.to_string(),
            "the file was left as it is: do as it says, with the gateway stopped; docs/sessions.md tells how to back up",
        ),
    }
}

async fn of_redis(url: &RedisUrl, codec: Codec) -> Vec<Finding> {
    let place = url.to_string();
    let found = match RedisStore::look(url.clone(), codec).await {
        Ok(RedisLook { server, version, evicts, forgets }) => {
            let version = version.map(|version| format!(" {version}")).unwrap_or_default();
            let well = Finding::well(Id::Store, format!("Redis{version} at {server} allows all that is needed"));
            let evicts = evicts.map(|policy| {
                Finding::ill(
                    Id::StoreEvicts,
                    format!("Redis throws sessions away when its memory is full ({policy})"),
                    "set maxmemory-policy noeviction in redis.conf",
                )
            });
            let forgets = forgets.then(|| {
                Finding::ill(
                    Id::StoreForgets,
                    "Redis loses the last sign-ins and sign-outs when it dies",
                    "set appendonly yes in redis.conf",
                )
            });
            [Some(well), evicts, forgets].into_iter().flatten().collect()
        }
        Err(RedisTrouble::Away(why)) => vec![Finding::ill(
            Id::StoreAway,
            why,
            "start Redis, or correct [session] store: host and port, and rediss:// where it speaks TLS; while it is away \
             nobody can sign in, and sessions answer 503",
        )],
        Err(RedisTrouble::Refuses(why)) => vec![Finding::ill(
            Id::StoreRefuses,
            why,
            "do as it says; docs/redis.md has the rights that the user needs, and what each reason usually is",
        )],
    };
    found.into_iter().map(|finding| finding.about(&place)).collect()
}
