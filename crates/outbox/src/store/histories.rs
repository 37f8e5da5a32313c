//! Random histories: a store must behave like the model in memory.
//!
//! `PUSHSLOTS_HISTORIES` sets the number of histories, and `PUSHSLOTS_HISTORY` runs one seed.

mod choices;
mod comparing;
mod steps;
mod subject;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use self::subject::Subject;
use super::memory::MemoryStore;
use super::{Change, Lease, NewEntry, Store};
use crate::state::{EntryRecord, EntryState};
use crate::time::Timestamp;

const STEPS: usize = 50;

/// A lease of the model, the same lease of the store, and the leased entry.
#[derive(Clone)]
struct Pair {
    model: Lease,
    store: Lease,
    message_id: Uuid,
}

/// A history of operations on the model and on a store.
struct History {
    random: StdRng,
    now: Timestamp,
    model: MemoryStore,
    subject: Subject,
    /// Whether begin and settle use other entries than the leased one, as no worker does.
    is_wild: bool,
    enqueued: Vec<NewEntry>,
    pairs: Vec<Pair>,
    /// The store's numbers of the model's leases. They differ after a restart.
    leases: HashMap<u64, u64>,
    /// The store's numbers of the model's entries and positions.
    numbers: HashMap<u64, u64>,
    /// The reported changes of the model, and of the store.
    changes: [Changes; 2],
}

/// The changes that a store has reported.
type Changes = Arc<Mutex<Vec<Change>>>;

fn record_changes(store: &dyn Store, changes: &Changes) {
    let changes = changes.clone();
    store.on_change(Arc::new(move |change| changes.lock().unwrap().push(change.clone())));
}

fn take_changes(changes: &Changes) -> Vec<Change> {
    let mut changes = std::mem::take(&mut *changes.lock().unwrap());
    changes.sort_by_key(|change| (change.entry.number, change.entry.attempts));
    changes
}

type Step = Result<(), String>;

impl History {
    fn new(seed: u64, subject: Subject) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let model = MemoryStore::default();
        let changes = [Changes::default(), Changes::default()];
        record_changes(&model, &changes[0]);
        record_changes(subject.store(), &changes[1]);
        Self {
            is_wild: random.gen_bool(0.25) && !subject.is_shared(),
            random,
            now: Timestamp(1_800_000_000_000),
            model,
            subject,
            enqueued: Vec::new(),
            pairs: Vec::new(),
            leases: HashMap::new(),
            numbers: HashMap::new(),
            changes,
        }
    }

    async fn run(mut self) -> Step {
        for number in 0..STEPS {
            let step = async {
                self.step().await?;
                // The writer reports changes after its reply, and before the next request.
                let none = Lease { lane: String::new(), number: 0 };
                same("hand_back", Ok(()), self.store().hand_back(none).await)?;
                let [model, store] = self.changes.each_ref().map(take_changes);
                let model = model.into_iter().map(|change| self.translate_change(change)).collect();
                same("changes", Ok(model), Ok(store))
            };
            step.await.map_err(|text| format!("step {number}: {text}"))?;
        }
        self.compare_all().await
    }

    fn store(&self) -> &dyn Store {
        self.subject.store()
    }

    /// Returns the store's number for a number of the model.
    fn number(&self, number: u64) -> u64 {
        self.numbers.get(&number).copied().unwrap_or(number)
    }

    /// Replaces the numbers of the model by those of the store.
    fn translate(&self, mut entry: EntryRecord) -> EntryRecord {
        entry.number = self.number(entry.number);
        entry.position = self.number(entry.position);
        if let EntryState::Sending { lease } = &mut entry.state {
            *lease = self.leases.get(lease).copied().unwrap_or(0);
        }
        entry
    }

    fn translate_change(&self, mut change: Change) -> Change {
        if let EntryState::Sending { lease } = &mut change.before {
            *lease = self.leases.get(lease).copied().unwrap_or(0);
        }
        Change { entry: self.translate(change.entry), ..change }
    }
}

fn same<T: PartialEq + Debug>(
    operation: &str,
    expected: Result<T, crate::error::StoreError>,
    actual: Result<T, crate::error::StoreError>,
) -> Step {
    match (expected, actual) {
        (Ok(expected), Ok(actual)) if expected == actual => Ok(()),
        (expected, actual) => {
            Err(format!("{operation} differs\nexpected {expected:?}\nactual   {actual:?}"))
        }
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name} isn't a number: {value}")))
}

/// Returns the seeds of the histories to run.
fn seeds(default: u64) -> Vec<u64> {
    match variable("PUSHSLOTS_HISTORY") {
        Some(seed) => vec![seed],
        None => {
            let first = u64::from(rand::random::<u32>());
            let count = variable("PUSHSLOTS_HISTORIES").unwrap_or(default);
            (first..first.saturating_add(count)).collect()
        }
    }
}

/// Runs a history for each seed, and panics if one of them differs.
async fn compare(seeds: &[u64], mut subject: impl AsyncFnMut() -> Subject) {
    let mut differences = 0;
    for seed in seeds {
        if let Err(text) = History::new(*seed, subject().await).run().await {
            differences += 1;
            println!("PUSHSLOTS_HISTORY={seed}: {text}");
        }
    }
    println!("{} histories of {STEPS} steps, {differences} differences", seeds.len());
    assert_eq!(differences, 0);
}

#[tokio::test]
async fn redb_behaves_like_the_model() {
    compare(&seeds(200), async || Subject::redb()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgresql_behaves_like_the_model_directly_and_through_pgbouncer() {
    use super::postgres::tests::{Shared, Through, database};

    for through in [Through::Server, Through::PgBouncer] {
        let Some(opened) = database(through).await else { return };
        compare(&seeds(25), async || Subject::Postgres(Box::new(Shared::open(&opened).await)))
            .await;
    }
}
