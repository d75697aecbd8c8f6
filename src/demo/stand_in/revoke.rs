//! `POST revoke` (RFC 7009).

use axum::http::StatusCode;

use super::{Inside, answer::Answer, error_code::Refusal, reception::Asked, token::client_form};

/// The fields that Apple's pages name.
const DOCUMENTED: &[&str] = &["client_id", "client_secret", "token", "token_type_hint"];

/// Answers a call: 200 without a body, also for a token that is no more.
pub(super) fn answer(inside: &Inside, asked: &Asked) -> Answer {
    match revoke(inside, asked) {
        Ok(why) => Answer::empty(StatusCode::OK, why),
        Err(refusal) => Answer::refusal(refusal),
    }
}

fn revoke(inside: &Inside, asked: &Asked) -> Result<&'static str, Refusal> {
    let (client, form) = client_form(inside, asked, DOCUMENTED)?;
    let token = form.value("token").ok_or(Refusal::request("token is missing"))?;
    let hint = form.value("token_type_hint");
    if hint.is_some_and(|hint| hint != "refresh_token" && hint != "access_token") {
        return Err(Refusal::request("token_type_hint is neither refresh_token nor access_token"));
    }
    let reach = inside.switches.behaviour().revocation_reach;
    match inside.grants().revoke(token, hint, &client.client_id, reach)? {
        None => Ok("there was nothing to revoke"),
        Some(person) => {
            // Who takes an authorization back is asked for name and address again.
            inside.acquaintances().remove(&(client.client_id.clone(), person.subject));
            Ok("revoked")
        }
    }
}
