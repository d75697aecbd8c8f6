//! Connections of WebSockets to apps, on which nothing is read in the moment after something was written.
//!
//! pingora tells itself that the handshake has no body, and reads the app's answer, both at once and in either order. When
//! it hears of the `101` first, it takes the end of the body for the end of the WebSocket, and closes it at once
//! (<https://github.com/cloudflare/pingora/issues/946>): so it goes where a machine is busy and the app is quick. Who
//! writes the head and is then told for once that nothing is there looks after the body first.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use async_trait::async_trait;
use pingora::{
    Error, ErrorType,
    connectors::l4::Connect,
    protocols::l4::{
        ext,
        socket::SocketAddr,
        stream::Stream,
        virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// How pingora connects for a WebSocket.
pub(super) fn connector() -> Arc<dyn Connect + Send + Sync> {
    Arc::new(Hesitantly)
}

#[derive(Debug)]
struct Hesitantly;

#[async_trait]
impl Connect for Hesitantly {
    async fn connect(&self, address: &SocketAddr) -> pingora::Result<Stream> {
        let address = address.as_inet().ok_or_else(|| Error::new_in(ErrorType::InternalError))?;
        let socket = ext::connect(address, None).await?;
        socket.set_nodelay(true).map_err(|error| Error::because(ErrorType::SocketError, "setting nodelay", error))?;
        Ok(VirtualSocketStream::new(Box::new(Hesitant { socket, wrote: false })).into())
    }
}

/// A socket that has nothing to read for once after each write.
#[derive(Debug)]
struct Hesitant<S> {
    socket: S,
    wrote: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Hesitant<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if std::mem::take(&mut this.wrote) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut this.socket).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Hesitant<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.wrote = true;
        Pin::new(&mut this.socket).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_shutdown(cx)
    }
}

impl VirtualSocket for Hesitant<TcpStream> {
    /// There are no delays already, and nothing else that we ask for.
    fn set_socket_option(&self, _: VirtualSockOpt) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn after_a_write_there_is_nothing_to_read_for_once_and_then_everything() {
        let (socket, mut app) = tokio::io::duplex(64);
        let mut socket = Hesitant { socket, wrote: false };
        app.write_all(b"101").await.unwrap();
        socket.write_all(b"GET").await.unwrap();
        let mut answer = [0; 3];
        let first = futures_util::future::poll_immediate(socket.read_exact(&mut answer)).await;
        assert!(first.is_none(), "the answer was read before anything else could be done");
        socket.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"101");
        app.write_all(b"and").await.unwrap();
        let again = futures_util::future::poll_immediate(socket.read_exact(&mut answer)).await;
        assert!(again.is_some(), "nothing was written since");
    }
}
