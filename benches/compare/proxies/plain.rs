//! Proxies without sessions: plain ones, and two that ask a trivial endpoint about each request.

use std::process::Command;

use super::{Kind, Started};
use crate::{
    common::pinned,
    ground::{Ground, UPSTREAM},
    process::Process,
};

pub(super) fn run(ground: &Ground, kind: &Kind, command: Command) -> Result<Process, String> {
    Process::start(command, &ground.folder.join(format!("{}.log", kind.name)), kind.port)
}

pub(super) fn nginx(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    start_nginx(ground, kind, "")
}

pub(super) fn auth_request(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    start_nginx(ground, kind, "auth_request /verify;")
}

fn start_nginx(ground: &Ground, kind: &Kind, auth: &str) -> Result<Started, String> {
    let log = if kind.log { format!("{}/{}.access", ground.folder.display(), kind.name) } else { "off".to_owned() };
    let marks = [
        ("PORT", &*kind.port.to_string()),
        ("TLS", if kind.tls { " ssl http2" } else { "" }),
        ("LOG", &log),
        ("AUTH", auth),
        ("NAME", &kind.name),
    ];
    let configuration = ground.fill(&format!("{}.conf", kind.name), include_str!("nginx.conf"), &marks)?;
    let mut command = pinned(ground.proxy_core, "nginx");
    command.arg("-c").arg(configuration);
    run(ground, kind, command).map(Started::without_session)
}

pub(super) fn haproxy(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    let tls = format!(" ssl crt {}/tls.both.pem alpn h2,http/1.1 ssl-min-ver TLSv1.3", ground.folder.display());
    let marks = [("PORT", &*kind.port.to_string()), ("TLS", if kind.tls { &tls } else { "" })];
    let configuration = ground.fill(&format!("{}.cfg", kind.name), include_str!("haproxy.cfg"), &marks)?;
    let mut command = pinned(ground.proxy_core, "haproxy");
    command.arg("-db").arg("-f").arg(configuration);
    run(ground, kind, command).map(Started::without_session)
}

pub(super) fn bare(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    let mut command = pinned(ground.proxy_core, &ground.bare);
    command.args([format!("127.0.0.1:{}", kind.port), format!("127.0.0.1:{UPSTREAM}")]);
    if kind.log {
        command.arg("--log");
    }
    if kind.tls {
        command.arg("--tls").arg(ground.folder.join("tls.pem")).arg(ground.folder.join("tls.key"));
    }
    run(ground, kind, command).map(Started::without_session)
}

pub(super) fn caddy(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    let marks = [("PORT", &*kind.port.to_string())];
    let configuration = ground.fill("Caddyfile", include_str!("Caddyfile"), &marks)?;
    let mut command = pinned(ground.proxy_core, "caddy");
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(configuration);
    // It writes what it does not need here into the folder of its user.
    command.env("XDG_DATA_HOME", &ground.folder).env("XDG_CONFIG_HOME", &ground.folder);
    run(ground, kind, command).map(Started::without_session)
}
