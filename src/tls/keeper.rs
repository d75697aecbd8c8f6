//! Keeps the certificates in use the same as the files: renewed ones are taken, broken ones never.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{Age, Certificates, Kept, Pair, PairError, files::Mark};
use crate::clock::{SharedClock, Timestamp};

/// Between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Between two warnings about a certificate that ends.
const WARN_EVERY: Duration = Duration::from_secs(86_400);

/// Looks after the files of the certificates.
#[derive(Debug)]
pub struct Keeper {
    certificates: Arc<Certificates>,
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    watched: Vec<Watched>,
    /// What an authority gave us.
    ordered: Option<Kept>,
    warned: Option<Timestamp>,
}

#[derive(Debug)]
struct Watched {
    kept: Kept,
    trouble: Trouble,
}

/// What the files hold instead of a pair. A renewal writes one file after the other: what is broken at one look only
/// is not worth a word.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Noticed(Broken),
    Told(Broken),
}

/// Broken content, by its mark, or by the reason when it could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Broken {
    Content(Mark),
    Unreadable(String),
}

impl Keeper {
    /// Keeps these, in this order.
    #[must_use]
    pub fn new(kept: Vec<Kept>, clock: SharedClock) -> Arc<Self> {
        let certificates = Arc::new(Certificates::new(Vec::new()));
        let keeper =
            Self { certificates, clock, state: Mutex::new(State { watched: Vec::new(), ordered: None, warned: None }) };
        keeper.replace(kept);
        Arc::new(keeper)
    }

    /// The certificates that are in use.
    #[must_use]
    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// Keeps others from now on: those that a new configuration names, which were read just now.
    pub fn replace(&self, kept: Vec<Kept>) {
        let mut state = self.lock();
        let known = |pair: &Kept| state.watched.iter().any(|watched| watched.kept.mark == pair.mark);
        for pair in kept.iter().filter(|pair| !known(pair)) {
            tell_taken(&pair.pair);
        }
        state.watched = kept.into_iter().map(|kept| Watched { kept, trouble: Trouble::None }).collect();
        state.warned = None;
        self.publish(&state);
        self.warn(&mut state);
    }

    /// Takes a pair that an authority gave us, in the place of the one before. It stands behind all others.
    pub fn take(&self, ordered: Kept) {
        let mut state = self.lock();
        tell_taken(&ordered.pair);
        state.ordered = Some(ordered);
        state.warned = None;
        self.publish(&state);
        self.warn(&mut state);
    }

    /// Looks at the files again and again, by the clock.
    pub async fn watch(self: Arc<Self>) {
        loop {
            self.clock.sleep(LOOK_EVERY).await;
            let keeper = Arc::clone(&self);
            // A disk that hangs must not hold up those who read something else.
            if tokio::task::spawn_blocking(move || keeper.look()).await.is_err() {
                return;
            }
        }
    }

    /// Takes what has changed on disk.
    pub fn look(&self) {
        let mut state = self.lock();
        let mut changed = false;
        for watched in &mut state.watched {
            changed |= watched.look();
        }
        if changed {
            self.publish(&state);
        }
        self.warn(&mut state);
    }

    fn publish(&self, state: &State) {
        self.certificates.replace(state.all().map(|kept| Arc::clone(&kept.pair)).collect());
    }

    /// Once a day, and when something has changed.
    fn warn(&self, state: &mut State) {
        let now = self.clock.now();
        if state.warned.is_some_and(|warned| now.since(warned) < WARN_EVERY) {
            return;
        }
        state.warned = Some(now);
        for kept in state.all() {
            let (names, until) = (kept.pair.title(), kept.pair.until());
            match kept.pair.age(now) {
                Age::Expired => {
                    tracing::error!(event = "certificate_expired", names, %until, "browsers refuse it: renew it");
                }
                Age::EndsSoon => tracing::warn!(event = "certificate_expires_soon", names, %until, "renew it"),
                Age::Early | Age::Good => {}
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn all(&self) -> impl Iterator<Item = &Kept> {
        self.watched.iter().map(|watched| &watched.kept).chain(&self.ordered)
    }
}

impl Watched {
    /// Whether there is another pair now.
    fn look(&mut self) -> bool {
        let broken = match self.read() {
            Ok(None) => {
                self.trouble = Trouble::None;
                return false;
            }
            Ok(Some(kept)) => {
                tell_taken(&kept.pair);
                *self = Self { kept, trouble: Trouble::None };
                return true;
            }
            Err(broken) => broken,
        };
        let (broken, why) = broken;
        let seen = match &self.trouble {
            Trouble::Told(told) if *told == broken => return false,
            Trouble::Noticed(noticed) => *noticed == broken,
            Trouble::None | Trouble::Told(_) => false,
        };
        self.trouble = if seen {
            let (names, files) = (self.kept.pair.title(), &self.kept.files);
            tracing::warn!(
                event = "certificate_refused", names, reason = %why, cure = why.cure(),
                certificate_file = %files.certificate.display(), private_key_file = %files.key.display(),
                "the one in use stays",
            );
            Trouble::Told(broken)
        } else {
            Trouble::Noticed(broken)
        };
        false
    }

    /// What the files hold; `None` when that is in use.
    fn read(&self) -> Result<Option<Kept>, (Broken, PairError)> {
        let files = &self.kept.files;
        let content = files.content().map_err(|why| (Broken::Unreadable(why.to_string()), why))?;
        let mark = content.mark();
        if mark == self.kept.mark {
            return Ok(None);
        }
        content.judge(files.clone()).map(Some).map_err(|why| (Broken::Content(mark), why))
    }
}

fn tell_taken(pair: &Pair) {
    tracing::info!(event = "certificate_taken", names = pair.title(), until = %pair.until());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{Clock, ManualClock},
        tls::{
            Files,
            pair::tests::{made_for, params, signed},
        },
    };
    use std::{fs, os::unix::fs::symlink, path::Path};

    fn write(folder: &Path, (chain, key): &(String, String)) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("c.pem"), chain).unwrap();
        fs::write(folder.join("k.pem"), key).unwrap();
    }

