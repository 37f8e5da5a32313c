//! Tests with a backend that fails.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ::redb::StorageBackend;
use uuid::Uuid;

use super::RedbStore;
use super::database::Source;
use super::shared::SharedBackend;
use super::tests::{NOW, accepted, new_entry};
use crate::error::StoreError;
use crate::filter::Filter;
use crate::state::EntryState;
use crate::store::{Counts, Leased, Store};

const ENTRIES: u32 = 4;

/// When a backend fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    /// One write, change of length, or sync fails.
    Write,
    /// All of them fail until the backend is repaired, as on a full disk.
    FullDisk,
    /// One operation of any kind fails.
    Any,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    fault: Option<Fault>,
    /// The number of operations before the failure.
    remaining: u64,
    has_failed: bool,
}

/// A backend in memory that fails once, or from some operation on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faulty(Arc<Mutex<State>>);

impl Faulty {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(crate) fn plan(&self, fault: Fault, remaining: u64) {
        let mut state = self.state();
        (state.fault, state.remaining, state.has_failed) = (Some(fault), remaining, false);
    }

    /// Removes the fault, and returns whether it has occurred.
    pub(crate) fn repair(&self) -> bool {
        let mut state = self.state();
        state.fault = None;
        state.has_failed
    }
}

impl State {
    fn fails(&mut self, is_write: bool) -> bool {
        let Some(fault) = self.fault else { return false };
        if !is_write && fault != Fault::Any {
            return false;
        }
        let fails = self.remaining == 0 && (!self.has_failed || fault == Fault::FullDisk);
        self.remaining = self.remaining.saturating_sub(1);
        self.has_failed |= fails;
        fails
    }

    fn try_to(&mut self, is_write: bool) -> io::Result<()> {
        if self.fails(is_write) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "injected fault"));
        }
        Ok(())
    }
}

impl StorageBackend for Faulty {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        state.try_to(false)?;
        let offset = offset as usize;
        let bytes = state.bytes.get(offset..offset + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.state();
        state.try_to(true)?;
        state.bytes.resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.state().try_to(true)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let fails = state.fails(true);
        // A failed write leaves half of its bytes.
        let length = if fails { data.len() / 2 } else { data.len() };
        let offset = offset as usize;
        let target = state.bytes.get_mut(offset..offset + length);
        target.ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(&data[..length]);
        if fails {
            Err(io::Error::new(io::ErrorKind::StorageFull, "injected fault"))
        } else {
            Ok(())
        }
    }
}

/// Runs an operation until it succeeds. The fault ends after the first two failures.
async fn retried<T>(backend: &Faulty, mut run: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    let mut failures = 0;
    loop {
        match run().await {
            Ok(value) => return value,
            Err(error) => {
                assert!(error.0.starts_with("(memory): "), "{}", error.0);
                failures += 1;
                assert!(failures < 4, "it doesn't work again: {}", error.0);
                if failures == 2 {
                    backend.repair();
                }
            }
        }
    }
}

/// Enqueues and sends all entries. Checks after every acknowledged step that it is stored.
async fn live(store: &RedbStore, backend: &Faulty) {
    let state_of = async |id: Uuid| {
        let stored = retried(backend, async || store.entry(id).await).await;
        stored.expect("the acknowledged entry is lost").record.state
    };
    for number in 0..ENTRIES {
        let entry = new_entry(number, "north");
        retried(backend, async || store.enqueue(vec![entry.clone()]).await).await;
        assert_eq!(state_of(entry.message_id).await, EntryState::Waiting);
    }
    let mut now = NOW;
    for number in 0..ENTRIES {
        let id = Uuid::from_u128(u128::from(number));
        // A begin that failed may be stored. Then the lease ends by its time.
        while state_of(id).await != EntryState::Accepted {
            now = now.after(Duration::from_secs(61));
            let until = now.after(Duration::from_secs(60));
            let leased =
                retried(backend, async || store.lease(now.into(), until, None).await).await;
            let Leased::Entry { lease, entry, .. } = leased else { panic!("{leased:?}") };
            assert_eq!(entry.message_id, id, "the order changed");
            match store.begin(lease.clone(), id, now).await {
                Ok(begun) => assert!(begun, "the lease isn't valid any more"),
                Err(_) => {
                    retried(backend, async || store.hand_back(lease.clone()).await).await;
                    continue;
                }
            }
            let settlement = accepted(lease, id);
            retried(backend, async || store.settle(settlement.clone(), now).await).await;
        }
    }
}

