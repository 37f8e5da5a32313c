//! The throughput of the mock, compared with a server that reads and discards messages.
//!
//! 64 clients with one connection each send messages of 4 slots from one other thread. Each client
//! sends one message after the other. Every round measures both servers. Each message must be in
//! the inbox once.
//!
//! * `mock_messages_per_second` is the median, on a machine that also sends, and
//!   `mock_least_messages_per_second` the minimum.
//! * `mock_vs_bare_server` is the ratio of medians.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use pushslots::mock::MockService;
use pushslots::{Client, EncodedMessage};

use super::{service, slots};
use crate::print;

const CONNECTIONS: usize = 64;
const EACH: usize = 150;
const ROUNDS: usize = 9;

pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let message = Arc::new(slots::messages(4, 4, 4)[0].encode().unwrap());
    let mock = MockService::builder().without_rate_limit().start().unwrap();
    let bare = format!("http://{}", service::start(Duration::ZERO));
    let clients = |url: &str| -> Vec<Client> {
        let client =
            || Client::builder().mock(&mock).base_url(url).without_rate_limit().build().unwrap();
        (0..CONNECTIONS).map(|_| client()).collect()
    };
    let of_mock = clients(mock.url());
    let of_bare = clients(&bare);
    let rounds: Vec<[f64; 2]> = (0..=ROUNDS)
        .map(|_| {
            let mocked = runtime.block_on(per_second(&of_mock, &message));
            let ids: std::collections::HashSet<_> =
                mock.received().iter().filter_map(|message| message.message_id()).collect();
            assert_eq!(
                (ids.len(), mock.received().len()),
                (CONNECTIONS * EACH, CONNECTIONS * EACH)
            );
            mock.clear_inbox();
            [mocked, runtime.block_on(per_second(&of_bare, &message))]
        })
        // The first round requests the tokens and opens the connections.
        .skip(1)
        .collect();
    let [mut mocked, mut bare]: [Vec<f64>; 2] =
        std::array::from_fn(|side| rounds.iter().map(|round| round[side]).collect());
    mocked.sort_by(f64::total_cmp);
    bare.sort_by(f64::total_cmp);
    print("mock_messages_per_second", mocked[ROUNDS / 2]);
    print("mock_least_messages_per_second", mocked[0]);
    print("mock_vs_bare_server", mocked[ROUNDS / 2] / bare[ROUNDS / 2]);
}

async fn per_second(clients: &[Client], message: &EncodedMessage) -> f64 {
    let began = Instant::now();
    join_all(clients.iter().map(|client| async {
        for _ in 0..EACH {
            client.send(message).await.unwrap();
        }
    }))
    .await;
    (clients.len() * EACH) as f64 / began.elapsed().as_secs_f64()
}
