//! The processes, and the faults that strike them.

use std::fmt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pushslots::mock::MockService;
use pushslots_test_postgres::PostgresServer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::fault_proxy::FaultProxy;

const WORKERS: usize = 4;

/// The time for which a process is stopped, which is longer than a lease.
const STOPPED: Duration = Duration::from_secs(18);

/// The processes, and the faults so far.
pub struct Chaos<'a> {
    service: &'a MockService,
    proxy: &'a FaultProxy,
    database_url: String,
    random: StdRng,
    workers: Vec<Child>,
    /// A stopped process, and the time at which it goes on.
    stopped: Option<(usize, Instant)>,
    strikes: Strikes,
}

/// The numbers of faults.
#[derive(Clone, Copy, Debug, Default)]
pub struct Strikes {
    kills: usize,
    stops: usize,
    terminations: usize,
    crashes: usize,
}

impl fmt::Display for Strikes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills, {} stops beyond a lease, {} terminations of all sessions, {} crashes of the \
             server",
            self.kills, self.stops, self.terminations, self.crashes
        )
    }
}

impl<'a> Chaos<'a> {
    pub fn start(
        service: &'a MockService,
        proxy: &'a FaultProxy,
        database_url: &str,
        seed: u64,
    ) -> Self {
        let mut chaos = Self {
            service,
            proxy,
            database_url: database_url.to_owned(),
            random: StdRng::seed_from_u64(seed),
            workers: Vec::new(),
            stopped: None,
            strikes: Strikes::default(),
        };
        for _ in 0..WORKERS {
            let worker = chaos.spawn();
            chaos.workers.push(worker);
        }
        chaos
    }

    fn spawn(&mut self) -> Child {
        let offset = [-600, 0, 600][self.random.gen_range(0..3)];
        Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "worker::worker", "--nocapture", "--test-threads=1"])
            .env("PUSHSLOTS_DATABASE_URL", &self.database_url)
            .env("PUSHSLOTS_CLOCK_OFFSET", i64::to_string(&offset))
            .env("PUSHSLOTS_BASE_URL", self.proxy.url())
            .env("PUSHSLOTS_CLIENT_ID", self.service.client_id())
            .env("PUSHSLOTS_KEY_ID", self.service.key_id())
            .env("PUSHSLOTS_PRIVATE_KEY", self.service.private_key_pem())
            .env("PUSHSLOTS_DESTINATION_IDS", self.service.destination().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Lets one fault strike.
    pub fn strike(&mut self, server: &PostgresServer, database: &str) {
        self.go_on(false);
        let victim = self.random.gen_range(0..WORKERS);
        match self.random.gen_range(0..20) {
            0..6 if self.stopped.is_none_or(|(stopped, _)| stopped != victim) => {
                self.workers[victim].kill().unwrap();
                self.workers[victim].wait().unwrap();
                self.workers[victim] = self.spawn();
                self.strikes.kills += 1;
            }
            6..8 if self.stopped.is_none() => {
                signal(&self.workers[victim], "STOP");
                self.stopped = Some((victim, Instant::now() + STOPPED));
                self.strikes.stops += 1;
            }
            8..11 => {
                server.psql(
                    database,
                    "select pg_terminate_backend(pid) from pg_stat_activity \
                     where datname = current_database() and pid <> pg_backend_pid()",
                );
                self.strikes.terminations += 1;
            }
            11 => {
                server.restart_immediately(Duration::from_millis(300));
                self.strikes.crashes += 1;
            }
            _ => {}
        }
    }

    /// Lets a stopped process go on if its time is over.
    fn go_on(&mut self, at_once: bool) {
        if let Some((victim, until)) = self.stopped
            && (at_once || until <= Instant::now())
        {
            signal(&self.workers[victim], "CONT");
            self.stopped = None;
        }
    }

    /// Ends the faults, and returns their numbers.
    pub fn end(&mut self) -> Strikes {
        if let Some((_, until)) = self.stopped {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        self.go_on(true);
        self.proxy.calm_down();
        self.strikes
    }

    pub fn stop_workers(&mut self) {
        for worker in &mut self.workers {
            drop(worker.stdin.take());
        }
        for worker in &mut self.workers {
            worker.wait().unwrap();
        }
    }
}

impl Drop for Chaos<'_> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.kill();
            let _ = worker.wait();
        }
    }
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.unwrap().success());
}
