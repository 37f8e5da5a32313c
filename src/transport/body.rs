//! Request bodies that can be called off until the connection has taken them completely.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::OwnedSemaphorePermit;

use super::handover::Handover;
use super::{TransportError, TransportErrorKind};

/// The maximum length in bytes of a body that is handed over in one part. A longer body is split,
/// so that it can be called off in between.
const SHORT: usize = 16 * 1024;

/// The maximum length in bytes of a part of a longer body. Once hyper holds 408 KiB that it can't
/// write, headers included, it no longer notices that a body was called off.
const PART: usize = 320 * 1024;

/// No connection has asked for the body.
const WAITING: u8 = 0;
/// A connection has a part of the body.
const LEAVING: u8 = 1;
/// A connection has the whole body.
const HANDED_OVER: u8 = 2;
/// Nothing more of the body may leave.
const CALLED_OFF: u8 = 3;

/// A request body that can be called off.
///
/// A connection asks for the body once it is established and takes the request. Until then nothing
/// of the body has left, and the service can't act on a request without its body.
///
/// The last byte of a longer body is handed over only after the rest was written. Until then the
/// body can be called off, even while the connection waits for the service to read more.
pub(super) struct TrackedBody {
    rest: Bytes,
    progress: Arc<BodyProgress>,
    handover: Option<Arc<Handover>>,
    /// The permit to wait for a connection, held until a connection takes the request.
    permit: Option<OwnedSemaphorePermit>,
}

/// Observes a body and calls it off when dropped.
///
/// A request that waits for its turn on a connection must not go out after the caller gave it up.
/// An upload that already has its response must not delay others.
pub(super) struct SendGuard(Arc<BodyProgress>);

struct BodyProgress {
    state: AtomicU8,
    /// Whether the connection has a part that it hasn't written yet.
    has_part: AtomicBool,
    waker: AtomicWaker,
}

impl SendGuard {
    /// Returns a failure that reports whether the body may have left. If it has not, it never will.
    pub(super) fn failure(&self, kind: TransportErrorKind) -> TransportError {
        match self.call_off() {
            WAITING | CALLED_OFF => TransportError::not_sent(kind),
            _ => TransportError::unknown(kind),
        }
    }

    /// Returns whether the connection has taken the whole body.
    pub(super) fn is_handed_over(&self) -> bool {
        self.0.state.load(Ordering::Acquire) == HANDED_OVER
    }

    /// Returns whether the connection has written everything that it has taken. Over HTTP/2, a
    /// closed flow-control window can delay a body of any length.
    pub(super) fn is_written(&self) -> bool {
        !self.0.has_part.load(Ordering::Acquire)
    }

    /// Calls the body off unless a connection has asked for it. Returns whether it did.
    pub(super) fn call_off_unless_taken(&self) -> bool {
        self.call_off() == WAITING
    }

