//! The example `publish_file` as a user runs it: what it sends, what it prints, and how it exits.

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use pushslots::mock::{Answer, MockService, MockServiceBuilder};
use pushslots::uuid::Uuid;
use serde_json::{Value, json};
use support::batch::slots;
use support::examples::{Folder, Run, program, publish_file, settings, token};
use support::raw::{Act, RawServer};
use support::{DESTINATION, fixtures};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

fn lines(numbers: std::ops::Range<usize>) -> String {
    slots(numbers).iter().map(|slot| String::from_utf8(slot.to_json()).unwrap() + "\n").collect()
}

fn list(numbers: std::ops::Range<usize>) -> String {
    format!("[{}]", lines(numbers).trim().replace('\n', ","))
}

/// The messages that arrived, and the ids of their slots.
async fn arrived(service: &MockService) -> Vec<(Value, Vec<usize>)> {
    let requests = service.requests();
    let messages = requests.iter().filter(|request| request.path() == "/endpoint");
    messages
        .map(|request| {
            let json: Value = serde_json::from_slice(request.body()).unwrap();
            let id = |slot: &Value| slot["ID"].as_str().unwrap().parse().unwrap();
            (json["Meta"].clone(), json["Slots"].as_array().unwrap().iter().map(id).collect())
        })
        .collect()
}

#[tokio::test]
async fn slots_are_published_whatever_the_file_looks_like() {
    let folder = Folder::new();
    let message = format!(
        r#"{{"Slots":{},"Meta":{{"Test":true,"FacilityCode":"RES","BatchID":"of the file","CurrentBatch":"9"}}}}"#,
        list(0..25)
    );
    for (content, is_message) in [(lines(0..25), false), (list(0..25), false), (message, true)] {
        let service = fixtures::serve();
        let file = folder.file("slots.json", content);
        let mut settings = settings(service.url(), "plain", &folder);
        settings.insert("PUSHSLOTS_SLOTS_PER_MESSAGE", "10".to_owned());
        settings.insert("PUSHSLOTS_BATCH_ID", "\u{feff}tuesday\r\n".to_owned());
        let run = publish_file(Some(&file), &settings).await;
        assert_eq!((run.code, &*run.stderr), (Some(0), ""), "quiet where there is no terminal");

        let mut printed = run.json();
        assert!(printed["elapsed_ms"].take().is_u64());
        let receipts = printed["receipts"].take();
        let log = &receipts[2]["logs"][0];
        assert_eq!((receipts.as_array().unwrap().len(), log["id"].is_string()), (3, true), "{receipts}");
        assert_eq!(
            printed,
            json!({
                "batch_id": "tuesday",
                "batch": {"accepted_messages": 3, "accepted_slots": 25, "messages": 3, "slots": 25},
                "run": {
                    "accepted_messages": 3, "accepted_slots": 25, "skipped_slots": 0, "possibly_repeated_slots": 0,
                    "requests": 3
                },
                "elapsed_ms": null, "waited_ms": 0, "resume_from": null, "error": null, "receipts": null
            })
        );
        let arrived = arrived(&service).await;
        assert_eq!(
            arrived.iter().flat_map(|(_, slots)| slots.clone()).collect::<Vec<_>>(),
            (0..25).collect::<Vec<_>>()
        );
        for (number, (meta, _)) in arrived.iter().enumerate() {
            let expected = if is_message { [json!(true), json!("RES")] } else { [Value::Null, Value::Null] };
            assert_eq!(
                [&meta["Test"], &meta["FacilityCode"]],
                [&expected[0], &expected[1]],
                "also behind the slots"
            );
            assert_eq!(
                (&meta["BatchID"], &meta["CurrentBatch"]),
                (&json!("tuesday"), &json!((number + 1).to_string()))
            );
            assert_eq!(meta["Destinations"], json!([{"ID": DESTINATION}, {"ID": Uuid::max()}]));
        }
    }
}

