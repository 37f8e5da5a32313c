//! The database goes away and comes back.

use std::time::Duration;

use pushslots_outbox::{EntryState, Outbox, PostgresConfig};
use pushslots_test_postgres::PostgresServer;
use tokio::time::Instant;

use crate::database::{client, message, service, setting, soon};

#[tokio::test(flavor = "multi_thread")]
async fn workers_go_on_after_a_crash_of_the_server() {
    let Some(server) = PostgresServer::start() else { return };
    let name = server.create_database();
    let config = PostgresConfig::new(server.url(&name)).unwrap();
    config.migrate().await.unwrap();
    let service = service();
    let outbox = Outbox::builder().destination(service.destination());
    let outbox = outbox.postgres(&config).await.unwrap();
    let _worker = outbox.worker(&client(&service)).start().unwrap();

    let away = Duration::from_secs(setting("PUSHSLOTS_AWAY", 1));
    let mut returned = Instant::now();
    let mut promised = Vec::new();
    for number in 0..200 {
        if number == 50 {
            server.crash();
        }
        if number == 60 {
            tokio::time::sleep(away).await;
            server.start_again();
            returned = Instant::now();
        }
        let lane = format!("lane {}", number % 5);
        match outbox.enqueue(&message()).lane(lane).await {
            Ok(entry) => {
                promised.push(entry.message_id());
                if number == 60 {
                    soon(outbox.wait_for(entry.message_id())).await.unwrap();
                    println!("accepted {:?} after the return", returned.elapsed());
                }
            }
            Err(error) => assert!((50..=60).contains(&number), "{number}: {error}"),
        }
    }
    for id in &promised {
        soon(outbox.wait_for(*id)).await.unwrap();
    }
    println!("{} messages, 0 lost", promised.len());
    assert!(promised.len() >= 189, "{}", promised.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_session_costs_no_message() {
    let Some(database) = crate::database::Database::create().await else { return };
    let service = service();
    let outbox = crate::database::outbox(&service, &database.config()).await;
    let _worker = outbox.worker(&client(&service)).start().unwrap();
    let mut promised = Vec::new();
    for number in 0..100 {
        if number % 10 == 0 {
            database.psql(
                "select pg_terminate_backend(pid) from pg_stat_activity \
                 where datname = current_database() and application_name = 'pushslots'",
            );
        }
        let message = message();
        let id = pushslots::uuid::Uuid::new_v4();
        // It is safe to repeat after an error.
        while outbox
            .enqueue(&message)
            .message_id(id)
            .lane(format!("lane {}", number % 3))
            .await
            .is_err()
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        promised.push(id);
    }
    for id in promised {
        soon(async { while outbox.wait_for(id).await.is_err() {} }).await;
        let entry = outbox.entry(id).await.unwrap().unwrap();
        assert_eq!(entry.entry().state(), EntryState::Accepted);
    }
}
