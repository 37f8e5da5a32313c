//! Compares the outbox with graphile-worker, a queue for Node.js, in the same database.
//!
//! ```text
//! cargo bench -p pushslots-outbox --features postgres --bench postgres -- compare
//! ```
//!
//! Needs npm and Node.js, of which graphile-worker supports 22.18 or later. `npm ci` installs the
//! packages in `package-lock.json` below the target directory. Both sides work in turn. Each line
//! is the median ratio, ours to theirs, and then both speeds. Above 1, the outbox is faster.
//!
//! * `enqueue_vs_graphile`: both sides encode a message and add it in a transaction of its own, to
//!   one of 1,000 lanes. A lane of graphile-worker is a queue with a name. Each job notifies the
//!   workers, and PostgreSQL commits transactions with a notification one after the other.
//! * `drain_vs_graphile_queues`: four worker processes send to the same mock with up to 32 requests
//!   each. Both sides send the messages of a lane one after the other. Only the outbox records each
//!   attempt before it sends.
//! * `drain_vs_graphile_unordered`: the same, but the jobs of graphile-worker have no queue. This
//!   is its fastest mode, and it sends in any order. The outbox still sends in order.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use pushslots::Client;
use tokio_postgres::Client as Database;

use super::{CONCURRENCY, CONNECTIONS, LANES, RUNS, Stage, Workers, median, message, statements};

/// The number of worker processes.
const WORKERS: usize = 4;

/// The number of rounds of each drain.
const ROUNDS: usize = 3;

/// The number of jobs that wait at the start of a drain.
const JOBS: usize = 12_000;

/// The numbers of delivered jobs between which the time counts. Processes start before the first, and
/// run out of jobs after the second.
const MEASURED: [usize; 2] = [2_000, 10_000];

const INSTALL_LIMIT: Duration = Duration::from_secs(300);
const DRAIN_LIMIT: Duration = Duration::from_secs(120);

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/postgres");

/// Runs the comparison, and prints its figures.
///
/// # Errors
/// Returns the reason if graphile-worker can't be installed, or a side is too slow or fails.
pub async fn run(stage: &Stage) -> Result<(), String> {
    let graphile = Graphile::install(stage)?;
    enqueue(stage).await;
    graphile.clear();

    let (mut ours, mut queues, mut unordered) = (Vec::new(), Vec::new(), Vec::new());
    let named = format!("'lane ' || n % {LANES}");
    for _ in 0..ROUNDS {
        stage.fill(JOBS);
        ours.push(drain(stage, || stage.start_workers(WORKERS), "pushslots.entry")?);
        stage.clear();
        queues.push(graphile.drain(&named)?);
        unordered.push(graphile.drain("null")?);
    }
    let unit = format!("messages a second with {WORKERS} workers");
    print("drain_vs_graphile_queues", ours.clone(), queues, &unit);
    print("drain_vs_graphile_unordered", ours, unordered, &unit);
    Ok(())
}

/// Prints the median ratio of two lists of figures, which were measured in turn, and their medians.
fn print(name: &str, ours: Vec<f64>, theirs: Vec<f64>, unit: &str) {
    let ratios = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
    println!("{name}: {:.2}, {:.0} and {:.0} {unit}", median(ratios), median(ours), median(theirs));
}

/// Compares adding messages.
async fn enqueue(stage: &Stage) {
    let (message, client) = (message(), client(stage));
    let call = |number: usize| {
        let lane = format!("lane {}", number % LANES);
        stage.outbox.prepare(&message).lane(lane).call().unwrap()
    };
    let add_job = "select id from graphile_worker.add_job('send', $1::text::json, \
                   queue_name => $2::text)";
    let mut databases = Vec::new();
    let (mut our_statements, mut their_statements) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        let database = stage.connect().await;
        our_statements.push(database.prepare(call(0).sql()).await.unwrap());
        their_statements.push(database.prepare(add_job).await.unwrap());
        databases.push(database);
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let enqueue = async |database: &Database, number: usize| {
            let (statement, call) = (&our_statements[number % CONNECTIONS], call(number));
            database.query_one(statement, &[&call.entry(), &call.body()]).await.unwrap();
        };
        ours.push(statements(&databases, enqueue).await);
        let add = async |database: &Database, number: usize| {
            let prepared = client.send(&message).prepare().unwrap();
            let payload = std::str::from_utf8(prepared.body()).unwrap();
            let queue = format!("lane {}", number % LANES);
            let statement = &their_statements[number % CONNECTIONS];
            database.query_one(statement, &[&payload, &queue]).await.unwrap();
        };
        theirs.push(statements(&databases, add).await);
    }
    stage.clear();
    let unit = format!("messages a second with {CONNECTIONS} connections");
    print("enqueue_vs_graphile", ours, theirs, &unit);
}

