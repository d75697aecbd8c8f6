//! The file gateway.toml: its shape, its translation into settings, and its problems told all at once.
//!
//! [`load`] reads the file into [`Loaded`], or says everything that is wrong with it. Each section has a
//! file here that knows its keys, and hands typed values to the rooms that own them; no room knows the
//! file. `section` reads keys and notices unknown ones, `report` collects what is wrong, `cross` and
//! `conflict` look at what must agree, and `lint` at what is allowed but odd. What each key is for is written down in
//! [`keys`], and nowhere else.

mod acme;
mod address;
mod allow;
mod app;
mod app_sessions;
mod apple;
mod conflict;
mod cross;
mod duration;
mod headers;
mod key_file;
pub mod keys;
mod lint;
mod lint_hosts;
mod location;
#[cfg(test)]
mod mistakes;
mod problem;
mod redis_url;
mod report;
mod route;
mod scopes;
mod section;
mod server;
mod session;
mod size;
mod source;
mod suggest;
mod surroundings;
mod syntax;
#[cfg(test)]
mod tests;
mod tls;
mod upstream;

use std::{fs, io, path::Path};

use toml::{Spanned, de::DeTable};

pub use problem::{Note, Problem, Problems, Weight};

use self::{
    app::AppAt, apple::Apple, report::Report, section::Section, server::Server, session::Session, source::Source,
    surroundings::Surroundings,
};
use crate::{
    assertion,
    clock::Timestamp,
    policy::Table,
    server::{AdminAddress, Settings},
    signin::{self, Home},
    telemetry,
    tls::Kept,
    web::HostPattern,
};

/// Largest file that is read.
const LARGEST: usize = 1 << 20;

/// A valid configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the gateway runs on.
    pub settings: Settings,
    /// What there is to know about the file although it is valid, in its order.
    pub notes: Vec<Note>,
    /// The certificates that it names, each with a note that may be written about it.
    certificates: Vec<(Kept, Note)>,
}

impl Loaded {
    /// The notes, and what there is to say of certificates at this time.
    #[must_use]
    pub fn notes_at(&self, now: Timestamp) -> Vec<Note> {
        let mut notes = self.notes.clone();
        for (kept, note) in &self.certificates {
            notes.extend(tls::of_its_time(kept.pair(), now).map(|text| Note { text, ..note.clone() }));
        }
        notes.sort_by_key(|note| (note.line, note.column));
        notes
    }
}

/// Reads the configuration. `environment` gives the value of a variable.
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn load(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    from_text(path, &text_of(path)?, environment)
}

/// Where the admin listener of the gateway is that runs on this configuration. Nothing else of the file is
/// looked at: whoever asks a running gateway need not be able to read its keys.
///
/// # Errors
/// When the file cannot be read, or is wrong in this.
pub fn admin_address(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<AdminAddress, Problems> {
    let text = text_of(path)?;
    let source = Source::new(&text);
    let report = Report::new(path, &source);
    let document = document(&text, &report);
    let mut server = Section::root(&report, document.get_ref()).section("server");
    let address = server::admin_address(&mut server, &Surroundings::of(path, environment)).value;
    report.finish()?;
    Ok(address)
}

fn text_of(path: &Path) -> Result<String, Problems> {
    let problem = |message: String, cure: &str| Problems::new(path, vec![Problem::of_the_file(message, cure)]);
    let bytes = fs::read(path).map_err(|why| {
        let (message, cure) = unreadable(&why);
        problem(message, cure)
    })?;
    if bytes.len() > LARGEST {
        return Err(problem(
            "is larger than 1 MiB, so it is no configuration".into(),
            "name another with --config PATH",
        ));
    }
    String::from_utf8(bytes).map_err(|why| {
        let fine = why.utf8_error().valid_up_to();
        let line = why.as_bytes()[..fine].iter().filter(|byte| **byte == b'\n').count() + 1;
        problem(format!("line {line} is not UTF-8"), "save the file as UTF-8")
    })
}

/// Why the file could not be read, and what to do about it.
fn unreadable(why: &io::Error) -> (String, &'static str) {
    if why.kind() == io::ErrorKind::NotFound {
        let cure =
            "write one (gateway.toml.example is a start), or name another with --config PATH or $SCHOOLGATE_CONFIG";
        ("there is no such file".into(), cure)
    } else if why.kind() == io::ErrorKind::PermissionDenied {
        ("may not be read by this user".into(), "let the user that runs schoolgate read it")
    } else {
        (format!("cannot be read: {why}"), "name a file with --config PATH or $SCHOOLGATE_CONFIG")
    }
}

/// Reads a configuration that is at hand; `path` names it in messages, and relative paths in it begin
/// in the folder of `path`.
///
/// # Errors
/// Everything that is wrong with the text, at once.
pub fn from_text(path: &Path, text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let source = Source::new(text);
    let report = Report::new(path, &source);
    let document = document(text, &report);
    let file = File::read(document.get_ref(), &report, &Surroundings::of(path, environment));
    let pairs = file.iter().filter_map(|file| file.server.tls.as_ref()).flat_map(|tls| &tls.pairs);
    let certificates = pairs.map(|pair| (pair.value.clone(), report.blank_warning(&pair.place))).collect();
    let translated = file.and_then(|file| file.translate());
    let notes = report.finish()?;
    match translated {
        Some(settings) => Ok(Loaded { settings, notes, certificates }),
        // Every part that is missing has its problem; should one ever have none, the answer is still no.
        None => Err(Problems::new(
            path,
            vec![Problem::of_the_file("is not complete", "compare it with gateway.toml.example")],
        )),
    }
}

/// The file as TOML; what is not goes into the report.
fn document<'a>(text: &'a str, report: &Report<'_>) -> Spanned<DeTable<'a>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    syntax::tell(text, &errors, report);
    document
}

