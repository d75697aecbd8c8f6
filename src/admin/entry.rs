//! What is told of sessions: the interface of `/sessions`, for those who write it and those who read it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::session::Listed;

/// One session. There is no field for a token, a cookie or a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEntry {
    /// The public name of the session, which ends it and opens nothing.
    pub id: String,
    /// Who signed in.
    pub sub: String,
    /// Their email address, when Apple gave one.
    pub email: Option<String>,
    /// Their organization, when they have one.
    pub org_id: Option<String>,
    /// When they signed in. All times are RFC 3339 in UTC.
    pub signed_in_at: String,
    /// When the session was last used, give or take a minute.
    pub last_seen: String,
    /// When it ends if it is not used again.
    pub expires_at: String,
    /// The address of the browser at the sign-in.
    pub address: String,
    /// What the browser called itself then.
    pub user_agent: Option<String>,
    /// The scopes that Apple granted.
    pub scopes: Vec<String>,
    /// When the access token dies.
    pub access_token_expires_at: String,
    /// From when on a route that passes the token on would have it refreshed first; nothing without a refresh
    /// token.
    pub next_refresh: Option<String>,
}

impl SessionEntry {
    /// What may be told of a session.
    pub(super) fn of(listed: &Listed, refresh_before: Duration) -> Self {
        let record = &listed.record;
        let (person, grant, device) = (&record.person, &record.grant, &record.device);
        let next_refresh = grant.refresh_token.as_ref().map(|_| grant.access_expires_at.minus(refresh_before));
        Self {
            id: record.handle.to_string(),
            sub: person.subject.to_string(),
            email: person.email.as_ref().map(|email| email.address.to_string()),
            org_id: person.organization.as_ref().map(ToString::to_string),
            signed_in_at: record.created.to_string(),
            last_seen: listed.last_seen.to_string(),
            expires_at: listed.ends_at.to_string(),
            address: device.address.to_string(),
            user_agent: device.user_agent.as_deref().map(str::to_owned),
            scopes: grant.scopes.iter().map(str::to_owned).collect(),
            access_token_expires_at: grant.access_expires_at.to_string(),
            next_refresh: next_refresh.map(|moment| moment.to_string()),
        }
    }
}

/// A part of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPage {
    /// The sessions; fewer than asked for when some have ended by themselves meanwhile.
    pub sessions: Vec<SessionEntry>,
    /// What to ask for as `after` to get the next part; nothing at the end of the list.
    pub next: Option<String>,
}

/// What came of ending sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// How many have ended.
    pub ended: usize,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Timestamp,
        identity::{Email, Organization, Person},
        session::{Grant, Record, testing::active_session},
    };

    fn listed(change: impl FnOnce(&mut Record)) -> Listed {
        let session = active_session("anna", "edu.users.read edu.classes.read");
        let mut record = Record::clone(session.record());
        change(&mut record);
        let at = Timestamp::from_seconds;
        Listed { key: *session.key(), record: Arc::new(record), last_seen: at(1_100), ends_at: at(1_100 + 8 * 3600) }
    }

    #[test]
    fn an_entry_says_who_where_and_until_when_and_holds_no_token() {
        let listed = listed(|record| {
            record.person = Person {
                organization: Some(Organization::parse("org-1").unwrap()),
                email: Some(Email { address: "anna@school.example".into(), verified: false }),
                ..record.person.clone()
            };
        });
        let entry = serde_json::to_value(SessionEntry::of(&listed, Duration::from_secs(300))).unwrap();
        assert_eq!(
            entry,
            serde_json::json!({
                "id": "anna",
                "sub": "anna",
                "email": "anna@school.example",
                "org_id": "org-1",
                "signed_in_at": "1970-01-01T00:16:40Z",
                "last_seen": "1970-01-01T00:18:20Z",
                "expires_at": "1970-01-01T08:18:20Z",
                "address": "192.0.2.7",
                "user_agent": "Test/1.0",
                "scopes": ["edu.classes.read", "edu.users.read"],
                "access_token_expires_at": "1970-01-01T01:16:40Z",
                "next_refresh": "1970-01-01T01:11:40Z",
            })
        );
    }

    #[test]
    fn what_is_not_known_is_null_and_never_left_out() {
        let listed = listed(|record| {
            record.grant = Grant { refresh_token: None, ..record.grant.clone() };
            record.device.user_agent = None;
        });
        let entry = serde_json::to_value(SessionEntry::of(&listed, Duration::ZERO)).unwrap();
        for field in ["email", "org_id", "user_agent", "next_refresh"] {
            assert_eq!(entry.get(field), Some(&serde_json::Value::Null), "{field}");
        }
    }
}
