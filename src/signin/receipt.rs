//! The receipt for a form that is kept: a sealed cookie, by which a browser shows that it is the one that sent it.

use std::time::Duration;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{CookieNames, FORM_LIFETIME};
use crate::{
    clock::Timestamp,
    entropy::{self, Entropy},
    identity::Subject,
    secret::Secret,
    session::{NoteName, Sealer, SessionKey},
    web::{CookieJar, ReturnPath, SameSite, SetCookie},
};

/// Most forms that are kept of one person, or of one session that nobody knows any more, and for one browser at one host.
pub(super) const MOST: usize = 3;

/// What a receipt says.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The session that the browser had, live or not.
    pub(super) key: SessionKey,
    /// Which of the person's forms.
    pub(super) slot: u8,
    /// Nobody else has it: whoever shows it sent the form.
    secret: Secret<Receipt>,
    /// Since when.
    pub(super) kept: Timestamp,
    /// Whose session it was, when there was somebody left to ask.
    pub(super) owner: Option<Subject>,
    /// Where the sign-in leads back to, as a hash: forms for other places need not be looked up.
    place: String,
}

/// The sealed form; short names, because it travels with every request for ten minutes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    k: String,
    n: u8,
    s: &'a str,
    t: u64,
    o: Option<String>,
    p: &'a str,
}

impl Receipt {
    /// A new one.
    pub(super) fn new(
        key: SessionKey,
        slot: u8,
        owner: Option<Subject>,
        place: &ReturnPath,
        now: Timestamp,
        source: &dyn Entropy,
    ) -> Self {
        let secret = Secret::new(entropy::text::<32>(source));
        Self { key, slot, secret, kept: now, owner, place: hash_of_place(place) }
    }

    /// Whether the time of the form is over.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.left(now).is_zero()
    }

    /// How much of its time is left.
    pub(super) fn left(&self, now: Timestamp) -> Duration {
        FORM_LIFETIME.saturating_sub(now.since(self.kept))
    }

    /// Whether it is for a form that belongs there.
    #[must_use]
    pub fn is_for(&self, place: &ReturnPath) -> bool {
        self.place == hash_of_place(place)
    }

    /// The name of the note that holds the form. It is the person's and not the secret's, so that nobody has more than
    /// [`MOST`] of them, however often a program throws its cookies away or signs in.
    pub(super) fn note(&self) -> NoteName {
        match &self.owner {
            Some(person) => NoteName::of("kept form of a person", &format!("{person} {}", self.slot)),
            None => NoteName::of("kept form of a session", &format!("{} {}", self.key.to_text(), self.slot)),
        }
    }

    /// What the note is told by: another form that was kept there later is not this one.
    pub(super) fn number(&self) -> [u8; 32] {
        hash("kept form: number", self.secret.expose())
    }

    /// What tells it from the browser's other receipts. It betrays nothing.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = hash("kept form: id", self.secret.expose());
        URL_SAFE_NO_PAD.encode(hash.get(..12).unwrap_or_default())
    }

    /// What the button on our page says, and no other page can know.
    pub(super) fn token(&self) -> Secret<Self> {
        Secret::new(URL_SAFE_NO_PAD.encode(hash("kept form: button", self.secret.expose())))
    }

    fn name(&self, names: &CookieNames) -> String {
        format!("{}{}", names.form_prefix(), self.id())
    }

    /// The cookie.
    pub(super) fn cookie(&self, names: &CookieNames, sealer: &Sealer, source: &dyn Entropy) -> SetCookie {
        let sealed = Sealed {
            k: self.key.to_text(),
            n: self.slot,
            s: self.secret.expose(),
            t: self.kept.millis(),
            o: self.owner.as_ref().map(ToString::to_string),
            p: &self.place,
        };
        let name = self.name(names);
        // Texts and numbers always have a JSON form; an empty one would not open, and so would deny.
        let plain = Zeroizing::new(serde_json::to_vec(&sealed).unwrap_or_default());
        let value = sealer.seal(&name, &plain, source);
        SetCookie::new(name, value, SameSite::Lax, names.secure()).lasting(FORM_LIFETIME)
    }

    /// Deletes the cookie.
    pub(super) fn deletion(&self, names: &CookieNames) -> SetCookie {
        SetCookie::deletion(self.name(names), SameSite::Lax, names.secure())
    }

    fn open(names: &CookieNames, name: &str, value: &str, sealer: &Sealer) -> Option<Self> {
        let plain = sealer.open(name, value).ok()?;
        let sealed: Sealed<'_> = serde_json::from_slice(&plain).ok()?;
        let receipt = Self {
            key: SessionKey::parse(&sealed.k)?,
            slot: sealed.n,
            secret: Secret::new(sealed.s),
            kept: Timestamp::from_millis(sealed.t),
            owner: match sealed.o {
                Some(text) => Some(Subject::parse(&text).ok()?),
                None => None,
            },
            place: sealed.p.to_owned(),
        };
        (receipt.name(names) == name).then_some(receipt)
    }

    /// The receipts that a browser shows and whose time is not over, the oldest first.
    pub(super) fn all(names: &CookieNames, jar: &CookieJar<'_>, sealer: &Sealer, now: Timestamp) -> Vec<Self> {
        let opened = jar.with_prefix(names.form_prefix()).take(MOST * 2);
        let opened = opened.filter_map(|(name, value)| Self::open(names, name, value, sealer));
        let mut live: Vec<_> = opened.filter(|receipt| !receipt.has_expired(now)).collect();
        live.sort_by_key(|receipt| receipt.kept);
        live
    }
}

