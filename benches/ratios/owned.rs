//! The handwritten side, as a good engineer would write it.

use pushslots::chrono::{DateTime, Utc};
use pushslots::uuid::Uuid;
use serde::{Deserialize, Serialize};

use super::slots::{self, Place};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Message {
    meta: Meta,
    slots: Vec<Slot>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    data_model: String,
    event_type: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    destinations: Vec<Destination>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Destination {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Slot {
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    date_time: DateTime<Utc>,
    duration: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Provider>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Provider {
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "IDType", skip_serializing_if = "Option::is_none")]
    id_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<Address>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    email_addresses: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone_number: Option<PhoneNumber>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Address {
    #[serde(skip_serializing_if = "Option::is_none")]
    street_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    city: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    #[serde(rename = "ZIP", skip_serializing_if = "Option::is_none")]
    zip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    county: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    country: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct PhoneNumber {
    #[serde(skip_serializing_if = "Option::is_none")]
    office: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Location {
    #[serde(rename = "Type", skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    facility: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    facility_identifiers: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    department: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    department_identifiers: Vec<Identifier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Identifier {
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "IDType", skip_serializing_if = "Option::is_none")]
    id_type: Option<String>,
}

pub fn to_json(message: &Message) -> Vec<u8> {
    serde_json::to_vec(message).unwrap()
}

#[allow(clippy::ptr_arg)] // Called with the items of a slice.
pub fn read(json: &Vec<u8>) -> Message {
    serde_json::from_slice(json).unwrap()
}

/// Returns the message without spare capacity in its slot list.
pub fn shrunk(mut message: Message) -> Message {
    message.slots.shrink_to_fit();
    message
}

pub fn messages(count: usize, per_message: usize, people: usize) -> Vec<Message> {
    let records = Records::new(people);
    (0..count).step_by(per_message).map(|first| records.message(first, per_message, &[])).collect()
}

/// The records that slots are built from.
pub struct Records {
    providers: Vec<Provider>,
    locations: Vec<Location>,
}

impl Records {
    pub fn new(people: usize) -> Self {
        Self {
            providers: (0..people).map(provider).collect(),
            locations: (0..people).map(location).collect(),
        }
    }

    pub fn message(&self, first: usize, slots: usize, destinations: &[Uuid]) -> Message {
        let destination = |id: &Uuid| Destination { id: id.to_string() };
        Message {
            meta: Meta {
                data_model: "Scheduling".to_owned(),
                event_type: "PushSlots".to_owned(),
                destinations: destinations.iter().map(destination).collect(),
            },
            slots: (first..first + slots).map(|index| self.slot(index)).collect(),
        }
    }

    fn slot(&self, index: usize) -> Slot {
        let Place { provider, room } = slots::place(index, self.providers.len());
        of(index, self.providers[provider].clone(), self.locations[room].clone())
    }
}

pub fn slot(index: usize, people: usize) -> Slot {
    let Place { provider, room } = slots::place(index, people);
    of(index, self::provider(provider), location(room))
}

fn of(index: usize, provider: Provider, location: Location) -> Slot {
    Slot {
        id: Some(slots::id(index)),
        date_time: slots::date_time(index),
        duration: slots::MINUTES,
        reason: Some(slots::REASONS[index % slots::REASONS.len()].to_owned()),
        provider: Some(provider),
        location: Some(location),
    }
}

fn provider(number: usize) -> Provider {
    Provider {
        id: Some(slots::npi(number)),
        id_type: Some("NPI".to_owned()),
        first_name: Some("Pat".to_owned()),
        last_name: Some(slots::last_name(number)),
        credentials: vec!["MD".to_owned()],
        address: Some(Address {
            street_address: Some("123 Main St.".to_owned()),
            city: Some("Madison".to_owned()),
            state: Some("WI".to_owned()),
            zip: Some("53703".to_owned()),
            county: Some("Dane".to_owned()),
            country: Some("USA".to_owned()),
        }),
        email_addresses: vec![slots::email(number)],
        phone_number: Some(PhoneNumber { office: Some("+16085551234".to_owned()) }),
    }
}

fn location(number: usize) -> Location {
    let identifier = |id: &str, id_type: &str| Identifier {
        id: Some(id.to_owned()),
        id_type: Some(id_type.to_owned()),
    };
    Location {
        kind: Some("Clinic".to_owned()),
        facility: Some("RES General Hospital".to_owned()),
        facility_identifiers: vec![identifier("RES", "Facility ID")],
        department: Some("3N".to_owned()),
        department_identifiers: vec![identifier("3N-7", "Department ID")],
        room: Some(slots::room(number)),
    }
}
