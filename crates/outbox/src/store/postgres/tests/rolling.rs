//! The shared rate limit over a long time, by a clock that the test sets.
//!
//! `PUSHSLOTS_HOURS` sets the time.

use std::collections::VecDeque;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio_postgres::NoTls;

use super::{Through, control, database, set_time};
use crate::time::Timestamp;

const REQUESTS: usize = 7_500;
const WINDOW: i64 = 300_000;
const PROCESSES: usize = 8;

/// Permits of a process, and the time at which its requests end.
struct Block {
    id: i64,
    count: i32,
    ends: i64,
}

#[tokio::test]
async fn no_window_has_more_requests_than_the_limit() {
    let Some(database) = database(Through::Server).await else { return };
    let hours = super::setting("PUSHSLOTS_HOURS").unwrap_or(1);
    let seed = super::setting("PUSHSLOTS_SEED").unwrap_or(1);
    let mut random = StdRng::seed_from_u64(seed);
    let control = control(&database).await;
    let mut processes = Vec::new();
    for _ in 0..PROCESSES {
        let (client, connection) = tokio_postgres::connect(&database.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute("set synchronous_commit = off").await.unwrap();
        processes.push(client);
    }
    let start = 1_800_000_000_000_i64;
    let end = start + i64::try_from(hours).unwrap() * 3_600_000;
    let (mut now, mut granted) = (start, 0_usize);
    let mut open: Vec<Block> = Vec::new();
    // The times at which requests arrived, of the last window.
    let mut arrived: VecDeque<i64> = VecDeque::new();
    let mut most = 0;
    while now < end {
        set_time(&control, Timestamp(now)).await;
        let process = &processes[random.gen_range(0..PROCESSES)];
        for block in open.extract_if(.., |block| block.ends <= now) {
            let sql = "select pushslots.end_permits(array[$1::bigint], array[$2::integer], interval '300 s')";
            process.execute(sql, &[&block.id, &block.count]).await.unwrap();
        }
        let wanted = random.gen_range(1..=25);
        let sql = "select granted, permit_id, \
                   (extract(epoch from retry_after) * 1000)::bigint from \
                   pushslots.take_permits('default', $1, 7500, interval '300 s', interval '600 s')";
        let row = process.query_one(sql, &[&wanted]).await.unwrap();
        let count: i32 = row.get(0);
        if count > 0 {
            let ends = now + random.gen_range(1..2_000);
            granted += usize::try_from(count).unwrap();
            // They may arrive at any time before their end. The latest is the worst.
            arrived.extend((0..count).map(|_| ends));
            open.push(Block { id: row.get(1), count, ends });
            now += random.gen_range(0..300);
        } else {
            let wait: i64 = row.get(2);
            now += wait.clamp(10, 1_000);
        }
        arrived.make_contiguous().sort_unstable();
        while arrived.front().is_some_and(|first| *first + WINDOW < now) {
            arrived.pop_front();
        }
        let (first, last) = (arrived.front().copied(), arrived.back().copied());
        if let (Some(first), Some(last)) = (first, last) {
            let windows = arrived.iter().enumerate();
            // The fullest window ends at some arrival.
            let mut lower = 0;
            if last - first >= WINDOW || arrived.len() > REQUESTS {
                for (upper, time) in windows {
                    while arrived[lower] <= *time - WINDOW {
                        lower += 1;
                    }
                    most = most.max(upper + 1 - lower);
                }
            } else {
                most = most.max(arrived.len());
            }
        }
    }
    println!(
        "seed {seed}: {granted} requests of {PROCESSES} processes in {hours} h, at most {most} in 300 s"
    );
    assert!(granted > REQUESTS && most <= REQUESTS, "{most}");
}
