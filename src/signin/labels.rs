//! Whose a cookie of an app is.
//!
//! An app that keeps sessions of its own shows whoever has its cookie what it kept for somebody else. A
//! cookie can be deleted only where the app has set it, and nobody can list what a browser holds. So beside
//! each such cookie the browser gets a label of ours, in the same place and for the same time, that says
//! whose the cookie is; and the cookie comes through to the app for that person only, whatever was not
//! deleted. Nothing is kept here, so this holds after a restart and in every process.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;

use super::CookieNames;
use crate::{
    identity::Subject,
    session::{Sealer, Tag},
    web::CookieJar,
};

/// What the tags in labels are for.
const KIND: &str = "owner of an app's cookie";

/// Bytes of a label that tell which value it speaks of.
const ABOUT: usize = 9;

/// Bytes of a label that tell whose that is.
const WHOSE: usize = 15;

/// Who uses the browser that a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Somebody who is signed in.
    Person(Subject),
    /// Nobody is signed in.
    Nobody,
    /// The store is not available: no cookie is theirs.
    Unknown,
}

/// Makes and reads labels.
#[derive(Debug)]
pub struct Labels<'a> {
    names: &'a CookieNames,
    sealer: &'a Sealer,
}

impl<'a> Labels<'a> {
    pub(super) fn new(names: &'a CookieNames, sealer: &'a Sealer) -> Self {
        Self { names, sealer }
    }

    /// The label, as `name=value`, for a cookie that an app sets for `owner`; `None` when nobody can say
    /// whose it would be.
    #[must_use]
    pub fn make(&self, name: &str, value: &[u8], owner: &Owner) -> Option<String> {
        let about = hash(name, value);
        let tag = self.sealer.tag(KIND, &statement(&about, owner)?);
        let label = [&about[..ABOUT], &tag.bytes()[..WHOSE]].concat();
        Some(format!("{}={}", self.names.label(name), URL_SAFE_NO_PAD.encode(label)))
    }

    /// The labels that a browser sent for a cookie.
    #[must_use]
    pub fn read(&self, name: &str, jar: &CookieJar<'_>) -> Vec<Label> {
        let label = self.names.label(name);
        let decoded = jar.values(&label).filter_map(|text| URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok());
        decoded.map(Label).collect()
    }

    /// Whether a cookie may come through to its app in a request of `owner`: not when the labels that speak
    /// of it name somebody else. Where none does, the app has not set the cookie through this gateway.
    #[must_use]
    pub fn admit(&self, name: &str, value: &[u8], owner: &Owner, labels: &[Label]) -> bool {
        let about = hash(name, value);
        let Some(statement) = statement(&about, owner) else { return false };
        let mut speaking = labels.iter().filter(|label| label.0[..ABOUT] == about[..ABOUT]).peekable();
        if speaking.peek().is_none() {
            return true;
        }
        let tags = self.sealer.tags(KIND, &statement);
        let says = |label: &Label, tag: &Tag| bool::from(label.0[ABOUT..].ct_eq(&tag.bytes()[..WHOSE]));
        speaking.any(|label| tags.iter().any(|tag| says(label, tag)))
    }
}

/// What a label says, true or not.
#[derive(Clone, Copy, Debug)]
pub struct Label([u8; ABOUT + WHOSE]);

fn hash(name: &str, value: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    let text = [name.as_bytes(), b"\0", value].concat();
    hash.copy_from_slice(digest::digest(&digest::SHA256, &text).as_ref());
    hash
}

/// What is tagged: that this value is this owner's.
fn statement(about: &[u8; 32], owner: &Owner) -> Option<String> {
    let about = URL_SAFE_NO_PAD.encode(about);
    match owner {
        // A subject has no blank, so it cannot end up as the other line.
        Owner::Person(subject) => Some(format!("{about} person {subject}")),
        Owner::Nobody => Some(format!("{about} nobody")),
        Owner::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SystemEntropy, web::Scheme};

    const NAMES: CookieNames = CookieNames::new(Scheme::Https);

    fn person(subject: &str) -> Owner {
        Owner::Person(Subject::parse(subject).unwrap())
    }

    /// Whether PHPSESSID=1 with this label goes to the app for `owner`.
    fn goes(sealer: &Sealer, label: &str, owner: &Owner) -> bool {
        let header = format!("PHPSESSID=1; {label}");
        let labels = Labels::new(&NAMES, sealer);
        let sent = labels.read("PHPSESSID", &CookieJar::parse([header.as_bytes()]));
        labels.admit("PHPSESSID", b"1", owner, &sent)
    }

    #[test]
    fn a_cookie_goes_to_the_app_for_the_one_for_whom_it_was_set_alone() {
        let sealer = Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap();
        let owners = [person("anna"), person("bob"), person("nobody"), Owner::Nobody];
        for one in &owners {
            let label = Labels::new(&NAMES, &sealer).make("PHPSESSID", b"1", one).unwrap();
            assert!(label.starts_with("schoolgate-of-PHPSESSID=") && label.len() == 24 + 32, "{label}");
            for other in &owners {
                assert_eq!(goes(&sealer, &label, other), one == other, "of {one:?}, for {other:?}");
            }
            assert!(!goes(&sealer, &label, &Owner::Unknown));
        }
        assert_eq!(Labels::new(&NAMES, &sealer).make("PHPSESSID", b"1", &Owner::Unknown), None);
        assert!(!goes(&sealer, "", &Owner::Unknown), "nobody knows who it is");
    }

    #[test]
    fn a_label_speaks_of_one_cookie_with_one_value() {
        let sealer = Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap();
        let labels = Labels::new(&NAMES, &sealer);
        let (anna, bob) = (person("anna"), person("bob"));
        for (name, value) in [("PHPSESSID", b"2".as_slice()), ("OTHER", b"1"), ("PHPSESSID\0", b"1")] {
            let label = labels.make(name, value, &anna).unwrap().replace(name, "PHPSESSID");
            assert!(goes(&sealer, &label, &bob), "it says nothing about PHPSESSID=1: {label}");
        }
        // The same name may stand for two cookies, of two paths.
        let of = |value: &[u8], owner| labels.make("PHPSESSID", value, owner).unwrap();
        let both = format!("{}; {}", of(b"2", &anna), of(b"1", &bob));
        assert!(goes(&sealer, &both, &bob) && !goes(&sealer, &both, &anna));
    }

    #[test]
    fn a_label_that_was_made_up_or_whose_key_is_lost_admits_nobody() {
        let (old, new) = (Sealer::new_key(&SystemEntropy), Sealer::new_key(&SystemEntropy));
        let sealer = Sealer::from_key_file(&old).unwrap();
        let label = Labels::new(&NAMES, &sealer).make("PHPSESSID", b"1", &person("anna")).unwrap();
        let other = if label.ends_with('A') { "Q" } else { "A" };
        let changed = format!("{}{other}", &label[..label.len() - 1]);
        assert!(!goes(&sealer, &changed, &person("anna")));
        assert!(!goes(&Sealer::from_key_file(&new).unwrap(), &label, &person("anna")));
        let rotated = Sealer::from_key_file(&format!("{}\n{}\n", *new, *old)).unwrap();
        assert!(goes(&rotated, &label, &person("anna")) && !goes(&rotated, &label, &person("bob")));
    }
}
