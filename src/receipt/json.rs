//! The JSON forms of durations, statuses and logs, for `#[serde(with = "…")]`, and errors with a
//! path.

use std::fmt;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

/// Deserializes a stored record. An error contains the path of the damaged member.
pub(crate) fn read<'de, T: DeserializeOwned, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| D::Error::custom(AtPath { path: error.path(), error: error.inner() }))
}

/// An error with its path, which is omitted at the top level.
struct AtPath<'a, E> {
    path: &'a serde_path_to_error::Path,
    error: &'a E,
}

impl<E: fmt::Display> fmt::Display for AtPath<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.iter().next() {
            None => write!(f, "{}", self.error),
            Some(_) => write!(f, "{}: {}", self.path, self.error),
        }
    }
}

/// Returns the duration in milliseconds, rounded down.
pub(crate) fn whole_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the duration in seconds, rounded up, so that a caller never waits too briefly.
pub(crate) fn seconds_rounded_up(time: Duration) -> u64 {
    time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0))
}

/// The JSON form of logs in a receipt, which differs from their form in a message.
pub(crate) mod logs {
    use super::{Deserialize, Deserializer};
    use crate::message::Log;
    use serde::ser::SerializeSeq;
    use serde::{Serialize, Serializer};

    #[derive(Serialize)]
    struct Written<'a> {
        id: Option<&'a str>,
        attempt_id: Option<&'a str>,
    }

    #[derive(Deserialize)]
    struct StoredLog {
        id: Option<String>,
        attempt_id: Option<String>,
    }

    pub(crate) fn serialize<S: Serializer>(logs: &[Log], serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(logs.len()))?;
        for log in logs {
            let id = log.id.as_deref();
            let attempt_id = log.attempt_id.as_deref();
            list.serialize_element(&Written { id, attempt_id })?;
        }
        list.end()
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Log>, D::Error> {
        let logs = Vec::<StoredLog>::deserialize(deserializer)?;
        Ok(logs
            .into_iter()
            .map(|StoredLog { id, attempt_id }| Log::from_parts(id, attempt_id))
            .collect())
    }
}

/// The JSON form of a status, as a number.
pub(crate) mod status {
    use super::{Deserialize, Deserializer};
    use http::StatusCode;
    use serde::de::{Error as _, Unexpected};
    use serde::{Serialize, Serializer};

    #[expect(
        clippy::ref_option,
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a field like this"
    )]
    pub(crate) fn serialize<S: Serializer>(
        status: &Option<StatusCode>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        status.map(|status| status.as_u16()).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<StatusCode>, D::Error> {
        let status = |number| {
            StatusCode::from_u16(number).map_err(|_| {
                D::Error::invalid_value(
                    Unexpected::Unsigned(number.into()),
                    &"a status from 100 to 999",
                )
            })
        };
        Option::<u16>::deserialize(deserializer)?.map(status).transpose()
    }
}

/// The JSON form of a duration, in whole milliseconds.
pub(crate) mod milliseconds {
    use super::{Deserialize, Deserializer, Duration, whole_milliseconds};
    use serde::Serializer;

    pub(crate) fn serialize<S: Serializer>(
        time: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(whole_milliseconds(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_millis)
    }
}

/// The JSON form of an optional duration, in whole milliseconds.
pub(crate) mod optional_milliseconds {
    use super::{Deserialize, Deserializer, Duration, milliseconds};
    use serde::Serializer;

    #[expect(clippy::ref_option, reason = "serde passes a field like this")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => milliseconds::serialize(time, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_millis))
    }
}

/// The JSON form of an optional duration, in whole seconds, rounded up.
pub(crate) mod whole_seconds {
    use super::{Deserialize, Deserializer, Duration, seconds_rounded_up};
    use serde::{Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde passes a field like this")]
    pub(crate) fn serialize<S: Serializer>(
        time: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(seconds_rounded_up).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}
