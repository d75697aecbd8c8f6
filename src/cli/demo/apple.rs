//! `schoolgate demo --stand-in`: Apple's part alone, for a gateway that has a configuration of its own.

use std::{net::SocketAddr, path::Path, sync::Arc};

use url::{Host, Url};

use super::Failure;
use crate::{
    apple,
    cli::output,
    clock::SystemClock,
    config,
    demo::{Client, ClientPublicKey, StandIn, StandInSettings},
    entropy::SystemEntropy,
    server::Signals,
    telemetry::{self, Log, LogFormat},
};

/// Plays Apple for the gateway of the configuration until a signal comes.
pub(super) async fn play(path: &Path) -> Result<(), Failure> {
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let lines = telemetry::Settings::lines(LogFormat::Text);
    let _log = Log::start(
        &lines,
        telemetry::Level::WARN,
        Arc::<SystemClock>::clone(&clock),
        Arc::<SystemEntropy>::clone(&entropy),
    )?;
    let loaded = config::load(path, &|name| std::env::var(name).ok()).map_err(|problems| problems.to_string())?;
    let settings = loaded.settings.apple;
    let listen = address(&settings)?;
    let mut signals = Signals::listen()?.and_hangup();
    let client = Client {
        client_id: settings.client_id.clone(),
        team_id: settings.team_id,
        key_id: settings.key_id,
        public_key: ClientPublicKey::of(settings.signing_key.public_key()),
        local_redirects: settings.redirect_uri.scheme() == "http",
        redirect_uris: vec![settings.redirect_uri],
    };
    let apple = StandIn::start(StandInSettings { clients: vec![client], clock, entropy, listen }).await?;
    output::say(&format!(
        "A stand-in for Apple answers at {} for the gateway of {} (client {}).\n\
         Whoever signs in there chooses who to be: it is for a try, on this machine. Ctrl-C ends it.",
        apple.base_url().as_str().trim_end_matches('/'),
        path.display(),
        settings.client_id
    ));
    signals.stop().await;
    Ok(())
}

/// Where the gateway looks for Apple, if a stand-in can be there.
fn address(settings: &apple::Settings) -> Result<SocketAddr, Failure> {
    let token = &settings.endpoints.token;
    let mut base = token.clone();
    base.set_path("");
    let here = loopback(&base).filter(|_| settings.service.endpoints(&base) == settings.endpoints);
    here.ok_or_else(|| {
        format!(
            "the configuration looks for Apple at {}, where no stand-in can be; for a try write into [apple]: base_url = \
             \"http://127.0.0.1:9998\"",
            token.origin().ascii_serialization()
        )
        .into()
    })
}

fn loopback(base: &Url) -> Option<SocketAddr> {
    let port = base.port().filter(|_| base.scheme() == "http")?;
    let ip = match base.host()? {
        Host::Ipv4(ip) => ip.into(),
        Host::Ipv6(ip) => ip.into(),
        Host::Domain(_) => return None,
    };
    Some(SocketAddr::new(ip, port)).filter(|address| address.ip().is_loopback())
}
