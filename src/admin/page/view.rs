//! What the templates are filled with.

use askama::Template;
use url::form_urlencoded::Serializer;

use super::overview::Overview;
use crate::{clock::Timestamp, pages::Moment, session::Listed};

/// Letters of a text that strangers write; more of it helps nobody.
const LONGEST: usize = 120;

/// A session in the list.
pub(super) struct Row {
    pub(super) handle: String,
    pub(super) who: String,
    /// The account number, where `who` is the address.
    pub(super) account: Option<String>,
    pub(super) organization: Option<String>,
    pub(super) signed_in: Moment,
    pub(super) last_seen: Moment,
    pub(super) ends: Moment,
    pub(super) address: String,
    pub(super) agent: Option<String>,
    pub(super) what: String,
}

/// The page.
#[derive(Template)]
#[template(path = "admin/board.html")]
pub(super) struct Board<'a> {
    pub(super) overview: Overview,
    pub(super) said: Option<String>,
    pub(super) words: &'a str,
    pub(super) rows: Vec<Row>,
    pub(super) trouble: Option<String>,
    pub(super) is_cut: bool,
    pub(super) first: Option<String>,
    pub(super) next: Option<String>,
    pub(super) permit: String,
    pub(super) everybody: &'a str,
}

/// What may be ended from the page that asks.
pub(super) struct Choice {
    pub(super) what: String,
    pub(super) words: String,
}

/// The page that asks first.
#[derive(Template)]
#[template(path = "admin/confirm.html")]
pub(super) struct Confirm<'a> {
    pub(super) row: Option<Row>,
    pub(super) choices: Vec<Choice>,
    pub(super) words: &'a str,
    pub(super) back: String,
    pub(super) permit: String,
}

/// The page in the place of another.
#[derive(Template)]
#[template(path = "admin/refused.html")]
pub(super) struct Refused<'a> {
    pub(super) title: &'a str,
    pub(super) detail: &'a str,
    pub(super) reference: &'a str,
}

/// What `query::End` reads.
pub(super) fn what(kind: &str, whose: &str) -> String {
    Serializer::new(String::new()).append_pair(kind, whose).finish()
}

impl Row {
    pub(super) fn of(listed: &Listed, now: Timestamp) -> Self {
        let record = &listed.record;
        let (person, device) = (&record.person, &record.device);
        let account = person.subject.to_string();
        let email = person.email.as_ref().map(|email| email.address.trim()).filter(|address| !address.is_empty());
        let (who, account) = match email {
            Some(address) => (address.to_owned(), Some(account)),
            None => (account, None),
        };
        Self {
            handle: record.handle.to_string(),
            who,
            account,
            organization: person.organization.as_ref().map(ToString::to_string),
            signed_in: Moment::of(record.created, now),
            last_seen: Moment::of(listed.last_seen, now),
            ends: Moment::of(listed.ends_at, now),
            address: device.address.to_string(),
            agent: device.user_agent.as_deref().map(shortened),
            what: what("id", record.handle.as_str()),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
