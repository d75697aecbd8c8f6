//! Clauses on sessions that live: kept, found, used, changed, listed.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{Bench, MARGIN, MINUTE, a_key, next, of_organization, of_person, selectors};
use crate::{
    apple::Revocable,
    clock::Timestamp,
    identity::{Email, Person, ScopeSet},
    secret::Secret,
    session::{
        Device, Handle, IdToken, Listener, Record, Removal, Revocation, Selector, SessionKey, Sharing, Stored,
        testing::{all_of, person},
    },
};

/// How long a change may take to be told.
const PATIENCE: Duration = Duration::from_secs(10);

const POLL: Duration = Duration::from_millis(5);

pub(crate) async fn a_store_that_works_is_ready(bench: &Bench) {
    assert_eq!(bench.store.ready().await, Ok(()));
    bench.session("anna").await;
    assert_eq!(bench.store.ready().await, Ok(()));
}

/// Every field has a value that it would not have by itself.
fn full_record(bench: &Bench) -> Record {
    let mut record = bench.record("anna", Some("org-1"));
    record.person = Person {
        email: Some(Email { address: "anna@school.example".into(), verified: true }),
        is_private_email: Some(true),
        auth_time: Some(7),
        ..record.person
    };
    let claims = [("role".to_owned(), "\"quoted\"\\ \u{e9} \u{1f600}\n\0".to_owned()), ("n".to_owned(), String::new())];
    record.id_token = IdToken::with_claims(&Secret::new("the.raw.token"), &record.person, claims.into());
    record.grant.access_token = Secret::new("the access token");
    record.grant.access_expires_at = Timestamp::from_millis(1_234_567_891);
    record.grant.refresh_token = Some(Secret::new("the refresh token"));
    record.grant.refreshed_at = Some(Timestamp::from_millis(1_234_567_001));
    record.grant.scopes = ScopeSet::parse("openid edu.users.read").unwrap();
    record.asked = ScopeSet::parse("openid edu.users.read edu.classes.read").unwrap();
    record.device = Device::new("2001:db8::7".parse().unwrap(), Some("Mozilla/5.0 (\u{e9})"));
    record.created = Timestamp::from_millis(bench.now().millis() - 1);
    record.generation = 3;
    record
}

pub(crate) async fn a_record_comes_back_exactly_as_it_was_with_its_secrets(bench: &Bench) {
    let (key, record) = (a_key(), full_record(bench));
    let last_seen = Timestamp::from_millis(bench.now().millis() + 1);
    bench.store.insert(key, Stored { record: Arc::new(record.clone()), last_seen }).await.unwrap();
    let found = bench.find(&key).await.unwrap();
    assert_eq!(all_of(&found.record), all_of(&record));
    assert_eq!(found.last_seen, last_seen);
    let page = bench.store.page(None, 1).await.unwrap();
    assert!(page[0].0 == key);
    assert_eq!(all_of(&page[0].1.record), all_of(&record));
    assert_eq!(page[0].1.last_seen, last_seen);
}

pub(crate) async fn a_record_without_what_may_be_missing_comes_back_without_it(bench: &Bench) {
    let mut record = bench.record("anna", None);
    record.person = person("anna");
    record.grant.refresh_token = None;
    record.grant.scopes = ScopeSet::new();
    record.asked = ScopeSet::new();
    record.device.user_agent = None;
    let key = bench.keep(record.clone()).await;
    let found = bench.find(&key).await.unwrap().record;
    assert_eq!(all_of(&found), all_of(&record));
    assert!(matches!(Revocation::of(&found).token, Revocable::Access(_)));
}

pub(crate) async fn a_record_with_the_longest_tokens_comes_back(bench: &Bench) {
    let mut record = bench.record(&"s".repeat(255), Some(&"o".repeat(255)));
    record.handle = Handle::parse(&"h".repeat(64)).unwrap();
    record.id_token = IdToken::new(&Secret::new("i".repeat(60_000)), &record.person);
    record.grant.access_token = Secret::new("a".repeat(30_000));
    record.grant.refresh_token = Some(Secret::new("r".repeat(30_000)));
    let key = bench.keep(record.clone()).await;
    assert!(all_of(&bench.find(&key).await.unwrap().record) == all_of(&record));
    bench.assert_there(&key).await;
}

