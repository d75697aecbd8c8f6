//! What was answered survives `kill -9` at any moment, and what was ended does not come back: with the real
//! program, people who sign in and out all the time, and access tokens that live for a second.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a proof says what it measured")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::{join_all, try_join_all};
use schoolgate::demo::{Endpoint, Gate, Others, Trouble};
use support::{
    Dice, District, Guest, HOST, Program, Request, Site, Tally, Town,
    redis::Server,
    world::{at, through_apple},
};
use tokio::{
    task::block_in_place,
    time::{Instant, sleep},
};

/// Long for a machine.
const SOON: Duration = Duration::from_secs(30);

/// Every access token is refreshed when half of its only second has passed, and a program that was killed holds
/// nobody up for long.
const LINES: &[(&str, &str)] = &[
    ("session", "refresh_before = \"1s\""),
    ("server", "sign_in_rate_per_ip = 100000"),
    ("apple", "timeout = \"5s\""),
];

/// Around the gateways: an Apple that gives a new refresh token each time, and takes the old one no more.
async fn town(news_take: Duration) -> Arc<Town> {
    let site = Site::start().await;
    site.apple.switches().change(|behaviour| {
        behaviour.access_token_lifetime = Duration::from_secs(1);
        behaviour.refresh_rotation = true;
        behaviour.others = Others::Granted;
    });
    Town::new(site, news_take)
}

fn guests(count: usize, house: &str, town: &Arc<Town>, dice: &mut Dice) -> Vec<Guest> {
    (0..count).map(|number| Guest::new(format!("guest {number} of {house}"), Arc::clone(town), dice.fork())).collect()
}

/// Everybody looks whether what was answered is so.
async fn verified(guests: &mut [Guest], cookies: usize) {
    for answered in join_all(guests.iter_mut().map(|guest| guest.verify(cookies))).await {
        answered.expect("nobody was killed");
    }
}

/// Everybody tries every cookie that must open nothing. A store may need a moment to come back.
async fn all_is_so(guests: &mut [Guest]) {
    let begun = Instant::now();
    let each = async |guest: &mut Guest| {
        while guest.verify_all().await.is_err() {
            assert!(begun.elapsed() < SOON, "{guest}: nobody answers");
            sleep(Duration::from_millis(100)).await;
        }
    };
    join_all(guests.iter_mut().map(each)).await;
}

/// A random moment.
async fn moment(dice: &mut Dice, longest: Duration) {
    sleep(Duration::from_micros(dice.below(u64::try_from(longest.as_micros()).unwrap()))).await;
}

/// There is nothing for the operator to mend.
fn is_quiet(program: &Program) {
    let log = program.log();
    assert!(!log.contains("panicked") && !log.contains(" ERROR "), "{log}");
}

async fn stops(program: Program) {
    assert!(!program.log().contains("panicked"), "{}", program.log());
    program.terminate().await;
    let (status, log) = program.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("stopped"), "{log}");
}

/// Waits until nothing that was signed out is worth anything at Apple.
async fn all_is_revoked(guests: &[Guest], begun: Instant, limit: Duration) {
    let still = || guests.iter().map(Guest::still_authorized).sum::<usize>();
    while still() > 0 {
        assert!(begun.elapsed() < limit, "{} authorizations still stand", still());
        sleep(Duration::from_millis(50)).await;
    }
    let all = guests.iter().map(Guest::to_be_revoked).sum::<usize>();
    println!("{all} authorizations are revoked, the last within {:?}", begun.elapsed());
}

fn tally(guests: &[Guest]) -> Tally {
    let mut tally = Tally::default();
    guests.iter().for_each(|guest| tally += guest.tally);
    tally
}

