//! The gateway: everything that the phases of a request need.

use std::{
    fmt,
    net::IpAddr,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use governor::{
    Quota, RateLimiter, clock::Clock as RateClock, middleware::NoOpMiddleware, nanos::Nanos,
    state::keyed::DefaultKeyedStateStore,
};

use super::{
    Answer, Exchange, Settings, UpstreamsError, app_cookies::AppCookies, prepared::Prepared, upstreams::Upstreams,
};
use crate::{
    assertion::Assertions,
    clock::SharedClock,
    entropy::SharedEntropy,
    policy::{Admission, Table},
    signin::SignIn,
    telemetry::{Decision, Metrics, Routes},
    web::Host,
};

/// Judges requests and sends the admitted ones on.
#[derive(Debug)]
pub struct Gateway {
    pub(super) settings: Settings,
    pub(super) table: Table,
    pub(super) signin: Arc<SignIn>,
    pub(super) headers: Prepared,
    pub(super) assertions: Option<Arc<Assertions>>,
    pub(super) upstreams: Arc<Upstreams>,
    pub(super) app_cookies: AppCookies,
    pub(super) sign_ins: SignInRate,
    pub(super) routes: Routes,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: SharedClock,
    pub(super) entropy: SharedEntropy,
}

impl Gateway {
    /// A gateway for the apps of `table`.
    ///
    /// # Errors
    /// When an app speaks TLS and nobody can be trusted with it.
    pub fn new(
        settings: Settings,
        table: Table,
        signin: Arc<SignIn>,
        clock: SharedClock,
        entropy: SharedEntropy,
        metrics: Arc<Metrics>,
    ) -> Result<Self, UpstreamsError> {
        let sign_ins = SignInRate::new(settings.sign_in_rate_per_ip, clock.clone());
        let upstreams = Arc::new(Upstreams::new(&table, &metrics)?);
        let routes = Routes::new(&metrics, table.names());
        let (headers, app_cookies, assertions) = (Prepared::default(), AppCookies::default(), None);
        Ok(Self {
            settings,
            table,
            signin,
            headers,
            assertions,
            upstreams,
            app_cookies,
            sign_ins,
            routes,
            metrics,
            clock,
            entropy,
        })
    }

    /// The same, with signed assertions for the apps when there are any to be made.
    #[must_use]
    pub fn asserting(self, assertions: Option<Arc<Assertions>>) -> Self {
        Self { assertions, ..self }
    }

    /// The same, with what the upstreams of another gateway have learnt.
    #[must_use]
    pub fn after(self, others: &Upstreams) -> Self {
        self.upstreams.learn(others);
        self
    }

    /// The upstreams of the apps, to be watched.
    #[must_use]
    pub fn upstreams(&self) -> Arc<Upstreams> {
        Arc::clone(&self.upstreams)
    }

    /// Counts what became of a request for an app.
    pub(super) fn count(&self, exchange: &Exchange, judged: Result<&Admission, &Answer>) {
        let decision = judged.map_or_else(Answer::decision, |_| Decision::Admitted);
        let outside = || self.table.number_without_route(&exchange.facts.host);
        self.routes.count(exchange.route().unwrap_or_else(outside), decision);
        self.metrics.judged(decision, exchange.stopwatch.elapsed());
    }

    /// Whether browsers reach this gateway by `host`: an app's, or that of the redirect URI.
    #[must_use]
    pub fn serves(&self, host: &Host) -> bool {
        self.table.app(host).is_some() || self.signin.home().is(host)
    }
}

/// New sign-ins a second from one address. An IPv6 network counts as one address, for its hosts can
/// take any.
pub(super) struct SignInRate {
    limiter: RateLimiter<IpAddr, DefaultKeyedStateStore<IpAddr>, OurClock, NoOpMiddleware<Nanos>>,
    asked: AtomicUsize,
}

/// How often the addresses are counted: to count them takes the lock of each part of their map.
const COUNTED_EVERY: usize = 256;

/// Beyond so many, those that have been quiet are forgotten.
const MANY: usize = 10_000;

/// Our clock, as the limiter reads it.
#[derive(Clone, Debug)]
struct OurClock(SharedClock);

impl RateClock for OurClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(Duration::from_millis(self.0.now().millis()))
    }
}

impl SignInRate {
    fn new(a_second: NonZeroU32, clock: SharedClock) -> Self {
        let limiter = RateLimiter::new(Quota::per_second(a_second), DefaultKeyedStateStore::default(), OurClock(clock));
        Self { limiter, asked: AtomicUsize::new(0) }
    }

    /// Whether one more sign-in may begin now.
    pub(super) fn admits(&self, client: IpAddr) -> bool {
        // Addresses that have been quiet for a second weigh nothing; forgetting them keeps this small.
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked.is_multiple_of(COUNTED_EVERY) && self.limiter.len() > MANY {
            self.limiter.retain_recent();
        }
        self.limiter.check_key(&network(client)).is_ok()
    }
}

impl fmt::Debug for SignInRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignInRate").field(&self.limiter.len()).finish()
    }
}

/// An IPv4 address itself, of an IPv6 address the network of 64 bits.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    #[test]
    fn one_address_may_begin_so_many_sign_ins_and_another_still_can() {
        let clock = ManualClock::at(Timestamp::from_seconds(1_000));
        let rate = SignInRate::new(NonZeroU32::new(5).unwrap(), Arc::<ManualClock>::clone(&clock));
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let admitted = |client| (0..50).filter(|_| rate.admits(client)).count();
        assert_eq!((admitted(one), admitted(other)), (5, 5));
        clock.advance(Duration::from_secs(1));
        assert_eq!(admitted(one), 5);
    }

    #[test]
    fn addresses_that_have_been_quiet_are_forgotten() {
        let clock = ManualClock::at(Timestamp::from_seconds(1_000));
        let rate = SignInRate::new(NonZeroU32::new(5).unwrap(), Arc::<ManualClock>::clone(&clock));
        for number in 0..u32::try_from(3 * MANY).unwrap() {
            if number % 1_000 == 0 {
                clock.advance(Duration::from_secs(2));
            }
            assert!(rate.admits(std::net::Ipv4Addr::from_bits(number).into()));
        }
        assert!(rate.limiter.len() <= MANY + COUNTED_EVERY, "{}", rate.limiter.len());
    }

    #[test]
    fn an_ipv6_network_counts_as_one_address() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
    }
}