/// Checks that all entries are accepted, and that the indexes follow from the entries.
async fn check(store: &RedbStore) {
    let entries = store.list(Filter::default(), 0, usize::MAX).await.unwrap();
    assert_eq!(entries.len(), ENTRIES as usize);
    let mut counts = Counts::default();
    for entry in &entries {
        *counts.of(entry.state) += 1;
    }
    let summary = store.summary().await.unwrap();
    assert_eq!((summary.counts, summary.oldest), (counts, None));
    assert_eq!(counts.accepted, u64::from(ENTRIES));
}

/// Runs with every operation as the first to fail, or with one of `stride` operations, until none
/// fails. Returns the number of operations.
async fn run_all(fault: Fault, stride: usize) -> u64 {
    for remaining in (0..).step_by(stride) {
        let backend = Faulty::default();
        // Without a cache, so that reads can fail.
        let cache_bytes = if fault == Fault::Any { 0 } else { 1 << 24 };
        let source = Source::Backend(SharedBackend::new(backend.clone()));
        let store = RedbStore::start(source, cache_bytes, None).unwrap();
        backend.plan(fault, remaining);
        live(&store, &backend).await;
        let has_failed = backend.repair();
        check(&store).await;
        drop(store);
        check(&RedbStore::with_backend(backend.clone()).unwrap()).await;
        if !has_failed {
            return remaining;
        }
    }
    0
}

#[tokio::test]
async fn no_failed_write_loses_an_acknowledged_entry() {
    println!("each of {} writes and syncs failed once", run_all(Fault::Write, 1).await);
}

#[tokio::test]
async fn it_works_again_after_the_disk_was_full() {
    println!("the disk was full from each of {} operations", run_all(Fault::FullDisk, 1).await);
}

#[tokio::test]
async fn no_failed_read_loses_an_acknowledged_entry() {
    println!("one of {} reads, writes and syncs failed", run_all(Fault::Any, 29).await);
}

#[tokio::test]
#[ignore = "takes minutes"]
async fn none_of_all_failed_reads_loses_an_acknowledged_entry() {
    println!("each of {} reads, writes and syncs failed once", run_all(Fault::Any, 1).await);
}

#[tokio::test]
async fn reopening_works_after_a_failure_of_opening() {
    let backend = Faulty::default();
    let store = RedbStore::with_backend(backend.clone()).unwrap();
    live(&store, &backend).await;
    drop(store);
    let bytes = backend.state().bytes.clone();
    for remaining in 0.. {
        backend.state().bytes.clone_from(&bytes);
        backend.plan(Fault::Any, remaining);
        drop(RedbStore::with_backend(backend.clone()));
        let has_failed = backend.repair();
        check(&RedbStore::with_backend(backend.clone()).unwrap()).await;
        if !has_failed {
            println!("each of {remaining} operations of opening and closing failed once");
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_requests_of_a_failed_group_get_the_error() {
    for remaining in 0..12 {
        let backend = Faulty::default();
        let store = RedbStore::with_backend(backend.clone()).unwrap();
        backend.plan(Fault::Write, remaining);
        let requests: Vec<_> =
            (0..64).map(|n| (n, store.enqueue(vec![new_entry(n, "north")]))).collect();
        let mut stored = HashSet::new();
        let mut failed = 0;
        for (number, request) in requests {
            match request.await {
                Ok(_) => drop(stored.insert(number)),
                Err(_) => failed += 1,
            }
        }
        backend.repair();
        for number in &stored {
            let entry = store.entry(Uuid::from_u128(u128::from(*number))).await.unwrap();
            assert!(entry.is_some(), "the acknowledged entry {number} is lost");
        }
        println!("write {remaining} failed: {} acknowledged, {failed} errors", stored.len());
        let all = (0..64).map(|number| new_entry(number, "north")).collect();
        store.enqueue(all).await.unwrap();
        assert_eq!(store.summary().await.unwrap().counts.waiting, 64);
    }
}
