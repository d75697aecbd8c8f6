//! The key ring and the file belong together.

use super::*;

#[tokio::test]
async fn another_key_is_an_error_and_the_file_stays_as_it_is() {
    let place = Place::new();
    let (key, _) = sign_in(&place.open(), "anna").await;
    let wrong = Place { keys: new_key(), folder: tempfile::tempdir().unwrap() };
    std::fs::copy(place.path(), wrong.path()).unwrap();
    let error = wrong.try_open().unwrap_err();
    assert!(matches!(error, FileStoreError::WrongKey { .. }), "{error}");
    assert!(error.to_string().contains("put that key back"), "{error}");
    let again = Place { keys: place.keys.clone(), folder: wrong.folder };
    assert!(again.open().find(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn a_change_of_keys_signs_nobody_out() {
    let mut place = Place::new();
    let store = place.open();
    let (key, stored) = sign_in(&store, "anna").await;
    let whose = Selector::Subject(stored.record.person.subject.clone());
    drop(store);
    let old = std::mem::replace(&mut place.keys, new_key());
    let new = place.keys.clone();
    place.keys = format!("{new}\n{old}\n");

    let store = place.open();
    assert!(store.find(&key).await.unwrap().is_some());
    assert_eq!(store.keys_of(&whose).await.unwrap(), [key]);
    // A refresh seals with the new key, tags included.
    assert!(store.replace(&key, 0, changed(&stored.record)).await.unwrap());
    assert_eq!(store.keys_of(&whose).await.unwrap(), [key]);
    let (left, _) = sign_in(&store, "ben").await;
    drop(store);

    place.keys = new;
    let store = place.open();
    assert_eq!(store.find(&key).await.unwrap().unwrap().record.generation, 1);
    assert!(store.find(&left).await.unwrap().is_some());
    assert_eq!(store.keys_of(&whose).await.unwrap(), [key]);
    drop(store);
    place.keys = old;
    assert!(matches!(place.try_open(), Err(FileStoreError::WrongKey { .. })), "the old key has had its day");
}

#[tokio::test]
async fn what_an_old_key_sealed_is_unreadable_once_that_key_is_gone() {
    let mut place = Place::new();
    let store = place.open();
    let (key, stored) = sign_in(&store, "anna").await;
    let (gone, other) = sign_in(&store, "ben").await;
    store.remove(vec![end(gone, &other.record)]).await.unwrap();
    drop(store);
    let old = std::mem::replace(&mut place.keys, new_key());
    let new = place.keys.clone();
    place.keys = format!("{new}\n{old}\n");
    drop(place.open());
    place.keys = new;

    let store = place.open();
    assert_eq!(store.find(&key).await.unwrap_err(), StoreError::Unreadable);
    let (fine, _) = sign_in(&store, "carl").await;
    let page = store.page(None, 1).await.unwrap();
    assert_eq!(page.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [fine], "one that does not open is left out");
    assert_eq!(store.count().await.unwrap(), 2);
    // Nobody can say what it was, but it ends.
    let end = End { revocation: None, ..end(key, &stored.record) };
    assert_eq!(store.remove(vec![end]).await.unwrap(), [Removal::Removed { queued: false }]);
    assert_eq!(store.queue().await.unwrap().length, 1);
    assert!(store.claim(NOW, NOW.plus(Duration::from_secs(60)), 8).await.unwrap().is_empty());
    assert_eq!(store.queue().await.unwrap(), Queue::default(), "a revocation that does not open is dropped");
}
