//! Sessions in the file store: how many it takes, how fast, and what they cost.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::fs::{Advice, fadvise};
use schoolgate::{
    clock::{Clock, Stopwatch, SystemClock},
    entropy::SystemEntropy,
    session::{Codec, FileStore, Sealer, Sessions, Store},
};

use super::{
    common::median,
    figures::{Figures, MEBI, ask_to_be_killed, busy, resident, say},
    memory::sessions_on,
    people::{self, LIFETIMES, mixed},
};

/// Looks at sessions.
const LOOKS: usize = 20_000;

/// The figures of a file with as many sessions as a large school has, and of one with very many.
pub(crate) fn all(figures: &mut Figures, at_start: usize, most: usize) {
    for count in if at_start < most { vec![at_start, most] } else { vec![most] } {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("key"), &*Sealer::new_key(&SystemEntropy)).unwrap();
        let (path, text) = (folder.path().to_str().unwrap(), count.to_string());
        figures.of(&["fill", path, &text]);
        let size = fs::metadata(file(folder.path())).unwrap().len() as f64;
        figures.note(&part(count), "file", size / MEBI, "MiB");
        figures.of(&["start", path, "after kill -9"]);
        figures.of(&["start", path, "after a clean end"]);
        // Out of the system's memory, as after a start of the machine.
        fs::File::open(file(folder.path()))
            .and_then(|file| Ok((file.sync_all()?, fadvise(&file, 0, None, Advice::DontNeed)?)))
            .unwrap();
        figures.of(&["start", path, "from a cold disk"]);
        figures.of(&["look", path, &text]);
    }
}

fn part(count: usize) -> String {
    format!("file store, {count} sessions")
}

pub(crate) async fn fill(folder: &Path, count: usize) {
    let store = Arc::new(store(folder));
    let (before, part, mut next) = (resident(), &part(count), 0);
    let measured = (count / 20).clamp(1, 5_000);
    let rest = count - (measured / 4 + 1) - 2 * measured;
    for (writers, sessions) in [(64, rest), (1, measured / 4 + 1), (16, measured), (64, measured)] {
        let taken = insert(&store, writers, next, sessions).await;
        next += sessions;
        let rate = sessions as f64 / taken.as_secs_f64();
        let at_once = if writers == 1 { "one after the other".to_owned() } else { format!("{writers} at once") };
        say(part, &format!("new sessions a second, {at_once}, {next} in the end"), rate, "");
    }
    say(part, "memory of the process, empty", before / MEBI, "MiB");
    say(part, "memory of the process, after the sign-ins", resident() / MEBI, "MiB");
    ask_to_be_killed().await;
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
                    // Again, where a disk that others use too lets it wait.
                    while store.insert(people::id(number).key(), people::session(number)).await.is_err() {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    stopwatch.elapsed()
}

pub(crate) async fn start(folder: &Path, how: &str) {
    let before = resident();
    let stopwatch = Stopwatch::start();
    let store = store(folder);
    let taken = stopwatch.elapsed();
    let part = &part(store.count().await.unwrap());
    say(part, &format!("start, {how}, by the clock on the wall"), taken.as_secs_f64(), "s");
    say(part, &format!("memory for it, {how}"), (resident() - before) / MEBI, "MiB");
}

pub(crate) async fn look(folder: &Path, count: usize) {
    let (store, part) = (Arc::new(store(folder)), &part(count));
    let mut taken = Vec::with_capacity(LOOKS);
    for look in 0..LOOKS {
        // All over the file, in no order.
        let key = people::id(mixed(look as u64) as usize % count).key();
        let stopwatch = Stopwatch::start();
        assert!(store.find(&key).await.unwrap().is_some());
        taken.push(stopwatch.elapsed().as_micros() as f64);
    }
    taken.sort_by(f64::total_cmp);
    for (name, part_of) in [("half", 50), ("99 of 100", 99)] {
        let within = taken[LOOKS * part_of / 100 - 1];
        say(part, &format!("finding a session in the file, {name} within, by the clock on the wall"), within, "µs");
    }
    let sessions = sessions_on(Arc::<FileStore>::clone(&store));
    let (before, near) = (resident(), count.min(LOOKS));
    open(&sessions, 0..near).await;
    say(part, "memory of a session in the near cache", (resident() - before) / near as f64, "bytes");
    let mut times = Vec::new();
    for _ in 0..9 {
        times.push(open_again(&sessions, near.min(1_000), 100).await);
    }
    say(part, "cookie to session, in the near cache", median(times), "ns");
    open(&sessions, 0..count).await;
    say(part, "memory of the process when each session was asked for", resident() / MEBI, "MiB");
    let (stopwatch, later) = (Stopwatch::start(), SystemClock.now().plus(LIFETIMES.max_lifetime * 2));
    let swept = store.sweep(later).await.unwrap();
    say(part, &format!("sweeping {swept} sessions, by the clock on the wall"), stopwatch.elapsed().as_secs_f64(), "s");
}

/// Opens sessions.
async fn open(sessions: &Sessions, numbers: std::ops::Range<usize>) {
    for number in numbers {
        assert!(sessions.open(&people::id(number)).await.unwrap().is_some());
    }
}

/// Opens the first sessions so many times, for the clock of the system is a coarse one; gives back the nanoseconds for
/// one.
pub(crate) async fn open_again(sessions: &Sessions, count: usize, times: usize) -> f64 {
    let ids: Vec<_> = (0..count).map(people::id).collect();
    let before = busy();
    for _ in 0..times {
        for id in &ids {
            assert!(sessions.open(id).await.unwrap().is_some());
        }
    }
    (busy() - before).as_nanos() as f64 / (count * times) as f64
}

fn file(folder: &Path) -> PathBuf {
    folder.join(FileStore::NAME)
}

fn store(folder: &Path) -> FileStore {
    let sealer = Sealer::from_key_file(&fs::read_to_string(folder.join("key")).unwrap()).unwrap();
    let codec = Codec::new(Arc::new(sealer), Arc::new(SystemEntropy));
    FileStore::open(&file(folder), LIFETIMES, codec, Arc::new(SystemClock)).unwrap_or_else(|error| panic!("{error}"))
}
