//! The slots of both sides.

use std::ops::Range;
use std::sync::Arc;

use pushslots::chrono::{DateTime, TimeDelta, TimeZone, Utc};
use pushslots::{Address, Identifier, Location, Provider, PushSlots, Shared, Slot};

pub const MINUTES: u32 = 15;
pub const REASONS: [&str; 4] = ["Office Visit", "Follow-up", "Annual Physical", "Telehealth Visit"];

pub struct Place {
    pub provider: usize,
    pub room: usize,
}

/// Returns the provider and the room of slot `index`, out of this number of `people` and rooms. The
/// result is deterministic and in no particular order.
pub fn place(index: usize, people: usize) -> Place {
    // The finalizer of SplitMix64.
    let mut bits = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    Place { provider: bits as usize % people, room: (bits >> 32) as usize % people }
}

pub fn id(index: usize) -> String {
    format!("slot-{index:07}")
}

pub fn date_time(index: usize) -> DateTime<Utc> {
    let first = Utc.with_ymd_and_hms(2026, 12, 1, 8, 0, 0).unwrap();
    first + TimeDelta::minutes(i64::from(MINUTES) * (index / 100) as i64)
}

pub fn npi(provider: usize) -> String {
    format!("43567898{provider:02}")
}

pub fn last_name(provider: usize) -> String {
    format!("Granite-{provider}")
}

pub fn email(provider: usize) -> String {
    format!("granite{provider}@example.org")
}

pub fn room(number: usize) -> String {
    format!("{}", 100 + number)
}

pub fn messages(count: usize, per_message: usize, people: usize) -> Vec<PushSlots> {
    let records = Records::new(people);
    let message = |first| {
        PushSlots::builder().slots(records.slots(first..first + per_message)).build().unwrap()
    };
    (0..count).step_by(per_message).map(message).collect()
}

/// The records that slots share.
pub struct Records {
    reasons: [Arc<str>; REASONS.len()],
    providers: Vec<Shared<Provider>>,
    locations: Vec<Shared<Location>>,
}

impl Records {
    pub fn new(people: usize) -> Self {
        Self {
            reasons: REASONS.map(Arc::<str>::from),
            providers: (0..people).map(|number| provider(number).share()).collect(),
            locations: (0..people).map(|number| location(number).share()).collect(),
        }
    }

    pub fn slots(&self, indices: Range<usize>) -> impl Iterator<Item = Slot> + Send {
        indices.map(|index| {
            let Place { provider, room } = place(index, self.providers.len());
            Slot::new(date_time(index), MINUTES)
                .id(id(index))
                .reason(self.reasons[index % self.reasons.len()].clone())
                .provider(&self.providers[provider])
                .location(&self.locations[room])
        })
    }
}

fn provider(number: usize) -> Provider {
    let address = Address::new()
        .street_address("123 Main St.")
        .city("Madison")
        .state("WI")
        .zip("53703")
        .county("Dane")
        .country("USA");
    Provider::new()
        .id(npi(number), "NPI")
        .name("Pat", last_name(number))
        .credential("MD")
        .address(address)
        .email_address(email(number))
        .office_phone("+16085551234")
}

fn location(number: usize) -> Location {
    Location::new()
        .kind("Clinic")
        .facility("RES General Hospital")
        .facility_identifier(Identifier::new("RES", "Facility ID"))
        .department("3N")
        .department_identifier(Identifier::new("3N-7", "Department ID"))
        .room(room(number))
}
