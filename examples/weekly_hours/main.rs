//! Turns a clinic's opening hours, told in its own time zone, into slots, over the change to
//! daylight-saving time.
//!
//! `cargo run --example weekly_hours`

use anyhow::Context;
use chrono_tz::America::New_York;
use chrono_tz::Tz;
use pushslots::chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, TimeZone, Weekday};
use pushslots::mock::MockService;
use pushslots::{Client, Location, Provider, Slot};

/// Hour and minute of the clinic's own clock.
type Local = (u32, u32);

/// When the clinic opens and closes.
const HOURS: [(Weekday, Local, Local); 3] = [
    (Weekday::Fri, (9, 0), (11, 0)),
    (Weekday::Sat, (10, 0), (11, 30)),
    // On the night to this day the clocks go from 2 to 3: it opens at 3, an hour late by real time.
    (Weekday::Sun, (2, 0), (4, 0)),
];

/// The starts of all slots of a day that fit into its hours.
fn starts(day: NaiveDate, zone: Tz, length: TimeDelta) -> Vec<DateTime<Tz>> {
    // Midnight at the end of the day is 24:00.
    let at = |(hour, minute): Local| {
        day.and_time(NaiveTime::MIN) + TimeDelta::minutes((60 * hour + minute).into())
    };
    let mut starts = Vec::new();
    for (_, opens, closes) in HOURS.iter().filter(|(weekday, ..)| *weekday == day.weekday()) {
        // A time that the change leaves out is the one an hour later; of one that it repeats the
        // first is meant.
        let moment = |time| {
            let local = at(time);
            let later = || zone.from_local_datetime(&(local + TimeDelta::hours(1))).earliest();
            zone.from_local_datetime(&local).earliest().or_else(later)
        };
        // No zone leaves out more than an hour, but for a day that it never had.
        let (Some(mut next), Some(end)) = (moment(*opens), moment(*closes)) else { continue };
        // Counted in real time, so that no patient is given a time that does not exist.
        while next + length <= end {
            starts.push(next);
            next += length;
        }
    }
    starts
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let length = TimeDelta::minutes(30);
    let provider =
        Provider::new().id("4356789876", "NPI").name("Pat", "Granite").credential("MD").share();
    let location = Location::new().kind("Clinic").facility("RES General Hospital").share();
    let monday = NaiveDate::from_ymd_opt(2027, 3, 8).context("no such day")?;
    let week = monday.iter_days().take(7).flat_map(|day| starts(day, New_York, length));
    let slots: Vec<_> = week
        .inspect(|start| {
            println!(
                "{}  is  {}",
                start.format("%a %F %H:%M %Z"),
                start.to_utc().format("%H:%M UTC")
            )
        })
        .map(|start| Slot::new(start, 30).provider(&provider).location(&location))
        .collect();

    let service = MockService::start()?;
    let report = Client::builder().mock(&service).build()?.publish(&slots).await?;
    println!("accepted: {} slots", report.run().accepted_slots);
    Ok(())
}
