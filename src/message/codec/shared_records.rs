//! A map from shared records to values.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use foldhash::quality::RandomState;

/// The maximum total length of the JSON of all held records, in bytes. In memory the records take
/// about twice as much.
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// A held record of any type.
pub(super) type AnyRecord = Arc<dyn Any + Send + Sync>;

/// Values for shared records. All entries are removed if the records take too much memory.
pub(super) struct SharedRecords<V> {
    /// The entries by the address of the record. Holding the record prevents changes to it and
    /// keeps its address from being reused.
    known: HashMap<usize, (AnyRecord, V), RandomState>,
    size: usize,
}

impl<V> Default for SharedRecords<V> {
    fn default() -> Self {
        Self { known: HashMap::default(), size: 0 }
    }
}

impl<V> SharedRecords<V> {
    pub(super) fn get(&self, record: &Arc<impl Any>) -> Option<&V> {
        self.known.get(&Arc::as_ptr(record).addr()).map(|(_, value)| value)
    }

    /// Adds a record with `length` bytes of JSON.
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
