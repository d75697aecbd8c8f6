//! Asks the Roster API for classes, with the access token that came in a header.

use std::{io, time::Duration};

use reqwest::{Client, StatusCode, header, redirect};
use serde::Deserialize;
use url::Url;

use super::visitor::AccessToken;
use crate::secret::Secret;

/// How long one answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer that is read, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Most pages of one list.
const MOST_PAGES: usize = 50;

/// Why there is no list of classes.
#[derive(Debug, thiserror::Error)]
pub(super) enum RosterError {
    /// No token came with the request.
    #[error("No access token came with your request, so Apple cannot be asked.")]
    NoToken,
    /// No answer.
    #[error("Apple’s Roster API cannot be reached.")]
    Unreachable(#[source] reqwest::Error),
    /// Another answer than 200.
    #[error("Apple’s Roster API answered {}.", meaning(*.0))]
    Refused(StatusCode),
    /// An answer that makes no sense.
    #[error("Apple’s Roster API gave an answer that cannot be read.")]
    Unreadable,
}

fn meaning(status: StatusCode) -> String {
    let known = match status {
        StatusCode::UNAUTHORIZED => ": the access token is not valid",
        StatusCode::FORBIDDEN => ": the access token may not read classes",
        StatusCode::TOO_MANY_REQUESTS => ": it was asked too often",
        _ => "",
    };
    format!("{status}{known}")
}

/// A class with the names in it.
pub(super) struct ClassList {
    pub(super) name: String,
    pub(super) room: Option<String>,
    pub(super) teachers: Vec<String>,
    pub(super) pupils: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    classes: Vec<Class>,
    #[serde(default)]
    users: Vec<User>,
    next_page_token: Option<String>,
    #[serde(default)]
    more_to_follow: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Class {
    id: String,
    name: Option<String>,
    room: Option<String>,
    #[serde(default)]
    instructor_ids: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    #[serde(default)]
    given_name: String,
    #[serde(default)]
    family_name: String,
}

/// The Roster API.
pub(super) struct Roster {
    client: Client,
    base: Url,
}

impl Roster {
    /// At this address instead of Apple's.
    pub(super) fn at(base: Url) -> io::Result<Self> {
        let client = Client::builder()
            .user_agent("GradeBook/2.1 (2009)")
            .redirect(redirect::Policy::none())
            .timeout(PATIENCE)
            .no_proxy()
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { client, base })
    }

    /// All classes with everybody in them.
    pub(super) async fn classes(&self, token: Option<&Secret<AccessToken>>) -> Result<Vec<ClassList>, RosterError> {
        let token = token.ok_or(RosterError::NoToken)?;
        let mut lists = Vec::new();
        for class in self.all(&["classes"], token, |page| page.classes).await? {
            let users = self.all(&["classes", &class.id, "users"], token, |page| page.users).await?;
            let (teachers, pupils): (Vec<_>, Vec<_>) =
                users.into_iter().partition(|user| class.instructor_ids.contains(&user.id));
            let names = |users: Vec<User>| -> Vec<String> {
                users.into_iter().map(|user| format!("{} {}", user.given_name, user.family_name)).collect()
            };
            lists.push(ClassList {
                name: class.name.unwrap_or(class.id),
                room: class.room,
                teachers: names(teachers),
                pupils: names(pupils),
            });
        }
        Ok(lists)
    }

    async fn all<T>(
        &self,
        path: &[&str],
        token: &Secret<AccessToken>,
        records: impl Fn(Page) -> Vec<T>,
    ) -> Result<Vec<T>, RosterError> {
        let mut all = Vec::new();
        let mut next = None;
        for _ in 0..MOST_PAGES {
            let mut page = self.page(path, token, next.as_deref()).await?;
            next = page.next_page_token.take().filter(|_| page.more_to_follow);
            all.extend(records(page));
            if next.is_none() {
                return Ok(all);
            }
        }
        Err(RosterError::Unreadable)
    }

    async fn page(
        &self,
        path: &[&str],
        token: &Secret<AccessToken>,
        page_token: Option<&str>,
    ) -> Result<Page, RosterError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| RosterError::Unreadable)?
            .pop_if_empty()
            .extend(["rosterapi", "v1"])
            .extend(path);
        // Small pages, so that whoever tries the demo sees paging at work.
        url.query_pairs_mut().append_pair("limit", "3").extend_pairs(page_token.map(|token| ("pageToken", token)));
        let request = self.client.get(url).header(header::AUTHORIZATION, format!("Bearer {}", token.expose()));
        let mut answer = request.send().await.map_err(RosterError::Unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(RosterError::Refused(answer.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(RosterError::Unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > LONGEST {
                return Err(RosterError::Unreadable);
            }
        }
        serde_json::from_slice(&body).map_err(|_| RosterError::Unreadable)
    }
}
