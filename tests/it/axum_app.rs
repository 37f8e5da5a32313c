//! The example `axum_app`, tested over HTTP.

use std::process::Stdio;
use std::time::Duration;

use pushslots::Receipt;
use pushslots::mock::{MockResponse, MockService};
use serde_json::Value;
use support::any_http;
use support::examples::{Folder, mock_settings, program};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

const SLOTS: &str = r#"[{"DateTime": "2026-12-01T09:00:00Z", "Duration": 15}]"#;

#[tokio::test]
async fn app_publishes_slots_and_shuts_down_gracefully() {
    let service = MockService::start().unwrap();
    let folder = Folder::create();
    let mut command = Command::new(program("axum_app"));
    command.env_clear().envs(mock_settings(&service)).env("PORT", "0").current_dir(folder.path());
    let mut app = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(app.stdout.take().unwrap()).lines();
    let line = timeout(Duration::from_secs(30), lines.next_line()).await.unwrap().unwrap().unwrap();
    let url = line.strip_prefix("listening on ").unwrap();
    let http = any_http();
    let post = async |body: &'static str| {
        let request = http.post(format!("{url}/slots")).header("content-type", "application/json");
        let response = request.body(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, serde_json::from_slice::<Value>(&response.bytes().await.unwrap()).unwrap())
    };

    assert_eq!(http.get(format!("{url}/ready")).send().await.unwrap().status(), 200);
    let (status, report) = post(SLOTS).await;
    assert_eq!((status, &report["batch"]["accepted_slots"]), (200, &1.into()));
    let receipts = std::fs::read_to_string(folder.path().join("receipts.ndjson")).unwrap();
    let receipt: Receipt = serde_json::from_str(receipts.trim_end()).unwrap();
    assert_eq!(service.received()[0].message_id(), Some(receipt.message_id()));

    let (status, error) = post(r#"[{"Duration": 15}]"#).await;
    assert_eq!((status, &error["failure"]["kind"]), (422, &"invalid_message".into()), "{error}");
    service.respond_next(MockResponse::rejected("No subscriptions"));
    let (status, error) = post(SLOTS).await;
    assert_eq!((status, &error["failure"]["delivery"]), (502, &"rejected".into()));
    assert!(!error.to_string().contains("No subscriptions"), "{error}");

    #[cfg(unix)]
    {
        let id = app.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
        let status = timeout(Duration::from_secs(30), app.wait()).await.unwrap().unwrap();
        assert!(status.success());
    }
}
