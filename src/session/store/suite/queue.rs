//! Clauses on the queue of revocations.

use std::time::Duration;

use super::{Bench, MARGIN, MINUTE};
use crate::{
    apple::Revocable,
    clock::Timestamp,
    secret::Secret,
    session::{Handle, Queue, Revocation, Waiting, testing::all_of_waiting},
};

const TICK: Duration = Duration::from_millis(1);

/// A revocation that waits since `queued`, with a name for the eye.
fn since(bench: &Bench, queued: Timestamp) -> Waiting {
    Waiting { queued, ..bench.waiting() }
}

fn names(waiting: &[Waiting]) -> Vec<&str> {
    waiting.iter().map(|waiting| waiting.id.as_str()).collect()
}

async fn queue(bench: &Bench) -> Queue {
    bench.store.queue().await.unwrap()
}

pub(crate) async fn what_is_queued_comes_back_exactly_as_it_was(bench: &Bench) {
    let handle = || Handle::parse("a-handle:1").unwrap();
    let refresh = Revocation { handle: handle(), token: Revocable::Refresh(Secret::new("r".repeat(20_000))) };
    let access = Revocation { handle: handle(), token: Revocable::Access(Secret::new("\"an\\ access\u{e9}")) };
    for revocation in [refresh, access] {
        let waiting = Waiting { revocation, tries: 41, ..since(bench, bench.now().minus(TICK * 7)) };
        bench.enqueue(&waiting).await;
        let claimed = bench.claim(10).await;
        assert_eq!(claimed.iter().map(all_of_waiting).collect::<Vec<_>>(), [all_of_waiting(&waiting)]);
    }
}

pub(crate) async fn an_empty_queue_has_nothing_to_do(bench: &Bench) {
    assert_eq!(queue(bench).await, Queue { length: 0, next_due: None });
    assert!(bench.claim(10).await.is_empty());
}

pub(crate) async fn the_oldest_is_claimed_first(bench: &Bench) {
    let now = bench.now();
    let at: Vec<_> = [3, 1, 5, 2, 4].map(|age| since(bench, now.minus(MINUTE * age))).into();
    for waiting in &at {
        bench.enqueue(waiting).await;
    }
    let in_order = [&at[2].id, &at[4].id, &at[0].id, &at[3].id, &at[1].id];
    assert_eq!(names(&bench.claim(10).await), in_order);
}

pub(crate) async fn no_more_is_claimed_than_was_asked_for(bench: &Bench) {
    let now = bench.now();
    let at: Vec<_> = [4, 3, 2, 1].map(|age| since(bench, now.minus(MINUTE * age))).into();
    for waiting in at.iter().rev() {
        bench.enqueue(waiting).await;
    }
    assert_eq!(names(&bench.claim(1).await), names(&at[..1]));
    assert_eq!(names(&bench.claim(2).await), names(&at[1..3]));
    assert_eq!(names(&bench.claim(2).await), names(&at[3..]));
    assert!(bench.claim(1).await.is_empty());
}

pub(crate) async fn what_is_not_due_is_not_claimed(bench: &Bench) {
    let (early, late) = (bench.waiting(), bench.waiting());
    bench.enqueue(&early).await;
    bench.enqueue(&late).await;
    bench.store.postpone(&late, bench.now().plus(MINUTE)).await.unwrap();
    let now = bench.now();
    assert_eq!(names(&bench.store.claim(now, now.plus(MINUTE * 9), 10).await.unwrap()), [&early.id]);
    let before = now.plus(MINUTE).minus(TICK);
    assert!(bench.store.claim(before, now.plus(MINUTE * 9), 10).await.unwrap().is_empty());
    let then = now.plus(MINUTE);
    assert_eq!(names(&bench.store.claim(then, now.plus(MINUTE * 9), 10).await.unwrap()), [&late.id]);
}

pub(crate) async fn what_is_claimed_is_hidden_until_its_time(bench: &Bench) {
    let waiting = bench.waiting();
    bench.enqueue(&waiting).await;
    let now = bench.now();
    for round in 1..4 {
        let (from, until) = (now.plus(MINUTE * (round - 1)), now.plus(MINUTE * round));
        let claimed = bench.store.claim(from, until, 10).await.unwrap();
        assert_eq!(claimed.iter().map(all_of_waiting).collect::<Vec<_>>(), [all_of_waiting(&waiting)]);
        assert!(bench.store.claim(from, until, 10).await.unwrap().is_empty());
        assert!(bench.store.claim(until.minus(TICK), until, 10).await.unwrap().is_empty());
    }
}

