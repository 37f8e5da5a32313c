//! Runs one seed of the send simulation, and checks the invariants. Each seed has a client, ten
//! sends, and a service with a fault schedule.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use pushslots::uuid::Uuid;
use pushslots::{
    Attempt, Client, Credentials, Delivery, EncodedMessage, Error, NextStep, OnUnknown,
    RateLimiter, Receipt,
};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::fault_schedule::{FaultSchedule, LENGTH};
use super::model::{Call, Model, client_of};
use super::permits::{OddLimiter, Permits};
use super::{key, message};

/// The number of messages that a simulation sends.
pub const SENDS: usize = 10;

/// The invariants, in the order of [`Findings::broken`].
pub const INVARIANTS: [&str; 10] = [
    "receipt says accepted, but the service did not accept",
    "sends on the wire without a matching attempt record",
    "sends repeated after a known acceptance",
    "reported as rejected or not sent, although the service had accepted",
    "duplicates not explained by an unknown attempt with the same message id",
    "attempts in a receipt or error that differ from those observed",
    "attempts beyond max_attempts, the retry budget or on_unknown(Stop)",
    "sends that outlived their deadline, or waited less than Retry-After",
    "sends of other bytes than the message's",
    "requests without a permit, or permits not released exactly once",
];

/// The results of one or more seeds.
#[derive(Clone, Default)]
pub struct Findings {
    pub sends: usize,
    pub receipts: usize,
    pub errors: usize,
    pub dropped: usize,
    pub requests: usize,
    pub accepted: usize,
    pub duplicates: usize,
    pub retries: usize,
    pub broken: [usize; INVARIANTS.len()],
}

impl Findings {
    pub fn add(&mut self, other: &Self) {
        self.sends += other.sends;
        self.receipts += other.receipts;
        self.errors += other.errors;
        self.dropped += other.dropped;
        self.requests += other.requests;
        self.accepted += other.accepted;
        self.duplicates += other.duplicates;
        self.retries += other.retries;
        for (sum, more) in self.broken.iter_mut().zip(other.broken) {
            *sum += more;
        }
    }
}

/// The parameters that a seed determines.
struct Scenario {
    max_attempts: u32,
    attempt_timeout: Duration,
    deadline: Duration,
    retry_budget: Option<u32>,
    on_unknown: OnUnknown,
    /// The requests per window, or `None` if they aren't limited.
    rate_limit: Option<(u32, Duration)>,
    /// Whether the rate limiter is external.
    has_permit_source: bool,
    credentials: Credentials,
    fault_schedule: FaultSchedule,
    /// The start of each send, and the time after which its caller drops it, if any.
    sends: Vec<(Duration, Option<Duration>)>,
}

impl Scenario {
    fn sample(rng: &mut StdRng) -> Self {
        let one_of = |rng: &mut StdRng, seconds: [u64; 3]| {
            Duration::from_secs(seconds[rng.gen_range(0..seconds.len())])
        };
        let retry_budget = [Some(500), Some(500), Some(30), Some(0), None];
        let mut begin = Duration::ZERO;
        Self {
            max_attempts: rng.gen_range(1..=6),
            attempt_timeout: one_of(rng, [1, 5, 30]),
            deadline: one_of(rng, [3, 30, 120]),
            retry_budget: retry_budget[rng.gen_range(0..retry_budget.len())],
            on_unknown: if rng.gen_bool(0.2) { OnUnknown::Stop } else { OnUnknown::Retry },
            rate_limit: match rng.gen_range(0..4) {
                0 => None,
                1 => Some((rng.gen_range(2..10), Duration::from_secs(rng.gen_range(1..100)))),
                _ => Some((7_500, Duration::from_secs(300))),
            },
            has_permit_source: rng.gen_bool(0.15),
            // Few seeds sign assertions, because signing takes far longer than everything else.
            credentials: match rng.gen_range(0..50) {
                0 => Credentials::signed_jwt("client-id", key()),
                _ => Credentials::api_key("key", "secret"),
            },
            fault_schedule: FaultSchedule::sample(rng),
            sends: (0..SENDS)
                .map(|_| {
                    if rng.gen_bool(0.6) {
                        begin += Duration::from_millis(rng.gen_range(0..60_000));
                    }
                    let drop_after = Duration::from_millis(rng.gen_range(1..20_000));
                    (begin, rng.gen_bool(0.15).then_some(drop_after))
                })
                .collect(),
        }
    }

