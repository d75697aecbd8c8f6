//! So many lines of one kind and no more, so that a stranger fills no disk and hides nothing.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tracing::Level;

use super::events::{EVENTS, Event, Pace};
use crate::clock::Timestamp;

/// How long lines of one kind are counted together.
pub(super) const WINDOW: Duration = Duration::from_secs(10);

/// Most lines of one kind and level in one window.
pub(super) const MOST: u64 = 50;

/// The lines of one kind and level.
#[derive(Clone, Copy, Debug)]
struct Window {
    opened: Timestamp,
    seen: u64,
}

impl Window {
    fn left_out(self) -> u64 {
        self.seen.saturating_sub(MOST)
    }

    /// A clock that was set back does not keep a window open.
    fn is_over(self, now: Timestamp) -> bool {
        now < self.opened || now.since(self.opened) >= WINDOW
    }
}

/// Lines that were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Of which event; `None` stands for those that are not in the list.
    pub(super) event: Option<&'static Event>,
    /// At which level.
    pub(super) level: Level,
    /// How many.
    pub(super) count: u64,
}

/// Counts lines by kind and level.
#[derive(Debug)]
pub(super) struct Limiter {
    /// For every event and level, and last for events that are not in the list.
    windows: Mutex<Vec<Option<Window>>>,
    /// Whether anything may be left out just now: looked at before every line.
    holds: AtomicBool,
    /// From when to when nothing of it is to be told, in milliseconds: from the opening of the last window that left
    /// something out to the end of the first.
    quiet: [AtomicU64; 2],
}

const LEVELS: [Level; 5] = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];

impl Limiter {
    pub(super) fn new() -> Self {
        let windows = vec![None; (EVENTS.len() + 1) * LEVELS.len()];
        let quiet = [AtomicU64::new(0), AtomicU64::new(u64::MAX)];
        Self { windows: Mutex::new(windows), holds: AtomicBool::new(false), quiet }
    }

    /// Whether a line of this event may be written now.
    pub(super) fn admits(&self, event: Option<&'static Event>, level: Level, now: Timestamp) -> bool {
        if event.is_some_and(|event| event.pace == Pace::Free) {
            return true;
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(place) = windows.get_mut(place(event, level)) else { return true };
        let window = place.get_or_insert(Window { opened: now, seen: 0 });
        // What was left out of it is told first.
        if window.is_over(now) && window.left_out() == 0 {
            *window = Window { opened: now, seen: 0 };
        }
        window.seen = window.seen.saturating_add(1);
        if window.left_out() > 0 {
            self.keep_quiet(*window);
            self.holds.store(true, Ordering::Release);
        }
        window.left_out() == 0
    }

    /// What was left out of windows that are over at `now`, each told once; with `None`, of all.
    pub(super) fn left_out(&self, now: Option<Timestamp>) -> Vec<LeftOut> {
        let is_quiet = |now: Timestamp| {
            let [from, until] = &self.quiet;
            (from.load(Ordering::Acquire)..until.load(Ordering::Acquire)).contains(&now.millis())
        };
        if !self.holds.load(Ordering::Acquire) || now.is_some_and(is_quiet) {
            return Vec::new();
        }
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut told, mut more) = (Vec::new(), false);
        self.quiet[0].store(0, Ordering::Release);
        self.quiet[1].store(u64::MAX, Ordering::Release);
        for (index, place) in windows.iter_mut().enumerate() {
            let Some(window) = place.filter(|window| window.left_out() > 0) else { continue };
            if now.is_none_or(|now| window.is_over(now)) {
                *place = None;
                let level = LEVELS.get(index % LEVELS.len()).copied().unwrap_or(Level::INFO);
                told.push(LeftOut { event: EVENTS.get(index / LEVELS.len()), level, count: window.left_out() });
            } else {
                self.keep_quiet(window);
                more = true;
            }
        }
        self.holds.store(more, Ordering::Release);
        told
    }

    /// Nothing is to be told of this window before it ends. Called with the lock held.
    fn keep_quiet(&self, window: Window) {
        let [from, until] = &self.quiet;
        from.fetch_max(window.opened.millis(), Ordering::AcqRel);
        until.fetch_min(window.opened.plus(WINDOW).millis(), Ordering::AcqRel);
    }
}