/// The whole file, read.
struct File {
    server: Server,
    apple: Apple,
    session: Session,
    assertion: bool,
    log: telemetry::Settings,
    apps: Vec<AppAt>,
}

impl File {
    /// `None` when anything was wrong.
    fn read<'a>(document: &'a DeTable<'a>, report: &'a Report<'a>, surroundings: &Surroundings<'_>) -> Option<Self> {
        let mut root = Section::root(report, document);
        let server = server::read(root.section("server"), report, surroundings);
        let apple = apple::read(root.section("apple"), report, surroundings, server.external_scheme.value);
        let session = session::read(root.section("session"), report, surroundings);
        let assertion = session::read_assertion(root.section("assertion"));
        let log = server::read_log(root.section("log"), report);
        let sections = root.sections("app");
        if sections.as_ref().is_some_and(Vec::is_empty) {
            let cure = "add a section [[app]] with name, host and upstream; gateway.toml.example shows it";
            report.missing(&report.end("app"), "is missing: there is no app to stand in front of", cure);
        }
        let sections = sections.unwrap_or_default();
        let apps: Vec<_> =
            sections.into_iter().map(|section| app::read(section, report, surroundings, apple.service)).collect();
        root.finish();
        cross::apps(&apps, &server.listen, report);
        cross::external_scheme(&server.external_scheme, &apps, report);
        apps.iter().for_each(|app| conflict::check(&app.routes, report));
        lint::check(&apps, report);
        if let Some(tls) = &server.tls {
            let home = apple.settings.as_ref().and_then(|settings| Home::of(&settings.redirect_uri));
            tls::hosts(tls, &apps, home.map(|home| HostPattern::One(home.host().clone())).as_ref(), report);
        }
        lint::open_to_the_world(&apps, apple.service, report);
        report.is_clean().then_some(Self { server, apple, session, assertion, log, apps })
    }

    fn translate(self) -> Option<Settings> {
        let Self { server, apple, session, assertion, log, apps } = self;
        let apps: Vec<_> = apps.into_iter().map(AppAt::into_app).collect::<Option<_>>()?;
        let keeps_forms = apps.iter().any(|app| app.keep_forms);
        let remembers_browsers = keeps_forms || apps.iter().any(|app| !app.sessions.clear_cookies.is_empty());
        let apple_settings = apple.settings?;
        let home = Home::of(&apple_settings.redirect_uri)?;
        let hosts: Vec<_> =
            apps.iter().map(|app| app.host.clone()).chain([HostPattern::One(home.host().clone())]).collect();
        // Whatever host an app has, the gateway has one name.
        let issuer = home.origin_of(home.host());
        let signin = signin::Settings {
            home,
            scopes: apple.scopes,
            response_mode: apple_settings.response_mode,
            external_scheme: server.external_scheme.value,
            refresh_before: session.refresh_before,
            revoke_on_sign_out: session.revoke_on_sign_out,
            remembers_browsers,
            keeps_forms,
        };
        let sampling = log.sampling();
        let settings = Settings {
            listen: server.listen,
            tls: server.tls.as_ref().map(|tls| tls.settings(&hosts, &server.state_dir)),
            admin_listen: server.admin_listen,
            state_dir: server.state_dir,
            store: session.store,
            encryption_key_file: session.encryption_key_file,
            shutdown_grace: server.shutdown_grace,
            log,
            apple: apple_settings,
            session: session.settings,
            assertion: assertion.then_some(assertion::Settings { issuer }),
            signin,
            proxy: crate::proxy::Settings { sampling, ..server.proxy },
            table: Table::new(apps),
        };
        Some(settings)
    }
}