    fn client(
        &self,
        seed: u64,
        model: Arc<Model>,
        observed: &Arc<Mutex<Vec<Attempt>>>,
        permits: &Arc<Mutex<Permits>>,
    ) -> Client {
        let observed = observed.clone();
        let builder = client_of(&model)
            .credentials(self.credentials.clone())
            .max_attempts(self.max_attempts)
            .attempt_timeout(self.attempt_timeout)
            .deadline(self.deadline)
            .on_unknown(self.on_unknown)
            .jitter_seed(seed)
            .attempt_observer(move |attempt: &Attempt| {
                observed.lock().unwrap().push(attempt.clone())
            });
        let builder = match self.retry_budget {
            Some(size) => builder.retry_budget(size),
            None => builder.without_retry_budget(),
        };
        let builder = match self.rate_limit {
            _ if self.has_permit_source => {
                builder.rate_limiter(RateLimiter::from_source(OddLimiter::new(seed, permits)))
            }
            Some((requests, window)) => builder.rate_limit(requests, window),
            None => builder.without_rate_limit(),
        };
        builder.build().unwrap()
    }
}

/// The result of one send.
struct Sent {
    message_id: Uuid,
    took: Duration,
    /// `None` if the send was dropped.
    result: Option<Result<Receipt, Error>>,
}

/// Runs a seed. Returns the findings, and every attempt that the observer received.
pub fn run(seed: u64) -> (Findings, Vec<Attempt>) {
    let mut rng = StdRng::seed_from_u64(seed);
    let scenario = Scenario::sample(&mut rng);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let observed = Arc::default();
    let permits = Arc::default();
    let (sent, calls, token_requests) = runtime.unwrap().block_on(async {
        let fault_schedule = scenario.fault_schedule.clone();
        let tokens = scenario.fault_schedule.clone();
        let model = Model::new(
            rng.r#gen(),
            move |rng, at| fault_schedule.outcome(rng, at),
            move |rng, at| tokens.token_outcome(rng, at),
        );
        let client = scenario.client(seed, model.clone(), &observed, &permits);
        let mut sends = JoinSet::new();
        for (number, (begin, drop_after)) in scenario.sends.iter().copied().enumerate() {
            sends.spawn(send(client.clone(), number, begin, drop_after));
        }
        (sends.join_all().await, model.calls(), model.token_requests())
    });
    // The client has been dropped, with any token request that no send waits for.
    let Permits { given, unused, used } = *permits.lock().unwrap();
    let sent_requests = calls.iter().filter(|call| call.has_left).count() + token_requests;
    let observed = std::mem::take(&mut *observed.lock().unwrap());
    let mut findings = Findings { sends: sent.len(), requests: calls.len(), ..Findings::default() };
    let mut broken = [0; INVARIANTS.len()];
    for sent in &sent {
        let own = |id| id == sent.message_id;
        let attempts: Vec<_> = observed.iter().filter(|attempt| own(attempt.message_id)).collect();
        let calls: Vec<_> = calls.iter().filter(|call| own(call.message_id)).collect();
        count_broken(&scenario, sent, &attempts, &calls, &mut broken);
        let copies = calls.iter().filter(|call| call.accepted).count();
        findings.accepted += copies.min(1);
        findings.duplicates += copies.saturating_sub(1);
        findings.retries += calls.len().saturating_sub(1);
        match sent.result {
            Some(Ok(_)) => findings.receipts += 1,
            Some(Err(_)) => findings.errors += 1,
            None => findings.dropped += 1,
        }
    }
    broken[6] += usize::from(!is_within_budget(&scenario, &observed));
    let has_permits = !scenario.has_permit_source || sent_requests <= used;
    broken[9] += usize::from(given != unused + used || !has_permits);
    findings.broken = broken;
    (findings, observed)
}

async fn send(
    client: Client,
    number: usize,
    begin: Duration,
    drop_after: Option<Duration>,
) -> Sent {
    static MESSAGE: LazyLock<EncodedMessage> = LazyLock::new(|| message().encode().unwrap());
    sleep(begin).await;
    let began = Instant::now();
    let message_id = Uuid::from_u128(1 + number as u128);
    let send = client.send(&*MESSAGE).message_id(message_id).into_future();
    let result = timeout(drop_after.unwrap_or(LENGTH), send).await.ok();
    Sent { message_id, took: began.elapsed(), result }
}

