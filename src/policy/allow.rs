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

    /// The kind of rule that keeps `person` out; `None` when they may pass.
    #[must_use]
    pub fn unmet(&self, person: &Person) -> Option<Unmet> {
        let organization = person.organization.as_ref();
        if !self.organizations.is_empty() && organization.is_none_or(|org| !self.organizations.contains(org)) {
            return Some(Unmet::Organization);
        }
        if !self.users.is_empty() && !self.users.contains(&person.subject) {
            return Some(Unmet::User);
        }
        if self.emails.is_empty() && self.email_domains.is_empty() {
            return None;
        }
        if person.email.as_ref().is_some_and(|email| !email.verified) {
            return Some(Unmet::EmailNotVerified);
        }
        // `verified_domain` is what makes an address worth anything: Apple vouches for it, and it has one `@`.
        let email = person.email.as_ref().and_then(|email| Some((&email.address, email.verified_domain()?)));
        let among = |list: &[String], text: &str| list.iter().any(|one| one.eq_ignore_ascii_case(text));
        if !self.emails.is_empty() && email.is_none_or(|(address, _)| !among(&self.emails, address)) {
            return Some(Unmet::Email);
        }
        let outside = !self.email_domains.is_empty() && email.is_none_or(|(_, own)| !among(&self.email_domains, own));
        outside.then_some(Unmet::EmailDomain)
    }
}

/// The kind of rule that a person does not meet, for the log and for `explain`. Of several, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmet {
    /// They belong to none of the organizations, or to none at all.
    Organization,
    /// They are none of the users.
    User,
    /// Apple does not vouch for their address, so no rule about addresses lets them in.
    EmailNotVerified,
    /// They have none of the addresses, or none at all.
    Email,
    /// Their address is in none of the domains, or they have none.
    EmailDomain,
}

impl Unmet {
    /// As the log has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::User => "user",
            Self::EmailNotVerified => "email not verified",
            Self::Email => "email",
            Self::EmailDomain => "email domain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Email;

    const ORGANIZATION: &str = "6f1c2a90-51d7-4c1e-9b0e-3d2f7a4e8c15";

    fn person(subject: &str, organization: &str, email: Option<(&str, bool)>) -> Person {
        Person {
            subject: Subject::parse(subject).unwrap(),
            organization: Organization::parse(organization).ok(),
            email: email.map(|(address, verified)| Email { address: address.into(), verified }),
            is_private_email: None,
            auth_time: None,
        }
    }

    fn allow(organizations: &[&str], users: &[&str], emails: &[&str], email_domains: &[&str]) -> Allow {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Allow {
            organizations: organizations.iter().map(|text| Organization::parse(text).unwrap()).collect(),
            users: users.iter().map(|text| Subject::parse(text).unwrap()).collect(),
            emails: texts(emails),
            email_domains: texts(email_domains),
        }
    }

    #[test]
    fn nothing_given_admits_anyone_who_signed_in() {
        let everybody = allow(&[], &[], &[], &[]);
        assert!(everybody.is_open());
        for email in [None, Some(("", false)), Some(("a@b@c", true))] {
            assert_eq!(everybody.unmet(&person("a", "", email)), None);
        }
    }

    #[test]
    fn one_kind_that_is_given_closes_the_route() {
        for one in [
            allow(&["o"], &[], &[], &[]),
            allow(&[], &["u"], &[], &[]),
            allow(&[], &[], &["a@b.example"], &[]),
            allow(&[], &[], &[], &["b.example"]),
        ] {
            assert!(!one.is_open() && one.unmet(&person("nobody", "", None)).is_some(), "{one:?}");
        }
    }

    #[test]
    fn organizations_and_users_are_compared_letter_by_letter() {
        let rule = allow(&["other", ORGANIZATION], &[], &[], &[]);
        let (upper, dot) = (ORGANIZATION.to_uppercase(), format!("{ORGANIZATION}."));
        for (organization, unmet) in [
            (ORGANIZATION, None),
            ("", Some(Unmet::Organization)),
            (&*upper, Some(Unmet::Organization)),
            (&*dot, Some(Unmet::Organization)),
            (&ORGANIZATION[..35], Some(Unmet::Organization)),
        ] {
            assert_eq!(rule.unmet(&person("a", organization, None)), unmet, "{organization}");
        }
        let rule = allow(&[], &["Bob", "000264.Abc.RUtP"], &[], &[]);
        for (subject, unmet) in [
            ("Bob", None),
            ("000264.Abc.RUtP", None),
            ("bob", Some(Unmet::User)),
            ("000264.abc.RUtP", Some(Unmet::User)),
            ("000264.Abc.RUtP.", Some(Unmet::User)),
            ("000264.Abc", Some(Unmet::User)),
        ] {
            assert_eq!(rule.unmet(&person(subject, ORGANIZATION, None)), unmet, "{subject}");
        }
    }

