//! The speed of an outbox on PostgreSQL, as ratios of medians in one run, against a real server with
//! its default durability.
//!
//! ```text
//! cargo bench -p pushslots-outbox --features postgres --bench postgres
//! ```
//!
//! The rate limit is lifted, and the messages are in 1,000 lanes. Workers are processes of their own.
//! Words after `--` select figures: `enqueue`, `workers`, `waiting`, `stats`. The word `compare`
//! compares the outbox with graphile-worker, as `postgres/compare.rs` describes.

#[path = "postgres/compare.rs"]
mod compare;

use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pushslots::chrono::{TimeDelta, Utc};
use pushslots::mock::MockService;
use pushslots::uuid::Uuid;
use pushslots::{ClientBuilder, Provider, PushSlots, Slot};
use pushslots_outbox::{Outbox, PostgresConfig};
use pushslots_test_postgres::PostgresServer;
use tokio_postgres::{Client, NoTls};

const LANES: usize = 1_000;

/// The number of connections that enqueue.
const CONNECTIONS: usize = 16;

/// The number of runs, of which the median counts.
const RUNS: usize = 5;

/// The number of messages in flight of a worker.
const CONCURRENCY: usize = 32;

const WAITING: usize = 1_000_000;

/// A server with a database, and a service.
struct Stage {
    server: PostgresServer,
    database: String,
    url: String,
    outbox: Outbox,
    service: MockService,
}

impl Stage {
    async fn new() -> Self {
        let server = PostgresServer::start_with(&[("max_connections", "500")]);
        let server = server.expect("PostgreSQL is installed");
        let database = server.create_database();
        let url = server.url(&database);
        let config = PostgresConfig::new(&url).unwrap();
        config.migrate().await.unwrap();
        let service = MockService::builder().without_rate_limit().start().unwrap();
        let builder = Outbox::builder().destination(service.destination());
        let outbox = builder.postgres(&config).await.unwrap();
        Self { server, database, url, outbox, service }
    }

    async fn connect(&self) -> Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Adds copies of one message to all lanes.
    fn fill(&self, entries: usize) {
        let call = self.outbox.prepare(&message()).call().unwrap();
        let body: String = call.body().iter().map(|byte| format!("{byte:02x}")).collect();
        let lanes = LANES;
        self.server.psql(
            &self.database,
            &format!(
                r"begin;
                insert into pushslots.entry (message_id, lane, position, digest, slots, on_dead,
                    enqueued, state, due, changed)
                select gen_random_uuid(), 'lane ' || n % {lanes}, currval('pushslots.entry_number'),
                    sha256('\x00'), 1, 'continue', now(), 'waiting', now(), now()
                from (select n, nextval('pushslots.entry_number') from generate_series(1, {entries}) n)
                    x(n, number);
                insert into pushslots.body
                select number, '\x{body}' from pushslots.entry on conflict do nothing;
                insert into pushslots.lane (name, due)
                select distinct lane, now() from pushslots.entry on conflict do nothing;
                commit;
                vacuum analyze pushslots.entry; vacuum analyze pushslots.body;
                vacuum analyze pushslots.lane"
            ),
        );
    }

    fn count(&self, sql: &str) -> usize {
        self.server.psql(&self.database, sql).trim().parse().unwrap()
    }

    fn accepted(&self) -> usize {
        self.count("select coalesce(sum(count), 0) from pushslots.tally where state = 'accepted'")
    }

    fn start_workers(&self, workers: usize) -> Workers {
        let start = |_| {
            Command::new(std::env::current_exe().unwrap())
                .env("PUSHSLOTS_BENCH_WORKER", "1")
                .env("PUSHSLOTS_DATABASE_URL", &self.url)
                .env("PUSHSLOTS_BASE_URL", self.service.url())
                .env("PUSHSLOTS_CLIENT_ID", self.service.client_id())
                .env("PUSHSLOTS_KEY_ID", self.service.key_id())
                .env("PUSHSLOTS_PRIVATE_KEY", self.service.private_key_pem())
                .stdin(Stdio::piped())
                .spawn()
                .unwrap()
        };
        Workers((0..workers).map(start).collect())
    }

    /// Returns the number of messages a second that workers deliver after the first `warm_up`.
    fn drain(&self, workers: usize, warm_up: usize, messages: usize) -> f64 {
        let workers = self.start_workers(workers);
        let before = self.accepted();
        // The processes start meanwhile.
        let (mut first, mut start) = (before, Instant::now());
        while first < before + warm_up {
            std::thread::sleep(Duration::from_millis(50));
            (first, start) = (self.accepted(), Instant::now());
        }
        let (mut last, mut end) = (first, start);
        while last < before + warm_up + messages {
            std::thread::sleep(Duration::from_millis(100));
            (last, end) = (self.accepted(), Instant::now());
        }
        drop(workers);
        (last - first) as f64 / (end - start).as_secs_f64()
    }

    fn clear(&self) {
        self.server.psql(
            &self.database,
            "truncate pushslots.entry, pushslots.body, pushslots.lane, pushslots.settled,
             pushslots.final_id, pushslots.attempt, pushslots.tally",
        );
    }
}

/// Worker processes, which end when they are dropped.
struct Workers(Vec<Child>);

