//! Tests of the store in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ::redb::{Database, ReadableDatabase, ReadableTableMetadata, TableHandle};
use pushslots::Delivery;
use uuid::Uuid;

use super::tables::{FORMAT, META};
use super::{OpenError, RedbStore};
use crate::filter::Filter;
use crate::state::{Outcome, Verdict};
use crate::store::memory::MemoryStore;
use crate::store::{Changed, Enqueued, Lease, Leased, NewEntry, Settlement, Store};
use crate::time::Timestamp;

pub(super) const CACHE_BYTES: usize = 16 * 1024 * 1024;
pub(super) const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// A new folder, which is removed with its files when it is dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = LAST.fetch_add(1, Ordering::Relaxed);
        let name = format!("pushslots-outbox-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    pub(super) fn outbox(&self) -> PathBuf {
        self.0.join("outbox.redb")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn new_entry(number: u32, lane: &str) -> NewEntry {
    let id = Uuid::from_u128(u128::from(number));
    NewEntry {
        digest: [1; 32],
        enqueued: NOW,
        due: NOW,
        body: vec![7; 2_000],
        ..NewEntry::of(id, lane)
    }
}

pub(super) fn accepted(lease: Lease, message_id: Uuid) -> Settlement {
    let outcome = Outcome { delivery: Delivery::Accepted, verdict: Verdict::Accepted, attempts: 1 };
    let (attempts, receipt) = (vec!["{}".to_owned()], Some("{}".to_owned()));
    Settlement { lease, message_id, outcome, attempts, requests: 1, receipt, random: 0.5 }
}

pub(super) fn minute_after(now: Timestamp) -> Timestamp {
    now.after(Duration::from_secs(60))
}

/// Enqueues four entries, sends the first, begins the second, and holds a lane.
async fn fill(store: &impl Store) {
    for number in 0..4 {
        let lane = if number < 3 { "north" } else { "south" };
        let enqueued = store.enqueue(vec![new_entry(number, lane)]).await.unwrap();
        assert!(matches!(enqueued, Enqueued::Entries(entries) if entries.len() == 1));
    }
    store.set_held("south".to_owned(), true).await.unwrap();
    for number in 0..2 {
        let leased = store.lease(NOW.into(), minute_after(NOW), None).await.unwrap();
        let Leased::Entry { lease, entry, .. } = leased else { panic!("nothing is due") };
        assert!(store.begin(lease.clone(), entry.message_id, NOW).await.unwrap());
        if number == 0 {
            store.settle(accepted(lease, entry.message_id), NOW).await.unwrap();
        }
    }
}

async fn assert_same(store: &impl Store, model: &impl Store) {
    let all = model.list(Filter::default(), 0, usize::MAX).await.unwrap();
    assert_eq!(store.list(Filter::default(), 0, usize::MAX).await.unwrap(), all);
    assert_eq!(store.summary().await.unwrap(), model.summary().await.unwrap());
    for entry in all {
        let id = entry.message_id;
        assert_eq!(store.entry(id).await.unwrap(), model.entry(id).await.unwrap());
    }
}

#[tokio::test]
async fn reopening_keeps_everything() {
    let folder = Folder::new();
    let model = MemoryStore::default();
    fill(&model).await;
    let store = RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap();
    fill(&store).await;
    assert_same(&store, &model).await;
    drop(store);
    let store = RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap();
    assert_same(&store, &model).await;
    assert_eq!(model.recover(NOW).await.unwrap(), 1);
    assert_eq!(store.recover(NOW).await.unwrap(), 1);
    assert_same(&store, &model).await;
    let Leased::Entry { lease, entry, body } =
        store.lease(NOW.into(), minute_after(NOW), None).await.unwrap()
    else {
        panic!("nothing is due");
    };
    // The first two numbers are stored.
    assert_eq!((lease.number, entry.message_id.as_u128()), (3, 1));
    assert_eq!(body, vec![7; 2_000]);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_private_and_leftovers_of_a_creation_are_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let leftover = folder.0.join("outbox.redb.new");
    fs::write(&leftover, "half a database").unwrap();
    let store = RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap();
    assert!(!leftover.exists());
    for name in ["outbox.redb", "outbox.redb.lock"] {
        let mode = fs::metadata(folder.0.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    fill(&store).await;
}

#[test]
fn a_second_opener_learns_the_process() {
    let folder = Folder::new();
    let path = folder.outbox();
    let store = RedbStore::open(&path, CACHE_BYTES).unwrap();
    let error = RedbStore::open(&path, CACHE_BYTES).err().unwrap().to_string();
    let id = std::process::id();
    assert!(error.contains(&format!("this process (id {id}) has it open already")), "{error}");
    #[cfg(unix)]
    {
        let link = folder.0.join("link.redb");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let error = RedbStore::open(&link, CACHE_BYTES).err().unwrap();
        assert!(matches!(error, OpenError::InUse { process: Some(_), .. }), "{error}");
    }
    let in_child = || {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::redb::tests::child_opens", "--ignored", "--nocapture"])
            .env("PUSHSLOTS_CHILD", &path)
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let output = in_child();
    assert!(output.contains(&format!("process {id} has it open. Stop that process")), "{output}");
    drop(store);
    let output = in_child();
    assert!(output.contains("opened"), "{output}");
}

/// The other process of [`a_second_opener_learns_the_process`].
#[test]
#[ignore = "another test runs it"]
fn child_opens() {
    let Some(path) = std::env::var_os("PUSHSLOTS_CHILD") else { return };
    match RedbStore::open(Path::new(&path), CACHE_BYTES) {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn folders_that_are_missing_or_read_only_are_reported() {
    let folder = Folder::new();
    let error = RedbStore::open(&folder.0.join("missing/outbox.redb"), CACHE_BYTES).err().unwrap();
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
    assert!(error.to_string().contains("Create the folder"), "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o500)).unwrap();
        // The user root can write to it.
        if fs::write(folder.0.join("probe"), "").is_err() {
            let error = RedbStore::open(&folder.outbox(), CACHE_BYTES).err().unwrap();
            assert!(matches!(error, OpenError::Folder { .. }), "{error}");
        }
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700)).unwrap();
    }
    // Nobody can create files here, not even root.
    if Path::new("/proc/self").exists() {
        let error = RedbStore::open(Path::new("/proc/outbox.redb"), CACHE_BYTES).err().unwrap();
        assert!(matches!(error, OpenError::Folder { .. }), "{error}");
    }
}

#[test]
fn other_files_are_not_overwritten() {
    let folder = Folder::new();
    let path = folder.outbox();
    let other = Database::create(folder.0.join("other.redb")).unwrap();
    other.close().unwrap();
    let other = fs::read(folder.0.join("other.redb")).unwrap();
    for bytes in [&b""[..], b"text", &[b'x'; 5_000], &other] {
        fs::write(&path, bytes).unwrap();
        let error = RedbStore::open(&path, CACHE_BYTES).err().unwrap();
        assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains("It wasn't overwritten"), "{error}");
        if bytes.len() < 6_000 {
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
    }
}

#[tokio::test]
async fn damage_is_reported_or_has_no_effect() {
    let folder = Folder::new();
    let path = folder.outbox();
    let store = RedbStore::open(&path, CACHE_BYTES).unwrap();
    let model = MemoryStore::default();
    fill(&model).await;
    fill(&store).await;
    drop(store);
    let bytes = fs::read(&path).unwrap();
    let mut damaged = 0;
    for offset in (0..bytes.len()).step_by(1_021) {
        let mut changed = bytes.clone();
        changed[offset] ^= 0x55;
        fs::write(&path, &changed).unwrap();
        match RedbStore::open(&path, CACHE_BYTES) {
            Ok(store) => assert_same(&store, &model).await,
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged { .. }), "{offset}: {error}");
                assert_eq!(fs::read(&path).unwrap(), changed);
                damaged += 1;
            }
        }
    }
    println!("{damaged} of {} changed bytes are reported", bytes.len() / 1_021 + 1);
    assert!(damaged > 0);
    for length in (0..bytes.len()).step_by(10_007) {
        fs::write(&path, &bytes[..length]).unwrap();
        let error = RedbStore::open(&path, CACHE_BYTES).err().unwrap();
        assert!(matches!(error, OpenError::Damaged { .. }), "{length}: {error}");
        assert_eq!(fs::read(&path).unwrap(), &bytes[..length]);
    }
}

#[test]
fn a_newer_version_is_reported() {
    let folder = Folder::new();
    drop(RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap());
    let database = Database::open(folder.outbox()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert(FORMAT, "2").unwrap();
    transaction.commit().unwrap();
    database.close().unwrap();
    let error = RedbStore::open(&folder.outbox(), CACHE_BYTES).err().unwrap();
    assert!(matches!(error, OpenError::NewerVersion { version: 2, .. }), "{error}");
    let database = Database::open(folder.outbox()).unwrap();
    assert!(database.begin_read().is_ok());
}

#[tokio::test]
async fn removed_entries_leave_nothing() {
    let folder = Folder::new();
    let store = RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap();
    fill(&store).await;
    assert_eq!(store.recover(NOW).await.unwrap(), 1);
    for number in 1..4 {
        let id = Uuid::from_u128(number);
        assert_eq!(store.cancel(id, NOW).await.unwrap(), Changed::Done);
    }
    store.set_held("south".to_owned(), false).await.unwrap();
    assert_eq!(
        store
            .remove_final(minute_after(NOW), std::time::Duration::ZERO, false, 1_000)
            .await
            .unwrap(),
        4
    );
    drop(store);
    let database = Database::open(folder.outbox()).unwrap();
    let transaction = database.begin_read().unwrap();
    let mut tables = 0;
    for table in transaction.list_tables().unwrap() {
        let name = table.name().to_owned();
        let length = transaction.open_untyped_table(table).unwrap().len().unwrap();
        let expected = match &*name {
            "meta" => 2,
            // The lost send counts in the rate limit for a day.
            "request" => 1,
            _ => 0,
        };
        assert_eq!(length, expected, "{name}");
        tables += 1;
    }
    assert_eq!(tables, 16);
}

#[tokio::test]
async fn compacting_returns_space() {
    let folder = Folder::new();
    let store = RedbStore::open(&folder.outbox(), CACHE_BYTES).unwrap();
    let body = || vec![5; 100_000];
    let entries = (0..100).map(|number| NewEntry { body: body(), ..new_entry(number, "north") });
    store.enqueue(entries.collect()).await.unwrap();
    for number in 0..100 {
        store.cancel(Uuid::from_u128(number), NOW).await.unwrap();
    }
    assert_eq!(
        store
            .remove_final(minute_after(NOW), std::time::Duration::ZERO, false, 1_000)
            .await
            .unwrap(),
        100
    );
    let before = fs::metadata(folder.outbox()).unwrap().len();
    assert!(store.compact().await.unwrap());
    let after = fs::metadata(folder.outbox()).unwrap().len();
    println!("{before} bytes became {after}");
    assert!(before > 10_000_000 && after < 1_000_000);
    fill(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_whose_future_is_dropped_ends() {
    let store = RedbStore::with_backend(::redb::backends::InMemoryBackend::new()).unwrap();
    store.enqueue(vec![new_entry(1, "north")]).await.unwrap();
    for wait in 0..300 {
        let leasing = store.lease(NOW.into(), minute_after(NOW), None);
        // Sometimes the lease is granted before the drop, and sometimes after it.
        std::thread::sleep(Duration::from_micros(wait));
        drop(leasing);
    }
    // The next lease must not be in the same transaction as the last dropped one.
    store.set_held("west".to_owned(), true).await.unwrap();
    let leased = store.lease(NOW.into(), minute_after(NOW), None).await.unwrap();
    assert!(matches!(leased, Leased::Entry { .. }), "the lane isn't free");
}

#[tokio::test]
async fn many_expired_entries_end_in_several_transactions() {
    let store = RedbStore::with_backend(::redb::backends::InMemoryBackend::new()).unwrap();
    let expired = |number| NewEntry { expires: Some(NOW), ..new_entry(number, "north") };
    store.enqueue((0..2_500).map(expired).collect()).await.unwrap();
    store.enqueue(vec![new_entry(9_999, "north")]).await.unwrap();
    let leased = store.lease(NOW.into(), minute_after(NOW), None).await.unwrap();
    assert!(matches!(leased, Leased::Entry { entry, .. } if entry.number == 2_501));
    assert_eq!(store.summary().await.unwrap().counts.expired, 2_500);
}
