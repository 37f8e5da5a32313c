//! Every interleaving of two workers on two lanes, checked exhaustively: expiry of leases, crashes,
//! late responses and a superseding entry. The operations are those of the memory store.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::FutureExt;
use pushslots::Delivery;
use stateright::{Checker, HasDiscoveries, Model, Property};
use uuid::Uuid;

use crate::state::{EntryState, Event, Outcome, Verdict};
use crate::store::memory::{Contents, MemoryStore};
use crate::store::{Enqueued, Lease, Leased, NewEntry, Settlement, Store, StoreFuture};
use crate::time::Timestamp;

const FIRST: Uuid = Uuid::from_u128(1);
const OTHER_LANE: Uuid = Uuid::from_u128(2);
/// Supersedes the first entry, unless that is being sent.
const NEWER: Uuid = Uuid::from_u128(3);

/// The number of ticks of the clock.
const TICKS: i64 = 2;

/// The duration of a lease in ticks.
const LEASE: i64 = 1;

/// The number of workers that crash.
const CRASHES: u8 = 1;

/// The number of sends that fail for now.
const FAILURES: u8 = 1;

/// The number of leases.
const LEASES: u64 = 4;

/// A bug of another queue, put back in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    /// The end of a lease overwrites an entry that was settled in the meantime.
    ExpiryOverwritesSettlement,
    /// A lane is leased while another worker holds it.
    SecondHolder,
    /// A settlement under an old lease ends the lane's current lease.
    LateSettlementReleases,
    /// An entry isn't stored while an older one with the same key is being sent.
    NewerIsDropped,
}

struct Interleavings {
    bug: Option<Bug>,
}

/// Everything in the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct World {
    store: Contents,
    workers: [Worker; 2],
    now: i64,
    crashes: u8,
    failures: u8,
    /// The messages that the service accepted, with copies.
    accepted: Vec<Uuid>,
    has_newer: bool,
    /// The entries that the store recorded as accepted at any time.
    known_accepted: BTreeSet<Uuid>,
    /// Whether the send of an entry began after the store recorded its acceptance.
    began_after_acceptance: bool,
    /// An expired lease that isn't handled yet.
    seen_over: Option<(Lease, Uuid)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Busy { lease: Lease, id: Uuid, until: i64, stage: Stage },
}

/// The progress of a worker with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Leased,
    Begun,
    /// The service responded. It accepted the message, or failed for now.
    Responded {
        accepted: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Tick,
    EnqueueNewer,
    Lease(usize),
    Begin(usize),
    Respond {
        worker: usize,
        accepts: bool,
    },
    Settle(usize),
    Crash(usize),
    /// Sees that a lease is over.
    SeeOver(usize),
    /// Ends the lease that was seen.
    EndLease,
}

fn new_entry(id: Uuid, lane: &str, key: Option<&str>) -> NewEntry {
    NewEntry { key: key.map(str::to_owned), ..NewEntry::of(id, lane) }
}

impl World {
    /// Runs an operation of the store, which is never pending.
    fn run<T>(&mut self, operation: impl FnOnce(&MemoryStore) -> StoreFuture<'_, T>) -> T {
        let store = MemoryStore::default();
        *store.contents.lock().expect("nothing panicked") = std::mem::take(&mut self.store);
        let value = operation(&store).now_or_never().expect("it is ready").expect("it succeeds");
        self.store = store.contents.into_inner().expect("nothing panicked");
        value
    }

    fn enqueue(&mut self, entry: NewEntry) {
        let enqueued = self.run(|store| store.enqueue(vec![entry]));
        assert!(matches!(enqueued, Enqueued::Entries(_)));
    }

    fn now(&self) -> Timestamp {
        Timestamp(self.now)
    }

    /// Forgets details that no property depends on, so that fewer states are different.
    fn forget_details(&mut self) {
        self.store.attempts.clear();
        self.store.requests.clear();
        for entry in self.store.entries.values_mut() {
            entry.changed = Timestamp(0);
            entry.due = Timestamp(0);
            entry.failing_since = None;
            entry.failures = 0;
            entry.attempts = entry.attempts.min(1);
        }
    }

    fn lease(&mut self, worker: usize, bug: Option<Bug>) {
        if bug == Some(Bug::SecondHolder) {
            self.store.leases.clear();
        }
        let until = self.now + LEASE;
        let now = self.now();
        let leased = self.run(|store| store.lease(now.into(), Timestamp(until), None));
        if let Leased::Entry { lease, entry, .. } = leased {
            let id = entry.message_id;
            self.workers[worker] = Worker::Busy { lease, id, until, stage: Stage::Leased };
        }
    }

