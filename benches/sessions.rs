//! How many sessions the file store takes, how fast, and what they cost. `cargo bench --bench sessions`, or
//! with another number than 100,000 `cargo bench --bench sessions -- 1000`; `TMPDIR` says on which disk.
//!
//! Each part runs in a process of its own, so that its memory is its own, and so that one can be killed.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "it speaks, or ends")]

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::fs::{Advice, fadvise};
use schoolgate::{
    clock::{Clock, SharedClock, Stopwatch, SystemClock},
    entropy::{Entropy, SystemEntropy},
    identity::{Email, Organization, Person, ScopeSet, Subject},
    secret::Secret,
    session::{
        Codec, Device, FileStore, Grant, Handle, Lifetimes, Record, Sealer, SessionKey, Sessions, Store, Stored,
    },
};

/// What the parent waits for.
const FULL: &str = "full";

/// Sessions that are looked up, and that fit into the near cache.
const LOOKS: usize = 20_000;

const LIFETIMES: Lifetimes =
    Lifetimes { idle_timeout: Duration::from_secs(8 * 3600), max_lifetime: Duration::from_secs(24 * 3600) };

fn main() {
    let arguments: Vec<_> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["fill", folder, count] => runtime.block_on(fill(Path::new(folder), count.parse().unwrap())),
        ["open", folder, how] => runtime.block_on(open(Path::new(folder), how)),
        ["look", folder, count] => runtime.block_on(look(Path::new(folder), count.parse().unwrap())),
        [] => all(100_000),
        [count] => all(count.parse().expect("a number of sessions")),
        _ => panic!("cargo bench --bench sessions -- [number of sessions]"),
    }
}

fn all(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("key"), &*Sealer::new_key(&SystemEntropy)).unwrap();
    let path = folder.path().to_str().unwrap();
    let run = |arguments: &[&str]| {
        let mut child = Command::new(env::current_exe().unwrap());
        let mut child = child.args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
            if line == FULL {
                child.kill().unwrap();
                break;
            }
            println!("{line}");
        }
        assert!(child.wait().unwrap().success() || arguments[0] == "fill", "{arguments:?} has failed");
    };
    println!("| what | figure |\n|---|---|");
    let count = count.to_string();
    run(&["fill", path, &count]);
    println!("| file | {} |", megabytes(fs::metadata(file(folder.path())).unwrap().len()));
    run(&["open", path, "after kill -9"]);
    run(&["open", path, "after a clean end"]);
    // Out of the system's memory, as after a start of the machine.
    fs::File::open(file(folder.path()))
        .and_then(|file| Ok((file.sync_all()?, fadvise(&file, 0, None, Advice::DontNeed)?)))
        .unwrap();
    run(&["open", path, "from a cold disk"]);
    run(&["look", path, &count]);
}

async fn fill(folder: &Path, count: usize) {
    let store = Arc::new(store(folder));
    let before = resident();
    let mut next = 0;
    let measured = (count / 20).clamp(1, 5_000);
    for (writers, sessions) in [(64, count), (1, measured / 4 + 1), (16, measured), (64, measured)] {
        let taken = insert(&store, writers, next, sessions).await;
        next += sessions;
        let rate = sessions as f64 / taken.as_secs_f64();
        let at_once = if writers == 1 { "one after the other".to_owned() } else { format!("{writers} at once") };
        println!("| new sessions a second, {at_once}, {next} in the end | {rate:.0} |");
    }
    println!("| memory of the process, empty | {} |", megabytes(before));
    println!("| memory of the process, after {next} sign-ins | {} |", megabytes(resident()));
    println!("{FULL}");
    std::future::pending::<()>().await;
}

