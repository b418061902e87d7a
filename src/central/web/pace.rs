//! The pace of a connection: who sends or takes nothing for too long, or hardly anything, is left.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::BoxError;
use axum::body::{Body, HttpBody};
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::link::crowd::Seat;
use loaxa_adapters::clock::monotonic;
use loaxa_heart::domain::time::{Moment, Span};
use loaxa_heart::said;
use loaxa_heart::texts::{Say, Sentence};

/// Longest silence in the middle of a request's body, and longest wait for a client to take what is sent.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Time for a body to begin before its pace is looked at.
const BEGINS_WITHIN: Span = Span::secs(20);
/// Least bytes a second of a body on the whole: a poor mobile connection has ten times that, a live voice thirty times.
const BYTES_A_SECOND_MIN: u64 = 1_024;

/// A body that comes too slowly.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.say())]
struct TooSlow;

impl Say for TooSlow {
    fn say(&self) -> Sentence {
        said!("answer.too_slow")
    }
}

/// The body of a request that must go on.
pub struct Paced<B> {
    body: B,
    begun: Moment,
    bytes: u64,
    /// Runs while nothing comes.
    silence: Option<Pin<Box<Sleep>>>,
}

impl<B> Paced<B> {
    /// Watches a body from now on.
    pub fn new(body: B) -> Self {
        Self { body, begun: monotonic(), bytes: 0, silence: None }
    }
}

/// Tells whether so many bytes are too few for that time.
fn is_too_few(bytes: u64, took: Span) -> bool {
    let over = took.saturating_sub(BEGINS_WITHIN);
    bytes < over.0 / 1_000_000 * BYTES_A_SECOND_MIN
}

impl<B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin> HttpBody for Paced<B> {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.silence = None;
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                if is_too_few(self.bytes, monotonic().since(self.begun)) {
                    return Poll::Ready(Some(Err(TooSlow.into())));
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(other) => Poll::Ready(other.map(|end| end.map_err(Into::into))),
            Poll::Pending => {
                let silence = self.silence.get_or_insert_with(|| Box::pin(tokio::time::sleep(SILENCE_MAX)));
                ready!(silence.as_mut().poll(context));
                Poll::Ready(Some(Err(TooSlow.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of an answer; when it is over, its connection is idle again.
pub struct Answered {
    body: Body,
    seat: Arc<Seat>,
}

impl Answered {
    /// Watches an answer on the connection of `seat`.
    pub fn new(body: Body, seat: Arc<Seat>) -> Self {
        Self { body, seat }
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.seat.set_busy(false);
    }
}

impl HttpBody for Answered {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection whose other side must take what is sent to it.
pub struct Watched {
    stream: TcpStream,
    seat: Arc<Seat>,
    /// Runs while nothing is taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    /// Watches a connection that has this seat.
    pub fn new(stream: TcpStream, seat: Arc<Seat>) -> Self {
        Self { stream, seat, stalled: None }
    }

    fn written<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.stalled = None;
            self.seat.moved();
            return result;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(SILENCE_MAX)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trickle_is_too_few_and_a_voice_is_not() {
        let check = |bytes, secs, expected| {
            assert_eq!(is_too_few(bytes, Span::secs(secs)), expected, "{bytes} in {secs} s");
        };
        check(0, 19, false);
        check(30, 30, true);
        check(32_000 * 60, 60, false);
        check(1_200 * 600, 600, false);
        check(100 * 600, 600, true);
    }
}
