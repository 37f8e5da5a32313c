//! The slots of a week, by provider.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use serde::Serialize;

use crate::clock;
use crate::message::{Provider, Slot};
use crate::mock::service::Service;

/// The maximum number of slots that are shown. More would be slow to render and of no use. The
/// slots of the newest messages are shown first.
const MOST: usize = 1_000;

#[derive(Serialize)]
struct Week<'a> {
    monday: NaiveDate,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
    providers: Vec<Row<'a>>,
    left_out: usize,
}

#[derive(Serialize)]
struct Row<'a> {
    name: String,
    id: Option<String>,
    slots: Vec<ShownSlot<'a>>,
}

#[derive(Serialize)]
struct ShownSlot<'a> {
    start: DateTime<Utc>,
    minutes: Option<f64>,
    reason: Option<&'a str>,
    message: usize,
}

/// Returns the slots of a week, of one message or of all. Without `monday`, it is the week in which
/// the newest message begins.
pub(super) fn json(
    service: &Service,
    monday: Option<NaiveDate>,
    message: Option<usize>,
) -> Vec<u8> {
    let state = service.state();
    let log = &state.log;
    // A message that arrived twice under one id is shown once.
    let slots = || {
        let sends = log.sends.iter().enumerate().rev().map(|(index, send)| (index + 1, send));
        sends
            .filter(|(number, _)| message.is_none_or(|wanted| wanted == *number))
            .filter_map(|(number, send)| Some((number, log.messages.get(send.accepted?)?)))
            .flat_map(|(number, message)| message.slots().iter().map(move |slot| (number, slot)))
    };
    let starts = || slots().filter_map(|(_, slot)| slot.date_time);
    let first = starts().min();
    let last = starts().max();
    let newest = starts().next().map(|start| start.date_naive());
    let day = monday.or(newest).unwrap_or(clock::now().date_naive());
    let into_the_week = Days::new(day.weekday().num_days_from_monday().into());
    let monday = day.checked_sub_days(into_the_week).unwrap_or(day);
    let begins = monday.and_time(NaiveTime::MIN).and_utc();
    let ends = begins.checked_add_days(Days::new(7)).unwrap_or(DateTime::<Utc>::MAX_UTC);

    let mut rows = BTreeMap::<_, Row<'_>>::new();
    let mut shown = 0;
    let mut left_out = 0;
    for (message, slot) in slots() {
        let Some(start) = slot.date_time.filter(|start| (begins..ends).contains(start)) else {
            continue;
        };
        if shown == MOST {
            left_out += 1;
            continue;
        }
        shown += 1;
        let (name, id) = provider(slot);
        let row = rows.entry((name.clone(), id.clone())).or_insert_with(|| Row {
            name,
            id,
            slots: Vec::new(),
        });
        let minutes = slot.duration;
        let reason = slot.reason.as_deref();
        row.slots.push(ShownSlot { start, minutes, reason, message });
    }
    let mut providers: Vec<_> = rows.into_values().collect();
    for row in &mut providers {
        row.slots.sort_by_key(|slot| slot.start);
    }
    serde_json::to_vec(&Week { monday, first, last, providers, left_out }).unwrap_or_default()
}

/// Returns the name of a provider's row, and the id next to it.
fn provider(slot: &Slot) -> (String, Option<String>) {
    let Some(provider) = slot.provider.as_deref() else { return ("No provider".to_owned(), None) };
    let Provider { first_name, last_name, credentials, .. } = provider;
    let names: Vec<_> = [first_name, last_name].into_iter().flatten().map(String::as_str).collect();
    let credentials = credentials.iter().map(String::as_str);
    let name = names.join(" ");
    let name = [Some(name.as_str()).filter(|name| !name.is_empty())].into_iter().flatten();
    let name = name.chain(credentials).collect::<Vec<_>>().join(", ");
    let id: Vec<_> =
        [&provider.id, &provider.id_type].into_iter().flatten().map(String::as_str).collect();
    let name = if name.is_empty() { "No name".to_owned() } else { name };
    (name, Some(id.join(", ")).filter(|id| !id.is_empty()))
}
