//! The current runtime; the only file that looks it up.

use tokio::runtime::{Handle, Id};

/// Returns the id of the current runtime, or `None` outside of any.
pub(crate) fn current() -> Option<Id> {
    Handle::try_current().ok().map(|runtime| runtime.id())
}
