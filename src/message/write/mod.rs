//! Encoding messages as JSON, ready to be sent.

mod batch;
mod encode;
mod encoded;
mod outgoing;
mod prepared;

pub(crate) use batch::{BatchMessage, BatchPosition, Envelope};
pub use encoded::EncodedMessage;
pub use outgoing::Message;
pub(crate) use outgoing::{Content, Defaults, Internal, write_from};
pub use prepared::{BatchNumbers, PreparedMessage, RestoreError};