/// Writes sessions from `first` on, so many at once; gives back how long it took.
async fn insert(store: &Arc<FileStore>, writers: usize, first: usize, count: usize) -> Duration {
    let (next, stopwatch) = (Arc::new(AtomicUsize::new(first)), Stopwatch::start());
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (store, next) = (Arc::clone(store), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= first + count {
                        return;
                    }
                    store.insert(key(number), session(number)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    stopwatch.elapsed()
}

async fn open(folder: &Path, how: &str) {
    let before = resident();
    let stopwatch = Stopwatch::start();
    let store = store(folder);
    let taken = stopwatch.elapsed();
    let sessions = store.count().await.unwrap();
    println!("| opening with {sessions} sessions, {how} | {:.2} s |", taken.as_secs_f64());
    println!("| memory for it, {how} | {} |", megabytes(resident().saturating_sub(before)));
}

async fn look(folder: &Path, count: usize) {
    let store = Arc::new(store(folder));
    let mut taken = Vec::with_capacity(LOOKS);
    for look in 0..LOOKS {
        // All over the file, in no order.
        let key = key(look.wrapping_mul(7_919) % count);
        let stopwatch = Stopwatch::start();
        assert!(store.find(&key).await.unwrap().is_some());
        taken.push(stopwatch.elapsed());
    }
    taken.sort_unstable();
    for (name, part) in [("half", 50), ("99 of 100", 99)] {
        println!("| finding a session in the file, {name} within | {} µs |", taken[LOOKS * part / 100 - 1].as_micros());
    }
    let clock: SharedClock = Arc::new(SystemClock);
    let sessions = Sessions::new(LIFETIMES, Arc::<FileStore>::clone(&store), clock, Arc::new(SystemEntropy));
    let before = resident();
    let near = count.min(LOOKS);
    for number in 0..near {
        assert!(sessions.open_key(&key(number)).await.unwrap().is_some());
    }
    let each = resident().saturating_sub(before) / near as u64;
    println!("| memory of a session in use (the near cache, at most 128 MiB) | {each} bytes |");
    let stopwatch = Stopwatch::start();
    for look in 0..LOOKS {
        assert!(sessions.open_key(&key(near - 1 - look % near.min(1_000))).await.unwrap().is_some());
    }
    println!("| finding a session in the near cache | {} ns |", stopwatch.elapsed().as_nanos() / LOOKS as u128);
    let (stopwatch, later) = (Stopwatch::start(), SystemClock.now().plus(LIFETIMES.max_lifetime * 2));
    let swept = store.sweep(later).await.unwrap();
    println!("| sweeping {swept} sessions | {:.1} s |", stopwatch.elapsed().as_secs_f64());
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join(FileStore::NAME)
}

fn store(folder: &Path) -> FileStore {
    let sealer = Sealer::from_key_file(&fs::read_to_string(folder.join("key")).unwrap()).unwrap();
    let codec = Codec::new(Arc::new(sealer), Arc::new(SystemEntropy));
    FileStore::open(&file(folder), LIFETIMES, codec, Arc::new(SystemClock)).unwrap_or_else(|error| panic!("{error}"))
}

/// The same in every process.
fn key(number: usize) -> SessionKey {
    let mut key = [0; 32];
    for (index, part) in key.chunks_exact_mut(8).enumerate() {
        // As evenly spread as a hash: splitmix64.
        let mut mixed = (number * 4 + index) as u64;
        mixed = mixed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        part.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    SessionKey::from_bytes(key)
}

/// A session as Apple makes them: an ID token of some 900 bytes, two tokens of some 300.
fn session(number: usize) -> Stored {
    let text = |length: usize| {
        let mut bytes = vec![0; length / 2];
        SystemEntropy.fill(&mut bytes);
        bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let now = SystemClock.now();
    let scopes = ScopeSet::parse("edu.users.read edu.classes.read").unwrap();
    let record = Record {
        handle: Handle::draw(&SystemEntropy),
        person: Person {
            subject: Subject::parse(&format!("{number:06}.{}.0123", text(32))).unwrap(),
            organization: Some(Organization::parse("7f3a2c1e-6b5d-4e0f-9a8b-1c2d3e4f5a6b").unwrap()),
            email: Some(Email { address: format!("pupil-{number}@school.example"), verified: true }),
            is_private_email: Some(false),
            auth_time: Some(now.seconds()),
            claims: [("given_name".to_owned(), "\"Anna\"".to_owned())].into(),
        },
        id_token: Secret::new(text(900)),
        grant: Grant {
            access_token: Secret::new(text(300)),
            access_expires_at: now.plus(Duration::from_secs(3600)),
            refresh_token: Some(Secret::new(text(300))),
            refreshed_at: None,
            scopes: scopes.clone(),
        },
        asked: scopes,
        device: Device::new(
            [192, 0, 2, 7].into(),
            Some("Mozilla/5.0 (iPad; CPU OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"),
        ),
        created: now,
        generation: 0,
    };
    Stored { record: Arc::new(record), last_seen: now }
}

/// Memory of this process in bytes.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