    fn begin(&mut self, worker: usize) {
        let Worker::Busy { lease, id, stage, .. } = &mut self.workers[worker] else { return };
        *stage = Stage::Begun;
        let (lease, id, now) = (lease.clone(), *id, self.now());
        if self.run(|store| store.begin(lease, id, now)) {
            self.began_after_acceptance |= self.known_accepted.contains(&id);
        } else {
            self.workers[worker] = Worker::Idle;
        }
    }

    fn settle(&mut self, worker: usize, bug: Option<Bug>) {
        let before = std::mem::replace(&mut self.workers[worker], Worker::Idle);
        let Worker::Busy { lease, id, stage: Stage::Responded { accepted }, .. } = before else {
            return;
        };
        let (delivery, verdict) = if accepted {
            (Delivery::Accepted, Verdict::Accepted)
        } else {
            (Delivery::NotSent, Verdict::Retry { at_least: Duration::ZERO, is_probe: false })
        };
        let outcome = Outcome { delivery, verdict, attempts: 1 };
        if bug == Some(Bug::LateSettlementReleases) {
            self.store.leases.remove(&lease.lane);
        }
        let attempts = Vec::new();
        let settlement = Settlement {
            lease,
            message_id: id,
            outcome,
            attempts,
            requests: 1,
            receipt: None,
            random: 0.5,
        };
        let now = self.now();
        self.run(|store| store.settle(settlement, now));
        if self.store.entries.get(&id).is_some_and(|entry| entry.state == EntryState::Accepted) {
            self.known_accepted.insert(id);
        }
    }

    /// Ends the lease that was seen, if it is still the current one.
    fn end_lease(&mut self, bug: Option<Bug>) {
        let Some((lease, id)) = self.seen_over.take() else { return };
        let now = self.now();
        let Some(entry) = self.store.entries.get_mut(&id) else { return };
        let event = Event::LeaseLost { lease: lease.number };
        if bug == Some(Bug::ExpiryOverwritesSettlement) {
            entry.state = EntryState::Waiting;
        } else if entry.apply(event, now, 0.5).is_err() {
            return;
        }
        if self.store.leases.get(&lease.lane).is_some_and(|(number, _)| *number == lease.number) {
            self.store.leases.remove(&lease.lane);
        }
    }
}

