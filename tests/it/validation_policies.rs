//! `Validation` decides whether messages and slots with problems are sent. Receipts and reports
//! list the problems.

use futures_util::stream;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use pushslots::mock::MockService;
use pushslots::{
    Client, ErrorKind, Meta, PhoneNumber, Problem, Provider, PushSlots, Receipt, Severity, Shared,
    Slot, Validation,
};
use serde_json::{Value, json};
use support::any::{Any, token};
use support::batch::{arrived, serve, slots};
use support::examples::Folder;
use support::holds::holds;
use support::model::{client_of, ok, responds};

use Validation::{DropInvalidOptional, Lenient, Strict};
use support::generate;

const ALL: [Validation; 3] = [Strict, DropInvalidOptional, Lenient];

fn paths(problems: &[Problem]) -> Vec<&str> {
    problems.iter().map(Problem::path).collect()
}

/// Returns a message in which these members replace valid ones in `Meta` and in its only slot.
fn message(meta: &Value, slot: &Value) -> PushSlots {
    let mut message = json!({
        "Meta": {"DataModel": "Scheduling", "EventType": "PushSlots", "Destinations": [{"ID": support::DESTINATION}]},
        "Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": 15}],
    });
    for (pointer, members) in [("/Meta", meta), ("/Slots/0", slot)] {
        let object = message.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
        object.extend(members.as_object().unwrap().clone());
    }
    PushSlots::from_json(message.to_string()).unwrap()
}

/// Sends a message. Returns its receipt and the JSON that was sent.
async fn sent(
    message: &PushSlots,
    validation: Validation,
) -> Result<(Receipt, Value), pushslots::Error> {
    let (model, client) = serve([ok()]);
    let before = message.to_json();
    let receipt = client.send(message).validation(validation).await;
    assert_eq!(message.to_json(), before, "the message isn't changed");
    let calls = model.calls();
    assert_eq!(calls.len(), usize::from(receipt.is_ok()));
    receipt.map(|receipt| (receipt, serde_json::from_slice(&calls[0].body).unwrap()))
}

