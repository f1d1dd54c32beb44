//! A stream that does not wait without end for whoever is at the other end, and counts what passes.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// After so long without anything to send, slowness is forgotten.
const PAUSE: Duration = Duration::from_secs(1);

/// What has passed through all streams of a server, in bytes.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

/// How slow the other end may be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How long it may take nothing.
    pub(super) stall: Duration,
    /// The fewest bytes that it takes in a second, once it does not take them at once.
    pub(super) minimum_rate: u64,
}

/// A stream whose writes fail if the other end is too slow.
///
/// When it takes no more, a deadline begins, as long ahead as it may stall. Each byte that it takes moves the deadline
/// by what a byte may take at the minimum rate, and never further ahead than at the beginning.
#[derive(Debug)]
pub(super) struct Stalling<T> {
    inner: T,
    pace: Pace,
    traffic: Arc<Traffic>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Since when there is nothing to write.
    flushed: Option<Instant>,
}

impl<T> Stalling<T> {
    pub(super) fn new(inner: T, pace: Pace, traffic: Arc<Traffic>) -> Self {
        Self { inner, pace, traffic, deadline: None, flushed: None }
    }

    fn has_taken(&mut self, bytes: usize) {
        self.traffic.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        let Some(deadline) = &mut self.deadline else { return };
        let seconds = bytes as f64 / self.pace.minimum_rate.max(1) as f64;
        let later = deadline.deadline() + Duration::from_secs_f64(seconds.min(86_400.0));
        deadline.as_mut().reset(later.min(Instant::now() + self.pace.stall));
    }

    /// What became of writing; if nothing yet, the task is woken when that has been so for too long.
    fn unless_too_slow<R>(
        &mut self,
        result: Poll<io::Result<R>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<R>> {
        if result.is_ready() {
            return result;
        }
        let stall = self.pace.stall;
        let deadline =
            self.deadline.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + stall)));
        ready!(deadline.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the other end is too slow")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Stalling<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        self.traffic.received.fetch_add(read as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Stalling<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.flushed.take().is_some_and(|since| since.elapsed() > PAUSE) {
            self.deadline = None;
        }
        let written = Pin::new(&mut self.inner).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = &written {
            self.has_taken(*written);
        }
        self.unless_too_slow(written, context)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        if let Poll::Ready(Ok(())) = &flushed {
            self.flushed.get_or_insert_with(Instant::now);
        }
        self.unless_too_slow(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.inner).poll_shutdown(context);
        self.unless_too_slow(closed, context)
    }
}
