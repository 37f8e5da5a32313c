//! A model of power failures: the power goes off at every sync of an outbox's life.
//!
//! Of the writes since the last sync, any part may be on the disk, in units of 512 bytes.
//! `PUSHSLOTS_IMAGES` sets the number of disk images per sync, and `PUSHSLOTS_SEED` the seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use ::redb::StorageBackend;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::RedbStore;
use super::tests::{NOW, accepted, minute_after, new_entry};
use crate::filter::Filter;
use crate::state::EntryState;
use crate::store::{Leased, Store};

/// The unit that a disk writes as a whole.
const SECTOR: usize = 512;

/// An operation that changes the disk.
#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
    Sync,
}

#[derive(Debug, Default)]
struct Disk {
    bytes: Vec<u8>,
    changes: Vec<Change>,
}

impl Disk {
    fn apply(bytes: &mut Vec<u8>, change: &Change) {
        match change {
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Write(offset, data) => {
                let end = offset + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*offset..end].copy_from_slice(data);
            }
            Change::Sync => {}
        }
    }
}

/// A backend in memory that records its changes.
#[derive(Clone, Debug, Default)]
struct Recorder(Arc<Mutex<Disk>>);

impl Recorder {
    fn with(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Disk { bytes, changes: Vec::new() })))
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap()
    }

    fn change(&self, change: Change) {
        let mut disk = self.disk();
        Disk::apply(&mut disk.bytes, &change);
        disk.changes.push(change);
    }

    /// Returns the number of changes so far.
    fn time(&self) -> usize {
        self.disk().changes.len()
    }
}

impl StorageBackend for Recorder {
    fn len(&self) -> io::Result<u64> {
        Ok(self.disk().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let disk = self.disk();
        let bytes = disk.bytes.get(start..start + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.change(Change::Length(usize::try_from(length).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Change::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()));
        Ok(())
    }
}

/// The promises of a store, by the time at which it made them.
#[derive(Default)]
struct Promises {
    enqueued: BTreeMap<usize, Uuid>,
    accepted: BTreeMap<usize, Uuid>,
}

/// Runs an outbox's life: it enqueues, sends, fails, replays and removes.
async fn live(recorder: &Recorder) -> Promises {
    let mut promises = Promises::default();
    let store = RedbStore::with_backend(recorder.clone()).unwrap();
    let mut now = NOW;
    for round in 0..12 {
        for number in 0..3 {
            let entry = new_entry(round * 10 + number, ["a", "b", "c"][number as usize]);
            let id = entry.message_id;
            store.enqueue(vec![entry]).await.unwrap();
            promises.enqueued.insert(recorder.time(), id);
        }
        now = minute_after(now);
        for _ in 0..2 {
            let leased = store.lease(now.into(), minute_after(now), None).await.unwrap();
            let Leased::Entry { lease, entry, .. } = leased else { continue };
            let id = entry.message_id;
            assert!(store.begin(lease.clone(), id, now).await.unwrap());
            if round % 3 == 2 {
                // The worker is lost.
                continue;
            }
            store.settle(accepted(lease, id), now).await.unwrap();
            promises.accepted.insert(recorder.time(), id);
        }
        if round == 6 {
            let waiting = store.list(Filter::default(), 0, 100).await.unwrap();
            let waiting = waiting.into_iter().find(|entry| entry.state == EntryState::Waiting);
            store.cancel(waiting.unwrap().message_id, now).await.unwrap();
            store.set_held("b".to_owned(), true).await.unwrap();
        }
    }
    promises
}

/// Returns a disk after a power failure: everything up to the last sync, and a random part of the
/// changes after it.
fn image(synced: &[u8], since: &[Change], random: &mut StdRng) -> Vec<u8> {
    let mut bytes = synced.to_vec();
    for change in since {
        match change {
            Change::Write(offset, data) => {
                for (index, sector) in data.chunks(SECTOR).enumerate() {
                    if random.gen_bool(0.5) {
                        let write = Change::Write(offset + index * SECTOR, sector.to_vec());
                        Disk::apply(&mut bytes, &write);
                    }
                }
            }
            other if random.gen_bool(0.5) => Disk::apply(&mut bytes, other),
            _ => {}
        }
    }
    bytes
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

#[tokio::test]
async fn power_failure_at_any_sync_loses_nothing() {
    let images = setting("PUSHSLOTS_IMAGES", 10);
    let seed = setting("PUSHSLOTS_SEED", 1);
    let mut random = StdRng::seed_from_u64(seed);
    let recorder = Recorder::default();
    let promises = live(&recorder).await;
    let changes = recorder.disk().changes.clone();

    let (mut synced, mut since) = (Vec::new(), Vec::new());
    let (mut syncs, mut unopened, mut lost) = (0, 0, 0);
    for (time, change) in changes.iter().enumerate() {
        if !matches!(change, Change::Sync) {
            since.push(change.clone());
            continue;
        }
        let until = |promises: &BTreeMap<usize, Uuid>| -> BTreeSet<Uuid> {
            promises.range(..=time).map(|(_, id)| *id).collect()
        };
        let (enqueued, accepted) = (until(&promises.enqueued), until(&promises.accepted));
        // Before the first promise, the file has another name.
        for _ in 0..if enqueued.is_empty() { 0 } else { images } {
            let disk = Recorder::with(image(&synced, &since, &mut random));
            let Ok(store) = RedbStore::with_backend(disk) else {
                unopened += 1;
                continue;
            };
            store.recover(minute_after(NOW)).await.unwrap();
            for id in &enqueued {
                let entry = store.entry(*id).await.unwrap();
                let is_kept = entry.is_some_and(|entry| {
                    !accepted.contains(id) || entry.record.state == EntryState::Accepted
                });
                lost += u64::from(!is_kept);
            }
        }
        syncs += 1;
        for change in since.drain(..) {
            Disk::apply(&mut synced, &change);
        }
    }
    println!(
        "seed {seed}: {syncs} syncs, {images} images each, {unopened} not opened, {lost} lost"
    );
    assert!(syncs > 60, "{syncs} syncs");
    assert_eq!((unopened, lost), (0, 0));
}
