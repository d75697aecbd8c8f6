//! The phases of a proxied request: each a few lines that call a neighbour.

use std::{any::Any, ops::Deref, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Version, header};
use pingora::{
    Error, ErrorSource, ErrorType,
    http::{RequestHeader, ResponseHeader},
    proxy::{FailToProxy, ProxyHttp, Session},
    upstreams::peer::HttpPeer,
};
use tracing::Span;

use super::{
    Gateway, access_log,
    exchange::Exchange,
    failures::{self, Outcome},
    forms::Forms,
    forwarding, judge,
    own::{self, Endpoint},
    response_headers::is_final,
    upstreams::{Asks, Journey},
};
use crate::{entropy, policy::Admission};

/// What the phases of one request share.
#[derive(Debug, Default)]
pub struct Context {
    /// The request; absent only when somebody else than our connection loop made the session.
    exchange: Option<Arc<Exchange>>,
    /// Bytes of the body so far.
    received: u64,
    /// Where it goes.
    journey: Journey,
    /// What it has to do with forms that are kept.
    forms: Forms,
    /// What an app is being asked, for traces.
    call: Option<Span>,
}

impl Context {
    /// The request.
    pub(super) fn exchange(&self) -> Option<&Arc<Exchange>> {
        self.exchange.as_ref()
    }

    /// The proof that policy let it through.
    pub(super) fn admission(&self) -> Option<&Admission> {
        self.exchange()?.admission()
    }

    fn parts(&self) -> pingora::Result<(&Arc<Exchange>, &Admission)> {
        self.exchange().zip(self.admission()).ok_or_else(|| Error::new(ErrorType::InternalError))
    }
}

