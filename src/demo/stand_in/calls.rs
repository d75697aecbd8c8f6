//! The record of every call, for tests to look at.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

use super::{Endpoint, ErrorCode, Service};
use crate::{clock::Timestamp, secret::Secret};

/// How many calls are kept; the counters go on.
const MOST: usize = 10_000;

/// How a call was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The HTTP status.
    pub status: u16,
    /// The OAuth error.
    pub error: Option<ErrorCode>,
    /// The reason, which the caller is not told.
    pub why: &'static str,
}

/// One call. Its values may be secrets: `Debug` shows none.
#[derive(Clone, Debug)]
pub struct Call {
    /// What was called.
    pub endpoint: Endpoint,
    /// Under which family of paths; none for the Roster API and for what does not exist.
    pub service: Option<Service>,
    /// The path, without the query.
    pub path: String,
    /// When it arrived.
    pub at: Timestamp,
    /// The header `User-Agent`.
    pub user_agent: Option<String>,
    /// The answer; none as long as there is none.
    pub outcome: Option<Outcome>,
    values: Vec<(String, Secret<Call>)>,
}

impl Call {
    pub(super) fn new(endpoint: Endpoint, service: Option<Service>, path: &str, at: Timestamp) -> Self {
        let path = path.to_owned();
        Self { endpoint, service, path, at, user_agent: None, outcome: None, values: Vec::new() }
    }

    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.values.push((name.to_owned(), Secret::new(value)));
    }

    /// The names of all parameters in their order, repeats too.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(name, _)| name.as_str())
    }

    /// The value of a parameter, or of `bearer`: the token of a Roster call. For tests only.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(key, _)| key == name).map(|(_, value)| value.expose())
    }
}

#[derive(Default)]
struct Book {
    recent: VecDeque<Call>,
    /// The number of the oldest call in `recent`.
    first: u64,
    counts: BTreeMap<Endpoint, usize>,
}

/// Counters, and the last ten thousand calls.
pub struct Calls {
    book: Mutex<Book>,
    arrivals: watch::Sender<()>,
}

/// The place of a call in the record.
#[derive(Clone, Copy)]
pub(super) struct CallNumber(u64);

impl Calls {
    pub(super) fn new() -> Self {
        Self { book: Mutex::default(), arrivals: watch::Sender::new(()) }
    }

    /// How often `endpoint` was called since the start, or since the last [`Calls::clear`].
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.book().counts.get(&endpoint).copied().unwrap_or_default()
    }

    /// All calls that are kept, oldest first.
    #[must_use]
    pub fn all(&self) -> Vec<Call> {
        self.book().recent.iter().cloned().collect()
    }

    /// The calls of `endpoint` that are kept, oldest first.
    #[must_use]
    pub fn of(&self, endpoint: Endpoint) -> Vec<Call> {
        self.book().recent.iter().filter(|call| call.endpoint == endpoint).cloned().collect()
    }

    /// The last call of `endpoint`.
    #[must_use]
    pub fn last(&self, endpoint: Endpoint) -> Option<Call> {
        self.book().recent.iter().rev().find(|call| call.endpoint == endpoint).cloned()
    }

    /// Forgets all calls and sets the counters to zero.
    pub fn clear(&self) {
        let mut book = self.book();
        book.first += u64::try_from(book.recent.len()).unwrap_or(u64::MAX);
        book.recent.clear();
        book.counts.clear();
    }

    /// Resolves once `endpoint` was called `times` times. A call counts when it arrives, not when it is answered.
    pub async fn reached(&self, endpoint: Endpoint, times: usize) {
        let mut arrivals = self.arrivals.subscribe();
        // The sender lives as long as `self`, so there is no error.
        let _ = arrivals.wait_for(|()| self.count(endpoint) >= times).await;
    }

    pub(super) fn arrived(&self, call: Call) -> CallNumber {
        let number = {
            let mut book = self.book();
            *book.counts.entry(call.endpoint).or_default() += 1;
            book.recent.push_back(call);
            if book.recent.len() > MOST {
                book.recent.pop_front();
                book.first += 1;
            }
            book.first + u64::try_from(book.recent.len()).unwrap_or(u64::MAX) - 1
        };
        self.arrivals.send_replace(());
        CallNumber(number)
    }

    pub(super) fn answered(&self, number: CallNumber, outcome: Outcome) {
        let mut book = self.book();
        let place = number.0.checked_sub(book.first).and_then(|place| usize::try_from(place).ok());
        if let Some(call) = place.and_then(|place| book.recent.get_mut(place)) {
            call.outcome = Some(outcome);
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(endpoint: Endpoint) -> Call {
        let mut call = Call::new(endpoint, Some(Service::Organization), "/", Timestamp::from_seconds(0));
        call.add("code", "secret");
        call
    }

    fn outcome(status: u16) -> Outcome {
        Outcome { status, error: None, why: "" }
    }

    #[test]
    fn a_call_counts_when_it_arrives_and_gets_its_outcome_later() {
        let calls = Calls::new();
        let first = calls.arrived(call(Endpoint::Exchange));
        calls.arrived(call(Endpoint::Keys));
        assert_eq!((calls.count(Endpoint::Exchange), calls.count(Endpoint::Refresh)), (1, 0));
        assert!(calls.last(Endpoint::Exchange).unwrap().outcome.is_none());
        calls.answered(first, outcome(200));
        assert_eq!(calls.last(Endpoint::Exchange).unwrap().outcome, Some(outcome(200)));
        assert_eq!(calls.all().len(), 2);
    }

    #[test]
    fn an_outcome_that_comes_after_clear_or_after_ten_thousand_others_is_dropped() {
        let calls = Calls::new();
        let first = calls.arrived(call(Endpoint::Keys));
        calls.clear();
        calls.arrived(call(Endpoint::Keys));
        calls.answered(first, outcome(200));
        assert!(calls.all()[0].outcome.is_none());
        for _ in 0..MOST {
            calls.arrived(call(Endpoint::Keys));
        }
        assert_eq!((calls.all().len(), calls.count(Endpoint::Keys)), (MOST, MOST + 1));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let call = call(Endpoint::Exchange);
        let shown = format!("{call:?}");
        assert!(shown.contains("code") && !shown.contains("secret"), "{shown}");
        assert_eq!(call.value("code"), Some("secret"));
    }
}
