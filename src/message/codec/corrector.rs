//! Leaving out invalid values, so that slots with the same record still share one afterwards.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

/// The maximum number of shared records whose corrected copy is kept.
const MOST_SHARED: usize = 10_000;

/// The corrected copies of records that slots share.
#[derive(Default)]
pub(crate) struct Corrector {
    /// By the address of the original. The original is held, so that it doesn't change and no other record gets the address.
    copies: HashMap<usize, (Held, Held)>,
}

type Held = Arc<dyn Any + Send + Sync>;

impl Corrector {
    /// Returns the corrected copy of `original`, which `correct` makes unless it is known.
    pub(crate) fn shared<T: Any + Send + Sync>(
        &mut self,
        original: &Arc<T>,
        correct: impl FnOnce(&mut Self) -> Arc<T>,
    ) -> Arc<T> {
        let address = Arc::as_ptr(original).addr();
        let known = self.copies.get(&address).and_then(|(_, copy)| copy.clone().downcast().ok());
        known.unwrap_or_else(|| {
            let copy = correct(self);
            // Two hold a record that only one slot has: that slot, and its copy that is being corrected.
            if Arc::strong_count(original) > 2 && self.copies.len() < MOST_SHARED {
                self.copies.insert(address, (original.clone(), copy.clone()));
            }
            copy
        })
    }
}
