//! How far a publication has come.

use std::time::Duration;

/// How far a publication has come; told after every message, and once a second in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many messages were accepted.
    pub messages: u64,
    /// How many are to be accepted by this publication; `None` for a stream.
    pub all_messages: Option<u64>,
    /// How many slots were accepted.
    pub slots: usize,
    /// How many are to be accepted by this publication; `None` for a stream.
    pub all_slots: Option<usize>,
    /// How many slots were set aside.
    pub skipped: usize,
    /// How long it took so far.
    pub elapsed: Duration,
    /// How long the [pace](crate::ClientBuilder::pace) will let no request go, at least; zero where one may.
    pub waiting: Duration,
}

/// Who is told of it.
pub(crate) type OnProgress<'a> = Box<dyn FnMut(&Progress) + Send + 'a>;
