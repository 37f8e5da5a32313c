//! The service's response to almost every message, parsed in one pass.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The ids of one log.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIds<'a> {
    #[serde(rename = "ID")]
    pub(super) id: &'a str,
    #[serde(rename = "AttemptID")]
    pub(super) attempt_id: &'a str,
}

/// Returns the logs of `body` if it contains only a `Meta` with logs and without errors, in the
/// service's spelling. Returns `None` for any other body, even with the same meaning.
pub(super) fn logs(body: &str) -> Option<Vec<LogIds<'_>>> {
    let Exact(UsualBody { meta: Exact(meta) }) = serde_json::from_str(body).ok()?;
    let logs: Vec<_> = meta.logs.into_iter().map(|Exact(ids)| ids).collect();
    Some(logs).filter(|logs| !logs.is_empty())
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct UsualBody<'a> {
    #[serde(borrow, rename = "Meta")]
    meta: Exact<UsualMeta<'a>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct UsualMeta<'a> {
    #[serde(borrow)]
    logs: Vec<Exact<LogIds<'a>>>,
    #[serde(default, rename = "DataModel")]
    _data_model: IgnoredAny,
    #[serde(default, rename = "EventType")]
    _event_type: IgnoredAny,
    #[serde(default, rename = "EventDateTime")]
    _event_date_time: IgnoredAny,
    #[serde(default, rename = "Test")]
    _test: IgnoredAny,
    #[serde(default, rename = "Source")]
    _source: IgnoredAny,
    #[serde(default, rename = "Destinations")]
    _destinations: IgnoredAny,
    #[serde(default, rename = "FacilityCode")]
    _facility_code: IgnoredAny,
}

/// A value that must be an object. Serde alone would also accept a list of the members' values.
struct Exact<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Exact<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExactVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for ExactVisitor<T> {
            type Value = Exact<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Exact)
            }
        }

        deserializer.deserialize_map(ExactVisitor(PhantomData))
    }
}