    #[test]
    fn cve_2026_40574_an_address_counts_only_when_verified_and_whole() {
        use Unmet::{Email, EmailDomain, EmailNotVerified};
        let (domains, addresses) =
            (allow(&[], &[], &[], &["school.example"]), allow(&[], &[], &["T@school.example"], &[]));
        for (address, verified, domain, whole) in [
            ("t@school.example", true, None, None),
            ("T@SCHOOL.example", true, None, None),
            ("other@School.Example", true, None, Some(Email)),
            // Apple does not vouch for it.
            ("t@school.example", false, Some(EmailNotVerified), Some(EmailNotVerified)),
            ("a@elsewhere.example", false, Some(EmailNotVerified), Some(EmailNotVerified)),
            // More than one @, or none, or nothing beside it.
            ("a@evil@school.example", true, Some(EmailDomain), Some(Email)),
            ("a@school.example@evil", true, Some(EmailDomain), Some(Email)),
            ("t@@school.example", true, Some(EmailDomain), Some(Email)),
            ("\"t@school.example\"@evil.example", true, Some(EmailDomain), Some(Email)),
            ("@school.example", true, Some(EmailDomain), Some(Email)),
            ("school.example", true, Some(EmailDomain), Some(Email)),
            ("t@", true, Some(EmailDomain), Some(Email)),
            ("", true, Some(EmailDomain), Some(Email)),
            // Near the domain, and not it.
            ("t@school.example.", true, Some(EmailDomain), Some(Email)),
            ("t@.school.example", true, Some(EmailDomain), Some(Email)),
            ("t@sub.school.example", true, Some(EmailDomain), Some(Email)),
            ("t@evilschool.example", true, Some(EmailDomain), Some(Email)),
            ("t@school.example.evil", true, Some(EmailDomain), Some(Email)),
            ("t@school.example ", true, Some(EmailDomain), Some(Email)),
            ("t@school.example\0", true, Some(EmailDomain), Some(Email)),
            ("t@school.example\n", true, Some(EmailDomain), Some(Email)),
            // Letters that look alike, or that Unicode folds to them: a Kyrillic o, a long s, a wide dot.
            ("t@sch\u{43e}ol.example", true, Some(EmailDomain), Some(Email)),
            ("t@\u{17f}chool.example", true, Some(EmailDomain), Some(Email)),
            ("t@school\u{ff0e}example", true, Some(EmailDomain), Some(Email)),
            ("t\u{ff20}school.example", true, Some(EmailDomain), Some(Email)),
            ("t@school.example\u{200b}", true, Some(EmailDomain), Some(Email)),
        ] {
            let somebody = person("a", ORGANIZATION, Some((address, verified)));
            let judged = (domains.unmet(&somebody), addresses.unmet(&somebody));
            assert_eq!(judged, (domain, whole), "{address:?} {verified}");
        }
        let without = person("a", ORGANIZATION, None);
        assert_eq!((domains.unmet(&without), addresses.unmet(&without)), (Some(EmailDomain), Some(Email)));
    }

    #[test]
    fn all_given_kinds_must_match_and_the_first_that_does_not_is_told() {
        let rule = allow(&["o"], &["u"], &["t@school.example", "x@other.example"], &["school.example"]);
        let fine = Some(("t@school.example", true));
        for (subject, organization, email, unmet) in [
            ("u", "o", fine, None),
            ("u", "p", fine, Some(Unmet::Organization)),
            ("v", "p", None, Some(Unmet::Organization)),
            ("v", "o", fine, Some(Unmet::User)),
            ("v", "o", None, Some(Unmet::User)),
            ("u", "o", None, Some(Unmet::Email)),
            ("u", "o", Some(("t@school.example", false)), Some(Unmet::EmailNotVerified)),
            ("u", "o", Some(("s@school.example", true)), Some(Unmet::Email)),
            ("u", "o", Some(("x@other.example", true)), Some(Unmet::EmailDomain)),
        ] {
            assert_eq!(rule.unmet(&person(subject, organization, email)), unmet, "{subject} {organization} {email:?}");
        }
    }

    #[test]
    fn a_reason_says_nothing_of_the_person_and_stands_in_the_documentation() {
        let documentation = include_str!("../../docs/routes.md");
        for unmet in [Unmet::Organization, Unmet::User, Unmet::EmailNotVerified, Unmet::Email, Unmet::EmailDomain] {
            assert!(documentation.contains(&format!(" | `{}` |\n", unmet.as_str())), "{unmet:?}");
            assert!(unmet.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b' '));
        }
    }
}
