//! Compares publishing and sending with handwritten code, and with the wire alone.
//!
//! All sides send from this thread, over reqwest connections, to one service on its own thread.
//!
//! * The handwritten side is one reqwest client, structs built from the same records, serde derive,
//!   `to_vec`, a POST, and parsing the response. The wire alone is the same client with bytes that
//!   were encoded before. It reads the response without parsing it.
//! * `publish_…` is 500,000 slots of 100 providers and 100 rooms, with 500 slots per message, one
//!   message after the other.
//! * `publish_vs_handwritten` includes the time to build the slots, on both sides. For
//!   `publish_vs_wire` they are built before.
//! * `publish_vs_encode_and_post` compares the same publication with a loop that only encodes such
//!   messages with the SDK and sends them as the wire alone does. The publication also validates
//!   and hashes the slots, and keeps receipts. But it reuses buffers, and encodes the next message
//!   while the previous one waits for its response.
//! * `send_…` is 4 slots per message: messages a second with 32 in flight, and the median time with
//!   one in flight.
//! * `publish_peak_mib` is the most heap in use while 10,000,000 slots from an iterator are
//!   published as a stream. It includes the heap of the service and the receipts of 20,000
//!   messages.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use pushslots::bytes::Bytes;
use pushslots::uuid::{Uuid, uuid};
use pushslots::{
    AccessToken, AuthError, Client, Credentials, PushSlots, Slot, TokenRequest, TokenSource,
};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};

use super::{owned, service, slots};
use crate::{HEAP, print};

const SLOTS: usize = 500_000;
const SLOTS_PER_MESSAGE: usize = 500;
const STREAMED_SLOTS: usize = 10_000_000;
const PEOPLE: usize = 100;
const ROUNDS: usize = 7;
const SMALL: usize = 4;
const SENDS: usize = 5_000;
const SEND_ROUNDS: usize = 21;
const LATENCY_ROUNDS: usize = 10;
const IN_FLIGHT: usize = 32;
pub const DESTINATION: Uuid = uuid!("af394f14-b34a-464f-8d24-895f370af4c9");

struct Fixed;

impl TokenSource for Fixed {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        Ok(AccessToken::new("token"))
    }
}

/// The handwritten side.
pub struct ByHand {
    http: reqwest::Client,
    url: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    meta: ResponseMeta,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ResponseMeta {
    logs: Vec<Log>,
}

#[derive(Deserialize)]
struct Log {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "AttemptID")]
    attempt_id: String,
}

impl ByHand {
    pub fn new(address: SocketAddr) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { http, url: format!("http://{address}/endpoint") }
    }

    async fn post(&self, body: impl Into<reqwest::Body>) -> Bytes {
        let request = self
            .http
            .post(&self.url)
            .bearer_auth("token")
            .header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap();
        response.error_for_status().unwrap().bytes().await.unwrap()
    }

    pub async fn send(&self, message: &owned::Message) {
        let response = self.post(owned::to_json(message)).await;
        let response: Response = serde_json::from_slice(&response).unwrap();
        assert!(
            response.meta.logs.iter().all(|log| !log.id.is_empty() && !log.attempt_id.is_empty())
        );
    }
}

/// Returns a client of the service at `address`, in effect without a rate limit.
pub fn client(address: SocketAddr) -> Client {
    Client::builder()
        .base_url(format!("http://{address}"))
        .credentials(Credentials::token_source(Fixed))
        .destination(DESTINATION)
        .rate_limit(u32::MAX, Duration::from_secs(1))
        .build()
        .unwrap()
}

pub fn run() {
    let address = service::start(Duration::ZERO);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let client = client(address);
    let by_hand = ByHand::new(address);
    publish(&runtime, &client, &by_hand);
    runtime.block_on(send(&client, &by_hand));
    print("publish_peak_mib", runtime.block_on(peak_mib(&client)));
}

