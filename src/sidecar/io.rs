//! The caller's side of a connection: read ahead to tell HTTP/1 from HTTP/2, and able to be reset.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncReadExt as _, net::TcpStream};

use crate::layer::Abort;

/// What an HTTP/2 connection with prior knowledge opens with (RFC 9113 §3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A caller's connection.
///
/// When its [`Abort`] fires it is closed with a TCP reset (`SO_LINGER` of zero) instead of an orderly end,
/// so that the caller sees `ECONNRESET`, as when a server dies.
pub(super) struct CallerIo {
    stream: TokioIo<TcpStream>,
    ahead: [u8; PREFACE.len()],
    given: usize,
    taken: usize,
    abort: Abort,
}

/// Which protocol a connection opened with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    Http1,
    Http2,
}

impl CallerIo {
    pub(super) fn new(stream: TcpStream, abort: Abort) -> CallerIo {
        CallerIo { stream: TokioIo::new(stream), ahead: [0; PREFACE.len()], given: 0, taken: 0, abort }
    }

    /// Reads no further than it takes to know the protocol.
    pub(super) async fn opening(&mut self) -> io::Result<Opening> {
        while self.taken < PREFACE.len() {
            let read = self.stream.inner_mut().read(&mut self.ahead[self.taken..]).await?;
            let (before, now) = (self.taken, self.taken + read);
            self.taken = now;
            if read == 0 || self.ahead[before..now] != PREFACE[before..now] {
                return Ok(Opening::Http1);
            }
        }
        Ok(Opening::Http2)
    }

    fn reset_if_asked(&self) -> bool {
        let asked = self.abort.is_aborted();
        if asked {
            let _ = self.stream.inner().set_zero_linger();
        }
        asked
    }
}

impl Drop for CallerIo {
    fn drop(&mut self) {
        self.reset_if_asked();
    }
}

impl Read for CallerIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.given < self.taken {
            let waiting = &self.ahead[self.given..self.taken];
            let count = waiting.len().min(buffer.remaining());
            buffer.put_slice(&waiting[..count]);
            self.given += count;
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for CallerIo {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset_if_asked() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
