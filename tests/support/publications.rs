//! Runs one seed of the publication simulation, and checks the invariants.
//!
//! A publication is started, interrupted and resumed until all slots are accepted. Each run has
//! different limits and a different `Meta`. The service has faults, and recognizes a repeated
//! message by its id.

use std::collections::{BTreeMap, BTreeSet};
use std::future::IntoFuture;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use pushslots::uuid::Uuid;
use pushslots::{
    Attempt, Client, Delivery, ErrorKind, Meta, PublishReport, PushSlots, RateLimiter, Receipt,
    ResumePoint, Slot,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::time::{sleep, timeout};

use super::batch::{Arrived, arrived, slots};
use super::fault_schedule::{FaultSchedule, LENGTH};
use super::model::{Model, client_of, ok};
use super::permits::OddLimiter;

/// The number of the slot that another caller sends through the same client.
const OTHER_CALLERS_SLOT: usize = 10_000;

/// The invariants, in the order of [`Findings::broken`].
pub const INVARIANTS: [&str; 12] = [
    "slots lost",
    "slots accepted under two message ids without an unknown attempt that explains it",
    "receipts of messages that the service did not accept",
    "messages sent again after they were known to be accepted",
    "slots accepted out of order, with one message in flight",
    "messages accepted with other slots under the same id",
    "batch numbers that skip or repeat a number, or exceed the total",
    "reports with other counts than the slots accepted and skipped",
    "slots accepted under two message ids that no report counts as possibly repeated",
    "resume points accepted for other slots or destinations",
    "receipts that name other slots than those of their message",
    "receipts without exactly one call of on_accepted, or calls with a wrong resume point",
];

/// The results of one or more seeds.
#[derive(Clone, Default)]
pub struct Findings {
    pub publications: usize,
    pub runs: usize,
    pub dropped: usize,
    pub stopped: usize,
    pub failed: usize,
    pub requests: usize,
    pub too_large: usize,
    /// Messages that were accepted again in parts, because an attempt to send the whole message had
    /// an unknown outcome.
    pub split_again: usize,
    /// Messages that were accepted again under another id, because `Meta` had changed.
    pub repeated: usize,
    pub copies: usize,
    pub broken: [usize; INVARIANTS.len()],
}

impl Findings {
    pub fn add(&mut self, other: &Self) {
        self.publications += other.publications;
        self.runs += other.runs;
        self.dropped += other.dropped;
        self.stopped += other.stopped;
        self.failed += other.failed;
        self.requests += other.requests;
        self.too_large += other.too_large;
        self.split_again += other.split_again;
        self.repeated += other.repeated;
        self.copies += other.copies;
        self.broken.iter_mut().zip(other.broken).for_each(|(sum, more)| *sum += more);
    }
}

/// The parameters that a seed determines, except the fault schedule.
struct Scenario {
    slots: Vec<Slot>,
    /// The numbers of the valid slots.
    valid: Vec<usize>,
    is_stream: bool,
    /// The maximum number of messages in flight in any run.
    concurrency: usize,
}

impl Scenario {
    fn sample(rng: &mut StdRng) -> Self {
        let mut slots = slots(0..rng.gen_range(1..80));
        let invalid_rate = if rng.gen_bool(0.3) { 0.1 } else { 0.0 };
        let mut valid = Vec::new();
        for (number, slot) in slots.iter_mut().enumerate() {
            match number > 0 && rng.gen_bool(invalid_rate) {
                true => slot.duration = Some(0.into()),
                false => valid.push(number),
            }
        }
        Self {
            slots,
            valid,
            is_stream: rng.gen_bool(0.5),
            concurrency: if rng.gen_bool(0.4) { 1 } else { rng.gen_range(2..9) },
        }
    }

    /// Runs the publication until it ends, is dropped, or is stopped.
    async fn publish(
        &self,
        model: &Arc<Model>,
        rng: &mut StdRng,
        before: &PublishReport,
        unknown: &Unknown,
    ) -> Run {
        // Each run has a new client, as a new process would.
        let client = client_of(model).max_attempts(rng.gen_range(1..4)).jitter_seed(rng.r#gen());
        let unknown = unknown.clone();
        let client = client.attempt_observer(move |attempt: &Attempt| {
            if attempt.delivery == Delivery::Unknown {
                unknown.lock().unwrap().insert(attempt.message_id);
            }
        });
        let client = match rng.gen_range(0..10) {
            0 | 1 => {
                client.rate_limit(rng.gen_range(2..10), Duration::from_secs(rng.gen_range(1..60)))
            }
            2 => {
                let limiter = OddLimiter::new(rng.r#gen(), &Arc::default());
                client.rate_limiter(RateLimiter::from_source(limiter))
            }
            _ => client,
        };
        let client = client.build().unwrap();
        let publication = match self.is_stream {
            true => client.publish_stream(stream::iter(self.slots.clone())),
            false => client.publish(&self.slots),
        };
        let bytes = if rng.gen_bool(0.5) { 8_388_608 } else { rng.gen_range(800..3_000) };
        let meta = Meta::new().test(rng.gen_bool(0.2));
        let patience = if rng.gen_bool(0.5) { 0 } else { rng.gen_range(1..600) };
        let concurrency = rng.gen_range(1..=self.concurrency);
        let mut publication = publication
            .slots_per_message(rng.gen_range(1..20))
            .bytes_per_message(bytes)
            .meta(if self.is_stream { meta.facility_code("RES") } else { meta })
            .concurrency(concurrency)
            .patience(Duration::from_secs(patience))
            .skip_invalid(|_, _| {});
        if let Some(point) = before.resume_point() {
            publication = publication
                .batch_id(before.batch_id())
                .resume_from(sometimes_via_text(point.clone(), rng));
        }
        // Another caller uses the same client at the same time.
        let other_caller = rng.gen_bool(0.3).then(|| {
            let client = client.clone();
            tokio::spawn(async move {
                let message = PushSlots::builder()
                    .slots(slots(OTHER_CALLERS_SLOT..OTHER_CALLERS_SLOT + 1))
                    .build()
                    .unwrap();
                loop {
                    let _ = client.send(&message).await;
                    sleep(Duration::from_secs(1)).await;
                }
            })
        });
        let calls = Calls::default();
        let has_callback = rng.gen_bool(0.3);
        if has_callback {
            let calls = calls.clone();
            let max_delay = rng.gen_range(0..3_000);
            publication = publication.on_accepted(move |accepted| {
                let calls = calls.clone();
                let slots = accepted.receipt.slots();
                async move {
                    sleep(Duration::from_millis(slots.start as u64 * 37 % (max_delay + 1))).await;
                    calls.lock().unwrap().push((slots, accepted.resume_point));
                    Ok::<_, std::io::Error>(())
                }
            });
        }
        let accepted_wrong_resume = self.accepts_wrong_resume(&client, before, model, rng).await;
        let handle = publication.handle();
        let interrupt_after = Duration::from_millis(rng.gen_range(1..60_000));
        let ended = match rng.gen_range(0..4) {
            0 => timeout(interrupt_after, publication.into_future()).await.ok(),
            1 => {
                let stop = async {
                    sleep(interrupt_after).await;
                    handle.stop();
                };
                Some(tokio::join!(publication.into_future(), stop).0)
            }
            _ => Some(publication.await),
        };
        if let Some(other_caller) = other_caller {
            other_caller.abort();
        }
        let ended = ended.map(|ended| ended.map(drop).map_err(|error| error.kind()));
        let calls = has_callback.then(|| calls.lock().unwrap().clone());
        Run {
            ended,
            report: handle.report(),
            arrived: own(model).len(),
            accepted_wrong_resume,
            concurrency,
            calls,
        }
    }

    /// Resumes with other slots before the resume point, or with other destinations. Returns
    /// whether the client accepted that.
    async fn accepts_wrong_resume(
        &self,
        client: &Client,
        before: &PublishReport,
        model: &Model,
        rng: &mut StdRng,
    ) -> bool {
        let point = before
            .resume_point()
            .filter(|point| point.slots_before().is_some_and(|slots| slots > 0));
        let Some(point) = point.filter(|_| rng.gen_bool(0.1)) else { return false };
        let mut slots = self.slots.clone();
        let mut meta = Meta::new();
        match rng.gen_bool(0.5) {
            true => meta = meta.destination(Uuid::from_u128(7)),
            false => slots[0].duration = Some(7.into()),
        }
        let arrived = model.calls().len();
        let publication =
            client.publish(slots).batch_id(before.batch_id()).resume_from(point).meta(meta);
        let error = publication.skip_invalid(|_, _| {}).await.err();
        let is_rejected =
            error.is_some_and(|error| error.error().problems()[0].path() == "resume_from");
        !is_rejected || model.calls().len() > arrived
    }
}

/// The slots and resume points of the calls of `on_accepted`.
type Calls = Arc<Mutex<Vec<(Range<usize>, ResumePoint)>>>;

/// The ids of messages with an attempt of unknown outcome.
type Unknown = Arc<Mutex<BTreeSet<Uuid>>>;

/// Returns the messages of the publication that arrived, without those of the other caller.
fn own(model: &Model) -> Vec<Arrived> {
    arrived(model).into_iter().filter(|message| message.slots[0] < OTHER_CALLERS_SLOT).collect()
}

/// Returns the resume point, in half of the cases after formatting and parsing it.
fn sometimes_via_text(point: ResumePoint, rng: &mut StdRng) -> ResumePoint {
    if rng.gen_bool(0.5) { point } else { point.to_string().parse().unwrap() }
}

struct Run {
    /// `None` if the publication was dropped.
    ended: Option<Result<(), ErrorKind>>,
    report: PublishReport,
    /// The number of messages of the publication that had arrived by the end of the run.
    arrived: usize,
    /// Whether the client accepted the previous resume point for other slots or destinations.
    accepted_wrong_resume: bool,
    /// The maximum number of messages in flight.
    concurrency: usize,
    /// `None` if `on_accepted` wasn't set.
    calls: Option<Vec<(Range<usize>, ResumePoint)>>,
}

impl Run {
    /// Returns whether `on_accepted` was called once for each receipt, with a resume point that
    /// leaves no slot out.
    fn was_called_for_each(&self) -> bool {
        let Some(calls) = &self.calls else { return true };
        let receipts = self.report.receipts();
        let is_called = |(receipt, (slots, point)): (&Receipt, &(Range<usize>, ResumePoint))| {
            // With one message in flight, the resume point is after this message and after those
            // that an earlier run had accepted.
            let is_after = self.concurrency > 1 || point.slots_before() >= Some(slots.end);
            receipt.slots() == *slots && is_after
        };
        // A dropped run may have skipped calls.
        let is_complete = self.ended.is_none() || calls.len() == receipts.len();
        is_complete && calls.len() <= receipts.len() && receipts.iter().zip(calls).all(is_called)
    }
}

/// Runs a seed. Returns the findings, and every message that arrived.
pub fn run(seed: u64) -> (Findings, Vec<Arrived>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let scenario = Scenario::sample(&mut rng);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let unknown = Unknown::default();
    let (runs, model) = runtime.unwrap().block_on(async {
        let fault_schedule = FaultSchedule::sample(&mut rng);
        let tokens = FaultSchedule::sample(&mut rng);
        let outcomes = move |rng: &mut StdRng, at| match at < LENGTH {
            true => fault_schedule.outcome(rng, at),
            // The faults end, so that the simulation ends too.
            false => ok(),
        };
        let token_outcomes = move |rng: &mut StdRng, at| match at < LENGTH {
            true => tokens.token_outcome(rng, at),
            false => super::model::TokenOutcome::Issued(Duration::from_secs(300)),
        };
        let model = Model::new(rng.r#gen(), outcomes, token_outcomes);
        if rng.gen_bool(0.3) {
            model.limit_bytes(rng.gen_range(700..3_000));
        }
        let mut runs = Vec::new();
        let mut before = PublishReport::default();
        loop {
            let run = scenario.publish(&model, &mut rng, &before, &unknown).await;
            before = run.report.clone();
            runs.push(run);
            if before.resume_point().is_none() {
                return (runs, model);
            }
            assert!(runs.len() < 1_000, "the publication completes within 1,000 runs");
            sleep(Duration::from_secs(rng.gen_range(0..60))).await;
        }
    });
    let arrived = own(&model);
    let mut findings = Findings {
        publications: 1,
        runs: runs.len(),
        requests: arrived.len(),
        ..Findings::default()
    };
    for run in &runs {
        match run.ended {
            None => findings.dropped += 1,
            Some(Err(ErrorKind::Stopped)) => findings.stopped += 1,
            Some(Err(_)) => findings.failed += 1,
            Some(Ok(())) => {
                assert_eq!(run.report.resume_point(), None, "a successful publication is complete")
            }
        }
        findings.too_large += run.report.too_large().len();
    }
    count_broken(&scenario, &runs, &arrived, &unknown.lock().unwrap(), &mut findings);
    (findings, arrived)
}

/// Counts the broken invariants.
fn count_broken(
    scenario: &Scenario,
    runs: &[Run],
    arrived: &[Arrived],
    unknown: &BTreeSet<Uuid>,
    findings: &mut Findings,
) {
    let mut broken = [0; INVARIANTS.len()];
    let mut must = |invariant: usize, holds: bool| broken[invariant] += usize::from(!holds);
    let mut ids_of_slot = BTreeMap::<usize, BTreeSet<Uuid>>::new();
    let mut slots_of_id = BTreeMap::<Uuid, &[usize]>::new();
    let mut copies = 0;
    // The service processes the first copy of each message, and recognizes later copies by their
    // id.
    let mut accepted = Vec::new();
    for message in arrived.iter().filter(|message| message.accepted) {
        match slots_of_id.get(&message.message_id) {
            Some(slots) => {
                must(5, *slots == message.slots);
                copies += 1;
            }
            None => {
                for slot in &message.slots {
                    ids_of_slot.entry(*slot).or_default().insert(message.message_id);
                }
                slots_of_id.insert(message.message_id, &message.slots);
                accepted.push(message);
            }
        }
    }
    must(0, scenario.valid.iter().all(|slot| ids_of_slot.contains_key(slot)));
    must(0, ids_of_slot.len() == scenario.valid.len());
    // A message with an unknown outcome may be too large when it is sent again. Its parts are then
    // sent under their own ids.
    let mut parts = Vec::new();
    let mut later = BTreeMap::<usize, &[usize]>::new();
    for message in accepted.into_iter().rev() {
        match message.slots.iter().find_map(|slot| later.get(slot)) {
            Some(again) => {
                findings.split_again += usize::from(*again != message.slots);
                findings.repeated += usize::from(*again == message.slots);
                must(1, unknown.contains(&message.message_id));
            }
            None => parts.push(message),
        }
        later.extend(message.slots.iter().map(|slot| (*slot, &*message.slots)));
    }
    let accepted: Vec<_> = parts.into_iter().rev().collect();
    must(
        4,
        scenario.concurrency > 1 || accepted.iter().flat_map(|message| &message.slots).is_sorted(),
    );
    let repeated: usize = ids_of_slot.values().map(|ids| ids.len() - 1).sum();
    let reported: usize = runs.iter().map(|run| run.report.run().possibly_repeated_slots).sum();
    must(8, repeated <= reported);

    let receipts: Vec<_> = runs.iter().flat_map(|run| run.report.receipts()).collect();
    for receipt in &receipts {
        must(2, slots_of_id.contains_key(&receipt.message_id()));
    }
    let ids: BTreeSet<_> = receipts.iter().map(|receipt| receipt.message_id()).collect();
    must(3, ids.len() == receipts.len());
    for run in runs {
        let later = &arrived[run.arrived..];
        let is_known = |message: &Arrived| {
            run.report.receipts().iter().any(|receipt| receipt.message_id() == message.message_id)
        };
        must(3, !later.iter().any(is_known));
    }

    let number = |text: &Option<String>| text.as_deref().map(|text| text.parse::<usize>().unwrap());
    let mut numbers: Vec<_> =
        accepted.iter().filter_map(|message| number(&message.current)).collect();
    must(6, numbers.len() == accepted.len() || (numbers.is_empty() && accepted.len() == 1));
    must(6, scenario.concurrency > 1 || numbers.is_sorted());
    numbers.sort_unstable();
    must(6, numbers.iter().copied().eq(1..=numbers.len()));
    for message in &accepted {
        let current = number(&message.current);
        let total = number(&message.total);
        must(6, total.is_none_or(|total| Some(total) >= current));
        must(6, scenario.is_stream != total.is_some() || current.is_none());
        let is_last = current == Some(accepted.len()) && scenario.concurrency == 1;
        must(6, !is_last || total.is_none_or(|total| total == accepted.len()));
    }
    let counted: usize = runs.iter().map(|run| run.report.run().accepted_slots).sum();
    // A message is sent again if its acceptance wasn't reported, unless it was the last one of a
    // dropped run.
    must(7, counted == scenario.valid.len());
    let last = &runs[runs.len() - 1].report;
    must(7, last.run().skipped_slots == scenario.slots.len() - scenario.valid.len());
    must(
        7,
        (last.batch().accepted_slots, last.batch().slots)
            == (scenario.valid.len(), Some(scenario.valid.len())),
    );
    must(7, last.batch().accepted_messages == accepted.len() as u64);
    must(9, !runs.iter().any(|run| run.accepted_wrong_resume));
    for receipt in &receipts {
        let slots = receipt.slots();
        let sent = slots_of_id.get(&receipt.message_id()).copied().unwrap_or_default();
        let is_in_range = |number: &&usize| slots.contains(number);
        must(10, scenario.valid.iter().filter(is_in_range).eq(sent));
    }
    must(11, runs.iter().all(Run::was_called_for_each));
    findings.copies = copies;
    findings.broken = broken;
}
