//! The URL of Redis in `[session] store`, and the files that it names.

use std::path::Path;

use super::{
    key_file,
    report::{Entry, Fault, Report},
    surroundings::Surroundings,
};
use crate::session::RedisUrl;

/// Reads the URL and looks at its files, which are read again for each connection.
pub(super) fn read(entry: &Entry<&str>, report: &Report<'_>, surroundings: &Surroundings<'_>) -> Option<RedisUrl> {
    let url = match RedisUrl::parse(entry.value) {
        Ok(url) => url,
        Err(why) => {
            let why = why.to_string();
            let (message, cure) = why.split_once("; ").unwrap_or((&why, "write redis://host:6379"));
            report.problem(&entry.place, message, cure);
            return None;
        }
    };
    let url = match url.map_files(|path| surroundings.path(&path.to_string_lossy())) {
        Ok(url) => url,
        Err(fault) => {
            report.problem(&entry.place, format!("has a file whose path {}", fault.message), fault.cure);
            return None;
        }
    };
    for (name, path, is_secret) in url.files() {
        match content(name, path) {
            Err(fault) => report.problem(&entry.place, format!("has a {name} that {}", fault.message), fault.cure),
            Ok(is_open) if is_open && is_secret => {
                let text = format!("every user of this machine can read the {name}: chmod o-r {}", path.display());
                report.warn(&entry.place, text);
            }
            Ok(_) => {}
        }
    }
    if url.has_own_password() {
        report.warn(
            &entry.place,
            "the password stands in this file: better keep it in one of its own that only the service can read, and \
             write ?password_file=/path after the host",
        );
    }
    if !url.is_local() && !url.has_tls() {
        report.warn(
            &entry.place,
            "the way to Redis is not encrypted, and who listens there reads its password: write rediss in the place \
             of redis",
        );
    }
    Some(url)
}

/// Whether a file is what its name says; with whether everybody can read it.
fn content(name: &str, path: &Path) -> Result<bool, Fault> {
    let file = key_file::read(path)?;
    let (fine, cure) = match name {
        "password_file" => {
            let fine = !file.text.trim_end().is_empty() && !file.text.trim_end().contains('\n');
            (fine, "put the password there, in one line")
        }
        "private_key_file" => (file.text.contains("PRIVATE KEY-----"), "put the key there in PEM, unencrypted"),
        _ => (file.text.contains("-----BEGIN CERTIFICATE-----"), "put the certificate there in PEM"),
    };
    if fine { Ok(file.is_open) } else { Err(Fault::new(format!("is none: {}", path.display()), cure)) }
}
