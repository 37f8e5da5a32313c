//! The records read so far, so that equal ones are read once and shared.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::record::Value;
use super::{Location, Provider, Shared};

/// How much a pool keeps of a stream of slots, in bytes. All that is kept takes at most six times as much.
const KEPT_OF_STREAM: usize = 2 * 1024 * 1024;

/// What the slots of one input have in common.
pub(crate) struct Pools {
    providers: Pool<Provider>,
    locations: Pool<Location>,
    reasons: Recent<Arc<str>, Arc<str>>,
}

impl Pools {
    /// For an input that is in memory: all of it is kept.
    pub(super) fn unlimited() -> Self {
        Self::with_limit(usize::MAX)
    }

    /// For an input of any length: what has not come for long is forgotten.
    pub(super) fn limited() -> Self {
        Self::with_limit(KEPT_OF_STREAM)
    }

    fn with_limit(limit: usize) -> Self {
        Self {
            providers: Pool(Recent::new(limit)),
            locations: Pool(Recent::new(limit)),
            reasons: Recent::new(limit),
        }
    }

    /// The one reason that reads so.
    pub(super) fn reason(&mut self, text: &str) -> Arc<str> {
        self.reasons.get(text).unwrap_or_else(|| {
            let reason = Arc::<str>::from(text);
            self.reasons.add(reason.clone(), reason.clone(), text.len());
            reason
        })
    }
}

/// A record that many slots have in common.
pub(crate) trait Pooled: Value {
    fn pool(pools: &mut Pools) -> &mut Pool<Self>;
}

impl Pooled for Provider {
    fn pool(pools: &mut Pools) -> &mut Pool<Self> {
        &mut pools.providers
    }
}

impl Pooled for Location {
    fn pool(pools: &mut Pools) -> &mut Pool<Self> {
        &mut pools.locations
    }
}

/// Records by their JSON, both as it was read and as it is written.
pub(crate) struct Pool<T>(Recent<Box<[u8]>, Shared<T>>);

impl<T: Value> Pool<T> {
    /// The record that was read from `raw` before.
    pub(super) fn get(&mut self, raw: &str) -> Option<Shared<T>> {
        self.0.get(raw.as_bytes())
    }

    /// Shares `record`, which was read from `raw` for the first time, with whatever equals it.
    pub(super) fn share(&mut self, raw: &str, record: T) -> Shared<T> {
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
struct Recent<K, V> {
    young: HashMap<K, (V, usize)>,
    /// What was young until that reached its limit.
    old: HashMap<K, (V, usize)>,
    /// The size of what is young.
    size: usize,
    limit: usize,
}

impl<K: Hash + Eq, V: Clone> Recent<K, V> {
    fn new(limit: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), size: 0, limit }
    }

    fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
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
