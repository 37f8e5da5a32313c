//! Records that several slots share.

use std::sync::Arc;

use pushslots::chrono::{DateTime, TimeZone, Utc};
use pushslots::{Address, Location, Provider, PushSlots, Slot};
use serde_json::{Value, json};

fn nine() -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap()
}

fn provider() -> Provider {
    Provider::new().id("4356789876", "NPI").name("Pat", "Granite").office_phone("+16085551234")
}

fn message(slots: impl IntoIterator<Item = Slot>) -> PushSlots {
    PushSlots::builder().slots(slots).build().unwrap()
}

fn slots(message: &PushSlots) -> Vec<Value> {
    let json: Value = serde_json::from_slice(&message.to_json()).unwrap();
    json["Slots"].as_array().unwrap().clone()
}

#[test]
fn shared_record_is_written_like_an_owned_one() {
    let location = Location::new().kind("Clinic").room("136");
    let owned = message(
        (0..3).map(|_| Slot::new(nine(), 15).provider(provider()).location(location.clone())),
    );
    let provider = provider().share();
    let location = location.share();
    let shared = message(
        (0..3).map(|_| Slot::new(nine(), 15).provider(&provider).location(location.clone())),
    );
    assert_eq!(shared.to_json(), owned.to_json());
    assert_eq!(shared, owned);
    assert!(shared.slots()[0].provider.as_ref().unwrap().ptr_eq(&provider));
    assert!(
        !owned.slots()[0]
            .provider
            .as_ref()
            .unwrap()
            .ptr_eq(owned.slots()[1].provider.as_ref().unwrap())
    );
}

#[test]
#[cfg(target_pointer_width = "64")]
fn slot_takes_at_most_80_bytes() {
    assert_eq!(size_of::<Option<pushslots::Shared<Provider>>>(), size_of::<usize>());
    assert!(size_of::<Slot>() <= 80, "{}", size_of::<Slot>());
}

#[test]
fn small_buffers_have_no_spare_capacity_and_large_ones_little() {
    let provider = provider().share();
    let location = Location::new().room("136").share();
    let owned =
        Provider::new().id("1", "NPI").credential("MD").address(Address::new().city("Madison"));
    for count in [1, 10, 100, 700] {
        let slot = || Slot::new(nine(), 15).id("1").reason("Visit").location(&location);
        let slots =
            (0..count).flat_map(|_| [slot().provider(&provider), slot().provider(owned.clone())]);
        let json = message(slots).to_json();
        let spare = if json.len() > 64 * 1024 { json.len() / 8 } else { 0 };
        let exact = json.len()..=json.len() + spare;
        assert!(exact.contains(&json.capacity()), "{count} slots: {}", json.capacity());
    }
}

#[test]
fn equal_records_are_shared_in_any_spelling() {
    let pat = json!({"ID": "1", "FirstName": "Pat"});
    let message = PushSlots::from_json(format!(
        r#"{{"Slots":[
            {{"Reason":"Visit","Provider":{pat},"Location":{{"Room":"136"}}}},
            {{"Reason":"Visit","Provider":{pat},"Location":{{"Room":136,"Type":null}}}},
            {{"Reason":"V\u0069sit","Provider":{{ "FirstName":"Pat", "ID":"1", "Address":{{}} }}}},
            {{"Reason":"visit","Provider":{{"ID":"1","FirstName":"Pat","x":null}}}},
            {{"Provider":{{"FirstName":"Pat","ID":"1","Address":{{}}}}}}
        ]}}"#
    ));
    let message = message.unwrap();
    let provider = |slot: usize| message.slots()[slot].provider.as_ref().unwrap();
    for other in [1, 2, 4] {
        assert!(provider(0).ptr_eq(provider(other)), "slot {other}");
    }
    assert!(provider(0) != provider(3), "a provider with another member isn't equal");
    let location = |slot: usize| message.slots()[slot].location.as_ref().unwrap();
    assert!(location(0).ptr_eq(location(1)));
    let reason = |slot: usize| message.slots()[slot].reason.as_ref().unwrap();
    assert!(Arc::ptr_eq(reason(0), reason(1)) && Arc::ptr_eq(reason(0), reason(2)));
    assert_eq!(&**reason(3), "visit");
}