    /// Calls the body off if no connection has asked for it. Returns the state before.
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
    /// Creates a request body and its guard. When a connection takes the body, it reports to
    /// `handover` and releases `permit`.
    pub(super) fn new(
        bytes: Bytes,
        handover: Option<Arc<Handover>>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> (Self, SendGuard) {
        // A connection never asks for an empty body.
        if let Some(handover) = handover.as_ref().filter(|_| bytes.is_empty()) {
            handover.leaves();
        }
        let progress = Arc::new(BodyProgress {
            state: AtomicU8::new(if bytes.is_empty() { HANDED_OVER } else { WAITING }),
            has_part: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        (Self { rest: bytes, progress: progress.clone(), handover, permit }, SendGuard(progress))
    }

    /// Records that a connection is about to take the request.
    fn leave(&mut self) {
        if let Some(handover) = &self.handover {
            handover.leaves();
        }
        self.permit = None;
    }

    /// Returns whether the rest of a body in this state goes out in one part.
    fn is_last(&self, state: u8) -> bool {
        self.rest.len() <= if state == WAITING { SHORT } else { 1 }
    }

    /// Returns the next part, which reports when it was written.
    fn next_part(&mut self, state: u8) -> Bytes {
        let length = self.rest.len();
        let bytes =
            self.rest.split_to(if self.is_last(state) { length } else { PART.min(length - 1) });
        self.progress.has_part.store(true, Ordering::Release);
        Bytes::from_owner(BodyPart { bytes, progress: self.progress.clone() })
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
        if self.progress.state.load(Ordering::Acquire) == WAITING {
            self.leave();
        }
        // Register before reading the state, because a later call-off wakes the connection.
        self.progress.waker.register(context.waker());
        let has_part = self.progress.has_part.load(Ordering::Acquire);
        let next = |state: u8| match state {
            CALLED_OFF => None,
            _ if !has_part && self.is_last(state) => Some(HANDED_OVER),
            _ => Some(LEAVING),
        };
        match self.progress.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, next) {
            Err(_) => Poll::Ready(Some(Err(CalledOff))),
            Ok(_) if has_part => Poll::Pending,
            Ok(state) => Poll::Ready(Some(Ok(Frame::data(self.next_part(state))))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// A part of a body. The connection drops it once it is written, or when the connection itself
/// ends.
struct BodyPart {
    bytes: Bytes,
    progress: Arc<BodyProgress>,
}

impl AsRef<[u8]> for BodyPart {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for BodyPart {
    fn drop(&mut self) {
        self.progress.has_part.store(false, Ordering::Release);
        // After the last part, waking would only poll the connection in vain.
        if self.progress.state.load(Ordering::Acquire) != HANDED_OVER {
            self.progress.waker.wake();
        }
    }
}

/// The error that a connection gets when it asks for a body that was called off.
#[derive(Debug)]
pub(super) struct CalledOff;

impl fmt::Display for CalledOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was cancelled before its end")
    }
}

impl std::error::Error for CalledOff {}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::poll_fn;

    use super::*;

    fn tracked(bytes: Bytes) -> (TrackedBody, SendGuard) {
        TrackedBody::new(bytes, None, None)
    }

    /// Returns the next part, or `None` if the connection has to wait for it.
    fn next(body: &mut TrackedBody) -> Option<Option<Result<Bytes, CalledOff>>> {
        let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).now_or_never()?;
        Some(frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())))
    }

    fn part(body: &mut TrackedBody) -> Bytes {
        next(body).unwrap().unwrap().unwrap()
    }

    #[test]
    fn a_short_body_is_handed_over_at_once_and_written_later() {
        let (mut body, guard) = tracked(Bytes::from(vec![7; SHORT]));
        assert!(!guard.is_handed_over() && body.size_hint().exact() == Some(SHORT as u64));
        let whole = part(&mut body);
        assert_eq!(whole.len(), SHORT);
        assert!(guard.is_handed_over() && !guard.is_written() && body.is_end_stream());
        drop(whole);
        assert!(guard.is_written() && next(&mut body).unwrap().is_none());
        assert!(guard.failure(TransportErrorKind::Interrupted).may_have_arrived());
    }

    #[test]
    fn the_last_byte_of_a_longer_body_waits_until_the_rest_was_written() {
        let (mut body, guard) = tracked(Bytes::from(vec![7; PART + SHORT]));
        assert_eq!(part(&mut body).len(), PART);
        let first = part(&mut body);
        assert_eq!((first.len(), body.size_hint().exact()), (SHORT - 1, Some(1)));
        assert!(next(&mut body).is_none() && !guard.is_handed_over() && !body.is_end_stream());
        drop(first);
        assert_eq!(part(&mut body).len(), 1);
        assert!(guard.is_handed_over() && body.is_end_stream());
    }

    #[test]
    fn a_body_that_was_called_off_gives_nothing_more() {
        let (mut body, guard) = tracked(Bytes::from_static(b"short"));
        assert!(!guard.failure(TransportErrorKind::Timeout).may_have_arrived());
        assert!(next(&mut body).unwrap().unwrap().is_err());

        let (mut body, guard) = tracked(Bytes::from(vec![7; 2 * SHORT]));
        let first = part(&mut body);
        assert!(guard.failure(TransportErrorKind::Timeout).may_have_arrived());
        drop(guard);
        assert!(next(&mut body).unwrap().unwrap().is_err(), "also while the first part waits");
        drop(first);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_waits_for_a_part_is_woken_by_its_end_and_by_a_call_off() {
        for calls_off in [false, true] {
            for _ in 0..200 {
                let (mut body, guard) = tracked(Bytes::from(vec![7; 2 * SHORT]));
                let first = part(&mut body);
                let waiting = tokio::spawn(async move {
                    poll_fn(|context| Pin::new(&mut body).poll_frame(context))
                        .await
                        .unwrap()
                        .is_err()
                });
                if calls_off {
                    drop(guard);
                    assert!(waiting.await.unwrap());
                    drop(first);
                } else {
                    drop(first);
                    assert!(!waiting.await.unwrap());
                    drop(guard);
                }
            }
        }
    }
}
