//! What one host asks of another, in sealed messages that a browser carries: a wish on the way to the home, and a
//! ticket on the way back.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::LIFETIME;
use crate::{
    clock::Timestamp,
    entropy::Entropy,
    identity::ScopeSet,
    session::{Sealer, SessionId, SessionKey},
    web::{Host, ReturnPath},
};

/// How long a ticket is good.
const TICKET_LIFETIME: Duration = Duration::from_secs(60);

/// For whom a session is wanted: a browser that waits at a host. `login` names the sign-in cookie that it has there,
/// and nothing else opens the door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Errand {
    pub(super) host: Host,
    pub(super) login: String,
}

/// What the other host asks of the home.
#[derive(Debug)]
pub struct Wish {
    pub(super) errand: Errand,
    pub(super) wanted: ScopeSet,
    pub(super) return_to: ReturnPath,
    /// Whether Apple is to be asked even if the home knows who it is.
    pub(super) anew: bool,
    began: Timestamp,
    /// The session that the browser had there.
    pub(super) had: Option<SessionKey>,
}

/// The sealed form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedWish<'a> {
    h: &'a str,
    l: &'a str,
    q: String,
    /// Not a slice: JSON escapes the backslash, which a query may have.
    #[serde(borrow)]
    r: Cow<'a, str>,
    a: bool,
    t: u64,
    k: Option<String>,
}

/// What wishes and tickets are sealed for: one is never taken for the other.
const WISH: &str = "wish";
const TICKET: &str = "ticket";

impl Wish {
    pub(super) fn new(
        errand: Errand,
        wanted: ScopeSet,
        return_to: ReturnPath,
        anew: bool,
        now: Timestamp,
        had: Option<SessionKey>,
    ) -> Self {
        Self { errand, wanted, return_to, anew, began: now, had }
    }

    /// The host that asks.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.errand.host
    }

    /// Whether it has taken too long.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.began) >= LIFETIME
    }

    pub(super) fn seal(&self, sealer: &Sealer, source: &dyn Entropy) -> String {
        let sealed = SealedWish {
            h: self.errand.host.name(),
            l: &self.errand.login,
            q: self.wanted.to_string(),
            r: self.return_to.as_str().into(),
            a: self.anew,
            t: self.began.millis(),
            k: self.had.as_ref().map(SessionKey::to_text),
        };
        // Texts and numbers always have a JSON form; an empty one would not open, and so would deny.
        sealer.seal(WISH, &serde_json::to_vec(&sealed).unwrap_or_default(), source)
    }

    pub(super) fn open(text: &str, sealer: &Sealer) -> Option<Self> {
        let plain = sealer.open(WISH, text).ok()?;
        let sealed: SealedWish<'_> = serde_json::from_slice(&plain).ok()?;
        Some(Self {
            errand: Errand { host: Host::parse(sealed.h).ok()?, login: sealed.l.to_owned() },
            wanted: ScopeSet::parse(&sealed.q).ok()?,
            return_to: ReturnPath::parse(&sealed.r)?,
            anew: sealed.a,
            began: Timestamp::from_millis(sealed.t),
            had: match sealed.k {
                Some(text) => Some(SessionKey::parse(&text)?),
                None => None,
            },
        })
    }
}

/// What the home gives: good once, for a minute, at one host, in one browser.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) errand: Errand,
    pub(super) id: SessionId,
    minted: Timestamp,
}

/// The sealed form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealedTicket<'a> {
    h: &'a str,
    l: &'a str,
    i: &'a str,
    t: u64,
}

impl Ticket {
    pub(super) fn mint(errand: Errand, id: SessionId, now: Timestamp) -> Self {
        Self { errand, id, minted: now }
    }

    /// Whether it has taken too long.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.minted) >= TICKET_LIFETIME
    }

    pub(super) fn seal(&self, sealer: &Sealer, source: &dyn Entropy) -> String {
        let (h, l, i) = (self.errand.host.name(), &*self.errand.login, self.id.expose());
        let sealed = SealedTicket { h, l, i, t: self.minted.millis() };
        let plain = Zeroizing::new(serde_json::to_vec(&sealed).unwrap_or_default());
        sealer.seal(TICKET, &plain, source)
    }

    pub(super) fn open(text: &str, sealer: &Sealer) -> Option<Self> {
        let plain = sealer.open(TICKET, text).ok()?;
        let sealed: SealedTicket<'_> = serde_json::from_slice(&plain).ok()?;
        Some(Self {
            errand: Errand { host: Host::parse(sealed.h).ok()?, login: sealed.l.to_owned() },
            id: SessionId::parse(sealed.i)?,
            minted: Timestamp::from_millis(sealed.t),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SystemEntropy;

    fn errand() -> Errand {
        Errand { host: Host::parse("grades.school.example").unwrap(), login: "abc".into() }
    }

    #[test]
    fn a_wish_and_a_ticket_come_back_as_they_went() {
        let sealer = Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap();
        let now = Timestamp::from_seconds(1_000);
        let path = ReturnPath::parse(r"/a?b=\c").unwrap();
        let had = Some(SessionId::draw(&SystemEntropy).key());
        let wish = Wish::new(errand(), ScopeSet::parse("edu.users.read").unwrap(), path.clone(), true, now, had);
        let sealed = wish.seal(&sealer, &SystemEntropy);
        let back = Wish::open(&sealed, &sealer).unwrap();
        assert_eq!((back.errand, back.wanted, back.return_to, back.anew), (errand(), wish.wanted, path, true));
        assert!(back.had == had && back.began == now);
        let ticket = Ticket::mint(errand(), SessionId::draw(&SystemEntropy), now);
        let text = ticket.seal(&sealer, &SystemEntropy);
        let back = Ticket::open(&text, &sealer).unwrap();
        assert_eq!((back.errand, back.id.expose(), back.minted), (errand(), ticket.id.expose(), now));
        assert!(!text.contains(ticket.id.expose()));
        assert!(Ticket::open(&sealed, &sealer).is_none() && Wish::open(&text, &sealer).is_none(), "one for the other");
        let other = Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap();
        assert!(Ticket::open(&text, &other).is_none() && Wish::open(&sealed, &other).is_none());
    }

    #[test]
    fn a_wish_is_good_for_ten_minutes_and_a_ticket_for_one() {
        let began = Timestamp::from_seconds(1_000);
        let wish = Wish::new(errand(), ScopeSet::new(), ReturnPath::root(), false, began, None);
        let ticket = Ticket::mint(errand(), SessionId::draw(&SystemEntropy), began);
        let at = |seconds: u64| Timestamp::from_seconds(1_000 + seconds);
        assert!(!wish.has_expired(at(599)) && wish.has_expired(at(600)));
        assert!(!ticket.has_expired(at(59)) && ticket.has_expired(at(60)));
    }
}