pub(crate) async fn a_stranger_key_finds_nothing(bench: &Bench) {
    assert!(!bench.has(&a_key()).await);
    let key = bench.session("anna").await;
    assert!(!bench.has(&a_key()).await);
    // One bit is enough to be somebody else.
    for place in [0, 31] {
        let mut bytes = *key.bytes();
        bytes[place] ^= 1;
        assert!(!bench.has(&SessionKey::from_bytes(bytes)).await);
    }
    assert!(bench.has(&key).await);
}

pub(crate) async fn the_latest_use_is_kept(bench: &Bench) {
    let (anna, ben, carl) = (bench.session("anna").await, bench.session("ben").await, bench.session("carl").await);
    let start = bench.now();
    bench.store.touch(&[(anna, start.plus(MINUTE)), (a_key(), start), (ben, start.plus(MARGIN))]).await.unwrap();
    bench.store.touch(&[]).await.unwrap();
    assert_eq!(bench.find(&anna).await.unwrap().last_seen, start.plus(MINUTE));
    assert_eq!(bench.find(&ben).await.unwrap().last_seen, start.plus(MARGIN));
    assert_eq!(bench.find(&carl).await.unwrap().last_seen, start);
    for (key, stored) in bench.store.page(None, 10).await.unwrap() {
        assert_eq!(stored.last_seen, bench.find(&key).await.unwrap().last_seen, "the list tells the same");
    }
}

pub(crate) async fn an_earlier_time_changes_nothing(bench: &Bench) {
    let key = bench.session("anna").await;
    let start = bench.now();
    bench.touch(&key, start.plus(MINUTE)).await;
    bench.touch(&key, start.plus(MARGIN)).await;
    assert_eq!(bench.find(&key).await.unwrap().last_seen, start.plus(MINUTE));
    let both = [(key, start.plus(MINUTE * 2)), (key, start.plus(MARGIN))];
    bench.store.touch(&both).await.unwrap();
    assert_eq!(bench.find(&key).await.unwrap().last_seen, start.plus(MINUTE * 2));
}

pub(crate) async fn a_touch_brings_no_session_back_and_makes_none(bench: &Bench) {
    let record = bench.record("anna", Some("org-1"));
    let (ended, never) = (bench.keep(record.clone()).await, a_key());
    bench.remove(&ended).await;
    bench.store.touch(&[(ended, bench.now()), (never, bench.now().plus(MINUTE))]).await.unwrap();
    bench.assert_gone(&ended, &record).await;
    assert!(!bench.has(&never).await);
    assert_eq!(bench.store.count().await, Ok(0));
}

pub(crate) async fn a_newer_record_takes_the_place_of_the_expected_generation(bench: &Bench) {
    let key = bench.keep(full_record(bench)).await;
    let other = bench.session("anna").await;
    let mut newer = next(&full_record(bench));
    newer.handle = bench.find(&key).await.unwrap().record.handle.clone();
    newer.grant.refresh_token = None;
    assert_eq!(bench.store.replace(&key, 3, Arc::new(newer.clone())).await, Ok(true));
    assert_eq!(all_of(&bench.find(&key).await.unwrap().record), all_of(&newer));
    assert_eq!(bench.find(&other).await.unwrap().record.generation, 0, "nobody else's");
    for generation in 5..8 {
        assert!(bench.refresh(&key).await);
        assert_eq!(bench.find(&key).await.unwrap().record.generation, generation);
    }
    assert_eq!(bench.store.count().await, Ok(2));
}

pub(crate) async fn a_record_that_lost_the_race_changes_nothing(bench: &Bench) {
    let key = bench.session("anna").await;
    let old = bench.find(&key).await.unwrap().record;
    assert!(bench.refresh(&key).await);
    let now_there = all_of(&bench.find(&key).await.unwrap().record);
    let mut late = next(&old);
    late.grant.access_token = Secret::new("too late");
    let ahead = Record { generation: 3, ..late.clone() };
    assert_eq!(bench.store.replace(&key, 0, Arc::new(late)).await, Ok(false), "the fence");
    assert_eq!(bench.store.replace(&key, 2, Arc::new(ahead)).await, Ok(false), "a generation that never was");
    assert_eq!(all_of(&bench.find(&key).await.unwrap().record), now_there);
}

