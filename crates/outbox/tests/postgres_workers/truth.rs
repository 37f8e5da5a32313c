//! Compares the entries with the messages that arrived.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use pushslots::Delivery;
use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use pushslots_outbox::{EntryAttempt, EntryState, Outbox, PostgresConfig};
use pushslots_test_postgres::PostgresServer;

use super::vendor::Promised;
use super::worker::MAX_ATTEMPTS;

/// The time that no attempt of a running process takes.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(10);

/// The differences between what was promised and what arrived.
#[derive(Debug, Default)]
pub struct Comparison {
    committed: usize,
    arrived: usize,
    lost: usize,
    of_rolled_back: usize,
    out_of_order: usize,
    overlapping: usize,
    after_acceptance: usize,
    repeated: usize,
    unexplained: usize,
}

impl Comparison {
    pub fn is_clean(&self) -> bool {
        let Self { lost, of_rolled_back, out_of_order, overlapping, .. } = self;
        let Self { after_acceptance, unexplained, .. } = self;
        self.committed > 0
            && [lost, of_rolled_back, out_of_order, overlapping, after_acceptance, unexplained]
                .into_iter()
                .all(|count| *count == 0)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { committed, arrived, lost, of_rolled_back, out_of_order, .. } = self;
        let Self { overlapping, after_acceptance, repeated, unexplained, .. } = self;
        write!(
            f,
            "{committed} messages committed, {arrived} arrived, {lost} lost, {of_rolled_back} of \
             transactions that were rolled back, {out_of_order} out of order in a lane, \
             {overlapping} overlapping leases, {after_acceptance} sent after a known acceptance, \
             {repeated} arrived more than once, {unexplained} of them unexplained"
        )
    }
}

/// Lets the database keep the time at which it first knew of each acceptance.
pub fn record_acceptances(server: &PostgresServer, database: &str) {
    server.psql(
        database,
        "create table public.acceptance (message_id uuid primary key, at timestamptz not null);
         create function public.record_acceptance() returns trigger language plpgsql as $$
         begin
             insert into public.acceptance values (new.message_id, clock_timestamp())
             on conflict do nothing;
             return new;
         end $$;
         create trigger acceptance after insert on pushslots.final_id
         for each row execute function public.record_acceptance();",
    );
}

fn recorded_acceptances(server: &PostgresServer, database: &str) -> HashMap<Uuid, DateTime<Utc>> {
    let sql =
        "select message_id, (extract(epoch from at) * 1000000)::bigint from public.acceptance";
    let rows = server.psql(database, sql);
    let row = |line: &str| {
        let (id, at) = line.split_once('|').unwrap();
        let at = DateTime::from_timestamp_micros(at.parse().unwrap()).unwrap();
        (id.parse().unwrap(), at)
    };
    rows.lines().map(row).collect()
}

/// Waits until no entry waits or is being sent.
pub async fn drained(server: &PostgresServer, database: &str) {
    let start = tokio::time::Instant::now();
    while server.psql(database, "select count(*) from pushslots.entry").trim() != "0" {
        assert!(start.elapsed() < Duration::from_secs(900), "the entries are sent in time");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

pub async fn compare(
    server: &PostgresServer,
    database: &str,
    service: &MockService,
    promised: &Promised,
) -> Comparison {
    let mut arrivals = HashMap::<Uuid, Vec<(usize, DateTime<Utc>)>>::new();
    for message in service.received() {
        let id = message.message_id().unwrap();
        arrivals.entry(id).or_default().push((message.number(), message.at()));
    }
    let lost = promised.committed.iter().filter(|id| !arrivals.contains_key(id)).count();
    let of_rolled_back = promised.rolled_back.iter().filter(|id| arrivals.contains_key(id)).count();
    let mut result = Comparison {
        committed: promised.committed.len(),
        arrived: arrivals.len(),
        lost,
        of_rolled_back,
        ..Comparison::default()
    };

    let config = PostgresConfig::new(server.url(database)).unwrap();
    let outbox = Outbox::builder().postgres(&config).await.unwrap();
    let recorded = recorded_acceptances(server, database);
    // In the order of the lane, which is that of the commits.
    let mut last_of_lane = HashMap::<String, usize>::new();
    let mut attempts_of_lane = HashMap::<String, Vec<(DateTime<Utc>, DateTime<Utc>)>>::new();
    let mut page = outbox.entries().page(1_000).await.unwrap();
    loop {
        for entry in &page.entries {
            assert_eq!(entry.state(), EntryState::Accepted, "{entry:?}");
            let arrivals = &arrivals[&entry.message_id()];
            let last = last_of_lane.entry(entry.lane().to_owned()).or_default();
            result.out_of_order += usize::from(arrivals[0].0 < *last);
            *last = arrivals[0].0;

            let details = outbox.entry(entry.message_id()).await.unwrap().unwrap();
            let mut unknown = 0;
            for attempt in details.attempts() {
                let EntryAttempt::Sent(attempt) = attempt else {
                    unknown += MAX_ATTEMPTS as usize;
                    continue;
                };
                unknown += usize::from(attempt.delivery == Delivery::Unknown);
                let end = attempt.started + TimeDelta::from_std(attempt.elapsed).unwrap();
                // A process that was stopped meanwhile no longer has its lease.
                if attempt.elapsed < LONGEST_ATTEMPT {
                    let intervals = attempts_of_lane.entry(entry.lane().to_owned()).or_default();
                    intervals.push((attempt.started, end));
                }
            }
            let recorded = recorded[&entry.message_id()];
            result.after_acceptance += arrivals.iter().filter(|(_, at)| *at > recorded).count();
            result.repeated += usize::from(arrivals.len() > 1);
            if arrivals.len() > unknown + 1 {
                result.unexplained += 1;
                let times: Vec<_> = arrivals.iter().map(|(_, at)| at.to_rfc3339()).collect();
                println!("unexplained: arrived at {times:?}, known at {recorded}");
                for attempt in details.attempts() {
                    match attempt {
                        EntryAttempt::Sent(sent) => println!(
                            "  sent {} for {:?}: {}",
                            sent.started, sent.elapsed, sent.delivery
                        ),
                        lost => println!("  {lost:?}"),
                    }
                }
            }
        }
        let Some(next) = page.next else { break };
        page = outbox.entries().start_at(next).page(1_000).await.unwrap();
    }
    for intervals in attempts_of_lane.values_mut() {
        intervals.sort();
        result.overlapping += intervals.windows(2).filter(|pair| pair[1].0 < pair[0].1).count();
    }
    result
}
