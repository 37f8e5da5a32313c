//! Functions of the caller. If one panics, no message is lost.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use super::PublishHandle;

/// The first panic in the caller's functions of one publication.
#[derive(Clone, Default)]
pub(super) struct FirstPanic(Arc<Mutex<Option<Box<dyn Any + Send>>>>);

impl FirstPanic {
    /// Resumes the panic, if there was one.
    pub(super) fn resume(&self) {
        let panic = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

/// A function of the caller.
///
/// After a panic it isn't called again. The publication stops after messages in flight have ended,
/// and then resumes the panic.
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

    /// Records a panic of the function or of its future, and stops the publication.
    pub(super) fn panicked(&mut self, panic: Box<dyn Any + Send>) {
        self.function = None;
        self.panic.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        self.handle.stop();
    }
}
