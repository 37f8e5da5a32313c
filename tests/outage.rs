//! A binary of its own, because it is a long simulation with its own command in `tests/figures.md`.
//!
//! Measures the load that retries add to an outage in which nothing succeeds, at 100 sends a
//! second.
//!
//! `PUSHSLOTS_OUTAGE_MINUTES=10` simulates ten minutes instead of one.

use std::future::IntoFuture;
use std::thread;
use std::time::Duration;

use support::message;
use support::model::{Model, Reply, ScriptedOutcome, TokenOutcome, client_of, ok, responds};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The time between two sends.
const SEND_INTERVAL: Duration = Duration::from_millis(10);

/// Returns every way in which the whole service can fail, with the label to print.
fn outages() -> Vec<(&'static str, ScriptedOutcome)> {
    let slow = |status| {
        ScriptedOutcome::Response(Reply { after: Duration::from_secs(10), ..Reply::new(status) })
    };
    vec![
        ("500", responds(500)),
        ("503", responds(503)),
        ("408", responds(408)),
        ("200 with a firewall's page", ScriptedOutcome::Response(Reply::block_page(false))),
        ("503 after 10 s", slow(503)),
        ("503 with Retry-After: 1", ScriptedOutcome::Response(Reply::new(503).retry_after("1"))),
        ("429", responds(429)),
        ("429 with Retry-After: 1", ScriptedOutcome::Response(Reply::new(429).retry_after("1"))),
        ("401 for every token", ScriptedOutcome::Revoked),
        ("no connection", ScriptedOutcome::NoConnection),
        ("connections cut", ScriptedOutcome::Cut { accepted: false }),
        ("no response", ScriptedOutcome::Hangs { accepted: false }),
    ]
}

/// Returns the number of requests that reach the service, including token requests.
fn load(outcome: &ScriptedOutcome, max_attempts: u32, sends: u32) -> usize {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let model = Model::scripted([outcome.clone()]);
        let client =
            client_of(&model).max_attempts(max_attempts).without_rate_limit().build().unwrap();
        let message = std::sync::Arc::new(message().encode().unwrap());
        let mut in_flight = JoinSet::new();
        for _ in 0..sends {
            let client = client.clone();
            let message = message.clone();
            in_flight.spawn(async move { client.send(&message).await.map(drop) });
            sleep(SEND_INTERVAL).await;
            while let Some(ended) = in_flight.try_join_next() {
                assert!(ended.unwrap().is_err());
            }
        }
        assert!(in_flight.join_all().await.iter().all(Result::is_err));
        model.calls().len() + model.token_requests()
    })
}

#[test]
fn retries_add_at_most_2_percent_of_requests_in_a_full_outage() {
    let minutes =
        std::env::var("PUSHSLOTS_OUTAGE_MINUTES").map_or(1, |minutes| minutes.parse().unwrap());
    let sends = minutes * 60 * 100;
    let outages = outages();
    let ratios: Vec<_> = thread::scope(|scope| {
        let halves = outages.chunks(outages.len().div_ceil(2));
        let run_half = move |half: &[(&'static str, ScriptedOutcome)]| {
            half.iter()
                .map(|(name, outcome)| (*name, load(outcome, 4, sends), load(outcome, 1, sends)))
                .collect::<Vec<_>>()
        };
        let halves: Vec<_> = halves.map(|half| scope.spawn(move || run_half(half))).collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    println!("{minutes} minutes, {sends} sends");
    for (name, with, without) in &ratios {
        let ratio = *with as f64 / *without as f64;
        println!("{name}: {with} requests, {without} without retries, ratio {ratio:.4}");
    }
    for (name, with, without) in ratios {
        assert!(
            with as f64 <= 1.02 * without as f64,
            "{name}: {with} requests with retries, {without} without"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn with_one_attempt_there_is_one_request_whatever_fails() {
    let accepted_and_lost =
        ScriptedOutcome::Response(Reply { body_lost: true, ..Reply::accepted() });
    let late =
        ScriptedOutcome::Response(Reply { after: Duration::from_secs(90), ..Reply::accepted() });
    let other_outcomes = [
        ("accepted", ok()),
        ("accepted, body lost", accepted_and_lost),
        ("accepted too late", late),
        ("cut after it was accepted", ScriptedOutcome::Cut { accepted: true }),
        ("never sent", ScriptedOutcome::NeverLeaves),
        ("hangs forever", ScriptedOutcome::HangsForEver { accepted: true }),
        ("400", responds(400)),
    ];
    for (name, outcome) in outages().into_iter().chain(other_outcomes) {
        let model = Model::scripted([outcome]);
        let client = client_of(&model).max_attempts(1).build().unwrap();
        let message = message();
        let attempts = match client.send(&message).await {
            Ok(receipt) => receipt.attempts().len(),
            Err(error) => error.attempts().len(),
        };
        assert_eq!((model.calls().len(), attempts), (1, 1), "{name}");
        println!("{name}: {} request", model.calls().len());
    }
}

#[tokio::test(start_paused = true)]
async fn sends_wait_out_a_token_endpoint_outage() {
    let down = |_: &mut _, at| match at < Duration::from_secs(60) {
        true => TokenOutcome::Response(503, None),
        false => TokenOutcome::Issued(Duration::from_secs(300)),
    };
    let model = Model::new(0, |_, _| ok(), down);
    let client = client_of(&model).max_attempts(30).build().unwrap();
    let message = message();
    let sends = (0..1_000).map(|_| client.send(&message).into_future());
    let receipts = futures_util::future::join_all(sends).await;
    // Waiting for a token costs no retry budget. Otherwise most of the sends would have failed.
    assert!(receipts.iter().all(Result::is_ok));
    assert_eq!(model.calls().len(), 1_000);
    assert!(model.token_requests() < 20, "{}", model.token_requests());
}
