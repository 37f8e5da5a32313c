//! The records read so far, so that equal ones are read once and shared.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::value::Value;
use crate::message::{Location, Provider, Shared};

/// The maximum sizes of one generation of a cache, in bytes.
#[derive(Clone, Copy)]
struct Limits {
    contents: usize,
    known: usize,
    reasons: usize,
}

const UNLIMITED: Limits = Limits { contents: usize::MAX, known: usize::MAX, reasons: usize::MAX };

/// The limits for a stream. The five caches with their two generations take at most about 12 MiB.
const OF_STREAM: Limits =
    Limits { contents: 2 * 1024 * 1024, known: 768 * 1024, reasons: 512 * 1024 };

/// The maximum length of a record that is compared before its end is known. Longer ones could make
/// reading slow, because each slot may be compared with several.
const LONGEST: usize = 4 * 1024;

/// The number of new records after a repeated one, after which the next ones are expected to be new.
const UNTIL_NEW: u8 = 2;

/// The maximum number of bytes that may be compared in vain before a record repeats again.
const MAX_CREDIT: usize = 64 * 1024;

/// The values that the slots of one input share.
pub(crate) struct Interner<'a> {
    providers: Records<'a, Provider>,
    locations: Records<'a, Location>,
    reasons: RecentCache<Arc<str>>,
    hashes: RandomState,
}

impl<'a> Interner<'a> {
    /// Creates an interner for values that are parts of `text`. It never forgets a value.
    pub(crate) fn of(text: &'a str) -> Self {
        Self::new(text, UNLIMITED)
    }

    /// Creates an interner for an input of any length. It forgets values that weren't used
    /// recently.
    pub(crate) fn limited() -> Self {
        Self::new("", OF_STREAM)
    }

    fn new(text: &'a str, limits: Limits) -> Self {
        Self {
            providers: Records::new(text, limits),
            locations: Records::new(text, limits),
            reasons: RecentCache::new(limits.reasons),
            hashes: RandomState::default(),
        }
    }

    /// Returns the shared reason with this text.
    pub(crate) fn reason(&mut self, text: &str) -> Arc<str> {
        let hash = self.hashes.hash_one(text);
        let known = self.reasons.get(hash, |reason| (**reason == *text).then(|| reason.clone()));
        known.unwrap_or_else(|| {
            let reason = Arc::<str>::from(text);
            if self.reasons.has_room(text.len()) {
                self.reasons.add(hash, reason.clone(), text.len());
            }
            reason
        })
    }
}

/// A record that many slots can share.
pub(crate) trait Intern: Value + PartialEq + Clone + Send + Sync + 'static {
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

/// The records that were read so far.
pub(crate) struct Records<'a, T> {
    /// The records by the hash of their content. JSON of the same content can differ.
    contents: RecentCache<Shared<T>>,
    /// The records that have repeated, by the hash of their JSON as read.
    known: RecentCache<(Cow<'a, [u8]>, Shared<T>)>,
    hashes: RandomState,
    /// The input, if it stays in memory. Then its parts aren't copied.
    text: &'a str,
    /// The lengths of records as read, the latest first. If many records repeat, few are needed.
    lengths: [usize; 8],
    /// The number of bytes that may still be compared in vain. Repeated records raise it, so that
    /// comparing takes no longer than reading, whatever the input.
    credit: usize,
    /// The number of new records after which the next ones are expected to be new.
    until_new: u8,
}

impl<'a, T: Value + PartialEq> Records<'a, T> {
    fn new(text: &'a str, limits: Limits) -> Self {
        Self {
            contents: RecentCache::new(limits.contents),
            known: RecentCache::new(limits.known),
            hashes: RandomState::default(),
            text,
            lengths: [0; 8],
            credit: MAX_CREDIT,
            until_new: 0,
        }
    }

    /// Returns whether the next record was probably read before.
    pub(crate) fn repeats(&self) -> bool {
        self.until_new > 0
    }

    /// Returns a record that was read before and its length, if `text` begins with its JSON.
    pub(crate) fn find_at_start(&mut self, text: &str) -> Option<(Shared<T>, usize)> {
        for length in self.lengths {
            let record = text.get(..length).filter(|record| record.ends_with('}'));
            let Some(record) = record.filter(|_| self.credit > 0) else { continue };
            if let Some(known) = self.find(record) {
                return Some((known, length));
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

    /// Returns the record that was read from `raw` before, if it has repeated since.
    pub(crate) fn find(&mut self, raw: &str) -> Option<Shared<T>> {
        let hash = self.hashes.hash_one(raw.as_bytes());
        let is_equal = |json: &[u8]| *json == *raw.as_bytes();
        let known =
            self.known.get(hash, |(json, shared)| is_equal(json).then(|| shared.clone()))?;
        self.credit = self.credit.saturating_add(raw.len()).min(MAX_CREDIT);
        self.until_new = UNTIL_NEW;
        self.note_length(raw.len());
        Some(known)
    }

    /// Shares `record`, which was read from `raw`, with equal records.
    pub(crate) fn share(&mut self, raw: &str, record: T) -> Shared<T> {
        // In a stream, a single record must not fill the cache.
        if !self.contents.has_room(raw.len()) {
            return record.into();
        }
        // A record holds about as much text as its JSON, in allocations of its own.
        let size = size_of::<T>() + 2 * raw.len();
        let mut content = self.hashes.build_hasher();
        record.feed(&mut content);
        let content = content.finish();
        let equal = self.contents.get(content, |known| (**known == record).then(|| known.clone()));
        let Some(shared) = equal else {
            self.until_new = self.until_new.saturating_sub(1);
            let shared = Shared::from(record);
            self.contents.add(content, shared.clone(), size);
            return shared;
        };
        if self.find(raw).is_none() {
            self.until_new = UNTIL_NEW;
            self.note_length(raw.len());
            let hash = self.hashes.hash_one(raw.as_bytes());
            self.known.add(hash, (self.key(raw), shared.clone()), size);
        }
        shared
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

/// A map by hash that forgets entries that weren't added or used recently.
///
/// Hashes are random for each input. If two are equal, one entry takes the place of the other.
struct RecentCache<V> {
    young: HashMap<u64, (V, usize), RandomState>,
    /// The entries that were young until they reached the limit.
    old: HashMap<u64, (V, usize), RandomState>,
    /// The size of the young entries in bytes.
    size: usize,
    limit: usize,
}

impl<V> RecentCache<V> {
    fn new(limit: usize) -> Self {
        Self { young: HashMap::default(), old: HashMap::default(), size: 0, limit }
    }

    /// Returns whether a value of this size in bytes is small enough not to fill the cache.
    fn has_room(&self, size: usize) -> bool {
        size <= self.limit / 32
    }

    /// Returns the part of an entry that `part` selects.
    fn get<T>(&mut self, hash: u64, part: impl Fn(&V) -> Option<T>) -> Option<T> {
        if let Some((value, _)) = self.young.get(&hash) {
            return part(value);
        }
        let (value, size) = self.old.remove(&hash)?;
        let wanted = part(&value);
        self.insert(hash, value, size);
        wanted
    }

    /// Adds a value that takes `size` bytes in addition to its map entry.
    fn add(&mut self, hash: u64, value: V, size: usize) {
        self.insert(hash, value, size + 2 * size_of::<(u64, V, usize)>());
    }

    fn insert(&mut self, hash: u64, value: V, size: usize) {
        if self.size > self.limit {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
        self.size += size;
        self.young.insert(hash, (value, size));
    }
}
