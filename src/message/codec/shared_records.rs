//! Knowledge about records that slots share.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The maximum size of all records that are held, as JSON in bytes. In memory they take about twice
/// as much.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A record of any type that is held.
pub(super) type AnyRecord = Arc<dyn Any + Send + Sync>;

/// Values for shared records. If the records take too much memory, all are forgotten.
pub(super) struct SharedRecords<V> {
    /// By the address of the record. The record is held, so that it doesn't change and no other
    /// gets the address.
    known: BTreeMap<usize, (AnyRecord, V)>,
    size: usize,
}

impl<V> Default for SharedRecords<V> {
    fn default() -> Self {
        Self { known: BTreeMap::new(), size: 0 }
    }
}

impl<V> SharedRecords<V> {
    pub(super) fn get(&self, record: &Arc<impl Any>) -> Option<&V> {
        self.known.get(&Arc::as_ptr(record).addr()).map(|(_, value)| value)
    }

    /// Adds a record whose JSON takes `length` bytes.
    pub(super) fn insert<T: Any + Send + Sync>(
        &mut self,
        record: &Arc<T>,
        length: usize,
        value: V,
    ) {
        let size = length.saturating_add(size_of::<T>());
        if self.size.saturating_add(size) > MOST_BYTES {
            *self = Self::default();
        }
        self.size = self.size.saturating_add(size);
        self.known.insert(Arc::as_ptr(record).addr(), (record.clone(), value));
    }
}
