//! What was answered is there afterwards.

use std::{fs, os::unix::fs::PermissionsExt};

use redb::{Database, ReadableTableMetadata};

use super::*;
use crate::session::{
    MOST_OF_NOTES,
    store::{
        file::tables::{NOTE_ENDS, NOTES},
        note::DROPPED_AT_ONCE,
    },
};

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let place = Place::new();
    let store = place.open();
    let (used, stored) = sign_in(&store, "anna").await;
    let (ended, other) = sign_in(&store, "ben").await;
    let later = NOW.plus(Duration::from_secs(60));
    store.touch(&[(used, later)]).await.unwrap();
    assert!(store.replace(&used, 0, changed(&stored.record)).await.unwrap());
    let removals = store.remove(vec![end(ended, &other.record)]).await.unwrap();
    assert_eq!(removals, [Removal::Removed { queued: true }]);
    let mark = Mark::of("state", "x");
    assert!(store.mark(&mark, Duration::from_secs(60)).await.unwrap());
    let (note, taken) = (write(&store, "kept").await, write(&store, "taken").await);
    assert_eq!(store.swap_note(&taken, noted(&store, &taken).await.as_ref(), None, LONG).await, Ok(Swap::Done));
    drop(store);

    let store = place.open();
    let found = store.find(&used).await.unwrap().unwrap();
    assert_eq!((found.record.generation, found.last_seen), (1, later));
    assert!(store.find(&ended).await.unwrap().is_none());
    assert_eq!(store.count().await.unwrap(), 1);
    assert!(!store.mark(&mark, Duration::from_secs(60)).await.unwrap());
    assert_eq!(noted(&store, &note).await.unwrap().value(), b"kept");
    assert!(noted(&store, &taken).await.is_none());
    let claimed = store.claim(NOW, later, 10).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].revocation.handle, other.record.handle);
    drop(store);

    let store = place.open();
    let again = store.claim(NOW, later, 10).await.unwrap();
    assert_eq!(again.len(), 1, "who claimed it has ended");
    assert_eq!(again[0].id, claimed[0].id);
    assert!(store.claim(NOW, later, 10).await.unwrap().is_empty(), "somebody works on it");
}

const LONG: Duration = Duration::from_secs(60);

async fn noted(store: &FileStore, name: &NoteName) -> Option<Note> {
    store.note(name).await.unwrap()
}

/// A note that says its name.
async fn write(store: &FileStore, what: &str) -> NoteName {
    let name = NoteName::of("kind", what);
    assert_eq!(store.swap_note(&name, None, Some(what.as_bytes()), LONG).await, Ok(Swap::Done));
    name
}

/// The file at the moment of an answer, as a killed process leaves it.
#[tokio::test]
async fn what_was_answered_is_there_when_the_process_is_killed() {
    let place = Place::new();
    let store = place.open();
    let mut known = Vec::new();
    for round in 0..8 {
        known.push(sign_in(&store, "anna").await);
        let (note, taken) = (write(&store, &format!("kept-{round}")).await, write(&store, "taken").await);
        assert_eq!(store.swap_note(&taken, noted(&store, &taken).await.as_ref(), None, LONG).await, Ok(Swap::Done));
        if round % 3 == 2 {
            let (key, stored) = known.remove(0);
            store.remove(vec![end(key, &stored.record)]).await.unwrap();
        }
        let killed = Place { folder: tempfile::tempdir().unwrap(), keys: place.keys.clone() };
        fs::copy(place.path(), killed.path()).unwrap();
        let after = killed.open();
        assert_eq!(after.count().await.unwrap(), known.len(), "{round}");
        for (key, stored) in &known {
            assert_eq!(after.find(key).await.unwrap().unwrap().record.handle, stored.record.handle);
        }
        assert_eq!(after.queue().await.unwrap().length, (round + 1) / 3);
        assert!(noted(&after, &note).await.is_some() && noted(&after, &taken).await.is_none());
    }
}

