//! The contract of [`Store`], as tests that every store passes.
//!
//! A store's test module says `store_contract!(make)` with `async fn make() -> Bench`, which makes a
//! store of its own for each clause. Each clause is a test with the name of what it promises. A clause
//! that is missing from the list below is dead code, and the compiler says so.
//!
//! What a store of one kind alone can show is in its own tests: records that do not open, a full queue,
//! the end of the process, a store that is gone.

pub(crate) mod concurrency;
pub(crate) mod ends;
pub(crate) mod expiry;
pub(crate) mod leases;
pub(crate) mod marks;
pub(crate) mod notes;
pub(crate) mod queue;
pub(crate) mod sessions;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use super::{End, Lease, Removal, Selector, Store, Stored};
use crate::{
    clock::{Clock, ManualClock, Timestamp},
    entropy::SystemEntropy,
    identity::{Organization, Subject},
    session::{Record, Revocation, SessionId, SessionKey, Waiting, testing::record_of},
};

/// The tests that hold a store to its contract: one for each clause.
macro_rules! store_contract {
    ($make:path) => {
        $crate::session::store::suite::store_contract! { @each $make;
            sessions {
                a_store_that_works_is_ready,
                a_record_comes_back_exactly_as_it_was_with_its_secrets,
                a_record_without_what_may_be_missing_comes_back_without_it,
                a_record_with_the_longest_tokens_comes_back,
                a_stranger_key_finds_nothing,
                the_latest_use_is_kept,
                an_earlier_time_changes_nothing,
                a_touch_brings_no_session_back_and_makes_none,
                a_newer_record_takes_the_place_of_the_expected_generation,
                a_record_that_lost_the_race_changes_nothing,
                there_is_nothing_to_replace_where_nothing_is,
                a_new_record_keeps_when_the_session_was_last_used,
                a_session_is_found_by_its_handle_by_its_person_and_by_their_organization,
                all_sessions_of_a_person_are_found,
                subjects_that_differ_in_case_are_different_people,
                names_that_look_like_others_stay_apart,
                a_replaced_record_is_still_found_by_its_names,
                pages_of_any_size_show_every_session_once_in_the_order_of_keys,
                every_session_counts_once,
                who_listens_hears_of_every_change_that_a_caller_may_not_know_of,
            }
            ends {
                a_removed_session_is_nowhere,
                a_removal_ends_one_session_and_no_other,
                several_ends_are_answered_in_order,
                a_session_that_is_named_twice_ends_once,
                a_hundred_sessions_end_in_one_call,
                nothing_to_end_is_nothing_done,
                a_session_of_another_generation_stays_and_nothing_is_queued,
                without_an_expected_generation_any_goes,
                what_is_not_there_is_absent_and_nothing_is_queued,
                a_revocation_is_queued_with_the_end_as_it_was_given,
                an_end_without_a_revocation_queues_none,
                a_removed_session_never_comes_back,
            }
            expiry {
                a_session_is_kept_until_it_has_been_idle_too_long,
                a_session_that_is_used_is_kept,
                a_use_that_is_told_late_counts_from_when_it_was,
                a_replaced_record_is_kept_as_long_as_the_old_one,
                a_session_that_is_used_is_kept_until_it_is_too_old,
                a_sweep_takes_what_was_idle_too_long_and_nothing_sooner,
                a_sweep_takes_what_is_too_old_however_much_it_was_used,
                a_sweep_spares_what_was_used_meanwhile,
                what_was_swept_is_nowhere_and_stays_away,
                a_sweep_leaves_the_queue_alone,
                a_sweep_spares_leases_and_cool_downs_that_last,
                names_outlive_the_first_session_that_they_led_to,
            }
            leases {
                a_lease_is_granted_to_one,
                its_holder_may_take_a_lease_again_and_has_it_longer,
                a_lease_ends_when_its_time_is_over,
                a_lease_that_was_given_back_is_free,
                nobody_gives_back_the_lease_of_another,
                a_lease_that_was_lost_cannot_be_given_back,
                a_cool_down_keeps_everybody_away_until_it_is_over,
                nobody_ends_a_cool_down,
                who_has_no_lease_cannot_start_a_cool_down,
                leases_of_different_sessions_are_apart,
                a_lease_says_nothing_of_the_session,
            }
            marks {
                a_mark_is_set_once,
                marks_are_apart,
                a_mark_is_over_after_its_time_and_can_be_set_anew,
                a_second_try_makes_a_mark_neither_longer_nor_shorter,
                a_sweep_spares_a_mark_that_lasts,
            }
            notes {
                a_note_comes_back_as_it_was_written,
                names_of_notes_are_apart,
                a_note_is_made_once,
                a_note_is_replaced_by_whoever_has_seen_it_as_it_is,
                a_note_that_says_the_same_again_is_another,
                a_note_is_taken_away_once,
                there_is_nothing_to_take_where_nothing_is,
                a_note_of_another_name_is_not_what_was_expected,
                the_longest_note_comes_back_and_a_longer_one_is_not_taken,
                a_note_is_over_after_its_time_and_nobody_has_it_then,
                a_note_that_is_over_can_be_made_anew,
                a_new_value_is_kept_for_its_own_time,
                a_sweep_spares_a_note_that_lasts,
                many_notes_come_and_go_and_leave_room,
            }
            queue {
                what_is_queued_comes_back_exactly_as_it_was,
                an_empty_queue_has_nothing_to_do,
                the_oldest_is_claimed_first,
                no_more_is_claimed_than_was_asked_for,
                what_is_not_due_is_not_claimed,
                what_is_claimed_is_hidden_until_its_time,
                what_is_postponed_has_its_new_tries_and_its_new_time,
                what_is_postponed_may_be_due_before_the_claim_was_over,
                what_is_settled_never_comes_back,
                settling_one_leaves_the_others,
                the_queue_tells_its_length_and_when_there_is_something_to_do,
            }
            concurrency {
                many_sessions_at_once_are_all_kept,
                of_many_replacements_of_one_generation_one_wins,
                no_replacement_brings_an_ended_session_back,
                no_touch_brings_an_ended_session_back,
                of_many_removals_of_one_session_one_removes_it,
                an_end_and_its_revocation_are_one_step,
                uses_and_changes_at_once_are_both_kept,
                a_session_that_was_seen_alive_after_its_use_is_not_swept,
                of_many_who_mark_one_is_first,
                of_many_who_make_a_note_one_does,
                of_many_who_take_a_note_one_has_it,
                no_change_of_a_note_is_lost,
                of_many_who_ask_for_a_lease_one_gets_it,
                no_two_workers_claim_the_same,
            }
        }
    };
    (@each $make:path; $($part:ident { $($clause:ident,)* })*) => { $($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $clause() {
            let bench = $make().await;
            let clause = $crate::session::store::suite::$part::$clause(&bench);
            let patience = $crate::session::store::suite::PATIENCE;
            tokio::time::timeout(patience, clause).await.expect("the clause comes to an end");
        }
    )*)* };
}
pub(crate) use store_contract;