#[test]
fn records_that_repeat_in_turn_with_others_are_shared() {
    let spellings = [
        r#"{"ID":"1","FirstName":"Pat"}"#,
        r#"{"FirstName":"Pat","\u0049D":"1"}"#,
        r#"{"ID":"1","FirstName":"Pat","Credentials":[null]}"#,
        r#"{ "ID": 1, "FirstName": "P\u0061t" }"#,
    ];
    let mut slots = Vec::new();
    for turn in 0..5 {
        for (place, spelling) in spellings.iter().enumerate() {
            slots.push(format!("{{\"Provider\":{spelling}}}"));
            // Others that are new, that repeat, or that can't be read.
            let other = match place % 3 {
                0 => format!("{{\"ID\":\"other {turn}\"}}"),
                1 => "{\"ID\":\"2\"}".to_owned(),
                _ => "{\"ID\":\"3\",\"ID\":\"4\"}".to_owned(),
            };
            slots.push(format!("{{\"Provider\":{other}}}"));
        }
    }
    let message = PushSlots::from_json(format!("{{\"Slots\":[{}]}}", slots.join(","))).unwrap();
    let providers: Vec<_> =
        message.slots().iter().map(|slot| slot.provider.as_ref().unwrap()).collect();
    for (number, provider) in providers.iter().enumerate() {
        let is_pat = number % 2 == 0;
        assert_eq!(providers[0].ptr_eq(provider), is_pat, "slot {number}");
        assert_eq!(provider.first_name.as_deref(), is_pat.then_some("Pat"), "slot {number}");
    }
    assert!(providers[3].ptr_eq(providers[11]));
}

