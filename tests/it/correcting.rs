//! Correcting messages with problems: by assigning values, by removing members, or by splitting the
//! message.

use pushslots::chrono::{DateTime, TimeDelta, Utc};
use pushslots::uuid::Uuid;
use pushslots::{
    Destination, List, Log, Meta, Minutes, PhoneNumber, Provider, PushSlots, Slot, UnreadMember,
    UnreadReason,
};

/// Reads a message with these additional members in its only slot and in its `Meta`.
fn read(slot: &str, meta: &str) -> PushSlots {
    let json = format!(
        r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots"{meta}}},"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15{slot}}}]}}"#
    );
    PushSlots::from_json(json).unwrap()
}

fn problems(message: &PushSlots) -> Vec<String> {
    let problems = message.validate().err();
    problems
        .iter()
        .flat_map(|wrong| wrong.problems())
        .map(|problem| problem.path().to_owned())
        .collect()
}

fn keys_and_reasons<'a>(
    members: impl Iterator<Item = UnreadMember<'a>>,
) -> Vec<(String, UnreadReason)> {
    members.map(|member| (member.key().to_owned(), member.reason())).collect()
}

/// Asserts that the message is valid, and that its slot and `Meta` have these additional members.
#[track_caller]
fn assert_written(message: &PushSlots, slot: &str, meta: &str) {
    assert_eq!(problems(message), [""; 0]);
    let expected = format!(
        r#"{{"Meta":{{"DataModel":"Scheduling","EventType":"PushSlots"{meta}}},"Slots":[{{"DateTime":"2026-12-01T09:00:00Z","Duration":15{slot}}}]}}"#
    );
    assert_eq!(String::from_utf8(message.to_json()).unwrap(), expected);
    assert_eq!(&PushSlots::from_json(expected).unwrap(), message);
}

