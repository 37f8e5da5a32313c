//! Records that many slots share.

use std::fmt;
use std::hash::Hasher;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::message::codec::corrector::Corrector;
use crate::message::codec::interner::{Intern, Interner};
use crate::message::codec::path::{Path, PathSegment};
use crate::message::codec::problems::Problems;
use crate::message::codec::scanner::Scanner;
use crate::message::codec::value::{Read, Value, is_sound, preload_bytes};

/// A [`Provider`](crate::Provider) or [`Location`](crate::Location) that any number of slots can
/// hold for one pointer each.
///
/// Create one with [`Provider::share`](crate::Provider::share) or
/// [`Location::share`](crate::Location::share), or convert a record with `into()`. Slots read in
/// one message, or by one [`SlotReader`](crate::SlotReader), share equal providers and equal
/// locations. Slots that serde reads on their own, such as a `Vec<Slot>`, share nothing. A record
/// with several holders is encoded and validated once.
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
    /// Whether the record has no problems; unset until it is checked.
    sound: OnceLock<bool>,
}

impl<T> Shared<T> {
    /// Returns whether both hold the same record, rather than two equal ones.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the record for modification by this holder only. If the record has other holders, it
    /// is copied first.
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

/// Returns the cached JSON of the record, and caches it if the record has several holders. For a
/// record with one holder, a cache would double the memory use.
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
        Self(Arc::new(Inner::from(record)))
    }
}

impl<T> From<T> for Inner<T> {
    fn from(record: T) -> Self {
        Self { record, json: OnceLock::new(), sound: OnceLock::new() }
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
        self.record.clone().into()
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

/// Serializes the record.
impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

/// Reads a record with this single holder. Only records that are read as part of a message are
/// shared by its slots.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Shared<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

/// Shares a record that was read from `raw` with equal ones.
fn share<T: Intern>(read: Read<T>, raw: &str, interner: &mut Interner<'_>) -> Read<Shared<T>> {
    match read {
        Read::Value(record) => Read::Value(T::records(interner).share(raw, record)),
        Read::Nothing => Read::Nothing,
        Read::WrongType => Read::WrongType,
    }
}

/// The maximum number of holders of a record that is preloaded. A record with more holders is
/// probably in the processor's cache already.
const MOST_HOLDERS: usize = 16;

/// Preloads a record with few holders.
// Not inlined, so that slots with well-known records pay little.
#[inline(never)]
fn preload_record<T: Value>(shared: &Shared<T>) -> usize {
    let Inner { record, json, .. } = &*shared.0;
    json.get().map_or_else(|| record.preload(), |json| preload_bytes(json))
}

impl<T: Intern> Value for Shared<T> {
    const EXPECTED: &'static str = T::EXPECTED;
    const IS_OBJECT: bool = T::IS_OBJECT;

    fn read(raw: &str, interner: &mut Interner<'_>) -> Read<Self> {
        if let Some(known) = T::records(interner).find(raw) {
            return Read::Value(known);
        }
        share(T::read(raw, interner), raw, interner)
    }

    fn scan(scanner: &mut Scanner<'_>, interner: &mut Interner<'_>) -> Option<Read<Self>> {
        scanner.peek().ok()?;
        let start = scanner.at();
        let records = T::records(interner);
        if records.repeats() {
            if let Some((known, length)) = records.find_at_start(scanner.rest()) {
                scanner.pass(length);
                return Some(Read::Value(known));
            }
            if let Some(known) = records.find(scanner.raw().ok()?) {
                return Some(Read::Value(known));
            }
            scanner.back_to(start);
        }
        let read = T::scan(scanner, interner)?;
        Some(share(read, scanner.since(start), interner))
    }

    fn feed(&self, hasher: &mut impl Hasher) {
        (**self).feed(hasher);
    }

    fn write(&self, out: &mut Vec<u8>) {
        match kept_json(self) {
            Some(json) => out.extend_from_slice(json),
            None => (**self).write(out),
        }
    }

    #[inline]
    fn length<const EXACT: bool>(&self) -> usize {
        kept_json(self).map_or_else(|| (**self).length::<EXACT>(), <[u8]>::len)
    }

    #[inline]
    fn preload(&self) -> usize {
        let holders = Arc::strong_count(&self.0);
        if holders > MOST_HOLDERS { holders } else { preload_record(self) }
    }

    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Value::serialize(&**self, serializer)
    }

    #[cfg(feature = "mock")]
    fn judge(raw: &str, at: Path<'_>, problems: &mut Problems) {
        T::judge(raw, at, problems);
    }

    fn locate(text: &str, path: &mut Vec<PathSegment>) {
        T::locate(text, path);
    }

    fn is_empty(&self) -> bool {
        self.0.json.get().map_or_else(|| (**self).is_empty(), |json| **json == *b"{}")
    }

    #[inline]
    fn check(&self, at: Path<'_>, problems: &mut Problems) {
        if !is_sound_record(self) {
            add_problems(self, at, problems);
        }
    }

    fn drop_invalid(&mut self, corrector: &mut Corrector) {
        if is_sound_record(self) {
            return;
        }
        let length = (**self).length::<false>();
        self.0 = corrector.shared(&self.0, length, |corrector| {
            let mut record = (**self).clone();
            record.drop_invalid(corrector);
            Self::from(record).0
        });
    }
}

/// Adds the problems of a record that has some.
#[cold]
fn add_problems<T: Intern>(shared: &Shared<T>, at: Path<'_>, problems: &mut Problems) {
    let length = (**shared).length::<false>();
    problems.add_shared(&shared.0, length, |problems| (**shared).check(at, problems));
}

/// Returns whether the record has no problems. The result is cached.
#[inline]
fn is_sound_record<T: Value>(shared: &Shared<T>) -> bool {
    *shared.0.sound.get_or_init(|| is_sound(&**shared))
}
