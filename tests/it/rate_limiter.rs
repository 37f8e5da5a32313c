//! Shared rate limiters, permits acquired in advance, and external limiters.

use std::future::{IntoFuture, pending};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use pushslots::{
    Delivery, ErrorKind, Permit, PermitError, PermitRequest, PermitSource, RateLimiter,
};
use support::batch::{accepted, slots};
use support::message;
use support::model::{Model, Reply, ScriptedOutcome, client_of, ok, responds};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A permit source that the test controls. It records its calls.
#[derive(Default)]
struct ControlledSource {
    requests: Mutex<Vec<PermitRequest>>,
    /// For each released permit, whether its request may have left.
    released: Arc<Mutex<Vec<bool>>>,
    throttled: Mutex<Vec<Duration>>,
    is_down: AtomicBool,
    /// The wait that it returns instead of a permit.
    wait: Mutex<Option<Duration>>,
    /// Whether its calls never return.
    hangs: AtomicBool,
}

impl PermitSource for ControlledSource {
    async fn permit(&self, request: &PermitRequest) -> Result<Permit, PermitError> {
        self.requests.lock().unwrap().push(*request);
        if self.hangs.load(Ordering::Relaxed) {
            return pending().await;
        }
        if self.is_down.load(Ordering::Relaxed) {
            return Err(PermitError::failed("the database can't be reached"));
        }
        if let Some(wait) = *self.wait.lock().unwrap() {
            return Err(PermitError::no_room(wait));
        }
        let released = self.released.clone();
        Ok(Permit::new()
            .on_release(move |may_have_left| released.lock().unwrap().push(may_have_left)))
    }

    fn throttled(&self, delay: Duration) {
        self.throttled.lock().unwrap().push(delay);
    }
}

