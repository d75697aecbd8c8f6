//! When to order: at the first start, after two thirds of a certificate's life, and after failures ever more rarely.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    AcmeError, Settings,
    folder::{Attempts, Folder},
    order::{self, Proof, WHOLE},
};
use crate::{
    clock::{SharedClock, Timestamp},
    entropy::{self, SharedEntropy},
    tls::{Keeper, Kept, Pair},
};

/// Wait after a first failure. Let's Encrypt allows five failures an hour for one name.
const FIRST_WAIT: Duration = Duration::from_secs(15 * 60);

/// Longest wait after a failure.
const LONGEST_WAIT: Duration = Duration::from_secs(12 * 3600);

/// Between two looks at the clock.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Orders certificates when they are needed.
#[derive(Debug)]
pub struct Orderer {
    settings: Settings,
    folder: Folder,
    keeper: Arc<Keeper>,
    clock: SharedClock,
    entropy: SharedEntropy,
}

impl Orderer {
    /// Takes the certificate of an earlier order into use, if there is one.
    #[must_use]
    pub fn new(settings: Settings, keeper: Arc<Keeper>, clock: SharedClock, entropy: SharedEntropy) -> Self {
        let folder = Folder::new(&settings.folder);
        let orderer = Self { settings, folder, keeper, clock, entropy };
        if let Some(kept) = orderer.kept() {
            orderer.keeper.take(kept);
        }
        orderer
    }

    /// Orders whenever it is time, for ever.
    pub async fn run(self) {
        loop {
            if self.is_time() {
                self.order().await;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    fn is_time(&self) -> bool {
        let now = self.clock.now();
        if now.seconds() < self.folder.attempts().not_before {
            return false;
        }
        self.kept().is_none_or(|kept| !self.has_all_names(kept.pair()) || is_old(kept.pair(), now))
    }

    fn has_all_names(&self, pair: &Pair) -> bool {
        self.settings.names.iter().all(|name| pair.covers(name))
    }

    /// The certificate of the last order. One that cannot be read is as good as none.
    fn kept(&self) -> Option<Kept> {
        self.folder.pair()?.inspect_err(|why| tracing::warn!(event = "acme_certificate_unreadable", reason = %why)).ok()
    }

    async fn order(&self) {
        let before = self.folder.attempts();
        let names: Vec<_> = self.settings.names.iter().map(|name| name.name()).collect();
        let names = names.join(" ");
        // Every second try is the other way, where there is one.
        let proof = match self.settings.has_plain_http && before.failures % 2 == 1 {
            true => Proof::PlainHttp,
            false => Proof::Handshake,
        };
        // Counted before it begins: who crashes in it has failed, too.
        let failed = Attempts {
            failures: before.failures.saturating_add(1),
            not_before: self.clock.now().plus(self.wait_after(before.failures)).seconds(),
        };
        let challenges = self.keeper.certificates().challenges();
        let ordered = async {
            self.folder.keep_attempts(failed)?;
            tracing::info!(event = "acme_order", names, ?proof, directory = self.settings.directory_url);
            let order = order::order(&self.settings, &self.folder, challenges, proof);
            timeout(WHOLE, order).await.map_err(|_| AcmeError::TooSlow)??;
            self.folder.keep_attempts(Attempts::default())?;
            Ok::<_, AcmeError>(())
        };
        let ordered = ordered.await;
        challenges.clear();
        match ordered {
            Ok(()) => {
                if let Some(kept) = self.kept() {
                    self.keeper.take(kept);
                }
            }
            Err(why) => {
                let until = Timestamp::from_seconds(failed.not_before);
                tracing::warn!(event = "acme_failed", names, reason = %why, tries_again = %until);
            }
        }
    }

    /// Twice as long after each failure, and up to a quarter more, so that many gateways do not come at once.
    fn wait_after(&self, failures: u32) -> Duration {
        let wait = FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT);
        let [byte] = entropy::bytes(&*self.entropy);
        wait + wait / 4 * u32::from(byte) / 256
    }
}

/// Whether two thirds of its life are over.
fn is_old(pair: &Pair, now: Timestamp) -> bool {
    let life = pair.until().since(pair.from());
    now.plus(life / 3) >= pair.until()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::ManualClock, entropy::SystemEntropy, tls::Keeper, web::Host};
    use std::path::Path;

    fn orderer(state: &Path, clock: &Arc<ManualClock>, names: &[&str]) -> Orderer {
        let settings = Settings {
            directory_url: "https://ca.example/".into(),
            contact: Vec::new(),
            ca_file: None,
            external_account: None,
            names: names.iter().map(|name| Host::parse(name).unwrap()).collect(),
            folder: state.join("acme"),
            has_plain_http: false,
        };
        let clock: SharedClock = Arc::<ManualClock>::clone(clock);
        let keeper = Keeper::new(Vec::<Kept>::new(), Arc::clone(&clock));
        Orderer::new(settings, keeper, clock, Arc::new(SystemEntropy))
    }

    #[test]
    fn it_is_time_when_there_is_none_when_it_is_old_and_when_a_name_is_new() {
        let state = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::parse("2026-01-02T00:00:00Z").unwrap());
        let names = ["a.school.example"];
        let first = orderer(state.path(), &clock, &names);
        assert!(first.is_time());
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(names.map(str::to_owned)).unwrap();
        (params.not_before, params.not_after) = (rcgen::date_time_ymd(2026, 1, 1), rcgen::date_time_ymd(2026, 4, 1));
        first.folder.keep_pair(&params.self_signed(&key).unwrap().pem(), &key.serialize_pem()).unwrap();
        let second = orderer(state.path(), &clock, &names);
        assert!(!second.is_time());
        assert_eq!(second.keeper.certificates().expiries().len(), 1, "it is in use");
        assert!(orderer(state.path(), &clock, &["a.school.example", "b.school.example"]).is_time());
        // Two thirds of 90 days.
        clock.advance(Duration::from_secs(59 * 86_400 - 1));
        assert!(!second.is_time());
        clock.advance(Duration::from_secs(1));
        assert!(second.is_time());
        let until = crate::clock::Clock::now(&*clock).seconds() + 60;
        second.folder.keep_attempts(Attempts { failures: 1, not_before: until }).unwrap();
        assert!(!second.is_time());
        clock.advance(Duration::from_secs(60));
        assert!(second.is_time());
        std::fs::write(state.path().join("acme/certificate.pem"), "nonsense").unwrap();
        assert!(second.is_time());
    }

    #[test]
    fn after_failures_it_waits_twice_as_long_up_to_half_a_day() {
        let state = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(Timestamp::from_seconds(0));
        let orderer = orderer(state.path(), &clock, &["a.school.example"]);
        for (failures, minutes) in [(0, 15), (1, 30), (2, 60), (5, 480), (6, 720), (40, 720), (u32::MAX, 720)] {
            let (wait, least) = (orderer.wait_after(failures), Duration::from_secs(minutes * 60));
            assert!(wait >= least && wait < least + least / 4, "{failures}: {wait:?}");
        }
    }
}