/// One gateway with its sessions in a file, killed so many times.
async fn with_a_file(house: usize, kills: usize, mut dice: Dice) -> Tally {
    let town = town(Duration::ZERO).await;
    let text = town.site.configuration(LINES).replace("store = \"memory\"", "store = \"file\"");
    let mut guests = guests(16, &format!("house {house}"), &town, &mut dice);
    let mut killed = 0;
    while killed < kills {
        let mut program = town.site.spawn(&text);
        if dice.once_in(8) {
            // While it starts.
            moment(&mut dice, Duration::from_millis(300)).await;
            program.kill().await;
            killed += 1;
            continue;
        }
        program.started().await;
        let door = program.address();
        town.opened(door);
        verified(&mut guests, 4).await;
        if dice.once_in(3) {
            town.site.apple.switches().trouble(Endpoint::Revoke, Trouble::Status(503));
        }
        let load: Vec<_> = guests.into_iter().map(|guest| tokio::spawn(guest.until_killed())).collect();
        moment(&mut dice, Duration::from_millis(400)).await;
        is_quiet(&program);
        program.kill().await;
        town.closed(door);
        killed += 1;
        town.site.apple.switches().heal(Endpoint::Revoke);
        guests = try_join_all(load).await.unwrap();
    }
    let begun = Instant::now();
    let program = started(town.site.spawn(&text), &town).await;
    all_is_so(&mut guests).await;
    all_is_revoked(&guests, begun, SOON).await;
    stops(program).await;
    tally(&guests)
}

