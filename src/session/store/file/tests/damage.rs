//! A file that is not what was written is refused, and left as it is.

use std::fs;

use redb::{Database, TableDefinition};

use super::*;
use crate::session::store::file::tables::META;

/// A store with some sessions, closed cleanly or as a killed process leaves it.
async fn filled(is_killed: bool) -> (Place, Vec<u8>, Vec<SessionKey>) {
    let place = Place::new();
    let store = place.open();
    let mut keys = Vec::new();
    for index in 0..30 {
        keys.push(sign_in(&store, &format!("pupil-{index}")).await.0);
    }
    let bytes = is_killed.then(|| fs::read(place.path()).unwrap());
    drop(store);
    let bytes = bytes.unwrap_or_else(|| fs::read(place.path()).unwrap());
    (place, bytes, keys)
}

/// Opens a file with this content: either all is there, or it is refused and stays byte by byte as it was.
async fn judged(place: &Place, bytes: &[u8], keys: &[SessionKey], what: &str) -> Option<FileStoreError> {
    fs::write(place.path(), bytes).unwrap();
    match place.try_open() {
        Ok(store) => {
            assert_eq!(store.count().await.unwrap(), keys.len(), "{what}: sessions are lost");
            for key in keys {
                assert!(store.find(key).await.unwrap().is_some(), "{what}: a session is lost");
            }
            None
        }
        Err(error) => {
            let after = fs::read(place.path()).unwrap();
            assert!(after == bytes, "{what}: {error}, but the file was changed");
            Some(error)
        }
    }
}

#[tokio::test]
async fn rubbish_and_emptiness_are_refused() {
    let place = Place::new();
    for (content, is_foreign) in [
        (&b""[..], false),
        (b"r", true),
        (b"redb\x1a\x0a\xa9\x0d", true),
        (b"redb\x1a\x0a\xa9\x0d\x0a", false),
        (&[0; 8192], true),
        (&[0xff; 100_000], true),
    ] {
        let error = judged(&place, content, &[], "rubbish").await.unwrap();
        assert_eq!(matches!(error, FileStoreError::Foreign { .. }), is_foreign, "{error}");
        assert!(error.to_string().contains("move it away"), "{error}");
    }
    let mut magic = vec![0; 8192];
    magic[..9].copy_from_slice(b"redb\x1a\x0a\xa9\x0d\x0a");
    assert!(matches!(judged(&place, &magic, &[], "zeros").await, Some(FileStoreError::Damaged { .. })));
}

#[tokio::test]
async fn a_file_that_was_cut_off_is_refused() {
    for is_killed in [false, true] {
        let (place, bytes, keys) = filled(is_killed).await;
        for length in [10, 100, 320, 4095, 4096, 8192, 100_000, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
            let what = format!("{length} of {} bytes", bytes.len());
            if let Some(error) = judged(&place, &bytes[..length], &keys, &what).await {
                assert!(matches!(error, FileStoreError::Damaged { .. }), "{what}: {error}");
            }
        }
        assert!(judged(&place, &bytes[..bytes.len() / 2], &keys, "half").await.is_some());
        let longer = [&bytes[..], b"more"].concat();
        assert!(judged(&place, &longer, &keys, "longer").await.is_some());
    }
}

#[tokio::test]
async fn a_flipped_bit_is_found_wherever_it_matters() {
    for is_killed in [false, true] {
        let (place, bytes, keys) = filled(is_killed).await;
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
        let header = (0..320).filter(|at| *at != 9).map(|at| (at, 1 << (at % 8)));
        // Without the first bit of byte 9, which says which of the last two commits counts: the other value
        // is what a crash before the last answer leaves.
        let god_byte = (1..8).map(|bit| (9, 1 << bit));
        let pages = (0..100).map(|step| (4096 + step * (used - 4096) / 100, 1 << (step % 8)));
        let mut refused = 0;
        for (at, bit) in header.chain(god_byte).chain(pages) {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            refused += usize::from(judged(&place, &flipped, &keys, &format!("bit {bit} of byte {at}")).await.is_some());
        }
        assert!(refused > 100, "only {refused} were found");
    }
}

#[tokio::test]
async fn a_file_of_a_later_version_or_of_somebody_else_is_refused() {
    let place = Place::new();
    drop(place.open());
    let database = Database::open(place.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", &b"2"[..]).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = place.try_open().unwrap_err();
    assert!(matches!(error, FileStoreError::Newer { found: 2, .. }), "{error}");

    let other = Place::new();
    let database = Database::create(other.path()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(TableDefinition::<u64, u64>::new("mine")).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = other.try_open().unwrap_err();
    assert!(matches!(error, FileStoreError::Foreign { .. }), "{error}");

    fs::remove_file(other.path()).unwrap();
    fs::create_dir(other.path()).unwrap();
    assert!(matches!(other.try_open(), Err(FileStoreError::System { .. } | FileStoreError::Foreign { .. })));
}

#[tokio::test]
async fn a_file_that_another_has_open_is_refused_until_it_is_let_go() {
    let place = Place::new();
    let store = place.open();
    let error = place.try_open().unwrap_err();
    assert!(matches!(error, FileStoreError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another schoolgate is running"), "{error}");
    drop(store);
    drop(place.open());
}

#[tokio::test]
async fn damage_that_comes_while_the_file_is_open_denies_and_is_found_at_the_next_start() {
    for rubbish in [0x00, 0x5a, 0xff] {
        let (place, whole, keys) = filled(false).await;
        let store = place.open();
        let mut bytes = whole.clone();
        bytes[4096..].fill(rubbish);
        // In place, as a broken disk does it.
        let file = fs::OpenOptions::new().write(true).open(place.path()).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes[4096..], 4096).unwrap();
        for key in &keys {
            // What is in memory still may be given.
            if let Ok(found) = store.find(key).await {
                assert!(found.is_none_or(|stored| stored.record.person.subject.as_str().starts_with("pupil-")));
            }
        }
        let (key, stored) = new_session("anna");
        let _ = store.insert(key, stored).await;
        let _ = store.page(None, 100).await;
        let _ = store.sweep(NOW).await;
        drop(store);
        assert!(matches!(place.try_open(), Err(FileStoreError::Damaged { .. })), "{rubbish}");
    }
}
