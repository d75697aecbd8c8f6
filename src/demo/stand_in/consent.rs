//! The person's choice, and what follows from it.

use super::{
    Inside, Returned,
    authorize::AuthorizeRequest,
    behaviour::{Granted, Others, UserMember},
    grants::Approval,
    people::{Persona, Role},
};

/// What one does on the page where one picks a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// Picks the person with this short name: [`Persona::id`].
    Person(&'a str),
    /// Presses Cancel.
    Cancel,
}

impl<'a> Choice<'a> {
    /// The form field: `cancel`, or a short name.
    pub(super) fn parse(text: &'a str) -> Self {
        if text == "cancel" { Self::Cancel } else { Self::Person(text) }
    }
}

/// Where a choice leads.
pub(super) enum Decision {
    /// Back to the gateway.
    Return(Returned),
    /// A page at Apple: this account may not do that.
    NotForYou,
    /// Nobody has this name.
    Nobody,
}

/// Carries a choice out.
pub(super) fn decide(inside: &Inside, request: AuthorizeRequest, choice: Choice<'_>) -> Decision {
    let person = match choice {
        Choice::Cancel => return Decision::Return(back_with_error(request, "user_cancelled_authorize")),
        Choice::Person(id) => match inside.school.person(id) {
            Some(person) => person.clone(),
            None => return Decision::Nobody,
        },
    };
    let behaviour = inside.switches.behaviour();
    if request.asks_for_roster() && !person.role.may_consent() {
        match behaviour.others {
            Others::Denied => return Decision::Return(back_with_error(request, "access_denied")),
            Others::Cancelled => return Decision::Return(back_with_error(request, "user_cancelled_authorize")),
            Others::Page => return Decision::NotForYou,
            Others::Granted => {}
        }
    }
    let scopes = match &behaviour.granted {
        Granted::AsAsked => request.scopes.clone(),
        // What is asked for without what is not granted.
        Granted::Only(only) => request.scopes.missing_from(&request.scopes.missing_from(only)),
    };
    let user = user_member(inside, &request, &person, behaviour.user_member);
    let approval = Approval {
        client_id: request.client_id,
        redirect_uri: request.redirect_uri.clone(),
        challenge: request.challenge,
        nonce: request.nonce,
        scopes,
        person,
        at: inside.clock.now(),
    };
    let code = inside.grants().make_code(approval, &*inside.entropy);
    let fields = [("code", Some(code)), ("state", request.state), ("user", user)];
    Decision::Return(Returned::new(request.redirect_uri, request.mode, present(fields)))
}

/// `error` and `state`, never a `code`.
fn back_with_error(request: AuthorizeRequest, error: &str) -> Returned {
    let fields = [("error", Some(error.to_owned())), ("state", request.state)];
    Returned::new(request.redirect_uri, request.mode, present(fields))
}

fn present<const N: usize>(fields: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Name and address, unsigned, once: at the first authorization.
fn user_member(inside: &Inside, request: &AuthorizeRequest, person: &Persona, when: UserMember) -> Option<String> {
    if !request.asks_for_person() {
        return None;
    }
    let first = inside.acquaintances().insert((request.client_id.clone(), person.subject.clone()));
    let wanted = match when {
        UserMember::First => first,
        UserMember::Always => true,
        UserMember::Never => false,
    };
    wanted.then(|| {
        let mut user = serde_json::json!({});
        if request.scopes.iter().any(|scope| scope == "name") {
            user["name"] = serde_json::json!({ "firstName": person.given_name, "lastName": person.family_name });
        }
        if let Some(email) = person.email.as_ref().filter(|_| request.scopes.iter().any(|scope| scope == "email")) {
            user["email"] = email.as_str().into();
        }
        user.to_string()
    })
}

/// People of one role, under its heading.
pub(super) struct Group<'a> {
    pub(super) heading: &'static str,
    pub(super) people: Vec<&'a Persona>,
}

/// Everybody by role.
pub(super) fn groups(people: &[Persona]) -> Vec<Group<'_>> {
    let roles = [Role::Administrator, Role::SiteManager, Role::Teacher, Role::Staff, Role::Pupil, Role::Outsider];
    let of = |role| people.iter().filter(|person| person.role == role).collect();
    roles.into_iter().map(|role| Group { heading: role.heading(), people: of(role) }).collect()
}