fn hash(kind: &str, what: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, format!("{kind}\0{what}").as_bytes()).as_ref());
    hash
}

fn hash_of_place(place: &ReturnPath) -> String {
    let hash = hash("kept form: place", place.as_str());
    URL_SAFE_NO_PAD.encode(hash.get(..12).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{entropy::SystemEntropy, session::testing::active_session, web::Scheme};

    const NAMES: CookieNames = CookieNames::new(Scheme::Https);

    fn sealer() -> Sealer {
        Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap()
    }

    fn receipt(second: u64) -> Receipt {
        let place = ReturnPath::parse("/a?b=c").unwrap();
        let owner = Some(Subject::parse(&"x".repeat(60)).unwrap());
        let key = *active_session("anna", "").key();
        Receipt::new(key, 2, owner, &place, Timestamp::from_seconds(second), &SystemEntropy)
    }

    fn pair(cookie: &SetCookie) -> (String, String) {
        let line = cookie.header_value();
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    }

    fn read(header: &str, sealer: &Sealer, second: u64) -> Vec<Receipt> {
        Receipt::all(&NAMES, &CookieJar::parse([header.as_bytes()]), sealer, Timestamp::from_seconds(second))
    }

    #[test]
    fn a_receipt_comes_back_from_its_cookie_and_from_no_other() {
        let (sealer_, before, other) = (sealer(), receipt(1_000), receipt(1_000));
        let line = before.cookie(&NAMES, &sealer_, &SystemEntropy).header_value();
        assert!(line.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{line}");
        assert!(line.len() < 600, "{}", line.len());
        let (name, value) = pair(&before.cookie(&NAMES, &sealer_, &SystemEntropy));
        let header = format!("{name}={value}");
        let after = read(&header, &sealer_, 1_599).remove(0);
        assert_eq!((after.slot, after.kept, &after.owner, after.id()), (2, before.kept, &before.owner, before.id()));
        assert!(after.key == before.key && after.number() == before.number());
        assert!(after.token().matches(before.token().expose()) && !other.token().matches(before.token().expose()));
        for place in ["/a?b=c", "/a", "/a?b=d"] {
            assert_eq!(after.is_for(&ReturnPath::parse(place).unwrap()), place == "/a?b=c", "{place}");
        }
        assert_eq!(read(&header, &sealer_, 1_600).len(), 0, "too late");
        assert_eq!(read(&header, &sealer(), 1_000).len(), 0, "of another key");
        let (renamed, _) = pair(&other.cookie(&NAMES, &sealer_, &SystemEntropy));
        assert_eq!(read(&format!("{renamed}={value}"), &sealer_, 1_000).len(), 0, "under another name");
        assert_eq!(read(&format!("{name}={value}x"), &sealer_, 1_000).len(), 0, "changed");
    }

    #[test]
    fn nothing_that_is_shown_betrays_the_secret() {
        let receipt = receipt(1_000);
        let secret = receipt.secret.expose();
        let cookie = receipt.cookie(&NAMES, &sealer(), &SystemEntropy).header_value();
        for shown in [receipt.id(), receipt.token().expose().to_owned(), format!("{receipt:?}"), cookie] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }
}
