//! Who may use a route.

use crate::identity::{Organization, Person, Subject};

/// The people of a route. All given kinds must match; none given means anyone who signed in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// `org_id`s.
    pub organizations: Vec<Organization>,
    /// `sub`s, exact and case-sensitive.
    pub users: Vec<Subject>,
    /// Whole addresses, verified, compared without case.
    pub emails: Vec<String>,
    /// Domains of verified addresses, compared without case.
    pub email_domains: Vec<String>,
}

impl Allow {
    /// Whether anyone who signed in may pass.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.organizations.is_empty()
            && self.users.is_empty()
            && self.emails.is_empty()
            && self.email_domains.is_empty()
    }

    /// Whether `person` may pass.
    #[must_use]
    pub fn admits(&self, person: &Person) -> bool {
        let organization = self.organizations.is_empty()
            || person.organization.as_ref().is_some_and(|org| self.organizations.contains(org));
        let user = self.users.is_empty() || self.users.contains(&person.subject);
        // `verified_domain` is what makes an address worth anything: Apple vouches for it, and it has one `@`.
        let email = person.email.as_ref().filter(|email| email.verified_domain().is_some());
        let address = self.emails.is_empty()
            || email.is_some_and(|email| self.emails.iter().any(|one| one.eq_ignore_ascii_case(&email.address)));
        let domain = self.email_domains.is_empty()
            || email
                .and_then(|email| email.verified_domain())
                .is_some_and(|domain| self.email_domains.iter().any(|one| one.eq_ignore_ascii_case(domain)));
        organization && user && address && domain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Email;

    fn person(subject: &str, organization: Option<&str>, email: Option<(&str, bool)>) -> Person {
        Person {
            subject: Subject::parse(subject).unwrap(),
            organization: organization.map(|org| Organization::parse(org).unwrap()),
            email: email.map(|(address, verified)| Email { address: address.into(), verified }),
            is_private_email: None,
            auth_time: None,
            claims: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn nothing_given_admits_anyone_who_signed_in() {
        assert!(Allow::default().admits(&person("a", None, None)));
        assert!(Allow::default().is_open());
    }

    #[test]
    fn all_given_kinds_must_match() {
        let allow = Allow {
            organizations: vec![Organization::parse("org-1").unwrap()],
            users: vec![Subject::parse("Anna").unwrap()],
            ..Allow::default()
        };
        assert!(allow.admits(&person("Anna", Some("org-1"), None)));
        for (subject, organization) in
            [("anna", Some("org-1")), ("Anna", Some("org-2")), ("Anna", None), ("Anna", Some("ORG-1"))]
        {
            assert!(!allow.admits(&person(subject, organization, None)), "{subject} {organization:?}");
        }
    }

    #[test]
    fn emails_count_only_when_verified_and_whole() {
        let allow = Allow { email_domains: vec!["school.example".into()], ..Allow::default() };
        assert!(allow.admits(&person("a", None, Some(("t@School.example", true)))));
        for email in [
            None,
            Some(("t@school.example", false)),
            Some(("a@evil@school.example", true)),
            Some(("t@evilschool.example", true)),
            Some(("t@school.example.evil", true)),
            Some(("t@sub.school.example", true)),
        ] {
            assert!(!allow.admits(&person("a", None, email)), "{email:?}");
        }
        let allow = Allow { emails: vec!["t@school.example".into()], ..Allow::default() };
        assert!(allow.admits(&person("a", None, Some(("T@school.example", true)))));
        assert!(!allow.admits(&person("a", None, Some(("t@school.example", false)))));
        assert!(!allow.admits(&person("a", None, None)));
    }
}