#[test]
fn an_extension_is_not_taken_for_an_unknown_member() {
    let slots =
        [r#"{"Provider":{"ID":"1","Extensions":{"x":1}}}"#, r#"{"Provider":{"ID":"1","x":1}}"#];
    let slots = [slots; 3].concat().join(",");
    let message = PushSlots::from_json(format!("{{\"Slots\":[{slots}]}}")).unwrap();
    let provider = |slot: usize| message.slots()[slot].provider.as_ref().unwrap();
    for (slot, other) in [(0, 2), (0, 4), (1, 3), (1, 5)] {
        assert!(provider(slot).ptr_eq(provider(other)), "slots {slot} and {other}");
    }
    assert!(provider(0) != provider(1));
}

#[test]
fn any_number_of_records_are_shared() {
    let count = 6_000;
    let slot =
        |n: usize| format!("{{\"Reason\":\"{n:0400}\",\"Provider\": {{\"ID\":\"{n:0400}\"}}}}");
    let slots: Vec<_> = (0..2 * count).map(|n| slot(n % count)).collect();
    let message = PushSlots::from_json(format!("{{\"Slots\":[{}]}}", slots.join(","))).unwrap();
    let (first, second) = message.slots().split_at(count);
    for (first, second) in first.iter().zip(second) {
        assert!(first.provider.as_ref().unwrap().ptr_eq(second.provider.as_ref().unwrap()));
        assert!(Arc::ptr_eq(first.reason.as_ref().unwrap(), second.reason.as_ref().unwrap()));
    }
}

#[test]
fn change_affects_only_one_slot() {
    let shared = provider().share();
    let mut message = message((0..2).map(|_| Slot::new(nine(), 15).provider(&shared)));
    let before = slots(&message);

    message.slots_mut()[0].provider.as_mut().unwrap().to_mut().last_name =
        Some("Marble".to_owned());
    let after = slots(&message);
    assert_eq!(after[0]["Provider"]["LastName"], "Marble");
    assert_eq!(after[1], before[1]);
    assert_eq!(shared.last_name.as_deref(), Some("Granite"));

    message.slots_mut()[0].provider.as_mut().unwrap().to_mut().last_name = Some("Slate".to_owned());
    assert_eq!(slots(&message)[0]["Provider"]["LastName"], "Slate", "the cached JSON isn't used");
}

#[test]
fn changed_record_is_validated_again() {
    let shared = provider().share();
    let mut message = message((0..2).map(|_| Slot::new(nine(), 15).provider(&shared)));
    let numbers = &mut message.slots_mut()[1].provider.as_mut().unwrap().to_mut().phone_number;
    numbers.as_mut().unwrap().office = Some("12".to_owned());
    let error = message.validate().unwrap_err();
    let paths: Vec<_> = error.problems().iter().map(|problem| problem.path()).collect();
    assert_eq!(paths, ["Slots[1].Provider.PhoneNumber.Office"]);
}

#[test]
fn problem_of_a_shared_record_is_reported_once() {
    let wrong = Provider::new().office_phone("12").share();
    let slots = (0..3).map(|_| Slot::new(nine(), 15).provider(&wrong));
    let error = PushSlots::builder().slots(slots).build().unwrap_err();
    let problems: Vec<_> =
        error.problems().iter().map(|each| (each.path(), each.slot_count())).collect();
    assert_eq!(problems, [("Slots[0].Provider.PhoneNumber.Office", 3)]);
}

#[test]
fn empty_shared_record_is_not_written() {
    let empty = Provider::new().address(Address::new()).share();
    let message = message((0..2).map(|_| Slot::new(nine(), 15).provider(&empty)));
    for _ in 0..2 {
        assert_eq!(slots(&message)[1], json!({"DateTime": "2026-12-01T09:00:00Z", "Duration": 15}));
    }
}

#[test]
fn records_are_shared_among_threads() {
    let provider = provider().share();
    let expected = message([Slot::new(nine(), 15).provider(&provider)]).to_json();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let message = message([Slot::new(nine(), 15).provider(&provider)]);
                assert_eq!(message.to_json(), expected);
            });
        }
    });
}

#[test]
fn long_record_is_shared_in_a_message_and_not_kept_by_a_stream() {
    let slot = json!({"DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Provider": {"LastName": "x".repeat(100_000)}});
    let message = PushSlots::from_json(json!({"Slots": [slot, slot]}).to_string()).unwrap();
    let is_shared = |slots: &[Slot]| {
        let [first, second] = slots else { panic!("two slots") };
        first.provider.as_ref().unwrap().ptr_eq(second.provider.as_ref().unwrap())
    };
    assert!(is_shared(message.slots()));
    let lines = format!("{slot}\n{slot}");
    let slots: Vec<_> = pushslots::SlotReader::new(lines.as_bytes()).map(Result::unwrap).collect();
    assert!(!is_shared(&slots) && slots[0] == slots[1]);
}

#[test]
fn record_that_is_changed_is_encoded_and_checked_again() {
    let at = pushslots::chrono::DateTime::UNIX_EPOCH;
    let shared = Provider::new().id("1", "NPI").share();
    let mut mine = shared.clone();
    let slot = || Slot::new(at, 15).provider(&shared);
    let both = PushSlots::builder().slots([slot(), slot()]).build().unwrap();
    // The record now has cached JSON, and counts as valid.
    assert!(!both.to_json().is_empty());
    // Only one holder is left, so the record is changed in place.
    drop((both, shared));
    mine.to_mut().last_name = Some("Marble".to_owned());
    let slot = Slot::new(at, 15).provider(mine.clone());
    assert!(String::from_utf8(slot.to_json()).unwrap().contains("Marble"));
    drop(slot);
    *mine.to_mut() = Provider::new().office_phone("1");
    let slot = Slot::new(at, 15).provider(mine.clone());
    let invalid = slot.validate().unwrap_err();
    assert_eq!(invalid.problems()[0].path(), "Provider.PhoneNumber.Office");
}
