//! People at browsers who remember what the gateway has answered, while it is killed and started again. What
//! was answered must be so ever after; what was not, they find out.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    ops::AddAssign,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep, sleep_until};

use super::{
    Answer, Browser, HOST, Request, Site,
    dice::Dice,
    http::{Unanswered, query},
    world::{at, at_apple},
};

/// The cookie of a session.
const COOKIE: &str = "__Host-schoolgate";

/// Those who sign in; at the stand-in of a test they may all agree to anything.
const PEOPLE: &[&str] = &["administrator", "site-manager", "teacher-1", "teacher-2", "staff", "pupil-7", "pupil-12"];

/// What the guests of one gateway, or of several with one store, share.
pub struct Town {
    pub site: Site,
    doors: Mutex<Vec<SocketAddr>>,
    is_store_shaky: AtomicBool,
    news_take: Duration,
}

impl Town {
    /// `news_take`: how long a session that was ended at one gateway may go on at another.
    pub fn new(site: Site, news_take: Duration) -> Arc<Self> {
        Arc::new(Self { site, doors: Mutex::default(), is_store_shaky: AtomicBool::new(false), news_take })
    }

    /// A gateway listens there.
    pub fn opened(&self, door: SocketAddr) {
        self.doors.lock().unwrap().push(door);
    }

    /// It does not any more.
    pub fn closed(&self, door: SocketAddr) {
        self.doors.lock().unwrap().retain(|open| *open != door);
    }

    /// Whether the store may be away at this moment: then 503 is an answer, and it says nothing.
    pub fn store_is_shaky(&self, shaky: bool) {
        self.is_store_shaky.store(shaky, Ordering::SeqCst);
    }

    fn doors(&self) -> Vec<SocketAddr> {
        self.doors.lock().unwrap().clone()
    }
}

/// How often what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub sign_ins: usize,
    pub step_ups: usize,
    pub sign_outs: usize,
    pub pages: usize,
    /// Other access tokens than before that the app saw in a session.
    pub refreshes: usize,
    /// Requests that a kill or an absent store left without an answer.
    pub lost: usize,
    /// Sessions of which nobody knew any more, and which were gone.
    pub gone: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.sign_ins += other.sign_ins;
        self.step_ups += other.step_ups;
        self.sign_outs += other.sign_outs;
        self.pages += other.pages;
        self.refreshes += other.refreshes;
        self.lost += other.lost;
        self.gone += other.gone;
    }
}

/// A session as its browser knows it.
#[derive(Clone, Debug)]
struct Known {
    person: &'static str,
    subject: String,
    cookie: String,
    /// The code that it began with: names the authorization at Apple.
    code: String,
    /// Its public name, once asked for.
    handle: Option<String>,
    may_see_classes: bool,
    tokens: Tokens,
}

/// The access tokens of a session that the app has seen.
#[derive(Clone, Debug, Default)]
struct Tokens {
    older: BTreeSet<String>,
    newest: BTreeSet<String>,
}

/// What may have become of a session while nobody heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doubt {
    /// Apple may have given a new refresh token that nobody has. `kept`: that is not so, for the app saw the
    /// request, or the gateway is alive to keep it.
    Page { kept: bool },
    /// It may have been signed out; then its tokens are revoked.
    SignOut,
    /// Another may have taken its place; another person's tokens are revoked then.
    Replaced { by_same: bool },
    /// More than one of these.
    Anything,
}

impl Doubt {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Page { kept }, Self::Page { kept: other }) => Self::Page { kept: kept && other },
            (one, Self::Page { kept: true }) => one,
            _ => Self::Anything,
        }
    }
}

fn doubt_of_a_page(unanswered: Unanswered) -> Doubt {
    Doubt::Page { kept: unanswered == Unanswered::Unavailable }
}

enum State {
    SignedOut,
    SignedIn(Known),
    /// Since when.
    Unknown(Known, Doubt, Instant),
}

/// A cookie that must open nothing.
struct Dead {
    cookie: String,
    since: Instant,
    how: &'static str,
}

