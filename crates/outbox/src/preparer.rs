//! Prepares messages without sending them.

use pushslots::bytes::Bytes;
use pushslots::http::Request;
use pushslots::{
    Client, ClientBuilder, Credentials, Error, Response, Transport, TransportContext,
    TransportError, TransportErrorKind,
};
use serde::Deserialize;
use uuid::Uuid;

use crate::body::digest_of;
use crate::enqueue::MAX_NAME;
use crate::time::Timestamp;
use pushslots::chrono::{DateTime, Utc};

/// A transport that never sends anything. Preparing a message makes no request.
struct NoTransport;

impl Transport for NoTransport {
    async fn send(
        &self,
        _: Request<Bytes>,
        _: TransportContext,
    ) -> Result<Response, TransportError> {
        Err(TransportError::not_sent(TransportErrorKind::Connect))
    }
}

/// Builds a client that only prepares messages. It needs no credentials and opens no connection.
pub(crate) fn build(settings: ClientBuilder) -> Result<Client, Error> {
    let unused = Credentials::api_key("outbox", "outbox");
    settings.transport(NoTransport).credentials(unused).build()
}

/// The parts of a message that determine its lane and its expiry.
#[derive(Deserialize)]
struct Outline {
    #[serde(rename = "Meta")]
    meta: OutlineMeta,
    #[serde(rename = "Slots", default)]
    slots: Vec<OutlineSlot>,
}

#[derive(Deserialize)]
struct OutlineMeta {
    #[serde(rename = "Destinations", default)]
    destinations: Vec<OutlineDestination>,
}

impl OutlineMeta {
    fn sorted_ids(&self) -> Vec<Uuid> {
        let mut ids: Vec<_> = self.destinations.iter().filter_map(|to| to.id).collect();
        ids.sort();
        ids
    }
}

#[derive(Deserialize)]
struct OutlineDestination {
    #[serde(rename = "ID")]
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct OutlineSlot {
    #[serde(rename = "DateTime")]
    date_time: Option<DateTime<Utc>>,
}

/// Returns the destinations of an encoded message.
#[cfg(feature = "metrics")]
pub(crate) fn destinations(body: &[u8]) -> Vec<Uuid> {
    #[derive(Deserialize)]
    struct Head {
        #[serde(rename = "Meta")]
        meta: OutlineMeta,
    }
    serde_json::from_slice(body).map_or_else(|_| Vec::new(), |Head { meta }| meta.sorted_ids())
}

/// Returns the default lane of an encoded message, which is named by its destinations, or by their
/// digest if there are many, and the start of its last slot.
pub(crate) fn lane_and_last_start(body: &[u8]) -> (String, Option<Timestamp>) {
    // A message that can't be outlined still has a lane. The worker reports what is wrong.
    let Ok(Outline { meta, slots }) = serde_json::from_slice(body) else {
        return (String::new(), None);
    };
    let ids = meta.sorted_ids();
    let lane = ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(",");
    let lane = match lane.len() {
        ..=MAX_NAME => lane,
        _ => format!("{} destinations, {}", ids.len(), hex(&digest_of(lane.as_bytes()))),
    };
    (lane, slots.iter().filter_map(|slot| slot.date_time).max().map(Timestamp::from))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
