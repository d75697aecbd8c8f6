//! Whoever is not signed in and wants what only those get who are. Nothing of such a request is for an app, and so it
//! is answered before pingora reads it.

use http::Method;
use pingora::protocols::http::date::get_cached_date;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    Answer, Gateway, access_log,
    connection::WRITE_TIMEOUT,
    exchange::Exchange,
    own,
    wire::{BodyKind, Guard, Head, Version},
};
use crate::{
    policy::{Access, Decision, decide},
    signin::Browser,
    web::CookieJar,
};

impl Gateway {
    /// The answer to a request that shows no session and has no other way in. `None` leaves it to the phases, which
    /// judge everything: from here nobody gets further than to Apple.
    pub(super) fn to_stranger(&self, head: &Head, exchange: &Exchange) -> Option<Answer> {
        let facts = &exchange.facts;
        let is_plain = matches!(facts.method, Method::GET | Method::HEAD)
            && head.version() == Version::Http11
            && head.body() == BodyKind::None
            && !head.websocket()
            && head.connection_options().all(|option| option.eq_ignore_ascii_case(b"keep-alive"));
        let is_for_an_app = !facts.is_own && facts.certified && !own::is_own(facts.target.path());
        if !is_plain || !is_for_an_app || !self.serves(&facts.host) {
            return None;
        }
        let browser = Browser { host: &facts.host, jar: CookieJar::parse(head.field("cookie")) };
        if browser.jar.values(self.signin.cookie_names().session()).next().is_some() {
            return None;
        }
        let lookup = self.table.find(&facts.host, &facts.method, facts.target.path()).ok()?;
        // A form that is kept, and an app's own sign-out, have their own ways.
        let app = lookup.app();
        let has_a_way = app.keep_forms || app.sessions.end_with(&facts.method, facts.target.path());
        if has_a_way || lookup.route().access != Access::Required {
            return None;
        }
        let number = lookup.number();
        match decide(lookup, facts.kind, None) {
            Decision::Admit(_) => None,
            Decision::TurnAway(why) => {
                exchange.meets(number);
                let answer = self.turn_away(why, None, facts, &browser).secured(self.settings.hsts);
                self.count(exchange, Err(&answer));
                exchange.explain(&answer);
                Some(answer)
            }
        }
    }
}

/// Sends such an answer; gives the guard back when the connection may be used again.
pub(super) async fn send<S>(answer: &Answer, mut guard: Guard<S>, exchange: &Exchange) -> Option<Guard<S>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let facts = &exchange.facts;
    let bytes = answer.to_bytes(&facts.request_id, facts.method == Method::HEAD, &get_cached_date());
    guard.settle();
    let sent = timeout(WRITE_TIMEOUT, async {
        guard.write_all(&bytes).await?;
        guard.flush().await
    });
    let arrived = matches!(sent.await, Ok(Ok(())));
    access_log::line(exchange, if arrived { answer.status() } else { 0 });
    arrived.then_some(guard)
}
