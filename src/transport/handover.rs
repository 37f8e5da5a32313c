//! Whether a request has left, as far as its transport reports that.

use std::sync::atomic::{AtomicU8, Ordering};

/// No transport has the request.
const HERE: u8 = 0;
/// A transport has it, and may not report when it leaves.
const GIVEN: u8 = 1;
/// It waits for a connection, and the transport reports when it leaves.
const WAITING: u8 = 2;
/// A connection has taken it.
const LEFT: u8 = 3;

/// Whether a request has left.
#[derive(Debug, Default)]
pub(crate) struct Handover(AtomicU8);

impl Handover {
    /// A transport gets the request.
    pub(super) fn begin(&self) {
        self.0.store(GIVEN, Ordering::Release);
    }

    /// The transport will report when the request leaves.
    pub(super) fn waits(&self) {
        self.0.store(WAITING, Ordering::Release);
    }

    /// A connection takes the request.
    pub(super) fn leaves(&self) {
        self.0.store(LEFT, Ordering::Release);
    }

    /// The exchange ended without the request, unless the transport has reported that it left.
    pub(super) fn never_left(&self) {
        let _ = self.0.compare_exchange(GIVEN, HERE, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(super) fn may_have_left(&self) -> bool {
        matches!(self.0.load(Ordering::Acquire), GIVEN | LEFT)
    }
}
