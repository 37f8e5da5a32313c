//! The slots that both sides hold.

use std::io::{self, Read, Write};
use std::sync::Arc;

use pushslots::chrono::{DateTime, SecondsFormat, TimeDelta, TimeZone, Utc};
use pushslots::{Address, Identifier, Location, Provider, PushSlots, Slot};

use super::owned;

pub const MINUTES: u32 = 15;
const PROVIDERS: usize = 100;
const ROOMS: usize = 100;
const REASONS: [&str; 4] = ["Office Visit", "Follow-up", "Annual Physical", "Telehealth Visit"];

pub struct Place {
    pub provider: usize,
    pub room: usize,
}

/// Who and where slot `index` is: always the same, and in no order.
pub fn place(index: usize) -> Place {
    // The finalizer of SplitMix64.
    let mut bits = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    Place { provider: bits as usize % PROVIDERS, room: (bits >> 32) as usize % ROOMS }
}

pub fn id(index: usize) -> String {
    format!("slot-{index:07}")
}

pub fn date_time(index: usize) -> DateTime<Utc> {
    let first = Utc.with_ymd_and_hms(2026, 12, 1, 8, 0, 0).unwrap();
    first + TimeDelta::minutes(i64::from(MINUTES) * (index / PROVIDERS) as i64)
}

pub fn reason(index: usize) -> &'static str {
    REASONS[index % REASONS.len()]
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

pub fn messages(count: usize, per_message: usize) -> Vec<PushSlots> {
    let reasons = REASONS.map(Arc::<str>::from);
    let providers: Vec<_> = (0..PROVIDERS).map(|number| provider(number).share()).collect();
    let locations: Vec<_> = (0..ROOMS).map(|number| location(number).share()).collect();
    let slot = |index| {
        let Place { provider, room } = place(index);
        Slot::new(date_time(index), MINUTES)
            .id(id(index))
            .reason(reasons[index % reasons.len()].clone())
            .provider(&providers[provider])
            .location(&locations[room])
    };
    let message = |first| PushSlots::builder().slots((first..first + per_message).map(slot)).build().unwrap();
    (0..count).step_by(per_message).map(message).collect()
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

/// A list of slots that is made up as it is read.
pub struct Source {
    slots: std::ops::Range<usize>,
    providers: Vec<String>,
    locations: Vec<String>,
    /// What is made and not read.
    made: Vec<u8>,
    read: usize,
}

impl Source {
    pub fn new(count: usize) -> Self {
        Self {
            slots: 0..count,
            providers: (0..PROVIDERS).map(|n| serde_json::to_string(&owned::provider(n)).unwrap()).collect(),
            locations: (0..ROOMS).map(|n| serde_json::to_string(&owned::location(n)).unwrap()).collect(),
            made: b"[".to_vec(),
            read: 0,
        }
    }

    fn make(&mut self) -> io::Result<()> {
        self.made.clear();
        self.read = 0;
        let Some(index) = self.slots.next() else { return Ok(()) };
        let Place { provider, room } = place(index);
        let end = if self.slots.is_empty() { "]" } else { "," };
        write!(
            self.made,
            r#"{{"ID":"{}","DateTime":"{}","Duration":{MINUTES},"Reason":"{}","Provider":{},"Location":{}}}{end}"#,
            id(index),
            date_time(index).to_rfc3339_opts(SecondsFormat::AutoSi, true),
            reason(index),
            self.providers[provider],
            self.locations[room],
        )
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.read == self.made.len() {
            self.make()?;
        }
        let count = (&self.made[self.read..]).read(buffer)?;
        self.read += count;
        Ok(count)
    }
}