#[tokio::test(start_paused = true)]
async fn requests_of_an_earlier_process_count_until_one_window_after_their_end() {
    sleep(MINUTE).await;
    let limiter = RateLimiter::new(4, MINUTE);
    // In any order, and more than the limit allows: only the last four matter.
    limiter.count_earlier(1, 20 * SECOND);
    limiter.count_earlier(u32::MAX, 40 * SECOND);
    limiter.count_earlier(1, 10 * SECOND);
    limiter.count_earlier(3, 61 * SECOND);
    let old = RateLimiter::new(4, MINUTE);
    old.count_earlier(4, 61 * SECOND);
    let began = Instant::now();
    let mut permits = vec![old.permit().await.unwrap()];
    for seconds in [20, 20, 40, 50] {
        permits.push(limiter.permit().await.unwrap());
        let waited = began.elapsed();
        let expected = seconds * SECOND;
        assert!(waited >= expected && waited < expected + Duration::from_millis(5), "{waited:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clients_that_share_a_limiter_share_its_permits() {
    let limiter = RateLimiter::new(4, MINUTE);
    let models = [Model::scripted([ok()]), Model::scripted([ok()])];
    let clients = models
        .each_ref()
        .map(|model| client_of(model).rate_limiter(limiter.clone()).build().unwrap());
    let began = Instant::now();
    let message = message();
    // A token and a message for each client.
    join_all(clients.iter().map(|client| async { client.send(&message).await.unwrap() })).await;
    assert!(began.elapsed() < SECOND);
    clients[0].send(&message).await.unwrap();
    assert!(began.elapsed() >= MINUTE, "the limit allows four requests");
}

#[tokio::test(start_paused = true)]
async fn a_429_of_one_client_makes_the_others_wait() {
    let limiter = RateLimiter::new(1_000, MINUTE);
    let throttled =
        Model::scripted([ScriptedOutcome::Response(Reply::new(429).retry_after("30")), ok()]);
    let other = Model::scripted([ok()]);
    let [first, second] = [&throttled, &other]
        .map(|model| client_of(model).rate_limiter(limiter.clone()).build().unwrap());
    let began = Instant::now();
    let message = message();
    let send = async { first.send(&message).await.unwrap() };
    let later = async {
        sleep(SECOND).await;
        second.send(&message).await.unwrap();
        assert!(began.elapsed() >= 30 * SECOND, "{:?}", began.elapsed());
    };
    tokio::join!(send, later);
}

#[tokio::test(start_paused = true)]
async fn send_uses_a_permit_acquired_in_advance() {
    let limiter = RateLimiter::new(3, MINUTE);
    let model = Model::scripted([ok()]);
    let client = client_of(&model).rate_limiter(limiter.clone()).build().unwrap();
    client.check().await.unwrap();
    let first = limiter.permit().await.unwrap();
    let second = limiter.permit().await.unwrap();
    let began = Instant::now();
    client.send(&message()).permit(first).await.unwrap();
    assert!(began.elapsed() < SECOND, "the send uses its permit");
    // An unused permit is available to another request.
    drop(second);
    client.send(&message()).await.unwrap();
    assert!(began.elapsed() < SECOND);
    let error = client.send(&message()).deadline(10 * SECOND).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Throttled, "the limit allows three requests");
}

#[tokio::test(start_paused = true)]
async fn permit_of_another_limiter_is_an_error_and_nothing_is_sent() {
    let model = Model::scripted([ok()]);
    let own = RateLimiter::new(10, MINUTE);
    let builder = client_of(&model).rate_limiter(own.clone());
    for client in [builder.clone().build().unwrap(), builder.without_rate_limit().build().unwrap()]
    {
        let permit = RateLimiter::new(10, MINUTE).permit().await.unwrap();
        let error = client.send(&message()).permit(permit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        assert_eq!(error.problems()[0].path(), "permit");
    }
    assert_eq!((model.calls().len(), model.token_requests()), (0, 0));
    // A clone of the limiter counts as the same limiter.
    let client = client_of(&model).rate_limiter(own.clone()).build().unwrap();
    client.send(&message()).permit(own.permit().await.unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn permit_of_the_clients_own_limiter_is_used_for_a_send() {
    let model = Model::scripted([ok()]);
    let client = client_of(&model).rate_limit(3, MINUTE).build().unwrap();
    let limiter = client.rate_limiter().unwrap();
    client.check().await.unwrap();
    let permit = limiter.permit().await.unwrap();
    client.send(&message()).permit(permit).await.unwrap();
    // A token request, the message, and one permit left.
    assert_eq!(client.metrics().rate_limit_remaining, Some(1));
    let unlimited = client_of(&model).without_rate_limit().build().unwrap();
    assert!(unlimited.rate_limiter().is_none());
}

#[tokio::test(start_paused = true)]
async fn rate_out_of_range_is_a_configuration_error() {
    let model = Model::scripted([ok()]);
    for limiter in [RateLimiter::new(1, MINUTE), RateLimiter::new(2, Duration::ZERO)] {
        let error = client_of(&model).rate_limiter(limiter).build().unwrap_err();
        assert_eq!(error.problems()[0].path(), "rate_limiter");
    }
}

#[tokio::test(start_paused = true)]
async fn source_grants_a_permit_for_every_request_and_gets_it_back() {
    let source = Arc::new(ControlledSource::default());
    let model = Model::scripted([ScriptedOutcome::NoConnection, ok()]);
    let client =
        client_of(&model).rate_limiter(RateLimiter::from_source(source.clone())).build().unwrap();
    client.send(&message()).deadline(100 * SECOND).await.unwrap();
    let requests = source.requests.lock().unwrap();
    let kinds: Vec<_> = requests.iter().map(|request| request.is_for_token).collect();
    assert_eq!(
        kinds,
        [false, true, false, false],
        "a message, its token, and two attempts for the message"
    );
    assert!(
        requests
            .iter()
            .all(|request| request.timeout.is_some_and(|timeout| timeout <= 100 * SECOND))
    );
    let released = source.released.lock().unwrap();
    assert_eq!(
        *released,
        [false, true, false, true],
        "the first permit was unused, and the first attempt made no connection"
    );
}

#[tokio::test(start_paused = true)]
async fn source_is_notified_of_a_429() {
    let source = Arc::new(ControlledSource::default());
    let model = Model::scripted([
        ScriptedOutcome::Response(Reply::new(429).retry_after("7")),
        responds(429),
        ok(),
    ]);
    let client =
        client_of(&model).rate_limiter(RateLimiter::from_source(source.clone())).build().unwrap();
    client.send(&message()).await.unwrap();
    assert_eq!(*source.throttled.lock().unwrap(), [7 * SECOND, SECOND]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_ends_a_send_before_anything_is_sent() {
    let source = Arc::new(ControlledSource::default());
    source.is_down.store(true, Ordering::Relaxed);
    let model = Model::scripted([ok()]);
    let limiter = RateLimiter::from_source(source.clone());
    let client = client_of(&model).rate_limiter(limiter.clone()).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::RateLimiter, Delivery::NotSent));
    assert!(error.is_retryable() && error.attempts().is_empty());
    assert_eq!(
        error.to_string(),
        "abandoned because the rate limiter failed: the database can't be reached; the message never reached the service"
    );
    assert_eq!((model.calls().len(), model.token_requests()), (0, 0));
    let error = limiter.permit().await.unwrap_err();
    assert_eq!(
        (error.to_string().as_str(), error.retry_after()),
        ("the database can't be reached", None)
    );
}

#[tokio::test(start_paused = true)]
async fn source_without_room_ends_a_send_and_reports_the_wait() {
    let source = Arc::new(ControlledSource::default());
    *source.wait.lock().unwrap() = Some(400 * SECOND);
    let model = Model::scripted([ok()]);
    let client =
        client_of(&model).rate_limiter(RateLimiter::from_source(source.clone())).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::Throttled, Some(400 * SECOND)));
    assert_eq!(model.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn publication_can_be_stopped_during_a_huge_wait_of_a_source() {
    let error = PermitError::no_room(Duration::from_secs(u64::MAX / 4));
    let model = Model::scripted([ok()]);
    let client = client_of(&model)
        .rate_limiter(RateLimiter::from_source(OnlyMessages(error)))
        .build()
        .unwrap();
    let publication = client.publish(slots(0..1)).max_attempts(1).patience(Duration::MAX);
    let handle = publication.handle();
    let stop = async {
        sleep(10 * MINUTE).await;
        handle.stop();
    };
    let (stopped, ()) = tokio::join!(publication, stop);
    let stopped = stopped.unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Stopped, "the publication waits until it is stopped");
    assert!(stopped.report().resume_point().is_some());
}

#[tokio::test(start_paused = true)]
async fn source_that_never_decides_delays_a_send_until_its_deadline() {
    let source = Arc::new(ControlledSource::default());
    source.hangs.store(true, Ordering::Relaxed);
    let model = Model::scripted([ok()]);
    let client = client_of(&model).rate_limiter(RateLimiter::from_source(source)).build().unwrap();
    let began = Instant::now();
    let error = client.send(&message()).deadline(10 * SECOND).await.unwrap_err();
    assert_eq!((error.kind(), model.calls().len()), (ErrorKind::Throttled, 0));
    assert!(began.elapsed() <= 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_publication_waits_out_a_source_that_fails() {
    let source = Arc::new(ControlledSource::default());
    source.is_down.store(true, Ordering::Relaxed);
    let model = Model::scripted([ok()]);
    let client =
        client_of(&model).rate_limiter(RateLimiter::from_source(source.clone())).build().unwrap();
    let slots = slots(0..6);
    let publication = client.publish(&slots).slots_per_message(2);
    let recovery = async {
        sleep(5 * MINUTE).await;
        source.is_down.store(false, Ordering::Relaxed);
        *source.wait.lock().unwrap() = Some(3 * SECOND);
        sleep(2 * MINUTE).await;
        *source.wait.lock().unwrap() = None;
    };
    let (report, ()) = tokio::join!(publication, recovery);
    assert_eq!(report.unwrap().run().accepted_slots, 6);
    assert_eq!(accepted(&model), (0..6).collect::<Vec<_>>());
}

/// A permit source that limits the number of concurrent requests.
struct ConcurrencyLimit(Arc<Semaphore>);

impl PermitSource for ConcurrencyLimit {
    async fn permit(&self, _: &PermitRequest) -> Result<Permit, PermitError> {
        let slot = self.0.clone().acquire_owned().await.unwrap();
        Ok(Permit::new().on_release(move |_| drop(slot)))
    }
}

#[tokio::test(start_paused = true)]
async fn sends_that_wait_for_a_token_hold_no_permits_of_a_source() {
    let model = Model::scripted(
        std::iter::repeat_n(ok(), 10).chain([ScriptedOutcome::Revoked]).chain([ok()]),
    );
    let limiter = RateLimiter::from_source(ConcurrencyLimit(Arc::new(Semaphore::new(2))));
    let client = client_of(&model).rate_limiter(limiter).build().unwrap();
    let message = message();
    let began = Instant::now();
    let results = join_all((0..40).map(|_| client.send(&message).into_future())).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(began.elapsed() < 5 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn source_that_fails_for_token_requests_is_not_reported_as_a_timeout() {
    for (error, kind) in [
        (PermitError::failed("down"), ErrorKind::RateLimiter),
        (PermitError::no_room(2 * SECOND), ErrorKind::Throttled),
    ] {
        let model = Model::scripted([ok()]);
        let limiter = RateLimiter::from_source(OnlyMessages(error.clone()));
        let client = client_of(&model).rate_limiter(limiter).max_attempts(1).build().unwrap();
        for failed in
            [client.check().await.unwrap_err(), client.send(&message()).await.unwrap_err()]
        {
            assert_eq!((failed.kind(), failed.is_retryable()), (kind, true), "{failed}");
            assert!(!failed.to_string().contains("time ran out"), "{failed}");
            assert!(failed.retry_after() >= error.retry_after(), "{:?}", failed.retry_after());
        }
        assert_eq!((model.token_requests(), model.calls().len()), (0, 0));
    }
}

/// A permit source that fails with this error for token requests.
struct OnlyMessages(PermitError);

impl PermitSource for OnlyMessages {
    async fn permit(&self, request: &PermitRequest) -> Result<Permit, PermitError> {
        if request.is_for_token { Err(self.0.clone()) } else { Ok(Permit::new()) }
    }
}

#[tokio::test(start_paused = true)]
async fn source_that_grants_at_once_delays_no_publication() {
    let model = Model::scripted([ok()]);
    let limiter = RateLimiter::from_source(Arc::new(ControlledSource::default()));
    let client = client_of(&model).rate_limiter(limiter).build().unwrap();
    let mut waits = 0;
    let publication = client.publish(slots(0..6)).slots_per_message(2);
    publication
        .on_progress(|progress| waits += usize::from(progress.wait.is_some()))
        .await
        .unwrap();
    assert_eq!(waits, 0);
}

#[tokio::test(start_paused = true)]
async fn panic_of_a_source_loses_no_response() {
    struct Panicking;
    impl PermitSource for Panicking {
        async fn permit(&self, _: &PermitRequest) -> Result<Permit, PermitError> {
            Ok(Permit::new().on_release(|_| panic!("on release")))
        }

        fn throttled(&self, _: Duration) {
            panic!("on a 429");
        }
    }
    let model = Model::scripted([responds(429), ok()]);
    let client =
        client_of(&model).rate_limiter(RateLimiter::from_source(Panicking)).build().unwrap();
    assert_eq!(client.send(&message()).await.unwrap().attempts().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_limiter_with_an_invalid_rate_gives_no_permit() {
    for limiter in [RateLimiter::new(0, MINUTE), RateLimiter::new(5, Duration::MAX)] {
        let error = limiter.permit().await.unwrap_err();
        assert!(error.to_string().starts_with("the rate must"), "{error}");
    }
}

/// A rate limit per customer within a shared one.
struct Nested {
    own: RateLimiter,
    shared: RateLimiter,
    granted: AtomicUsize,
}

impl PermitSource for Nested {
    async fn permit(&self, _: &PermitRequest) -> Result<Permit, PermitError> {
        let own = self.own.permit().await?;
        let shared = self.shared.permit().await?;
        self.granted.fetch_add(1, Ordering::Relaxed);
        // Both permits are released at the end of the request.
        Ok(shared.on_release(move |_| drop(own)))
    }

    fn throttled(&self, delay: Duration) {
        self.shared.throttled(delay);
    }
}

#[tokio::test(start_paused = true)]
async fn source_can_forward_a_429_to_the_limiter_it_wraps() {
    let own = RateLimiter::new(100, MINUTE);
    let shared = RateLimiter::new(100, MINUTE);
    let source = Nested { own, shared: shared.clone(), granted: AtomicUsize::new(0) };
    let model =
        Model::scripted([ScriptedOutcome::Response(Reply::new(429).retry_after("30")), ok()]);
    let client = client_of(&model)
        .rate_limiter(RateLimiter::from_source(source))
        .max_attempts(1)
        .build()
        .unwrap();
    client.send(&message()).await.unwrap_err();
    let began = Instant::now();
    drop(shared.permit().await.unwrap());
    assert!(began.elapsed() >= 29 * SECOND, "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn source_can_wrap_other_limiters() {
    let own = RateLimiter::new(100, MINUTE);
    let shared = RateLimiter::new(3, MINUTE);
    let source = Arc::new(Nested { own, shared: shared.clone(), granted: AtomicUsize::new(0) });
    let model = Model::scripted([ok()]);
    let client =
        client_of(&model).rate_limiter(RateLimiter::from_source(source.clone())).build().unwrap();
    let began = Instant::now();
    client.send(&message()).await.unwrap();
    client.send(&message()).await.unwrap();
    assert!(began.elapsed() < SECOND);
    assert_eq!(
        source.granted.load(Ordering::Relaxed),
        4,
        "a token, two messages, and the unused permit of a message that waited for the token"
    );
    client.send(&message()).deadline(2 * MINUTE).await.unwrap();
    assert!(began.elapsed() >= MINUTE, "the shared limit allows three requests");
}
