//! Strategies that generate messages for property tests.

use proptest::collection::vec;
use proptest::num::f64;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;
use pushslots::chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use pushslots::uuid::Uuid;
use pushslots::{Address, Identifier, Location, Meta, Provider, PushSlots, Shared, Slot};
use serde_json::{Map, Value, json};

/// Returns any text: plain, with control characters and quotes, or with characters of any encoded
/// length.
pub fn text() -> BoxedStrategy<String> {
    prop_oneof![
        "[a-zA-Z0-9 ]{0,20}",
        "[\"\\\\/\u{0}-\u{1f}\u{7f}a]{0,20}",
        any::<String>(),
        vec(any::<char>(), 0..12).prop_map(String::from_iter),
    ]
    .boxed()
}

/// Returns any JSON value. Its numbers are integers, so they are written as they were read.
pub fn json() -> BoxedStrategy<Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((text(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
    .boxed()
}

/// Returns the JSON pointers of all values.
pub fn pointers(value: &Value) -> Vec<String> {
    let mut all = Vec::new();
    collect(value, String::new(), &mut all);
    all
}

fn collect(value: &Value, at: String, all: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                // Extensions aren't validated.
                if key != "Extensions" {
                    collect(
                        value,
                        format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                        all,
                    );
                }
            }
        }
        Value::Array(elements) => {
            for (index, value) in elements.iter().enumerate() {
                collect(value, format!("{at}/{index}"), all);
            }
        }
        _ => {}
    }
    if !at.is_empty() {
        all.push(at);
    }
}

/// Returns a time that a message may contain, with a fraction of any length.
pub fn time() -> BoxedStrategy<DateTime<Utc>> {
    let first = NaiveDate::from_ymd_opt(0, 1, 1).unwrap().and_time(Default::default()).and_utc();
    let last =
        NaiveDate::from_ymd_opt(9999, 12, 31).unwrap().and_time(Default::default()).and_utc();
    let days = (last - first).num_days();
    let nanos = (0..1_000_000_000_u32, select(vec![1_000_000_000, 1_000_000, 1_000, 1]));
    (0..=days, 0..86_400_u32, nanos)
        .prop_map(move |(days, second, (nanos, unit))| {
            let time = TimeDelta::seconds(second.into())
                + TimeDelta::nanoseconds((nanos / unit * unit).into());
            first + TimeDelta::days(days) + time
        })
        .boxed()
}

pub fn minutes() -> BoxedStrategy<f64> {
    prop_oneof![
        (1..=100_000_u32).prop_map(f64::from),
        (1..=u64::MAX).prop_map(|whole| whole as f64),
        f64::POSITIVE | f64::NORMAL | f64::SUBNORMAL,
    ]
    .boxed()
}

fn extensions() -> BoxedStrategy<Vec<(String, Value)>> {
    prop_oneof![3 => Just(Vec::new()), 1 => vec((text(), json()), 1..3)].boxed()
}

/// Builds a record with a random subset of these parts.
macro_rules! record {
    ($start:expr; $($part:ident: $strategy:expr),+ $(,)?; $set:expr) => {
        ($(option::of($strategy),)+ extensions()).prop_map(|($($part,)+ extensions)| {
            let mut record = $start;
            $(if let Some($part) = $part {
                record = record.$part($part);
            })+
            for (name, value) in extensions {
                record.extensions_mut().insert(&name, &value).unwrap();
            }
            $set(record)
        })
    };
}

fn address() -> BoxedStrategy<Address> {
    record!(
        Address::new();
        street_address: text(), city: text(), zip: text(), county: text(), country: text();
        |address: Address| address.state("WI")
    )
    .boxed()
}

fn identifier() -> BoxedStrategy<Identifier> {
    (text(), text()).prop_map(|(id, id_type)| Identifier::new(id, id_type)).boxed()
}

fn provider() -> BoxedStrategy<Provider> {
    let parts = record!(
        Provider::new();
        credential: text(), address: address(), email_address: text(),
        office_phone: "\\+[1-9][0-9]{1,14}";
        |record| record
    );
    (parts, text(), text(), vec(text(), 0..3))
        .prop_map(|(provider, id, name, credentials)| {
            let provider = provider.id(id, "NPI").name(name.clone(), name);
            credentials.into_iter().fold(provider, Provider::credential)
        })
        .boxed()
}

fn location() -> BoxedStrategy<Location> {
    record!(
        Location::new();
        facility: text(), facility_identifier: identifier(), department: text(),
        department_identifier: identifier(), room: text();
        |location: Location| location.kind("Clinic")
    )
    .boxed()
}

fn meta() -> BoxedStrategy<Meta> {
    let parts = record!(
        Meta::new();
        event_date_time: time(), test: any::<bool>(),
        source: any::<u128>().prop_map(Uuid::from_u128),
        destination: any::<u128>().prop_map(Uuid::from_u128), facility_code: text();
        |record| record
    );
    (parts, option::of((1..u64::MAX, 0..1000_u64)))
        .prop_map(|(meta, batch)| match batch {
            Some((current, more)) => meta
                .batch_id("batch")
                .current_batch(current)
                .total_batches(current.saturating_add(more)),
            None => meta,
        })
        .boxed()
}

