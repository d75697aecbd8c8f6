//! A small Roster API.

use axum::http::StatusCode;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{
    Inside,
    answer::Answer,
    fields::Fields,
    reception::{Asked, bearer},
};
use crate::identity::ScopeSet;

/// The path below which it lies.
pub(super) const PREFIX: &str = "/rosterapi/v1/";

/// Most records on a page, and how many there are when `limit` is not given.
const MOST: usize = 100;

const USERS: &str = "edu.users.read";
const CLASSES: &str = "edu.classes.read";
const TEST: &str = "edu.rosterapi.test.read";

/// A refusal: Apple documents no body for it.
struct No(StatusCode, &'static str);

const NOT_FOUND: No = No(StatusCode::NOT_FOUND, "there is no such record");

/// Answers a call.
pub(super) fn answer(inside: &Inside, asked: &Asked) -> Answer {
    match record(inside, asked) {
        Ok(value) => Answer::json(StatusCode::OK, &value, "records were given"),
        Err(No(status, why)) => Answer::empty(status, why),
    }
}

fn record(inside: &Inside, asked: &Asked) -> Result<Value, No> {
    let scopes = scopes(inside, asked)?;
    let needs = |all: &[&str]| {
        let has = scopes.iter().any(|scope| scope == TEST || all.contains(&scope));
        if has { Ok(()) } else { Err(No(StatusCode::FORBIDDEN, "the access token lacks the scope")) }
    };
    let query = Fields::parse(asked.query());
    let path = asked.path().strip_prefix(PREFIX).unwrap_or_default();
    let segments: Vec<_> = path.split('/').map(|part| percent_decode_str(part).decode_utf8_lossy()).collect();
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let school = &inside.school;
    match segments.as_slice() {
        ["organization"] => needs(&[USERS, CLASSES]).map(|()| school.organization()),
        ["users"] => {
            needs(&[USERS])?;
            page("users", school.users(role(&query, &["Student", "Instructor", "Staff"])?), &query)
        }
        ["users", id] => needs(&[USERS]).and_then(|()| one(school.users(None), id)),
        ["classes"] => needs(&[CLASSES]).and_then(|()| page("classes", school.classes(), &query)),
        ["classes", id] => needs(&[CLASSES]).and_then(|()| one(school.classes(), id)),
        ["classes", id, "users"] => {
            needs(&[CLASSES])?;
            let members = school.members(id, role(&query, &["Student", "Instructor"])?).ok_or(NOT_FOUND)?;
            page("users", members, &query)
        }
        ["locations"] => needs(&[USERS, CLASSES]).and_then(|()| page("locations", school.locations(), &query)),
        ["locations", id] => needs(&[USERS, CLASSES]).and_then(|()| one(school.locations(), id)),
        _ => Err(No(StatusCode::NOT_FOUND, "there is no such path")),
    }
}

/// What the access token allows. One of a personal account opens no school.
fn scopes(inside: &Inside, asked: &Asked) -> Result<ScopeSet, No> {
    let token = bearer(asked).ok_or(No(StatusCode::UNAUTHORIZED, "there is no access token"))?;
    let grants = inside.grants();
    let approval =
        grants.bearer(token, inside.clock.now()).ok_or(No(StatusCode::UNAUTHORIZED, "the access token is invalid"))?;
    if approval.person.organization.is_none() {
        return Err(No(StatusCode::FORBIDDEN, "the account belongs to no organization"));
    }
    Ok(approval.scopes.clone())
}

fn role<'a>(query: &'a Fields, allowed: &[&str]) -> Result<Option<&'a str>, No> {
    match query.value("role") {
        Some(role) if !allowed.contains(&role) => Err(No(StatusCode::BAD_REQUEST, "the role is unknown")),
        role => Ok(role),
    }
}

fn one(records: Vec<Value>, id: &str) -> Result<Value, No> {
    records.into_iter().find(|record| record["id"] == id).ok_or(NOT_FOUND)
}

fn page(name: &str, records: Vec<Value>, query: &Fields) -> Result<Value, No> {
    let limit = match query.value("limit").map(str::parse::<usize>) {
        None => MOST,
        Some(Ok(limit)) if limit > 0 => limit.min(MOST),
        Some(_) => return Err(No(StatusCode::BAD_REQUEST, "limit is not a number above zero")),
    };
    let start = match query.value("pageToken") {
        None => 0,
        Some(token) => place(token).ok_or(No(StatusCode::BAD_REQUEST, "the pageToken is not one of ours"))?,
    };
    let more = records.len() > start.saturating_add(limit);
    let mut page = json!({ "moreToFollow": more });
    if more {
        page["nextPageToken"] = json!(URL_SAFE_NO_PAD.encode(format!("from {}", start + limit)));
    }
    page[name] = records.into_iter().skip(start).take(limit).collect();
    Ok(page)
}

fn place(token: &str) -> Option<usize> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?.strip_prefix("from ")?.parse().ok()
}