#[tokio::test]
async fn slots_that_are_wrong_are_told_and_cost_no_other() {
    let (service, folder) = (fixtures::serve(), Folder::new());
    let long = format!(
        r#"{{"ID":"4","DateTime":"2026-12-01T09:00:00Z","Duration":15,"Reason":"{}"}}"#,
        "x".repeat(5_000)
    );
    let content = format!("{}{{\"Duration\":0}}\n7\n{{\"ID\":\n{long}\n{}", lines(0..2), lines(5..7));
    let file = folder.file("slots.ndjson", content);
    let mut settings = settings(service.url(), "plain", &folder);
    settings.insert("PUSHSLOTS_BYTES_PER_MESSAGE", "2000".to_owned());
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!(run.code, Some(2), "{}", run.stderr);
    let told: Vec<_> = run.stderr.lines().map(|line| line.split_once("slots.ndjson ").unwrap().1).collect();
    let starts = [
        "line 3: Slots[2].Duration: ",
        "line 3: Slots[2].DateTime: ",
        "line 4: Slots[3]: ",
        "line 5: Slots[4]",
        "line 6: Slots[5]: takes 5",
    ];
    assert_eq!(told.len(), starts.len(), "{told:#?}");
    assert!(told.iter().zip(starts).all(|(told, start)| told.starts_with(start)), "{told:#?}");
    let printed = run.json();
    assert_eq!(
        [&printed["run"]["accepted_slots"], &printed["run"]["skipped_slots"], &printed["error"]],
        [&json!(4), &json!(4), &Value::Null]
    );
    let arrived = arrived(&service).await;
    assert_eq!(arrived.into_iter().flat_map(|(_, slots)| slots).collect::<Vec<_>>(), [0, 1, 5, 6]);
}

#[tokio::test]
async fn what_can_not_be_read_to_its_end_is_told_before_anything_goes_out() {
    let (service, folder) = (fixtures::serve(), Folder::new());
    let settings = settings(service.url(), "plain", &folder);
    let cut = list(0..2_000);
    for (content, expected) in [
        (&cut[..cut.len() - 20], "the input ends before the JSON does"),
        ("", "Slots: empty"),
        ("[]", "Slots: empty"),
        ("[1", "the input ends before the JSON does"),
        ("{\"DateTime\":\"2026-12-01T09:00:00Z\",\"Duration\":15}\n{\"DateT", "the file may be cut off"),
    ] {
        let file = folder.file("slots.json", content);
        let run = publish_file(Some(&file), &settings).await;
        assert_eq!(run.code, Some(2), "{content:.20}: {}", run.stderr);
        assert!(run.stderr.contains(expected), "{}", run.stderr);
        assert!(run.json()["error"].as_str().unwrap().contains(expected));
        assert_eq!(run.json()["run"]["accepted_messages"], 0);
    }
    for (file, expected) in [
        (Some(Path::new("no-such-file")), "no-such-file: "),
        (None, "usage: "),
        (Some(Path::new("/")), "not a regular file"),
    ] {
        let run = publish_file(file, &settings).await;
        assert_eq!(run.code, Some(2));
        assert!(run.stderr.contains(expected), "{}", run.stderr);
    }
    let file = folder.file("slots.json", lines(0..1));
    for (name, wrong) in [
        ("PUSHSLOTS_SLOTS_PER_MESSAGE", "0"),
        ("PUSHSLOTS_SLOTS_PER_MESSAGE", "many"),
        ("PUSHSLOTS_BYTES_PER_MESSAGE", "-1"),
        ("PUSHSLOTS_RATE", "7500"),
        ("PUSHSLOTS_RATE", "7500/5"),
        ("PUSHSLOTS_RATE", "1/300s"),
        ("PUSHSLOTS_RESUME_FROM", "0"),
        ("PUSHSLOTS_BATCH_ID", " "),
        ("PUSHSLOTS_BATCH_ID", "\u{feff}\r\n"),
        ("PUSHSLOTS_RESUME_FROM", "3@"),
    ] {
        let mut settings = settings.clone();
        settings.insert("PUSHSLOTS_RESUME_FROM", "2@1".to_owned());
        settings.insert("PUSHSLOTS_BATCH_ID", "b".to_owned());
        settings.insert(name, wrong.to_owned());
        let run = publish_file(Some(&file), &settings).await;
        assert_eq!(run.code, Some(2), "{name}={wrong}");
        assert!(run.stderr.contains(&format!("{name}: ")), "{name}={wrong}: {}", run.stderr);
    }
    let run = publish_file(Some(&file), &BTreeMap::new()).await;
    assert!(run.stderr.contains("PUSHSLOTS_CLIENT_ID: missing"), "{}", run.stderr);
    assert!(service.requests().is_empty());
}

