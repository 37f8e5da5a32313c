//! The records read so far, so that equal ones are read once and shared.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::value::Value;
use crate::message::{Location, Provider, Shared};

/// The maximum size of one generation of a cache for a stream, in bytes. Three caches with two
/// generations each take at most about six times as much.
const KEPT_OF_STREAM: usize = 2 * 1024 * 1024;

/// The values that the slots of one input share.
pub(crate) struct Interner {
    providers: Records<Provider>,
    locations: Records<Location>,
    reasons: RecentCache<Arc<str>, Arc<str>>,
}

impl Interner {
    /// Creates an interner for an input in memory. It never forgets a value.
    pub(crate) fn unlimited() -> Self {
        Self::with_limit(usize::MAX)
    }

    /// Creates an interner for an input of any length. It forgets values that weren't used
    /// recently.
    pub(crate) fn limited() -> Self {
        Self::with_limit(KEPT_OF_STREAM)
    }

    fn with_limit(limit: usize) -> Self {
        Self {
            providers: Records(RecentCache::new(limit)),
            locations: Records(RecentCache::new(limit)),
            reasons: RecentCache::new(limit),
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
    fn records(interner: &mut Interner) -> &mut Records<Self>;
}

impl Intern for Provider {
    fn records(interner: &mut Interner) -> &mut Records<Self> {
        &mut interner.providers
    }
}

impl Intern for Location {
    fn records(interner: &mut Interner) -> &mut Records<Self> {
        &mut interner.locations
    }
}

/// The records by their JSON, both as read and as written.
pub(crate) struct Records<T>(RecentCache<Box<[u8]>, Shared<T>>);

impl<T: Value> Records<T> {
    /// Returns the record that was read from `raw` before.
    pub(crate) fn get(&mut self, raw: &str) -> Option<Shared<T>> {
        self.0.get(raw.as_bytes())
    }

    /// Shares `record`, which was read from `raw` for the first time, with equal records.
    pub(crate) fn share(&mut self, raw: &str, record: T) -> Shared<T> {
        // In a stream, a single record must not fill the cache.
        if raw.len() > self.0.limit / 32 {
            return record.into();
        }
        let mut written = Vec::with_capacity(record.length::<false>());
        record.write(&mut written);
        // A record holds about as much text as its JSON.
        let size = |json: &[u8]| size_of::<T>() + 2 * json.len();
        if written == raw.as_bytes() {
            let shared = Shared::from(record);
            self.0.add(raw.as_bytes().into(), shared.clone(), size(&written));
            return shared;
        }
        let shared = self.0.get(&*written).unwrap_or_else(|| {
            let shared = Shared::from(record);
            let size = size(&written);
            self.0.add(written.into(), shared.clone(), size);
            shared
        });
        self.0.add(raw.as_bytes().into(), shared.clone(), size(raw.as_bytes()));
        shared
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