/// Whether the client says that it takes trailers (RFC 9110, section 10.1.4).
fn asks_for_trailers(request: &RequestHeader) -> bool {
    let said =
        request.headers.get_all(header::TE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    said.map(<[u8]>::trim_ascii).any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
}

/// A gateway as pingora has it. It is not pingora's alone.
#[derive(Debug)]
pub struct Phases(Arc<Gateway>);

impl Phases {
    /// The phases of a gateway.
    pub(super) fn of(gateway: &Arc<Gateway>) -> Self {
        Self(Arc::clone(gateway))
    }
}

impl Deref for Phases {
    type Target = Gateway;

    fn deref(&self) -> &Gateway {
        &self.0
    }
}

#[async_trait]
impl ProxyHttp for Phases {
    type CTX = Context;

    fn new_ctx(&self) -> Context {
        Context::default()
    }

    /// Takes over what the connection loop knows. Also runs for the first request of a connection.
    fn on_connection_reuse(&self, _: &mut Session, context: &mut Context, exchange: Box<dyn Any + Send + Sync>) {
        context.exchange = exchange.downcast::<Arc<Exchange>>().ok().map(|exchange| *exchange);
    }

    /// The same for a request of HTTP/2, which brings it along.
    async fn early_request_filter(&self, session: &mut Session, context: &mut Context) -> pingora::Result<()> {
        if let Some(exchange) = session.req_header_mut().extensions_mut().remove::<Arc<Exchange>>() {
            context.exchange = Some(exchange);
        }
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, context: &mut Context) -> pingora::Result<bool> {
        let exchange = context.exchange.clone().ok_or_else(|| Error::new(ErrorType::InternalError))?;
        let facts = &exchange.facts;
        // It was judged before pingora read it.
        if let Some(admission) = exchange.admission() {
            forwarding::ignore_nominations(session.req_header_mut(), admission.app())?;
            return Ok(false);
        }
        // Web servers ask for forward-auth by whatever name they know the gateway by.
        let everywhere = Endpoint::of(facts.target.path()) == Some(Endpoint::Auth);
        let answer = if facts.is_own {
            judge::misdirected(facts)
        } else if !facts.certified || !everywhere && !self.serves(&facts.host) {
            let answer = if facts.certified { judge::misdirected(facts) } else { judge::uncertified(facts) };
            self.count(&exchange, Err(&answer));
            answer
        } else if own::is_own(facts.target.path()) {
            let answer = self.answer_own(session, facts).await?;
            self.metrics.own_paths.took(own::counted(facts.target.path()), exchange.stopwatch.elapsed());
            answer
        } else {
            let judged = self.judge_with_forms(session, &exchange, &mut context.forms).await?;
            self.count(&exchange, judged.as_ref().map_err(AsRef::as_ref));
            match judged {
                Ok(admission) => {
                    forwarding::ignore_nominations(session.req_header_mut(), admission.app())?;
                    exchange.admit(admission);
                    return Ok(false);
                }
                Err(answer) => *answer,
            }
        };
        let answer = answer.secured(self.settings.hsts);
        exchange.explain(&answer);
        answer.send(session, &facts.request_id).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, context: &mut Context) -> pingora::Result<Box<HttpPeer>> {
        let Context { exchange, journey, call, .. } = context;
        let parts = exchange.as_ref().and_then(|exchange| exchange.admission().zip(Some(&exchange.facts)));
        let (admission, facts) = parts.ok_or_else(|| Error::new(ErrorType::InternalError))?;
        let asks = if facts.websocket { Asks::WebSocket } else { Asks::Request };
        let peer = self.upstreams.next(admission.app(), journey, asks).await?;
        *call = Some(access_log::upstream_span(facts, journey.upstream(admission.app())?));
        Ok(peer)
    }

    /// Nothing was sent: the next upstream may have the request, whatever its method.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        context: &mut Context,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let Context { exchange, journey, call, .. } = context;
        if let Some(call) = call.take() {
            call.record("error.type", error.etype().as_str());
        }
        let elsewhere = exchange
            .as_ref()
            .and_then(|exchange| exchange.admission())
            .is_some_and(|admission| self.upstreams.unreachable(admission.app(), journey, &error));
        error.set_retry(elsewhere);
        error
    }

    /// Something was sent, or may have been: then nothing is sent again. pingora would, on a connection that was used
    /// before, for RFC 9112, section 9.3.1, allows it for some methods; but nobody knows what the app has read. Only
    /// an app of HTTP/2 can say that it has not.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        _: &mut Context,
        _reused: bool,
    ) -> Box<Error> {
        let untouched = failures::was_not_processed(&error) && session.response_written().is_none();
        error.set_retry(untouched && !session.as_ref().retry_buffer_truncated());
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        // On a second try the body comes from its beginning again.
        context.received = 0;
        let (exchange, admission) = context.parts()?;
        let app = admission.app();
        let labels = self.labels_of(request, app);
        forwarding::clean(request, app, |name, value| self.keeps_back(name, value, &labels, exchange))?;
        let span_id = entropy::public_hex::<8>(&*self.entropy);
        if let Some(call) = &context.call {
            call.record("span_id", &span_id);
        }
        let scheme = self.settings.external_scheme;
        forwarding::describe(&exchange.facts, scheme, &span_id, |name, value| request.insert_header(name, value))?;
        // gRPC asks for it, and pingora takes it out as a field of one connection.
        if request.version == Version::HTTP_2 && asks_for_trailers(session.req_header()) {
            request.insert_header(header::TE, "trailers")?;
        }
        for (name, value) in exchange.identity() {
            request.insert_header(name.clone(), value.clone())?;
        }
        let host = forwarding::host(&exchange.facts, app, context.journey.upstream(app)?);
        if request.headers.get(header::HOST).is_none_or(|said| said.as_bytes() != host.as_bytes()) {
            request.insert_header(header::HOST, host)?;
        }
        if let Some(upstream) = self.upstreams.meter(app, &context.journey) {
            exchange.sent_to(upstream);
        }
        exchange.sent(app.upstream_timeout);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        _: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        context: &mut Context,
    ) -> pingora::Result<()> {
        if let Some(taken) = context.forms.taken() {
            // The click is over: this is called once, with all of its body. An empty piece would end the message twice.
            *body = Some(taken.form.body.clone()).filter(|form| !form.is_empty());
        }
        let received = body.as_ref().map_or(0, Bytes::len);
        context.received = context.received.saturating_add(u64::try_from(received).unwrap_or(u64::MAX));
        let (exchange, admission) = context.parts()?;
        exchange.moved();
        // After a handshake the bytes are a conversation, not a body.
        if !exchange.facts.websocket && context.received > admission.app().max_body {
            return Err(Error::new_down(ErrorType::HTTPStatus(413)));
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        if let Some(exchange) = context.exchange().filter(|_| is_final(response.status)) {
            let status = response.status.as_u16();
            exchange.app_answers(status);
            if let Some(call) = &context.call {
                call.record("http.response.status_code", status);
            }
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        context: &mut Context,
    ) -> pingora::Result<()> {
        let (exchange, admission) = context.parts()?;
        // RFC 9110, section 2.5: the version is that of this hop, whatever the app speaks.
        response.set_version(Version::HTTP_11);
        self.mend_answer(response, exchange, admission)?;
        if is_final(response.status) { context.forms.onto(response) } else { Ok(()) }
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, context: &mut Context) -> FailToProxy {
        let answered = session.response_written().is_some();
        let refused = failures::refused(session, Some(error));
        let error_code = match (failures::outcome(refused, error), context.exchange()) {
            (Outcome::Answer(failure), Some(exchange)) if !answered => {
                self.put_back(&context.forms, exchange).await;
                let facts = &exchange.facts;
                let answer = exchange.in_place_of_the_app(failure, failures::reason(refused, error));
                let answer = answer.secured(self.settings.hsts);
                exchange.explain(&answer);
                // A second answer, for lateness, must not follow this one.
                exchange.answered(answer.status());
                // Reused in name only: this is how pingora closes in order, so that the answer arrives.
                session.set_keepalive(None);
                match answer.send(session, &facts.request_id).await {
                    Ok(()) => answer.status(),
                    Err(_gone) => 0,
                }
            }
            (Outcome::Answer(_) | Outcome::Gone, _) => 0,
        };
        FailToProxy { error_code, can_reuse_downstream: error_code > 0 }
    }

    /// Our own line tells more, and no query.
    fn suppress_error_log(&self, _: &Session, _: &Context, _: &Error) -> bool {
        true
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, context: &mut Context) {
        if let Some(exchange) = context.exchange() {
            let status = session.response_written().map_or(0, |response| response.status.as_u16());
            let reason = error.map(|error| (error.esource().clone(), error.etype().clone()));
            if let Some((ErrorSource::Upstream, kind)) = &reason {
                let upstream = exchange.admission().and_then(|it| context.journey.upstream(it.app()).ok());
                failures::note_upstream(exchange, upstream, context.call.as_ref(), kind);
            }
            if let Some(refusal) = failures::refused(session, error) {
                self.metrics.unreadable.count(refusal.kind());
            }
            access_log::line(exchange, status);
        }
    }
}
