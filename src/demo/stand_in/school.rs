//! The school as the Roster API tells of it: organization, locations, classes, users.

use serde_json::{Value, json};

use super::people::{self, ORGANIZATION, Persona, Role};

/// When everything began; with the nine fractional digits that real answers have.
const CREATED: &str = "2024-08-26T06:00:00.404451216Z";
const MODIFIED: &str = "2025-09-01T05:30:12.118Z";

/// Name, nickname, number, room, location, teacher and pupils of a class, the last two as places in the cast.
type ClassLine = (&'static str, &'static str, &'static str, &'static str, usize, &'static [&'static str]);

const CLASSES: &[(&str, ClassLine)] = &[
    ("class-3-reading", ("Reading 3", "The Bookworms", "R3", "12", 0, &["teacher-1", "pupil-1", "pupil-2", "pupil-3"])),
    (
        "class-4-maths",
        ("Mathematics 4", "Number Crunchers", "M4", "14", 0, &["teacher-2", "pupil-4", "pupil-5", "pupil-6"]),
    ),
    ("class-7-science", ("Science 7", "Lab Seven", "S7", "Lab 2", 1, &["teacher-3", "pupil-7", "pupil-8", "pupil-9"])),
    (
        "class-9-history",
        (
            "History 9",
            "Time Travellers",
            "H9",
            "31",
            1,
            &["teacher-1", "teacher-3", "pupil-10", "pupil-11", "pupil-12"],
        ),
    ),
];

const LOCATIONS: &[(&str, &str)] = &[("loc-lower-school", "Lower School"), ("loc-upper-school", "Upper School")];

/// A class and who is in it.
pub(super) struct SchoolClass {
    id: &'static str,
    line: ClassLine,
    members: Vec<usize>,
}

/// Everything that can be asked for.
pub(super) struct School {
    people: Vec<Persona>,
    classes: Vec<SchoolClass>,
}

impl School {
    /// The invented school.
    pub(super) fn new() -> Self {
        let people = people::cast();
        let place = |id: &&str| people.iter().position(|person| person.id == **id);
        let classes = CLASSES
            .iter()
            .map(|(id, line)| SchoolClass { id, line: *line, members: line.5.iter().filter_map(place).collect() })
            .collect();
        Self { people, classes }
    }

    /// Everybody, outsiders too.
    pub(super) fn people(&self) -> &[Persona] {
        &self.people
    }

    /// Somebody by the short name.
    pub(super) fn person(&self, id: &str) -> Option<&Persona> {
        self.people.iter().find(|person| person.id == id)
    }

    /// The object `Organization`.
    pub(super) fn organization(&self) -> Value {
        json!({
            "id": ORGANIZATION, "name": "Larkspur Hill School", "type": "EDUCATION",
            "domains": [{"name": "larkspur.school.example", "isVerified": true}],
            "dateCreated": CREATED, "dateLastModified": MODIFIED,
        })
    }

    /// The objects `Location`.
    pub(super) fn locations(&self) -> Vec<Value> {
        LOCATIONS
            .iter()
            .map(|(id, name)| {
                json!({
                    "id": id, "name": name, "domain": "larkspur.school.example", "timeZone": "Europe/Berlin",
                    "dateCreated": CREATED, "dateLastModified": MODIFIED,
                })
            })
            .collect()
    }

    /// The objects `Class`.
    pub(super) fn classes(&self) -> Vec<Value> {
        self.classes.iter().map(|class| self.class(class)).collect()
    }

    /// The objects `User` of everybody in the roster, or of one role.
    pub(super) fn users(&self, role: Option<&str>) -> Vec<Value> {
        self.people.iter().filter_map(|person| user(person, role)).collect()
    }

    /// The objects `User` of a class, or of one role in it.
    pub(super) fn members(&self, class_id: &str, role: Option<&str>) -> Option<Vec<Value>> {
        let class = self.classes.iter().find(|class| class.id == class_id)?;
        Some(class.members.iter().filter_map(|place| user(self.people.get(*place)?, role)).collect())
    }

    fn class(&self, class: &SchoolClass) -> Value {
        let (name, nickname, number, room, location, _) = class.line;
        let subjects = |role| -> Vec<&str> {
            let members = class.members.iter().filter_map(|place| self.people.get(*place));
            members.filter(|person| person.role == role).map(|person| person.subject.as_str()).collect()
        };
        json!({
            "id": class.id, "name": name, "displayName": nickname, "number": number, "room": room,
            "instructorIds": subjects(Role::Teacher), "studentIds": subjects(Role::Pupil),
            "locationId": location_id(location), "dateCreated": CREATED, "dateLastModified": MODIFIED,
        })
    }
}

fn location_id(place: usize) -> &'static str {
    LOCATIONS.get(place).map_or(ORGANIZATION, |(id, _)| id)
}

fn user(person: &Persona, role: Option<&str>) -> Option<Value> {
    let own = person.role.in_roster().filter(|own| role.is_none_or(|asked| asked == *own))?;
    // Grades up to 6 are in the lower school; who has no grade belongs to the organization.
    let location = match person.grade {
        Some("3" | "4") => location_id(0),
        Some(_) => location_id(1),
        None => ORGANIZATION,
    };
    let mut user = json!({
        "id": person.subject, "givenName": person.given_name, "familyName": person.family_name,
        "roles": [own], "roleLocationMapping": [{"roleName": own, "locationId": format!("LO:{location}")}],
        "dateCreated": CREATED, "dateLastModified": MODIFIED,
    });
    for (name, value) in [("email", person.email.as_deref()), ("grade", person.grade)] {
        if let Some(value) = value {
            user[name] = value.into();
        }
    }
    Some(user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_name_people_of_the_roster() {
        let school = School::new();
        let users = school.users(None);
        let known = |id: &Value| users.iter().any(|user| user["id"] == *id);
        assert_eq!(school.classes().len(), 4);
        for class in school.classes() {
            for list in ["instructorIds", "studentIds"] {
                let ids = class[list].as_array().unwrap();
                assert!(!ids.is_empty() && ids.iter().all(known), "{class}");
            }
        }
        assert_eq!(school.users(Some("Student")).len(), 12);
        assert_eq!(school.members("class-9-history", Some("Instructor")).unwrap().len(), 2);
        assert!(school.members("class-0", None).is_none());
    }

    #[test]
    fn outsiders_are_not_in_the_roster_and_missing_members_are_left_out() {
        let school = School::new();
        assert_eq!(school.users(None).len(), school.people().len() - 1);
        let youngest = &school.users(Some("Student"))[0];
        assert!(youngest.get("email").is_none() && youngest["grade"] == "3");
    }
}