#[tokio::test]
async fn what_was_not_accepted_goes_on_where_it_ended() {
    let folder = Folder::new();
    let file = folder.file("slots.ndjson", lines(0..5));
    let accepted = || Act::answer("200 OK", "", r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#);
    let first = RawServer::start([token(), accepted(), Act::answer("400 No", "", "")]).await;
    let mut settings = settings(&first.url, "plain", &folder);
    settings.insert("PUSHSLOTS_SLOTS_PER_MESSAGE", "2".to_owned());
    let run = publish_file(Some(&file), &settings).await;
    let printed = run.json();
    assert_eq!(run.code, Some(1));
    assert!(run.stderr.starts_with("message 2 of batch "), "{}", run.stderr);
    assert_eq!([&printed["run"]["accepted_messages"], &printed["run"]["accepted_slots"]], [1, 2]);
    let point = printed["resume_from"].as_str().unwrap();
    assert!(point.starts_with("2@2."), "{point}");
    let (text, go_on) = run.stderr.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(printed["error"], text);
    let batch = printed["batch_id"].as_str().unwrap();
    assert_eq!(go_on, format!("to go on: PUSHSLOTS_BATCH_ID={batch} PUSHSLOTS_RESUME_FROM={point}"));
    assert_eq!((&printed["failed_message"], &printed["failure"]["kind"]), (&json!(2), &json!("refused")));
    let refused = first.finish().await.pop().unwrap();

    let second = RawServer::start([token(), accepted(), accepted()]).await;
    settings.insert("PUSHSLOTS_BASE_URL", second.url.clone());
    settings.insert("PUSHSLOTS_BATCH_ID", printed["batch_id"].as_str().unwrap().to_owned());
    settings.insert("PUSHSLOTS_RESUME_FROM", format!("{}\r\n", printed["resume_from"].as_str().unwrap()));
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!((run.code, &run.json()["run"]["accepted_slots"]), (Some(0), &json!(3)), "{}", run.stderr);
    let sent = second.finish().await;
    let of = |request: &[u8]| {
        let (head, body) = support::raw::split(request);
        (support::raw::header(head, "idempotency-key").unwrap().to_owned(), body.unwrap().to_vec())
    };
    assert_eq!(of(&refused), of(&sent[1]), "the same message again");

    // Also where the first may have been accepted: another batch would send it under another id.
    let lost = RawServer::start([token(), Act::ResetAfterReading]).await;
    settings.insert("PUSHSLOTS_BASE_URL", lost.url.clone());
    settings.insert("PUSHSLOTS_MAX_ATTEMPTS", "1".to_owned());
    settings.retain(|name, _| !["PUSHSLOTS_BATCH_ID", "PUSHSLOTS_RESUME_FROM"].contains(name));
    let run = publish_file(Some(&file), &settings).await;
    let (printed, stderr) = (run.json(), run.stderr);
    let (batch, point) = (printed["batch_id"].as_str().unwrap(), printed["resume_from"].as_str().unwrap());
    assert!(point.starts_with("1@0.") && point.contains("+2of0."), "{point}");
    let go_on = format!("to go on: PUSHSLOTS_BATCH_ID={batch} PUSHSLOTS_RESUME_FROM={point}\n");
    assert!(stderr.ends_with(&go_on), "{stderr}");
    lost.finish().await;
}

#[tokio::test]
async fn the_rate_is_kept() {
    let (service, folder) = (fixtures::serve(), Folder::new());
    let file = folder.file("slots.ndjson", lines(0..5));
    let mut settings = settings(service.url(), "plain", &folder);
    settings.insert("PUSHSLOTS_SLOTS_PER_MESSAGE", "1".to_owned());
    settings.insert("PUSHSLOTS_RATE", "4/1s".to_owned());
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.json()["waited_ms"].as_u64().unwrap() > 0, "{}", run.stdout);
    assert_eq!(arrived(&service).await.len(), 5);
}

