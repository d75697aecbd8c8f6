//! The machine: its authorities, its limits, the folder of the state, and the names that browsers use.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::join_all;
use rustix::process::{Resource, geteuid, getrlimit};
use tokio::{net::lookup_host, task, time::timeout};

use super::{
    Surroundings,
    finding::{Finding, Id},
};
use crate::server::{Settings, StoreChoice};

/// Longest wait for a name server.
const PATIENCE: Duration = Duration::from_secs(5);

/// Fewer open files than this are too few for a school: each request under way takes two.
const FEW: u64 = 4_096;

/// What is written to see whether there is room.
static SAMPLE: [u8; 64 * 1024] = [0; 64 * 1024];

/// Looks at the machine.
pub(super) async fn check(around: &Surroundings) -> Vec<Finding> {
    let settings = &around.settings;
    let mut findings = Vec::new();
    if geteuid().is_root() {
        findings.push(Finding::ill(
            Id::RunAsRoot,
            "the doctor runs as root, which may read and write more than the gateway's own user",
            "to see what the gateway may, run it as that user: docs/doctor.md has the command for the service, whose key only root can read",
        ));
    }
    findings.push(descriptors());
    if needs_state(settings) {
        let folder = settings.state_dir.clone();
        findings.extend(task::spawn_blocking(move || state_directory(&folder)).await.ok());
    }
    if let Some(acme) = settings.tls.as_ref().and_then(|tls| tls.acme.as_ref()) {
        let folder = acme.folder.clone();
        findings.extend(task::spawn_blocking(move || state_directory(&folder)).await.ok());
    }
    findings.extend(hosts(settings).await);
    findings
}

fn descriptors() -> Finding {
    // The gateway raises its soft limit to the hard one.
    match getrlimit(Resource::Nofile).maximum {
        Some(most) if most < FEW => Finding::ill(
            Id::DescriptorsFew,
            format!("this process may open {most} files, and each request under way takes two"),
            "raise the limit: LimitNOFILE=524288 in the systemd unit, or `ulimit -Hn`. What is told is the doctor's own \
             limit",
        ),
        Some(most) => Finding::well(Id::Descriptors, format!("{most} open files are allowed")),
        None => Finding::well(Id::Descriptors, "any number of open files is allowed"),
    }
}

/// Whether anything is kept there.
fn needs_state(settings: &Settings) -> bool {
    let is_store = match settings.store {
        StoreChoice::File => true,
        StoreChoice::Memory | StoreChoice::Redis(_) => false,
    };
    is_store || settings.encryption_key_file.is_none()
}

fn state_directory(folder: &Path) -> Finding {
    let finding = match nearest(folder) {
        Ok((there, true)) => match writable(&there) {
            Ok(()) => Finding::well(Id::StateDirectory, "can be written to"),
            Err(why) => unusable(format!("cannot be written to: {why}")),
        },
        Ok((above, false)) => match writable(&above) {
            Ok(()) => Finding::well(Id::StateDirectory, "is not there, and will be made at the first start"),
            Err(why) => unusable(format!("is not there, and cannot be made in {}: {why}", above.display())),
        },
        Err(why) => unusable(format!("cannot be looked at: {why}")),
    };
    finding.about(folder.display().to_string())
}

fn unusable(what: String) -> Finding {
    Finding::ill(
        Id::StateDirectoryUnusable,
        what,
        "make it and give it to the user that runs the gateway: install -d -m 700 -o schoolgate ... \
         (StateDirectory=schoolgate in the systemd unit does so), see that its disk is not full or read-only, or write \
         another in [server] state_dir",
    )
}

/// The folder, or the nearest one above that is there; with whether it is the folder itself.
fn nearest(folder: &Path) -> io::Result<(PathBuf, bool)> {
    for (steps, above) in folder.ancestors().enumerate() {
        match above.metadata() {
            Ok(found) if found.is_dir() => return Ok((above.to_path_buf(), steps == 0)),
            Ok(_) => return Err(io::Error::other(format!("{} is no folder", above.display()))),
            Err(why) if why.kind() == io::ErrorKind::NotFound => {}
            Err(why) => return Err(why),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// Writes to a file without a name, which is gone when it is closed.
fn writable(folder: &Path) -> io::Result<()> {
    let mut file = tempfile::tempfile_in(folder)?;
    file.write_all(&SAMPLE)
}

/// Whether the names have addresses that browsers use: only a note, for this machine may see others than they do.
async fn hosts(settings: &Settings) -> Vec<Finding> {
    let apps = settings.table.apps().filter_map(|app| Some(app.host.one()?.name().to_owned()));
    let home = settings.apple.redirect_uri.host_str().map(str::to_owned);
    let names: BTreeSet<String> = apps.chain(home).filter(|name| !is_address(name)).collect();
    let found = join_all(names.iter().map(|name| async move {
        match timeout(PATIENCE, lookup_host((name.as_str(), 443))).await {
            Ok(Ok(mut addresses)) => {
                addresses.next().map(|_| name.clone()).ok_or((name, "it has no address".to_owned()))
            }
            Ok(Err(why)) => Err((name, why.to_string())),
            Err(_late) => Err((name, "nobody tells the address".to_owned())),
        }
    }))
    .await;
    let mut findings = Vec::new();
    let known: Vec<String> = found.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
    if !known.is_empty() {
        findings.push(Finding::well(Id::Hosts, format!("there are addresses for {}", known.join(", "))));
    }
    findings.extend(found.into_iter().filter_map(Result::err).map(|(name, why)| {
        let cure = "let the name server say that browsers find the gateway by this name; nothing, when only theirs \
                    knows it and this machine's does not";
        Finding::ill(Id::HostUnresolvable, why, cure).about(name.as_str())
    }));
    findings
}

fn is_address(name: &str) -> bool {
    name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
}
