//! Functions of the caller's that must not cost a message.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use super::PublishHandle;

/// The first panic of the functions of one publication.
#[derive(Clone, Default)]
pub(super) struct FirstPanic(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl FirstPanic {
    /// Continues the panic, if there was one.
    pub(super) fn resume(&self) {
        let panic = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// A function of the caller's. If it panics, it isn't called again, and the publication stops;
/// messages in flight come to their end first.
pub(crate) struct Callback<F> {
    function: Option<F>,
    handle: PublishHandle,
    panic: FirstPanic,
}

impl<F> Callback<F> {
    pub(super) fn new(function: F, handle: PublishHandle, panic: FirstPanic) -> Self {
        Self { function: Some(function), handle, panic }
    }

    pub(super) fn call(&mut self, call: impl FnOnce(&mut F)) {
        let Some(function) = &mut self.function else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| call(function))) {
            self.panicked(panic);
        }
    }

    /// The function panicked, or the work that it began.
    pub(super) fn panicked(&mut self, panic: Box<dyn Any + Send>) {
        self.function = None;
        self.panic.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        self.handle.stop();
    }
}
