//! The body of a request, which can be called off until the connection has taken all of it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};

use super::{Failure, FailureKind};

/// How much of a body a connection gets at a time, in bytes. A prime: a flow-control window, which is usually a power of
/// two, then ends within a piece and not between two, where HTTP/2 would not ask for more and so not notice a call-off.
const PIECE: usize = 65_521;

/// No connection has asked for the body.
const WAITING: u8 = 0;
/// A connection has a part of it.
const LEAVING: u8 = 1;
/// A connection has all of it.
const HANDED_OVER: u8 = 2;
/// No more of it may leave.
const CALLED_OFF: u8 = 3;

/// The body of a request. A connection asks for it once the connection stands and takes the request: until then nothing
/// of the body has left, and a request without its body isn't one to the service.
///
/// A longer body is handed over piece by piece, the next once the one before was written.
pub(super) struct TrackedBody {
    rest: Bytes,
    progress: Arc<Progress>,
}

/// Observes a body and calls it off when dropped: a request that waits for its turn on a connection must not go out after
/// it was given up, and an upload that already has its response must not hold up others.
pub(super) struct SendGuard(Arc<Progress>);

struct Progress {
    state: AtomicU8,
    /// Whether the connection has a piece that it has not written yet.
    has_piece: AtomicBool,
    waker: AtomicWaker,
}

impl SendGuard {
    /// A failure that reports whether the body may have left. If it has not, it never will.
    pub(super) fn failure(&self, kind: FailureKind) -> Failure {
        match self.call_off() {
            WAITING | CALLED_OFF => Failure::not_sent(kind),
            _ => Failure::unknown(kind),
        }
    }

    /// Whether the connection has taken the whole body.
    pub(super) fn is_handed_over(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == HANDED_OVER
    }

    /// Lets no more of the body leave; returns the state until then.
    fn call_off(&self) -> u8 {
        let end = |state: u8| Some(if state == WAITING { CALLED_OFF } else { state });
        let before = self.0.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, end);
        before.unwrap_or(LEAVING)
    }
}

impl Drop for SendGuard {
    fn drop(&mut self) {
        let end = |state: u8| (state != HANDED_OVER).then_some(CALLED_OFF);
        if self.0.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, end).is_ok() {
            self.0.waker.wake();
        }
    }
}

impl TrackedBody {
    pub(super) fn new(bytes: Bytes) -> (Self, SendGuard) {
        let progress = Arc::new(Progress {
            // Nobody asks for an empty body.
            state: AtomicU8::new(if bytes.is_empty() { HANDED_OVER } else { WAITING }),
            has_piece: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        (Self { rest: bytes, progress: progress.clone() }, SendGuard(progress))
    }

    /// The next piece, which reports when it was written.
    fn next_piece(&mut self) -> Bytes {
        let bytes = self.rest.split_to(PIECE.min(self.rest.len()));
        self.progress.has_piece.store(true, Ordering::Release);
        Bytes::from_owner(Piece { bytes, progress: self.progress.clone() })
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = CalledOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CalledOff>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        // Before the state is read: a call-off that comes later wakes.
        self.progress.waker.register(context.waker());
        let is_last = self.rest.len() <= PIECE;
        let has_piece = self.progress.has_piece.load(Ordering::Acquire);
        let next = |state: u8| match state {
            CALLED_OFF => None,
            _ if is_last && !has_piece => Some(HANDED_OVER),
            _ => Some(LEAVING),
        };
        match self.progress.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Err(_) => Poll::Ready(Some(Err(CalledOff))),
            Ok(_) if has_piece => Poll::Pending,
            Ok(_) if is_last => Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.rest))))),
            Ok(_) => Poll::Ready(Some(Ok(Frame::data(self.next_piece())))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A part of a body. A connection drops it when it is written, or when the connection itself ends.
struct Piece {
    bytes: Bytes,
    progress: Arc<Progress>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.progress.has_piece.store(false, Ordering::Release);
        self.progress.waker.wake();
    }
}

/// The error that a connection gets when it asks for a body that was called off.
#[derive(Debug)]
pub(super) struct CalledOff;

impl fmt::Display for CalledOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was called off before its end")
    }
}

impl std::error::Error for CalledOff {}
