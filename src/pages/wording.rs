//! Dates, people and permissions, in words that need no explanation.

use std::time::Duration;

use crate::{
    clock::Timestamp,
    identity::{Person, ScopeSet},
};

/// A scope for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Permission<'a> {
    /// What it allows.
    pub(super) words: &'static str,
    /// Its name at Apple, which an administrator needs.
    pub(super) scope: &'a str,
}

/// Every scope of a set with its plain words.
pub(super) fn permissions(scopes: &ScopeSet) -> Vec<Permission<'_>> {
    scopes.iter().map(|scope| Permission { words: words(scope), scope }).collect()
}

fn words(scope: &str) -> &'static str {
    match scope {
        "edu.users.read" => "See the list of people at your school",
        "edu.classes.read" => "See the list of classes at your school",
        "edu.rosterapi.test.read" => "See Apple's list of made-up people for trying things out",
        "email" => "See your email address",
        "name" => "See your name",
        "openid" => "Know who you are",
        _ => "Another permission",
    }
}

/// What to call somebody: the email address, or the account number where there is none.
pub(super) fn name(person: &Person) -> &str {
    let address = person.email.as_ref().map(|email| &*email.address);
    address.filter(|address| !address.trim().is_empty()).unwrap_or_else(|| person.subject.as_str())
}

/// A moment in three spellings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// For programs, as RFC 3339 has it.
    pub exact: String,
    /// Such as `21 November 2026, 11:23 UTC`.
    pub day: String,
    /// Such as `2 hours ago`.
    pub away: String,
}

impl Moment {
    /// A moment, as somebody says it who lives `now`.
    #[must_use]
    pub fn of(moment: Timestamp, now: Timestamp) -> Self {
        Self { exact: moment.to_string(), day: day_and_time(moment), away: away(moment, now) }
    }
}

/// A moment as people write it, such as `21 November 2026, 11:23 UTC`.
pub(super) fn day_and_time(moment: Timestamp) -> String {
    let utc = i64::try_from(moment.seconds()).ok().and_then(|s| time::OffsetDateTime::from_unix_timestamp(s).ok());
    utc.map_or_else(
        || "at the end of time".to_owned(),
        |utc| format!("{} {} {}, {:02}:{:02} UTC", utc.day(), utc.month(), utc.year(), utc.hour(), utc.minute()),
    )
}

/// How far away a moment is, such as `2 hours ago` or `in 5 minutes`. Nobody has to know their time zone.
pub(super) fn away(moment: Timestamp, now: Timestamp) -> String {
    let (ahead, ago) = (moment.since(now), now.since(moment));
    match (minutes(ahead), minutes(ago)) {
        (0, 0) => "just now".to_owned(),
        (0, ago) => format!("{} ago", roughly(ago)),
        (ahead, _) => format!("in {}", roughly(ahead)),
    }
}

/// A span in whole minutes that are sure to be there, such as `5 minutes`.
pub(super) fn at_least(span: Duration) -> String {
    match span.as_secs() / 60 {
        0 => "minute at most".to_owned(),
        minutes => roughly(minutes),
    }
}

/// How much it is, such as `12 kB`.
pub(super) fn size(bytes: usize) -> String {
    match bytes {
        1 => "1 byte".to_owned(),
        0..1000 => format!("{bytes} bytes"),
        1000..1_000_000 => format!("{} kB", (bytes + 500) / 1000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

/// Whole minutes, rounded to the nearest.
const fn minutes(span: Duration) -> u64 {
    span.as_secs().saturating_add(30) / 60
}

fn roughly(minutes: u64) -> String {
    let (count, unit) = match minutes {
        0..60 => (minutes, "minute"),
        60..2880 => ((minutes + 30) / 60, "hour"),
        _ => ((minutes + 720) / 1440, "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::identity::{Email, Subject};

    /// A person for the tests of the pages.
    pub(in crate::pages) fn teacher() -> Person {
        Person {
            subject: Subject::parse("000264.UDRoeTAxVUppaHdNQU5HYWN6MEU5VDRUWFVQU1BV.RUtP").unwrap(),
            organization: None,
            email: Some(Email { address: "teacher@school.example".into(), verified: true }),
            is_private_email: None,
            auth_time: None,
        }
    }

    #[test]
    fn a_moment_reads_like_a_date() {
        assert_eq!(day_and_time(Timestamp::from_seconds(1_700_000_000)), "14 November 2023, 22:13 UTC");
        assert_eq!(day_and_time(Timestamp::from_millis(u64::MAX)), "at the end of time");
    }

    #[test]
    fn distances_are_rounded_to_what_one_would_say() {
        let now = Timestamp::from_seconds(1_000_000);
        for (seconds, text) in [
            (0, "just now"),
            (29, "just now"),
            (60, "in 1 minute"),
            (3570, "in 1 hour"),
            (7200, "in 2 hours"),
            (86_400, "in 24 hours"),
            (604_800, "in 7 days"),
        ] {
            assert_eq!(away(now.plus(Duration::from_secs(seconds)), now), text, "{seconds}");
        }
        assert_eq!(away(now.minus(Duration::from_secs(7200)), now), "2 hours ago");
        assert_eq!(away(Timestamp::from_millis(u64::MAX), now).split(' ').next(), Some("in"));
    }

    #[test]
    fn somebody_without_an_email_address_still_has_a_name() {
        let mut person = teacher();
        assert_eq!(name(&person), "teacher@school.example");
        person.email = Some(Email { address: " ".into(), verified: false });
        assert_eq!(name(&person), person.subject.as_str());
        person.email = None;
        assert_eq!(name(&person), person.subject.as_str());
    }
}
