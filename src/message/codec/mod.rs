//! Reading, validating and writing the values of the data model in JSON.

pub(crate) mod corrector;
mod escapes;
pub(crate) mod extras;
pub(crate) mod field;
pub(crate) mod interner;
pub(crate) mod json_writer;
pub(crate) mod leaf;
pub(crate) mod list;
pub(crate) mod members;
pub(crate) mod path;
mod plain_prefix;
pub(crate) mod problems;
pub(crate) mod raw;
pub(crate) mod record;
pub(crate) mod scanner;
mod shared_records;
mod split;
#[cfg(feature = "mock")]
pub(crate) mod strict;
pub(crate) mod timestamp;
pub(crate) mod transcode;
pub(crate) mod value;
