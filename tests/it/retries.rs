//! The retry settings, and the reasons that each attempt records.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushslots::{
    Attempt, Classification, Client, Delivery, Error, ErrorKind, NextStep, OnUnknown, Receipt,
    TransportError, TransportErrorKind,
};
use support::message;
use support::model::{Model, Reply, ScriptedOutcome, client_of, ok, responds};
use tokio::time::{Instant, timeout};

fn next_steps(attempts: &[Attempt]) -> Vec<NextStep> {
    attempts.iter().map(|attempt| attempt.next_step).collect()
}

async fn send_error(client: &Client) -> Error {
    client.send(&message()).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn clones_spend_from_one_budget_until_it_is_empty() {
    let model = Model::scripted([responds(500)]);
    // Enough for two retries, with a remainder too small for a third.
    let client = client_of(&model).retry_budget(14 * 2 + 13).build().unwrap();
    let error = send_error(&client.clone()).await;
    assert_eq!(
        next_steps(error.attempts()),
        [NextStep::Backoff, NextStep::Backoff, NextStep::RetryBudgetExhausted]
    );
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Unavailable, Delivery::Unknown));
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(
        text.starts_with(
            "attempt 3: the service responded with 500; abandoned because the client's retry budget is empty"
        ),
        "{text}"
    );
    assert_eq!(
        serde_json::to_value(&error).unwrap()["attempts"][2]["next_step"],
        "retry_budget_exhausted"
    );
    for _ in 0..10 {
        assert_eq!(send_error(&client).await.attempts().len(), 1);
    }
    assert_eq!(model.calls().len(), 3 + 10);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_429_costs_less() {
    let model = Model::scripted([responds(429)]);
    let client = client_of(&model).retry_budget(14).build().unwrap();
    let error = send_error(&client).await;
    assert_eq!(
        next_steps(error.attempts()),
        [NextStep::Backoff, NextStep::Backoff, NextStep::RetryBudgetExhausted]
    );
}

