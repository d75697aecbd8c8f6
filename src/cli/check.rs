//! `schoolgate check`: is the configuration valid, and what does it say?

use std::{path::Path, process::ExitCode};

use super::{describe, load, output};
use crate::{
    config::{Loaded, Weight},
    policy::{App, AppSessions, Route},
    web::PathPrefix,
};

/// Checks the configuration and prints it as a table.
pub(super) fn run(path: &Path) -> ExitCode {
    match load(path) {
        Ok(loaded) => {
            output::say(&report(path, &loaded));
            ExitCode::SUCCESS
        }
        Err(status) => status,
    }
}

fn report(path: &Path, loaded: &Loaded) -> String {
    let mut text = output::columns(&rows(loaded));
    text.push('\n');
    let sessions = session_rows(loaded);
    if sessions.len() > 1 {
        text.push_str(&output::columns(&sessions));
        text.push('\n');
    }
    for note in &loaded.notes {
        text.push_str(&format!("{note}\n"));
    }
    if !loaded.notes.is_empty() {
        text.push('\n');
    }
    let apps = apps(loaded);
    let routes = apps.iter().map(|app| app.routes.len()).sum();
    let warnings = loaded.notes.iter().filter(|note| note.weight == Weight::Warning).count();
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

fn rows(loaded: &Loaded) -> Vec<[String; 7]> {
    let title = ["HOST", "ROUTE", "METHODS", "ACCESS", "SCOPES", "PEOPLE", "UPSTREAM"].map(str::to_owned);
    let mut rows = vec![title];
    for app in apps(loaded) {
        rows.extend(app.routes.iter().enumerate().map(|(index, route)| row(app, route, index == 0)));
    }
    rows
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

/// Host and upstream stand beside the first route of an app only.
fn row(app: &App, route: &Route, is_first: bool) -> [String; 7] {
    let once = |text: String| if is_first { text } else { String::new() };
    let scopes = if route.scopes.is_empty() { "-".into() } else { route.scopes.to_string() };
    [
        once(app.host.to_string()),
        route.prefix.as_str().to_owned(),
        describe::methods(route),
        describe::access(route.access).to_owned(),
        scopes,
        describe::people(route),
        once(describe::upstreams(app)),
    ]
}
