//! An axum server that publishes the slots of each request, with a readiness probe, stored receipts
//! and a graceful shutdown.
//!
//! `cargo run --example axum_app`. Its README shows the requests.

use std::fs::File;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use pushslots::mock::MockService;
use pushslots::{AcceptedMessage, Client, ErrorKind, PublishError, Slot};
use tokio::net::TcpListener;

/// The state that all requests share. A clone of the client is cheap, and shares its connections,
/// its access token and its rate limit.
#[derive(Clone)]
struct App {
    client: Client,
    receipts: Arc<File>,
}

/// Publishes the slots, and responds when all are accepted or the publication failed.
async fn publish(State(app): State<App>, Json(slots): Json<Vec<Slot>>) -> Response {
    let publication = app
        .client
        .publish(slots)
        // The caller waits for the response, so outages aren't waited out for long.
        .patience(Duration::from_secs(10))
        .on_accepted(|accepted| {
            let stored = store(&app.receipts, &accepted);
            async { stored }
        });
    match publication.await {
        Ok(report) => Json(report).into_response(),
        Err(error) => (status(&error), Json(error)).into_response(),
    }
}

fn status(error: &PublishError) -> StatusCode {
    match error.kind() {
        ErrorKind::InvalidMessage => StatusCode::UNPROCESSABLE_ENTITY,
        ErrorKind::Throttled => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// Appends a receipt as one line of JSON.
fn store(receipts: &File, accepted: &AcceptedMessage) -> io::Result<()> {
    let mut line = serde_json::to_string(&accepted.receipt)?;
    line.push('\n');
    let mut receipts = receipts;
    receipts.write_all(line.as_bytes())
}

/// Ready if an access token can be obtained. No message is sent.
async fn ready(State(app): State<App>) -> Response {
    match app.client.check().await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, Json(error)).into_response(),
    }
}

/// Completes on ctrl-c, or on the signal by which service managers stop a process.
async fn shutdown() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! { _ = terminated.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // Without credentials in the environment, a mock stands in for the service.
    let mock = match std::env::var_os("PUSHSLOTS_CLIENT_ID") {
        Some(_) => None,
        None => Some(MockService::start()?),
    };
    let client = match &mock {
        Some(mock) => Client::builder().mock(mock).build()?,
        None => Client::from_env()?,
    };
    let receipts = File::options().create(true).append(true).open("receipts.ndjson")?;
    let app = App { client: client.clone(), receipts: Arc::new(receipts) };

    let port = match std::env::var("PORT") {
        Ok(port) => port.parse().context("PORT must be a number up to 65535")?,
        Err(_) => 3_000,
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    let routes = Router::new().route("/slots", post(publish)).route("/ready", get(ready));
    axum::serve(listener, routes.with_state(app)).with_graceful_shutdown(shutdown()).await?;
    // For publications that no request waits for any more.
    client.drain(Duration::from_secs(30)).await;
    Ok(())
}
