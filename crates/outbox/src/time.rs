//! Points in time, as stored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// A point in time in milliseconds since 1970.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub(crate) struct Timestamp(pub(crate) i64);

/// The current time on two clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now {
    /// The wall clock, for due times and expiries. It can be set.
    pub(crate) wall: Timestamp,
    /// A clock that is never set, for leases.
    pub(crate) steady: Timestamp,
}

impl From<Timestamp> for Now {
    fn from(time: Timestamp) -> Self {
        Self { wall: time, steady: time }
    }
}

impl Timestamp {
    /// Returns the time after `duration`, or the last possible time.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the time before `duration`, or the first possible time.
    pub(crate) fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Returns the time since `earlier`, or zero if it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let milliseconds = self.0.saturating_sub(earlier.0);
        Duration::from_millis(u64::try_from(milliseconds).unwrap_or_default())
    }

    /// Returns the date, or the closest possible one.
    pub(crate) fn to_date(self) -> DateTime<Utc> {
        let limit = if self.0 < 0 { DateTime::<Utc>::MIN_UTC } else { DateTime::<Utc>::MAX_UTC };
        DateTime::from_timestamp_millis(self.0).unwrap_or(limit)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(date: DateTime<Utc>) -> Self {
        Self(date.timestamp_millis())
    }
}