#[tokio::test]
async fn the_end_of_the_owner_waits_for_what_is_queued() {
    let place = Place::new();
    let store = Arc::new(place.open());
    let (key, stored) = new_session("anna");
    // Polled once, so that it is queued, and then forgotten.
    let mut insert = Box::pin(store.insert(key, stored));
    assert!(futures_util::FutureExt::now_or_never(&mut insert).is_none());
    drop(insert);
    drop(store);
    assert!(place.open().find(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn files_and_folder_are_for_their_owner_alone() {
    let mut place = Place::new();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    drop(place.open());
    assert_eq!(mode(&place.path()), 0o600);
    assert_eq!(fs::read_dir(place.folder.path()).unwrap().count(), 1, "no draft is left");
    // A file that a careless copy has opened to others is closed again.
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
    drop(place.open());
    assert_eq!(mode(&place.path()), 0o600);

    let below = place.folder.path().join("a/state");
    let clock = ManualClock::at(NOW);
    drop(FileStore::open(&below.join(FileStore::NAME), lifetimes(), place.codec(), clock).unwrap());
    assert_eq!(mode(&below), 0o700);
    place.keys.clear();
}

#[tokio::test]
async fn nothing_in_the_file_can_be_read() {
    let place = Place::new();
    let store = place.open();
    let (_, stored) = sign_in(&store, "anna").await;
    let (key, other) = sign_in(&store, "anna").await;
    store.remove(vec![end(key, &other.record)]).await.unwrap();
    write(&store, "a-note-of-anna").await;
    drop(store);
    let bytes = fs::read(place.path()).unwrap();
    for secret in ["anna", "access-1", "refresh-1", "org-1", "edu.users", "Test/1.0", stored.record.handle.as_str()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}

#[tokio::test]
async fn who_was_swept_leaves_nothing_behind() {
    let place = Place::new();
    let store = place.open();
    for index in 0..(2 * SWEEP + 5) {
        sign_in(&store, &format!("pupil-{index}")).await;
    }
    let (kept, _) = sign_in(&store, "anna").await;
    let later = NOW.plus(lifetimes().idle_timeout);
    store.touch(&[(kept, later)]).await.unwrap();
    store.mark(&Mark::of("state", "x"), Duration::from_secs(1)).await.unwrap();
    for what in 0..(DROPPED_AT_ONCE + 1) {
        write(&store, &what.to_string()).await;
    }
    assert_eq!(store.sweep(later).await.unwrap(), 2 * SWEEP + 5);
    assert_eq!(store.count().await.unwrap(), 1);
    assert_eq!(store.read(move |view| view.marks_over(later)).await.unwrap(), Vec::<[u8; 32]>::new());
    assert_eq!(store.write(|changes| changes.note_bytes()).await, Ok(0));
    assert_eq!(store.write(|changes| Ok((changes.notes.len()?, changes.note_ends.len()?))).await, Ok((0, 0)));
    let whose = Selector::Organization(Organization::parse("org-1").unwrap());
    assert_eq!(store.keys_of(&whose).await.unwrap(), [kept]);
}

#[tokio::test]
async fn a_file_from_before_there_were_notes_takes_some_and_keeps_its_sessions() {
    let place = Place::new();
    let (key, _) = sign_in(&place.open(), "anna").await;
    let database = Database::open(place.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    assert!(transaction.delete_table(NOTES).unwrap() && transaction.delete_table(NOTE_ENDS).unwrap());
    transaction.commit().unwrap();
    drop(database);
    let store = place.open();
    assert!(noted(&store, &NoteName::of("kind", "one")).await.is_none());
    let name = write(&store, "one").await;
    assert_eq!(noted(&store, &name).await.unwrap().value(), b"one");
    assert!(store.find(&key).await.unwrap().is_some());
}

/// A note that is kept for an hour and more may take the last of the room.
const LASTING: Duration = Duration::from_secs(9 * 3600);

#[tokio::test]
async fn full_of_notes_it_takes_no_more_until_one_is_over_or_taken_away() {
    let place = Place::new();
    let clock = ManualClock::at(NOW);
    let shared: SharedClock = Arc::<ManualClock>::clone(&clock);
    let store = FileStore::open(&place.path(), lifetimes(), place.codec(), shared).unwrap();
    let (short, lasting) = (NoteName::of("kind", "short"), NoteName::of("kind", "lasting"));
    assert_eq!(store.swap_note(&short, None, Some(b"short"), LONG).await, Ok(Swap::Done));
    assert_eq!(store.swap_note(&lasting, None, Some(b"lasts"), LASTING).await, Ok(Swap::Done));
    let full = |changes: &mut Changes<'_>| changes.remember("note bytes", &MOST_OF_NOTES.to_be_bytes());
    store.write(full).await.unwrap();
    let (third, fourth) = (NoteName::of("kind", "third"), NoteName::of("kind", "fourth"));
    assert_eq!(store.swap_note(&third, None, Some(b"third"), LASTING).await, Ok(Swap::Full));
    assert!(noted(&store, &third).await.is_none());
    // One of the same length in its place needs no room; a longer one does.
    let seen = noted(&store, &lasting).await;
    assert_eq!(store.swap_note(&lasting, seen.as_ref(), Some(b"longer"), LASTING).await, Ok(Swap::Full));
    assert_eq!(store.swap_note(&lasting, seen.as_ref(), Some(b"again"), LASTING).await, Ok(Swap::Done));
    clock.advance(LONG);
    assert_eq!(store.swap_note(&third, None, Some(b"third"), LASTING).await, Ok(Swap::Done));
    assert_eq!(store.swap_note(&fourth, None, Some(b"four."), LASTING).await, Ok(Swap::Full));
    assert_eq!(store.swap_note(&third, noted(&store, &third).await.as_ref(), None, LONG).await, Ok(Swap::Done));
    assert_eq!(store.swap_note(&fourth, None, Some(b"four."), LASTING).await, Ok(Swap::Done));
}
