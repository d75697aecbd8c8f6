//! What is kept of a session.

use std::net::IpAddr;

use crate::{
    apple::{AccessToken, RefreshToken},
    clock::Timestamp,
    identity::{Person, ScopeSet, SharedText},
    session::{Handle, IdToken},
};

/// What Apple granted: tokens and the scopes they carry.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The access token.
    pub access_token: AccessToken,
    /// When it expires.
    pub access_expires_at: Timestamp,
    /// The refresh token, when Apple gave one.
    pub refresh_token: Option<RefreshToken>,
    /// When a refresh brought the access token; `None` while it is the one of the sign-in.
    pub refreshed_at: Option<Timestamp>,
    /// The scopes that Apple granted.
    pub scopes: ScopeSet,
}

/// Longest user agent that is kept, in bytes.
const LONGEST_USER_AGENT: usize = 256;

/// What a person signed in on, for administrators who look at the list of sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// The address of the browser.
    pub address: IpAddr,
    /// What the browser calls itself.
    pub user_agent: Option<SharedText>,
}

impl Device {
    /// Keeps what a list can show: the beginning of the user agent, without control characters.
    #[must_use]
    pub fn new(address: IpAddr, user_agent: Option<&str>) -> Self {
        Self { address, user_agent: user_agent.map(|text| SharedText::of(&shown(text))) }
    }
}

/// Bounded, for each session may have a text that nobody else has.
fn shown(text: &str) -> String {
    let mut length = 0;
    let mut has_room = |letter: &char| {
        length += letter.len_utf8();
        length <= LONGEST_USER_AGENT
    };
    text.chars().filter(|letter| !letter.is_control()).take_while(|letter| has_room(letter)).collect()
}

/// A session. Never changed in place: a refresh puts a new record with the next generation.
#[derive(Clone, Debug)]
pub struct Record {
    /// The public name.
    pub handle: Handle,
    /// Who signed in.
    pub person: Person,
    /// The ID token as Apple signed it, for apps that ask for it.
    pub id_token: IdToken,
    /// What Apple granted.
    pub grant: Grant,
    /// The scopes that Apple was asked for: what is in here and was not granted is not asked for again
    /// by itself.
    pub asked: ScopeSet,
    /// What the person signed in on.
    pub device: Device,
    /// When the person signed in.
    pub created: Timestamp,
    /// Counts the changes of this record, from zero.
    pub generation: u64,
}

impl Record {
    /// About how many bytes it takes, with what it holds alone.
    pub(super) fn size(&self) -> usize {
        let Self { handle, person, id_token, grant, .. } = self;
        let refresh = grant.refresh_token.as_ref().map_or(0, |token| token.expose().len());
        let email = person.email.as_ref().map_or(0, |email| email.address.len());
        let texts = handle.as_str().len() + person.subject.as_str().len() + email;
        // The allocator rounds up.
        size_of::<Self>() + (texts + id_token.size() + grant.access_token.expose().len() + refresh) * 9 / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_user_agent_the_beginning_is_kept_whatever_its_letters() {
        let kept = |text: &str| Device::new([192, 0, 2, 7].into(), Some(text)).user_agent.unwrap().to_string();
        assert_eq!(kept("Mozil\r\nla/5.0\0"), "Mozilla/5.0");
        assert_eq!(kept(&"a".repeat(1_000)), "a".repeat(256));
        assert_eq!(kept(&format!("a{}", "\u{e9}".repeat(1_000))), format!("a{}", "\u{e9}".repeat(127)));
        assert_eq!(kept(&"\u{1f980}".repeat(1_000)), "\u{1f980}".repeat(64));
    }

    #[test]
    fn a_record_fits_into_256_bytes_with_its_counts() {
        assert!(size_of::<Record>() <= 240, "{} bytes, and there may be a million of them", size_of::<Record>());
    }
}
