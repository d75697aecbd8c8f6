//! The program, with somebody who has signed in at the stand-in for Apple.

use std::{fmt::Write as _, fs, net::SocketAddr, sync::Arc};

use schoolgate::clock::{SharedClock, SystemClock};

use super::{Kind, Started, Store, plain::run};
use crate::{
    common::pinned,
    ground::{Ground, write},
    support::{
        Browser,
        redis::Server,
        world::{at_apple, stand_in},
    },
};

pub(super) fn start(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    let folder = ground.folder.join(&kind.name);
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let scheme = if kind.tls { "https" } else { "http" };
    let site = format!("{scheme}://{}", kind.authority());
    let clock: SharedClock = Arc::new(SystemClock);
    let apple = ground.runtime.block_on(stand_in(&clock, &folder, &format!("{site}/.schoolgate/callback")));
    let marks = [
        ("PORT", kind.port.to_string()),
        ("SITE", site.clone()),
        ("HOST", kind.host().to_owned()),
        ("SCHEME", scheme.to_owned()),
        ("APPLE", apple.base_url().as_str().trim_end_matches('/').to_owned()),
        ("STORE", store(ground, kind)?),
        ("TLS", if kind.tls { TLS.to_owned() } else { String::new() }),
        ("ROUTES", routes(kind.routes)),
        ("STATE", folder.display().to_string()),
    ];
    let marks: Vec<_> = marks.iter().map(|(mark, value)| (*mark, value.as_str())).collect();
    let configuration = ground.fill(&format!("{}.toml", kind.name), include_str!("gateway.toml"), &marks)?;
    let mut command = pinned(ground.proxy_core, &ground.program);
    command.args(["run", "--config"]).arg(configuration);
    command.env("RUST_LOG", if kind.log { "info" } else { "warn" });
    let process = run(ground, kind, command)?;
    let mut browser = Browser::new(SocketAddr::from(([127, 0, 0, 1], kind.port)));
    if kind.tls {
        browser = browser.with_tls(ground.tls.clone());
    }
    let session = ground.runtime.block_on(async {
        let answer = browser.open(&format!("{site}/1k.txt")).await;
        let callback = at_apple(answer.location(), "teacher-1").await;
        browser.open(&callback).await;
        let names = browser.cookie_names(kind.host());
        let name = names.iter().find(|name| !name.contains("login"))?;
        Some(format!("{name}={}", browser.cookie(kind.host(), name)?))
    });
    let session = session.ok_or_else(|| format!("nobody could sign in: {:?}", browser.heard()))?;
    Ok(Started { process, session, _kept: Some(Box::new(apple)) })
}

const TLS: &str = "[server.tls]\ncertificate_file = \"@FOLDER@/tls.pem\"\nprivate_key_file = \"@FOLDER@/tls.key\"\n";

fn store(ground: &Ground, kind: &Kind) -> Result<String, String> {
    Ok(match kind.store {
        Store::Memory => "store = \"memory\"".to_owned(),
        Store::File => "store = \"file\"".to_owned(),
        Store::Redis => {
            let redis = ground.redis.get_or_init(Server::start);
            let key = ground.folder.join("session.key");
            write(&key, &format!("{}\n", "A".repeat(43) + "="))?;
            let port = redis.port();
            format!("store = \"redis://127.0.0.1:{port}\"\nencryption_key_file = \"{}\"", key.display())
        }
    })
}

/// So many routes in all, with the two that stand in the file.
fn routes(count: usize) -> String {
    let mut text = String::new();
    for number in 3..=count {
        let _ = write!(text, "[[app.route]]\npath = \"/department-{number:04}/reports\"\n");
    }
    text
}
