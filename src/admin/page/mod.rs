//! The page for people: how the gateway is, who is signed in, and a way to end sessions, which asks first.
//!
//! Whoever wrote what is shown here (a user agent, an address at Apple) is a stranger: the templates escape it, and the
//! policy of the page runs no script but its own. What changes something is a form with a permit (`permit`).

mod overview;
mod permit;
mod search;
mod style;
mod view;
mod wording;

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use askama::Template;
use http::StatusCode;
use tokio::time::timeout;
use url::form_urlencoded::Serializer;

use super::{
    Present,
    health::Health,
    query::{End, field, form},
    reply::{Refusal, Reply},
    sessions::{SessionsEndpoint, unavailable},
};
use crate::{
    clock::{SharedClock, Timestamp},
    entropy::Entropy,
    session::{Listed, Selector, SessionKey, Sessions, StoreError},
    telemetry::Metrics,
    web::Form,
};
use overview::Overview;
use permit::{Deed, Permits};
pub(super) use style::policy;
use view::{Board, Choice, Confirm, Refused, Row, what};

/// Whoever looks wants to see something soon, and at three in the morning all the more.
const PATIENCE: Duration = Duration::from_secs(3);

/// The page.
#[derive(Debug)]
pub(super) struct Page {
    health: Health,
    metrics: Arc<Metrics>,
    present: Arc<ArcSwap<Present>>,
    sessions: Arc<Sessions>,
    endpoint: SessionsEndpoint,
    permits: Permits,
    clock: SharedClock,
    started: Timestamp,
}

impl Page {
    pub(super) fn new(
        (health, endpoint): (Health, SessionsEndpoint),
        present: Arc<ArcSwap<Present>>,
        sessions: Arc<Sessions>,
        metrics: Arc<Metrics>,
        (clock, entropy): (SharedClock, &dyn Entropy),
    ) -> Self {
        let (permits, started) = (Permits::new(entropy), clock.now());
        Self { health, metrics, present, sessions, endpoint, permits, clock, started }
    }

    /// `GET /`. A store that is away is shown, and does not hide the rest.
    pub(super) async fn show(&self, query: Option<&str>) -> Result<Reply, Refusal> {
        let form = form(query.unwrap_or_default().as_bytes(), &["q", "after", "ended"])?;
        let words = field(&form, "q")?.unwrap_or_default().trim();
        let after = match field(&form, "after")? {
            Some(text) => Some(SessionKey::parse(text).ok_or_else(|| Refusal::bad("The list cannot go on there."))?),
            None => None,
        };
        let ended = field(&form, "ended")?.and_then(|text| text.parse().ok());
        let (vitals, found) =
            tokio::join!(self.health.ask(), timeout(PATIENCE, search::find(&self.sessions, words, after.as_ref())));
        let (found, trouble) = match found {
            Ok(Ok(found)) => (found, None),
            Ok(Err(error)) => (search::Found::default(), Some(error.to_string())),
            Err(_) => (search::Found::default(), Some("the session store is too slow".to_owned())),
        };
        let now = self.clock.now();
        let overview = Overview::of(&vitals, &self.present.load(), &self.metrics, (self.started, now));
        let mut sessions = found.sessions;
        sessions.sort_by_key(|listed| std::cmp::Reverse(listed.last_seen));
        let page = Board {
            overview,
            said: ended.map(said),
            words,
            rows: sessions.iter().map(|listed| Row::of(listed, now)).collect(),
            trouble,
            is_cut: found.is_cut,
            first: after.map(|_| href(&[("q", words)])),
            next: found.next.map(|key| href(&[("q", words), ("after", &key.to_text())])),
            permit: self.permits.give(Deed::Ask),
            everybody: "all=true",
        };
        rendered(StatusCode::OK, &page)
    }