/// One browser, and what was answered to it.
pub struct Guest {
    pub tally: Tally,
    name: String,
    town: Arc<Town>,
    dice: Dice,
    browser: Browser,
    state: State,
    dead: Vec<Dead>,
    /// Codes of authorizations that must be revoked in the end.
    to_be_revoked: Vec<String>,
    /// The way back from Apple that was not answered.
    callback: Option<(String, &'static str)>,
    /// Targets of pages of which it is not known yet whether the app saw them.
    unsettled: Vec<String>,
}

impl Guest {
    pub fn new(name: String, town: Arc<Town>, dice: Dice) -> Self {
        let browser = Browser::new(SocketAddr::from(([127, 0, 0, 1], 1)));
        Self {
            tally: Tally::default(),
            name,
            town,
            dice,
            browser,
            state: State::SignedOut,
            dead: Vec::new(),
            to_be_revoked: Vec::new(),
            callback: None,
            unsettled: Vec::new(),
        }
    }

    /// Does one thing or another.
    ///
    /// # Errors
    /// When it was not answered.
    pub async fn act(&mut self) -> Result<(), Unanswered> {
        match (&self.state, self.dice.below(24)) {
            (State::Unknown(..), _) => self.find_out().await,
            (State::SignedOut, _) => match self.callback.take() {
                Some(callback) => self.come_back_again(callback).await,
                None => self.sign_in().await,
            },
            (State::SignedIn(_), 0 | 1) => self.sign_out().await,
            (State::SignedIn(_), 2) => self.sign_in_over_it().await,
            (State::SignedIn(_), 3 | 4) => self.see_classes().await,
            (State::SignedIn(_), 5..=7) => self.look_around().await,
            (State::SignedIn(_), _) => self.look().await,
        }
    }

    /// Whether everything that was answered is so. Of the cookies that must open nothing it tries so many, and
    /// the latest in any case.
    ///
    /// # Errors
    /// When somebody does not answer.
    pub async fn verify(&mut self, cookies: usize) -> Result<(), Unanswered> {
        if matches!(self.state, State::Unknown(..)) {
            self.find_out().await?;
        }
        if let State::SignedIn(_) = self.state {
            self.look().await?;
            self.ask_who_i_am().await?;
        } else {
            let answer = self.fetch(&self.target("nobody")).await?;
            assert_eq!(answer.status, 401, "{self}: who is signed out is nobody");
        }
        for back in 1..=cookies.min(self.dead.len()) {
            let latest = self.dead.len() - back;
            let index = if back <= 2 { latest } else { self.dice.below(self.dead.len() as u64) as usize };
            self.is_dead(index).await?;
        }
        Ok(())
    }

    /// Tries every cookie that must open nothing.
    ///
    /// # Errors
    /// When somebody does not answer.
    pub async fn verify_all(&mut self) -> Result<(), Unanswered> {
        for index in 0..self.dead.len() {
            self.is_dead(index).await?;
        }
        self.verify(0).await
    }

    /// How many authorizations still stand at Apple that must not.
    pub fn still_authorized(&self) -> usize {
        self.to_be_revoked.iter().filter(|code| self.town.site.apple.stands(code)).count()
    }

    /// How many must not stand, all in all.
    pub fn to_be_revoked(&self) -> usize {
        self.to_be_revoked.len()
    }

    /// Signs in at the first page asked for.
    async fn sign_in(&mut self) -> Result<(), Unanswered> {
        let begun = self.open(&self.target("start")).await?;
        assert_eq!(begun.status, 302, "{self}: {}", begun.text());
        let person = *self.dice.one_of(PEOPLE);
        self.through_apple(&begun, person, false).await
    }

    /// Signs in while somebody is signed in, who may be somebody else.
    async fn sign_in_over_it(&mut self) -> Result<(), Unanswered> {
        let begun = self.open("/.schoolgate/sign-in?return_to=/start").await?;
        assert_eq!(begun.status, 302, "{self}: {}", begun.text());
        let person = *self.dice.one_of(PEOPLE);
        self.through_apple(&begun, person, false).await
    }

