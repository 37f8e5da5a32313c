//! A binary of its own, because it is a long simulation with its own command in `tests/figures.md`.
//!
//! Tests the rate limit of a client: the number of requests in any window, and the sends that wait.
//!
//! `PUSHSLOTS_RATE_LIMIT_HOURS=24` simulates a day of publishing at full speed instead of one hour.

use std::future::IntoFuture;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::poll_immediate;
use futures_util::stream;
use pushslots::{Delivery, ErrorKind, WaitReason};
use rand::Rng;
use support::batch::slots;
use support::http2::serve;
use support::model::{Model, Reply, ScriptedOutcome, TokenOutcome, client_of, responds};
use support::tls::{Authority, TlsListener};
use support::windows::most_in;
use support::{client, fixtures, message};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);

/// Returns an accepted response after 2 ms.
fn quick() -> ScriptedOutcome {
    ScriptedOutcome::Response(Reply { after: Duration::from_millis(2), ..Reply::accepted() })
}

#[tokio::test(start_paused = true)]
async fn a_day_at_full_speed_never_exceeds_the_rate_limit() {
    let hours: u32 =
        std::env::var("PUSHSLOTS_RATE_LIMIT_HOURS").map_or(1, |hours| hours.parse().unwrap());
    let throttled = |retry_after: Option<&str>| {
        let reply = Reply::new(429);
        let reply = retry_after.map_or(reply.clone(), |value| reply.retry_after(value));
        ScriptedOutcome::Response(reply)
    };
    let mut was_revoked = false;
    let outcomes = move |rng: &mut rand::rngs::StdRng, _| {
        let outcome = match rng.gen_range(0..2_000) {
            0 => throttled(None),
            1 => throttled(Some("2")),
            2 => throttled(Some("30")),
            // After two 401s in a row, the client would start a token cooldown.
            3 if !was_revoked => ScriptedOutcome::Revoked,
            4 => ScriptedOutcome::Cut { accepted: true },
            _ => quick(),
        };
        was_revoked = matches!(outcome, ScriptedOutcome::Revoked);
        outcome
    };
    let model = Model::new(1, outcomes, |_, _| TokenOutcome::Issued(Duration::from_secs(300)));
    model.keep_no_bodies();
    let client = client_of(&model).without_retry_budget().max_attempts(20).build().unwrap();
    let began = Instant::now();
    let slot = slots(0..1).remove(0);
    let endless = stream::unfold((), |()| std::future::ready(Some((slot.clone(), ()))));
    let clone = client.clone();
    let end = began + hours * 60 * MINUTE;
    // A clone sends at the same time.
    let clone_sends = tokio::spawn(async move {
        let message = message().encode().unwrap();
        let mut accepted = 0;
        while Instant::now() < end {
            accepted += usize::from(clone.send(&message).deadline(10 * MINUTE).await.is_ok());
            sleep(Duration::from_millis(200)).await;
        }
        accepted
    });
    let publication = client.publish_stream(endless).slots_per_message(1);
    let handle = publication.handle();
    let stop = async {
        tokio::time::sleep_until(end).await;
        handle.stop();
    };
    let (stopped, ()) = tokio::join!(publication.into_future(), stop);
    let stopped = stopped.unwrap_err();
    let accepted = clone_sends.await.unwrap();
    assert_eq!(stopped.kind(), ErrorKind::Stopped);
    let report = stopped.report();
    let arrivals = model.arrivals();
    let tokens = model.token_requests();
    let most = most_in(Duration::from_secs(300), &arrivals);
    println!(
        "{hours} hours: {} requests ({tokens} for tokens), {} messages published, {accepted} sent \
         by the clone",
        arrivals.len(),
        report.receipts().len()
    );
    println!("most requests in any window of 300 s: {most} (limit: 7500)");
    assert!(most <= 7_500);
    assert!(arrivals.len() as u32 >= hours * 12 * 7_000, "the client uses most of the rate limit");
    assert!(report.waited() > (end - began) / 2 && tokens > hours as usize && accepted > 0);
}

#[tokio::test(start_paused = true)]
async fn burst_is_allowed_and_each_permit_returns_after_one_window() {
    let model = Model::scripted([quick()]);
    let client = client_of(&model).rate_limit(11, MINUTE).build().unwrap();
    let message = std::sync::Arc::new(message().encode().unwrap());
    let began = Instant::now();
    let mut sends = JoinSet::new();
    for number in 0..21 {
        let client = client.clone();
        let message = message.clone();
        sends.spawn(async move {
            // Starts the sends in this order.
            sleep(Duration::from_secs(number)).await;
            client.send(&message).deadline(10 * MINUTE).await.map(|_| number)
        });
    }
    let mut order = Vec::new();
    while let Some(sent) = sends.join_next().await {
        order.push(sent.unwrap().unwrap());
    }
    assert_eq!(order, (0..21).collect::<Vec<_>>(), "first come, first served");
    let at: Vec<_> = model.arrivals().iter().map(|at| (*at - began).as_secs()).collect();
    // The first request is for a token.
    assert_eq!(at, [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 60, 60, 61, 62, 63, 64, 65, 66, 67, 68, 69]);
    assert_eq!(most_in(MINUTE, &model.arrivals()), 11);
}

