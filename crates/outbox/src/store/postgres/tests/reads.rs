//! The lanes that the statements of a send read.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::figures::send;
use super::{Through, control, database, let_time_pass};
use crate::store::postgres::{PostgresConfig, PostgresStore};

const SENDS: i64 = 20;
const LANES: i64 = 1_000;

#[tokio::test]
async fn a_send_does_not_read_the_other_lanes() {
    let Some(database) = database(Through::Server).await else { return };
    let control = control(&database).await;
    let_time_pass(&control).await;
    let filling = format!(
        "insert into pushslots.lane (name, due) \
         select 'other ' || n, now() + interval '1 day' from generate_series(1, {LANES}) n"
    );
    control.batch_execute(&filling).await.unwrap();
    let store = PostgresStore::open(&PostgresConfig::new(&database.url).unwrap()).await.unwrap();
    let store = Arc::new(store);
    for number in 0..SENDS {
        send(store.clone(), format!("lane {number}")).await;
    }
    drop(store);

    // A session adds its numbers when it ends.
    let others = "select count(*) from pg_stat_activity \
                  where datname = current_database() and pid <> pg_backend_pid()";
    let ended = async {
        while control.query_one(others, &[]).await.unwrap().get::<_, i64>(0) > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), ended).await.unwrap();
    let read = "select seq_tup_read, idx_scan from pg_stat_user_tables \
                where schemaname = 'pushslots' and relname = 'lane'";
    let row = control.query_one(read, &[]).await.unwrap();
    let (by_scans, index_scans): (i64, i64) = (row.get(0), row.get(1));
    assert!(index_scans >= SENDS, "{index_scans} index scans");
    // Now and then, the processes with leases are counted.
    assert!(by_scans < SENDS * LANES / 4, "{by_scans} lanes read for {SENDS} sends");
}
