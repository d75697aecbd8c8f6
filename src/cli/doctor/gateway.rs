//! The running gateway, when there is one, and where it listens or will.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use http::{Method, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;

use super::{
    Surroundings,
    finding::{Finding, Id},
};
use crate::{
    cli::admin_client::{self, AdminListener, AskError},
    server::AdminAddress,
};

/// Longest wait for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// The part of the answer of `/readyz` that is told.
#[derive(Deserialize)]
struct Readiness {
    missing: Vec<String>,
}

/// What is known of the gateway that runs on this configuration.
pub(super) struct Running {
    /// Whether it runs; `None` when that cannot be told.
    pub(super) is_running: Option<bool>,
    finding: Finding,
}

/// Asks the gateway whether it is ready.
pub(super) async fn ask(address: &AdminAddress) -> Running {
    if !admin_client::is_known(address) {
        let finding = Finding::ill(
            Id::GatewayUnknown,
            "admin_listen has the port 0, so nobody knows where to ask a running gateway",
            "write a port, such as admin_listen = \"127.0.0.1:9180\"",
        );
        return Running { is_running: None, finding };
    }
    let listener = AdminListener::at(address.clone());
    let place = listener.name();
    let answer = timeout(PATIENCE, listener.exchange(&Method::GET, "/readyz", PATIENCE)).await;
    let answer = answer.unwrap_or_else(|_| Err(AskError::Silent(place.clone())));
    let silent = |what: String| {
        let cure = "when it is the gateway, look at its log and restart it; when it is another program, give one of them \
                    another address ([server] admin_listen)";
        Running { is_running: None, finding: Finding::ill(Id::GatewaySilent, what, cure).about(place.clone()) }
    };
    match answer {
        Ok((status, body)) => match (status, serde_json::from_slice::<Readiness>(&body)) {
            (StatusCode::OK, Ok(_)) => Running {
                is_running: Some(true),
                finding: Finding::well(Id::Gateway, "the gateway runs and is ready").about(place),
            },
            (StatusCode::SERVICE_UNAVAILABLE, Ok(Readiness { missing })) => {
                let finding = Finding::ill(
                    Id::GatewayNotReady,
                    format!("the gateway runs and is not ready: {}", missing.join("; ")),
                    "mend what it names; it goes on by itself then. Its log tells more",
                );
                Running { is_running: Some(true), finding: finding.about(place) }
            }
            (_, Ok(_) | Err(_)) => silent(AskError::NotOurs(place.clone()).to_string()),
        },
        Err(AskError::Nobody(_, why)) if is_absence(&why) => {
            let cure = "nothing, when it is not meant to run yet; else start it: systemctl start schoolgate";
            let finding = Finding::ill(Id::GatewayStopped, "no gateway runs with this configuration", cure);
            Running { is_running: Some(false), finding: finding.about(place) }
        }
        Err(AskError::NotAllowed(_)) => {
            let cure = "run the doctor as the user that runs the gateway: runuser -u schoolgate -- schoolgate doctor";
            let finding = Finding::ill(Id::GatewayUnknown, "this user may not ask the gateway", cure);
            Running { is_running: None, finding: finding.about(place) }
        }
        Err(
            why @ (AskError::Nobody(..)
            | AskError::Silent(_)
            | AskError::Broken(..)
            | AskError::NotOurs(_)
            | AskError::No(..)),
        ) => silent(why.to_string()),
    }
}

fn is_absence(why: &io::Error) -> bool {
    matches!(why.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
}

/// Sees whether each address is the gateway's or can be.
pub(super) async fn check(around: &Surroundings, running: Running) -> Vec<Finding> {
    let Running { is_running, finding } = running;
    let mut findings = vec![finding];
    let settings = &around.settings;
    let redirects = settings.tls.iter().flat_map(|tls| &tls.redirect_listen);
    findings.extend(settings.listen.iter().chain(redirects).map(|address| of_the_address(*address, is_running)));
    if let (AdminAddress::Unix(path), Some(false)) = (&settings.admin_listen, is_running) {
        findings.extend(of_the_folder(path));
    }
    findings
}

/// Binds for a moment: nobody is accepted.
fn of_the_address(address: SocketAddr, is_running: Option<bool>) -> Finding {
    let unusable = |what: String, cure: &str| Finding::ill(Id::ListenerUnusable, what, cure);
    if address.port() == 0 {
        return Finding::well(Id::Listener, "the system chooses a port").about(address.to_string());
    }
    let bound = TcpListener::bind(address);
    let finding = match (bound.map_err(|error| (error.kind(), error)), is_running) {
        (Ok(_), Some(true)) => unusable(
            "the gateway runs and does not listen here".to_owned(),
            "restart it: it was started with other listeners ([server] listen, [server.tls] redirect_http_listen)",
        ),
        (Ok(_), Some(false) | None) => Finding::well(Id::Listener, "free"),
        (Err((io::ErrorKind::AddrInUse, _)), Some(true)) => {
            Finding::well(Id::Listener, "in use while the gateway runs")
        }
        (Err((io::ErrorKind::AddrInUse, _)), None) => {
            Finding::well(Id::Listener, "in use; whether by the gateway cannot be told")
        }
        (Err((io::ErrorKind::AddrInUse, why)), Some(false)) => unusable(
            format!("another program listens here ({why})"),
            "`ss -ltnp` names it: when it is systemd, for a socket unit of schoolgate, start the service; else stop it, or \
             write another address in [server] listen",
        ),
        (Err((io::ErrorKind::PermissionDenied, why)), _) => unusable(
            format!("this user may not listen here ({why})"),
            "ports below 1024 need AmbientCapabilities=CAP_NET_BIND_SERVICE in the systemd unit; or write a higher port \
             in [server] listen",
        ),
        (Err((io::ErrorKind::AddrNotAvailable, why)), _) => unusable(
            format!("this machine does not have the address ({why})"),
            "write an address that `ip address` shows, or 0.0.0.0 for all",
        ),
        (Err((_, why)), _) => {
            unusable(format!("cannot listen here: {why}"), "write another address in [server] listen")
        }
    };
    finding.about(address.to_string())
}

/// A socket needs its folder.
fn of_the_folder(socket: &Path) -> Option<Finding> {
    let folder = socket.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    (!folder.is_dir()).then(|| {
        let what = format!("the folder {} of the admin socket is not there", folder.display());
        let cure = "make it and give it to the user that runs the gateway (RuntimeDirectory=schoolgate in the systemd \
                    unit), or write another path in [server] admin_listen";
        Finding::ill(Id::ListenerUnusable, what, cure).about(socket.display().to_string())
    })
}
