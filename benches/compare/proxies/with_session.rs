//! Proxies in which somebody signs in at an OpenID provider, and has a session as they make it.

use std::net::SocketAddr;

use super::{Kind, Started, plain::run};
use crate::{
    common::pinned,
    ground::Ground,
    process::Process,
    provider::{self, Provider},
    support::Browser,
};

/// Redirects on the way in and back.
const STEPS: usize = 10;

/// Walks where one is sent until the app answers, and gives back all cookies.
fn sign_in(ground: &Ground, kind: &Kind, process: Process) -> Result<Started, String> {
    let mut browser = Browser::new(SocketAddr::from(([127, 0, 0, 1], kind.port)));
    let mut url = format!("http://localhost:{}/1k.txt", kind.port);
    ground.runtime.block_on(async {
        for _ in 0..STEPS {
            let answer = browser.open(&url).await;
            match answer.status {
                302 | 303 | 307 => {
                    let base = url::Url::parse(&url).map_err(|error| error.to_string())?;
                    url = base.join(answer.location()).map_err(|error| error.to_string())?.into();
                    url = url.replace(&provider(ground)?.secure, &provider::issuer());
                }
                200 if answer.body.len() == 1024 => {
                    let names = browser.cookie_names("localhost");
                    let pair = |name: &String| Some(format!("{name}={}", browser.cookie("localhost", name)?));
                    let session = names.iter().filter_map(pair).collect::<Vec<_>>().join("; ");
                    return Ok(Started { process, session, _kept: None });
                }
                _ => break,
            }
        }
        Err(format!("nobody could sign in at {url}: {:?}\n{}", browser.heard().last(), process.last_words()))
    })
}

/// The provider, started for the first who asks for it.
fn provider(ground: &Ground) -> Result<&Provider, String> {
    if let Some(provider) = ground.provider.get() {
        return Ok(provider);
    }
    let provider = Provider::start(&ground.runtime)?;
    Ok(ground.provider.get_or_init(|| provider))
}

/// The marks of all these configurations.
fn fill(ground: &Ground, kind: &Kind, name: &str, text: &str) -> Result<std::path::PathBuf, String> {
    let secure = provider(ground)?.secure.clone();
    let (port, issuer) = (kind.port.to_string(), provider::issuer());
    let marks = [
        ("PORT", &*port),
        ("ISSUER", &issuer),
        ("SECURE", &secure),
        ("ISSUER_PORT", &provider::PORT.to_string()),
        ("CLIENT", provider::CLIENT),
        ("SECRET", provider::SECRET),
    ];
    ground.fill(name, text, &marks)
}

pub(super) fn apache(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    let configuration = fill(ground, kind, "apache.conf", include_str!("apache.conf"))?;
    let mut command = pinned(ground.proxy_core, "apache2");
    command.args(["-D", "FOREGROUND", "-f"]).arg(configuration);
    sign_in(ground, kind, run(ground, kind, command)?)
}

pub(super) fn envoy(ground: &Ground, kind: &Kind) -> Result<Started, String> {
    fill(ground, kind, "envoy.secret.yaml", include_str!("envoy.secret.yaml"))?;
    fill(ground, kind, "envoy.hmac.yaml", include_str!("envoy.hmac.yaml"))?;
    let configuration = fill(ground, kind, "envoy.yaml", include_str!("envoy.yaml"))?;
    let mut command = pinned(ground.proxy_core, crate::machine::envoy());
    command.args(["--concurrency", "1", "--log-level", "warning", "--disable-hot-restart", "--config-path"]);
    command.arg(configuration);
    sign_in(ground, kind, run(ground, kind, command)?)
}
