//! One sign-in under way, sealed into one cookie: nothing is kept for people who never come back.

use std::borrow::Cow;

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{CookieNames, LIFETIME, errand::Errand};
use crate::{
    apple::{CodeVerifier, Nonce, ResponseMode, State},
    clock::Timestamp,
    entropy::Entropy,
    identity::ScopeSet,
    secret::Secret,
    session::{Sealer, SessionKey},
    web::{CookieJar, Host, ReturnPath, SameSite, SetCookie},
};

/// Most sign-ins that one browser may have under way.
pub(super) const MOST: usize = 20;

/// Most bytes that their cookies may take together: the head of a request must stay far below its limit.
pub(super) const MOST_BYTES: usize = 12 * 1024;

/// What must be known when Apple sends the browser back.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) state: State,
    pub(super) nonce: Nonce,
    pub(super) verifier: Option<CodeVerifier>,
    pub(super) asked: ScopeSet,
    pub(super) return_to: ReturnPath,
    pub(super) began: Timestamp,
    /// The session that the browser had, live or not: the new one takes its place.
    pub(super) replaces: Option<SessionKey>,
    /// Who is to answer.
    pub(super) awaits: Awaits,
}

/// Whose answer a sign-in waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Awaits {
    /// Apple's, for this host.
    Apple,
    /// Apple's, for a browser that waits at another host.
    AppleFor(Errand),
    /// The home's: a ticket.
    Home,
}

/// The sealed form; short names, because it travels with every request for ten minutes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed<'a> {
    s: &'a str,
    n: &'a str,
    v: Option<&'a str>,
    q: String,
    /// Not a slice: JSON escapes the backslash, which a query may have.
    #[serde(borrow)]
    r: Cow<'a, str>,
    t: u64,
    k: Option<String>,
    w: SealedAwaits<'a>,
}

/// The sealed form of [`Awaits`].
#[derive(Serialize, Deserialize)]
enum SealedAwaits<'a> {
    A,
    F(&'a str, &'a str),
    H,
}

impl Transaction {
    /// A new one, with what was drawn for it.
    pub(super) fn begin(
        drawn: (State, Nonce, Option<CodeVerifier>),
        now: Timestamp,
        asked: ScopeSet,
        return_to: ReturnPath,
        replaces: Option<SessionKey>,
        awaits: Awaits,
    ) -> Self {
        let (state, nonce, verifier) = drawn;
        Self { state, nonce, verifier, asked, return_to, began: now, replaces, awaits }
    }

    /// Whether it has taken too long.
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        now.since(self.began) >= LIFETIME
    }

    /// The name of the cookie of a state. It follows from the state, so that the callback finds it, and
    /// does not betray it.
    pub(super) fn cookie_name(names: &CookieNames, state: &State) -> String {
        format!("{}{}", names.login_prefix(), Self::login(state))
    }

    /// What is particular in that name.
    pub(super) fn login(state: &State) -> String {
        let hash = digest::digest(&digest::SHA256, state.expose().as_bytes());
        URL_SAFE_NO_PAD.encode(hash.as_ref().get(..12).unwrap_or_default())
    }

    /// The cookie that carries this transaction.
    pub(super) fn cookie(
        &self,
        names: &CookieNames,
        mode: Option<ResponseMode>,
        sealer: &Sealer,
        source: &dyn Entropy,
    ) -> SetCookie {
        let sealed = Sealed {
            s: self.state.expose(),
            n: self.nonce.expose(),
            v: self.verifier.as_ref().map(Secret::expose),
            q: self.asked.to_string(),
            r: self.return_to.as_str().into(),
            t: self.began.millis(),
            k: self.replaces.as_ref().map(SessionKey::to_text),
            w: match &self.awaits {
                Awaits::Apple => SealedAwaits::A,
                Awaits::AppleFor(errand) => SealedAwaits::F(errand.host.name(), &errand.login),
                Awaits::Home => SealedAwaits::H,
            },
        };
        let name = Self::cookie_name(names, &self.state);
        // Texts and numbers always have a JSON form; an empty one would not open, and so would deny.
        let plain = Zeroizing::new(serde_json::to_vec(&sealed).unwrap_or_default());
        let value = sealer.seal(&name, &plain, source);
        SetCookie::new(name, value, same_site(mode), names.secure()).lasting(LIFETIME)
    }

    /// Opens a cookie; `None` when it is not ours, or was changed, or belongs to another name.
    pub(super) fn open(name: &str, value: &str, sealer: &Sealer) -> Option<Self> {
        let plain = sealer.open(name, value).ok()?;
        let sealed: Sealed<'_> = serde_json::from_slice(&plain).ok()?;
        Some(Self {
            state: Secret::new(sealed.s),
            nonce: Secret::new(sealed.n),
            verifier: sealed.v.map(Secret::new),
            asked: ScopeSet::parse(&sealed.q).ok()?,
            return_to: ReturnPath::parse(&sealed.r)?,
            began: Timestamp::from_millis(sealed.t),
            replaces: match sealed.k {
                Some(text) => Some(SessionKey::parse(&text)?),
                None => None,
            },
            awaits: match sealed.w {
                SealedAwaits::A => Awaits::Apple,
                SealedAwaits::F(host, login) => {
                    Awaits::AppleFor(Errand { host: Host::parse(host).ok()?, login: login.to_owned() })
                }
                SealedAwaits::H => Awaits::Home,
            },
        })
    }

    /// The transaction of a state of Apple's in this browser: the binding of the answer to the one who asked.
    pub(super) fn find(names: &CookieNames, jar: &CookieJar<'_>, state: &State, sealer: &Sealer) -> Option<Self> {
        let found = Self::only(&Self::cookie_name(names, state), jar, sealer);
        found.filter(|transaction| transaction.state.matches(state.expose()) && transaction.awaits != Awaits::Home)
    }

    /// The transaction in this browser that waits for a ticket.
    pub(super) fn waiting(names: &CookieNames, jar: &CookieJar<'_>, login: &str, sealer: &Sealer) -> Option<Self> {
        let found = Self::only(&format!("{}{login}", names.login_prefix()), jar, sealer);
        found.filter(|transaction| transaction.awaits == Awaits::Home)
    }

    /// The one cookie of a name. Of two, one was planted.
    fn only(name: &str, jar: &CookieJar<'_>, sealer: &Sealer) -> Option<Self> {
        let mut values = jar.values(name);
        let found = values.next().and_then(|value| Self::open(name, value, sealer));
        found.filter(|_| values.next().is_none())
    }
}

