//! The records read so far, so that equal ones are read once and shared.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use foldhash::quality::RandomState;

use super::value::Value;
use crate::message::{Location, Provider, Shared};

/// How much is kept of a stream of slots, in bytes. All that is kept takes about six times as much
/// at most.
const KEPT_OF_STREAM: usize = 2 * 1024 * 1024;

/// What the slots of one input have in common.
pub(crate) struct Interner {
    providers: Records<Provider>,
    locations: Records<Location>,
    reasons: RecentCache<Arc<str>, Arc<str>>,
}

impl Interner {
    /// For an input that is in memory: all of it is kept.
    pub(crate) fn unlimited() -> Self {
        Self::with_limit(usize::MAX)
    }

    /// For an input of any length: what has not come for long is forgotten.
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

    /// The one reason that reads so.
    pub(crate) fn reason(&mut self, text: &str) -> Arc<str> {
        self.reasons.get(text).unwrap_or_else(|| {
            let reason = Arc::<str>::from(text);
            self.reasons.add(reason.clone(), reason.clone(), text.len());
            reason
        })
    }
}

/// A record that many slots have in common.
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

/// Records by their JSON, both as it was read and as it is written.
pub(crate) struct Records<T>(RecentCache<Box<[u8]>, Shared<T>>);

impl<T: Value> Records<T> {
    /// The record that was read from `raw` before.
    pub(crate) fn get(&mut self, raw: &str) -> Option<Shared<T>> {
        self.0.get(raw.as_bytes())
    }

    /// Shares `record`, which was read from `raw` for the first time, with whatever equals it.
    pub(crate) fn share(&mut self, raw: &str, record: T) -> Shared<T> {
        // Of a stream, one record must not take all of the room.
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

/// A map that forgets what was neither added nor asked for lately.
struct RecentCache<K, V> {
    young: HashMap<K, (V, usize), RandomState>,
    /// What was young until that reached its limit.
    old: HashMap<K, (V, usize), RandomState>,
    /// The size of what is young.
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
        // A map without entries would take the hash of the key first.
        if self.old.is_empty() {
            return None;
        }
        let (key, (value, size)) = self.old.remove_entry(key)?;
        self.insert(key, value.clone(), size);
        Some(value)
    }

    /// Adds a value that takes `size` bytes beside its entry.
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
