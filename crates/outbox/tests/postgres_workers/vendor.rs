//! A vendor's application: transactions that enqueue and commit, roll back, or stay open.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::chrono::{TimeDelta, Utc};
use pushslots::uuid::Uuid;
use pushslots::{PushSlots, Slot};
use pushslots_outbox::{EnqueueCall, Outbox, PostgresConfig};
use pushslots_test_postgres::PostgresServer;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::{Client, NoTls};

const SESSIONS: u64 = 8;
const LANES: u64 = 100;

/// The messages of committed transactions, and those of all others.
#[derive(Debug, Default)]
pub struct Promised {
    pub committed: HashSet<Uuid>,
    pub rolled_back: HashSet<Uuid>,
}

/// Enqueues messages, while sessions are terminated and the server crashes.
pub async fn enqueue(
    server: &PostgresServer,
    database: &str,
    destination: Uuid,
    messages: u64,
    seed: u64,
) -> Promised {
    let url = server.url(database);
    // It only prepares calls.
    let config = PostgresConfig::new(&url).unwrap();
    let outbox = Outbox::builder().destination(destination).postgres(&config).await.unwrap();
    let promised = Arc::new(Mutex::new(Promised::default()));
    let sessions = (0..SESSIONS).map(|session| {
        let mut random = StdRng::seed_from_u64(seed + session);
        let (url, outbox, promised) = (url.clone(), outbox.clone(), promised.clone());
        tokio::spawn(async move {
            for _ in 0..messages / SESSIONS {
                enqueue_one(&url, &outbox, &promised, &mut random).await;
            }
        })
    });
    for session in sessions.collect::<Vec<_>>() {
        session.await.unwrap();
    }
    Arc::into_inner(promised).unwrap().into_inner().unwrap()
}

async fn enqueue_one(url: &str, outbox: &Outbox, promised: &Mutex<Promised>, random: &mut StdRng) {
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let message = PushSlots::builder().slot(Slot::new(tomorrow, 15)).build().unwrap();
    let lane = format!("lane {}", random.gen_range(0..LANES));
    let call = outbox.prepare(&message).lane(lane).call().unwrap();
    let commits = random.gen_bool(0.9);
    let open_for = match random.gen_range(0..100) {
        0 => Duration::from_millis(2_000),
        _ => Duration::from_millis(random.gen_range(0..20)),
    };
    loop {
        match transaction(url, &call, commits, open_for).await {
            Ok(()) => break,
            // The commit may have succeeded, so it is repeated with the same id.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    let mut promised = promised.lock().unwrap();
    let ids = if commits { &mut promised.committed } else { &mut promised.rolled_back };
    ids.insert(call.message_id());
}

async fn transaction(
    url: &str,
    call: &EnqueueCall,
    commits: bool,
    open_for: Duration,
) -> Result<(), tokio_postgres::Error> {
    let mut client = connect(url).await?;
    let transaction = client.transaction().await?;
    transaction.query_one(call.sql(), &[&call.entry(), &call.body()]).await?;
    tokio::time::sleep(open_for).await;
    if commits { transaction.commit().await } else { transaction.rollback().await }
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}
