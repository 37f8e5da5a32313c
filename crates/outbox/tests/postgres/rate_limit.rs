//! The rate limit that processes share.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pushslots::chrono::TimeDelta;
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, ClientBuilder, ErrorKind, RateLimiter};
use pushslots_outbox::{PgRateLimiter, PostgresConfig};
use pushslots_test_postgres::PostgresServer;
use tokio::time::Instant;

use crate::database::{Database, message, service, setting, soon};

/// Opens a limit of 20 requests in any second. Each limiter has a connection of its own.
async fn limiter(config: &PostgresConfig) -> RateLimiter {
    PgRateLimiter::open(config, 20, Duration::from_secs(1)).await.unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_processes_together_stay_within_the_limit() {
    let Some(database) = Database::create().await else { return };
    let time = Duration::from_secs(setting("PUSHSLOTS_SECONDS", 4));
    let service = service();
    let senders = Senders::start(&service, &database.pooled_url());
    tokio::time::sleep(time).await;
    senders.stop();
    // Token requests count too.
    let mut times: Vec<_> = service.requests().iter().map(|request| request.at()).collect();
    times.sort();
    let most = times.iter().enumerate().map(|(index, time)| {
        let first = times.partition_point(|other| *other <= *time - TimeDelta::seconds(1));
        index + 1 - first
    });
    let most = most.max().unwrap();
    println!("{} requests of 8 processes in {time:?}, at most {most} in a second", times.len());
    assert!(most <= 20 && times.len() > 40, "{most} of {}", times.len());
}

/// Eight processes that send.
struct Senders(Vec<Child>);

impl Senders {
    fn start(service: &MockService, database_url: &str) -> Self {
        let start = |_| {
            Command::new(std::env::current_exe().unwrap())
                .args(["--ignored", "--exact", "rate_limit::sender", "--test-threads=1"])
                .env("PUSHSLOTS_DATABASE_URL", database_url)
                .env("PUSHSLOTS_BASE_URL", service.url())
                .env("PUSHSLOTS_CLIENT_ID", service.client_id())
                .env("PUSHSLOTS_KEY_ID", service.key_id())
                .env("PUSHSLOTS_PRIVATE_KEY", service.private_key_pem())
                .env("PUSHSLOTS_DESTINATION_IDS", service.destination().to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        };
        Self((0..8).map(start).collect())
    }

    fn stop(mut self) {
        for sender in &mut self.0 {
            drop(sender.stdin.take());
        }
        for sender in &mut self.0 {
            assert!(sender.wait().unwrap().success(), "every send succeeds");
        }
    }
}

impl Drop for Senders {
    fn drop(&mut self) {
        for sender in &mut self.0 {
            let _ = sender.kill();
            let _ = sender.wait();
        }
    }
}

#[tokio::test]
#[ignore = "another test runs it in its own process"]
async fn sender() {
    let limiter = limiter(&PostgresConfig::from_env().unwrap()).await;
    let client = ClientBuilder::from_env().rate_limiter(limiter).build().unwrap();
    // The parent closes the pipe to stop the process.
    let stopped = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    while !stopped.is_finished() {
        client.send(&message()).deadline(Duration::from_secs(60)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_processes_wait_after_a_429() {
    let Some(database) = Database::create().await else { return };
    let service = service();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let limiter = limiter(&database.config()).await;
        clients.push(Client::builder().mock(&service).rate_limiter(limiter).build().unwrap());
    }
    let message = message();
    for client in &clients {
        client.send(&message).await.unwrap();
    }
    service.respond_next(MockResponse::throttled().retry_after(2));
    let error = clients[0].send(&message).max_attempts(1).await.unwrap_err();
    let throttled = Instant::now();
    assert_eq!(error.kind(), ErrorKind::Throttled);
    // The first client stores it after its send has ended.
    let is_stored = "select throttled_until > clock_timestamp() from pushslots.rate_limit";
    soon(async {
        while database.psql(is_stored).trim() != "t" {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    soon(async { clients[1].send(&message).await }).await.unwrap();
    assert!(throttled.elapsed() >= Duration::from_millis(1_900), "{:?}", throttled.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn sends_wait_while_the_database_is_away_and_never_go_out_unlimited() {
    let Some(server) = PostgresServer::start() else { return };
    let name = server.create_database();
    let config = PostgresConfig::new(server.url(&name)).unwrap();
    config.migrate().await.unwrap();
    let service = service();
    let limiter = limiter(&config).await;
    let client = Client::builder().mock(&service).rate_limiter(limiter).build().unwrap();
    let message = message();
    client.send(&message).await.unwrap();

    server.crash();
    let error = client.send(&message).deadline(Duration::from_secs(2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimiter, "{error}");
    assert!(error.to_string().contains("database"), "{error}");
    assert_eq!(service.received().len(), 1);

    let waiting = {
        let (client, message) = (client.clone(), message.clone());
        tokio::spawn(async move { client.send(&message).deadline(Duration::from_secs(60)).await })
    };
    server.start_again();
    soon(waiting).await.unwrap().unwrap();
    assert_eq!(service.received().len(), 2);
}

#[tokio::test]
async fn rate_is_checked() {
    let config = PostgresConfig::new("postgresql://localhost/none").unwrap();
    for (requests, seconds) in [(1, 1), (10, 0), (10, 86_401)] {
        let window = Duration::from_secs(seconds);
        let error = PgRateLimiter::open(&config, requests, window).await.unwrap_err();
        assert!(error.to_string().contains("at least 2 requests"), "{error}");
    }
}
