//! The records read so far, so that equal ones are read once and shared.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::record::Value;
use super::{Location, Provider, Shared};

/// What the slots of one input have in common.
#[derive(Default)]
pub(crate) struct Pools {
    providers: Pool<Provider>,
    locations: Pool<Location>,
    reasons: HashSet<Arc<str>>,
    reasons_size: usize,
}

/// How much text is kept to know what was read by, in bytes. What repeats so little that this is not enough is
/// forgotten, so that a stream of any length takes no more.
const MOST: usize = 2 * 1024 * 1024;

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
pub(crate) struct Pool<T> {
    by_json: HashMap<Box<[u8]>, Shared<T>>,
    size: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self { by_json: HashMap::new(), size: 0 }
    }
}

impl<T: Value> Pool<T> {
    /// The record that was read from `raw` before.
    pub(super) fn get(&self, raw: &str) -> Option<Shared<T>> {
        self.by_json.get(raw.as_bytes()).cloned()
    }

    /// Shares `record`, which was read from `raw`, with whatever equals it.
    pub(super) fn share(&mut self, raw: &str, record: T) -> Shared<T> {
        let mut written = Vec::with_capacity(record.room());
        record.write(&mut written);
        let known = self.by_json.get(&*written).cloned();
        let shared = known.unwrap_or_else(|| Shared::from(record));
        if written != raw.as_bytes() {
            self.add(raw.as_bytes(), &shared);
        }
        self.add(&written, &shared);
        shared
    }

    fn add(&mut self, json: &[u8], shared: &Shared<T>) {
        if self.size > MOST {
            *self = Self::default();
        }
        if self.by_json.insert(json.into(), shared.clone()).is_none() {
            self.size += json.len();
        }
    }
}

impl Pools {
    /// The one reason that reads so.
    pub(super) fn reason(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.reasons.get(text) {
            return known.clone();
        }
        if self.reasons_size > MOST {
            (self.reasons, self.reasons_size) = Default::default();
        }
        let reason = Arc::<str>::from(text);
        self.reasons_size += text.len();
        self.reasons.insert(reason.clone());
        reason
    }
}
