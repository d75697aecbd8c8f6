//! `GET /.schoolgate/`: who is signed in here, since when, until when, and with what permissions.

use askama::Template;

use super::{
    Page, links,
    wording::{self, Moment, Permission},
};
use crate::{
    clock::Timestamp,
    identity::{Person, ScopeSet},
    web::OWN_PREFIX,
};

/// What the page about a session says. It has no token and no session identifier.
#[derive(Clone, Copy, Debug)]
pub struct SignedIn<'a> {
    /// Who is signed in.
    pub person: &'a Person,
    /// When they signed in.
    pub since: Timestamp,
    /// When the session ends whatever happens.
    pub until: Timestamp,
    /// When it ends without any further request; `None` when that is not before `until`.
    pub idle_until: Option<Timestamp>,
    /// The scopes that Apple granted.
    pub scopes: &'a ScopeSet,
    /// The present moment, to say how far away the others are.
    pub now: Timestamp,
}

#[derive(Template)]
#[template(path = "pages/signed_in.html")]
struct SignedInPage<'a> {
    name: &'a str,
    account: &'a str,
    organization: Option<&'a str>,
    since: Moment,
    until: Moment,
    idle_until: Option<Moment>,
    permissions: Vec<Permission<'a>>,
}

/// The page for somebody who is signed in, with a button to sign out.
#[must_use]
pub fn signed_in(facts: &SignedIn<'_>) -> Page {
    let &SignedIn { person, since, until, idle_until, scopes, now } = facts;
    let page = SignedInPage {
        name: wording::name(person),
        account: person.subject.as_str(),
        organization: person.organization.as_ref().map(crate::identity::Organization::as_str),
        since: Moment::of(since, now),
        until: Moment::of(until, now),
        idle_until: idle_until.filter(|idle| *idle < until).map(|idle| Moment::of(idle, now)),
        permissions: wording::permissions(scopes),
    };
    Page::of(200, &page)
}

#[derive(Template)]
#[template(path = "pages/not_signed_in.html")]
struct NotSignedInPage {
    sign_in: String,
}

/// The same address for somebody who is not signed in, with a button to sign in.
#[must_use]
pub fn not_signed_in() -> Page {
    Page::of(200, &NotSignedInPage { sign_in: links::sign_in(OWN_PREFIX) })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{identity::Organization, pages::wording::tests::teacher};

    fn page(person: &Person, scopes: &ScopeSet) -> Page {
        let now = Timestamp::from_seconds(1_700_000_000);
        signed_in(&SignedIn {
            person,
            since: now.minus(Duration::from_secs(7200)),
            until: now.plus(Duration::from_secs(22 * 3600)),
            idle_until: Some(now.plus(Duration::from_secs(8 * 3600))),
            scopes,
            now,
        })
    }

    #[test]
    fn it_says_who_since_when_until_when_and_with_what() {
        let mut person = teacher();
        person.organization = Some(Organization::parse("org-1").unwrap());
        let page = page(&person, &ScopeSet::parse("edu.users.read").unwrap());
        assert_eq!(page.status, 200);
        for text in [
            "teacher@school.example",
            "000264.UDRoe",
            "org-1",
            "2 hours ago",
            "14 November 2023, 20:13 UTC",
            "datetime=\"2023-11-14T20:13:20Z\"",
            "in 22 hours",
            "in 8 hours",
            "See the list of people at your school",
            "edu.users.read",
            "<form method=\"post\" action=\"/.schoolgate/sign-out\">",
        ] {
            assert!(page.html.contains(text), "{text}");
        }
    }

    #[test]
    fn an_idle_end_after_the_last_end_is_not_shown() {
        let now = Timestamp::from_seconds(1_700_000_000);
        let facts = SignedIn {
            person: &teacher(),
            since: now,
            until: now.plus(Duration::from_secs(60)),
            idle_until: Some(now.plus(Duration::from_secs(7200))),
            scopes: &ScopeSet::new(),
            now,
        };
        assert!(!signed_in(&facts).html.contains("in 2 hours"));
    }

    #[test]
    fn somebody_who_is_not_signed_in_is_offered_to() {
        let page = not_signed_in();
        assert_eq!(page.status, 200);
        assert!(page.html.contains("href=\"/.schoolgate/sign-in?return_to=%2F%2Eschoolgate%2F\""), "{}", page.html);
    }
}