impl Model for Interleavings {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        let mut world = World {
            store: Contents::default(),
            workers: [Worker::Idle, Worker::Idle],
            now: 0,
            crashes: 0,
            failures: 0,
            accepted: Vec::new(),
            has_newer: false,
            known_accepted: BTreeSet::new(),
            began_after_acceptance: false,
            seen_over: None,
        };
        world.enqueue(new_entry(FIRST, "a", Some("key")));
        world.enqueue(new_entry(OTHER_LANE, "b", None));
        vec![world]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.now < TICKS {
            actions.push(Action::Tick);
        }
        if !world.has_newer {
            actions.push(Action::EnqueueNewer);
        }
        if world.seen_over.is_some() {
            actions.push(Action::EndLease);
        }
        for (worker, state) in world.workers.iter().enumerate() {
            let Worker::Busy { until, stage, .. } = state else {
                if world.store.last_lease < LEASES {
                    actions.push(Action::Lease(worker));
                }
                continue;
            };
            match stage {
                Stage::Leased => actions.push(Action::Begin(worker)),
                // A process that froze after it began can send after its lease.
                Stage::Begun => {
                    let respond = |accepts| Action::Respond { worker, accepts };
                    actions.push(respond(true));
                    if world.failures < FAILURES {
                        actions.push(respond(false));
                    }
                }
                Stage::Responded { .. } => actions.push(Action::Settle(worker)),
            }
            if world.crashes < CRASHES {
                actions.push(Action::Crash(worker));
            }
            if *until <= world.now && *stage != Stage::Leased && world.seen_over.is_none() {
                actions.push(Action::SeeOver(worker));
            }
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        match action {
            Action::Tick => next.now += 1,
            Action::EnqueueNewer => {
                next.has_newer = true;
                let first = next.store.entries.get(&FIRST).map(|entry| entry.state);
                let is_sending = matches!(first, Some(EntryState::Sending { .. }));
                if !(self.bug == Some(Bug::NewerIsDropped) && is_sending) {
                    next.enqueue(new_entry(NEWER, "a", Some("key")));
                }
            }
            Action::Lease(worker) => next.lease(worker, self.bug),
            Action::Begin(worker) => next.begin(worker),
            Action::Respond { worker, accepts } => {
                let Worker::Busy { id, stage, .. } = &mut next.workers[worker] else { return None };
                *stage = Stage::Responded { accepted: accepts };
                if accepts {
                    next.accepted.push(*id);
                    next.accepted.sort();
                } else {
                    next.failures += 1;
                }
            }
            Action::Settle(worker) => next.settle(worker, self.bug),
            Action::Crash(worker) => {
                next.workers[worker] = Worker::Idle;
                next.crashes += 1;
            }
            Action::SeeOver(worker) => {
                let Worker::Busy { lease, id, .. } = &next.workers[worker] else { return None };
                next.seen_over = Some((lease.clone(), *id));
            }
            Action::EndLease => next.end_lease(self.bug),
        }
        next.forget_details();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a lane has one holder", |_, world: &World| {
                let holds = |worker: &Worker| match worker {
                    Worker::Busy { lease, until, .. } if world.now < *until => {
                        Some(lease.lane.clone())
                    }
                    _ => None,
                };
                let [one, other] = world.workers.each_ref().map(holds);
                one.is_none() || one != other
            }),
            Property::always("an acceptance stays", |_, world: &World| {
                let state = |id| world.store.entries.get(id).map(|entry| entry.state);
                world.known_accepted.iter().all(|id| state(id) == Some(EntryState::Accepted))
            }),
            Property::always("nothing is sent after a known acceptance", |_, world: &World| {
                !world.began_after_acceptance
            }),
            Property::always("an acceptance is never invented", |_, world: &World| {
                world.known_accepted.iter().all(|id| world.accepted.contains(id))
            }),
            Property::always(
                "an accepted message never counts as not arrived",
                |_, world: &World| {
                    world.store.entries.values().all(|entry| {
                        let is_doubtful = entry.delivery == Some(Delivery::Unknown);
                        let has_arrived = world.accepted.contains(&entry.message_id);
                        !has_arrived
                            || !entry.state.is_final()
                            || is_doubtful
                            || entry.state == EntryState::Accepted
                    })
                },
            ),
            Property::always("nothing is lost", |_, world: &World| {
                let newer = world.has_newer.then_some(NEWER);
                [FIRST, OTHER_LANE].into_iter().chain(newer).all(|id| {
                    let Some(entry) = world.store.entries.get(&id) else { return false };
                    let by = EntryState::Superseded { by: NEWER };
                    let is_over = entry.state == EntryState::Accepted || entry.state == by;
                    is_over || world.store.bodies.contains_key(&id)
                })
            }),
            Property::sometimes("everything is accepted", |_, world: &World| {
                [FIRST, OTHER_LANE, NEWER].iter().all(|id| world.known_accepted.contains(id))
            }),
            Property::sometimes("an entry is superseded", |_, world: &World| {
                let first = world.store.entries.get(&FIRST);
                first.is_some_and(|entry| entry.state == EntryState::Superseded { by: NEWER })
            }),
            Property::sometimes("a late acceptance ends an entry", |_, world: &World| {
                let first = world.store.entries.get(&FIRST);
                world.known_accepted.contains(&FIRST)
                    && first.is_some_and(|entry| entry.lost_leases > 0)
            }),
        ]
    }
}

#[test]
fn all_interleavings_hold() {
    let checker = Interleavings { bug: None }.checker().threads(2).spawn_bfs().join();
    println!(
        "{} states, {} of them different",
        checker.state_count(),
        checker.unique_state_count()
    );
    checker.assert_properties();
}

#[test]
fn bugs_of_other_queues_are_found() {
    for (bug, property) in [
        (Bug::ExpiryOverwritesSettlement, "an acceptance stays"),
        (Bug::SecondHolder, "a lane has one holder"),
        (Bug::LateSettlementReleases, "a lane has one holder"),
        (Bug::NewerIsDropped, "nothing is lost"),
    ] {
        let checker = Interleavings { bug: Some(bug) }.checker().threads(2);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let found = checker.discovery(property);
        let actions = found.map(stateright::Path::into_actions);
        println!("{bug:?}: {actions:?}");
        assert!(actions.is_some(), "{bug:?} isn't found");
    }
}
