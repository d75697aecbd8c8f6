//! The moving part: the request goes to the app, and its answer to the client, piece by piece as it comes.

use std::{future::poll_fn, pin::Pin, task::Poll};

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use pingora::{Error, ErrorType};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_util::io::poll_read_buf;
use tracing::Span;

use super::{
    body::{Body, Framing},
    head::AnswerHead,
    recipient::{Broken, Recipient},
    request::{self, FromGateway},
};
use crate::{
    entropy,
    policy::Admission,
    proxy::{
        Gateway, access_log,
        exchange::Exchange,
        fields::AnswerFields,
        forwarding,
        response_headers::is_final,
        upstreams::{AppConnection, Journey},
        wire::Head,
    },
};

/// Room for an answer: enough for the head and for what most apps say.
const ROOM: usize = 4096;

/// Room for one that is long.
const MUCH_ROOM: usize = 64 * 1024;

/// One app being asked.
#[derive(Debug, Default)]
pub(super) struct Call {
    /// Where the request goes.
    pub(super) journey: Journey,
    /// For traces.
    pub(super) span: Option<Span>,
    /// Whether the client has a part of the answer.
    pub(super) has_begun: bool,
}

impl Gateway {
    /// Sends a request to the app and the answer to the client.
    ///
    /// # Errors
    /// When the app cannot be reached, breaks off or says what is no answer, and when the client has gone.
    pub(super) async fn relay(
        &self,
        recipient: &mut impl Recipient,
        exchange: &Exchange,
        admission: &Admission,
        call: &mut Call,
    ) -> Result<(), Broken> {
        let mut app = self.reach(exchange, admission, call).await?;
        let request = self.request_for_app(recipient.request(), exchange, admission, call)?;
        if let Some(meter) = app.meter() {
            exchange.sent_to(meter);
        }
        exchange.sent(admission.app().upstream_timeout);
        let sent = app.socket.write_all(&request).await;
        sent.map_err(|error| Error::because(ErrorType::WriteError, "sending the request", error).into_up())?;

        let mut held = BytesMut::with_capacity(ROOM);
        let mut answer = self.answer_head(&mut app.socket, recipient, &mut held, exchange, admission).await?;
        let framing = answer.frame(exchange.facts.method == Method::HEAD).map_err(Error::into_up)?;
        // Before it is mended: then it says nothing of its connection any more.
        let may_be_kept = answer.keeps_alive() && framing != Framing::UntilClose;
        exchange.app_answers(answer.status().as_u16());
        if let Some(span) = &call.span {
            span.record("http.response.status_code", answer.status().as_u16());
        }
        self.mend_answer(&mut answer, exchange, admission)?;
        call.has_begun = true;
        recipient.begin(&answer, framing).await?;
        content(&mut app.socket, recipient, &mut held, framing).await?;
        if may_be_kept && held.is_empty() {
            app.keep();
        }
        recipient.end().await
    }

    /// A connection to the app. Nothing was sent on it: the next upstream may have the request.
    async fn reach<'a>(
        &'a self,
        exchange: &Exchange,
        admission: &Admission,
        call: &mut Call,
    ) -> pingora::Result<AppConnection<'a>> {
        let (app, journey) = (admission.app(), &mut call.journey);
        loop {
            let connected = self.upstreams.connect(app, journey).await?;
            let span = access_log::upstream_span(&exchange.facts, journey.upstream(app)?);
            match connected {
                Ok(connection) => {
                    call.span = Some(span);
                    return Ok(connection);
                }
                Err(error) => {
                    span.record("error.type", error.etype().as_str());
                    if !self.upstreams.unreachable(app, journey, &error) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The request as the app gets it.
    fn request_for_app(
        &self,
        head: Option<&Head>,
        exchange: &Exchange,
        admission: &Admission,
        call: &Call,
    ) -> pingora::Result<Vec<u8>> {
        let head = head.ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let (facts, app) = (&exchange.facts, admission.app());
        let labels = self.labels_of(head, app);
        let span_id = entropy::public_hex::<8>(&*self.entropy);
        if let Some(span) = &call.span {
            span.record("span_id", &span_id);
        }
        let keeps_back = |name: &[u8], value: &[u8]| self.keeps_back(name, value, &labels, exchange);
        let told = FromGateway {
            host: &forwarding::host(facts, app, call.journey.upstream(app)?),
            cookies: forwarding::cookies(head).without(keeps_back),
            facts,
            scheme: self.settings.external_scheme,
            span_id: &span_id,
            identity: exchange.identity(),
        };
        Ok(request::to_bytes(head, app, told))
    }

    /// The head of the answer. Interim ones go to the client on the way.
    async fn answer_head(
        &self,
        app: &mut TcpStream,
        recipient: &mut impl Recipient,
        held: &mut BytesMut,
        exchange: &Exchange,
        admission: &Admission,
    ) -> Result<AnswerHead, Broken> {
        loop {
            let parsed = if held.is_empty() { None } else { AnswerHead::parse(held).map_err(Error::into_up)? };
            let Some((mut head, length)) = parsed else {
                held.reserve(ROOM);
                if read(app, recipient, held).await? == 0 {
                    let error = Error::explain(ErrorType::ConnectionClosed, "before the head of the answer was over");
                    return Err(error.into_up().into());
                }
                continue;
            };
            held.advance(length);
            match head.status() {
                // RFC 9110, section 15.2.2: nobody has asked for another protocol.
                StatusCode::SWITCHING_PROTOCOLS => {
                    return Err(Error::explain(ErrorType::InvalidHTTPHeader, "a switch unasked").into_up().into());
                }
                status if is_final(status) => return Ok(head),
                _interim => {
                    head.unframe();
                    self.mend_answer(&mut head, exchange, admission)?;
                    recipient.interim(&head).await?;
                }
            }
        }
    }
}

/// Sends the content of the answer on; what lies beyond it stays in `held`.
async fn content(
    app: &mut TcpStream,
    recipient: &mut impl Recipient,
    held: &mut BytesMut,
    framing: Framing,
) -> Result<(), Broken> {
    let mut body = Body::new(framing);
    loop {
        let mut rest = &held[..];
        while let Some(content) = body.take(&mut rest).map_err(Error::into_up)? {
            recipient.content(content, body.is_done()).await?;
        }
        let left = rest.len();
        held.advance(held.len() - left);
        if body.is_done() {
            return Ok(());
        }
        match held.capacity() - held.len() {
            // All of it was filled at once: there is more.
            0 => held.reserve(MUCH_ROOM),
            // What was taken off is room again.
            1..ROOM => held.reserve(ROOM),
            ROOM.. => {}
        }
        if read(app, recipient, held).await? > 0 {
            continue;
        }
        return match framing {
            Framing::UntilClose => Ok(()),
            Framing::Length(_) | Framing::Chunked => {
                Err(Error::explain(ErrorType::ConnectionClosed, "before the answer was over").into_up().into())
            }
        };
    }
}

/// Reads what the app says next, while the client is there to hear it.
async fn read(app: &mut TcpStream, recipient: &mut impl Recipient, held: &mut BytesMut) -> Result<usize, Broken> {
    let read = poll_fn(|cx| match poll_read_buf(Pin::new(&mut *app), cx, held) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending => recipient.poll_gone(cx).map(|()| None),
    });
    match read.await {
        Some(Ok(read)) => Ok(read),
        Some(Err(error)) => Err(Error::because(ErrorType::ReadError, "reading the answer", error).into_up().into()),
        None => Err(Broken::Gone),
    }
}
