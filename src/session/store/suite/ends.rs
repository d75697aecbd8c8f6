//! Clauses on ends: a removed session is gone for good, and its revocation is queued.

use std::sync::Arc;

use super::{Bench, a_key, next, of_organization, of_person};
use crate::session::{
    End, Removal, Revocation, Stored, Waiting,
    testing::{all_of, all_of_waiting},
};

const GONE: Removal = Removal::Removed { queued: false };
const GONE_AND_QUEUED: Removal = Removal::Removed { queued: true };

pub(crate) async fn a_removed_session_is_nowhere(bench: &Bench) {
    let record = bench.record("anna", Some("org-1"));
    let key = bench.keep(record.clone()).await;
    bench.assert_there(&key).await;
    assert_eq!(bench.remove(&key).await, GONE);
    bench.assert_gone(&key, &record).await;
    assert_eq!(bench.store.count().await, Ok(0));
}

pub(crate) async fn a_removal_ends_one_session_and_no_other(bench: &Bench) {
    let ended = bench.keep(bench.record("anna", Some("org-1"))).await;
    let same_person = bench.keep(bench.record("anna", Some("org-1"))).await;
    let same_organization = bench.keep(bench.record("ben", Some("org-1"))).await;
    assert_eq!(bench.remove(&ended).await, GONE);
    bench.assert_there(&same_person).await;
    bench.assert_there(&same_organization).await;
    assert!(bench.keys_of(&of_person("anna")).await == [same_person].into());
    assert!(bench.keys_of(&of_organization("org-1")).await == [same_person, same_organization].into());
}

pub(crate) async fn several_ends_are_answered_in_order(bench: &Bench) {
    let (gone, newer, kept) = (bench.session("anna").await, bench.session("ben").await, bench.session("carl").await);
    let revoked = bench.session("dora").await;
    assert!(bench.refresh(&newer).await);
    let waiting = bench.waiting();
    let end = |key, expected, revocation| End { key, expected, revocation };
    let ends = vec![
        end(a_key(), None, Some(bench.waiting())),
        end(gone, Some(0), None),
        end(newer, Some(0), Some(bench.waiting())),
        end(revoked, Some(0), Some(waiting.clone())),
        end(a_key(), Some(0), None),
    ];
    let answers = bench.store.remove(ends).await.unwrap();
    assert_eq!(answers, [Removal::Absent, GONE, Removal::Changed, GONE_AND_QUEUED, Removal::Absent]);
    let left = [bench.has(&gone).await, bench.has(&newer).await, bench.has(&revoked).await, bench.has(&kept).await];
    assert_eq!(left, [false, true, false, true]);
    let queued: Vec<_> = bench.claim(10).await.iter().map(all_of_waiting).collect();
    assert_eq!(queued, [all_of_waiting(&waiting)]);
}

pub(crate) async fn a_session_that_is_named_twice_ends_once(bench: &Bench) {
    let key = bench.session("anna").await;
    let end = || End { key, expected: None, revocation: Some(bench.waiting()) };
    assert_eq!(bench.store.remove(vec![end(), end()]).await.unwrap(), [GONE_AND_QUEUED, Removal::Absent]);
    assert_eq!(bench.store.queue().await.unwrap().length, 1);
}

pub(crate) async fn a_hundred_sessions_end_in_one_call(bench: &Bench) {
    let all = bench.sessions("anna", 100).await;
    let other = bench.session("ben").await;
    let ends = all.iter().map(|key| End { key: *key, expected: Some(0), revocation: Some(bench.waiting()) }).collect();
    assert_eq!(bench.store.remove(ends).await.unwrap(), [GONE_AND_QUEUED; 100]);
    assert!(bench.keys_of(&of_person("anna")).await.is_empty());
    assert!(bench.pages(1_000).await == [other]);
    assert_eq!(bench.store.queue().await.unwrap().length, 100);
}

