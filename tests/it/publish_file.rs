//! The example `publish_file` as a user runs it: the messages it sends, its output, and its exit
//! codes.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use pushslots::mock::{MockResponse, MockService, MockServiceBuilder};
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

/// Returns the messages that arrived, and the ids of their slots.
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
async fn slots_are_published_from_a_file_of_any_format() {
    let folder = Folder::create();
    let message = format!(
        r#"{{"Slots":{},"Meta":{{"Test":true,"FacilityCode":"RES","BatchID":"of the file","CurrentBatch":"9"}}}}"#,
        list(0..25)
    );
    for (content, is_message) in [(lines(0..25), false), (list(0..25), false), (message, true)] {
        let service = fixtures::serve();
        let file = folder.file("slots.json", content);
        let mut settings = settings(service.url(), "plain", &folder);
        settings.insert("PUSHSLOTS_SLOTS_PER_MESSAGE", "10".to_owned());
        settings.insert("PUBLISH_BATCH_ID", "\u{feff}tuesday\r\n".to_owned());
        let run = publish_file(Some(&file), &settings).await;
        assert_eq!(
            (run.code, &*run.stderr),
            (Some(0), "batch tuesday\n"),
            "no progress without a terminal"
        );

        let mut printed = run.json();
        assert!(printed["elapsed_ms"].take().is_u64());
        let receipts = printed["receipts"].take();
        let log = &receipts[2]["logs"][0];
        assert_eq!(
            (receipts.as_array().unwrap().len(), log["id"].is_string()),
            (3, true),
            "{receipts}"
        );
        assert_eq!(
            printed,
            json!({
                "batch_id": "tuesday",
                "batch": {"accepted_messages": 3, "accepted_slots": 25, "messages": 3, "slots": 25},
                "run": {
                    "accepted_messages": 3, "accepted_slots": 25, "skipped_slots": 0, "possibly_repeated_slots": 0,
                    "requests": 3
                },
                "elapsed_ms": null, "waited_ms": 0, "resume_point": null, "error": null, "receipts": null
            })
        );
        let arrived = arrived(&service).await;
        assert_eq!(
            arrived.iter().flat_map(|(_, slots)| slots.clone()).collect::<Vec<_>>(),
            (0..25).collect::<Vec<_>>()
        );
        for (number, (meta, _)) in arrived.iter().enumerate() {
            let expected =
                if is_message { [json!(true), json!("RES")] } else { [Value::Null, Value::Null] };
            assert_eq!(
                [&meta["Test"], &meta["FacilityCode"]],
                [&expected[0], &expected[1]],
                "also if `Meta` follows the slots"
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
async fn invalid_slots_are_reported_and_the_others_are_sent() {
    let service = fixtures::serve();
    let folder = Folder::create();
    let long = format!(
        r#"{{"ID":"4","DateTime":"2026-12-01T09:00:00Z","Duration":15,"Reason":"{}"}}"#,
        "x".repeat(5_000)
    );
    let content =
        format!("{}{{\"Duration\":0}}\n7\n{{\"ID\":\n{long}\n{}", lines(0..2), lines(5..7));
    let file = folder.file("slots.ndjson", content);
    let mut settings = settings(service.url(), "plain", &folder);
    settings.insert("PUSHSLOTS_BYTES_PER_MESSAGE", "2000".to_owned());
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!(run.code, Some(3), "{}", run.stderr);
    let reported: Vec<_> = run
        .stderr
        .lines()
        .skip(1)
        .map(|line| line.split_once("slots.ndjson ").unwrap().1)
        .collect();
    let starts = [
        "line 3: Slots[2].Duration: ",
        "line 3: Slots[2].DateTime: ",
        "line 4: Slots[3]: ",
        "line 5: Slots[4]",
        "line 6: Slots[5]: takes 5",
    ];
    assert_eq!(reported.len(), starts.len(), "{reported:#?}");
    assert!(
        reported.iter().zip(starts).all(|(line, start)| line.starts_with(start)),
        "{reported:#?}"
    );
    let printed = run.json();
    assert_eq!(
        [&printed["run"]["accepted_slots"], &printed["run"]["skipped_slots"], &printed["error"]],
        [&json!(4), &json!(4), &Value::Null]
    );
    let arrived = arrived(&service).await;
    assert_eq!(arrived.into_iter().flat_map(|(_, slots)| slots).collect::<Vec<_>>(), [0, 1, 5, 6]);
}

#[tokio::test]
async fn unreadable_file_is_reported_before_anything_is_sent() {
    let service = fixtures::serve();
    let folder = Folder::create();
    let settings = settings(service.url(), "plain", &folder);
    let cut = list(0..2_000);
    for (content, expected) in [
        (&cut[..cut.len() - 20], "the input ends before the JSON does"),
        ("", "Slots: empty"),
        ("[]", "Slots: empty"),
        ("[1", "the input ends before the JSON does"),
        (
            "{\"DateTime\":\"2026-12-01T09:00:00Z\",\"Duration\":15}\n{\"DateT",
            "the file may be cut off",
        ),
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
        ("PUSHSLOTS_RATE_LIMIT", "7500"),
        ("PUSHSLOTS_RATE_LIMIT", "7500/5"),
        ("PUSHSLOTS_RATE_LIMIT", "1/300s"),
        ("PUBLISH_RESUME_FROM", "0"),
        ("PUBLISH_BATCH_ID", " "),
        ("PUBLISH_BATCH_ID", "\u{feff}\r\n"),
        ("PUBLISH_RESUME_FROM", "3@"),
    ] {
        let mut settings = settings.clone();
        settings.insert("PUBLISH_RESUME_FROM", "2@1".to_owned());
        settings.insert("PUBLISH_BATCH_ID", "b".to_owned());
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
async fn the_same_command_resumes_where_the_last_run_ended() {
    let accepted =
        || Act::response("200 OK", "", r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#);
    for uses_checkpoint in [true, false] {
        let folder = Folder::create();
        let file = folder.file("slots.ndjson", lines(0..5));
        let body = r#"{"Meta":{"Errors":[{"ID":1,"Text":"no such facility"}]}}"#;
        let first =
            RawServer::start([token(), accepted(), Act::response("400 No", "", body)]).await;
        let mut settings = settings(&first.url, "plain", &folder);
        settings.insert("PUSHSLOTS_SLOTS_PER_MESSAGE", "2".to_owned());
        if !uses_checkpoint {
            settings.insert("PUBLISH_BATCH_ID", "it's tuesday".to_owned());
            settings.insert("PUBLISH_RESUME_FROM", "1".to_owned());
        }
        let run = publish_file(Some(&file), &settings).await;
        let printed = run.json();
        let stderr = run.stderr;
        assert_eq!(run.code, Some(1));
        let batch = printed["batch_id"].as_str().unwrap();
        let mut lines = stderr.lines();
        assert_eq!(lines.next().unwrap(), format!("batch {batch}"));
        assert_eq!(printed["error"], lines.next().unwrap());
        assert!(printed["error"].as_str().unwrap().starts_with("message 2 of batch "));
        assert_eq!(lines.next(), Some("the service's reason: no such facility"));
        assert_eq!(
            [&printed["run"]["accepted_messages"], &printed["run"]["accepted_slots"]],
            [1, 2]
        );
        let point = printed["resume_point"].as_str().unwrap();
        assert!(point.starts_with("2@2."), "{point}");
        let resume = match uses_checkpoint {
            true => "to resume, run the same command again".to_owned(),
            false => {
                format!(
                    "to resume: PUBLISH_BATCH_ID='it'\\''s tuesday' PUBLISH_RESUME_FROM={point}"
                )
            }
        };
        assert_eq!(lines.next(), Some(&*resume));
        assert_eq!(
            (&printed["failed_message"], &printed["failure"]["kind"]),
            (&json!(2), &json!("rejected"))
        );
        let rejected = first.finish().await.pop().unwrap();

        let second = RawServer::start([token(), accepted(), accepted()]).await;
        settings.insert("PUSHSLOTS_BASE_URL", second.url.clone());
        if !uses_checkpoint {
            settings.insert("PUBLISH_RESUME_FROM", format!("{point}\r\n"));
        }
        let run = publish_file(Some(&file), &settings).await;
        let printed = run.json();
        assert_eq!(
            (run.code, &printed["run"]["accepted_slots"]),
            (Some(0), &json!(3)),
            "{}",
            run.stderr
        );
        assert_eq!(printed["batch"]["accepted_slots"], 5);
        let shown = format!("batch {batch}, 2 slots are accepted already\n");
        assert_eq!(run.stderr, shown);
        let sent = second.finish().await;
        let id_and_body = |request: &[u8]| {
            let (head, body) = support::raw::split(request);
            (
                support::raw::header(head, "idempotency-key").unwrap().to_owned(),
                body.unwrap().to_vec(),
            )
        };
        assert_eq!(id_and_body(&rejected), id_and_body(&sent[1]), "the same message is sent again");
    }
}

#[tokio::test]
async fn a_file_with_other_slots_starts_a_new_batch() {
    let folder = Folder::create();
    let file = folder.file("slots.ndjson", lines(0..5));
    let accepted =
        || Act::response("200 OK", "", r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#);
    let first = RawServer::start([token(), accepted(), Act::response("400 No", "", "")]).await;
    let mut settings = settings(&first.url, "plain", &folder);
    settings.insert("PUSHSLOTS_SLOTS_PER_MESSAGE", "2".to_owned());
    let yesterday = publish_file(Some(&file), &settings).await;
    first.finish().await;
    folder.file("slots.ndjson", lines(10..13));
    let service = fixtures::serve();
    settings.insert("PUSHSLOTS_BASE_URL", service.url().to_owned());
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!(
        (run.code, &run.json()["batch"]["accepted_slots"]),
        (Some(0), &json!(3)),
        "{}",
        run.stderr
    );
    assert_ne!(run.json()["batch_id"], yesterday.json()["batch_id"]);
    assert_eq!(arrived(&service).await.iter().map(|(_, slots)| slots.len()).sum::<usize>(), 3);
    assert!(folder.path().join("slots.ndjson.checkpoint.replaced-1").exists());
    assert!(!folder.path().join("slots.ndjson.checkpoint").exists());
}

#[tokio::test]
async fn temporary_failures_exit_with_5_and_unknown_outcomes_with_6() {
    let html = "Content-Type: text/html\r\n";
    let retry_after = "Retry-After: 1000\r\n";
    for (response, code) in [
        (Act::response("503 Down", retry_after, ""), 5),
        (Act::response("200 OK", html, "<html>Request blocked</html>"), 6),
    ] {
        let folder = Folder::create();
        let file = folder.file("slots.ndjson", lines(0..5));
        let server = RawServer::start([token(), response]).await;
        let mut settings = settings(&server.url, "plain", &folder);
        settings.insert("PUSHSLOTS_MAX_ATTEMPTS", "1".to_owned());
        let run = publish_file(Some(&file), &settings).await;
        assert_eq!(run.code, Some(code), "{}", run.stderr);
        assert!(run.stderr.ends_with("to resume, run the same command again\n"), "{}", run.stderr);
    }
}

#[tokio::test]
async fn rejected_credentials_exit_with_4_and_a_damaged_checkpoint_with_2() {
    let folder = Folder::create();
    let file = folder.file("slots.ndjson", lines(0..5));
    let rejects = Act::response(
        "401 No",
        "Content-Type: application/json\r\n",
        r#"{"error":"invalid_client"}"#,
    );
    let server = RawServer::start([rejects]).await;
    let settings = settings(&server.url, "plain", &folder);
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!(run.code, Some(4), "{}", run.stderr);
    folder.file("slots.ndjson.checkpoint", "not a checkpoint");
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!(
        (run.code, run.json()["run"]["requests"].as_u64()),
        (Some(2), Some(0)),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("isn't a pushslots checkpoint"), "{}", run.stderr);
}

#[tokio::test]
async fn rate_limit_is_respected() {
    let service = fixtures::serve();
    let folder = Folder::create();
    let file = folder.file("slots.ndjson", lines(0..5));
    let mut settings = settings(service.url(), "plain", &folder);
    settings.insert("PUSHSLOTS_SLOTS_PER_MESSAGE", "1".to_owned());
    settings.insert("PUSHSLOTS_RATE_LIMIT", "4/1s".to_owned());
    let run = publish_file(Some(&file), &settings).await;
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    assert!(run.json()["waited_ms"].as_u64().unwrap() > 0, "{}", run.stdout);
    assert_eq!(arrived(&service).await.len(), 5);
}

/// Runs `publish_file` on this number of slots, one per message, and sends it these signals.
///
/// The first signal follows the arrival of a message. Each later one follows the line that the
/// program prints after the signal before it.
async fn interrupted(
    service: MockService,
    mut arrivals: UnboundedReceiver<()>,
    slots: usize,
    signals: &[&str],
) -> (Run, MockService) {
    let folder = Folder::create();
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
    let mut reader = BufReader::new(publishing.stderr.take().unwrap());
    let mut stderr = String::new();
    let run = async {
        arrivals.recv().await.unwrap();
        reader.read_line(&mut stderr).await.unwrap();
        assert!(stderr.starts_with("batch "), "{stderr}");
        for signal in signals {
            assert!(Command::new("kill").args([signal, &*id]).status().await.unwrap().success());
            reader.read_line(&mut stderr).await.unwrap();
        }
        reader.read_to_string(&mut stderr).await.unwrap();
        let output = publishing.wait_with_output().await.unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr,
        }
    };
    let run = timeout(Duration::from_secs(60), run).await.expect("`publish_file` ends");
    (run, service)
}

/// Returns a mock that signals each message as it arrives.
fn watched() -> (MockServiceBuilder, UnboundedReceiver<()>) {
    let (send, arrivals) = unbounded_channel();
    let builder = MockService::builder().respond_with(move |request| {
        if request.path() == "/endpoint" {
            let _ = send.send(());
        }
        None
    });
    (builder, arrivals)
}

#[tokio::test]
async fn first_signal_stops_after_the_message_in_flight_and_the_second_at_once() {
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let (builder, arrivals) = watched();
        let (run, service) =
            interrupted(builder.start().unwrap(), arrivals, 5_000, &[signal]).await;
        let printed = run.json();
        let accepted = service.received().len();
        let in_run = &printed["run"]["accepted_messages"];
        assert_eq!((run.code, in_run), (Some(code), &json!(accepted)), "{}", run.stderr);
        assert!((1..5_000).contains(&accepted), "{accepted}");
        let point = printed["resume_point"].as_str().unwrap();
        assert!(point.starts_with(&format!("{}@{accepted}.", accepted + 1)), "{point}");
        assert!(run.stderr.ends_with("to resume, run the same command again\n"), "{}", run.stderr);

        // The message in flight may have been accepted, even if it is the first.
        let (builder, arrivals) = watched();
        let service = builder.start().unwrap();
        service.respond_next(MockResponse::stall());
        let (run, _service) = interrupted(service, arrivals, 3, &["-TERM", signal]).await;
        let printed = run.json();
        let error = json!("stopped while a message was in flight");
        assert_eq!((run.code, &printed["error"]), (Some(code), &error));
        let point = printed["resume_point"].as_str().unwrap();
        assert!(point.starts_with("1@0.") && point.contains("+1of0."), "{point}");
    }
}
