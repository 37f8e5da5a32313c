//! The limit on messages in flight, and the connections that a burst opens.

use std::future::IntoFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use pushslots::{Client, Delivery, EncodedMessage, ErrorKind, NextStep, PushSlots};
use support::batch::slots;
use support::http2::serve;
use support::model::{Model, Reply, ScriptedOutcome, client_of, ok};
use support::tls::{Authority, TlsListener};
use support::{client, message};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// Returns the outcome in which the service accepts a message after 10 s.
fn slow() -> ScriptedOutcome {
    ScriptedOutcome::Response(Reply { after: 10 * SECOND, ..Reply::accepted() })
}

fn encoded() -> Arc<EncodedMessage> {
    Arc::new(message().encode().unwrap())
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_permit_is_not_part_of_an_attempt() {
    let model = Model::scripted([slow()]);
    let client = client_of(&model).max_in_flight(3).attempt_timeout(11 * SECOND).build().unwrap();
    let message = encoded();
    let began = Instant::now();
    let mut sends = JoinSet::new();
    for _ in 0..12 {
        let client = client.clone();
        let message = message.clone();
        sends.spawn(async move { client.send(&message).await });
    }
    for receipt in sends.join_all().await {
        let receipt = receipt.unwrap();
        assert_eq!(receipt.attempts().len(), 1, "{:?}", receipt.attempts());
        assert!(receipt.attempts()[0].elapsed < 11 * SECOND);
    }
    assert_eq!(began.elapsed().as_secs(), 40, "twelve messages, three at a time");
    let calls = model.calls();
    for (index, call) in calls.iter().enumerate().skip(3) {
        assert!(
            call.began >= calls[index - 3].began + 10 * SECOND,
            "message {index} is the fourth in flight"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_permit_counts_against_the_deadline() {
    let model = Model::scripted([slow()]);
    let client = client_of(&model).max_in_flight(1).build().unwrap();
    let message = encoded();
    let in_flight = tokio::spawn({
        let client = client.clone();
        let message = message.clone();
        async move { client.send(&message).await }
    });
    tokio::task::yield_now().await;
    let began = Instant::now();
    let error = client.send(&message).deadline(5 * SECOND).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Throttled, Delivery::NotSent));
    assert!(error.is_retryable() && error.attempts().is_empty() && error.retry_after().is_none());
    assert!(began.elapsed() <= 5 * SECOND);
    assert_eq!(
        error.to_string(),
        "abandoned after waiting for other messages in flight (max_in_flight = 1): too little time \
         for an attempt is left of the deadline of 5s; send fewer at once, or raise max_in_flight \
         or the deadline; the message never reached the service"
    );
    in_flight.await.unwrap().unwrap();

    // A publication waits for longer than the deadline of a send.
    let clone = client.clone();
    let sends = async {
        for _ in 0..40 {
            clone.send(&message).await.unwrap();
        }
    };
    let list = slots(0..40);
    let publication = client.publish(&list).slots_per_message(1).into_future();
    let (report, ()) = tokio::join!(publication, sends);
    assert_eq!(report.unwrap().run().accepted_slots, 40);
}

#[tokio::test(start_paused = true)]
async fn attempt_with_a_longer_timeout_than_the_client_keeps_its_permit() {
    let slow = ScriptedOutcome::Response(Reply { after: 50 * SECOND, ..Reply::accepted() });
    let model = Model::scripted([slow]);
    let builder = client_of(&model).max_in_flight(1).attempt_timeout(5 * SECOND);
    let client = builder.deadline(600 * SECOND).build().unwrap();
    let message = encoded();
    let send = || client.send(&message).attempt_timeout(60 * SECOND).into_future();
    let began = Instant::now();
    let (first, second) = tokio::join!(send(), send());
    assert!(first.is_ok() && second.is_ok());
    assert!(began.elapsed() >= 100 * SECOND, "one after the other: {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn send_that_obtains_a_permit_has_time_for_an_attempt() {
    let model = Model::scripted([slow()]);
    // Ten times as many messages as the service can accept.
    let client = client_of(&model).max_in_flight(10).build().unwrap();
    let message = encoded();
    let mut sends = JoinSet::new();
    for _ in 0..6_000 {
        let client = client.clone();
        let message = message.clone();
        sends.spawn(async move { client.send(&message).await });
        sleep(SECOND / 10).await;
    }
    let mut accepted = 0;
    let mut throttled = 0;
    while let Some(sent) = sends.join_next().await {
        match sent.unwrap() {
            Ok(receipt) => accepted += usize::from(receipt.attempts().len() == 1),
            Err(error) => {
                assert_eq!(
                    (error.kind(), error.delivery()),
                    (ErrorKind::Throttled, Delivery::NotSent)
                );
                throttled += 1;
            }
        }
    }
    println!(
        "{accepted} accepted at the first attempt, {throttled} not sent; \
         the service can accept one a second"
    );
    assert_eq!(accepted + throttled, 6_000);
    assert!(accepted >= 600 && model.calls().len() == accepted, "{accepted}");
}

#[tokio::test(start_paused = true)]
async fn unpolled_sends_block_others_for_at_most_one_attempt() {
    let client = client_of(&Model::scripted([ok()])).build().unwrap();
    let message = encoded();
    // More sends are started than may be in flight. None of them is polled while the test awaits
    // something else.
    let sends = stream::iter(0..300).map(|_| client.send(&*message).into_future());
    let mut sends = pin!(sends.buffer_unordered(128));
    let list = slots(0..5);
    let began = Instant::now();
    sends.next().await.unwrap().unwrap();
    client.publish(&list).slots_per_message(1).await.unwrap();
    assert!(began.elapsed() < 130 * SECOND, "{:?}", began.elapsed());
    client.send(&message).await.unwrap();
    while let Some(sent) = sends.next().await {
        sent.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn backoff_holds_no_permit() {
    let throttled = ScriptedOutcome::Response(Reply::new(429).retry_after("60"));
    let model = Model::scripted([throttled, slow()]);
    let client = client_of(&model).without_rate_limit().max_in_flight(1).build().unwrap();
    let message = encoded();
    let began = Instant::now();
    let throttled = tokio::spawn({
        let client = client.clone();
        let message = message.clone();
        async move { client.send(&message).await }
    });
    while model.calls().is_empty() {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    client.send(&message).await.unwrap();
    assert!(began.elapsed() < 30 * SECOND, "it overtakes the send that waits for its next attempt");
    let receipt = throttled.await.unwrap().unwrap();
    assert_eq!(receipt.attempts()[0].next_step, NextStep::RetryAfter);
}

/// Sends `message` 1,000 times at once. Returns the number of connections that the client opened to
/// the message endpoint.
async fn burst(client: &Client, message: PushSlots, listener: TlsListener) -> usize {
    let (send, mut arrived) = unbounded_channel();
    let serving = tokio::spawn(serve(listener, 200, send));
    let message = Arc::new(message.encode().unwrap());
    let mut sends: JoinSet<_> = (0..1_000)
        .map(|_| {
            let client = client.clone();
            let message = message.clone();
            async move { client.send(&message).await.map(|receipt| receipt.attempts().len()) }
        })
        .collect();
    let mut connections = 0;
    for _ in 0..1_000 {
        let message =
            timeout(60 * SECOND, arrived.recv()).await.expect("a message arrives").unwrap();
        connections = connections.max(message.connection + 1);
        tokio::spawn(message.accept());
    }
    while let Some(sent) = sends.join_next().await {
        assert_eq!(sent.unwrap().unwrap(), 1, "attempts");
    }
    serving.abort();
    connections
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_burst_over_http2_opens_few_connections() {
    let short = message();
    // 100 of these in flight also use the connections for long uploads.
    let long = PushSlots::builder().slots(slots(0..400)).build().unwrap();
    for (name, message) in [("short", short), ("long", long)] {
        for tokens_elsewhere in [false, true] {
            let authority = Authority::generate();
            let listener = TlsListener::bind(&authority, None, &["h2"]).await;
            let tokens = TlsListener::bind(&authority, None, &["h2"]).await;
            let mut builder =
                client(&listener.url(), "plain").root_certificate(authority.pem.clone());
            if tokens_elsewhere {
                builder = builder.token_url(format!("{}/v2/auth/token", tokens.url()));
            }
            let serving_tokens = tokio::spawn(serve(tokens, 200, unbounded_channel().0));
            let client = builder.build().unwrap();
            let connections = burst(&client, message.clone(), listener).await;
            println!(
                "1,000 {name} messages at once, tokens elsewhere: {tokens_elsewhere}: \
                 {connections} connections"
            );
            assert!(connections + usize::from(tokens_elsewhere) <= 5, "{connections}");
            serving_tokens.abort();
        }
    }
}
