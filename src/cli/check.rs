//! `schoolgate check`: is the configuration valid, and what does it say?

use std::{path::Path, process::ExitCode};

use super::{describe, load, output};
use crate::{
    clock::{Clock, SystemClock, Timestamp},
    config::{Loaded, Weight, keys},
    policy::{App, AppSessions, Route},
    web::PathPrefix,
};

/// What `check` can be asked.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Print the JSON schema of the configuration for editors, and check nothing.
    #[arg(long)]
    schema: bool,
}

/// Checks the configuration and prints it as a table; or prints what a configuration looks like.
pub(super) fn run(path: &Path, arguments: &Arguments) -> ExitCode {
    if arguments.schema {
        output::say(&format!("{:#}", keys::schema()));
        return ExitCode::SUCCESS;
    }
    match load(path) {
        Ok(loaded) => {
            output::say(&report(path, &loaded, SystemClock.now()));
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

fn report(path: &Path, loaded: &Loaded, now: Timestamp) -> String {
    let notes = loaded.notes_at(now);
    let mut text = table(loaded);
    text.push('\n');
    let sessions = session_rows(loaded);
    if sessions.len() > 1 {
        text.push_str(&output::columns(&sessions));
        text.push('\n');
    }
    for note in &notes {
        text.push_str(&format!("{note}\n"));
    }
    if !notes.is_empty() {
        text.push('\n');
    }
    let apps = apps(loaded);
    let routes = apps.iter().map(|app| app.routes.len()).sum();
    let warnings = notes.iter().filter(|note| note.weight == Weight::Warning).count();
    text.push_str(&format!(
        "{} is valid: {}, {}, {}",
        path.display(),
        describe::count("app", apps.len()),
        describe::count("route", routes),
        describe::count("warning", warnings),
    ));
    text
}

fn apps(loaded: &Loaded) -> Vec<&App> {
    loaded.settings.table.apps().map(AsRef::as_ref).collect()
}

/// Hosts with their upstreams, and below each host its routes: so it fits a terminal of 80 columns.
fn table(loaded: &Loaded) -> String {
    let title = |titles: &[&str]| titles.iter().map(|title| vec![(*title).to_owned()]).collect::<Vec<_>>();
    let mut hosts = output::stacked::<2>(&title(&["HOST", "UPSTREAM"]));
    let mut routes = output::stacked::<5>(&title(&["  ROUTE", "METHODS", "ACCESS", "SCOPES", "PEOPLE"]));
    // How many lines of each belong together.
    let mut parts = vec![(hosts.len(), routes.len())];
    for app in apps(loaded) {
        let upstreams = app.upstreams.iter().map(ToString::to_string).collect();
        let host = output::stacked::<2>(&[vec![app.host.to_string()], upstreams]);
        let rows: Vec<_> = app.routes.iter().flat_map(row).collect();
        parts.push((host.len(), rows.len()));
        hosts.extend(host);
        routes.extend(rows);
    }
    let (hosts, routes) = (output::columns(&hosts), output::columns(&routes));
    let (mut hosts, mut routes) = (hosts.lines(), routes.lines());
    let part =
        |(own, below)| hosts.by_ref().take(own).chain(routes.by_ref().take(below)).collect::<Vec<_>>().join("\n");
    parts.into_iter().map(part).collect::<Vec<_>>().join("\n\n") + "\n"
}

/// The apps that keep sessions of their own, under a title.
fn session_rows(loaded: &Loaded) -> Vec<[String; 3]> {
    let listed = |texts: Vec<&str>| if texts.is_empty() { "-".to_owned() } else { texts.join(" ") };
    let mut rows = vec![["HOST", "SIGN-OUT PATHS", "CLEARED COOKIES"].map(str::to_owned)];
    for app in apps(loaded) {
        let AppSessions { sign_out_paths, clear_cookies } = &app.sessions;
        if !sign_out_paths.is_empty() || !clear_cookies.is_empty() {
            let paths = sign_out_paths.iter().map(PathPrefix::as_str).collect();
            let cookies = clear_cookies.iter().map(String::as_str).collect();
            rows.push([app.host.to_string(), listed(paths), listed(cookies)]);
        }
    }
    rows
}

/// Methods and scopes stand below each other.
fn row(route: &Route) -> Vec<[String; 5]> {
    let scopes: Vec<_> = route.scopes.iter().map(str::to_owned).collect();
    output::stacked(&[
        vec![format!("  {}", route.prefix.as_str())],
        describe::methods(route).split(' ').map(str::to_owned).collect(),
        vec![describe::access(route.access).to_owned()],
        if scopes.is_empty() { vec!["-".into()] } else { scopes },
        describe::people(route).split_inclusive(" and ").map(|one| one.trim_end().to_owned()).collect(),
    ])
}
