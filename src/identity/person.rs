//! A person as an ID token describes them.

use super::{Organization, Subject};

/// An email address and whether Apple vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    /// The address as Apple gave it.
    pub address: Box<str>,
    /// The claim `email_verified`: false when absent.
    pub verified: bool,
}

impl Email {
    /// The domain, only when Apple vouches for the address and it has exactly one `@` with something
    /// on both sides: `a@evil@school.example` belongs to nobody's domain.
    #[must_use]
    pub fn verified_domain(&self) -> Option<&str> {
        let (local, domain) = self.address.split_once('@')?;
        (self.verified && !local.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some(domain)
    }
}

/// What the gateway knows of a person beside the claims that only a header asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Person {
    /// The claim `sub`.
    pub subject: Subject,
    /// The claim `org_id`; absent for personal accounts.
    pub organization: Option<Organization>,
    /// The claims `email` and `email_verified`; younger pupils have none.
    pub email: Option<Email>,
    /// The claim `is_private_email`.
    pub is_private_email: Option<bool>,
    /// The claim `auth_time`, in seconds since the epoch.
    pub auth_time: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(address: &str, verified: bool) -> Email {
        Email { address: address.into(), verified }
    }

    #[test]
    fn only_a_verified_address_with_one_at_sign_has_a_domain() {
        assert_eq!(email("a@school.example", true).verified_domain(), Some("school.example"));
        assert_eq!(email("a@school.example", false).verified_domain(), None);
        // CVE-2026-40574: the last @ counted.
        for address in ["a@evil@school.example", "@school.example", "school.example", "a@", ""] {
            assert_eq!(email(address, true).verified_domain(), None, "{address}");
        }
    }
}
