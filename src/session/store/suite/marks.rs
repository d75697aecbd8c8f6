//! Clauses on marks: what happens once.

use super::{Bench, MARGIN, MINUTE};
use crate::session::Mark;

pub(crate) async fn a_mark_is_set_once(bench: &Bench) {
    let mark = Mark::of("jti", "1");
    assert_eq!(bench.store.is_marked(&mark).await, Ok(false));
    assert_eq!(bench.store.mark(&mark, MINUTE).await, Ok(true));
    for _ in 0..2 {
        assert_eq!(bench.store.mark(&mark, MINUTE).await, Ok(false));
        assert_eq!(bench.store.is_marked(&mark).await, Ok(true));
    }
}

pub(crate) async fn marks_are_apart(bench: &Bench) {
    assert_eq!(bench.store.mark(&Mark::of("jti", "1"), MINUTE).await, Ok(true));
    for other in [Mark::of("jti", "2"), Mark::of("state", "1"), Mark::of("jti1", ""), Mark::of("", "jti1")] {
        assert_eq!(bench.store.is_marked(&other).await, Ok(false));
        assert_eq!(bench.store.mark(&other, MINUTE).await, Ok(true));
    }
}

/// With a sweep and without one.
pub(crate) async fn a_mark_is_over_after_its_time_and_can_be_set_anew(bench: &Bench) {
    let mark = Mark::of("jti", "1");
    for sweeps in [false, true] {
        assert_eq!(bench.store.mark(&mark, MINUTE).await, Ok(true));
        bench.pass(MINUTE - MARGIN);
        assert_eq!(bench.store.is_marked(&mark).await, Ok(true));
        bench.pass(MARGIN * 2);
        if sweeps {
            bench.store.sweep(bench.now()).await.unwrap();
        }
        assert_eq!(bench.store.is_marked(&mark).await, Ok(false));
    }
    assert_eq!(bench.store.mark(&mark, MINUTE).await, Ok(true));
    assert_eq!(bench.store.is_marked(&mark).await, Ok(true));
}

/// Else whoever tries in vain would decide how long a thing stays used.
pub(crate) async fn a_second_try_makes_a_mark_neither_longer_nor_shorter(bench: &Bench) {
    let mark = Mark::of("jti", "1");
    assert_eq!(bench.store.mark(&mark, MINUTE * 5).await, Ok(true));
    assert_eq!(bench.store.mark(&mark, MARGIN).await, Ok(false));
    bench.pass(MINUTE * 4);
    assert_eq!(bench.store.is_marked(&mark).await, Ok(true));
    assert_eq!(bench.store.mark(&mark, MINUTE * 60).await, Ok(false));
    bench.pass(MINUTE + MARGIN);
    assert_eq!(bench.store.is_marked(&mark).await, Ok(false));
}

pub(crate) async fn a_sweep_spares_a_mark_that_lasts(bench: &Bench) {
    let mark = Mark::of("jti", "1");
    assert_eq!(bench.store.mark(&mark, MINUTE).await, Ok(true));
    bench.pass(MINUTE - MARGIN);
    bench.store.sweep(bench.now()).await.unwrap();
    assert_eq!(bench.store.mark(&mark, MINUTE).await, Ok(false));
}
