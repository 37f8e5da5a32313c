//! A backend for tests that can be opened more than once.

use std::io;
use std::sync::Arc;

use ::redb::StorageBackend;

/// A backend whose clones have the same bytes. Closing a clone does nothing.
#[derive(Clone, Debug)]
pub(crate) struct SharedBackend(Arc<dyn StorageBackend>);

impl SharedBackend {
    pub(crate) fn new(backend: impl StorageBackend) -> Self {
        Self(Arc::new(backend))
    }
}

impl StorageBackend for SharedBackend {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
}
