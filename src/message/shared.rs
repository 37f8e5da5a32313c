//! Records that many slots have in common.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::json::Result;
use super::path::Path;
use super::pool::Pooled;
use super::problem::Problem;
use super::reader::{Read, Reader};
use super::record::Value;

/// A [`Provider`](crate::Provider) or [`Location`](crate::Location) that any number of slots can hold, each at the
/// price of a pointer.
///
/// It is made by [`Provider::share`](crate::Provider::share) and [`Location::share`](crate::Location::share), or from
/// the record itself by `into()`. What is read from JSON is shared by itself: equal providers, and equal locations,
/// are one. A record that more than one slot holds is encoded and checked once.
///
/// ```
/// use pushslots::{Provider, PushSlots, Slot};
/// use pushslots::chrono::{TimeDelta, TimeZone, Utc};
///
/// let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
/// let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
/// let day = (0..32).map(|n| Slot::new(nine_o_clock + TimeDelta::minutes(15 * n), 15).provider(&provider));
/// let message = PushSlots::builder().slots(day).build()?;
/// assert_eq!(message.slots()[31].provider.as_ref().unwrap().id.as_deref(), Some("4356789876"));
/// # Ok::<(), pushslots::InvalidMessage>(())
/// ```
pub struct Shared<T>(Arc<Inner<T>>);

struct Inner<T> {
    record: T,
    json: OnceLock<Box<[u8]>>,
    /// Whether nothing is wrong with it.
    sound: OnceLock<bool>,
}

impl<T> Shared<T> {
    /// Whether two holders hold the same record, and not just an equal one.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The record, to change it for this holder alone: it is copied first where others hold it too.
    ///
    /// ```
    /// use pushslots::Location;
    ///
    /// let clinic = Location::new().facility("RES General Hospital").share();
    /// let mut annex = clinic.clone();
    /// annex.to_mut().room = Some("136".to_owned());
    /// assert_eq!(clinic.room, None);
    /// ```
    pub fn to_mut(&mut self) -> &mut T
    where
        T: Clone,
    {
        let inner = Arc::make_mut(&mut self.0);
        (inner.json, inner.sound) = Default::default();
        &mut inner.record
    }
}

/// The JSON of the record, where it is worth keeping. That of a record with one holder is not: it would double what
/// the record takes.
fn kept_json<T: Value>(shared: &Shared<T>) -> Option<&[u8]> {
    let Inner { record, json, .. } = &*shared.0;
    if Arc::strong_count(&shared.0) == 1 {
        return json.get().map(|json| &**json);
    }
    Some(json.get_or_init(|| {
        let mut json = Vec::with_capacity(record.length::<true>());
        record.write(&mut json);
        json.into()
    }))
}

impl<T> From<T> for Shared<T> {
    fn from(record: T) -> Self {
        Self(Arc::new(Inner { record, json: OnceLock::new(), sound: OnceLock::new() }))
    }
}

impl<T> From<&Self> for Shared<T> {
    fn from(shared: &Self) -> Self {
        shared.clone()
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Clone> Clone for Inner<T> {
    fn clone(&self) -> Self {
        Self { record: self.record.clone(), json: OnceLock::new(), sound: OnceLock::new() }
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.record
    }
}

impl<T: PartialEq> PartialEq for Shared<T> {
    fn eq(&self, other: &Self) -> bool {
        self.ptr_eq(other) || **self == **other
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: Pooled> Value for Shared<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn read(reader: &mut Reader<'_, '_>) -> Result<Read<Self>> {
        if reader.cursor.peek()? != b'{' {
            return reader.no_object();
        }
        let start = reader.cursor.at();
        // Text that is no JSON is told by reading it, with the path in it.
        let raw = reader.cursor.skip().unwrap_or_default();
        if let Some(known) = T::pool(reader.pools).get(raw) {
            return Ok(Read::Value(known));
        }
        reader.cursor.back_to(start);
        Ok(match T::read(reader)? {
            Read::Value(record) => Read::Value(T::pool(reader.pools).share(raw, record)),
            Read::Nothing => Read::Nothing,
            Read::Misfit => Read::Misfit,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        match kept_json(self) {
            Some(json) => out.extend_from_slice(json),
            None => (**self).write(out),
        }
    }

    fn length<const EXACT: bool>(&self) -> usize {
        kept_json(self).map_or_else(|| (**self).length::<EXACT>(), <[u8]>::len)
    }

    fn is_empty(&self) -> bool {
        self.0.json.get().map_or_else(|| (**self).is_empty(), |json| **json == *b"{}")
    }

    fn check(&self, at: Path<'_>, problems: &mut Vec<Problem>) {
        let sound = || {
            let mut problems = Vec::new();
            (**self).check(Path::ROOT, &mut problems);
            problems.is_empty()
        };
        if !self.0.sound.get_or_init(sound) {
            (**self).check(at, problems);
        }
    }
}