pub(crate) async fn there_is_nothing_to_replace_where_nothing_is(bench: &Bench) {
    let (key, record) = (a_key(), Arc::new(bench.record("anna", Some("org-1"))));
    for expected in [0, 1] {
        assert_eq!(bench.store.replace(&key, expected, Arc::clone(&record)).await, Ok(false));
    }
    bench.assert_gone(&key, &record).await;
}

pub(crate) async fn a_new_record_keeps_when_the_session_was_last_used(bench: &Bench) {
    let key = bench.session("anna").await;
    let used = bench.now().plus(MINUTE);
    bench.touch(&key, used).await;
    bench.pass(MINUTE * 2);
    assert!(bench.refresh(&key).await);
    let stored = bench.find(&key).await.unwrap();
    assert_eq!((stored.last_seen, stored.record.generation), (used, 1));
    bench.touch(&key, bench.now()).await;
    let stored = bench.find(&key).await.unwrap();
    assert_eq!((stored.last_seen, stored.record.generation), (bench.now(), 1), "and a use keeps the record");
}

pub(crate) async fn a_session_is_found_by_its_handle_by_its_person_and_by_their_organization(bench: &Bench) {
    let anna = bench.record("anna", Some("north"));
    let anna_key = bench.keep(anna.clone()).await;
    let ben_key = bench.keep(bench.record("ben", Some("north"))).await;
    let carl_key = bench.keep(bench.record("carl", Some("south"))).await;
    let dora_key = bench.keep(bench.record("dora", None)).await;
    assert!(bench.keys_of(&Selector::Handle(anna.handle)).await == [anna_key].into());
    assert!(bench.keys_of(&of_person("anna")).await == [anna_key].into());
    assert!(bench.keys_of(&of_person("dora")).await == [dora_key].into());
    assert!(bench.keys_of(&of_organization("north")).await == [anna_key, ben_key].into());
    assert!(bench.keys_of(&of_organization("south")).await == [carl_key].into());
    for nobody in [of_person("ann"), of_person("annab"), of_organization("nort"), of_organization("northh")] {
        assert!(bench.keys_of(&nobody).await.is_empty(), "{nobody:?}");
    }
    assert!(bench.keys_of(&Selector::Handle(Handle::parse("nobody").unwrap())).await.is_empty());
}

pub(crate) async fn all_sessions_of_a_person_are_found(bench: &Bench) {
    let (annas, bens) = (bench.sessions("anna", 40).await, bench.sessions("ben", 3).await);
    assert_eq!(annas.len(), 40);
    assert!(bench.keys_of(&of_person("anna")).await == annas);
    assert!(bench.keys_of(&of_person("ben")).await == bens);
    let first = *annas.first().unwrap();
    bench.remove(&first).await;
    let rest: BTreeSet<_> = annas.into_iter().skip(1).collect();
    assert!(bench.keys_of(&of_person("anna")).await == rest, "the others go on");
}

pub(crate) async fn subjects_that_differ_in_case_are_different_people(bench: &Bench) {
    let small = bench.keep(bench.record("anna.x", Some("org"))).await;
    let large = bench.keep(bench.record("Anna.X", Some("ORG"))).await;
    assert!(bench.keys_of(&of_person("anna.x")).await == [small].into());
    assert!(bench.keys_of(&of_person("Anna.X")).await == [large].into());
    assert!(bench.keys_of(&of_organization("org")).await == [small].into());
    assert!(bench.keys_of(&of_organization("ORG")).await == [large].into());
    assert!(bench.keys_of(&of_person("ANNA.X")).await.is_empty());
}

/// Names are somebody else's choice: they must not lead out of their kind, nor mean many.
pub(crate) async fn names_that_look_like_others_stay_apart(bench: &Bench) {
    let names =
        ["a", "b", "a:b", "a/b", "a|b", "a\\0b", "subject:a", "organization:a", "handle:a", "{a}", "*", "?", "[a]"];
    let mut kept = Vec::new();
    for (place, name) in names.iter().enumerate() {
        // The organization is another's subject, and the handle a third one's.
        let organization = names[(place + 1) % names.len()];
        let mut record = bench.record(name, Some(organization));
        record.handle = Handle::parse(names[(place + 2) % names.len()]).unwrap();
        kept.push((bench.keep(record.clone()).await, record));
    }
    for (key, record) in &kept {
        for whose in selectors(record) {
            assert!(bench.keys_of(&whose).await == [*key].into(), "{whose:?}");
        }
    }
    let (ended, record) = &kept[0];
    bench.remove(ended).await;
    bench.assert_gone(ended, record).await;
    for (key, _) in &kept[1..] {
        bench.assert_there(key).await;
    }
}

