//! The headings of the troubleshooting guide are texts that the library produces.

use std::collections::BTreeMap;
use std::time::Duration;

use pushslots::http::StatusCode;
use pushslots::mock::{MockResponse, MockService};
use pushslots::{Client, ClientBuilder, Credentials, PushSlots, SigningKey};
use support::batch::{serve, slots};
use support::examples::Folder;
use support::model::{ok, responds};
use support::{DESTINATION, message, repository};

/// Sends a message to a mock with this response. Returns the error.
async fn error_after(response: MockResponse) -> String {
    let service = MockService::start().unwrap();
    service.respond_next(response);
    let client = Client::builder().mock(&service).max_attempts(1).build().unwrap();
    client.send(&message()).await.unwrap_err().to_string()
}

/// Builds a client for this URL and sends a message. Returns the error of either step.
async fn error_from(url: &str, change: impl FnOnce(ClientBuilder) -> ClientBuilder) -> String {
    let builder = Client::builder()
        .base_url(url)
        .credentials(Credentials::api_key("key", "secret"))
        .destination(DESTINATION)
        .max_attempts(1);
    match change(builder).build() {
        Ok(client) => client.send(&message()).await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    }
}

/// Produces each text that the guide explains, by its heading.
async fn produced() -> BTreeMap<&'static str, String> {
    let service = MockService::start().unwrap();
    let mocked = || Client::builder().mock(&service).max_attempts(1);
    let client = mocked().build().unwrap();
    let folder = Folder::create();
    let checkpoint = folder.path().join("slots.checkpoint");

    // Nothing accepts connections on a port that was just free.
    let unused = format!("http://127.0.0.1:{}", {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    });

    let no_destination = Client::builder()
        .base_url(service.url())
        .credentials(Credentials::signed_jwt(
            service.client_id(),
            SigningKey::from_pem(service.private_key_pem(), service.key_id()).unwrap(),
        ))
        .build()
        .unwrap();

    let rejecting = MockService::start().unwrap();
    rejecting.respond_next_token(MockResponse::new(StatusCode::UNAUTHORIZED));

    let failing = MockService::start().unwrap();
    failing.respond_next(MockResponse::unavailable());
    let without_budget = Client::builder().mock(&failing).retry_budget(0).build().unwrap();

    let limited = mocked().rate_limit(2, Duration::from_secs(60)).deadline(Duration::from_secs(5));
    let limited = limited.build().unwrap();
    let mut throttled = limited.send(&message()).await.map(drop);
    while throttled.is_ok() {
        throttled = limited.send(&message()).await.map(drop);
    }

    let in_use = {
        let publication = client.publish(slots(0..1)).checkpoint(&checkpoint);
        let other = client.publish(slots(0..1)).checkpoint(&checkpoint);
        // Each publication locks the file when it begins. The delay keeps the first one running
        // until the second has begun.
        service.respond_next(MockResponse::usual().delay(Duration::from_millis(200)));
        let (first, second) = tokio::join!(publication, other);
        first.and(second).unwrap_err().to_string()
    };
    let unfinished = {
        let (_, client) = serve([ok(), responds(400)]);
        let publish = |slots| client.publish(slots).slots_per_message(1).checkpoint(&checkpoint);
        publish(slots(0..2)).await.unwrap_err();
        publish(slots(1..3)).await.unwrap_err().to_string()
    };
    let stalled = {
        service.respond_next(MockResponse::stall());
        let client = mocked().attempt_timeout(Duration::from_millis(200)).build().unwrap();
        client.send(&message()).await.unwrap_err().to_string()
    };

    BTreeMap::from([
        ("invalid configuration", Client::builder().build().unwrap_err().to_string()),
        (
            "exposes tokens and messages to the network",
            error_from("http://gateway.internal", |builder| builder).await,
        ),
        (
            "the private key is damaged or of an unsupported kind",
            SigningKey::from_pem(
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
                "id",
            )
            .unwrap_err()
            .to_string(),
        ),
        ("no access token", {
            let client = Client::builder().mock(&rejecting).build().unwrap();
            client.send(&message()).await.unwrap_err().to_string()
        }),
        (
            "Meta.Destinations: empty",
            no_destination.send(&message()).await.unwrap_err().to_string(),
        ),
        (
            "the message breaks the PushSlots data model",
            PushSlots::from_json(r#"{"Slots":[{}]}"#).unwrap().validate().unwrap_err().to_string(),
        ),
        ("the service responded with 400", error_after(MockResponse::rejected("no")).await),
        ("the service responded with 429", error_after(MockResponse::throttled()).await),
        ("isn't the service's", error_after(MockResponse::block_page()).await),
        ("its content coding is", error_after(MockResponse::usual().gzip()).await),
        (
            "the host name could not be resolved",
            error_from("https://no-such-host.invalid", |builder| builder).await,
        ),
        ("no connection could be made", error_from(&unused, |builder| builder).await),
        ("no response arrived within the timeout", stalled),
        (
            "abandoned because the client's retry budget is empty",
            without_budget.send(&message()).await.unwrap_err().to_string(),
        ),
        ("leaves no room within the deadline", throttled.unwrap_err().to_string()),
        ("another publication is using it", in_use),
        ("the checkpoint belongs to the unfinished batch", unfinished),
    ])
}

#[tokio::test]
async fn every_heading_is_part_of_a_text_that_the_library_produces() {
    let guide = std::fs::read_to_string(repository("docs/troubleshooting.md")).unwrap();
    let headings: Vec<_> = guide.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let produced = produced().await;
    for (heading, text) in &produced {
        assert!(text.contains(heading), "{heading}: {text}");
        assert!(headings.contains(&&*format!("`{heading}`")), "the guide lacks {heading}");
    }
    assert_eq!(headings.len(), produced.len());
}
