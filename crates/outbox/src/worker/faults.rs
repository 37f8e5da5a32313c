//! A worker whose storage fails.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use futures_util::future::join_all;
use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use pushslots::{
    AccessToken, AuthError, Client, Credentials, Delivery, PushSlots, Response, Slot, TokenRequest,
    TokenSource, Transport, TransportContext, TransportError,
};
use uuid::Uuid;

use crate::outbox::{Outbox, Storage};
use crate::preparer;
use crate::retention::Retention;
use crate::store::redb::RedbStore;
use crate::store::redb::faults::{Fault, Faulty};
use crate::{EntryAttempt, EntryState};

/// Accepts messages, and counts their arrivals.
#[derive(Clone, Default)]
struct Service(Arc<Mutex<HashMap<Uuid, usize>>>);

impl Transport for Service {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        let id = request.headers()["idempotency-key"].to_str().unwrap().parse().unwrap();
        *self.0.lock().unwrap().entry(id).or_default() += 1;
        let body = format!(
            r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots","Logs":[{{"ID":"{id}","AttemptID":"{id}"}}]}}}}"#
        );
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
        Ok(Response::new(StatusCode::OK, headers, Ok(body.into())))
    }
}

struct FixedToken;

impl TokenSource for FixedToken {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        Ok(AccessToken::new("token"))
    }
}

fn message() -> PushSlots {
    PushSlots::builder().slot(Slot::new(Utc::now() + TimeDelta::days(1), 15)).build().unwrap()
}

/// Delivers messages while the storage's operation number `operation` fails. Returns whether one
/// did.
async fn deliver_with_fault(operation: u64) -> bool {
    let backend = Faulty::default();
    let store = Arc::new(RedbStore::with_backend(backend.clone()).unwrap());
    let storage = Storage { store, keys: None, retention: Retention::default() };
    let destination = Uuid::from_u128(1);
    let preparer = preparer::build(Client::builder().destination(destination)).unwrap();
    let outbox = Outbox::start(storage, preparer, Arc::new(Utc::now)).await.unwrap();
    let mut ids = Vec::new();
    for number in 0..4 {
        let entry = outbox.enqueue(&message()).lane(format!("lane {}", number % 2)).await.unwrap();
        ids.push(entry.message_id());
    }
    backend.plan(Fault::Any, operation);

    let service = Service::default();
    let client = Client::builder()
        .transport(service.clone())
        .credentials(Credentials::token_source(FixedToken))
        .build()
        .unwrap();
    let worker = outbox.worker(&client).concurrency(2).start().unwrap();
    for id in &ids {
        // Reading may fail too.
        while let Err(error) = outbox.wait_for(*id).await {
            assert!(matches!(error, crate::OutboxError::Storage(_)), "{error}");
        }
    }
    worker.shutdown(Duration::from_secs(10)).await;
    let arrivals = service.0.lock().unwrap().clone();
    let has_failed = backend.repair();
    for id in ids {
        let details = outbox.entry(id).await.unwrap().unwrap();
        assert_eq!(details.entry().state(), EntryState::Accepted, "operation {operation}");
        let is_unknown = |attempt: &&EntryAttempt| match attempt {
            EntryAttempt::Sent(attempt) => attempt.delivery == Delivery::Unknown,
            _ => true,
        };
        let unknown = details.attempts().iter().filter(is_unknown).count();
        let copies = arrivals.get(&id).copied().unwrap_or(0);
        assert!((1..=1 + unknown).contains(&copies), "operation {operation}: {copies} copies");
        let sent = details.attempts().len();
        assert_eq!(sent, copies, "operation {operation}: each attempt is listed once");
    }
    has_failed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_storage_neither_loses_nor_repeats_a_message() {
    // After a failure the worker waits a second, so the outboxes run at the same time.
    let failed = join_all((0..60).map(deliver_with_fault)).await;
    let failures = failed.iter().filter(|has_failed| **has_failed).count();
    println!("{failures} of {} storages failed", failed.len());
    assert!(failures > 40, "{failures} storages failed");
}