/// How long a clause may take: one that waits for what a broken store never does fails instead.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// How far from the end of something a test looks: a server's clock runs on while a test runs.
pub(super) const MARGIN: Duration = Duration::from_secs(5);

pub(super) const MINUTE: Duration = Duration::from_secs(60);

/// A store on the bench, with the time in the test's hand.
pub(crate) struct Bench {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    /// Moves the time of a server that has its own clock.
    pub(crate) elsewhere: Option<Box<dyn Fn(Duration) + Send + Sync>>,
    /// What must live as long as the store: a folder, a server.
    #[allow(dead_code, reason = "it is there to be dropped, after the store")]
    pub(crate) keeps: Box<dyn std::any::Any + Send + Sync>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.fmt(f)
    }
}

impl Bench {
    /// Lets time pass, here and where the store lives.
    pub(crate) fn pass(&self, while_: Duration) {
        self.clock.advance(while_);
        if let Some(elsewhere) = &self.elsewhere {
            elsewhere(while_);
        }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A new record of a person, made now; no store knows it.
    fn record(&self, subject: &str, organization: Option<&str>) -> Record {
        record_of(subject, organization, self.now())
    }

    /// Keeps a record under a new key, last used when it was made.
    async fn keep(&self, record: Record) -> SessionKey {
        let key = a_key();
        let last_seen = record.created;
        self.store.insert(key, Stored { record: Arc::new(record), last_seen }).await.unwrap();
        key
    }

    /// A new session of a person without an organization.
    async fn session(&self, subject: &str) -> SessionKey {
        self.keep(self.record(subject, None)).await
    }

    /// So many new sessions of one person, kept at once.
    async fn sessions(&self, subject: &str, many: usize) -> BTreeSet<SessionKey> {
        futures_util::future::join_all((0..many).map(|_| self.session(subject))).await.into_iter().collect()
    }

    async fn find(&self, key: &SessionKey) -> Option<Stored> {
        self.store.find(key).await.unwrap()
    }

    async fn has(&self, key: &SessionKey) -> bool {
        self.find(key).await.is_some()
    }

    async fn touch(&self, key: &SessionKey, at: Timestamp) {
        self.store.touch(&[(*key, at)]).await.unwrap();
    }

    /// Puts a record with the next generation and another access token in the place of the present one.
    async fn refresh(&self, key: &SessionKey) -> bool {
        let old = self.find(key).await.unwrap().record;
        self.store.replace(key, old.generation, Arc::new(next(&old))).await.unwrap()
    }

    async fn remove(&self, key: &SessionKey) -> Removal {
        self.remove_with(key, None, None).await
    }

    async fn remove_with(&self, key: &SessionKey, expected: Option<u64>, revocation: Option<Waiting>) -> Removal {
        let removals = self.store.remove(vec![End { key: *key, expected, revocation }]).await.unwrap();
        assert_eq!(removals.len(), 1);
        removals[0]
    }

    async fn keys_of(&self, whose: &Selector) -> BTreeSet<SessionKey> {
        let keys = self.store.keys_of(whose).await.unwrap();
        let set: BTreeSet<_> = keys.iter().copied().collect();
        assert_eq!(set.len(), keys.len(), "a session is named twice");
        set
    }

    /// Every session, read in pages of `most`.
    async fn pages(&self, most: usize) -> Vec<SessionKey> {
        let mut all: Vec<SessionKey> = Vec::new();
        loop {
            let page = self.store.page(all.last(), most).await.unwrap();
            assert!(page.len() <= most);
            assert!(page.iter().all(|(key, _)| all.last().is_none_or(|last| key > last)), "a page goes back");
            if page.is_empty() {
                return all;
            }
            all.extend(page.iter().map(|(key, _)| *key));
        }
    }

    /// Sees to it that a session is nowhere: not under its key, not by its names, not in the list.
    async fn assert_gone(&self, key: &SessionKey, record: &Record) {
        assert!(!self.has(key).await);
        for whose in selectors(record) {
            assert!(!self.keys_of(&whose).await.contains(key), "{whose:?}");
        }
        assert!(!self.pages(100).await.contains(key));
    }

    /// Sees to it that a session is whole: under its key, by its names, in the list.
    async fn assert_there(&self, key: &SessionKey) {
        let record = self.find(key).await.expect("the session is there").record;
        for whose in selectors(&record) {
            assert!(self.keys_of(&whose).await.contains(key), "{whose:?}");
        }
        assert!(self.pages(100).await.contains(key));
    }

    /// Queues a revocation that belongs to nobody.
    async fn enqueue(&self, waiting: &Waiting) {
        assert!(self.store.enqueue(waiting.clone()).await.unwrap());
    }

    /// What is claimed now, for a minute.
    async fn claim(&self, most: usize) -> Vec<Waiting> {
        let now = self.now();
        self.store.claim(now, now.plus(MINUTE), most).await.unwrap()
    }

    /// A revocation that is queued now.
    fn waiting(&self) -> Waiting {
        Waiting::new(Revocation::of(&self.record("anna", None)), self.now(), &SystemEntropy)
    }
}

fn a_key() -> SessionKey {
    SessionId::draw(&SystemEntropy).key()
}

/// What a refresh would put in the place of a record.
fn next(old: &Record) -> Record {
    let mut record = Record { generation: old.generation + 1, ..old.clone() };
    record.grant.access_token = crate::secret::Secret::new(format!("access-of-{}", record.generation));
    record
}

fn of_person(name: &str) -> Selector {
    Selector::Subject(Subject::parse(name).unwrap())
}

fn of_organization(name: &str) -> Selector {
    Selector::Organization(Organization::parse(name).unwrap())
}

/// All that a session is found by.
fn selectors(record: &Record) -> Vec<Selector> {
    let mut all = vec![Selector::Handle(record.handle.clone()), Selector::Subject(record.person.subject.clone())];
    all.extend(record.person.organization.clone().map(Selector::Organization));
    all
}

/// How long a lease cools, when it does.
fn cooling(lease: Lease) -> Option<Duration> {
    match lease {
        Lease::Cooling(rest) => Some(rest),
        Lease::Granted | Lease::Held => None,
    }
}