/// Returns a valid message in which some slots share their records.
pub fn message() -> BoxedStrategy<PushSlots> {
    let shared = (
        vec(provider().prop_map(Shared::from), 1..3),
        vec(location().prop_map(Shared::from), 1..3),
    );
    (shared, meta(), extensions())
        .prop_flat_map(|((providers, locations), meta, extensions)| {
            let provider = prop_oneof![select(providers), provider().prop_map(Shared::from)];
            let location = prop_oneof![select(locations), location().prop_map(Shared::from)];
            let options = (
                option::of(text()),
                option::of(text()),
                option::of(provider),
                option::of(location),
            );
            let slot = (time(), minutes(), options, self::extensions()).prop_map(
                |(time, minutes, (id, reason, provider, location), extensions)| {
                    let mut slot = Slot::new(time, minutes);
                    slot.id = id.map(Into::into);
                    slot.reason = reason.map(Into::into);
                    slot.provider = provider;
                    slot.location = location;
                    for (name, value) in extensions {
                        slot.extensions_mut().insert(&name, &value).unwrap();
                    }
                    slot
                },
            );
            vec(slot, 1..5).prop_map(move |slots| {
                let mut message =
                    PushSlots::builder().meta(meta.clone()).slots(slots).build().unwrap();
                for (name, value) in &extensions {
                    message.extensions_mut().insert(name, value).unwrap();
                }
                message
            })
        })
        .boxed()
}

/// Returns JSON that `schema` allows, with some members that it doesn't name.
///
/// If the reference defines a form for a value, the value has the form that the writer uses. The
/// reader keeps other forms as they are, and they aren't tested here.
pub fn of_schema(schema: &Value) -> BoxedStrategy<Value> {
    of_schema_at(schema, "")
}

fn of_schema_at(schema: &Value, key: &str) -> BoxedStrategy<Value> {
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["string", "null"],
    };
    Union::new(types.into_iter().map(|kind| {
        match kind {
            "object" => object_of_schema(schema),
            "array" => {
                let key = key.to_owned();
                vec(of_schema_at(&schema["items"], &key), 0..4).prop_map(Value::from).boxed()
            }
            "string" => string(key),
            "number" if key == "ID" => any::<i64>().prop_map(Value::from).boxed(),
            "number" => prop_oneof![
                (-(1_i64 << 53)..1 << 53).prop_map(Value::from),
                f64::NORMAL.prop_map(|number| match number {
                    // A whole number as a float would be written in another form.
                    _ if number.fract() == 0.0 => Value::from(0.5),
                    _ => Value::from(number),
                }),
            ]
            .boxed(),
            "boolean" => any::<bool>().prop_map(Value::from).boxed(),
            _ => Just(Value::Null).boxed(),
        }
    }))
    .boxed()
}

fn object_of_schema(schema: &Value) -> BoxedStrategy<Value> {
    let no_members = Map::new();
    let required =
        |key: &str| schema["required"].as_array().is_some_and(|keys| keys.contains(&json!(key)));
    let members =
        schema["properties"].as_object().unwrap_or(&no_members).iter().map(|(key, schema)| {
            let value = of_schema_at(schema, key);
            let value = if required(key) {
                value.prop_map(Some).boxed()
            } else {
                option::of(value).boxed()
            };
            let key = key.clone();
            value.prop_map(move |value| value.map(|value| (key.clone(), value))).boxed()
        });
    let members: Vec<_> = members.collect();
    let unknown_members = vec((text().prop_map(|name| format!("x-{name}")), json()), 0..2);
    let extensions = option::weighted(0.2, vec((text(), json()), 0..3));
    (members, unknown_members, extensions)
        .prop_map(|(members, unknown_members, extensions)| {
            let extensions = extensions
                .map(|extensions| ("Extensions".to_owned(), extensions.into_iter().collect()));
            Value::Object(
                members.into_iter().flatten().chain(unknown_members).chain(extensions).collect(),
            )
        })
        .boxed()
}

fn string(key: &str) -> BoxedStrategy<Value> {
    let text = match key {
        "DataModel" => Just("Scheduling".to_owned()).boxed(),
        "EventType" => Just("PushSlots".to_owned()).boxed(),
        "DateTime" | "EventDateTime" => time()
            .prop_map(|time| time.to_rfc3339_opts(pushslots::chrono::SecondsFormat::AutoSi, true))
            .boxed(),
        "CurrentBatch" | "TotalBatches" => prop_oneof![
            "[1-9][0-9]{0,17}".prop_map(|digits| digits),
            "[a-z]{1,5}".prop_map(|word| word)
        ]
        .boxed(),
        "ID" => prop_oneof![text(), any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string())]
            .boxed(),
        _ => text().boxed(),
    };
    text.prop_map(Value::from).boxed()
}
