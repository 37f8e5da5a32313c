//! Turns a clinic's opening hours into slots, in the week in which daylight-saving time starts.
//!
//! `cargo run --example weekly_hours` prints a line for each slot. Among them is the first slot
//! after the change:
//!
//! ```text
//! Sun 2027-03-14 03:00 EDT  is  07:00 UTC
//! ```

use anyhow::Context;
use chrono_tz::America::New_York;
use chrono_tz::Tz;
use pushslots::chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone, Weekday};
use pushslots::mock::MockService;
use pushslots::{Client, Location, Provider, Slot};

/// The time zone of the clinic.
const ZONE: Tz = New_York;

/// An hour and a minute on the clinic's clock.
type ClockTime = (i64, i64);

/// The times at which the clinic opens and closes.
const HOURS: [(Weekday, ClockTime, ClockTime); 3] = [
    (Weekday::Fri, (9, 0), (11, 0)),
    (Weekday::Sat, (10, 0), (11, 30)),
    // The clocks go from 2:00 to 3:00 on this day, so the clinic opens at 3:00.
    (Weekday::Sun, (2, 0), (4, 0)),
];

/// Returns the starts of all slots of this length that fit into the opening hours of a day.
fn starts(day: NaiveDate, length: TimeDelta) -> Vec<DateTime<Tz>> {
    let mut starts = Vec::new();
    for (weekday, opens, closes) in HOURS {
        if weekday != day.weekday() {
            continue;
        }
        let (Some(opens), Some(closes)) = (moment(day, opens), moment(day, closes)) else {
            continue;
        };
        // Adds real time, so each start exists on the clinic's clock.
        let mut start = opens;
        while start + length <= closes {
            starts.push(start);
            start += length;
        }
    }
    starts
}

/// Returns the moment at which the clinic's clock shows this time.
///
/// * If the clocks go back, they show some times twice. The result is the first of the two.
/// * If the clocks go forward, they skip an hour. The result is an hour later on the clock.
/// * If they skip more, such as the whole day that Samoa skipped in 2011, there is no such moment.
fn moment(day: NaiveDate, (hour, minute): ClockTime) -> Option<DateTime<Tz>> {
    // Midnight plus minutes, because the end of a day is 24:00, which isn't a `NaiveTime`.
    let local = day.and_time(NaiveTime::MIN) + TimeDelta::minutes(60 * hour + minute);
    let hour_later = local + TimeDelta::hours(1);
    let moment = ZONE.from_local_datetime(&local).earliest();
    moment.or_else(|| ZONE.from_local_datetime(&hour_later).earliest())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let length = TimeDelta::minutes(30);
    let provider =
        Provider::new().id("4356789876", "NPI").name("Pat", "Granite").credential("MD").share();
    let location = Location::new().kind("Clinic").facility("RES General Hospital").share();
    let monday = NaiveDate::from_ymd_opt(2027, 3, 8).context("the calendar has no such day")?;

    let mut slots = Vec::new();
    for day in monday.iter_days().take(7) {
        for start in starts(day, length) {
            let local = start.format("%a %F %H:%M %Z");
            let utc = start.to_utc().format("%H:%M UTC");
            println!("{local}  is  {utc}");
            slots.push(Slot::new(start, length).provider(&provider).location(&location));
        }
    }

    let service = MockService::start()?;
    let client = Client::builder().mock(&service).build()?;
    let report = client.publish(&slots).await?;
    println!("accepted: {} slots", report.run().accepted_slots);
    Ok(())
}
