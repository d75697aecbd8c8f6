//! `schoolgate sessions list` and `schoolgate sessions end`: asks the running gateway.

use std::{path::Path, process::ExitCode};

use http::Method;

use super::{
    USAGE,
    admin_client::{self, AdminClient, AskError, target},
    describe, output,
    session_table::table,
};
use crate::{
    admin::{Ended, SessionEntry, SessionPage},
    clock::{Clock, SystemClock, Timestamp},
    config,
    identity::{Organization, Subject},
    session::Handle,
};

/// Sessions that are asked for at once.
const PAGE: &str = "1000";

/// Where the sessions are.
const SESSIONS: &str = "/sessions";

/// What to do with sessions.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Show who is signed in.
    ///
    /// Who, since when, last seen, from where, with what browser and which permissions of Apple's, and when the
    /// access token is refreshed next. Never a token. The exit status is 0, 1 when the gateway cannot be asked, and
    /// 2 when the configuration does not say where.
    List(List),
    /// End sessions: those people must sign in again.
    ///
    /// The tokens are revoked at Apple as at a sign-out (session.revoke_on_sign_out). The exit status is 0, 1 when
    /// the gateway cannot be asked or knows no session of this ID, and 2 on wrong usage.
    End(End),
}

/// Arguments of `list`.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only the sessions of this person, by their identifier at Apple.
    #[arg(long, value_name = "SUB", value_parser = user, conflicts_with = "organization")]
    user: Option<String>,
    /// Only the sessions of this organization, by its number at Apple.
    #[arg(long, value_name = "ORG", value_parser = organization)]
    organization: Option<String>,
    /// Print a JSON array, with everything that is known and times in RFC 3339.
    #[arg(long)]
    json: bool,
}

/// Arguments of `end`: one of them.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct End {
    /// The session of this ID, which the list shows.
    #[arg(value_name = "ID", value_parser = id)]
    id: Option<String>,
    /// All sessions of this person, by their identifier at Apple.
    #[arg(long, value_name = "SUB", value_parser = user)]
    user: Option<String>,
    /// All sessions of this organization, by its number at Apple.
    #[arg(long, value_name = "ORG", value_parser = organization)]
    organization: Option<String>,
    /// Everybody's sessions.
    #[arg(long)]
    all: bool,
}

fn id(text: &str) -> Result<String, &'static str> {
    Handle::parse(text).map(|_| text.to_owned()).ok_or("it is no ID of a session; see `schoolgate sessions list`")
}

fn user(text: &str) -> Result<String, String> {
    Subject::parse(text).map(|_| text.to_owned()).map_err(|why| format!("the identifier {why}"))
}

fn organization(text: &str) -> Result<String, String> {
    Organization::parse(text).map(|_| text.to_owned()).map_err(|why| format!("the number {why}"))
}

/// Runs one of the commands.
pub(super) fn run(config: &Path, command: &Command) -> ExitCode {
    let address = match config::admin_address(config, &|name| std::env::var(name).ok()) {
        Ok(address) => address,
        Err(problems) => {
            output::complain(&problems.to_string());
            return ExitCode::from(USAGE);
        }
    };
    if !admin_client::is_known(&address) {
        output::complain(&format!(
            "{}: error: server.admin_listen has the port 0, so nobody knows which port the system chose\n   = write a \
             port, such as admin_listen = \"127.0.0.1:9180\", and start the gateway again",
            config.display()
        ));
        return ExitCode::from(USAGE);
    }
    let done = AdminClient::new(address).map_err(|why| why.to_string()).and_then(|client| {
        let answer = match command {
            Command::List(arguments) => list(&client, arguments),
            Command::End(arguments) => end(&client, arguments),
        };
        answer.map_err(|error| cure(&error, config))
    });
    match done {
        Ok(status) => status,
        Err(why) => {
            output::complain(&format!("schoolgate: {why}"));
            ExitCode::FAILURE
        }
    }
}

/// The error, with where the address comes from.
fn cure(error: &AskError, config: &Path) -> String {
    format!("{error}\n   = the address is that of [server] admin_listen in {}", config.display())
}

fn list(client: &AdminClient, arguments: &List) -> Result<ExitCode, AskError> {
    let mut sessions = all(client, arguments)?;
    // The newest sign-ins first; the store's own order means nothing to anybody.
    sessions
        .sort_by_cached_key(|session| (std::cmp::Reverse(Timestamp::parse(&session.signed_in_at)), session.id.clone()));
    if arguments.json {
        let json = serde_json::to_string_pretty(&sessions).unwrap_or_default();
        output::say(&output::harmless_json(&json));
    } else if sessions.is_empty() {
        output::say("no sessions");
    } else {
        let text = table(&sessions, SystemClock.now());
        output::say(&format!("{text}\n{}", describe::count("session", sessions.len())));
    }
    Ok(ExitCode::SUCCESS)
}

fn all(client: &AdminClient, arguments: &List) -> Result<Vec<SessionEntry>, AskError> {
    let mut sessions = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut fields = vec![("limit", PAGE)];
        fields.extend(arguments.user.as_deref().map(|user| ("user", user)));
        fields.extend(arguments.organization.as_deref().map(|organization| ("organization", organization)));
        fields.extend(after.as_deref().map(|after| ("after", after)));
        let page: SessionPage = client.ask(&Method::GET, &target(SESSIONS, &fields))?;
        sessions.extend(page.sessions);
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(sessions),
        }
    }
}

fn end(client: &AdminClient, arguments: &End) -> Result<ExitCode, AskError> {
    let all = arguments.all.then_some("true");
    let fields: Vec<_> = [
        ("id", arguments.id.as_deref()),
        ("user", arguments.user.as_deref()),
        ("organization", arguments.organization.as_deref()),
        ("all", all),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    let Ended { ended } = client.ask(&Method::DELETE, &target(SESSIONS, &fields))?;
    if let Some(id) = arguments.id.as_deref().filter(|_| ended == 0) {
        output::complain(&format!(
            "schoolgate: there is no session {id}: it has ended already, or the ID is misspelled; see `schoolgate \
             sessions list`"
        ));
        return Ok(ExitCode::FAILURE);
    }
    output::say(&format!("{} ended", describe::count("session", ended)));
    Ok(ExitCode::SUCCESS)
}