    fn files(folder: &Path) -> Files {
        Files { certificate: folder.join("c.pem"), key: folder.join("k.pem") }
    }

    fn clock() -> Arc<ManualClock> {
        ManualClock::at(Timestamp::parse("2026-06-01T00:00:00Z").unwrap())
    }

    fn names(keeper: &Keeper) -> Vec<String> {
        keeper.certificates().expiries().into_iter().map(|expiry| expiry.names).collect()
    }

    #[test]
    fn what_changes_is_taken_and_what_is_broken_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (made_for(&["one.school.example"]), made_for(&["two.school.example"]));
        write(folder.path(), &one);
        let keeper = Keeper::new(vec![Kept::read(files(folder.path())).unwrap()], clock());
        for (content, expected) in [
            (&one, "one.school.example"),
            (&two, "two.school.example"),
            (&(two.0.clone(), one.1.clone()), "two.school.example"),
            (&("nonsense".into(), String::new()), "two.school.example"),
            (&one, "one.school.example"),
        ] {
            write(folder.path(), content);
            for _ in 0..3 {
                keeper.look();
                assert_eq!(names(&keeper), [expected]);
            }
        }
        fs::remove_file(folder.path().join("k.pem")).unwrap();
        keeper.look();
        assert_eq!(names(&keeper), ["one.school.example"]);
    }

    #[test]
    fn half_a_renewal_is_not_worth_a_word_and_a_broken_pair_is_worth_one() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (made_for(&["one.school.example"]), made_for(&["two.school.example"]));
        write(folder.path(), &one);
        let mut watched = Watched { kept: Kept::read(files(folder.path())).unwrap(), trouble: Trouble::None };
        fs::write(folder.path().join("c.pem"), &two.0).unwrap();
        assert!(!watched.look());
        assert!(matches!(watched.trouble, Trouble::Noticed(_)));
        fs::write(folder.path().join("k.pem"), &two.1).unwrap();
        assert!(watched.look());
        assert_eq!(watched.trouble, Trouble::None);
        fs::write(folder.path().join("k.pem"), "nonsense").unwrap();
        assert!(!watched.look());
        assert!(matches!(watched.trouble, Trouble::Noticed(_)));
        assert!(!watched.look());
        assert!(matches!(watched.trouble, Trouble::Told(_)));
        fs::write(folder.path().join("k.pem"), "other nonsense").unwrap();
        assert!(!watched.look());
        assert!(matches!(watched.trouble, Trouble::Noticed(_)));
        fs::write(folder.path().join("k.pem"), &two.1).unwrap();
        assert!(!watched.look());
        assert_eq!(watched.trouble, Trouble::None);
    }

    /// certbot's `live` and the `..data` of Kubernetes.
    #[test]
    fn a_link_that_leads_elsewhere_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("1"), &made_for(&["one.school.example"]));
        write(&folder.path().join("2"), &made_for(&["two.school.example"]));
        let live = folder.path().join("live");
        symlink("1", &live).unwrap();
        let keeper = Keeper::new(vec![Kept::read(files(&live)).unwrap()], clock());
        assert_eq!(names(&keeper), ["one.school.example"]);
        symlink("2", folder.path().join("new")).unwrap();
        fs::rename(folder.path().join("new"), &live).unwrap();
        keeper.look();
        assert_eq!(names(&keeper), ["two.school.example"]);
    }

    #[test]
    fn a_new_configuration_brings_pairs_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("1"), folder.path().join("2"));
        write(&one, &made_for(&["one.school.example"]));
        write(&two, &made_for(&["two.school.example"]));
        let keeper = Keeper::new(vec![Kept::read(files(&one)).unwrap()], clock());
        keeper.replace(vec![Kept::read(files(&two)).unwrap(), Kept::read(files(&one)).unwrap()]);
        assert_eq!(names(&keeper), ["two.school.example", "one.school.example"]);
        write(&two, &made_for(&["three.school.example"]));
        keeper.look();
        assert_eq!(names(&keeper), ["three.school.example", "one.school.example"]);
    }

    #[tokio::test]
    async fn the_files_are_looked_at_by_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &made_for(&["one.school.example"]));
        let clock = clock();
        let keeper = Keeper::new(vec![Kept::read(files(folder.path())).unwrap()], Arc::<ManualClock>::clone(&clock));
        let watching = tokio::spawn(Arc::clone(&keeper).watch());
        while clock.sleeping() == 0 {
            tokio::task::yield_now().await;
        }
        write(folder.path(), &made_for(&["two.school.example"]));
        clock.advance(LOOK_EVERY);
        while clock.sleeping() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(names(&keeper), ["two.school.example"]);
        watching.abort();
    }

    #[test]
    fn of_the_end_of_a_certificate_is_warned_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &signed(params(&["one.school.example"])));
        let clock = clock();
        let keeper = Keeper::new(vec![Kept::read(files(folder.path())).unwrap()], Arc::<ManualClock>::clone(&clock));
        let warned = || keeper.lock().warned.unwrap();
        let first = warned();
        clock.advance(Duration::from_secs(86_399));
        keeper.look();
        assert_eq!(warned(), first);
        clock.advance(Duration::from_secs(1));
        keeper.look();
        assert_eq!(warned(), clock.now());
    }
}