pub(crate) async fn a_replaced_record_is_still_found_by_its_names(bench: &Bench) {
    let key = bench.keep(bench.record("anna", Some("north"))).await;
    assert!(bench.refresh(&key).await);
    bench.assert_there(&key).await;
    assert!(bench.keys_of(&of_person("anna")).await == [key].into());
    let record = Arc::clone(&bench.find(&key).await.unwrap().record);
    assert_eq!(bench.remove(&key).await, Removal::Removed { queued: false });
    bench.assert_gone(&key, &record).await;
}

pub(crate) async fn pages_of_any_size_show_every_session_once_in_the_order_of_keys(bench: &Bench) {
    assert!(bench.pages(10).await.is_empty());
    let mut all = bench.sessions("anna", 23).await;
    let ended: Vec<_> = all.iter().copied().step_by(7).collect();
    for key in &ended {
        bench.remove(key).await;
        all.remove(key);
    }
    for most in [1, 2, 7, all.len() - 1, all.len(), all.len() + 1, 1_000] {
        // The set is sorted, so this sees doubles, gaps, order, and what has ended.
        assert!(bench.pages(most).await.iter().eq(&all), "pages of {most}");
    }
    // A key that was removed, or never was, is a place to go on from as well.
    for after in ended.into_iter().chain([a_key(), SessionKey::from_bytes([0; 32]), SessionKey::from_bytes([255; 32])])
    {
        let page = bench.store.page(Some(&after), 3).await.unwrap();
        assert!(page.iter().map(|(key, _)| key).eq(all.iter().filter(|key| **key > after).take(3)));
    }
}

pub(crate) async fn every_session_counts_once(bench: &Bench) {
    assert_eq!(bench.store.count().await, Ok(0));
    let all = bench.sessions("anna", 5).await;
    let first = all.first().unwrap();
    bench.touch(first, bench.now().plus(MINUTE)).await;
    assert!(bench.refresh(first).await);
    assert_eq!(bench.store.count().await, Ok(5));
    bench.remove(first).await;
    bench.remove(first).await;
    assert_eq!(bench.store.count().await, Ok(4));
}

/// What a listener was told: a new generation of a session, or its end.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<(SessionKey, Option<u64>)>>);

impl Heard {
    fn any(&self, of: &SessionKey, is: impl Fn(Option<u64>) -> bool) -> bool {
        self.0.lock().unwrap().iter().any(|(key, generation)| key == of && is(*generation))
    }
}

impl Listener for Heard {
    fn changed(&self, key: &SessionKey, generation: u64) {
        self.0.lock().unwrap().push((*key, Some(generation)));
    }

    fn ended(&self, key: &SessionKey) {
        self.0.lock().unwrap().push((*key, None));
    }

    fn heard(&self, _: Timestamp) {}

    fn missed(&self) {}
}

/// A listener hears of what comes after it began to listen, which takes a moment: hence several changes.
pub(crate) async fn who_listens_hears_of_every_change_that_a_caller_may_not_know_of(bench: &Bench) {
    let heard = Arc::new(Heard::default());
    let listener: Arc<dyn Listener> = Arc::<Heard>::clone(&heard);
    let sharing = bench.store.listen(Arc::downgrade(&listener));
    let (session, other) = (bench.session("anna").await, bench.session("ben").await);
    let mut generation = 0;
    let told_of_change = async {
        loop {
            assert!(bench.refresh(&session).await);
            generation += 1;
            if sharing == Sharing::Memory || heard.any(&session, |told| told == Some(generation)) {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, told_of_change).await.expect("the change is told");
    bench.remove(&session).await;
    let told_of_end = async {
        while sharing != Sharing::Memory && !heard.any(&session, |told| told.is_none()) {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(PATIENCE, told_of_end).await.expect("the end is told");
    assert!(!heard.any(&other, |_| true), "nothing happened to this one");
    assert!(!heard.any(&session, |told| told > Some(generation)), "a generation that never was");
    if sharing == Sharing::Memory {
        assert!(!heard.any(&session, |_| true), "its caller knows already");
    }
}