#[tokio::test(start_paused = true)]
async fn a_429_delays_all_sends_of_the_client() {
    for (retry_after, wait) in [(None, 1), (Some("20"), 20), (Some("100000"), 120)] {
        let reply = Reply::new(429);
        let reply = retry_after.map_or(reply.clone(), |value| reply.retry_after(value));
        let throttled = ScriptedOutcome::Response(reply);
        let model = Model::scripted([quick(), throttled, quick()]);
        let client = client_of(&model).max_attempts(1).build().unwrap();
        client.send(&message()).await.unwrap();
        assert_eq!(client.send(&message()).await.unwrap_err().kind(), ErrorKind::Throttled);
        let throttled_at = Instant::now();
        let first = message();
        let second = message();
        let both = tokio::join!(
            client.send(&first).deadline(10 * MINUTE).into_future(),
            client.send(&second).deadline(10 * MINUTE).into_future(),
        );
        assert!(both.0.is_ok() && both.1.is_ok());
        for arrival in &model.arrivals()[3..] {
            assert_eq!((*arrival - throttled_at).as_secs(), wait, "after {retry_after:?}");
        }
        // Without a rate limit, the next send doesn't wait.
        let model = Model::scripted([responds(429), quick()]);
        let client = client_of(&model).max_attempts(1).without_rate_limit().build().unwrap();
        client.send(&message()).await.unwrap_err();
        let throttled_at = Instant::now();
        client.send(&message()).await.unwrap();
        assert!(throttled_at.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn send_without_room_in_the_rate_limit_reports_retry_after() {
    let model = Model::scripted([quick()]);
    let client = client_of(&model).rate_limit(3, 10 * MINUTE).build().unwrap();
    let message = message();
    client.send(&message).await.unwrap();
    client.send(&message).await.unwrap();
    let began = Instant::now();
    let error = client.send(&message).await.unwrap_err();
    assert_eq!(began.elapsed(), Duration::ZERO, "the error is immediate");
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Throttled, Delivery::NotSent));
    assert!(error.is_retryable() && error.attempts().is_empty());
    assert!(
        error
            .to_string()
            .contains("the client's own rate limit, or its wait after a 429, leaves no room"),
        "{error}"
    );
    sleep(error.retry_after().unwrap()).await;
    client.send(&message).await.unwrap();

    // A retry without room in the rate limit is reported too.
    let model = Model::scripted([responds(503)]);
    let client = client_of(&model).rate_limit(3, 10 * MINUTE).build().unwrap();
    let error = client.send(&message).await.unwrap_err();
    assert_eq!((error.attempts().len(), error.delivery()), (2, Delivery::Unknown));
    assert!(error.to_string().starts_with(
        "attempt 2: the service responded with 503; abandoned because the client's own rate limit"
    ));
    assert!(error.retry_after().unwrap() > 9 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn dropped_waiting_send_does_not_block_others() {
    let model = Model::scripted([quick()]);
    let client = client_of(&model).rate_limit(3, MINUTE).build().unwrap();
    let message = message();
    client.send(&message).await.unwrap();
    client.send(&message).await.unwrap();
    let waiting = || client.send(&message).deadline(10 * MINUTE).into_future();
    let first = waiting();
    let second = waiting();
    let third = waiting();
    let dropped = tokio::time::timeout(Duration::from_secs(30), first);
    let (dropped, second, third) = tokio::join!(dropped, second, third);
    assert!(dropped.is_err() && second.is_ok() && third.is_ok());
    assert_eq!((model.calls().len(), model.token_requests()), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn unpolled_waiting_send_does_not_block_others() {
    let model = Model::scripted([quick()]);
    let client = client_of(&model).rate_limit(3, MINUTE).build().unwrap();
    let message = message();
    client.send(&message).await.unwrap();
    client.send(&message).await.unwrap();
    let mut suspended = pin!(client.send(&message).deadline(10 * MINUTE).into_future());
    assert!(poll_immediate(suspended.as_mut()).await.is_none());
    let other = client.send(&message).deadline(10 * MINUTE).into_future();
    assert!(tokio::time::timeout(2 * MINUTE, other).await.unwrap().is_ok());
    assert!(suspended.await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn publication_waits_for_permits_beyond_the_deadline_and_reports_it() {
    let model = Model::scripted([quick()]);
    let client = client_of(&model)
        .rate_limit(10, 10 * MINUTE)
        .deadline(Duration::from_secs(5))
        .build()
        .unwrap();
    let slots = slots(0..40);
    let mut updates = Vec::new();
    let began = Instant::now();
    let publication = client.publish(&slots).slots_per_message(1);
    let report = publication.on_progress(|progress| updates.push(progress.clone())).await.unwrap();
    assert_eq!(report.run().accepted_slots, 40);
    assert_eq!(most_in(10 * MINUTE, &model.arrivals()), 10);
    let waited = report.waited();
    assert!(waited > 39 * MINUTE && waited <= began.elapsed(), "{waited:?}");
    let waits: Vec<_> = updates.iter().filter_map(|progress| progress.wait).collect();
    assert!(waits.iter().all(|wait| wait.reason == WaitReason::RateLimit));
    assert!(waits.len() > 39 * 60, "one report a second: {}", waits.len());
    let longest = waits.iter().map(|wait| wait.remaining).max().unwrap();
    assert!(
        longest > 9 * MINUTE && longest <= 10 * MINUTE + Duration::from_millis(1),
        "{longest:?}"
    );

    // A publication can be stopped while it waits.
    let publication = client.publish(&slots).slots_per_message(1);
    let handle = publication.handle();
    let stop = async {
        sleep(Duration::from_secs(30)).await;
        handle.stop();
    };
    let began = Instant::now();
    let (stopped, ()) = tokio::join!(publication.into_future(), stop);
    assert!(began.elapsed() < MINUTE && stopped.unwrap_err().report().resume_point().is_some());
}

#[tokio::test(start_paused = true)]
async fn token_request_takes_the_last_permit_and_the_message_waits_for_the_next() {
    let model = Model::scripted([quick()]);
    let client = client_of(&model).rate_limit(3, 10 * MINUTE).build().unwrap();
    client.send(&message()).await.unwrap();
    // One permit is left, and the token has expired.
    sleep(400 * Duration::from_secs(1)).await;
    let report = client.publish(slots(0..1)).await.unwrap();
    let attempts = report.receipts()[0].attempts();
    assert_eq!((attempts.len(), model.token_requests()), (1, 2), "{attempts:?}");
    assert!(
        attempts[0].elapsed < Duration::from_secs(1),
        "the wait for a permit is not part of the attempt"
    );
    assert_eq!(most_in(10 * MINUTE, &model.arrivals()), 3);
}

#[tokio::test(start_paused = true)]
async fn all_sends_succeed_when_the_token_is_due_for_renewal_at_a_low_rate_limit() {
    let model = Model::scripted([quick()]);
    let client = client_of(&model).rate_limit(3, Duration::from_secs(255)).build().unwrap();
    client.send(&message()).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    client.send(&message()).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let mut sends = JoinSet::new();
    for _ in 0..6 {
        let client = client.clone();
        sends.spawn(async move { client.send(&message()).deadline(60 * MINUTE).await.map(drop) });
    }
    let sent = tokio::time::timeout(60 * MINUTE, sends.join_all()).await.unwrap();
    assert!(sent.iter().all(Result::is_ok), "{sent:?}");
    assert_eq!(most_in(Duration::from_secs(255), &model.arrivals()), 3);
}

#[test]
fn invalid_rate_limit_is_rejected() {
    let model = Model::scripted([quick()]);
    for (requests, window) in [(1, MINUTE), (10, Duration::ZERO), (10, Duration::MAX)] {
        let error = client_of(&model).rate_limit(requests, window).build().unwrap_err();
        let paths: Vec<_> = error.problems().iter().map(|problem| problem.path()).collect();
        assert_eq!(paths, ["rate_limit"], "{requests} in {window:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_that_were_never_sent_do_not_count() {
    for outcome in [ScriptedOutcome::NoConnection, ScriptedOutcome::NeverLeaves] {
        let outcomes = std::iter::repeat_n(outcome, 10).chain([quick()]);
        let model = Model::scripted(outcomes);
        let client = client_of(&model).rate_limit(10, 5 * MINUTE).max_attempts(1).build().unwrap();
        for _ in 0..10 {
            let error = client.send(&message()).await.unwrap_err();
            assert_eq!(
                (error.delivery(), error.attempts().len()),
                (Delivery::NotSent, 1),
                "{error}"
            );
        }
        let began = Instant::now();
        client.send(&message()).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

#[tokio::test]
async fn request_dropped_while_waiting_for_a_connection_does_not_count() {
    let authority = Authority::generate();
    let listener = TlsListener::bind(&authority, None, &["h2"]).await;
    let tokens = fixtures::serve();
    let builder = client(&listener.url(), "plain").root_certificate(authority.pem.clone());
    let builder = builder.token_url(format!("{}/v2/auth/token", tokens.url()));
    let client = builder.rate_limit(5, 5 * MINUTE).build().unwrap();
    let message = message();
    // Two of the requests wait for TLS. The others wait until those two have a connection.
    let both = async { (listener.accept_tcp().await, listener.accept_tcp().await) };
    let sends = futures_util::future::join_all((0..4).map(|_| client.send(&message).into_future()));
    tokio::select! {
        sent = sends => panic!("{sent:?}"),
        _ = both => {}
    }
    let (send, mut arrived) = unbounded_channel();
    tokio::spawn(serve(listener, 100, send));
    tokio::spawn(async move { arrived.recv().await.unwrap().accept().await });
    client.send(&message).deadline(MINUTE).await.unwrap();
}