/// Returns the number of messages a second that arrive at the mock. Waits until all jobs are done,
/// and `table` is empty.
fn drain(
    stage: &Stage,
    start_workers: impl FnOnce() -> Workers,
    table: &str,
) -> Result<f64, String> {
    stage.service.clear_inbox();
    let begin = Instant::now();
    let workers = start_workers();
    let accepted = || stage.service.counts().accepted;
    let wait_for = |messages: usize| {
        while accepted() < messages {
            if begin.elapsed() > DRAIN_LIMIT {
                let accepted = accepted();
                return Err(format!("only {accepted} messages arrived in {DRAIN_LIMIT:?}"));
            }
            sleep(Duration::from_millis(10));
        }
        Ok((accepted() as f64, Instant::now()))
    };
    let (first, start) = wait_for(MEASURED[0])?;
    let (last, end) = wait_for(MEASURED[1])?;
    wait_for(JOBS)?;
    while stage.count(&format!("select count(*) from {table}")) > 0 {
        if begin.elapsed() > DRAIN_LIMIT {
            return Err(format!("jobs were left after {DRAIN_LIMIT:?}"));
        }
        sleep(Duration::from_millis(100));
    }
    drop(workers);
    // A side that sends messages twice would look faster.
    if accepted() != JOBS {
        return Err(format!("{} messages arrived instead of {JOBS}", accepted()));
    }
    Ok((last - first) / (end - start).as_secs_f64())
}

/// A client that encodes the messages for graphile-worker.
fn client(stage: &Stage) -> Client {
    Client::builder().mock(&stage.service).build().unwrap()
}

/// An installed graphile-worker, with tables in the database of the stage.
struct Graphile<'a> {
    stage: &'a Stage,
    folder: PathBuf,
}

impl<'a> Graphile<'a> {
    fn install(stage: &'a Stage) -> Result<Self, String> {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("graphile-worker");
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        for file in ["package.json", "package-lock.json", "worker.mjs"] {
            let copied = fs::copy(format!("{FOLDER}/{file}"), folder.join(file));
            copied.map_err(|error| format!("can't copy {file}: {error}"))?;
        }
        let graphile = Self { stage, folder };
        finish(Command::new("node").arg("--version"))?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]);
        finish(npm.current_dir(&graphile.folder))?;
        finish(graphile.node().arg("migrate"))?;
        Ok(graphile)
    }

    /// Returns the command of a worker.
    fn node(&self) -> Command {
        let (key, secret) = self.stage.service.api_key();
        let mut node = Command::new("node");
        node.arg("worker.mjs")
            .current_dir(&self.folder)
            .env("DATABASE_URL", &self.stage.url)
            .env("SERVICE_URL", self.stage.service.url())
            .env("API_KEY", key)
            .env("API_SECRET", secret)
            .env("CONCURRENCY", CONCURRENCY.to_string())
            .stdin(Stdio::piped());
        node
    }

    /// Returns the number of messages a second. `queue` is the SQL of the name of a job's queue.
    fn drain(&self, queue: &str) -> Result<f64, String> {
        self.fill(queue);
        let start_workers =
            || Workers((0..WORKERS).map(|_| self.node().spawn().unwrap()).collect());
        let rate = drain(self.stage, start_workers, "graphile_worker._private_jobs");
        self.clear();
        rate
    }

    /// Adds copies of one message.
    fn fill(&self, queue: &str) {
        let client = client(self.stage);
        let prepared = client.send(&message()).prepare().unwrap();
        let payload = std::str::from_utf8(prepared.body()).unwrap();
        self.stage.server.psql(
            &self.stage.database,
            &format!(
                "select count(*) from graphile_worker.add_jobs((
                    select array_agg(('send', $json${payload}$json$, {queue}, null, null, null,
                        null, null)::graphile_worker.job_spec order by n)
                    from generate_series(1, {JOBS}) n));
                vacuum analyze graphile_worker._private_jobs;
                vacuum analyze graphile_worker._private_job_queues"
            ),
        );
    }

    fn clear(&self) {
        self.stage.server.psql(
            &self.stage.database,
            "truncate graphile_worker._private_jobs, graphile_worker._private_job_queues",
        );
    }
}

/// Waits for a command that must succeed.
fn finish(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    let argument = command.get_args().next().unwrap_or_default().display().to_string();
    let name = format!("{program} {argument}");
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let child = child.map_err(|error| {
        format!("the comparison needs Node.js and npm, but {program} doesn't start: {error}")
    })?;
    let mut child = Workers(vec![child]);
    let start = Instant::now();
    loop {
        match child.0[0].try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("{name} failed: {status}")),
            Ok(None) if start.elapsed() < INSTALL_LIMIT => sleep(Duration::from_millis(20)),
            Ok(None) => return Err(format!("{name} took longer than {INSTALL_LIMIT:?}")),
            Err(error) => return Err(format!("can't wait for {name}: {error}")),
        }
    }
}
