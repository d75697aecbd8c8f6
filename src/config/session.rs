//! The sections `[session]` and `[assertion]`.

use std::{path::PathBuf, time::Duration};

use super::{
    duration, key_file, redis_url,
    report::{Entry, Fault, Place, Report},
    section::Section,
    surroundings::Surroundings,
};
use crate::{
    server::StoreChoice,
    session::{self, RedisUrl, Sealer},
};

/// How long an access token of Apple's lives.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// What `[session]` says.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) store: StoreChoice,
    pub(super) settings: session::Lifetimes,
    pub(super) refresh_before: Duration,
    pub(super) revoke_on_sign_out: bool,
    pub(super) encryption_key_file: Option<PathBuf>,
}

/// Reads `[session]`.
pub(super) fn read(mut section: Section<'_>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> Session {
    let store = store(&mut section, report, surroundings);
    let idle = section.parsed("idle_timeout", r#""8h""#, duration::positive);
    let longest = section.parsed("max_lifetime", r#""24h""#, duration::positive);
    let settings = lifetimes(idle, longest.map(|entry| entry.value), report);
    let refresh_before = section.parsed("refresh_before", r#""5m""#, refresh_before);
    if let Some(entry) = refresh_before.as_ref().filter(|entry| entry.value >= TOKEN_LIFE / 2) {
        report.warn(
            &entry.place,
            "access tokens live one hour, so this asks Apple for a new one every half \
         hour or more often for each session in use",
        );
    }
    let revoke_on_sign_out = section.flag("revoke_on_sign_out").is_none_or(|entry| entry.value);
    let encryption_key_file = encryption_key(&mut section, store.needs_key.as_ref(), report, surroundings);
    section.finish();
    let refresh_before = refresh_before.map_or(Duration::from_secs(300), |entry| entry.value);
    Session { settings, store: store.choice, refresh_before, revoke_on_sign_out, encryption_key_file }
}

/// Reads `[assertion]`: whether it is wanted.
pub(super) fn read_assertion(mut section: Section<'_>) -> bool {
    let enabled = section.flag("enabled").is_some_and(|entry| entry.value);
    section.finish();
    enabled
}

/// What `store` says.
struct Chosen {
    choice: StoreChoice,
    /// Where it says that there must be an encryption key.
    needs_key: Option<Place>,
}

fn store(section: &mut Section<'_>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> Chosen {
    let mut chosen = Chosen { choice: StoreChoice::File, needs_key: None };
    let Some(entry) = section.text("store", r#""file""#) else { return chosen };
    match entry.value {
        "file" => {}
        "memory" => {
            report.note(
                &entry.place,
                "sessions are kept in memory and end with the process: people sign in again after a restart",
            );
            chosen.choice = StoreChoice::Memory;
        }
        text if RedisUrl::is_meant(text) => {
            if let Some(url) = redis_url::read(&entry, report, surroundings) {
                chosen.choice = StoreChoice::Redis(url);
            }
            chosen.needs_key = Some(entry.place);
        }
        _ => {
            let cure = "write store = \"file\", \"memory\" or \"redis://host:6379\"";
            report.problem(&entry.place, "is no place for sessions", cure);
        }
    }
    chosen
}

/// A session that may live for four hours does so without idle_timeout being lowered too; but to ask for
/// a longer idle time than lifetime is a mistake.
fn lifetimes(idle: Option<Entry<Duration>>, longest: Option<Duration>, report: &Report<'_>) -> session::Lifetimes {
    let max_lifetime = longest.unwrap_or(Duration::from_secs(24 * 3600));
    let Some(idle) = idle else {
        return session::Lifetimes { idle_timeout: max_lifetime.min(Duration::from_secs(8 * 3600)), max_lifetime };
    };
    if idle.value > max_lifetime {
        let cure = "lower it, or raise max_lifetime (\"24h\" by default)";
        report.problem(&idle.place, "is longer than max_lifetime, so it would never end a session", cure);
    }
    session::Lifetimes { idle_timeout: idle.value, max_lifetime }
}

fn refresh_before(text: &str) -> Result<Duration, Fault> {
    let duration = duration::parse(text)?;
    if duration >= TOKEN_LIFE {
        return Err(Fault::new(
            "is not shorter than the hour that an access token lives",
            "write less, such as \"5m\"",
        ));
    }
    Ok(duration)
}

/// The key is read again when the gateway starts; here it only has to be one.
fn encryption_key(
    section: &mut Section<'_>,
    needed: Option<&Place>,
    report: &Report<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<PathBuf> {
    let example = r#""$CREDENTIALS_DIRECTORY/session.key""#;
    let Some(text) = section.text("encryption_key_file", example) else {
        if let Some(place) = needed {
            let cure = format!(
                "add a line: encryption_key_file = {example}, with the same key for every gateway; make it with: \
                 openssl rand -base64 32"
            );
            report.problem(place, "needs encryption_key_file, which is missing", cure);
        }
        return None;
    };
    if Sealer::from_key_file(text.value).is_ok() {
        let cure = "keep the key in a file that only the service can read, and write the path of that file";
        report.hidden(&text.place, Fault::new("is a key itself, which does not belong in this file", cure));
        return None;
    }
    let path = section.parse(text, |text| surroundings.path(text))?;
    match key_file::read(&path.value) {
        Err(fault) => report.fault(&path.place, fault),
        Ok(file) => {
            if let Err(why) = Sealer::from_key_file(&file.text) {
                let (message, cure) = split(&why.to_string());
                report.problem(&path.place, format!("{message}: {}", path.value.display()), cure);
            }
            if file.is_open {
                report.warn(
                    &path.place,
                    "every user of this machine can read this key: chmod o-r it, or use \
                 LoadCredential= in the systemd unit",
                );
            }
        }
    }
    Some(path.value)
}

/// A message of the session room is "what is wrong; what to do".
fn split(text: &str) -> (String, String) {
    let (message, cure) = text.split_once("; ").unwrap_or((text, "make one with: openssl rand -base64 32"));
    (message.to_owned(), cure.to_owned())
}
