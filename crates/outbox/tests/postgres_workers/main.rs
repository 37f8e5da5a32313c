//! Worker processes, a pooler, a database and a network that all fail, while a vendor's transactions
//! enqueue. The mock keeps the truth: what was committed arrives once, in the order of the lane, and
//! a copy belongs to an attempt that the entry records as unknown.
//!
//! `PUSHSLOTS_MESSAGES` is the number of messages, and `PUSHSLOTS_SEED` the seed of the faults.
#![cfg(all(feature = "postgres", unix))]

mod chaos;
mod fault_proxy;
mod truth;
mod vendor;
mod worker;

use std::time::Duration;

use pushslots::mock::MockService;
use pushslots_outbox::PostgresConfig;
use pushslots_test_postgres::{PgBouncer, PostgresServer};

use self::chaos::Chaos;
use self::fault_proxy::FaultProxy;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn committed_messages_arrive_whatever_fails() {
    let messages = setting("PUSHSLOTS_MESSAGES", 2_000);
    let seed = setting("PUSHSLOTS_SEED", 1);
    let Some(server) = PostgresServer::start() else { return };
    let Some(pgbouncer) = PgBouncer::start_with(&server, &[("server_login_retry", "1")]) else {
        return;
    };
    let database = server.create_database();
    PostgresConfig::new(server.url(&database)).unwrap().migrate().await.unwrap();
    truth::record_acceptances(&server, &database);
    let service = MockService::builder().without_rate_limit().start().unwrap();

    let to_service = FaultProxy::start(service.url(), seed);
    let to_database = FaultProxy::start(&format!("http://{}", pgbouncer.address()), seed + 1);
    let worker_url = pgbouncer
        .url(&database)
        .replace(&pgbouncer.port().to_string(), &to_database.port().to_string());
    let mut chaos = Chaos::start(&service, &to_service, &worker_url, seed + 2);
    let enqueueing = vendor::enqueue(&server, &database, service.destination(), messages, seed + 3);
    let mut enqueueing = Box::pin(enqueueing);
    let promised = loop {
        tokio::select! {
            promised = &mut enqueueing => break promised,
            () = tokio::time::sleep(Duration::from_millis(700)) => chaos.strike(&server, &database),
        }
    };
    let strikes = chaos.end();
    truth::drained(&server, &database).await;
    chaos.stop_workers();
    let result = truth::compare(&server, &database, &service, &promised).await;
    println!("seed {seed}: {strikes}, {result}");
    assert!(result.is_clean(), "{result}");
}