#[test]
fn unreadable_optional_value_can_be_removed_or_replaced() {
    let unreadable = read(r#","Reason":{"a":1}"#, r#","EventDateTime":"soon""#);
    assert_eq!(problems(&unreadable), ["Meta.EventDateTime", "Slots[0].Reason"]);

    let mut removed = unreadable.clone();
    assert!(removed.slots_mut()[0].remove_unread_member("Reason"));
    assert!(!removed.slots_mut()[0].remove_unread_member("Reason"));
    assert!(removed.meta_mut().remove_unread_member("EventDateTime"));
    assert_written(&removed, "", "");

    let mut replaced = unreadable;
    replaced.slots_mut()[0].reason = Some("Visit".into());
    replaced.meta_mut().event_date_time = Some(DateTime::UNIX_EPOCH);
    assert_eq!(keys_and_reasons(replaced.slots()[0].unread_members()), []);
    assert!(!replaced.clone().slots_mut()[0].remove_unread_member("Reason"));
    assert_written(&replaced, r#","Reason":"Visit""#, r#","EventDateTime":"1970-01-01T00:00:00Z""#);
}

#[test]
fn assigned_list_replaces_an_unreadable_one() {
    let unreadable =
        read(r#","Provider":{"ID":"1","Credentials":["MD",{"x":1}]}"#, r#","Destinations":[5]"#);
    assert_eq!(problems(&unreadable), ["Meta.Destinations[0]", "Slots[0].Provider.Credentials[1]"]);
    let provider = unreadable.slots()[0].provider.as_ref().unwrap();
    assert_eq!(
        keys_and_reasons(provider.unread_members()),
        [("Credentials".to_owned(), UnreadReason::WrongType)]
    );

    let mut assigned = unreadable.clone();
    assigned.slots_mut()[0].provider.as_mut().unwrap().to_mut().credentials =
        vec!["MD".to_owned()].into();
    assigned.meta_mut().destinations = [Destination::new(Uuid::nil())].into_iter().collect();
    assert_written(
        &assigned,
        r#","Provider":{"ID":"1","Credentials":["MD"]}"#,
        r#","Destinations":[{"ID":"00000000-0000-0000-0000-000000000000"}]"#,
    );

    let mut emptied = unreadable;
    emptied.slots_mut()[0].provider.as_mut().unwrap().to_mut().credentials = List::new();
    assert!(emptied.meta_mut().remove_unread_member("Destinations"));
    assert_written(&emptied, r#","Provider":{"ID":"1"}"#, "");
}

#[test]
fn elements_of_a_list_can_be_changed() {
    let mut provider = Provider::new();
    provider.credentials = vec!["md".to_owned(), "phd".to_owned()].into();
    for credential in &mut provider.credentials {
        credential.make_ascii_uppercase();
    }
    provider.credentials.extend(["RN".to_owned()]);
    assert_eq!(provider.credentials, ["MD", "PHD", "RN"]);
    assert_eq!(provider.credentials.into_iter().rev().collect::<Vec<_>>(), ["RN", "PHD", "MD"]);
}

#[test]
fn elements_added_to_an_unreadable_list_are_written_with_it() {
    for (list, expected) in [
        (r#"["MD",{"x":1}]"#, r#"["MD",{"x":1},"RN"]"#),
        (r#"[ {"x":1} ]"#, r#"[{"x":1},"RN"]"#),
        ("5", r#"[[5],"RN"]"#),
    ] {
        let mut message = read(&format!(r#","Provider":{{"Credentials":{list}}}"#), "");
        let provider = message.slots_mut()[0].provider.as_mut().unwrap().to_mut();
        provider.credentials.push("RN".to_owned());
        assert_ne!(problems(&message), [""; 0], "the unreadable rest is still a problem: {list}");
        let json = String::from_utf8(message.to_json()).unwrap();
        assert!(json.contains(&format!(r#""Credentials":{expected}}}"#)), "{json}");
        assert_eq!(json.matches("Credentials").count(), 1);
        assert_ne!(problems(&PushSlots::from_json(&json).unwrap()), [""; 0]);

        // The added element stays when the unreadable ones are removed.
        message.slots_mut()[0].provider.as_mut().unwrap().to_mut().clear_unread_members();
        assert_written(&message, r#","Provider":{"Credentials":["RN"]}"#, "");
    }
}

#[test]
fn unknown_keys_are_listed_and_removed() {
    let mut message = PushSlots::from_json(
        r#"{"Batch":1,"Meta":{"X":1},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15,"PatientName":"Pat","\u0041":[ 1 ],"Provider":{"ID":"1","SSN":"2"}}]}"#,
    )
    .unwrap();
    let unknown = |key: &str| (key.to_owned(), UnreadReason::UnknownKey);
    assert_eq!(keys_and_reasons(message.unread_members()), [unknown("Batch")]);
    assert_eq!(keys_and_reasons(message.meta().unread_members()), [unknown("X")]);
    assert_eq!(
        keys_and_reasons(message.slots()[0].unread_members()),
        [unknown("PatientName"), unknown("A")]
    );

    let debug = format!("{:?}", message.slots()[0].unread_members().collect::<Vec<_>>());
    assert!(debug.contains("UnknownKey") && !debug.contains("PatientName"), "{debug}");
    let slot = &mut message.slots_mut()[0];
    assert!(slot.remove_unread_member("PatientName") && slot.remove_unread_member("A"));
    slot.provider.as_mut().unwrap().to_mut().clear_unread_members();
    assert!(message.remove_unread_member("Batch"));
    message.meta_mut().clear_unread_members();
    assert_written(&message, r#","Provider":{"ID":"1"}"#, "");
}

#[test]
fn repeated_key_is_written_once_and_stays_a_problem_until_it_is_corrected() {
    for (member, key) in [
        (r#""Reason":"a","Reason":"b""#, "Reason"),
        (r#""Duration":15,"Duration":30,"Duration":"x""#, "Duration"),
        (r#""Provider":{"ID":"1"},"Provider":null"#, "Provider"),
    ] {
        let json = format!(r#"{{"Slots":[{{"DateTime":"2026-12-01T09:00:00Z",{member}}}]}}"#);
        let mut message = PushSlots::from_json(json).unwrap();
        let repeated = [(key.to_owned(), UnreadReason::Repeated)];
        assert_eq!(keys_and_reasons(message.slots()[0].unread_members()), repeated);
        assert!(problems(&message).contains(&format!("Slots[0].{key}")));
        let written = String::from_utf8(message.to_json()).unwrap();
        assert_eq!(written.matches(key).count(), 1, "{written}");
        let read_again = PushSlots::from_json(&written).unwrap();
        assert!(
            problems(&read_again).contains(&format!("Slots[0].{key}")),
            "the problem is still there after a round trip"
        );

        let slot = &mut message.slots_mut()[0];
        assert!(slot.remove_unread_member(key));
        slot.duration = Some(15.into());
        assert_written(&message, "", "");
    }
}

#[test]
fn repeated_lists_are_written_once_and_are_not_merged() {
    let json = r#"{"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}],"Slots":[{"DateTime":"2026-12-01T10:00:00Z","Duration":15}]}"#;
    let mut message = PushSlots::from_json(json).unwrap();
    assert_eq!(
        keys_and_reasons(message.unread_members()),
        [("Slots".to_owned(), UnreadReason::Repeated)]
    );
    assert_eq!((problems(&message), message.slots().len()), (vec!["Slots".to_owned()], 0));
    let written = String::from_utf8(message.to_json()).unwrap();
    assert_eq!(
        (written.matches("Slots\"").count(), written.matches("DateTime").count()),
        (2, 2),
        "{written}"
    );
    assert_ne!(problems(&PushSlots::from_json(&written).unwrap()), [""; 0]);

    let nine: DateTime<Utc> = "2026-12-01T09:00:00Z".parse().unwrap();
    *message.slots_mut() = vec![Slot::new(nine, 15)].into();
    assert_written(&message, "", "");
}

#[test]
fn last_of_repeated_unknown_keys_counts() {
    let message = read(r#","x":1,"y":2,"\u0078":3,"Extensions":{"a":1,"b":2,"a":3}"#, "");
    assert_written(&message, r#","Extensions":{"b":2,"a":3},"y":2,"x":3"#, "");
    assert_eq!(message.slots()[0].extensions().get::<u8>("a").unwrap(), Some(3));
}

#[test]
fn data_model_and_event_type_survive_clear_unread_members() {
    let json = br#"{"Meta":{"DataModel":7,"EventType":"Query","EventType":"Query"},"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#;
    let mut message = PushSlots::from_json(json).unwrap();
    assert_eq!(problems(&message), ["Meta.DataModel", "Meta.EventType"]);
    message.meta_mut().clear_unread_members();
    assert_written(&message, "", "");
}

#[test]
fn unread_extensions_are_replaced_by_new_ones() {
    let mut message = read(r#","Extensions":5"#, "");
    assert_eq!(problems(&message), ["Slots[0].Extensions"]);
    let slot = &mut message.slots_mut()[0];
    slot.extensions_mut().insert("a", &1).unwrap();
    assert_eq!(keys_and_reasons(slot.unread_members()), []);
    assert!(!slot.remove_unread_member("Extensions"), "it is no longer listed");
    assert_written(&message, r#","Extensions":{"a":1}"#, "");
}

#[test]
fn meta_that_is_not_an_object_is_replaced() {
    let json = br#"{"Meta":[1],"Slots":[{"DateTime":"2026-12-01T09:00:00Z","Duration":15}]}"#;
    let unreadable = PushSlots::from_json(json).unwrap();
    assert_eq!(problems(&unreadable), ["Meta"]);
    let mut message = unreadable.clone();
    message.set_meta(Meta::new().test(true));
    assert_written(&message, "", r#","Test":true"#);
    let mut message = unreadable;
    assert!(message.remove_unread_member("Meta"));
    assert_written(&message, "", "");
}

#[test]
fn message_can_be_split_into_meta_and_slots() {
    let message = read("", r#","Test":true"#);
    let (meta, slots) = message.clone().into_parts();
    assert_eq!((meta.test, slots.len()), (Some(true), 1));
    assert_eq!(
        (message.clone().into_meta(), message.clone().into_slots()),
        (meta.clone(), slots.clone())
    );
    assert_eq!(PushSlots::builder().meta(meta).slots(slots).build().unwrap(), message);
}

#[test]
fn phone_number_and_logs_can_be_assigned() {
    let mut message = read(r#","Provider":{"PhoneNumber":{"Office":"608-555-1234"}}"#, "");
    assert_eq!(problems(&message), ["Slots[0].Provider.PhoneNumber.Office"]);
    let provider = message.slots_mut()[0].provider.as_mut().unwrap().to_mut();
    provider.phone_number = Some(PhoneNumber::new("+16085551234"));
    message.meta_mut().logs = vec![Log::new("1", "2")].into();
    assert_written(
        &message,
        r#","Provider":{"PhoneNumber":{"Office":"+16085551234"}}"#,
        r#","Logs":[{"ID":"1","AttemptID":"2"}]"#,
    );
}

#[test]
fn minutes_are_made_from_any_number_or_time_delta() {
    let at = DateTime::UNIX_EPOCH;
    let duration = |minutes: Minutes| Slot::new(at, minutes).duration.unwrap().to_f64();
    assert_eq!(Slot::new(at, 15).duration, Some(15.into()));
    assert_eq!(Slot::new(at, 15_i64).duration, Some(15.into()));
    assert_eq!(Slot::new(at, 15_u32).duration, Some(15.into()));
    assert_eq!(Slot::new(at, 7.5).duration, Some(7.5.into()));
    assert_eq!(Slot::new(at, TimeDelta::hours(1)).duration, Some(60.into()));
    assert_eq!(duration(TimeDelta::milliseconds(1_500).into()), 0.025);
    assert_eq!(duration(TimeDelta::seconds(-90).into()), -1.5);
    assert_eq!(duration(TimeDelta::nanoseconds(-1_500_000_000).into()), -0.025);
    for minutes in [0.0, -0.0, f64::MIN_POSITIVE, f64::INFINITY, f64::from_bits(1)] {
        assert_eq!(Minutes::from(minutes).to_f64().to_bits(), minutes.to_bits());
    }
    for bits in [f64::NAN.to_bits(), u64::MAX] {
        let minutes = Minutes::from(f64::from_bits(bits));
        assert!(minutes.to_f64().is_nan() && minutes != minutes);
    }
    assert_eq!(size_of::<Option<Minutes>>(), 8);
}