pub(crate) async fn nothing_to_end_is_nothing_done(bench: &Bench) {
    let key = bench.session("anna").await;
    assert_eq!(bench.store.remove(vec![]).await.unwrap(), []);
    bench.assert_there(&key).await;
}

pub(crate) async fn a_session_of_another_generation_stays_and_nothing_is_queued(bench: &Bench) {
    let key = bench.session("anna").await;
    assert!(bench.refresh(&key).await);
    let there = all_of(&bench.find(&key).await.unwrap().record);
    for other in [0, 2, u64::MAX] {
        assert_eq!(bench.remove_with(&key, Some(other), Some(bench.waiting())).await, Removal::Changed);
    }
    bench.assert_there(&key).await;
    assert_eq!(all_of(&bench.find(&key).await.unwrap().record), there);
    assert_eq!(bench.store.queue().await.unwrap().length, 0);
    assert_eq!(bench.remove_with(&key, Some(1), None).await, GONE);
}

pub(crate) async fn without_an_expected_generation_any_goes(bench: &Bench) {
    let (fresh, newer) = (bench.session("anna").await, bench.session("ben").await);
    assert!(bench.refresh(&newer).await);
    for key in [fresh, newer] {
        assert_eq!(bench.remove_with(&key, None, Some(bench.waiting())).await, GONE_AND_QUEUED);
        assert!(!bench.has(&key).await);
    }
}

pub(crate) async fn what_is_not_there_is_absent_and_nothing_is_queued(bench: &Bench) {
    let ended = bench.session("anna").await;
    bench.remove(&ended).await;
    for key in [ended, a_key()] {
        for expected in [None, Some(0)] {
            assert_eq!(bench.remove_with(&key, expected, Some(bench.waiting())).await, Removal::Absent);
        }
    }
    assert_eq!(bench.store.queue().await.unwrap().length, 0);
}

pub(crate) async fn a_revocation_is_queued_with_the_end_as_it_was_given(bench: &Bench) {
    let mut record = bench.record("anna", None);
    for refresh in [record.grant.refresh_token.take(), None] {
        record.grant.refresh_token = refresh;
        let waiting = Waiting { tries: 2, revocation: Revocation::of(&record), ..bench.waiting() };
        let key = bench.keep(record.clone()).await;
        assert_eq!(bench.store.queue().await.unwrap().length, 0);
        assert_eq!(bench.remove_with(&key, Some(0), Some(waiting.clone())).await, GONE_AND_QUEUED);
        assert_eq!(bench.store.queue().await.unwrap().length, 1);
        let claimed = bench.claim(10).await;
        assert_eq!(claimed.iter().map(all_of_waiting).collect::<Vec<_>>(), [all_of_waiting(&waiting)]);
        bench.store.settle(&claimed[0]).await.unwrap();
    }
}

pub(crate) async fn an_end_without_a_revocation_queues_none(bench: &Bench) {
    let key = bench.session("anna").await;
    assert_eq!(bench.remove_with(&key, Some(0), None).await, GONE);
    let queue = bench.store.queue().await.unwrap();
    assert_eq!((queue.length, queue.next_due), (0, None));
}

/// Neither a use that is told late nor a refresh that was under way brings it back.
pub(crate) async fn a_removed_session_never_comes_back(bench: &Bench) {
    let record = bench.record("anna", Some("org-1"));
    let key = bench.keep(record.clone()).await;
    let Stored { record: last, .. } = bench.find(&key).await.unwrap();
    bench.remove(&key).await;
    bench.touch(&key, bench.now()).await;
    assert_eq!(bench.store.replace(&key, 0, Arc::new(next(&last))).await, Ok(false));
    assert_eq!(bench.store.replace(&key, 1, Arc::new(next(&last))).await, Ok(false));
    bench.store.sweep(bench.now()).await.unwrap();
    bench.assert_gone(&key, &record).await;
    assert_eq!(bench.remove(&key).await, Removal::Absent);
    assert_eq!(bench.store.count().await, Ok(0));
}
