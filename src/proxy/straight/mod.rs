//! The straight way: most requests need nothing of what pingora does with them, and neither meet it nor pay for it.
//!
//! A request without a body is judged by the same rules as every other, before pingora reads it. Who is
//! turned away is answered here. Who is admitted to an app that is asked in clear HTTP/1.1 is sent there from here; the
//! phases take over everybody else, with the admission. `docs/decisions/0010-the-straight-way.md` tells why there are two.

mod body;
mod head;
mod recipient;
mod relay;
mod request;

use http::Method;
use pingora::{Error, ErrorSource};

pub(super) use self::recipient::{Broken, Http1, Recipient};
use self::relay::Call;
pub(super) use self::{body::Framing, head::AnswerHead};
use super::{
    Answer, Gateway, access_log,
    exchange::{Exchange, Facts},
    failures::{self, Outcome},
    forwarding, own, upstreams,
    wire::{BodyKind, Head, Version},
};
use crate::{pages::Failure, policy::Admission};

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// It had its answer, all of it.
    Answered,
    /// It had none, or not all of it: who waits for it must not take it for whole.
    Broken,
    /// It is the phases', judged or not.
    Phases,
}

impl Gateway {
    /// Whether a request can go straight as far as its head says.
    fn may_go_straight(&self, head: &Head, exchange: &Exchange) -> bool {
        let facts = &exchange.facts;
        let is_simple = matches!(head.version(), Version::Http11 | Version::Http2)
            && head.body() == BodyKind::None
            && !head.websocket()
            && head.connection_options().all(|option| option.eq_ignore_ascii_case(b"keep-alive"));
        let is_for_an_app = !facts.is_own && facts.certified && !own::is_own(facts.target.path());
        is_simple
            && is_for_an_app
            && self.serves(&facts.host)
            && !self.table.app(&facts.host).is_some_and(|app| app.keep_forms && self.may_be_about_a_form(head, facts))
    }

    /// Whether it may be a form, or come from a browser that has receipts of forms that wait.
    fn may_be_about_a_form(&self, head: &Head, facts: &Facts) -> bool {
        let only_reads = matches!(facts.method, Method::GET | Method::HEAD);
        let prefix = self.signin.cookie_names().form_prefix();
        !only_reads || forwarding::cookies(head).with_prefix(prefix).next().is_some()
    }

    /// Serves a request that goes straight. Who is turned away from an app that only the phases can ask is answered here
    /// too, for strangers must not cost what others do; who is admitted there takes the admission along.
    pub(super) async fn serve_straight(&self, recipient: &mut impl Recipient, exchange: &Exchange) -> Way {
        let Some(head) = recipient.request().filter(|head| self.may_go_straight(head, exchange)) else {
            return Way::Phases;
        };
        let judged = self.judge(head, exchange).await;
        self.count(exchange, judged.as_ref().map_err(AsRef::as_ref));
        match judged {
            Ok(admission) => exchange.admit(admission),
            Err(answer) => return self.answer_straight(*answer, recipient, exchange).await,
        }
        match exchange.admission() {
            Some(admission) if upstreams::is_plain(admission.app()) => {
                self.send_straight(recipient, exchange, admission).await
            }
            Some(_) | None => Way::Phases,
        }
    }

    /// An answer of the gateway's own, and the line in the log.
    async fn answer_straight(&self, answer: Answer, recipient: &mut impl Recipient, exchange: &Exchange) -> Way {
        let answer = answer.secured(self.settings.hsts);
        exchange.explain(&answer);
        let arrived = recipient.answer(&answer, &exchange.facts).await.is_ok();
        access_log::line(exchange, if arrived { answer.status() } else { 0 });
        if arrived {
            return Way::Answered;
        }
        recipient.break_off().await;
        Way::Broken
    }

    /// Sends an admitted request to its app, and the answer to the client.
    async fn send_straight(&self, recipient: &mut impl Recipient, exchange: &Exchange, admission: &Admission) -> Way {
        let mut call = Call::default();
        let relayed = self.relay(recipient, exchange, admission, &mut call).await;
        let begun = exchange.status().filter(|_| call.has_begun);
        let way = match relayed {
            Ok(()) => Way::Answered,
            Err(Broken::Gone) => Way::Broken,
            Err(Broken::App(error)) => {
                // First, for what is noted tells by its reason that the app said nothing at all.
                let instead = begun.is_none().then(|| self.failure(&error, exchange));
                if *error.esource() == ErrorSource::Upstream {
                    let upstream = call.journey.upstream(admission.app()).ok();
                    failures::note_upstream(exchange, upstream, call.span.as_ref(), error.etype());
                }
                if let Some(answer) = instead {
                    // A second answer, for lateness, must not follow this one.
                    exchange.answered(answer.status());
                    return self.answer_straight(answer, recipient, exchange).await;
                }
                Way::Broken
            }
        };
        if way == Way::Broken {
            recipient.break_off().await;
        }
        access_log::line(exchange, begun.unwrap_or_default());
        way
    }

    /// The answer in the place of an app that has failed.
    fn failure(&self, error: &Error, exchange: &Exchange) -> Answer {
        let failure = match failures::outcome(None, error) {
            Outcome::Answer(failure) => failure,
            // Nobody has gone: of the client nothing is read here.
            Outcome::Gone => Failure::Internal,
        };
        let answer = exchange.in_place_of_the_app(failure, failures::reason(None, error));
        exchange.explain(&answer);
        answer
    }
}
