//! The response that the service gives to almost every message, read in one pass.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// The ids of one log.
pub(super) struct LogIds<'a> {
    pub(super) id: &'a str,
    pub(super) attempt_id: &'a str,
}

/// The logs of `body`, if it has nothing but a `Meta` with logs and without errors, in the service's
/// own spelling. `None` for every other body, which may mean the same or something else.
pub(super) fn logs(body: &str) -> Option<Vec<LogIds<'_>>> {
    let Exact(Body { meta: Exact(Meta { logs }) }) = serde_json::from_str(body).ok()?;
    let logs: Vec<_> = logs.into_iter().map(|Exact(ids)| ids).collect();
    Some(logs).filter(|logs| !logs.is_empty())
}

struct Body<'a> {
    meta: Exact<Meta<'a>>,
}

struct Meta<'a> {
    logs: Vec<Exact<LogIds<'a>>>,
}

/// An object with known members, each at most once. A derived `Deserialize` would take a list too.
struct Exact<T>(T);

trait Members<'de>: Sized {
    fn read<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

impl<'de> Members<'de> for Body<'de> {
    fn read<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut meta = None;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "Meta" if meta.is_none() => meta = Some(map.next_value()?),
                _ => return Err(A::Error::custom("")),
            }
        }
        Ok(Self { meta: meta.ok_or_else(|| A::Error::custom(""))? })
    }
}

impl<'de> Members<'de> for Meta<'de> {
    fn read<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut logs = None;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "Logs" if logs.is_none() => logs = Some(map.next_value()?),
                "DataModel" | "EventType" | "EventDateTime" | "Test" | "Source"
                | "Destinations" | "FacilityCode" => drop(map.next_value::<IgnoredAny>()?),
                _ => return Err(A::Error::custom("")),
            }
        }
        Ok(Self { logs: logs.ok_or_else(|| A::Error::custom(""))? })
    }
}

impl<'de> Members<'de> for LogIds<'de> {
    fn read<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut id = None;
        let mut attempt_id = None;
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "ID" if id.is_none() => id = Some(map.next_value()?),
                "AttemptID" if attempt_id.is_none() => attempt_id = Some(map.next_value()?),
                _ => return Err(A::Error::custom("")),
            }
        }
        id.zip(attempt_id)
            .map(|(id, attempt_id)| Self { id, attempt_id })
            .ok_or_else(|| A::Error::custom(""))
    }
}

impl<'de, T: Members<'de>> Deserialize<'de> for Exact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExactVisitor<T>(PhantomData<T>);

        impl<'de, T: Members<'de>> Visitor<'de> for ExactVisitor<T> {
            type Value = Exact<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::read(map).map(Exact)
            }
        }

        deserializer.deserialize_map(ExactVisitor(PhantomData))
    }
}
