//! The records read so far, so that equal ones are read once and shared.

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::raw::Key;
use super::value::Value;
use crate::message::{Location, Provider, Shared};

/// The maximum size of one generation of a cache for a stream, in bytes. Three caches with two
/// generations each take at most about six times as much.
const KEPT_OF_STREAM: usize = 2 * 1024 * 1024;

/// The maximum length of a record that is compared before its end is known. Longer ones could make
/// reading slow, because each slot may be compared with several.
const LONGEST: usize = 4 * 1024;

/// The maximum number of bytes that may be compared in vain before a record repeats again.
const MAX_CREDIT: usize = 64 * 1024;

/// The values that the slots of one input share.
pub(crate) struct Interner<'a> {
    providers: Records<'a, Provider>,
    locations: Records<'a, Location>,
    reasons: RecentCache<Arc<str>, Arc<str>>,
}

impl<'a> Interner<'a> {
    /// Creates an interner for values that are parts of `text`. It never forgets a value.
    pub(crate) fn of(text: &'a str) -> Self {
        Self::new(text, usize::MAX)
    }

    /// Creates an interner for an input of any length. It forgets values that weren't used
    /// recently.
    pub(crate) fn limited() -> Self {
        Self::new("", KEPT_OF_STREAM)
    }

    fn new(text: &'a str, limit: usize) -> Self {
        Self {
            providers: Records::new(text, limit),
            locations: Records::new(text, limit),
            reasons: RecentCache::new(limit),
        }
    }

    /// Returns the length of a record at the start of `text` if it was read before as the value of
    /// `key`.
    pub(crate) fn known_length(&mut self, key: Key<'_>, text: &str) -> Option<usize> {
        match key.raw() {
            "Provider" => self.providers.known_length(text.as_bytes()),
            "Location" => self.locations.known_length(text.as_bytes()),
            _ => None,
        }
    }

    /// Returns the shared reason with this text.
    pub(crate) fn reason(&mut self, text: &str) -> Arc<str> {
        self.reasons.get(text).unwrap_or_else(|| {
            let reason = Arc::<str>::from(text);
            self.reasons.add(reason.clone(), reason.clone(), text.len());
            reason
        })
    }
}

/// A record that many slots can share.
pub(crate) trait Intern: Value + Clone + Send + Sync + 'static {
    fn records<'i, 'a>(interner: &'i mut Interner<'a>) -> &'i mut Records<'a, Self>;
}

impl Intern for Provider {
    fn records<'i, 'a>(interner: &'i mut Interner<'a>) -> &'i mut Records<'a, Self> {
        &mut interner.providers
    }
}

impl Intern for Location {
    fn records<'i, 'a>(interner: &'i mut Interner<'a>) -> &'i mut Records<'a, Self> {
        &mut interner.locations
    }
}

/// The records by their JSON, both as read and as written.
pub(crate) struct Records<'a, T> {
    known: RecentCache<Cow<'a, [u8]>, Shared<T>>,
    /// The input, if it stays in memory. Then the keys are parts of it instead of copies.
    text: &'a str,
    /// The JSON of the latest record. Keeping it saves an allocation for each record.
    written: Vec<u8>,
    /// The lengths of records as read, the latest first. If many records repeat, few are needed.
    lengths: [usize; 8],
    /// The number of bytes that may still be compared in vain. Repeated records raise it, so that
    /// comparing takes no longer than reading, whatever the input.
    credit: usize,
}

impl<'a, T: Value> Records<'a, T> {
    fn new(text: &'a str, limit: usize) -> Self {
        Self {
            known: RecentCache::new(limit),
            text,
            written: Vec::new(),
            lengths: [0; 8],
            credit: MAX_CREDIT,
        }
    }

    /// Returns the length of a record at the start of `text` if it was read before.
    fn known_length(&mut self, text: &[u8]) -> Option<usize> {
        for length in self.lengths {
            let record = text.get(..length).filter(|record| record.ends_with(b"}"));
            let Some(record) = record.filter(|_| self.credit > 0) else { continue };
            if self.known.contains(record) {
                return Some(length);
            }
            self.credit = self.credit.saturating_sub(length);
        }
        None
    }

    /// Puts the length of a record first.
    fn note_length(&mut self, length: usize) {
        if length > LONGEST {
            return;
        }
        let place = self.lengths.iter().position(|&other| other == length);
        let place = place.unwrap_or(self.lengths.len() - 1);
        if let Some(latest) = self.lengths.get_mut(..=place) {
            latest.rotate_right(1);
        }
        self.lengths[0] = length;
    }

    /// Returns the record that was read from `raw` before.
    pub(crate) fn get(&mut self, raw: &str) -> Option<Shared<T>> {
        let known = self.known.get(raw.as_bytes())?;
        self.credit = self.credit.saturating_add(raw.len()).min(MAX_CREDIT);
        self.note_length(raw.len());
        Some(known)
    }

    /// Shares `record`, which was read from `raw` for the first time, with equal records.
    pub(crate) fn share(&mut self, raw: &str, record: T) -> Shared<T> {
        // In a stream, a single record must not fill the cache.
        if raw.len() > self.known.limit / 32 {
            return record.into();
        }
        self.note_length(raw.len());
        self.written.clear();
        record.write(&mut self.written);
        let is_as_written = self.written == raw.as_bytes();
        let known = if is_as_written { None } else { self.known.get(&*self.written) };
        let shared = known.unwrap_or_else(|| {
            let shared = Shared::from(record);
            if !is_as_written {
                self.add(Cow::Owned(self.written.clone()), &shared);
            }
            shared
        });
        self.add(self.key(raw), &shared);
        shared
    }

    fn add(&mut self, json: Cow<'a, [u8]>, shared: &Shared<T>) {
        // A record holds about as much text as its JSON.
        let size = size_of::<T>() + 2 * json.len();
        self.known.add(json, shared.clone(), size);
    }

    /// Returns `raw` as a part of the text, or a copy if it isn't one.
    fn key(&self, raw: &str) -> Cow<'a, [u8]> {
        let start = (raw.as_ptr() as usize).wrapping_sub(self.text.as_ptr() as usize);
        let part = self.text.as_bytes().get(start..start.saturating_add(raw.len()));
        match part {
            // Equal addresses mean equal bytes.
            Some(part) if std::ptr::eq(part, raw.as_bytes()) => Cow::Borrowed(part),
            _ => Cow::Owned(raw.as_bytes().to_vec()),
        }
    }
}

/// A map that forgets entries that weren't added or used recently.
struct RecentCache<K, V> {
    young: HashMap<K, (V, usize), RandomState>,
    /// The entries that were young until they reached the limit.
    old: HashMap<K, (V, usize), RandomState>,
    /// The size of the young entries in bytes.
    size: usize,
    limit: usize,
}

impl<K: Hash + Eq, V: Clone> RecentCache<K, V> {
    fn new(limit: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), size: 0, limit }
    }

    fn contains<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.young.contains_key(key) || self.old.contains_key(key)
    }

    fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        // An empty map would still hash the key.
        if self.old.is_empty() {
            return None;
        }
        let (key, (value, size)) = self.old.remove_entry(key)?;
        self.insert(key, value.clone(), size);
        Some(value)
    }

    /// Adds a value that takes `size` bytes in addition to its map entry.
    fn add(&mut self, key: K, value: V, size: usize) {
        self.insert(key, value, size + 2 * size_of::<(K, V, usize)>());
    }

    fn insert(&mut self, key: K, value: V, size: usize) {
        if self.size > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
        self.size += size;
        self.young.insert(key, (value, size));
    }
}
