//! Reading messages and slots from JSON.

mod input_buffer;
mod message;
mod read_error;
mod shape;
mod slot_reader;

pub use read_error::ReadError;
pub(crate) use slot_reader::ReadOutcome;
pub use slot_reader::SlotReader;
