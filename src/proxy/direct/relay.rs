//! The moving part: the request goes to the app, and its answer to the client, piece by piece as it comes.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Poll},
};

use bytes::{Buf, BytesMut};
use http::{Method, StatusCode};
use pingora::{Error, ErrorType};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
    time::timeout,
};
use tokio_util::io::poll_read_buf;
use tracing::Span;

use super::{
    body::{Body, Framing},
    head::AnswerHead,
    request::{self, Told},
};
use crate::{
    entropy,
    policy::Admission,
    proxy::{
        Gateway, access_log,
        connection::WRITE_TIMEOUT,
        exchange::Exchange,
        fields::AnswerFields,
        forwarding,
        response_headers::is_final,
        upstreams::{Journey, Line},
        wire::Guard,
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

/// Why an answer did not arrive whole.
pub(super) enum Broken {
    /// The app failed.
    App(Box<Error>),
    /// The client has gone.
    Gone,
}

/// Errors are the app's, unless they say so.
impl From<Box<Error>> for Broken {
    fn from(error: Box<Error>) -> Self {
        Self::App(error)
    }
}

impl Gateway {
    /// Sends a request to the app and the answer to the client.
    ///
    /// # Errors
    /// When the app cannot be reached, breaks off or says what is no answer, and when the client has gone.
    pub(super) async fn relay<S>(
        &self,
        guard: &mut Guard<S>,
        exchange: &Exchange,
        admission: &Admission,
        call: &mut Call,
    ) -> Result<(), Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    {
        let mut line = self.reach(exchange, admission, call).await?;
        let request = self.request(guard, exchange, admission, call)?;
        guard.settle();
        if let Some(meter) = line.meter() {
            exchange.sent_to(meter);
        }
        exchange.sent(admission.app().upstream_timeout);
        let sent = line.socket.write_all(&request).await;
        sent.map_err(|error| Error::because(ErrorType::WriteError, "sending the request", error).into_up())?;

        let mut held = BytesMut::with_capacity(ROOM);
        let mut answer = self.head(&mut line.socket, guard, &mut held, exchange, admission).await?;
        let framing = answer.frame(exchange.facts.method == Method::HEAD).map_err(Error::into_up)?;
        exchange.app_answers(answer.status().as_u16());
        if let Some(span) = &call.span {
            span.record("http.response.status_code", answer.status().as_u16());
        }
        self.mend_answer(&mut answer, exchange, admission)?;
        call.has_begun = true;
        put(guard, &answer.to_bytes(true)).await?;
        content(&mut line.socket, guard, &mut held, framing).await?;
        if answer.keeps_alive() && framing != Framing::UntilClose && held.is_empty() {
            line.keep();
        }
        in_time(guard.flush()).await
    }

    /// A connection to the app. Nothing was sent on it: the next upstream may have the request.
    async fn reach<'a>(
        &'a self,
        exchange: &Exchange,
        admission: &Admission,
        call: &mut Call,
    ) -> pingora::Result<Line<'a>> {
        let (app, journey) = (admission.app(), &mut call.journey);
        loop {
            let line = self.upstreams.line(app, journey).await?;
            let span = access_log::upstream_span(&exchange.facts, journey.upstream(app)?);
            match line {
                Ok(line) => {
                    call.span = Some(span);
                    return Ok(line);
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
    fn request<S>(
        &self,
        guard: &Guard<S>,
        exchange: &Exchange,
        admission: &Admission,
        call: &Call,
    ) -> pingora::Result<Vec<u8>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    {
        let head = guard.head().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let (facts, app) = (&exchange.facts, admission.app());
        let labels = self.labels_of(head, app);
        let span_id = entropy::public_hex::<8>(&*self.entropy);
        if let Some(span) = &call.span {
            span.record("span_id", &span_id);
        }
        let keeps_back = |name: &[u8], value: &[u8]| self.keeps_back(name, value, &labels, exchange);
        let told = Told {
            host: &forwarding::host(facts, app, call.journey.upstream(app)?),
            cookies: forwarding::cookies(head).without(keeps_back),
            facts,
            scheme: self.settings.external_scheme,
            span_id: &span_id,
            identity: exchange.identity(),
        };
        Ok(request::to_bytes(head, app, &told))
    }

    /// The head of the answer. Interim ones go to the client on the way.
    async fn head<S>(
        &self,
        app: &mut TcpStream,
        guard: &mut Guard<S>,
        held: &mut BytesMut,
        exchange: &Exchange,
        admission: &Admission,
    ) -> Result<AnswerHead, Broken>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    {
        loop {
            let parsed = if held.is_empty() { None } else { AnswerHead::parse(held).map_err(Error::into_up)? };
            let Some((mut head, length)) = parsed else {
                held.reserve(ROOM);
                if read(app, guard, held).await? == 0 {
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
                    self.mend_answer(&mut head, exchange, admission)?;
                    put(guard, &head.to_bytes(false)).await?;
                }
            }
        }
    }
}

/// Sends the content of the answer on; what lies beyond it stays in `held`.
async fn content<S>(
    app: &mut TcpStream,
    guard: &mut Guard<S>,
    held: &mut BytesMut,
    framing: Framing,
) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let mut body = Body::new(framing);
    let in_chunks = !matches!(framing, Framing::Length(_));
    loop {
        let mut rest = &held[..];
        while let Some(content) = body.take(&mut rest).map_err(Error::into_up)? {
            if in_chunks {
                put(guard, format!("{:x}\r\n", content.len()).as_bytes()).await?;
                put(guard, content).await?;
                put(guard, b"\r\n").await?;
            } else {
                put(guard, content).await?;
            }
        }
        let left = rest.len();
        held.advance(held.len() - left);
        if body.is_done() {
            break;
        }
        if held.capacity() == held.len() {
            held.reserve(MUCH_ROOM);
        }
        if read(app, guard, held).await? > 0 {
            continue;
        }
        if framing == Framing::UntilClose {
            break;
        }
        return Err(Error::explain(ErrorType::ConnectionClosed, "before the answer was over").into_up().into());
    }
    if in_chunks { put(guard, b"0\r\n\r\n").await } else { Ok(()) }
}

/// Writes to a client that takes something of it within its time.
async fn put<S>(guard: &mut Guard<S>, bytes: &[u8]) -> Result<(), Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    in_time(guard.write_all(bytes)).await
}

/// A write that the client takes within its time. Most are over at once, and need no timer.
pub(super) async fn in_time(write: impl Future<Output = io::Result<()>>) -> Result<(), Broken> {
    let mut write = pin!(write);
    let written = match poll_fn(|cx| Poll::Ready(write.as_mut().poll(cx))).await {
        Poll::Ready(written) => Ok(written),
        Poll::Pending => timeout(WRITE_TIMEOUT, write).await,
    };
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Broken::Gone),
    }
}

/// Reads what the app says next, while the client is there to hear it; what was said before goes out meanwhile.
async fn read<S>(app: &mut TcpStream, guard: &mut Guard<S>, held: &mut BytesMut) -> Result<usize, Broken>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let read = poll_fn(|cx| match poll_read_buf(Pin::new(&mut *app), cx, held) {
        Poll::Ready(read) => Poll::Ready(Some(read)),
        Poll::Pending => poll_gone(guard, cx).map(|()| None),
    });
    match read.await {
        Some(Ok(read)) => Ok(read),
        Some(Err(error)) => Err(Error::because(ErrorType::ReadError, "reading the answer", error).into_up().into()),
        None => Err(Broken::Gone),
    }
}

/// Ready when the client has gone.
fn poll_gone<S>(guard: &mut Guard<S>, cx: &mut Context<'_>) -> Poll<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
{
    let mut byte = [0];
    let read: Poll<io::Result<()>> = Pin::new(guard).poll_read(cx, &mut ReadBuf::new(&mut byte));
    read.map(drop)
}
