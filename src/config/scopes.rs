//! Lists of scopes.

use super::{
    report::{Entry, Fault, Report},
    section::Section,
    suggest,
};
use crate::{apple::Service, identity::ScopeSet};

/// Reads the key `scopes`. A scope that Apple does not know is worth a warning and no more: Apple may
/// know a new one tomorrow.
pub(super) fn read(section: &mut Section<'_>, report: &Report<'_>, service: Service) -> Option<Entry<ScopeSet>> {
    let list = section.texts("scopes", r#"["edu.users.read"]"#)?;
    let mut scopes = ScopeSet::new();
    for entry in list.value {
        let text = entry.value;
        let Some(entry) = section.parse(entry, |text| check(text, &mut scopes)) else { continue };
        let known = service.known_scopes();
        if !known.contains(&text) {
            let meant = suggest::nearest(text, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            report.warn(&entry.place, format!("Apple's documentation knows no scope {text} of this service{meant}"));
        }
    }
    Some(Entry { value: scopes, place: list.place })
}

fn check(text: &str, scopes: &mut ScopeSet) -> Result<(), Fault> {
    if text.contains([' ', ',']) {
        return Err(Fault::new(
            "is more than one scope",
            "write each in quotes of its own: [\"edu.users.read\", \"edu.classes.read\"]",
        ));
    }
    scopes.insert(text).map_err(|why| Fault::new(why.to_string(), "write a scope, such as \"edu.users.read\""))
}