/// A run of `publish_file` on as many slots, one a message, that gets so many ctrl-c: the first when a message arrives, each further
/// when it told of the one before.
async fn interrupted(
    service: MockService,
    mut arrives: UnboundedReceiver<()>,
    slots: usize,
    times: u32,
) -> (Run, MockService) {
    let folder = Folder::new();
    let file = folder.file("slots.ndjson", lines(0..slots));
    let settings = BTreeMap::from([
        ("PUSHSLOTS_BASE_URL", service.url().to_owned()),
        ("PUSHSLOTS_CLIENT_ID", service.client_id().to_owned()),
        ("PUSHSLOTS_KEY_ID", service.key_id().to_owned()),
        (
            "PUSHSLOTS_PRIVATE_KEY_FILE",
            folder.file("key.pem", service.private_key_pem()).display().to_string(),
        ),
        ("PUSHSLOTS_DESTINATION_IDS", service.destination().to_string()),
        ("PUSHSLOTS_SLOTS_PER_MESSAGE", "1".to_owned()),
    ]);
    let mut command = Command::new(program("publish_file"));
    command.arg(&file).env_clear().envs(&settings).kill_on_drop(true);
    let mut publishing = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let id = publishing.id().unwrap().to_string();
    let mut told = BufReader::new(publishing.stderr.take().unwrap());
    let mut stderr = String::new();
    let run = async {
        arrives.recv().await.unwrap();
        for _ in 0..times {
            assert!(Command::new("kill").args(["-INT", &id]).status().await.unwrap().success());
            told.read_line(&mut stderr).await.unwrap();
        }
        told.read_to_string(&mut stderr).await.unwrap();
        let output = publishing.wait_with_output().await.unwrap();
        Run { code: output.status.code(), stdout: String::from_utf8(output.stdout).unwrap(), stderr }
    };
    let run = timeout(Duration::from_secs(60), run).await.expect("it ends");
    (run, service)
}

/// A mock that tells of each message as it arrives.
fn watched() -> (MockServiceBuilder, UnboundedReceiver<()>) {
    let (tell, arrives) = unbounded_channel();
    let builder = MockService::builder().answer_with(move |request| {
        if request.path() == "/endpoint" {
            let _ = tell.send(());
        }
        None
    });
    (builder, arrives)
}

#[tokio::test]
async fn ctrl_c_stops_behind_a_message_and_the_next_at_once() {
    let (builder, arrives) = watched();
    let (run, service) = interrupted(builder.start().unwrap(), arrives, 5_000, 1).await;
    let printed = run.json();
    let accepted = service.received().len();
    assert_eq!(
        (run.code, &printed["run"]["accepted_messages"]),
        (Some(1), &json!(accepted)),
        "{}",
        run.stderr
    );
    assert!((1..5_000).contains(&accepted), "{accepted}");
    let point = printed["resume_from"].as_str().unwrap();
    assert!(point.starts_with(&format!("{}@{accepted}.", accepted + 1)), "{point}");

    // The message that is on its way may be accepted, also the first.
    let (builder, arrives) = watched();
    let service = builder.start().unwrap();
    service.next(Answer::stall());
    let (run, _service) = interrupted(service, arrives, 3, 2).await;
    let printed = run.json();
    assert_eq!((run.code, &printed["error"]), (Some(1), &json!("ended before its message did")));
    let batch = printed["batch_id"].as_str().unwrap();
    let point = printed["resume_from"].as_str().unwrap();
    assert!(point.starts_with("1@0.") && point.contains("+1of0."), "{point}");
    let go_on = format!("to go on: PUSHSLOTS_BATCH_ID={batch} PUSHSLOTS_RESUME_FROM={point}\n");
    assert!(run.stderr.ends_with(&go_on), "{}", run.stderr);
}
