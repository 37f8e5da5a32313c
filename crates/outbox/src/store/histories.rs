//! Random histories: a store must behave like the model in memory.
//!
//! `PUSHSLOTS_HISTORIES` sets the number of histories, and `PUSHSLOTS_HISTORY` runs one seed.

mod choices;
mod subject;

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use self::choices::KINDS;
use self::subject::Subject;
use super::memory::MemoryStore;
use super::{Change, Enqueued, Lease, Leased, NewEntry, Settlement, Store};
use crate::filter::Filter;
use crate::state::{EntryRecord, EntryState, Verdict};
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

    async fn step(&mut self) -> Step {
        self.now.0 += *[0, 0, 0, 0, 1, 500, 6_000, 70_000, 1_000_000, 40_000_000]
            .choose(&mut self.random)
            .expect("there are choices");
        let now = self.now;
        self.subject.set_time(now).await;
        match self.random.gen_range(0..100) {
            0..22 => self.enqueue().await,
            22..44 => self.lease().await,
            44..56 => self.begin().await,
            56..70 => self.settle().await,
            70..73 => {
                let Some(pair) = self.pair() else { return Ok(()) };
                let until = now.after(Duration::from_secs(self.random.gen_range(0..60)));
                let expected = self.model.renew(pair.model, now, until).await;
                same("renew", expected, self.store().renew(pair.store, now, until).await)
            }
            73..76 => {
                let Some(pair) = self.pair() else { return Ok(()) };
                let expected = self.model.hand_back(pair.model).await;
                same("hand_back", expected, self.store().hand_back(pair.store).await)
            }
            76..80 => {
                let id = self.id();
                let expected = self.model.replay(id, now).await;
                same("replay", expected, self.store().replay(id, now).await)?;
                let replayed = (self.model.entry(id).await, self.store().entry(id).await);
                if let (Ok(Some(model)), Ok(Some(store))) = replayed {
                    self.numbers.insert(model.record.position, store.record.position);
                }
                Ok(())
            }
            80..83 => {
                let id = self.id();
                let expected = self.model.cancel(id, now).await;
                same("cancel", expected, self.store().cancel(id, now).await)
            }
            83..86 => {
                let (lane, held) = (self.lane(), self.random.gen_bool(0.4));
                let expected = self.model.set_held(lane.clone(), held).await;
                same("set_held", expected, self.store().set_held(lane, held).await)
            }
            86..89 => {
                let mut age = Duration::from_millis(self.random.gen_range(0..2_000_000));
                let (dead, mut limit) = (self.random.gen_bool(0.5), self.random.gen_range(0..4));
                if self.subject.is_shared() && !dead {
                    let before = now.before(age);
                    age = now.since(Timestamp(before.0 - before.0 % 86_400_000));
                    limit = usize::MAX;
                }
                let expected = self.model.remove_final(now, age, dead, limit).await;
                same(
                    "remove_final",
                    expected,
                    self.store().remove_final(now, age, dead, limit).await,
                )
            }
            89..91 => {
                let filter = self.filter();
                let expected = self.model.erase_bodies(filter.clone()).await;
                same("erase_bodies", expected, self.store().erase_bodies(filter).await)
            }
            91..94 => {
                let (filter, after) = (self.filter(), self.random.gen_range(0..20));
                let is_known = self.numbers.contains_key(&after) || !self.subject.is_shared();
                let after = if is_known { after } else { 0 };
                let limit = self.random.gen_range(0..6);
                self.compare_page(filter, after, limit).await.map(drop)
            }
            94 => self.supersede_groups().await,
            95..97 => {
                let id = self.id();
                self.compare_entry(id).await
            }
            97 => self.compare_summary().await,
            98 if !self.subject.is_shared() => {
                let expected = self.model.recover(now).await;
                same("recover", expected, self.store().recover(now).await)
            }
            _ => self.restart().await,
        }
    }

    async fn enqueue(&mut self) -> Step {
        let entries = self.new_entries();
        let expected = self.model.enqueue(entries.clone()).await;
        let actual = self.store().enqueue(entries).await;
        if let (Ok(Enqueued::Entries(model)), Ok(Enqueued::Entries(store))) = (&expected, &actual) {
            for (model, store) in model.iter().zip(store) {
                self.numbers.entry(model.number).or_insert(store.number);
            }
        }
        let expected = expected.map(|enqueued| match enqueued {
            Enqueued::Entries(entries) => {
                Enqueued::Entries(entries.into_iter().map(|entry| self.translate(entry)).collect())
            }
            other => other,
        });
        same("enqueue", expected, actual)
    }

    async fn lease(&mut self) -> Step {
        let until = self.now.after(Duration::from_secs(self.random.gen_range(1..100)));
        let avoid = self.random.gen_bool(0.3).then(|| self.lane());
        let expected = self.model.lease(self.now.into(), until, avoid.clone()).await;
        let leased = self.store().lease(self.now.into(), until, avoid).await;
        let (expected, leased) = match (expected, leased) {
            (Ok(expected), Ok(leased)) => (expected, leased),
            (_, Err(error)) => return Err(format!("lease failed: {}", error.0)),
            (Err(error), _) => return Err(format!("the model failed: {}", error.0)),
        };
        let (Leased::Entry { lease: model, entry, body }, Leased::Entry { lease: store, .. }) =
            (&expected, &leased)
        else {
            return same("lease", Ok(expected), Ok(leased));
        };
        let message_id = entry.message_id;
        self.leases.insert(model.number, store.number);
        self.pairs.push(Pair { model: model.clone(), store: store.clone(), message_id });
        let expected = Leased::Entry {
            lease: Lease { lane: model.lane.clone(), number: store.number },
            entry: Box::new(self.translate(EntryRecord::clone(entry))),
            body: body.clone(),
        };
        same("lease", Ok(expected), Ok(leased))
    }

    async fn begin(&mut self) -> Step {
        let Some(pair) = self.pair() else { return Ok(()) };
        let id = self.entry_of(&pair);
        let expected = self.model.begin(pair.model, id, self.now).await;
        same("begin", expected, self.store().begin(pair.store, id, self.now).await)
    }

    async fn settle(&mut self) -> Step {
        let Some(pair) = self.pair() else { return Ok(()) };
        let outcome = self.outcome();
        let attempts = (0..outcome.attempts).map(|_| self.random.r#gen::<u16>().to_string());
        let settlement = Settlement {
            attempts: attempts.collect(),
            requests: outcome.attempts,
            lease: pair.model.clone(),
            message_id: self.entry_of(&pair),
            outcome,
            receipt: (outcome.verdict == Verdict::Accepted)
                .then(|| format!("\"{}\"", self.random.r#gen::<u16>())),
            random: self.random.r#gen(),
        };
        let expected = self.model.settle(settlement.clone(), self.now).await;
        let expected = expected.map(|entry| entry.map(|entry| self.translate(entry)));
        let of_store = Settlement { lease: pair.store, ..settlement.clone() };
        same("settle", expected, self.store().settle(of_store.clone(), self.now).await)?;
        if self.random.gen_bool(0.8) || settlement.attempts.is_empty() {
            return Ok(());
        }
        // A worker repeats it if it doesn't know whether it was stored.
        let before = self.store().entry(settlement.message_id).await;
        let expected = self.model.settle(settlement.clone(), self.now).await;
        let expected = expected.map(|entry| entry.map(|entry| self.translate(entry)));
        same("settle again", expected, self.store().settle(of_store, self.now).await)?;
        same("repeated settle", before, self.store().entry(settlement.message_id).await)
    }

    /// Supersedes the older entries of all groups.
    async fn supersede_groups(&mut self) -> Step {
        let mut after = None;
        loop {
            let group = self.model.next_group(after.clone()).await;
            same("next_group", group.clone(), self.store().next_group(after).await)?;
            let Ok(Some(group)) = group else { return Ok(()) };
            let expected = self.model.supersede_group(group.clone(), self.now).await;
            same(
                "supersede_group",
                expected,
                self.store().supersede_group(group.clone(), self.now).await,
            )?;
            after = Some(group);
        }
    }

    /// Opens the store again. Workers with leases are gone, too.
    async fn restart(&mut self) -> Step {
        // Wild histories leave entries that only a restart finds.
        if self.is_wild {
            return Ok(());
        }
        self.subject.reopen().await?;
        record_changes(self.subject.store(), &self.changes[1]);
        if self.subject.is_shared() {
            return Ok(());
        }
        self.pairs.clear();
        let expected = self.model.recover(self.now).await;
        same("recover", expected, self.store().recover(self.now).await)
    }

    async fn compare_all(&mut self) -> Step {
        let entries = self.compare_page(Filter::default(), 0, usize::MAX).await?;
        let mut after = 0;
        for page in entries.chunks(7) {
            let same_page = self.compare_page(Filter::default(), after, 7).await?;
            same("page", Ok(page.to_vec()), Ok(same_page))?;
            after = self.model_number(page.last().map_or(after, |entry| entry.number));
        }
        for kind in KINDS {
            let filter = Filter { kind: Some(kind), ..Filter::default() };
            self.compare_page(filter, 0, usize::MAX).await?;
        }
        for entry in entries {
            self.compare_entry(entry.message_id).await?;
        }
        self.compare_summary().await
    }

    /// Compares a page, and returns it.
    async fn compare_page(
        &self,
        filter: Filter,
        after: u64,
        limit: usize,
    ) -> Result<Vec<EntryRecord>, String> {
        let expected = self.model.list(filter.clone(), after, limit).await;
        let expected = expected
            .map(|page| page.into_iter().map(|entry| self.translate(entry)).collect::<Vec<_>>());
        let page = self.store().list(filter, self.number(after), limit).await;
        same("list", expected, page.clone())?;
        page.map_err(|error| error.0)
    }

    async fn compare_entry(&self, id: Uuid) -> Step {
        let expected = self.model.entry(id).await.map(|stored| {
            stored.map(|mut stored| {
                stored.record = self.translate(stored.record);
                stored
            })
        });
        same("entry", expected, self.store().entry(id).await)
    }

    async fn compare_summary(&self) -> Step {
        same("summary", self.model.summary().await, self.store().summary().await)?;
        if self.subject.is_shared() {
            return Ok(());
        }
        let expected = self.model.recent_requests().await;
        same("recent_requests", expected, self.store().recent_requests().await)
    }

    /// Returns the model's number for a number of the store.
    fn model_number(&self, number: u64) -> u64 {
        let found = self.numbers.iter().find(|(_, store)| **store == number);
        found.map_or(number, |(model, _)| *model)
    }

    fn pair(&mut self) -> Option<Pair> {
        // Mostly one of the last, so that leases are used before their end.
        let recent = self.pairs.len().saturating_sub(3);
        let pairs = if self.random.gen_bool(0.8) { &self.pairs[recent..] } else { &self.pairs[..] };
        pairs.choose(&mut self.random).cloned()
    }

    fn entry_of(&mut self, pair: &Pair) -> Uuid {
        if self.is_wild && self.random.gen_bool(0.2) { self.id() } else { pair.message_id }
    }

    fn id(&mut self) -> Uuid {
        let known = self.enqueued.choose(&mut self.random);
        known.filter(|_| self.random.gen_bool(0.95)).map_or(Uuid::nil(), |entry| entry.message_id)
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