/// Counts the invariants that one send broke.
fn count_broken(
    scenario: &Scenario,
    sent: &Sent,
    attempts: &[&Attempt],
    calls: &[&Call],
    broken: &mut [usize; INVARIANTS.len()],
) {
    let mut must = |invariant: usize, holds: bool| broken[invariant] += usize::from(!holds);
    let copies = calls.iter().filter(|call| call.accepted).count();
    let with_request: Vec<_> =
        attempts.iter().filter(|attempt| attempt.token_age.is_some()).collect();
    let unknown = attempts.iter().filter(|attempt| attempt.delivery == Delivery::Unknown).count();

    must(0, !matches!(sent.result, Some(Ok(_))) || copies > 0);
    must(1, with_request.len() == calls.len());
    for (attempt, call) in with_request.iter().zip(calls) {
        let status = call.responded.map(|(status, _)| status);
        let is_same_status =
            attempt.status.map(u16::from) == status || attempt.next_step == NextStep::Dropped;
        must(1, is_same_status && (attempt.delivery != Delivery::NotSent || !call.has_left));
        must(0, attempt.delivery != Delivery::Accepted || call.accepted);
        must(
            3,
            !call.accepted || matches!(attempt.delivery, Delivery::Accepted | Delivery::Unknown),
        );
    }
    // A message with log ids and errors isn't sent again either, because its log ids lead to the
    // details of the errors.
    let known = calls.iter().position(|call| call.is_plainly_accepted || call.has_logs_and_errors);
    must(2, known.is_none_or(|known| known + 1 == calls.len()));
    must(
        2,
        calls.iter().zip(&with_request).all(|(call, attempt)| {
            !call.is_plainly_accepted
                || matches!(attempt.next_step, NextStep::Done | NextStep::Dropped)
        }),
    );
    if let Some(Err(error)) = &sent.result {
        let is_certain = matches!(error.delivery(), Delivery::Rejected | Delivery::NotSent);
        must(3, !is_certain || copies == 0);
    }
    must(4, copies <= 1 + unknown);

    let reported = sent.result.as_ref().map(|result| match result {
        Ok(receipt) => receipt.attempts(),
        Err(error) => error.attempts(),
    });
    must(5, reported.is_none_or(|reported| reported.iter().eq(attempts.iter().copied())));
    let numbers = attempts.iter().map(|attempt| attempt.number);
    must(5, numbers.eq(1..=attempts.len() as u32));
    must(6, attempts.len() <= scenario.max_attempts as usize);
    let stops = attempts.split_last().is_none_or(|(_, before)| {
        scenario.on_unknown == OnUnknown::Retry
            || before.iter().all(|attempt| attempt.delivery != Delivery::Unknown)
    });
    must(6, stops);

    // Allows for a transport that ignores its timeout, and for timers with a resolution of 1 ms.
    must(7, sent.took <= scenario.deadline + Duration::from_millis(60));
    for (pair, attempts) in calls.windows(2).zip(with_request.windows(2)) {
        let waited = pair[0].responded.map(|(_, responded)| pair[1].began - responded);
        let retry_after =
            attempts[0].retry_after.filter(|_| attempts[0].next_step == NextStep::RetryAfter);
        must(7, waited.is_none_or(|waited| waited >= retry_after.unwrap_or_default()));
    }
    must(8, calls.windows(2).all(|pair| pair[0].body == pair[1].body));
}

/// Returns whether the retries cost at most what the budget held and regained.
///
/// Ignores the cost of a new token, because it depends on whether the previous token was ever
/// valid.
fn is_within_budget(scenario: &Scenario, attempts: &[Attempt]) -> bool {
    let mut spent = 0;
    let mut earned = 0;
    let mut last_costs = HashMap::new();
    for attempt in attempts {
        if attempt.delivery == Delivery::Accepted {
            earned += last_costs.remove(&attempt.message_id).unwrap_or(1);
        }
        let error = attempt.error.as_deref().unwrap_or_default();
        let cost = match (attempt.next_step, attempt.status.map(u16::from)) {
            (NextStep::Backoff | NextStep::RetryAfter, Some(429)) => 5,
            // The connection was closed while idle.
            (NextStep::Backoff, None)
                if error.contains("closed before the service took the request") =>
            {
                0
            }
            (NextStep::Backoff | NextStep::RetryAfter, _) => 14,
            _ => 0,
        };
        if attempt.delay.is_some() {
            last_costs.insert(attempt.message_id, cost);
        }
        spent += cost;
    }
    scenario.retry_budget.is_none_or(|size| spent <= size + earned)
}
