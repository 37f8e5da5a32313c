//! The runtime that drives a task; the only file that looks for it.

use tokio::runtime::{Handle, Id};

/// The runtime in which this is called; `None` outside of all.
pub(crate) fn current() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}
