//! The pages of the stand-in: where one picks a person, and where Apple's refusals are told.

use askama::Template;
use axum::http::StatusCode;

use super::{
    Choice, Inside, PERSON_HEADER, Service,
    answer::Answer,
    authorize::AuthorizeRequest,
    consent::{Decision, Group, decide, groups},
    error_code::Refusal,
    reception::Asked,
};

#[derive(Template)]
#[template(path = "demo/pick.html")]
struct Pick<'a> {
    client_id: &'a str,
    scopes: Vec<&'a str>,
    /// Whether it takes an administrator or a site manager to agree.
    roster: bool,
    service: &'static str,
    query: &'a str,
    groups: Vec<Group<'a>>,
}

#[derive(Template)]
#[template(path = "demo/refused.html")]
struct Refused<'a> {
    title: &'a str,
    error: &'a str,
    why: &'a str,
}

/// `GET authorize`: the page, or at once its outcome for a test that says with a header whom it picks.
pub(super) fn authorize(inside: &Inside, service: Service, asked: &Asked) -> Answer {
    let request = match judge(inside, service, asked.query()) {
        Ok(request) => request,
        Err(refusal) => return refused(refusal),
    };
    if let Some(choice) = asked.header(PERSON_HEADER) {
        return outcome(decide(inside, request, Choice::parse(choice)));
    }
    let page = Pick {
        client_id: &request.client_id,
        scopes: request.scopes.iter().collect(),
        roster: request.asks_for_roster(),
        service: service.name(),
        query: asked.query(),
        groups: groups(inside.school.people()),
    };
    Answer::page(StatusCode::OK, page.render().unwrap_or_default(), "asked whom to be")
}

/// The page sent back. It carries the request along, which is judged once more: the stand-in keeps nothing
/// for people who never choose.
pub(super) fn pick(inside: &Inside, asked: &Asked) -> Answer {
    let form = asked.form();
    let field = |name| form.as_ref().and_then(|form| form.value(name));
    let service = Service::ALL.into_iter().find(|service| field("service") == Some(service.name()));
    let (Some(service), Some(query), Some(person)) = (service, field("query"), field("person")) else {
        return refused(Refusal::request("the form is incomplete"));
    };
    match judge(inside, service, query) {
        Ok(request) => outcome(decide(inside, request, Choice::parse(person))),
        Err(refusal) => refused(refusal),
    }
}

/// Judges the query of `authorize` under the present switches.
pub(super) fn judge(inside: &Inside, service: Service, query: &str) -> Result<AuthorizeRequest, Refusal> {
    let strict = inside.switches.behaviour().refuse_unknown_parameters;
    AuthorizeRequest::parse(service, query, &inside.clients, strict)
}

fn outcome(decision: Decision) -> Answer {
    match decision {
        Decision::Return(returned) => returned.answer(),
        Decision::NotForYou => {
            let page = Refused {
                title: "This account cannot do that",
                error: "not_authorized",
                why: "Only administrators and site managers can let an app read the school's roster.",
            };
            Answer::page(StatusCode::FORBIDDEN, page.render().unwrap_or_default(), "the role may not consent")
        }
        Decision::Nobody => refused(Refusal::request("there is no such person")),
    }
}

/// A wrong configuration is told here, with 400, and never sent back.
fn refused(refusal: Refusal) -> Answer {
    let page = Refused { title: "This request is not valid", error: refusal.error.as_str(), why: refusal.why };
    let html = page.render().unwrap_or_default();
    Answer { error: Some(refusal.error), ..Answer::page(StatusCode::BAD_REQUEST, html, refusal.why) }
}