    /// Opens a page that needs another permission.
    async fn see_classes(&mut self) -> Result<(), Unanswered> {
        let State::SignedIn(known) = &self.state else { panic!("{self}") };
        let (person, may) = (known.person, known.may_see_classes);
        let target = self.target("classes");
        if may {
            return self.look_at(target).await;
        }
        let begun = self.open(&target).await?;
        assert_eq!(begun.status, 302, "{self}: {}", begun.text());
        self.tally.step_ups += 1;
        self.through_apple(&begun, person, true).await
    }

    /// The way to Apple and back.
    async fn through_apple(&mut self, begun: &Answer, person: &'static str, classes: bool) -> Result<(), Unanswered> {
        let callback = at_apple(begun.location(), person).await;
        let path = callback.strip_prefix(&at("")).unwrap().to_owned();
        let answer = match self.open(&path).await {
            Ok(answer) => answer,
            Err(unanswered) => {
                let before = self.known().map(|known| known.person);
                match before {
                    Some(before) => self.doubt(unanswered, Doubt::Replaced { by_same: before == person }),
                    None => self.callback = Some((path, person)),
                }
                return Err(unanswered);
            }
        };
        assert_eq!(answer.status, 303, "{self}: {}", answer.text());
        self.signed_in(&path, person, classes);
        Ok(())
    }

