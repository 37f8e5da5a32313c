//! A body that can be called off until a connection asks for it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{Failure, FailureKind};

const WAITING: u8 = 0;
const LEFT: u8 = 1;
const CALLED_OFF: u8 = 2;

/// The body of a request, in one piece. A connection asks for it once it stands and takes the request: until
/// then nothing of the body has left, and a request without its body is none to the service.
pub(super) struct BodyInWaiting {
    bytes: Option<Bytes>,
    state: Arc<AtomicU8>,
}

/// The hand on a body: tells whether it may have left, and calls it off where it has not. Without that, a
/// request that waits for its turn on a connection could go out after it was given up.
pub(super) struct Departure(Arc<AtomicU8>);

impl Departure {
    /// A failure that tells whether the body may have left. When it has not, it never will.
    pub(super) fn failure(&self, kind: FailureKind) -> Failure {
        if self.settle() { Failure::unknown(kind) } else { Failure::not_sent(kind) }
    }

    fn settle(&self) -> bool {
        let state = self.0.compare_exchange(WAITING, CALLED_OFF, Ordering::AcqRel, Ordering::Acquire);
        state == Err(LEFT)
    }
}

impl Drop for Departure {
    fn drop(&mut self) {
        self.settle();
    }
}

impl BodyInWaiting {
    pub(super) fn new(bytes: Bytes) -> (Self, Departure) {
        // Nobody asks for an empty body.
        let state = Arc::new(AtomicU8::new(if bytes.is_empty() { LEFT } else { WAITING }));
        (Self { bytes: Some(bytes), state: state.clone() }, Departure(state))
    }
}

impl Body for BodyInWaiting {
    type Data = Bytes;
    type Error = CalledOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CalledOff>>> {
        match self.state.compare_exchange(WAITING, LEFT, Ordering::AcqRel, Ordering::Acquire) {
            Err(CALLED_OFF) => Poll::Ready(Some(Err(CalledOff))),
            _ => Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// Told to a connection that asks for a body too late.
#[derive(Debug)]
pub(super) struct CalledOff;

impl fmt::Display for CalledOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the request was given up before it left")
    }
}

impl std::error::Error for CalledOff {}
