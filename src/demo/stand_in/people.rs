//! The cast: invented people of an invented school, and one outsider.

use aws_lc_rs::digest;
use base64::{Engine, engine::general_purpose::STANDARD};

/// The organization of the school, as `org_id` and in the Roster API.
pub(super) const ORGANIZATION: &str = "6f1c2a90-51d7-4c1e-9b0e-3d2f7a4e8c15";

/// What somebody is at the school.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// May authorize an app to read the roster.
    Administrator,
    /// May authorize an app to read the roster.
    SiteManager,
    /// Teaches classes.
    Teacher,
    /// Works at the school without teaching.
    Staff,
    /// Learns.
    Pupil,
    /// Has a personal Apple Account and no school.
    Outsider,
}

impl Role {
    /// Whether Apple lets somebody of this role authorize an app to read the roster.
    #[must_use]
    pub const fn may_consent(self) -> bool {
        match self {
            Self::Administrator | Self::SiteManager => true,
            Self::Teacher | Self::Staff | Self::Pupil | Self::Outsider => false,
        }
    }

    /// The role in the Roster API, for those who are in it.
    #[must_use]
    pub const fn in_roster(self) -> Option<&'static str> {
        match self {
            Self::Administrator | Self::SiteManager | Self::Staff => Some("Staff"),
            Self::Teacher => Some("Instructor"),
            Self::Pupil => Some("Student"),
            Self::Outsider => None,
        }
    }

    /// The heading above people of this role.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Administrator => "Administrator",
            Self::SiteManager => "Site manager",
            Self::Teacher => "Teachers",
            Self::Staff => "Staff",
            Self::Pupil => "Pupils",
            Self::Outsider => "Not from this school (personal account)",
        }
    }
}

/// How `email_verified` is written: Apple documents both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verified {
    /// As a JSON boolean.
    Boolean(bool),
    /// As a JSON string.
    Text(bool),
}

/// Somebody who can sign in.
#[derive(Clone, Debug)]
pub struct Persona {
    /// The short name for tests and forms: `administrator`, `teacher-1`, `pupil-12`.
    pub id: String,
    /// What the person is.
    pub role: Role,
    /// First name.
    pub given_name: &'static str,
    /// Last name.
    pub family_name: &'static str,
    /// The address; younger pupils have none.
    pub email: Option<String>,
    /// The claim `email_verified`.
    pub email_verified: Verified,
    /// The claim `sub`, in the shape of managed or of personal accounts.
    pub subject: String,
    /// The claim `org_id`; absent for personal accounts.
    pub organization: Option<String>,
    /// The grade, of pupils.
    pub grade: Option<&'static str>,
}

impl Persona {
    /// First and last name.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} {}", self.given_name, self.family_name)
    }
}

