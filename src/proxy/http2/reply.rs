//! The answering half of an HTTP/2 request that goes straight to its app.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http::Method;
use pingora::Error;

use super::voice::Voice;
use crate::proxy::{
    Answer, Facts,
    connection::WRITE_TIMEOUT,
    lent::Lent,
    straight::{AnswerHead, Broken, Framing, Recipient},
    wire::Head,
};

/// A client of HTTP/2 that waits for one answer.
pub(super) struct Reply<'a> {
    head: &'a Head,
    voice: Lent<Voice>,
}

impl<'a> Reply<'a> {
    /// To a request with this head.
    pub(super) fn to(head: &'a Head, voice: Lent<Voice>) -> Self {
        Self { head, voice }
    }

    /// The voice, for somebody else to answer with.
    pub(super) fn into_voice(self) -> Lent<Voice> {
        self.voice
    }

    fn voice(&mut self) -> Result<&mut Voice, Broken> {
        self.voice.get_mut().ok_or(Broken::Gone)
    }
}

impl Recipient for Reply<'_> {
    fn request(&self) -> Option<&Head> {
        Some(self.head)
    }

    async fn interim(&mut self, head: &AnswerHead) -> Result<(), Broken> {
        let told = head.to_response().map_err(Error::into_up)?;
        self.voice()?.interim(told).map_err(|_gone| Broken::Gone)
    }

    async fn begin(&mut self, head: &AnswerHead, framing: Framing) -> Result<(), Broken> {
        let told = head.to_response().map_err(Error::into_up)?;
        self.voice()?.begin(told, framing == Framing::Length(0)).map_err(|_gone| Broken::Gone)
    }

    async fn content(&mut self, content: &[u8], is_last: bool) -> Result<(), Broken> {
        let content = Bytes::copy_from_slice(content);
        self.voice()?.body(content, is_last, Some(WRITE_TIMEOUT)).await.map_err(|_gone| Broken::Gone)
    }

    async fn end(&mut self) -> Result<(), Broken> {
        self.voice()?.end().map_err(|_gone| Broken::Gone)
    }

    async fn break_off(&mut self) {
        if let Some(voice) = self.voice.get_mut() {
            voice.reset(Reason::INTERNAL_ERROR);
        }
    }

    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.voice.get_mut().map_or(Poll::Ready(()), |voice| voice.poll_reset(cx).map(drop))
    }

    async fn answer(&mut self, answer: &Answer, facts: &Facts) -> Result<(), Broken> {
        let head_only = facts.method == Method::HEAD;
        let voice = self.voice()?;
        voice.answer(answer, &facts.request_id, head_only, WRITE_TIMEOUT).await.map_err(|_gone| Broken::Gone)
    }
}