    /// Brings Apple's answer once more, as one does by reloading the page.
    async fn come_back_again(&mut self, (path, person): (String, &'static str)) -> Result<(), Unanswered> {
        let answer = self.open(&path).await?;
        if answer.status == 303 {
            self.signed_in(&path, person, false);
        } else {
            assert!((400..500).contains(&answer.status), "{self}: {answer:?}");
            assert_eq!(self.browser.cookie(HOST, COOKIE), None, "{self}");
        }
        Ok(())
    }

    fn signed_in(&mut self, callback: &str, person: &'static str, classes: bool) {
        self.tally.sign_ins += 1;
        self.settle();
        let cookie = self.browser.cookie(HOST, COOKIE).unwrap();
        let before = std::mem::replace(&mut self.state, State::SignedOut);
        let mut may_see_classes = classes;
        if let State::SignedIn(before) = before {
            // What the session had is asked for again, whoever signs in now.
            may_see_classes |= before.may_see_classes;
            assert_ne!(before.cookie, cookie, "{self}: a new identifier each time");
            self.bury(&before, if before.person == person { "renewed" } else { "replaced" });
            if before.person != person {
                self.to_be_revoked.push(before.code);
            }
        }
        let subject = self.town.site.apple.person(person).unwrap().subject.clone();
        let code = query(&at(callback), "code").unwrap();
        let (handle, tokens) = (None, Tokens::default());
        self.state = State::SignedIn(Known { person, subject, cookie, code, handle, may_see_classes, tokens });
    }

    async fn sign_out(&mut self) -> Result<(), Unanswered> {
        let path = *self.dice.one_of(&["/.schoolgate/sign-out", "/.schoolgate/sign-out?return_to=/public/bye"]);
        let answer = match self.open(path).await {
            Ok(answer) => answer,
            Err(unanswered) => {
                self.doubt(unanswered, Doubt::SignOut);
                return Err(unanswered);
            }
        };
        assert_eq!(answer.status, if path.contains("return_to") { 303 } else { 200 }, "{self}: {}", answer.text());
        assert_eq!(self.browser.cookie(HOST, COOKIE), None, "{self}");
        self.tally.sign_outs += 1;
        self.settle();
        if let State::SignedIn(known) = std::mem::replace(&mut self.state, State::SignedOut) {
            self.bury(&known, "signed out");
            self.to_be_revoked.push(known.code);
        }
        Ok(())
    }

    /// Opens a page.
    async fn look(&mut self) -> Result<(), Unanswered> {
        self.look_at(self.target("page")).await
    }

    async fn look_at(&mut self, target: String) -> Result<(), Unanswered> {
        self.unsettled.push(target.clone());
        match self.fetch(&target).await {
            Ok(answer) => {
                assert_eq!(answer.status, 200, "{self}: who is signed in is let in: {}", answer.text());
                self.settle();
                Ok(())
            }
            Err(unanswered) => {
                self.doubt(unanswered, doubt_of_a_page(unanswered));
                Err(unanswered)
            }
        }
    }

    /// Opens several pages at once.
    async fn look_around(&mut self) -> Result<(), Unanswered> {
        let mut visits = Vec::new();
        for _ in 0..3 {
            let target = self.target("page");
            self.unsettled.push(target.clone());
            let mut browser = self.at_a_door();
            visits.push(tokio::spawn(async move { browser.try_fetch(&at(&target)).await }));
        }
        let mut answers = Vec::new();
        let mut outcome = Ok(());
        for visit in visits {
            match self.answered(visit.await.unwrap()) {
                Ok(answer) => answers.push(answer),
                Err(unanswered) => {
                    self.doubt(unanswered, doubt_of_a_page(unanswered));
                    outcome = Err(unanswered);
                }
            }
        }
        for answer in answers {
            // What one of them has lost, the others may know already.
            let is_known = answer.status == 200 || answer.status == 401 && outcome.is_err();
            assert!(is_known, "{self}: {} {}", answer.status, answer.text());
        }
        if outcome.is_ok() {
            self.settle();
        }
        outcome
    }

    async fn ask_who_i_am(&mut self) -> Result<(), Unanswered> {
        let answer = self.fetch("/.schoolgate/me").await?;
        assert_eq!(answer.status, 200, "{self}: {}", answer.text());
        let told = answer.json();
        let State::SignedIn(known) = &mut self.state else { panic!("{self}") };
        assert_eq!(told["sub"], *known.subject, "{}", self.name);
        let handle = told["session_id"].as_str().unwrap();
        assert_eq!(known.handle.get_or_insert_with(|| handle.to_owned()), handle, "{}: another session", self.name);
        Ok(())
    }

    /// Finds out whether one is still signed in.
    async fn find_out(&mut self) -> Result<(), Unanswered> {
        let State::Unknown(_, doubt, since) = &self.state else { panic!("{self}") };
        if !matches!(doubt, Doubt::Page { .. }) {
            // Another gateway may not have heard yet what was done and not answered.
            sleep_until(*since + self.town.news_take).await;
        }
        self.settle();
        let target = self.target("page");
        self.unsettled.push(target.clone());
        let answer = match self.fetch(&target).await {
            Ok(answer) => answer,
            Err(unanswered) => {
                self.doubt(unanswered, doubt_of_a_page(unanswered));
                return Err(unanswered);
            }
        };
        let State::Unknown(known, doubt, _) = std::mem::replace(&mut self.state, State::SignedOut) else {
            panic!("{self}")
        };
        if answer.status == 200 {
            self.state = State::SignedIn(known);
            self.settle();
            return Ok(());
        }
        assert_eq!(answer.status, 401, "{self}: {}", answer.text());
        assert_ne!(doubt, Doubt::Page { kept: true }, "{self}: a session is gone that nobody has ended");
        self.tally.gone += 1;
        self.unsettled.clear();
        self.bury(&known, "gone");
        self.browser.forget();
        if matches!(doubt, Doubt::SignOut | Doubt::Replaced { by_same: false }) {
            self.to_be_revoked.push(known.code);
        }
        Ok(())
    }

    fn bury(&mut self, known: &Known, how: &'static str) {
        self.dead.push(Dead { cookie: known.cookie.clone(), since: Instant::now(), how });
    }

    async fn is_dead(&mut self, index: usize) -> Result<(), Unanswered> {
        let Dead { ref cookie, since, how } = self.dead[index];
        sleep_until(since + self.town.news_take).await;
        let request = Request::get(&self.target("ghost")).header("Host", HOST);
        let request = request.header("Cookie", &format!("{COOKIE}={cookie}"));
        let door = *self.dice.one_of(&self.town.doors());
        let answer = self.answered(request.try_send(door).await)?;
        assert_eq!(answer.status, 401, "{self}: a session that was {how} lives");
        Ok(())
    }

    /// Looks what the app has seen of this session.
    fn settle(&mut self) {
        if self.unsettled.is_empty() {
            return;
        }
        let seen: Vec<_> = self.unsettled.drain(..).map(|target| self.town.site.echo.seen_at(&target)).collect();
        let all = seen.iter().all(Option::is_some);
        let (State::SignedIn(known) | State::Unknown(known, ..)) = &mut self.state else { panic!("{}", self.name) };
        let mut tokens = BTreeSet::new();
        for seen in seen.into_iter().flatten() {
            assert_eq!(seen.header("x-forwarded-user"), Some(&*known.subject), "{}", self.name);
            tokens.insert(seen.header("x-forwarded-access-token").unwrap().to_owned());
        }
        let older = tokens.intersection(&known.tokens.older).next();
        assert_eq!(older, None, "{}: the app gets a token that was replaced before", self.name);
        if tokens.iter().any(|token| !known.tokens.newest.contains(token)) {
            self.tally.refreshes += usize::from(!known.tokens.newest.is_empty());
            let newest = std::mem::replace(&mut known.tokens.newest, tokens);
            let newest = newest.into_iter().filter(|token| !known.tokens.newest.contains(token));
            known.tokens.older.extend(newest);
        }
        if let State::Unknown(_, Doubt::Page { kept }, _) = &mut self.state {
            *kept |= all;
        }
    }

    fn known(&self) -> Option<&Known> {
        match &self.state {
            State::SignedOut => None,
            State::SignedIn(known) | State::Unknown(known, ..) => Some(known),
        }
    }

    fn doubt(&mut self, unanswered: Unanswered, new: Doubt) {
        if unanswered == Unanswered::NotSent {
            return;
        }
        self.state = match std::mem::replace(&mut self.state, State::SignedOut) {
            State::SignedOut => State::SignedOut,
            State::SignedIn(known) => State::Unknown(known, new, Instant::now()),
            State::Unknown(known, old, since) => State::Unknown(known, old.and(new), since),
        };
    }

    /// A path that nobody asks for but this guest, and only now.
    fn target(&self, page: &str) -> String {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        format!("/{page}/{}", NEXT.fetch_add(1, Ordering::Relaxed))
    }

    fn at_a_door(&mut self) -> Browser {
        let doors = self.town.doors();
        if !doors.is_empty() {
            self.browser.move_to(*self.dice.one_of(&doors));
        }
        self.browser.clone()
    }

    async fn open(&mut self, path: &str) -> Result<Answer, Unanswered> {
        self.at_a_door();
        let answer = self.browser.try_open(&at(path)).await;
        self.answered(answer)
    }

    async fn fetch(&mut self, path: &str) -> Result<Answer, Unanswered> {
        self.at_a_door();
        let answer = self.browser.try_fetch(&at(path)).await;
        self.answered(answer)
    }

    fn answered(&mut self, answer: Result<Answer, Unanswered>) -> Result<Answer, Unanswered> {
        self.tally.pages += 1;
        if let Ok(answer) = &answer
            && answer.status == 503
            && self.town.is_store_shaky.load(Ordering::SeqCst)
        {
            assert!(answer.header("retry-after").is_some(), "{self}: {answer:?}");
            self.tally.lost += 1;
            return Err(Unanswered::Unavailable);
        }
        self.tally.lost += usize::from(matches!(answer, Err(Unanswered::Lost)));
        answer
    }

    /// Does things until nobody answers.
    pub async fn until_killed(mut self) -> Self {
        while self.act().await.is_ok() {}
        self
    }

    /// Does things until told to stop, at whatever door is open.
    pub async fn until_told(mut self, stop: Arc<AtomicBool>) -> Self {
        while !stop.load(Ordering::SeqCst) {
            let done = if self.dice.once_in(50) { self.verify(3).await } else { self.act().await };
            if done.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        }
        self
    }
}

impl std::fmt::Display for Guest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (state, known) = match &self.state {
            State::SignedOut => ("signed out".to_owned(), None),
            State::SignedIn(known) => ("signed in".to_owned(), Some(known)),
            State::Unknown(known, doubt, _) => (format!("unknown ({doubt:?})"), Some(known)),
        };
        write!(f, "{}, {state}", self.name)?;
        if let Some(known) = known {
            write!(f, " as {}, session {:?}", known.person, known.handle)?;
        }
        Ok(())
    }
}
