//! `schoolgate demo`: everything on this machine, with no account and no configuration.

mod apple;
mod place;
mod words;

use std::{
    fs::{self, Permissions},
    io::IsTerminal,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::ExitCode,
    sync::Arc,
};

use tempfile::TempDir;

use self::{
    place::{ANYWHERE, Place},
    words::Scene,
};
use super::output;
use crate::{
    clock::SystemClock,
    config,
    demo::{Client, ClientKey, GradeBook, NoticeBoard, StandIn, StandInSettings},
    entropy::SystemEntropy,
    server::{self, Signals, StartError},
    telemetry::{self, Log, LogFormat},
};

/// The three identifiers that Apple's portal would have given.
const CLIENT_ID: &str = "org.example.school.gateway";
const TEAM_ID: &str = "A1B2C3D4E5";
const KEY_ID: &str = "K1L2M3N4O5";

/// How often another place is looked for.
const TRIES: usize = 8;

type Failure = Box<dyn std::error::Error>;

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where to listen, on this machine only; 127.0.0.1:8080, or any free port when that is taken.
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = place::parse)]
    listen: Option<SocketAddr>,

    /// Only play Apple, for the gateway of the configuration: to try it before anything is registered.
    ///
    /// The configuration must look for Apple on this machine: base_url = "http://127.0.0.1:9998" in [apple].
    #[arg(long, conflicts_with = "listen")]
    stand_in: bool,
}

/// Runs the demo until Ctrl-C.
pub(super) fn run(configuration: &Path, arguments: &Arguments) -> ExitCode {
    let ran =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(Failure::from).and_then(|runtime| {
            match arguments.stand_in {
                true => runtime.block_on(apple::play(configuration)),
                false => runtime.block_on(demo(arguments)).map(|_ended| ()),
            }
        });
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            output::complain(&format!("schoolgate: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// What outlives the gateway, to the end of the program: nobody complains then that Apple has gone.
type Neighbours = (StandIn, GradeBook, NoticeBoard);

async fn demo(arguments: &Arguments) -> Result<Neighbours, Failure> {
    let settings = telemetry::Settings::lines(LogFormat::Text);
    let _log = Log::start(&settings, telemetry::Level::WARN, Arc::new(SystemClock), Arc::new(SystemEntropy))?;
    // Before anything is written: whoever presses Ctrl-C now must not leave the folder behind.
    let mut signals = Signals::listen()?.and_hangup();
    let place = Place::find(arguments.listen).await?;
    let folder = private_folder()?;
    let ran = play_at(place, arguments, folder.path(), &mut signals).await;
    let path = folder.path().to_owned();
    let cleared = folder.close().map_err(|why| format!("cannot delete {}: {why}", path.display()));
    let neighbours = ran?;
    cleared?;
    // The terminal has written ^C at the beginning of this line.
    let start = if std::io::stdout().is_terminal() { "\n" } else { "" };
    output::say(&format!("{start}The demo has ended. Its folder is deleted."));
    Ok(neighbours)
}

/// A folder that nobody else on this machine may look into: it holds a key.
fn private_folder() -> Result<TempDir, String> {
    tempfile::Builder::new()
        .prefix("schoolgate-demo-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()
        .map_err(|why| format!("cannot make a temporary folder: {why}; TMPDIR names where"))
}

/// Plays at this place, or at another when a stranger took it since it was found.
async fn play_at(
    mut place: Place,
    arguments: &Arguments,
    folder: &Path,
    signals: &mut Signals,
) -> Result<Neighbours, Failure> {
    let mut more = TRIES;
    loop {
        match play(&place, folder, signals).await {
            Err(why) if more > 0 && matches!(why.downcast_ref(), Some(StartError::Bind { .. })) => {
                more -= 1;
                place = Place::find(arguments.listen).await?;
            }
            played => return played,
        }
    }
}

/// Everything runs until a signal comes.
async fn play(place: &Place, folder: &Path, signals: &mut Signals) -> Result<Neighbours, Failure> {
    let apple = stand_in(folder, &format!("{}/.schoolgate/callback", place.address())).await?;
    let book = GradeBook::start(ANYWHERE, apple.base_url()).await?;
    let board = NoticeBoard::start(ANYWHERE, &format!("{}/", place.address())).await?;
    let scene = Scene { place, folder, apple: apple.base_url(), book: book.address(), board: board.address() };
    let path = scene.configuration_file();
    let text = scene.configuration();
    fs::write(&path, &text)?;
    let loaded = config::from_text(&path, &text, &|_| None).map_err(|problems| problems.to_string())?;
    server::run_until(loaded.settings, signals, || output::say(&scene.welcome())).await?;
    Ok((apple, book, board))
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
