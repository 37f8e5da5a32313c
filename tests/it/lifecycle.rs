//! Readiness and shutdown of a client.

use std::future::IntoFuture;
use std::time::Duration;

use futures_util::future::join_all;
use pushslots::uuid::Uuid;
use pushslots::{AccessToken, AuthError, Credentials, ErrorKind, TokenRequest, TokenSource};
use support::batch::slots;
use support::message;
use support::model::{Model, Reply, ScriptedOutcome, TokenOutcome, client_of, ok};
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

fn slow() -> ScriptedOutcome {
    ScriptedOutcome::Response(Reply { after: 10 * SECOND, ..Reply::accepted() })
}

#[tokio::test(start_paused = true)]
async fn check_obtains_a_token_and_sends_nothing_else() {
    let model = Model::scripted([ok()]);
    let client = client_of(&model).build().unwrap();
    for _ in 0..3 {
        client.check().await.unwrap();
    }
    assert_eq!((model.token_requests(), model.calls().len()), (1, 0));
    client.send(&message()).await.unwrap();
    assert_eq!(model.token_requests(), 1, "the send uses the token of the check");
}

#[tokio::test(start_paused = true)]
async fn check_reports_why_there_is_no_token() {
    let rejected = Model::new(1, |_, _| ok(), |_, _| TokenOutcome::Response(401, None));
    let error = client_of(&rejected).build().unwrap().check().await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Credentials, false));
    assert!(error.to_string().starts_with("no access token: "), "{error}");

    let silent = Model::new(1, |_, _| ok(), |_, _| TokenOutcome::Hangs);
    let began = Instant::now();
    let error = client_of(&silent).build().unwrap().check().await.unwrap_err();
    assert!(error.is_retryable());
    assert!(began.elapsed() <= 31 * SECOND, "{:?}", began.elapsed());
}

/// A token source that takes longer than any probe may wait.
struct Slow;

impl TokenSource for Slow {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        sleep(3_600 * SECOND).await;
        Ok(AccessToken::new("token"))
    }
}

#[tokio::test(start_paused = true)]
async fn check_ends_within_the_time_of_one_attempt() {
    let model = Model::scripted([ok()]);
    let client =
        client_of(&model).credentials(Credentials::token_source(Slow)).attempt_timeout(2 * SECOND);
    let began = Instant::now();
    client.build().unwrap().check().await.unwrap_err();
    assert!(began.elapsed() <= 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_sends_and_publications() {
    let model = Model::scripted([slow()]);
    let client = client_of(&model).build().unwrap();
    assert_eq!(client.drain(SECOND).await, 0, "nothing was sent");
    let clone = client.clone();
    let sends = tokio::spawn(async move {
        let message = message();
        join_all((0..3).map(|_| clone.send(&message).into_future())).await
    });
    let clone = client.clone();
    let publication =
        tokio::spawn(async move { clone.publish(slots(0..4)).slots_per_message(2).await.unwrap() });
    tokio::task::yield_now().await;
    let began = Instant::now();
    assert_eq!(client.drain(5 * SECOND).await, 4, "three sends and a publication");
    assert_eq!(began.elapsed(), 5 * SECOND);
    assert_eq!(client.drain(10 * SECOND).await, 1, "the publication has a second message");
    assert_eq!(client.drain(60 * SECOND).await, 0);
    assert!(began.elapsed() <= 21 * SECOND, "{:?}", began.elapsed());
    assert_eq!(sends.await.unwrap().len(), 3);
    publication.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn draining_ignores_sends_that_were_dropped_or_not_awaited() {
    let model = Model::scripted([slow()]);
    let client = client_of(&model).build().unwrap();
    let message = message();
    let not_awaited = client.send(&message);
    let dropped = tokio::time::timeout(SECOND, client.send(&message).into_future()).await;
    assert!(dropped.is_err());
    assert_eq!(client.drain(SECOND).await, 0);
    drop(not_awaited);
}

#[tokio::test(start_paused = true)]
async fn draining_waits_for_the_sends_of_clients_with_other_credentials() {
    let model = Model::scripted([slow()]);
    let client = client_of(&model).build().unwrap();
    let other = client
        .with_credentials(support::credentials())
        .unwrap()
        .with_destinations([Uuid::from_u128(2)]);
    let sending = other.clone();
    let send = tokio::spawn(async move { sending.send(&message()).await });
    tokio::task::yield_now().await;
    assert_eq!((client.drain(SECOND).await, other.drain(SECOND).await), (1, 1));
    assert_eq!(client.drain(20 * SECOND).await, 0);
    send.await.unwrap().unwrap();
}
