//! How times and logs are serialized.

use std::time::Duration;

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use crate::message::Log;

/// Serializes logs in the words of a receipt, other than those of a message.
pub(crate) fn logs<S: Serializer>(logs: &[Log], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        id: Option<&'a str>,
        attempt_id: Option<&'a str>,
    }
    let mut list = serializer.serialize_seq(Some(logs.len()))?;
    for log in logs {
        list.serialize_element(&Entry { id: log.id.as_deref(), attempt_id: log.attempt_id.as_deref() })?;
    }
    list.end()
}

pub(crate) fn milliseconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

pub(crate) fn optional_milliseconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => milliseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

/// Rounded up, so that a caller that waits that long has waited long enough.
pub(crate) fn seconds_rounded_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

pub(crate) fn whole_seconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(seconds_rounded_up).serialize(serializer)
}