fn publish(runtime: &Runtime, client: &Client, by_hand: &ByHand) {
    let records = slots::Records::new(PEOPLE);
    let owned_records = owned::Records::new(PEOPLE);
    let built: Vec<_> = records.slots(0..SLOTS).collect();
    let messages = slots::messages(SLOTS, SLOTS_PER_MESSAGE, PEOPLE);
    let ready: Vec<_> = messages.iter().map(|message| Bytes::from(message.to_json())).collect();
    let published = async |slots: Vec<Slot>| {
        let report = client.publish(slots).slots_per_message(SLOTS_PER_MESSAGE).await.unwrap();
        assert_eq!(
            (report.run().accepted_slots, report.receipts().len()),
            (SLOTS, SLOTS / SLOTS_PER_MESSAGE)
        );
    };
    let rounds: Vec<[f64; 5]> = (0..ROUNDS)
        .map(|_| {
            [
                seconds(|| {
                    runtime.block_on(async { published(records.slots(0..SLOTS).collect()).await })
                }),
                seconds(|| {
                    runtime.block_on(async {
                        for first in (0..SLOTS).step_by(SLOTS_PER_MESSAGE) {
                            by_hand
                                .send(&owned_records.message(
                                    first,
                                    SLOTS_PER_MESSAGE,
                                    &[DESTINATION],
                                ))
                                .await;
                        }
                    });
                }),
                seconds(|| {
                    runtime.block_on(async {
                        let report = client
                            .publish(&built)
                            .slots_per_message(SLOTS_PER_MESSAGE)
                            .await
                            .unwrap();
                        assert_eq!(report.run().accepted_slots, SLOTS);
                    });
                }),
                seconds(|| {
                    runtime.block_on(async {
                        for message in &messages {
                            by_hand.post(message.to_json()).await;
                        }
                    });
                }),
                seconds(|| {
                    runtime.block_on(async {
                        for body in &ready {
                            by_hand.post(body.clone()).await;
                        }
                    });
                }),
            ]
        })
        .collect();
    let [publish, handwritten, built, encode_and_post, wire] = medians(&rounds);
    print("publish_vs_handwritten", publish / handwritten);
    print("publish_vs_wire", built / wire);
    print("publish_vs_encode_and_post", built / encode_and_post);
}

async fn send(client: &Client, by_hand: &ByHand) {
    let ours: Vec<_> = slots::messages(SENDS * SMALL, SMALL, PEOPLE);
    let records = owned::Records::new(PEOPLE);
    let their = |first| records.message(first, SMALL, &[DESTINATION]);
    let theirs: Vec<_> = (0..SENDS * SMALL).step_by(SMALL).map(their).collect();
    let send_ours = async |message: &PushSlots| drop(client.send(message).await.unwrap());
    let mut rounds = Vec::new();
    for _ in 0..SEND_ROUNDS {
        let began = Instant::now();
        stream::iter(&ours).map(send_ours).buffer_unordered(IN_FLIGHT).collect::<()>().await;
        let ours = began.elapsed().as_secs_f64();
        let began = Instant::now();
        stream::iter(&theirs)
            .map(|message| by_hand.send(message))
            .buffer_unordered(IN_FLIGHT)
            .collect::<()>()
            .await;
        rounds.push([ours, began.elapsed().as_secs_f64()]);
    }
    let [mine, hand] = medians(&rounds);
    print("send_vs_handwritten", hand / mine);

    let mut times = [Vec::new(), Vec::new()];
    for turn in 0..LATENCY_ROUNDS * SENDS {
        let began = Instant::now();
        let index = turn / 2 % SENDS;
        // Each side has the first turn of every other pair.
        let is_mine = matches!(turn % 4, 0 | 3);
        match is_mine {
            true => send_ours(&ours[index]).await,
            false => by_hand.send(&theirs[index]).await,
        }
        times[usize::from(!is_mine)].push(began.elapsed().as_secs_f64());
    }
    let [mine, hand] = times.map(median);
    print("send_latency_vs_handwritten", mine / hand);
}

/// Returns the most heap in use while slots from an iterator are published. Samples the heap
/// whenever a slot is taken from the iterator.
async fn peak_mib(client: &Client) -> f64 {
    let before = HEAP.allocated();
    let peak = Arc::new(AtomicUsize::new(0));
    let seen = peak.clone();
    let records = slots::Records::new(PEOPLE);
    let slots = records.slots(0..STREAMED_SLOTS).inspect(move |_| {
        seen.fetch_max(HEAP.allocated() - before, Ordering::Relaxed);
    });
    let report = client
        .publish_stream(stream::iter(slots))
        .slots_per_message(SLOTS_PER_MESSAGE)
        .await
        .unwrap();
    assert_eq!(report.run().accepted_slots, STREAMED_SLOTS);
    peak.load(Ordering::Relaxed) as f64 / f64::from(1 << 20)
}

fn seconds(work: impl FnOnce()) -> f64 {
    let began = Instant::now();
    work();
    began.elapsed().as_secs_f64()
}

fn medians<const SIDES: usize>(rounds: &[[f64; SIDES]]) -> [f64; SIDES] {
    std::array::from_fn(|side| median(rounds.iter().map(|round| round[side]).collect()))
}

pub fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