#[tokio::test(start_paused = true)]
async fn each_validation_decides_what_is_sent() {
    // Members of `Meta` and of a slot, the path of the problem, and the JSON pointer to the value.
    // Then the values that `DropInvalidOptional` and `Lenient` send there, or `None` for an error.
    let removed = Some(Value::Null);
    let cases = [
        // Warnings of optional values.
        (
            json!({}),
            json!({"Provider": {"ID": "1", "PhoneNumber": {"Office": "608-555-1234"}}}),
            "Slots[0].Provider.PhoneNumber.Office",
            "/Slots/0/Provider/PhoneNumber",
            removed.clone(),
            Some(json!({"Office": "608-555-1234"})),
        ),
        (
            json!({"Source": {"ID": "north", "Name": "North"}}),
            json!({}),
            "Meta.Source.ID",
            "/Meta/Source",
            Some(json!({"Name": "North"})),
            Some(json!({"ID": "north", "Name": "North"})),
        ),
        (
            json!({"BatchID": "b", "CurrentBatch": "3", "TotalBatches": "2"}),
            json!({}),
            "Meta.CurrentBatch",
            "/Meta/TotalBatches",
            removed.clone(),
            Some(json!("2")),
        ),
        (
            json!({"CurrentBatch": "1"}),
            json!({}),
            "Meta.BatchID",
            "/Meta/CurrentBatch",
            removed.clone(),
            Some(json!("1")),
        ),
        (
            json!({"BatchID": "b", "CurrentBatch": "0", "TotalBatches": "2"}),
            json!({}),
            "Meta.CurrentBatch",
            "/Meta/CurrentBatch",
            removed.clone(),
            Some(json!("0")),
        ),
        // Errors of optional values.
        (
            json!({}),
            json!({"Provider": 5}),
            "Slots[0].Provider",
            "/Slots/0/Provider",
            removed.clone(),
            None,
        ),
        (
            json!({}),
            json!({"Provider": {"ID": "1", "Credentials": ["MD", [1], {}, "PhD"]}}),
            "Slots[0].Provider.Credentials[1]",
            "/Slots/0/Provider",
            Some(json!({"ID": "1", "Credentials": ["MD", "PhD"]})),
            None,
        ),
        (
            json!({}),
            json!({"Provider": {"ID": "1", "Address": 5}}),
            "Slots[0].Provider.Address",
            "/Slots/0/Provider",
            Some(json!({"ID": "1"})),
            None,
        ),
        (json!({"Test": "perhaps"}), json!({}), "Meta.Test", "/Meta/Test", removed.clone(), None),
        (
            json!({"Extensions": 5}),
            json!({}),
            "Meta.Extensions",
            "/Meta/Extensions",
            removed.clone(),
            None,
        ),
        (
            json!({"Logs": [{"ID": [1]}, {"ID": "1"}]}),
            json!({}),
            "Meta.Logs[0].ID",
            "/Meta/Logs",
            Some(json!([{"ID": "1"}])),
            None,
        ),
        // Values that the reference requires.
        (json!({}), json!({"DateTime": null}), "Slots[0].DateTime", "", None, None),
        (json!({}), json!({"Duration": 0}), "Slots[0].Duration", "", None, None),
        (json!({}), json!({"Duration": [15]}), "Slots[0].Duration", "", None, None),
        (json!({"EventType": "Query"}), json!({}), "Meta.EventType", "", None, None),
        (
            json!({"Destinations": [{"Name": "EMR"}]}),
            json!({}),
            "Meta.Destinations[0].ID",
            "",
            None,
            None,
        ),
        (json!({"Destinations": 5}), json!({}), "Meta.Destinations", "", None, None),
        // A recommendation of the reference for a required value.
        (
            json!({"Destinations": [{"ID": "EMR"}]}),
            json!({}),
            "Meta.Destinations[0].ID",
            "/Meta/Destinations",
            None,
            Some(json!([{"ID": "EMR"}])),
        ),
    ];
    for (meta, slot, path, pointer, dropped, lenient) in cases {
        let message = message(&meta, &slot);
        for (validation, expected) in ALL.into_iter().zip([&None, &dropped, &lenient]) {
            let case = format!("{path}: {meta} {slot}, {validation:?}");
            match (sent(&message, validation).await, expected) {
                (Ok((receipt, json)), Some(expected)) => {
                    assert_eq!(json.pointer(pointer).unwrap_or(&Value::Null), expected, "{case}");
                    assert!(paths(receipt.problems()).contains(&path), "{case}");
                    assert_eq!(
                        receipt.problems(),
                        message.validate().unwrap_err().problems(),
                        "{case}"
                    );
                    assert!(
                        validation != Lenient
                            || receipt.problems()[0].severity() == Severity::Warning
                    );
                }
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidMessage, "{case}");
                    assert_eq!(paths(error.problems()), [path], "{case}");
                }
                (Ok((_, json)), None) => panic!("{case}: sent {json}"),
                (Err(error), Some(_)) => panic!("{case}: {error}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn error_lists_only_the_problems_that_stopped_the_message() {
    let phone = json!({"PhoneNumber": {"Office": "1"}});
    let mut slots: Vec<_> = (0..1_500)
        .map(|number| json!({"ID": number, "DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Provider": {"ID": number, "PhoneNumber": phone["PhoneNumber"]}}))
        .collect();
    slots[1_400]["Duration"] = Value::Null;
    let message = PushSlots::from_json(json!({"Slots": slots}).to_string()).unwrap();
    for validation in [DropInvalidOptional, Lenient] {
        let error = sent(&message, validation).await.unwrap_err();
        assert_eq!(
            (paths(error.problems()), error.omitted_problems()),
            (vec!["Slots[1400].Duration"], 0)
        );
    }
    let error = sent(&message, Strict).await.unwrap_err();
    assert_eq!((error.problems().len(), error.omitted_problems()), (1_000, 501));

    slots[1_400]["Duration"] = json!(15);
    let message = PushSlots::from_json(json!({"Slots": slots}).to_string()).unwrap();
    for validation in [DropInvalidOptional, Lenient] {
        let (receipt, _) = sent(&message, validation).await.unwrap();
        assert_eq!((receipt.problems().len(), receipt.omitted_problems()), (1_000, 500));
        let json = serde_json::to_value(&receipt).unwrap();
        assert_eq!(json["problems"].as_array().unwrap().len(), 1_000);
        assert_eq!(json["omitted_problems"], 500);
    }
    let (receipt, _) = sent(&support::message(), Lenient).await.unwrap();
    assert_eq!((receipt.problems().len(), receipt.omitted_problems()), (0, 0));
    assert_eq!(serde_json::to_value(&receipt).unwrap().get("problems"), None);
}

/// Returns slots that share a provider with an invalid phone number.
fn with_phone(count: usize) -> Vec<Slot> {
    let mut provider = Provider::new().id("1", "NPI");
    provider.phone_number = Some(PhoneNumber::new("608-555-1234"));
    let provider = Shared::from(provider);
    slots(0..count).into_iter().map(|slot| slot.provider(&provider)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_publication_of_a_list_reports_the_problems_of_a_shared_record_once() {
    for validation in [DropInvalidOptional, Lenient] {
        let (model, client) = serve([ok(), ok(), ok()]);
        let slots = with_phone(2_500);
        let meta: Meta = serde_json::from_str(r#"{"Source": {"ID": "north"}}"#).unwrap();
        let publication = client.publish(&slots).meta(meta).validation(validation).batch_id("b");
        let report = publication.await.unwrap();
        assert_eq!(
            paths(report.problems()),
            ["Meta.Source.ID", "Slots[0].Provider.PhoneNumber.Office"]
        );
        assert_eq!((report.problems()[1].slot_count(), report.omitted_problems()), (2_500, 0));
        assert_eq!(report.run().accepted_slots, 2_500);
        assert_eq!(serde_json::to_value(&report).unwrap()["problems"].as_array().unwrap().len(), 2);
        for message in arrived(&model) {
            let text = String::from_utf8(message.body.to_vec()).unwrap();
            assert_eq!(text.contains("608-555-1234"), validation == Lenient);
            assert_eq!(text.contains(r#""Source":{"ID":"north"}"#), validation == Lenient);
            assert!(text.contains(r#""Provider":{"ID":"1","IDType":"NPI""#));
        }
        assert_eq!(arrived(&model).len(), 3);
    }
    let (model, client) = serve([]);
    let error = client.publish(with_phone(2_500)).await.unwrap_err();
    assert_eq!(paths(error.error().problems()), ["Slots[0].Provider.PhoneNumber.Office"]);
    assert!(model.calls().is_empty() && error.report().problems().is_empty());
}

#[tokio::test(start_paused = true)]
async fn slots_that_break_the_schema_are_skipped_and_the_others_published() {
    for validation in ALL {
        for is_stream in [false, true] {
            let (model, client) = serve([ok()]);
            let mut slots = with_phone(6);
            slots[2] = support::batch::slots(2..3).remove(0);
            slots[4].duration = None;
            let mut skipped = Vec::new();
            let publication = match is_stream {
                true => client.publish_stream(stream::iter(slots.clone())),
                false => client.publish(&slots),
            };
            let publication = publication.validation(validation).batch_id("b");
            let skip = |index: usize, problems: &[Problem]| {
                skipped.push((
                    index,
                    paths(problems).into_iter().map(str::to_owned).collect::<Vec<_>>(),
                ));
            };
            let report = publication.skip_invalid(skip).await.unwrap();
            let phone = |index| format!("Slots[{index}].Provider.PhoneNumber.Office");
            let duration = "Slots[4].Duration".to_owned();
            let (skips, sends, reported): (Vec<_>, Vec<usize>, Vec<String>) = match validation {
                Strict => (
                    vec![
                        (0, vec![phone(0)]),
                        (1, vec![phone(1)]),
                        (3, vec![phone(3)]),
                        (4, vec![phone(4), duration]),
                        (5, vec![phone(5)]),
                    ],
                    vec![2],
                    vec![],
                ),
                _ => (vec![(4, vec![duration])], vec![0, 1, 2, 3, 5], vec![phone(0)]),
            };
            assert_eq!(
                (skipped, report.run().skipped_slots),
                (skips.clone(), skips.len()),
                "{validation:?}"
            );
            assert_eq!(arrived(&model)[0].slots, sends, "{validation:?}");
            let body = String::from_utf8(arrived(&model)[0].body.to_vec()).unwrap();
            assert_eq!(
                body.matches("608-555-1234").count(),
                if validation == Lenient { 4 } else { 0 }
            );
            assert_eq!(paths(report.problems()), reported, "{validation:?}");
            if validation != Strict {
                assert_eq!(report.problems()[0].slot_count(), 4, "{validation:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn corrected_slots_count_with_their_encoded_size() {
    let mut long = slots(0..2);
    let provider: Provider =
        serde_json::from_value(json!({"ID": "1", "Credentials": [["x".repeat(2_000)], "MD"]}))
            .unwrap();
    long[1].provider = Some(provider.share());
    let (model, client) = serve([ok(), ok()]);
    let publication =
        client.publish(&long).bytes_per_message(1_000).validation(DropInvalidOptional);
    assert_eq!(publication.await.unwrap().run().accepted_slots, 2);
    assert!(arrived(&model).iter().all(|message| message.body.len() <= 1_000));
    let error = client.publish(&long).bytes_per_message(1_000).await.unwrap_err();
    assert_eq!(paths(error.error().problems()), ["Slots[1].Provider.Credentials[0]", "Slots[1]"]);
}

#[tokio::test(start_paused = true)]
async fn changed_shared_record_is_corrected_again() {
    let mut slots = with_phone(3);
    let (_, client) = serve([ok()]);
    client.publish(&slots).validation(DropInvalidOptional).await.unwrap();
    // Only one holder is left, so the record is changed in place.
    let mut slot = slots.pop().unwrap();
    drop(slots);
    slot.provider.as_mut().unwrap().to_mut().last_name = Some("Marble".to_owned());
    let (model, client) = serve([ok()]);
    let report = client.publish([&slot, &slot]).validation(DropInvalidOptional).await.unwrap();
    assert_eq!(report.problems().len(), 1);
    let body = String::from_utf8(model.calls()[0].body.to_vec()).unwrap();
    assert!(body.contains("Marble") && !body.contains("608-555-1234"), "{body}");
}

#[tokio::test(start_paused = true)]
async fn new_batch_that_replaces_an_unfinished_one_counts_its_problems_once() {
    let folder = Folder::create();
    let run = async |client: &Client, slots: Vec<Slot>| {
        let publication =
            client.publish(slots).slots_per_message(2).validation(DropInvalidOptional);
        let publication = publication.skip_invalid(|_, _| ()).restart_if_changed();
        publication.checkpoint(folder.path().join("checkpoint")).await
    };
    let (_, client) = serve([ok(), responds(400)]);
    run(&client, with_phone(6)).await.unwrap_err();
    let mut changed = with_phone(6);
    changed[0].reason = Some("Office Visit".into());
    changed[1].duration = None;
    let (model, client) = serve([ok(), ok(), ok()]);
    let report = run(&client, changed).await.unwrap();
    assert_eq!(
        arrived(&model).iter().flat_map(|message| message.slots.clone()).collect::<Vec<_>>(),
        [0, 2, 3, 4, 5]
    );
    assert!(
        model
            .calls()
            .iter()
            .all(|call| !String::from_utf8_lossy(&call.body).contains("608-555-1234"))
    );
    assert_eq!((report.problems().len(), report.problems()[0].slot_count()), (1, 5));
    assert_eq!(report.run().skipped_slots, 1);
}

#[tokio::test(start_paused = true)]
async fn destinations_are_distinguished_by_ids_that_are_not_uuids() {
    let meta = |id: &str| -> Meta {
        serde_json::from_value(json!({"Destinations": [{"ID": id}]})).unwrap()
    };
    let folder = Folder::create();
    let run = async |client: &Client, id: &str, resume: Option<&pushslots::ResumePoint>| {
        let publication =
            client.publish(slots(0..3)).slots_per_message(1).meta(meta(id)).validation(Lenient);
        match resume {
            Some(point) => publication.batch_id("b").resume_from(point).await,
            None => publication.checkpoint(folder.path().join("checkpoint")).await,
        }
    };
    let (_, client) = serve([ok(), responds(400)]);
    let failed = run(&client, "EMR-A", None).await.unwrap_err();
    let (model, client) = serve([ok()]);
    let other = run(&client, "EMR-B", None).await.unwrap_err();
    assert!(other.to_string().contains("other destinations"), "{other}");
    let point = failed.report().resume_point().unwrap();
    let other = run(&client, "EMR-B", Some(point)).await.unwrap_err();
    assert_eq!(paths(other.error().problems()), ["resume_from"]);
    assert!(model.calls().is_empty());
    assert_eq!(run(&client, "EMR-A", None).await.unwrap().batch().accepted_messages, 3);

    let mut messages =
        client.publish(slots(0..1)).meta(meta("EMR-A")).validation(Lenient).prepare();
    assert_eq!(messages.next().await.unwrap().unwrap().destination_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_prepared_message_has_the_batch_numbers_of_its_body() {
    let (_, client) = serve([]);
    let prepare = |meta: Value| {
        let message = message(&meta, &json!({}));
        let prepared = client.send(&message).validation(DropInvalidOptional).prepare().unwrap();
        (prepared.batch().map(|batch| (batch.number, batch.total)), prepared.problems().to_vec())
    };
    let (batch, problems) =
        prepare(json!({"BatchID": "b", "CurrentBatch": "3", "TotalBatches": "2"}));
    assert_eq!((batch, paths(&problems)), (None, vec!["Meta.CurrentBatch"]));
    let (batch, problems) =
        prepare(json!({"BatchID": {"a": 1}, "CurrentBatch": "1", "TotalBatches": "2"}));
    assert_eq!((batch, paths(&problems)), (None, vec!["Meta.BatchID"]));
    let (batch, problems) =
        prepare(json!({"BatchID": "b", "CurrentBatch": "1", "TotalBatches": "2", "Test": 7}));
    assert_eq!((batch, paths(&problems)), (Some((1, Some(2))), vec!["Meta.Test"]));
}

#[tokio::test(start_paused = true)]
async fn source_of_the_client_replaces_a_dropped_source_id() {
    let (model, client) = serve([ok()]);
    let message = message(&json!({"Source": {"ID": "north", "Name": "North"}}), &json!({}));
    let client = client.with_source(support::SOURCE);
    client.send(&message).validation(DropInvalidOptional).await.unwrap();
    let sent: Value = serde_json::from_slice(&model.calls()[0].body).unwrap();
    assert_eq!(sent["Meta"]["Source"], json!({"ID": support::SOURCE, "Name": "North"}));
}

#[tokio::test(start_paused = true)]
async fn a_publication_resumes_with_the_same_bytes() {
    for validation in [DropInvalidOptional, Lenient] {
        let folder = Folder::create();
        let slots = with_phone(3);
        let meta: Meta = serde_json::from_str(r#"{"Source": {"ID": "north"}}"#).unwrap();
        let run = async |client: &Client| {
            let publication = client.publish(&slots).meta(meta.clone()).slots_per_message(1);
            publication.validation(validation).checkpoint(folder.path().join("checkpoint")).await
        };
        let (model, client) = serve([ok(), responds(400)]);
        let error = run(&client).await.unwrap_err();
        let problems = paths(error.report().problems());
        assert_eq!(problems, ["Meta.Source.ID", "Slots[0].Provider.PhoneNumber.Office"]);
        let (later, client) = serve([ok(), ok()]);
        let report = run(&client).await.unwrap();
        assert_eq!(report.batch().accepted_messages, 3);
        assert_eq!(paths(report.problems()), problems);
        assert_eq!(arrived(&later)[0].body, arrived(&model)[1].body);
        assert_eq!(arrived(&later)[0].message_id, arrived(&model)[1].message_id);
    }
}

#[tokio::test(start_paused = true)]
async fn prepared_and_encoded_messages_are_validated_alike() {
    for validation in [DropInvalidOptional, Lenient] {
        let (model, client) = serve([ok(), ok(), ok()]);
        let meta: Meta = serde_json::from_str(r#"{"Source": {"ID": "north"}}"#).unwrap();
        let slots = with_phone(2);
        let message =
            PushSlots::builder().meta(meta.clone()).slots(slots.clone()).build_without_validation();
        assert!(client.send(&message).prepare().is_err() && message.encode().is_err());
        let expected = ["Meta.Source.ID", "Slots[0].Provider.PhoneNumber.Office"];

        let prepared = client.send(&message).validation(validation).prepare().unwrap();
        assert_eq!((paths(prepared.problems()), prepared.omitted_problems()), (expected.into(), 0));
        let receipt = client.send(&prepared).await.unwrap();
        assert_eq!(paths(receipt.problems()), expected);

        let encoded = message.encode_with(validation).unwrap();
        assert_eq!(
            (paths(encoded.problems()), encoded.omitted_problems()),
            (expected[1..].into(), 0)
        );
        let receipt = client.send(&encoded).validation(validation).await.unwrap();
        let mut found = paths(receipt.problems());
        found.sort_unstable();
        assert_eq!(found, expected);

        let mut messages = client.publish(&slots).meta(meta).validation(validation).prepare();
        let from_batch = messages.next().await.unwrap().unwrap();
        assert!(messages.next().await.is_none());
        assert_eq!((paths(messages.problems()), messages.omitted_problems()), (expected.into(), 0));
        client.send(&from_batch).await.unwrap();

        let bodies: Vec<_> = model.calls().into_iter().map(|call| call.body).collect();
        assert_eq!((&bodies[0], &bodies[0]), (&bodies[1], &bodies[2]));

        let mut broken = message.clone();
        broken.slots_mut()[1].duration = None;
        assert_eq!(
            paths(broken.encode_with(validation).unwrap_err().problems()),
            ["Slots[1].Duration"]
        );
        let error = client.send(&broken).validation(validation).prepare().unwrap_err();
        assert_eq!(paths(error.problems()), ["Slots[1].Duration"]);
    }
}

#[tokio::test(start_paused = true)]
async fn validation_of_the_client_applies_to_its_sends() {
    let (model, _) = serve([ok(), ok(), ok()]);
    let client = client_of(&model).validation(Lenient).build().unwrap();
    let message = PushSlots::builder().slots(with_phone(1)).build_without_validation();
    assert_eq!(client.send(&message).await.unwrap().problems().len(), 1);
    assert_eq!(client.publish(with_phone(1)).await.unwrap().problems().len(), 1);
    assert!(client.send(&message).validation(Strict).await.is_err());
    assert!(client.publish(with_phone(1)).validation(Strict).await.is_err());
    assert_eq!(
        client.with_source(support::SOURCE).send(&message).await.unwrap().problems().len(),
        1
    );
}

#[tokio::test]
async fn mock_accepts_warnings_if_configured() {
    let message = PushSlots::from_json(
        r#"{"Meta": {"Destinations": [{"ID": "EMR"}], "Source": {"ID": "north"}, "CurrentBatch": "0"},
            "Slots": [{"DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Provider": {"PhoneNumber": {"Office": "1"}}}]}"#,
    )
    .unwrap();
    let usual = MockService::start().unwrap();
    let tolerant = MockService::builder().accept_warnings().start().unwrap();
    for (service, is_accepted) in [(&usual, false), (&tolerant, true)] {
        let client = Client::builder().mock(service).validation(Lenient).build().unwrap();
        assert_eq!(client.send(&message).await.is_ok(), is_accepted);
    }
    // The schema requires a string there.
    let any = Any::of(&tolerant);
    let token = token(&tolerant, &any).await;
    let body = String::from_utf8(message.to_json()).unwrap();
    assert_eq!(any.push(&token, body.clone()).await.0, 200);
    assert_eq!(any.push(&token, body.replace(r#""north""#, "5")).await.0, 400);
}

/// Returns whether `sent` is `given` without some of its members and elements.
fn is_part_of(sent: &Value, given: &Value) -> bool {
    match (sent, given) {
        (Value::Object(sent), Value::Object(given)) => sent
            .iter()
            .all(|(key, value)| given.get(key).is_some_and(|given| is_part_of(value, given))),
        (Value::Array(sent), Value::Array(given)) => {
            let mut given = given.iter();
            sent.iter().all(|value| given.any(|given| is_part_of(value, given)))
        }
        // Elements of a list that couldn't be read are converted to text.
        (Value::String(_), Value::Bool(_) | Value::Number(_)) => {
            sent.as_str() == Some(&given.to_string())
        }
        _ => sent == given,
    }
}

/// Collects the paths of the values that `given` has and `sent` lacks, written as in a problem.
fn collect_dropped(given: &Value, sent: &Value, at: &str, dropped: &mut Vec<String>) {
    match (given, sent) {
        (Value::Object(given), Value::Object(sent)) => {
            for (key, value) in given {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                match sent.get(key) {
                    Some(sent) => collect_dropped(value, sent, &at, dropped),
                    None => dropped.push(at),
                }
            }
        }
        (Value::Array(given), Value::Array(sent)) if given.len() == sent.len() => {
            for (index, (given, sent)) in given.iter().zip(sent).enumerate() {
                collect_dropped(given, sent, &format!("{at}[{index}]"), dropped);
            }
        }
        (Value::Array(_), _) => dropped.push(at.to_owned()),
        _ => {}
    }
}

#[test]
fn message_without_its_invalid_values_is_valid_and_each_dropped_value_is_reported() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let replaced = vec((any::<Index>(), generate::json()), 0..4);
    holds((generate::message(), replaced).boxed(), |(message, replaced)| {
        let mut json: Value = serde_json::from_slice(&message.to_json()).unwrap();
        if json["Meta"]["Destinations"].is_null() {
            json["Meta"]["Destinations"] = json!([{ "ID": support::DESTINATION }]);
        }
        for (index, value) in replaced {
            let pointer = index.get(&generate::pointers(&json)).clone();
            *json.pointer_mut(&pointer).unwrap() = value;
        }
        let Ok(given) = PushSlots::from_json(json.to_string()) else { return Ok(()) };
        if let Ok((receipt, sent)) = runtime.block_on(sent(&given, DropInvalidOptional)) {
            let problems = PushSlots::from_json(sent.to_string()).unwrap().validate();
            prop_assert!(problems.is_ok(), "{json}: {problems:?}");
            let mut read: Value = serde_json::from_slice(&given.to_json()).unwrap();
            if read["Meta"]["Destinations"].is_null() {
                // The client adds its own destinations.
                read["Meta"]["Destinations"] = sent["Meta"]["Destinations"].clone();
            }
            prop_assert!(is_part_of(&sent, &read), "{read}\n{sent}");
            let mut dropped = Vec::new();
            collect_dropped(&read, &sent, "", &mut dropped);
            for dropped in dropped {
                let is_batch = ["Meta.CurrentBatch", "Meta.TotalBatches"].contains(&&*dropped);
                let is_reported = paths(receipt.problems()).into_iter().any(|path| {
                    path.starts_with(&dropped)
                        || dropped.starts_with(path)
                        || is_batch && path.starts_with("Meta.") && path.contains("Batch")
                });
                prop_assert!(is_reported, "{dropped} isn't reported: {:?}", receipt.problems());
            }
        }
        Ok(())
    });
}