pub(crate) async fn what_is_postponed_has_its_new_tries_and_its_new_time(bench: &Bench) {
    let waiting = bench.waiting();
    bench.enqueue(&waiting).await;
    let other = since(bench, bench.now().minus(MINUTE));
    bench.enqueue(&other).await;
    let mut claimed = bench.claim(2).await.pop().unwrap();
    assert_eq!(claimed.id, waiting.id);
    claimed.tries = 3;
    let due = bench.now().plus(MINUTE * 10);
    bench.store.postpone(&claimed, due).await.unwrap();
    assert_eq!(queue(bench).await, Queue { length: 2, next_due: Some(bench.now().plus(MINUTE)) });
    bench.store.settle(&other).await.unwrap();
    assert_eq!(queue(bench).await, Queue { length: 1, next_due: Some(due) });
    assert!(bench.store.claim(due.minus(TICK), due.plus(MINUTE), 1).await.unwrap().is_empty());
    let again = bench.store.claim(due, due.plus(MINUTE), 10).await.unwrap();
    let expected = Waiting { tries: 3, ..waiting };
    assert_eq!(again.iter().map(all_of_waiting).collect::<Vec<_>>(), [all_of_waiting(&expected)]);
}

/// The first pause is shorter than a claim.
pub(crate) async fn what_is_postponed_may_be_due_before_the_claim_was_over(bench: &Bench) {
    bench.enqueue(&bench.waiting()).await;
    let claimed = bench.claim(1).await.pop().unwrap();
    let due = bench.now().plus(MARGIN);
    bench.store.postpone(&Waiting { tries: 1, ..claimed }, due).await.unwrap();
    assert_eq!(queue(bench).await.next_due, Some(due));
    assert_eq!(bench.store.claim(due, due.plus(MINUTE), 1).await.unwrap()[0].tries, 1);
}

pub(crate) async fn what_is_settled_never_comes_back(bench: &Bench) {
    bench.enqueue(&bench.waiting()).await;
    let claimed = bench.claim(1).await.pop().unwrap();
    bench.store.settle(&claimed).await.unwrap();
    assert_eq!(queue(bench).await, Queue::default());
    bench.store.settle(&claimed).await.unwrap();
    bench.store.postpone(&Waiting { tries: 1, ..claimed }, bench.now()).await.unwrap();
    assert_eq!(queue(bench).await, Queue::default());
    bench.pass(MINUTE * 2);
    assert!(bench.claim(10).await.is_empty());
}

pub(crate) async fn settling_one_leaves_the_others(bench: &Bench) {
    let (one, two, three) = (bench.waiting(), bench.waiting(), bench.waiting());
    for waiting in [&one, &two, &three] {
        bench.enqueue(waiting).await;
    }
    // Settled by whoever claimed it, or by anybody before.
    bench.store.settle(&two).await.unwrap();
    assert_eq!(queue(bench).await.length, 2);
    let claimed = bench.claim(10).await;
    let mut left = names(&claimed);
    left.sort_unstable();
    let mut expected = [one.id.as_str(), three.id.as_str()];
    expected.sort_unstable();
    assert_eq!(left, expected);
}

pub(crate) async fn the_queue_tells_its_length_and_when_there_is_something_to_do(bench: &Bench) {
    let now = bench.now();
    let (older, newer) = (since(bench, now.minus(MINUTE)), since(bench, now));
    bench.enqueue(&newer).await;
    assert_eq!(queue(bench).await, Queue { length: 1, next_due: Some(now) });
    bench.enqueue(&older).await;
    assert_eq!(queue(bench).await, Queue { length: 2, next_due: Some(now.minus(MINUTE)) });
    assert_eq!(names(&bench.claim(1).await), [&older.id]);
    assert_eq!(queue(bench).await, Queue { length: 2, next_due: Some(now) }, "what somebody works on counts");
    assert_eq!(names(&bench.claim(1).await), [&newer.id]);
    assert_eq!(queue(bench).await, Queue { length: 2, next_due: Some(now.plus(MINUTE)) });
    bench.store.settle(&newer).await.unwrap();
    bench.store.settle(&older).await.unwrap();
    assert_eq!(queue(bench).await, Queue::default());
}