    /// `POST /confirm`: what would end, and the form that ends it. Nothing has changed yet.
    pub(super) async fn confirm(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let form = form(body, &["permit", "what", "q"])?;
        let end = self.permitted(&form, Deed::Ask)?;
        let words = field(&form, "q")?.unwrap_or_default();
        let row = match &end {
            End::All => None,
            End::Of(whose) => {
                let (listed, _) = self.in_time(self.sessions.list_of(whose, None, 1)).await?;
                match listed.first() {
                    Some(listed) => Some(listed.clone()),
                    None => return Ok(Reply::see_other(&href(&[("ended", "0"), ("q", words)]))),
                }
            }
        };
        let choices = self.choices(&end, row.as_ref()).await?;
        let row = row.map(|listed| Row::of(&listed, self.clock.now()));
        let (permit, back) = (self.permits.give(Deed::End), href(&[("q", words)]));
        rendered(StatusCode::OK, &Confirm { row, choices, words, back, permit })
    }

    /// `POST /end`: ends what was confirmed.
    pub(super) async fn end(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let form = form(body, &["permit", "what", "q"])?;
        let end = self.permitted(&form, Deed::End)?;
        let ended = self.endpoint.end(end).await?.ended.to_string();
        Ok(Reply::see_other(&href(&[("ended", &ended), ("q", field(&form, "q")?.unwrap_or_default())])))
    }

    /// What a form of ours asks for.
    fn permitted(&self, form: &Form, deed: Deed) -> Result<End, Refusal> {
        if !self.permits.is_ours(deed, field(form, "permit")?.unwrap_or_default()) {
            return Err(Refusal::forbidden(
                "This form is not from this page, or from before the gateway was started anew. Nothing has ended. Open \
                 the page and try again.",
            ));
        }
        End::read(field(form, "what")?)
    }

    /// From the least to the most.
    async fn choices(&self, end: &End, listed: Option<&Listed>) -> Result<Vec<Choice>, Refusal> {
        let Some(listed) = listed else {
            let count = self.in_time(self.sessions.count()).await?;
            return Ok(vec![Choice {
                what: "all=true".into(),
                words: format!("everybody's sessions, {count} in all"),
            }]);
        };
        let person = &listed.record.person;
        let mut choices = Vec::new();
        if matches!(end, End::Of(Selector::Handle(_))) {
            choices.push(Choice { what: what("id", listed.record.handle.as_str()), words: "this session".into() });
        }
        let subject = Selector::Subject(person.subject.clone());
        let count = self.in_time(self.sessions.count_of(&subject)).await?;
        if count > 1 {
            let words = format!("all {count} sessions of this person");
            choices.push(Choice { what: what("user", person.subject.as_str()), words });
        }
        if let Some(organization) = &person.organization {
            let count = self.in_time(self.sessions.count_of(&Selector::Organization(organization.clone()))).await?;
            let words = format!("everybody of this organization: {count} in all");
            choices.push(Choice { what: what("organization", organization.as_str()), words });
        }
        Ok(choices)
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, Refusal> {
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|error| unavailable(&error)),
            Err(_) => Err(Refusal::unavailable("The session store is too slow. Nothing has ended.")),
        }
    }
}

/// A refusal, for whoever reads it in a browser.
pub(super) fn refused(refusal: Refusal, request_id: &str) -> Reply {
    let page = Refused { title: refusal.title(), detail: &refusal.detail, reference: request_id };
    match rendered(refusal.status, &page) {
        Ok(reply) => reply.with(refusal.further),
        Err(_) => refusal.into_reply(request_id),
    }
}

fn rendered(status: StatusCode, page: &impl Template) -> Result<Reply, Refusal> {
    let html = page.render().map_err(|_| Refusal::mistake("The page cannot be written."))?;
    Ok(Reply::page(status, html))
}

fn said(ended: u64) -> String {
    match ended {
        0 => "No session has ended: there was none any more.".to_owned(),
        1 => "One session has ended.".to_owned(),
        many => format!("{many} sessions have ended."),
    }
}

/// The page with these parameters, as far as they have a value.
fn href(parameters: &[(&str, &str)]) -> String {
    let query =
        Serializer::new(String::new()).extend_pairs(parameters.iter().filter(|(_, text)| !text.is_empty())).finish();
    if query.is_empty() { "/".to_owned() } else { format!("/?{query}") }
}