async fn started(mut program: Program, town: &Town) -> Program {
    program.started().await;
    town.opened(program.address());
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_with_a_file_is_killed_a_hundred_times() {
    let begun = Instant::now();
    let mut dice = Dice::from_environment("DURABILITY_SEED");
    let houses: Vec<_> = (0..4).map(|house| tokio::spawn(with_a_file(house, 25, dice.fork()))).collect();
    let mut tally = Tally::default();
    for house in try_join_all(houses).await.unwrap() {
        tally += house;
    }
    println!("100 kills in {:?}: {tally:?}", begun.elapsed());
    let Tally { sign_ins, step_ups, sign_outs, refreshes, lost, .. } = tally;
    assert!(sign_ins > 50 && step_ups > 20 && sign_outs > 20 && refreshes > 100 && lost > 50, "{tally:?}");
}

#[tokio::test]
async fn a_refresh_that_nobody_waits_for_is_kept_by_a_gateway_that_stops() {
    let site = Site::start().await;
    let lifetime = |seconds| {
        site.apple.switches().change(|behaviour| {
            behaviour.access_token_lifetime = Duration::from_secs(seconds);
            behaviour.refresh_rotation = true;
        });
    };
    let lines = [("session", "refresh_before = \"2s\"")];
    let text = site.configuration(&lines).replace("store = \"memory\"", "store = \"file\"");
    let mut program = site.spawn(&text);
    program.started().await;
    let mut browser = program.browser();
    lifetime(10);
    assert_eq!(through_apple(&mut browser, "/start", "teacher-1").await.status, 303);
    lifetime(3600);
    let gate = Gate::closed();
    site.apple.switches().trouble(Endpoint::Refresh, Trouble::HoldAnswer(gate.clone()));
    // Twice `refresh_before` ahead of its end, the token is refreshed while it still serves.
    while site.apple.calls().count(Endpoint::Refresh) == 0 {
        assert_eq!(browser.fetch(&at("/")).await.status, 200);
        sleep(Duration::from_millis(100)).await;
    }
    let old = site.echo.access_token();
    program.terminate().await;
    program.logged("draining").await;
    // Apple has given a new refresh token, and takes the old one no more.
    sleep(Duration::from_secs(1)).await;
    gate.open();
    let (status, log) = program.ended().await;
    assert_eq!(status.code(), Some(0), "{log}");

    let mut program = site.spawn(&text);
    program.started().await;
    browser.move_to(program.address());
    let answer = browser.fetch(&at("/after")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_ne!(site.echo.access_token(), old);
    assert_eq!(site.apple.calls().count(Endpoint::Refresh), 1);
}

/// The number of gateways that share one Redis.
const HOUSES: usize = 2;

/// Two gateways and their Redis.
struct Houses {
    town: Arc<Town>,
    district: District,
    programs: Vec<Program>,
}

impl Houses {
    async fn open(news_take: Duration, redis: Server) -> Self {
        let town = town(news_take).await;
        let district = District::new(&town.site, redis);
        let mut houses = Self { town, district, programs: Vec::new() };
        for house in 0..HOUSES {
            let program = houses.start(house).await;
            houses.programs.push(program);
        }
        houses
    }

    async fn start(&self, house: usize) -> Program {
        let program = self.district.start(&self.town.site, house, LINES).await;
        self.town.opened(program.address());
        program
    }

    /// Kills a gateway, and starts it again after a while.
    async fn kill_a_gateway(&mut self, dice: &mut Dice) {
        let house = usize::try_from(dice.below(HOUSES as u64)).unwrap();
        let program = self.programs.remove(house);
        let door = program.address();
        is_quiet(&program);
        program.kill().await;
        self.town.closed(door);
        moment(dice, Duration::from_millis(500)).await;
        let program = self.start(house).await;
        self.programs.insert(house, program);
    }

    /// Kills Redis, and starts it again after a while.
    async fn kill_redis(&mut self, dice: &mut Dice) {
        block_in_place(|| self.district.redis.kill());
        moment(dice, Duration::from_millis(500)).await;
        block_in_place(|| self.district.redis.revive());
    }

    /// Waits until the gateways ask Redis again, and says how long that took.
    async fn are_back(&self) {
        let begun = Instant::now();
        for program in &self.programs {
            let request = Request::get("/page").header("Host", HOST);
            let request = request.header("Cookie", &format!("__Host-schoolgate={}", "A".repeat(43)));
            while request.send(program.address()).await.status == 503 {
                assert!(begun.elapsed() < SOON, "{}", program.log());
                sleep(Duration::from_millis(20)).await;
            }
        }
        println!("Redis is found again after {:?}", begun.elapsed());
    }
}

/// Lets people in and out while there is trouble, and looks in the end whether all is well.
async fn with_redis(mut houses: Houses, dice: &mut Dice, trouble: impl AsyncFn(&mut Houses, &mut Dice)) -> Tally {
    let stop = Arc::new(AtomicBool::new(false));
    let guests = guests(16, "the district", &houses.town, dice).into_iter();
    let load: Vec<_> = guests.map(|guest| tokio::spawn(guest.until_told(Arc::clone(&stop)))).collect();
    trouble(&mut houses, dice).await;
    let begun = Instant::now();
    stop.store(true, Ordering::SeqCst);
    let mut guests = try_join_all(load).await.unwrap();
    all_is_so(&mut guests).await;
    all_is_revoked(&guests, begun, SOON).await;
    for program in houses.programs {
        stops(program).await;
    }
    tally(&guests)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_gateways_with_one_redis_are_killed_in_turn_while_the_other_goes_on() {
    const KILLS: usize = 20;
    let begun = Instant::now();
    let mut dice = Dice::from_environment("DURABILITY_SEED");
    let houses = Houses::open(Duration::from_secs(2), Server::start()).await;
    let tally = with_redis(houses, &mut dice, async |houses, dice| {
        for _ in 0..KILLS {
            moment(dice, Duration::from_millis(700)).await;
            houses.kill_a_gateway(dice).await;
        }
    });
    let tally = tally.await;
    println!("{KILLS} kills in {:?}: {tally:?}", begun.elapsed());
    let Tally { sign_ins, sign_outs, refreshes, lost, .. } = tally;
    assert!(sign_ins > 10 && sign_outs > 2 && refreshes > 5 && lost > 5, "{tally:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_is_killed_under_two_gateways_and_nothing_that_was_answered_is_lost() {
    const KILLS: usize = 8;
    let begun = Instant::now();
    let mut dice = Dice::from_environment("DURABILITY_SEED");
    let redis = Server::with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let houses = Houses::open(Duration::from_secs(5), redis).await;
    let tally = with_redis(houses, &mut dice, async |houses, dice| {
        // Whoever asks while it is away, or its disk is slow, gets 503.
        houses.town.store_is_shaky(true);
        for _ in 0..KILLS {
            moment(dice, Duration::from_millis(2500)).await;
            houses.kill_redis(dice).await;
            houses.are_back().await;
        }
    });
    let tally = tally.await;
    println!("{KILLS} kills of Redis in {:?}: {tally:?}", begun.elapsed());
    let Tally { sign_ins, sign_outs, refreshes, lost, .. } = tally;
    assert!(sign_ins > 10 && sign_outs > 2 && refreshes > 5 && lost > 5, "{tally:?}");
}
