//! The call that adds an entry, for any database driver.

use std::fmt;

use uuid::Uuid;

use super::row::new_row;
use crate::error::OutboxError;
use crate::store::NewEntry;

/// An SQL statement with its two values. Run it in the transaction that changes your own data: the
/// message is in the outbox if that transaction commits, and only then. Requires the feature
/// `postgres`.
///
/// It works with every driver. Transactions that add to the same lane wait for one another, so run
/// it shortly before the commit. If a transaction adds to several lanes, add in the order of their
/// names, so that no two transactions wait for each other.
pub struct EnqueueCall {
    message_id: Uuid,
    entry: String,
    body: Vec<u8>,
}

impl EnqueueCall {
    pub(crate) fn new(entry: &NewEntry) -> Result<Self, OutboxError> {
        Ok(Self { message_id: entry.message_id, entry: new_row(entry)?, body: entry.body.clone() })
    }

    /// Returns the statement. It has the parameters `$1` for [`entry`](Self::entry) and `$2` for
    /// [`body`](Self::body), and returns one row with the text `added`, or `present` if the message
    /// was added before.
    ///
    /// It fails with the code 23505 if the outbox has another message with the same id.
    #[must_use]
    pub fn sql(&self) -> &'static str {
        "select pushslots.enqueue($1, $2)"
    }

    /// Returns the first value, of the type `text`.
    #[must_use]
    pub fn entry(&self) -> &str {
        &self.entry
    }

    /// Returns the second value, of the type `bytea`.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Returns the message id, for [`Outbox::entry`](crate::Outbox::entry).
    #[must_use]
    pub fn message_id(&self) -> Uuid {
        self.message_id
    }
}

impl fmt::Debug for EnqueueCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueCall").field("message_id", &self.message_id).finish_non_exhaustive()
    }
}
