//! Who is looked for, and who is found.

use std::time::Duration;

use crate::{
    clock::Stopwatch,
    identity::{Organization, Subject},
    session::{Handle, Listed, Selector, SessionKey, Sessions, StoreError},
};

/// Sessions on one page.
const PAGE: usize = 50;

/// Sessions that are taken from the store at once.
const STRIDE: usize = 500;

/// Most sessions that are looked through for one page, and for how long. Then the reader decides whether to go on.
const MOST: usize = 10_000;
const PATIENCE: Duration = Duration::from_secs(1);

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) sessions: Vec<Listed>,
    /// Where it goes on.
    pub(super) next: Option<SessionKey>,
    /// Whether there are sessions that were not looked at, and might be meant, too.
    pub(super) is_cut: bool,
}

/// A page of the sessions that `words` describe, or of all.
pub(super) async fn find(sessions: &Sessions, words: &str, after: Option<&SessionKey>) -> Result<Found, StoreError> {
    let needles: Vec<_> = words.split_whitespace().map(str::to_lowercase).collect();
    if needles.is_empty() {
        let (sessions, next) = sessions.list(after, PAGE).await?;
        return Ok(Found { sessions, next, is_cut: false });
    }
    // What is written out in full the store finds by itself, however many sessions it has.
    for whose in in_full(words.trim()) {
        let (sessions, next) = sessions.list_of(&whose, after, PAGE).await?;
        if !sessions.is_empty() || next.is_some() {
            return Ok(Found { sessions, next, is_cut: false });
        }
    }
    let (mut found, mut looked, stopwatch) = (Found::default(), 0, Stopwatch::start());
    found.next = after.copied();
    loop {
        let (some, next) = sessions.list(found.next.as_ref(), STRIDE).await?;
        looked += STRIDE;
        for listed in some {
            if is_meant(&listed, &needles) {
                let key = listed.key;
                found.sessions.push(listed);
                if found.sessions.len() == PAGE {
                    return Ok(Found { next: Some(key), ..found });
                }
            }
        }
        found.next = next;
        if next.is_none() {
            return Ok(found);
        }
        if looked >= MOST || stopwatch.elapsed() >= PATIENCE {
            return Ok(Found { is_cut: true, ..found });
        }
    }
}

fn in_full(text: &str) -> impl Iterator<Item = Selector> + use<> {
    let handle = Handle::parse(text).map(Selector::Handle);
    let subject = Subject::parse(text).ok().map(Selector::Subject);
    handle.into_iter().chain(subject).chain(Organization::parse(text).ok().map(Selector::Organization))
}

/// Whether each word stands somewhere in what is shown of a session.
fn is_meant(listed: &Listed, needles: &[String]) -> bool {
    let record = &listed.record;
    let (person, device) = (&record.person, &record.device);
    let texts = [
        Some(person.subject.to_string()),
        person.email.as_ref().map(|email| email.address.to_string()),
        person.organization.as_ref().map(ToString::to_string),
        Some(record.handle.to_string()),
        Some(device.address.to_string()),
        device.user_agent.as_deref().map(str::to_owned),
    ];
    let hay = texts.into_iter().flatten().map(|text| text.to_lowercase()).collect::<Vec<_>>();
    needles.iter().all(|needle| hay.iter().any(|text| text.contains(needle)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{identity::ScopeSet, session::testing};

    /// So many sessions of so many people.
    async fn school(people: usize, each: usize) -> Arc<Sessions> {
        let (sessions, _) = testing::sessions_at(1_000);
        for number in 0..people {
            let person = testing::verified(&format!("person.{number:04}"));
            for _ in 0..each {
                let grant = testing::grant("edu.users.read");
                sessions.create(person.clone(), grant, ScopeSet::default(), testing::device()).await.unwrap();
            }
        }
        sessions
    }

    async fn all(sessions: &Sessions, words: &str) -> usize {
        let (mut count, mut after, mut pages) = (0, None, 0);
        loop {
            let found = find(sessions, words, after.as_ref()).await.unwrap();
            assert!(found.sessions.len() <= PAGE);
            count += found.sessions.len();
            after = found.next;
            pages += 1;
            assert!(pages < 100, "no end");
            if after.is_none() {
                return count;
            }
        }
    }

    #[tokio::test]
    async fn everybody_is_found_once_by_any_part_of_what_is_shown() {
        let sessions = school(300, 2).await;
        for (words, expected) in [
            ("", 600),
            ("  ", 600),
            ("person.0007", 2),
            ("PERSON.0007", 2),
            ("person.00", 200),
            ("son.0299", 2),
            ("test/1.0 person.029", 20),
            ("192.0.2.7", 600),
            ("nobody", 0),
            ("person.0001 person.0002", 0),
        ] {
            assert_eq!(all(&sessions, words).await, expected, "{words}");
        }
    }
}
