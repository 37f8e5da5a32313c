//! Removing invalid values while slots with the same record continue to share it.

use std::any::Any;
use std::sync::Arc;

use super::shared_records::{AnyRecord, SharedRecords};

/// The corrected copies of shared records.
#[derive(Default)]
pub(crate) struct Corrector(SharedRecords<AnyRecord>);

impl Corrector {
    /// Returns the corrected copy of `original`, which `correct` makes unless it is known. The JSON
    /// of `original` takes `length` bytes.
    pub(crate) fn shared<T: Any + Send + Sync>(
        &mut self,
        original: &Arc<T>,
        length: usize,
        correct: impl FnOnce(&mut Self) -> Arc<T>,
    ) -> Arc<T> {
        let known = self.0.get(original).and_then(|copy| copy.clone().downcast().ok());
        known.unwrap_or_else(|| {
            let copy = correct(self);
            // The record of a single slot has two holders: the slot, and the copy that is being
            // corrected.
            if Arc::strong_count(original) > 2 {
                self.0.insert(original, length, copy.clone());
            }
            copy
        })
    }
}
