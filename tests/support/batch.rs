//! Slots to publish, a service that receives them, and the messages that arrived there.

use std::ops::Range;
use std::sync::Arc;

use pushslots::bytes::Bytes;
use pushslots::chrono::{TimeDelta, TimeZone, Utc};
use pushslots::uuid::Uuid;
use pushslots::{Client, Location, Provider, Slot};
use serde_json::Value;

use super::model::{Call, Model, ScriptedOutcome, client_of};

/// Returns a service that plays these outcomes, and a client of it.
pub fn serve(outcomes: impl IntoIterator<Item = ScriptedOutcome>) -> (Arc<Model>, Client) {
    let model = Model::scripted(outcomes);
    let client = client_of(&model).build().unwrap();
    (model, client)
}

/// Returns slots with different ids and times that share a provider and a room.
pub fn slots(numbers: Range<usize>) -> Vec<Slot> {
    let provider = Provider::new().id("4356789876", "NPI").name("Pat", "Granite").share();
    let room = Location::new().facility("RES General Hospital").room("136").share();
    let first = Utc.with_ymd_and_hms(2026, 12, 1, 8, 0, 0).unwrap();
    let slot = |number: usize| {
        let time = first + TimeDelta::minutes(15 * number as i64);
        Slot::new(time, 15).id(number.to_string()).provider(&provider).location(&room)
    };
    numbers.map(slot).collect()
}

/// A message as it arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub message_id: Uuid,
    pub accepted: bool,
    pub body: Bytes,
    pub batch_id: Option<String>,
    pub current: Option<String>,
    pub total: Option<String>,
    /// The numbers of the message's slots.
    pub slots: Vec<usize>,
}

impl Arrived {
    fn read(call: &Call) -> Self {
        let json: Value = serde_json::from_slice(&call.body).unwrap();
        let meta =
            |key: &str| json["Meta"].get(key).map(|value| value.as_str().unwrap().to_owned());
        let slots = json["Slots"].as_array().unwrap().iter();
        Self {
            message_id: call.message_id,
            accepted: call.accepted,
            body: call.body.clone(),
            batch_id: meta("BatchID"),
            current: meta("CurrentBatch"),
            total: meta("TotalBatches"),
            slots: slots.map(|slot| slot["ID"].as_str().unwrap().parse().unwrap()).collect(),
        }
    }

    pub fn place(&self) -> (Option<&str>, Option<&str>) {
        (self.current.as_deref(), self.total.as_deref())
    }
}

/// Returns every message that the model received, in order.
pub fn arrived(model: &Model) -> Vec<Arrived> {
    model.calls().iter().map(Arrived::read).collect()
}

/// Returns the numbers of the accepted slots in order. A number repeats if its slot was accepted
/// again.
pub fn accepted(model: &Model) -> Vec<usize> {
    arrived(model)
        .into_iter()
        .filter(|message| message.accepted)
        .flat_map(|message| message.slots)
        .collect()
}