type Line = (Role, &'static str, &'static str, Option<&'static str>);

const CAST: &[Line] = &[
    (Role::Administrator, "Morgan", "Ashdown", None),
    (Role::SiteManager, "Robin", "Fairweather", None),
    (Role::Teacher, "Tilda", "Brightwater", None),
    (Role::Teacher, "Jasper", "Quillfeather", None),
    (Role::Teacher, "Noor", "Lanternhill", None),
    (Role::Staff, "Linden", "Pagewright", None),
    (Role::Pupil, "Pip", "Marrowby", Some("3")),
    (Role::Pupil, "Wren", "Tallowick", Some("3")),
    (Role::Pupil, "Odo", "Fernsby", Some("3")),
    (Role::Pupil, "Juniper", "Hollowell", Some("4")),
    (Role::Pupil, "Bram", "Thistlewood", Some("4")),
    (Role::Pupil, "Saffi", "Kettlewell", Some("4")),
    (Role::Pupil, "Lark", "Pennyroyal", Some("7")),
    (Role::Pupil, "Teodor", "Windlesham", Some("7")),
    (Role::Pupil, "Mina", "Copperfall", Some("7")),
    (Role::Pupil, "Ezra", "Stonebridge", Some("9")),
    (Role::Pupil, "Ondine", "Wakefern", Some("9")),
    (Role::Pupil, "Zinnia", "O’Marsh", Some("9")),
    (Role::Outsider, "Sam", "Elsewhere", None),
];

/// Everybody, in the order of the page where one picks a person.
pub(super) fn cast() -> Vec<Persona> {
    let mut people: Vec<Persona> = Vec::with_capacity(CAST.len());
    for &line in CAST {
        let number = people.iter().filter(|person| person.role == line.0).count() + 1;
        people.push(persona(line, number));
    }
    people
}

fn persona((role, given_name, family_name, grade): Line, number: usize) -> Persona {
    let id = match role {
        Role::Administrator => "administrator".to_owned(),
        Role::SiteManager => "site-manager".to_owned(),
        Role::Teacher => format!("teacher-{number}"),
        Role::Staff => "staff".to_owned(),
        Role::Pupil => format!("pupil-{number}"),
        Role::Outsider => "outsider".to_owned(),
    };
    let local = format!("{given_name}.{family_name}").to_lowercase().replace('’', "");
    // Grades 3 and 4 are too young for an address.
    let email = match (role, grade) {
        (Role::Pupil, Some("3" | "4")) => None,
        (Role::Outsider, _) => Some(format!("{local}@mail.example")),
        _ => Some(format!("{local}@larkspur.school.example")),
    };
    let email_verified = match (role, number) {
        (Role::Outsider, _) => Verified::Boolean(true),
        (Role::Teacher, 2) => Verified::Text(false),
        _ => Verified::Boolean(false),
    };
    let organization = (role != Role::Outsider).then(|| ORGANIZATION.to_owned());
    let subject = if organization.is_some() { managed_subject(&id) } else { personal_subject(&id) };
    Persona { id, role, given_name, family_name, email, email_verified, subject, organization, grade }
}

fn fingerprint(id: &str) -> String {
    let digest = digest::digest(&digest::SHA256, id.as_bytes());
    digest.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
}

/// Six digits, 40 and 4 characters of base64: the shape of Managed Apple Accounts.
fn managed_subject(id: &str) -> String {
    let print = fingerprint(id);
    let digits: String = print.chars().rev().filter(char::is_ascii_digit).chain("000000".chars()).take(6).collect();
    format!("{digits}.{}.{}", STANDARD.encode(&print[..30]), STANDARD.encode(&print[30..33]))
}

/// Six digits, 32 of hexadecimal and 4 digits: the shape of personal accounts.
fn personal_subject(id: &str) -> String {
    format!("001514.{}.2233", fingerprint(id)[..32].to_lowercase())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn everybody_has_a_name_of_their_own_and_a_subject_of_the_right_shape() {
        let people = cast();
        for name in [Persona::name, |person: &Persona| person.id.clone(), |person: &Persona| person.subject.clone()] {
            assert_eq!(people.iter().map(name).collect::<BTreeSet<_>>().len(), people.len());
        }
        for person in &people {
            let lengths: Vec<_> = person.subject.split('.').map(str::len).collect();
            let expected = if person.organization.is_some() { vec![6, 40, 4] } else { vec![6, 32, 4] };
            assert_eq!(lengths, expected, "{}", person.subject);
            assert!(person.subject.bytes().take(6).all(|byte| byte.is_ascii_digit()));
        }
    }

    #[test]
    fn the_cast_has_every_kind_that_the_gateway_must_cope_with() {
        let people = cast();
        let count = |role| people.iter().filter(|person| person.role == role).count();
        assert_eq!((count(Role::Teacher), count(Role::Pupil), count(Role::Outsider)), (3, 12, 1));
        assert!(people.iter().any(|person| person.email.is_none()));
        assert!(people.iter().any(|person| matches!(person.email_verified, Verified::Text(_))));
        assert!(people.iter().any(|person| person.organization.is_none()));
        assert_eq!(people.iter().filter(|person| person.role.may_consent()).count(), 2);
    }
}