impl Drop for Workers {
    fn drop(&mut self) {
        for worker in &mut self.0 {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

async fn work() {
    let config = PostgresConfig::from_env().unwrap();
    let outbox = Outbox::builder().postgres(&config).await.unwrap();
    let client = ClientBuilder::from_env().without_rate_limit().build().unwrap();
    let _worker = outbox.worker(&client).concurrency(CONCURRENCY).start().unwrap();
    // The parent ends the process.
    std::future::pending::<()>().await;
}

fn message() -> PushSlots {
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite");
    let start = Utc::now() + TimeDelta::days(1);
    let slots = (0..20).map(|number| {
        Slot::new(start + TimeDelta::minutes(15 * number), 15).provider(provider.clone())
    });
    PushSlots::builder().slots(slots).build().unwrap()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Runs a statement for two seconds on many connections. Returns the number of runs a second.
async fn statements(clients: &[Client], run: impl AsyncFn(&Client, usize) + Clone) -> f64 {
    let start = Instant::now();
    let loops = clients.iter().enumerate().map(|(index, client)| {
        let run = run.clone();
        async move {
            let mut count = 0_usize;
            while start.elapsed() < Duration::from_secs(2) {
                run(client, index + count * CONNECTIONS).await;
                count += 1;
            }
            count
        }
    });
    let count: usize = join_all(loops).await.into_iter().sum();
    count as f64 / start.elapsed().as_secs_f64()
}

/// Compares enqueueing with a plain insertion of the same values.
async fn enqueue(stage: &Stage) {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(stage.connect().await);
    }
    clients[0]
        .batch_execute(
            "create table plain (message_id uuid primary key, entry text not null, \
             body bytea not null); alter table plain alter column body set storage external",
        )
        .await
        .unwrap();
    let call = stage.outbox.prepare(&message()).call().unwrap();
    let (id, body) = (call.message_id().to_string(), call.body());
    let lane = stage.service.destination().to_string();
    let entry_of = |number: usize| {
        let entry = call.entry().replace(&id, &Uuid::new_v4().to_string());
        entry.replace(&lane, &format!("lane {}", number % LANES))
    };
    let mut ratios = Vec::new();
    let mut rates = Vec::new();
    let mut enqueueing = Vec::new();
    let mut inserting = Vec::new();
    for client in &clients {
        enqueueing.push(client.prepare("select pushslots.enqueue($1, $2)").await.unwrap());
        let insert = "insert into plain values (gen_random_uuid(), $1, $2)";
        inserting.push(client.prepare(insert).await.unwrap());
    }
    for _ in 0..RUNS {
        let enqueued = statements(&clients, async |client: &Client, number| {
            let statement = &enqueueing[number % CONNECTIONS];
            client.query_one(statement, &[&entry_of(number), &body]).await.unwrap();
        })
        .await;
        let inserted = statements(&clients, async |client: &Client, number| {
            let statement = &inserting[number % CONNECTIONS];
            client.execute(statement, &[&entry_of(number), &body]).await.unwrap();
        })
        .await;
        ratios.push(enqueued / inserted);
        rates.push(enqueued);
    }
    stage.clear();
    println!(
        "enqueue_vs_insert: {:.2}, {:.0} a second with {CONNECTIONS} connections",
        median(ratios),
        median(rates)
    );
}

/// Prints the speed of several numbers of workers.
fn workers(stage: &Stage) {
    let mut best = 0_f64;
    for workers in [1, 4, 16, 64] {
        let rates = (0..3).map(|_| {
            let warm_up = 400 * workers;
            stage.fill(warm_up + 12_000);
            let rate = stage.drain(workers, warm_up, 10_000);
            stage.clear();
            rate
        });
        let rate = median(rates.collect());
        println!(
            "drain_{workers}: {rate:.0} messages a second, {:.2} of the best with fewer workers",
            if best > 0.0 { rate / best } else { 1.0 }
        );
        best = best.max(rate);
    }
}

/// Compares the speed with and without a million waiting entries.
fn waiting(stage: &Stage) {
    let mut ratios = Vec::new();
    for _ in 0..3 {
        stage.fill(12_000);
        let without = stage.drain(4, 2_000, 8_000);
        stage.clear();
        stage.fill(WAITING);
        let with = stage.drain(4, 2_000, 8_000);
        stage.clear();
        println!("  {without:.0} messages a second, {with:.0} with {WAITING} entries that wait");
        ratios.push(with / without);
    }
    println!("drain_vs_waiting: {:.2}", median(ratios));
}

/// Prints the time of `stats` with a million waiting entries.
async fn stats(stage: &Stage) {
    stage.fill(WAITING);
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        assert_eq!(stage.outbox.stats().await.unwrap().waiting, WAITING as u64);
        times.push(start.elapsed().as_secs_f64());
    }
    stage.clear();
    println!("stats: {:.0} ms with {WAITING} entries that wait", median(times) * 1e3);
}

#[tokio::main]
async fn main() -> ExitCode {
    if std::env::var_os("PUSHSLOTS_BENCH_WORKER").is_some() {
        work().await;
        return ExitCode::SUCCESS;
    }
    let selected: Vec<_> =
        std::env::args().skip(1).filter(|name| !name.starts_with("--")).collect();
    let is_selected = |name: &str| selected.is_empty() || selected.iter().any(|one| one == name);
    let stage = Stage::new().await;
    if is_selected("enqueue") {
        enqueue(&stage).await;
    }
    if is_selected("workers") {
        workers(&stage);
    }
    if is_selected("waiting") {
        waiting(&stage);
    }
    if is_selected("stats") {
        stats(&stage).await;
    }
    // It needs Node.js and a package registry, so it runs only if it is selected.
    if selected.iter().any(|name| name == "compare")
        && let Err(reason) = compare::run(&stage).await
    {
        eprintln!("compare: {reason}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