/// Deletes the cookie of a state.
pub(super) fn deletion(names: &CookieNames, name: &str, mode: Option<ResponseMode>) -> SetCookie {
    SetCookie::deletion(name, same_site(mode), names.secure())
}

/// A form post comes from Apple's site, and brings no `Lax` cookie.
fn same_site(mode: Option<ResponseMode>) -> SameSite {
    match mode {
        Some(ResponseMode::FormPost) => SameSite::None,
        Some(ResponseMode::Query) | None => SameSite::Lax,
    }
}

/// Names of the sign-in cookies that must go, so that one more fits: the unreadable, the expired, and
/// the oldest beyond [`MOST`] and [`MOST_BYTES`].
pub(super) fn to_drop(
    names: &CookieNames,
    jar: &CookieJar<'_>,
    sealer: &Sealer,
    now: Timestamp,
    new: usize,
) -> Vec<String> {
    let mut drop = Vec::new();
    let mut live = Vec::new();
    for (name, value) in jar.with_prefix(names.login_prefix()) {
        match Transaction::open(name, value, sealer).filter(|transaction| !transaction.has_expired(now)) {
            Some(transaction) => live.push((transaction.began, name, name.len() + value.len() + 3)),
            None => drop.push(name.to_owned()),
        }
    }
    live.sort_by_key(|(began, ..)| std::cmp::Reverse(*began));
    let mut bytes = new;
    for (kept, (_, name, size)) in live.into_iter().enumerate() {
        bytes += size;
        if kept + 1 >= MOST || bytes > MOST_BYTES {
            drop.push(name.to_owned());
        }
    }
    drop
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        entropy::{self, SystemEntropy},
        session::testing::active_session,
        web::Scheme,
    };
    use std::time::Duration;

    const NAMES: CookieNames = CookieNames::new(Scheme::Https);

    fn sealer() -> Sealer {
        Sealer::from_key_file(&Sealer::new_key(&SystemEntropy)).unwrap()
    }

    fn transaction(second: u64) -> Transaction {
        let session = active_session("anna", "");
        let asked = ScopeSet::parse("edu.users.read").unwrap();
        let return_to = ReturnPath::parse("/a?b=c").unwrap();
        let text = || entropy::text::<32>(&SystemEntropy);
        let drawn = (Secret::new(text()), Secret::new(text()), Some(Secret::new(text())));
        Transaction::begin(
            drawn,
            Timestamp::from_seconds(second),
            asked,
            return_to,
            Some(*session.key()),
            Awaits::Apple,
        )
    }

    fn pair(cookie: &SetCookie) -> (String, String) {
        let line = cookie.header_value();
        let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_transaction_comes_back_from_its_cookie() {
        let sealer = sealer();
        let before = transaction(1_000);
        let (name, value) = pair(&before.cookie(&NAMES, None, &sealer, &SystemEntropy));
        let header = format!("{name}={value}");
        let after = Transaction::find(&NAMES, &CookieJar::parse([header.as_bytes()]), &before.state, &sealer).unwrap();
        assert!(after.nonce.matches(before.nonce.expose()));
        assert!(after.verifier.unwrap().matches(before.verifier.unwrap().expose()));
        assert!(after.replaces == before.replaces);
        assert_eq!((after.asked, after.return_to, after.began), (before.asked, before.return_to, before.began));
        assert!(value.len() < 500, "{}", value.len());
        assert!(!header.contains(before.state.expose()));
    }

    #[test]
    fn the_cookie_of_another_state_browser_or_key_is_not_found() {
        let (sealer_, one, two) = (sealer(), transaction(1), transaction(1));
        let (name, value) = pair(&one.cookie(&NAMES, None, &sealer_, &SystemEntropy));
        let header = format!("{name}={value}");
        let jar = CookieJar::parse([header.as_bytes()]);
        assert!(Transaction::find(&NAMES, &jar, &two.state, &sealer_).is_none());
        assert!(Transaction::find(&NAMES, &jar, &one.state, &sealer()).is_none());
        assert!(Transaction::find(&NAMES, &CookieJar::default(), &one.state, &sealer_).is_none());
        let renamed = format!("{}={value}", Transaction::cookie_name(&NAMES, &two.state));
        assert!(Transaction::find(&NAMES, &CookieJar::parse([renamed.as_bytes()]), &two.state, &sealer_).is_none());
        let twice = format!("{header}; {name}=planted");
        assert!(Transaction::find(&NAMES, &CookieJar::parse([twice.as_bytes()]), &one.state, &sealer_).is_none());
    }

    #[test]
    fn who_waits_for_apple_takes_no_ticket_and_the_other_way_round() {
        let sealer = sealer();
        let errand = Errand { host: Host::parse("grades.school.example").unwrap(), login: "abc".into() };
        for awaits in [Awaits::Apple, Awaits::AppleFor(errand), Awaits::Home] {
            let before = Transaction { awaits: awaits.clone(), ..transaction(1_000) };
            let (name, value) = pair(&before.cookie(&NAMES, None, &sealer, &SystemEntropy));
            let header = format!("{name}={value}");
            let jar = CookieJar::parse([header.as_bytes()]);
            let at_apple = Transaction::find(&NAMES, &jar, &before.state, &sealer);
            let at_home = Transaction::waiting(&NAMES, &jar, &Transaction::login(&before.state), &sealer);
            assert_eq!(at_apple.is_some(), awaits != Awaits::Home);
            assert_eq!(at_home.is_some(), awaits == Awaits::Home);
            assert_eq!(at_apple.or(at_home).unwrap().awaits, awaits);
        }
    }

    #[test]
    fn a_form_post_needs_a_cookie_that_crosses_sites_and_nothing_else_does() {
        let sealer = sealer();
        let line = |mode| transaction(1).cookie(&NAMES, mode, &sealer, &SystemEntropy).header_value();
        assert!(line(Some(ResponseMode::FormPost)).contains("SameSite=None; Secure"));
        for mode in [None, Some(ResponseMode::Query)] {
            assert!(line(mode).ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{}", line(mode));
        }
    }

    #[test]
    fn the_oldest_sign_ins_make_room_and_the_unreadable_go_first() {
        let sealer = sealer();
        let mut header = String::from("__Host-schoolgate-login-odd=rubbish");
        let names: Vec<_> = (0..25)
            .map(|second| {
                let (name, value) = pair(&transaction(1_000 + second).cookie(&NAMES, None, &sealer, &SystemEntropy));
                header.push_str(&format!("; {name}={value}"));
                name
            })
            .collect();
        let now = Timestamp::from_seconds(1_025);
        let dropped = to_drop(&NAMES, &CookieJar::parse([header.as_bytes()]), &sealer, now, 400);
        assert_eq!(dropped.len(), 1 + 6, "19 stay beside the new one");
        assert_eq!(dropped[0], "__Host-schoolgate-login-odd");
        assert!(names[..6].iter().all(|name| dropped.contains(name)));
        let later = now.plus(Duration::from_secs(600));
        assert_eq!(to_drop(&NAMES, &CookieJar::parse([header.as_bytes()]), &sealer, later, 400).len(), 26);
    }
}
