//! The slots of a week, by provider and location.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Datelike, Days, NaiveTime, TimeDelta, Utc};
use serde::Serialize;

use crate::clock;
use crate::message::{Location, Minutes, Provider, Slot};
use crate::mock::service::Service;

/// The maximum number of runs that are shown. More would be slow to render and unreadable.
const MAX_RUNS: usize = 1_000;

#[derive(Serialize)]
struct Week<'a> {
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    /// The start of the first slot of all weeks.
    first: Option<DateTime<Utc>>,
    /// The start of the last slot of all weeks.
    last: Option<DateTime<Utc>>,
    rows: Vec<Row<'a>>,
    /// The number of slots that are not shown, because the week has too many.
    left_out: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    heading: Heading,
    runs: Vec<Run<'a>>,
}

/// The provider and location of a row.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Heading {
    provider: String,
    provider_id: Option<String>,
    location: Option<String>,
}

/// Slots of one length and reason, each of which starts when the one before it ends.
#[derive(Serialize)]
struct Run<'a> {
    start: DateTime<Utc>,
    /// The length of each slot.
    minutes: Option<f64>,
    slots: usize,
    reason: Option<&'a str>,
    first_message: usize,
    last_message: usize,
    #[serde(skip)]
    last_start: DateTime<Utc>,
    /// The end of the last slot, if it has a length and the end is in the range of dates.
    #[serde(skip)]
    end: Option<DateTime<Utc>>,
}

/// Returns the slots that start in a range of time, of one message or of all. Defaults to the week
/// in UTC of the first slot.
pub(super) fn json(
    service: &Service,
    range: Option<(DateTime<Utc>, DateTime<Utc>)>,
    message: Option<usize>,
) -> Vec<u8> {
    let state = service.state();
    let log = &state.log;
    // A message that arrived twice under one id is shown once.
    let slots = || {
        log.sends
            .iter()
            .enumerate()
            .map(|(index, send)| (index + 1, send))
            .filter(|(number, _)| message.is_none_or(|wanted| wanted == *number))
            .filter_map(|(number, send)| Some((number, log.messages.get(send.accepted?)?)))
            .flat_map(|(number, message)| message.slots().iter().map(move |slot| (number, slot)))
            .filter_map(|(number, slot)| Some((number, slot.date_time?, slot)))
    };
    let starts = || slots().map(|(_, start, _)| start);
    let first = starts().min();
    let last = starts().max();
    let (from, to) = range.unwrap_or_else(|| week_of(first.unwrap_or_else(clock::now)));

    let mut rows = BTreeMap::<Heading, Vec<(DateTime<Utc>, usize, &Slot)>>::new();
    for (number, start, slot) in slots().filter(|(_, start, _)| (from..to).contains(start)) {
        rows.entry(Heading::of(slot)).or_default().push((start, number, slot));
    }
    let mut room = MAX_RUNS;
    let mut left_out = 0;
    let rows = rows
        .into_iter()
        .map(|(heading, mut slots)| {
            slots.sort_by_key(|(start, number, _)| (*start, *number));
            let mut runs = runs(&slots);
            let cut = runs.split_off(runs.len().min(room));
            left_out += cut.iter().map(|run| run.slots).sum::<usize>();
            room -= runs.len();
            Row { heading, runs }
        })
        .filter(|row| !row.runs.is_empty())
        .collect();
    // Strings and numbers under fixed keys can always be written as JSON.
    serde_json::to_vec(&Week { from, to, first, last, rows, left_out }).unwrap_or_default()
}

/// Returns the week in UTC, from Monday to Monday.
fn week_of(time: DateTime<Utc>) -> (DateTime<Utc>, DateTime<Utc>) {
    let day = time.date_naive();
    let into_the_week = Days::new(day.weekday().num_days_from_monday().into());
    let monday = day.checked_sub_days(into_the_week).unwrap_or(day);
    let from = monday.and_time(NaiveTime::MIN).and_utc();
    (from, from.checked_add_days(Days::new(7)).unwrap_or(DateTime::<Utc>::MAX_UTC))
}

/// Merges slots, which are sorted by start, into runs. A slot that several messages contain counts
/// once.
fn runs<'a>(slots: &[(DateTime<Utc>, usize, &'a Slot)]) -> Vec<Run<'a>> {
    let mut runs = Vec::<Run<'a>>::new();
    let mut open = HashMap::new();
    for (start, number, slot) in slots {
        let reason = slot.reason.as_deref();
        let minutes = slot.duration.map(Minutes::to_f64);
        let end = minutes.and_then(|minutes| end_of(*start, minutes));
        let index = open.entry((minutes.map(f64::to_bits), reason)).or_insert(usize::MAX);
        match runs.get_mut(*index) {
            // The last slot of the run again, or the next one.
            Some(run) if run.last_start == *start || run.end == Some(*start) => {
                run.slots += usize::from(run.last_start != *start);
                run.last_start = *start;
                run.end = end;
                run.first_message = run.first_message.min(*number);
                run.last_message = run.last_message.max(*number);
            }
            _ => {
                *index = runs.len();
                runs.push(Run {
                    start: *start,
                    minutes,
                    slots: 1,
                    reason,
                    first_message: *number,
                    last_message: *number,
                    last_start: *start,
                    end,
                });
            }
        }
    }
    runs
}

fn end_of(start: DateTime<Utc>, minutes: f64) -> Option<DateTime<Utc>> {
    const MILLISECONDS: f64 = 60_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "a cast of a float is bounded")]
    let length = TimeDelta::try_milliseconds((minutes * MILLISECONDS).round() as i64)?;
    start.checked_add_signed(length)
}

impl Heading {
    fn of(slot: &Slot) -> Self {
        let (provider, provider_id) = match slot.provider.as_deref() {
            Some(provider) => (provider_name(provider), provider_id(provider)),
            None => ("No provider".to_owned(), None),
        };
        let location = slot.location.as_deref().and_then(location_name);
        Self { provider, provider_id, location }
    }
}

fn provider_name(provider: &Provider) -> String {
    let Provider { first_name, last_name, credentials, .. } = provider;
    let name = joined([first_name, last_name], " ");
    let parts: Vec<_> = name.into_iter().chain(credentials.iter().cloned()).collect();
    if parts.is_empty() { "No name".to_owned() } else { parts.join(", ") }
}

fn provider_id(provider: &Provider) -> Option<String> {
    joined([&provider.id, &provider.id_type], ", ")
}

/// Returns the facility, department and room, and the type of location in parentheses.
fn location_name(location: &Location) -> Option<String> {
    let Location { kind, facility, department, room, .. } = location;
    let room = room.as_ref().map(|room| format!("room {room}"));
    match (joined([facility, department, &room], ", "), kind) {
        (Some(name), Some(kind)) => Some(format!("{name} ({kind})")),
        (name, kind) => name.or_else(|| kind.clone()),
    }
}

fn joined<const N: usize>(parts: [&Option<String>; N], separator: &str) -> Option<String> {
    let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
    Some(parts.join(separator)).filter(|joined| !joined.is_empty())
}