fn place(event: Option<&'static Event>, level: Level) -> usize {
    let event = event.and_then(|event| EVENTS.iter().position(|other| other.name == event.name));
    let level = LEVELS.iter().position(|other| *other == level).unwrap_or_default();
    event.unwrap_or(EVENTS.len()) * LEVELS.len() + level
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_seconds(1_000_000);

    fn event(name: &str) -> Option<&'static Event> {
        let found = Event::named(name);
        assert!(found.is_some(), "{name}");
        found
    }

    fn admitted(limiter: &Limiter, name: &str, level: Level, times: u64, now: Timestamp) -> u64 {
        (0..times).map(|_| u64::from(limiter.admits(event(name), level, now))).sum()
    }

    #[test]
    fn each_window_is_told_when_it_ends_and_not_when_another_does() {
        let limiter = Limiter::new();
        let at = |seconds: u64| Timestamp::from_seconds(1_000 + seconds);
        let flood = |event: &'static Event, second| {
            for _ in 0..=MOST {
                limiter.admits(Some(event), Level::INFO, at(second));
            }
        };
        let paced: Vec<_> = EVENTS.iter().filter(|event| event.pace != Pace::Free).take(2).collect();
        flood(paced[0], 0);
        flood(paced[1], 4);
        let told = |second| {
            limiter.left_out(Some(at(second))).into_iter().map(|it| it.event.unwrap().name).collect::<Vec<_>>()
        };
        assert_eq!(told(9), [""; 0]);
        assert_eq!(told(10), [paced[0].name]);
        assert_eq!(told(13), [""; 0]);
        assert_eq!(told(14), [paced[1].name]);
        flood(paced[0], 20);
        assert_eq!(told(19), [paced[0].name], "the clock was set back");
    }

    #[test]
    fn a_flood_leaves_so_many_lines_and_one_that_counts_the_rest() {
        let limiter = Limiter::new();
        assert_eq!(admitted(&limiter, "refused", Level::INFO, 10_000, START), MOST);
        let soon = START.plus(WINDOW - Duration::from_millis(1));
        assert_eq!(limiter.left_out(Some(soon)), []);
        let over = START.plus(WINDOW);
        let left_out = LeftOut { event: event("refused"), level: Level::INFO, count: 10_000 - MOST };
        assert_eq!(limiter.left_out(Some(over)), [left_out]);
        assert_eq!(limiter.left_out(Some(over)), [], "it is told once");
        assert_eq!(admitted(&limiter, "refused", Level::INFO, 60, over), MOST);
    }

    #[test]
    fn one_kind_does_not_crowd_out_another_nor_a_worse_level_of_its_own() {
        let limiter = Limiter::new();
        admitted(&limiter, "refused", Level::INFO, 10_000, START);
        assert_eq!(admitted(&limiter, "proxy_header_refused", Level::INFO, 9, START), 9);
        assert_eq!(admitted(&limiter, "request", Level::INFO, 10_000, START), 10_000);
        admitted(&limiter, "apple_call", Level::INFO, 10_000, START);
        assert_eq!(admitted(&limiter, "apple_call", Level::ERROR, 9, START), 9);
        assert!(limiter.admits(None, Level::INFO, START));
    }

    #[test]
    fn a_few_now_and_then_are_never_left_out() {
        let limiter = Limiter::new();
        for second in 0..1000 {
            assert_eq!(admitted(&limiter, "refused", Level::INFO, 4, START.plus(Duration::from_secs(second))), 4);
        }
        assert_eq!(limiter.left_out(None), []);
    }

    #[test]
    fn nothing_is_forgotten_that_nobody_asked_for_when_its_window_was_over() {
        let limiter = Limiter::new();
        admitted(&limiter, "refused", Level::INFO, MOST + 1, START);
        assert!(!limiter.admits(event("refused"), Level::INFO, START.plus(WINDOW * 9)), "until it is told");
        assert_eq!(limiter.left_out(None).iter().map(|left| left.count).sum::<u64>(), 2);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nothing_shut() {
        let limiter = Limiter::new();
        admitted(&limiter, "refused", Level::INFO, MOST + 1, START);
        let earlier = START.minus(Duration::from_secs(3600));
        assert_eq!(limiter.left_out(Some(earlier)).len(), 1);
        assert!(limiter.admits(event("refused"), Level::INFO, earlier));
    }
}
