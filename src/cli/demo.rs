//! `schoolgate demo`: everything on this machine, with no account and no configuration.

use std::{fs, io, net::SocketAddr, path::Path, process::ExitCode, sync::Arc};

use tempfile::TempDir;
use tokio::net::TcpListener;

use super::output;
use crate::{
    clock::SystemClock,
    config,
    demo::{Client, ClientKey, GradeBook, StandIn, StandInSettings},
    entropy::SystemEntropy,
    server,
    telemetry::{self, LogFormat},
};

/// Where the demo listens when nobody says otherwise and the port is free.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// Any free port of this machine.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// The three identifiers that Apple's portal would have given.
const CLIENT_ID: &str = "org.example.school.gateway";
const TEAM_ID: &str = "A1B2C3D4E5";
const KEY_ID: &str = "K1L2M3N4O5";

type Failure = Box<dyn std::error::Error>;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen, on this machine only; 127.0.0.1:8080, or any free port when that is taken.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

/// Runs the demo until Ctrl-C.
pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let ran = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| runtime.block_on(demo(arguments)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            output::complain(&format!("schoolgate: {why}"));
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: &Arguments) -> Result<(), Failure> {
    telemetry::init(LogFormat::Text, telemetry::Level::WARN)?;
    let port = free_port(arguments.listen).await?;
    let folder = TempDir::with_prefix("schoolgate-demo-")?;
    let address = format!("http://localhost:{port}");
    let apple = stand_in(folder.path(), &format!("{address}/.schoolgate/callback")).await?;
    let book = GradeBook::start(ANYWHERE, apple.base_url()).await?;
    let text = configuration(folder.path(), port, &apple, &book);
    let path = folder.path().join("gateway.toml");
    fs::write(&path, &text)?;
    let loaded = config::from_text(&path, &text, &|_| None).map_err(|problems| problems.to_string())?;
    output::say(&welcome(&address, &apple, &path));
    server::run(loaded.settings).await?;
    output::say("The demo has ended, and its folder is gone.");
    Ok(())
}

/// A port that was free a moment ago: it must be known before the configuration is written.
async fn free_port(wanted: Option<SocketAddr>) -> Result<u16, Failure> {
    let taken = |address: SocketAddr| {
        move |why: io::Error| format!("cannot listen on {address}: {why}; name another with --listen")
    };
    let listener = match wanted {
        Some(address) if !address.ip().is_loopback() => {
            return Err(
                "the demo has no real sign-in, so it listens on this machine only: --listen 127.0.0.1:PORT".into()
            );
        }
        Some(address) => TcpListener::bind(address).await.map_err(taken(address))?,
        None => match TcpListener::bind(USUAL).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(ANYWHERE).await.map_err(taken(ANYWHERE))?,
        },
    };
    Ok(listener.local_addr()?.port())
}

/// The stand-in for Apple, with one client whose key file is in the folder.
async fn stand_in(folder: &Path, redirect_uri: &str) -> Result<StandIn, Failure> {
    let entropy = Arc::new(SystemEntropy);
    let key = ClientKey::generate(&*entropy)?;
    fs::write(folder.join("apple.p8"), key.private_pem().expose())?;
    let client = Client {
        client_id: CLIENT_ID.into(),
        team_id: TEAM_ID.into(),
        key_id: KEY_ID.into(),
        public_key: key.public(),
        redirect_uris: vec![redirect_uri.parse()?],
        local_redirects: true,
    };
    let settings = StandInSettings { clients: vec![client], clock: Arc::new(SystemClock), entropy, listen: ANYWHERE };
    Ok(StandIn::start(settings).await?)
}

/// The gateway.toml of the demo: one route is public, one needs a sign-in, one a scope.
fn configuration(folder: &Path, port: u16, apple: &StandIn, book: &GradeBook) -> String {
    let folder = folder.display();
    let apple = apple.base_url();
    let apple = apple.as_str().trim_end_matches('/');
    let book = book.address();
    format!(
        r#"# The gateway of `schoolgate demo`. The real one says "https" and needs no base_url.

[server]
listen = ["127.0.0.1:{port}"]
admin_listen = "unix:{folder}/admin.sock"
external_scheme = "http"
state_dir = "{folder}/state"
shutdown_grace = "1s"

[apple]
client_id = "{CLIENT_ID}"
team_id = "{TEAM_ID}"
key_id = "{KEY_ID}"
private_key_file = "{folder}/apple.p8"
redirect_uri = "http://localhost:{port}/.schoolgate/callback"
base_url = "{apple}"

[session]
store = "memory"

[[app]]
name = "grade-book"
host = "localhost"
upstream = "http://{book}"

  # Everybody may see the start page,
  [[app.route]]
  path = "/"
  access = "public"

  # whoever signed in the grades,
  [[app.route]]
  path = "/grades"

  # and whoever has a permission of Apple's that only administrators and site managers can give the classes.
  [[app.route]]
  path = "/admin"
  scopes = ["edu.classes.read"]
"#
    )
}

fn welcome(address: &str, apple: &StandIn, path: &Path) -> String {
    format!(
        "schoolgate demo: a grade book from 2009, a stand-in for Apple, and the gateway between them.\n\
         \n\
         \x20 open           {address}/\n\
         \x20 sign in as     anyone; the stand-in at {apple} asks who you want to be\n\
         \x20 configuration  {path}\n\
         \n\
         Ctrl-C ends everything. Nothing is written outside that folder.",
        apple = apple.base_url(),
        path = path.display(),
    )
}