#[tokio::test(start_paused = true)]
async fn accepted_messages_refill_the_budget_up_to_its_size() {
    let model = Model::scripted(
        [responds(503), responds(503)]
            .into_iter()
            .chain((0..13).map(|_| ok()))
            .chain([responds(503), ok()])
            .chain((0..10).flat_map(|_| [responds(503), ok()]))
            .chain((0..100).map(|_| ok()))
            .chain([responds(503)]),
    );
    let client = client_of(&model).retry_budget(14).build().unwrap();
    assert_eq!(
        next_steps(send_error(&client).await.attempts()),
        [NextStep::Backoff, NextStep::RetryBudgetExhausted]
    );
    let message = message();
    for _ in 0..13 {
        client.send(&message).await.unwrap();
    }
    assert_eq!(
        next_steps(send_error(&client).await.attempts()),
        [NextStep::RetryBudgetExhausted],
        "13 is not enough"
    );
    client.send(&message).await.unwrap();
    for _ in 0..10 {
        let receipt = client.send(&message).await.unwrap();
        assert_eq!(
            next_steps(receipt.attempts()),
            [NextStep::Backoff, NextStep::Done],
            "an accepted retry returns its cost"
        );
    }
    for _ in 0..100 {
        client.send(&message).await.unwrap();
    }
    assert_eq!(
        send_error(&client).await.attempts().len(),
        2,
        "the budget covers one retry at most"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_budget_every_send_retries() {
    let model = Model::scripted([responds(500)]);
    let client = client_of(&model).without_retry_budget().build().unwrap();
    for _ in 0..100 {
        assert_eq!(send_error(&client).await.attempts().len(), 4);
    }
    let client = client_of(&model).retry_budget(0).build().unwrap();
    assert_eq!(next_steps(send_error(&client).await.attempts()), [NextStep::RetryBudgetExhausted]);
}

#[tokio::test(start_paused = true)]
async fn a_budget_of_any_size_can_be_full() {
    let model = Model::scripted([ok(), responds(503), ok()]);
    let client = client_of(&model).retry_budget(u32::MAX).build().unwrap();
    let message = message();
    client.send(&message).await.unwrap();
    let receipt = client.send(&message).await.unwrap();
    assert_eq!(next_steps(receipt.attempts()), [NextStep::Backoff, NextStep::Done]);
}

#[tokio::test(start_paused = true)]
async fn rejected_token_is_replaced_even_if_the_budget_is_empty() {
    let model = Model::scripted([ok(), ScriptedOutcome::Revoked, ok()]);
    let client = client_of(&model).retry_budget(0).build().unwrap();
    let message = message();
    client.send(&message).await.unwrap();
    let receipt = client.send(&message).await.unwrap();
    assert_eq!(next_steps(receipt.attempts()), [NextStep::NewToken, NextStep::Done]);
    // If the service rejects all tokens, a send ends after it tried the new token twice.
    let model = Model::scripted([ScriptedOutcome::Revoked]);
    let client = client_of(&model).retry_budget(0).build().unwrap();
    assert_eq!(
        next_steps(send_error(&client).await.attempts()),
        [NextStep::NewToken, NextStep::TokenCooldown, NextStep::NotRetryable]
    );
}

#[tokio::test(start_paused = true)]
async fn retry_on_a_connection_that_was_already_closed_costs_no_budget() {
    for (outcome, next) in [
        (ScriptedOutcome::Closed, NextStep::Backoff),
        (ScriptedOutcome::NotProcessed, NextStep::RetryBudgetExhausted),
    ] {
        let model = Model::scripted([outcome.clone(), outcome, ok()]);
        let client = client_of(&model).retry_budget(0).build().unwrap();
        let sent = client.send(&message()).await;
        let attempts =
            sent.as_ref().map_or_else(|error| error.attempts(), |receipt| receipt.attempts());
        assert_eq!((attempts[0].delivery, attempts[0].next_step), (Delivery::NotSent, next));
        assert_eq!(sent.is_ok(), next == NextStep::Backoff);
    }
}

#[tokio::test(start_paused = true)]
async fn on_unknown_stop_sends_no_second_copy_after_a_503_without_retry_after() {
    for (retry_after, copies) in [(None, 1), (Some("soon"), 1), (Some("0"), 2), (Some("1.5"), 2)] {
        let retry_after = retry_after.map(str::to_owned);
        let reply = Reply { retry_after: retry_after.clone(), ..Reply::new(503) };
        let model = Model::scripted([ScriptedOutcome::Response(reply), ok()]);
        let client = client_of(&model).on_unknown(OnUnknown::Stop).build().unwrap();
        assert_eq!(client.send(&message()).await.is_ok(), copies == 2, "{retry_after:?}");
        assert_eq!(model.calls().len(), copies, "{retry_after:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_unknown_stop_ends_a_send_after_an_unknown_attempt() {
    let cut = ScriptedOutcome::Cut { accepted: true };
    let unknown = [
        cut,
        ScriptedOutcome::Hangs { accepted: false },
        responds(500),
        responds(503),
        responds(504),
    ];
    for outcome in unknown {
        let model = Model::scripted([ScriptedOutcome::NoConnection, responds(408), outcome, ok()]);
        let client = client_of(&model).on_unknown(OnUnknown::Stop).build().unwrap();
        let error = send_error(&client).await;
        assert_eq!(
            next_steps(error.attempts()),
            [NextStep::Backoff, NextStep::Backoff, NextStep::StoppedOnUnknown]
        );
        assert_eq!(error.delivery(), Delivery::Unknown);
        assert!(
            error.is_retryable() && error.to_string().contains("on_unknown is Stop"),
            "{error}"
        );
    }
    let model = Model::scripted([responds(500), ok()]);
    let client = client_of(&model).on_unknown(OnUnknown::Stop).build().unwrap();
    client.send(&message()).on_unknown(OnUnknown::Retry).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn custom_classifier_overrides_the_default() {
    let duplicate = Reply { body: r#"{"errorDetail":"duplicate of 7"}"#, ..Reply::new(409) };
    let model = Model::scripted([
        responds(403),
        ScriptedOutcome::NoConnection,
        ScriptedOutcome::Response(duplicate),
        responds(403),
    ]);
    let client = client_of(&model).max_attempts(3).classifier(|exchange| {
        assert_eq!(exchange.has_errors(), exchange.status().map(u16::from) == Some(409));
        match (
            exchange.status().map(u16::from),
            exchange.service_text(),
            exchange.transport_error(),
        ) {
            (Some(403), ..) => Classification::Transient,
            (Some(409), Some(text), _) if text.starts_with("duplicate") => Classification::Accepted,
            (None, _, Some(failure)) if !failure.may_have_arrived() => Classification::NotSent,
            _ => exchange.classification(),
        }
    });
    let client = client.build().unwrap();
    let receipt = client.send(&message()).await.unwrap();
    let results: Vec<_> = receipt
        .attempts()
        .iter()
        .map(|attempt| (attempt.status.map(u16::from), attempt.delivery))
        .collect();
    let expected = [
        (Some(403), Delivery::Rejected),
        (None, Delivery::NotSent),
        (Some(409), Delivery::Accepted),
    ];
    assert_eq!(results, expected);
    let error = receipt.attempts()[0].error.as_deref();
    assert_eq!(error, Some("the service responded with 403, which counts as transient"));
    assert_eq!(receipt.attempts()[2].error, None);
    let error = send_error(&client).await;
    assert_eq!((error.kind(), error.attempts().len()), (ErrorKind::Unavailable, 3));

    // This gateway warns in `Meta.Errors` about messages that it accepts.
    let warned = Reply { body: r#"{"Meta":{"Errors":[{"Text":"slow"}]}}"#, ..Reply::accepted() };
    let client =
        client_of(&Model::scripted([ScriptedOutcome::Response(warned)])).classifier(|exchange| {
            match (exchange.status().map(u16::from), exchange.has_errors()) {
                (Some(200), true) => Classification::Accepted,
                _ => exchange.classification(),
            }
        });
    client.build().unwrap().send(&message()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_respected_up_to_120_s_and_within_the_deadline() {
    // The token and the response take 50 ms, and 1 s is reserved for the next attempt.
    for (retry_after, deadline, next) in [
        ("120", 200_000, NextStep::RetryAfter),
        ("121", 200_000, NextStep::RetryAfterTooLong),
        ("9", 10_050, NextStep::RetryAfter),
        ("9", 10_049, NextStep::Deadline),
    ] {
        let model = Model::scripted([
            ScriptedOutcome::Response(Reply::new(503).retry_after(retry_after)),
            ok(),
        ]);
        let client = client_of(&model).deadline(Duration::from_millis(deadline)).build().unwrap();
        let sent = client.send(&message()).await;
        let attempts = sent.as_ref().map_or_else(Error::attempts, Receipt::attempts);
        assert_eq!(attempts[0].next_step, next, "{retry_after} s of {deadline} ms");
        assert_eq!(attempts.len(), if next == NextStep::RetryAfter { 2 } else { 1 });
    }
}

#[tokio::test(start_paused = true)]
async fn zero_deadline_sends_nothing() {
    let model = Model::scripted([ok()]);
    let client = client_of(&model).build().unwrap();
    let error = client.send(&message()).deadline(Duration::ZERO).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::NotSent));
    assert!(model.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn attempt_records_the_reason_of_its_delay() {
    let logged =
        Reply { body: r#"{"Meta":{"Logs":[{"ID":"7"}],"Errors":[{"ID":1}]}}"#, ..Reply::new(500) };
    let model = Model::scripted([
        ScriptedOutcome::Response(logged),
        ScriptedOutcome::Response(Reply::new(429).retry_after("7")),
        ScriptedOutcome::Revoked,
        ok(),
    ]);
    let client = client_of(&model).build().unwrap();
    let receipt = client.send(&message()).await.unwrap();
    let attempts = receipt.attempts();
    assert_eq!(
        next_steps(attempts),
        [NextStep::Backoff, NextStep::RetryAfter, NextStep::NewToken, NextStep::Done]
    );
    assert!(attempts.iter().all(|attempt| attempt.message_id == receipt.message_id()));
    assert_eq!(attempts[0].logs[0].id.as_deref(), Some("7"));
    assert_eq!(attempts[1].retry_after, Some(Duration::from_secs(7)));
    assert!(attempts[1].delay.unwrap() >= Duration::from_secs(7));
    assert_eq!(attempts[2].delay, Some(Duration::ZERO));
    // The token request took 30 ms. The third attempt reused the token, at least 7 s later.
    let ages: Vec<_> =
        attempts.iter().map(|attempt| attempt.token_age.unwrap().as_secs()).collect();
    assert!(attempts[0].token_age.unwrap() >= Duration::from_millis(30));
    assert!(ages[0] == 0 && (7..10).contains(&ages[2]) && ages[3] == 0, "{ages:?}");
    let last = attempts.last().unwrap();
    assert_eq!((last.delay, last.retry_after), (None, None));
}

#[tokio::test(start_paused = true)]
async fn the_first_delay_after_429_is_longer() {
    for (status, ceiling) in [(503, 250), (429, 1_000)] {
        let mut longest = Duration::ZERO;
        for seed in 0..200 {
            let model = Model::scripted([responds(status), ok()]);
            let client = client_of(&model).jitter_seed(seed).build().unwrap();
            let receipt = client.send(&message()).await.unwrap();
            longest = longest.max(receipt.attempts()[0].delay.unwrap());
        }
        let ceiling = Duration::from_millis(ceiling);
        assert!(longest <= ceiling && longest > ceiling / 2, "{status}: {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn transport_that_ignores_its_timeout_does_not_delay_a_send() {
    let model = Model::scripted([ScriptedOutcome::HangsForEver { accepted: true }]);
    let client = client_of(&model).deadline(Duration::from_secs(5)).build().unwrap();
    let began = Instant::now();
    let error = send_error(&client).await;
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Timeout, Delivery::Unknown));
    assert!(began.elapsed() < Duration::from_millis(5_100), "{:?}", began.elapsed());
}

/// Returns a client, and the list of the attempts that it reports.
fn observed(model: &Arc<Model>) -> (Client, Arc<Mutex<Vec<Attempt>>>) {
    let attempts = Arc::new(Mutex::new(Vec::new()));
    let kept = attempts.clone();
    let builder = client_of(model)
        .attempt_observer(move |attempt: &Attempt| kept.lock().unwrap().push(attempt.clone()));
    (builder.build().unwrap(), attempts)
}

#[tokio::test(start_paused = true)]
async fn observer_is_called_after_every_attempt() {
    let model = Model::scripted([responds(503), responds(500), responds(400)]);
    let (client, observed) = observed(&model);
    let error = send_error(&client).await;
    assert_eq!(*observed.lock().unwrap(), error.attempts());
    assert_eq!(
        next_steps(error.attempts()),
        [NextStep::Backoff, NextStep::Backoff, NextStep::NotRetryable]
    );
}

#[tokio::test(start_paused = true)]
async fn observer_is_called_for_the_attempt_in_flight_of_a_dropped_send() {
    let model = Model::scripted([responds(503), ScriptedOutcome::Hangs { accepted: true }]);
    let (client, observed) = observed(&model);
    let message = message();
    let send = async { client.send(&message).await };
    assert!(timeout(Duration::from_secs(10), send).await.is_err());
    let attempts = observed.lock().unwrap().clone();
    assert_eq!(next_steps(&attempts), [NextStep::Backoff, NextStep::Dropped]);
    assert_eq!(attempts[1].delivery, Delivery::Unknown, "the service may have the message");
    assert_eq!(attempts[1].message_id, attempts[0].message_id);
    assert!(attempts[1].elapsed > Duration::from_secs(9));

    // A send that waits for its token has sent no part of the message. Between two attempts, no
    // attempt is in flight.
    for (milliseconds, expected) in [
        (10, (NextStep::Dropped, Delivery::NotSent)),
        (100, (NextStep::RetryAfter, Delivery::Rejected)),
    ] {
        let model = Model::scripted([ScriptedOutcome::Response(Reply::new(429).retry_after("60"))]);
        let (client, observed) = self::observed(&model);
        let send = async { client.send(&message).await };
        assert!(timeout(Duration::from_millis(milliseconds), send).await.is_err());
        let results: Vec<_> = observed
            .lock()
            .unwrap()
            .iter()
            .map(|attempt| (attempt.next_step, attempt.delivery))
            .collect();
        assert_eq!(results, [expected]);
    }
}

#[tokio::test(start_paused = true)]
async fn observer_of_a_send_receives_its_attempts_in_addition_to_the_clients() {
    let outcomes = [responds(503), ScriptedOutcome::Hangs { accepted: true }, ok()];
    let model = Model::scripted(outcomes);
    let (client, of_client) = observed(&model);
    let of_send = Arc::new(Mutex::new(Vec::new()));
    let kept = of_send.clone();
    let message = message();
    let send = client
        .send(&message)
        .attempt_observer(move |attempt: &Attempt| kept.lock().unwrap().push(attempt.clone()));
    assert!(timeout(Duration::from_secs(10), send.into_future()).await.is_err());
    let attempts = of_send.lock().unwrap().clone();
    assert_eq!(next_steps(&attempts), [NextStep::Backoff, NextStep::Dropped]);
    assert_eq!(*of_client.lock().unwrap(), attempts);

    client.send(&message).await.unwrap();
    assert_eq!(of_client.lock().unwrap().len(), 3);
    assert_eq!(of_send.lock().unwrap().len(), 2, "the observer is of one send");
}

#[tokio::test(start_paused = true)]
async fn observer_that_panics_does_not_lose_the_message() {
    let model = Model::scripted([responds(503), ok()]);
    let client = client_of(&model).attempt_observer(|_: &Attempt| panic!("the observer panics"));
    let receipt = client.build().unwrap().send(&message()).await.unwrap();
    assert_eq!(receipt.attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn same_seed_gives_the_same_delays() {
    let delays = async |seed| {
        let model = Model::scripted([responds(500)]);
        let client = client_of(&model).jitter_seed(seed).build().unwrap();
        send_error(&client).await.attempts().iter().map(|attempt| attempt.delay).collect::<Vec<_>>()
    };
    assert_eq!(delays(7).await, delays(7).await);
    assert_ne!(delays(7).await, delays(8).await);
}

#[tokio::test(start_paused = true)]
async fn attempt_timeout_of_a_send_overrides_the_client_setting() {
    let model = Model::scripted([ScriptedOutcome::Hangs { accepted: false }]);
    let client = client_of(&model).build().unwrap();
    let message = message();
    let began = Instant::now();
    let send = client.send(&message).attempt_timeout(Duration::from_secs(2)).max_attempts(1);
    let error = send.await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Timeout, None));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let error = client.send(&message).attempt_timeout(Duration::ZERO).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.problems()[0].path()),
        (ErrorKind::Configuration, "attempt_timeout")
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_has_the_cause_and_the_status_of_the_last_attempt() {
    let client = |outcome| client_of(&Model::scripted([outcome])).max_attempts(1).build().unwrap();
    let message = message();
    let error = client(responds(503)).send(&message).await.unwrap_err();
    assert_eq!(error.status().map(u16::from), Some(503));
    assert!(std::error::Error::source(&error).is_none(), "a response arrived");

    let error = client(ScriptedOutcome::Cut { accepted: true }).send(&message).await.unwrap_err();
    let clone = error.clone();
    assert_eq!((clone.attempts(), clone.to_string()), (error.attempts(), error.to_string()));
    let cause =
        std::error::Error::source(&clone).and_then(|cause| cause.downcast_ref::<TransportError>());
    assert_eq!(cause.map(TransportError::kind), Some(TransportErrorKind::Interrupted));
    assert!(error.to_string().contains(&cause.unwrap().to_string()));
    assert_eq!(format!("{error:?}"), error.to_string(), "`main` prints this form");
    assert!(format!("{error:#?}").starts_with("Error {"));
}
