//! Tracks whether a request has left, as far as its transport reports it.

use std::sync::atomic::{AtomicU8, Ordering};

/// No transport has the request.
const HERE: u8 = 0;
/// A transport has the request, and may not report when it leaves.
const GIVEN: u8 = 1;
/// The request waits for a connection, and the transport reports when it leaves.
const WAITING: u8 = 2;
/// A connection has taken the request.
const LEFT: u8 = 3;

/// The state of a request on its way to a connection.
#[derive(Debug, Default)]
pub(crate) struct Handover(AtomicU8);

impl Handover {
    /// Records that a transport gets the request.
    pub(super) fn begin(&self) {
        self.0.store(GIVEN, Ordering::Release);
    }

    /// Records that the transport will report when the request leaves.
    pub(super) fn waits(&self) {
        self.0.store(WAITING, Ordering::Release);
    }

    /// Records that a connection takes the request.
    pub(super) fn leaves(&self) {
        self.0.store(LEFT, Ordering::Release);
    }

    /// Records that the request never left, unless the transport has reported otherwise.
    pub(super) fn never_left(&self) {
        let _ = self.0.compare_exchange(GIVEN, HERE, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(super) fn may_have_left(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), GIVEN | LEFT)
    }
}
