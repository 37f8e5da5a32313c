//! Work whose instructions `.ci/instructions` counts, one part in each run.
//!
//! Callgrind counts only within [`measured`], so each part is prepared and warmed up before. Times
//! differ from run to run, but these counts differ by less than 1 %.

mod ratios {
    pub mod slots;
}

use std::hint::black_box;

use pushslots::bytes::Bytes;
use pushslots::http::{HeaderMap, Request, StatusCode};
use pushslots::uuid::{Uuid, uuid};
use pushslots::{
    AccessToken, AuthError, Client, Credentials, PushSlots, Response, TokenRequest, TokenSource,
    Transport, TransportContext, TransportError,
};
use ratios::slots;

const SLOTS: usize = 2_000;
const PEOPLE: usize = 100;
const SLOTS_PER_SEND: usize = 4;
const DESTINATION: Uuid = uuid!("af394f14-b34a-464f-8d24-895f370af4c9");

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("encode") => encode(PEOPLE),
        Some("encode_many_records") => encode(SLOTS),
        Some("read") => read(PEOPLE),
        Some("read_many_records") => read(SLOTS),
        Some("validate") => validate(),
        Some("send") => send(),
        // `cargo test --all-targets` and `cargo bench` run this binary without a part.
        _ => {}
    }
}

/// Runs the work whose instructions are counted.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) {
    black_box(work());
}

fn message(slots: usize, people: usize) -> PushSlots {
    slots::messages(slots, slots, people).remove(0)
}

fn encode(people: usize) {
    let message = message(SLOTS, people);
    black_box(message.to_json());
    measured(|| message.to_json());
}

fn read(people: usize) {
    let json = message(SLOTS, people).to_json();
    measured(|| PushSlots::from_json(&json).unwrap());
}

fn validate() {
    // A record caches the result of its first validation.
    let json = message(SLOTS, SLOTS).to_json();
    let message = PushSlots::from_json(json).unwrap();
    measured(|| message.validate().unwrap());
}

fn send() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = Client::builder()
        .transport(Scripted)
        .credentials(Credentials::token_source(Fixed))
        .destination(DESTINATION)
        .build()
        .unwrap();
    let message = message(SLOTS_PER_SEND, PEOPLE);
    let send = || runtime.block_on(async { client.send(&message).await.unwrap() });
    send();
    measured(send);
}

struct Fixed;

impl TokenSource for Fixed {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        Ok(AccessToken::new("token"))
    }
}

/// A transport that responds at once, as the service does.
struct Scripted;

impl Transport for Scripted {
    async fn send(
        &self,
        _: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        let body = br#"{"Meta":{"DataModel":"Scheduling","EventType":"PushSlots","Logs":[{"ID":"d9f5d293-7110-461e-a875-3beb089e79f3","AttemptID":"925d1617-2fe0-468c-a14c-f8c04b572c54"}]}}"#;
        Ok(Response::new(StatusCode::OK, HeaderMap::new(), Ok(Bytes::from_static(body))))
    }
}
