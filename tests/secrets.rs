//! A binary of its own, because it sets the global subscriber of `tracing`.
//!
//! No log at level `TRACE`, error or `Debug` output contains a secret, with any kind of
//! credentials.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};

use pushslots::http::StatusCode;
use pushslots::http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use pushslots::mock::{self, MockService};
use pushslots::{
    AccessToken, AuthError, Client, Credentials, PushSlots, Response, Signer, SigningAlgorithm,
    SigningInput, SigningKey, TokenRequest, TokenSource,
};
use serde_json::json;
use support::raw::{Act, RawServer};
use support::{DESTINATION, keys};
use tracing_subscriber::filter::LevelFilter;

/// Collects the output of logs, errors and `Debug`.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Output {
    fn add_debug(&self, value: impl Debug) {
        self.0.lock().unwrap().extend_from_slice(format!("{value:?} {value:#?}\n").as_bytes());
    }

    fn add_text(&self, value: impl ToString) {
        self.0.lock().unwrap().extend_from_slice(value.to_string().as_bytes());
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A signer and token source without `Debug`.
struct Vault(SigningKey);

impl Signer for Vault {
    fn key_id(&self) -> &str {
        "vault"
    }

    fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm()
    }

    async fn sign(&self, input: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        self.0.sign(input).await
    }
}

impl TokenSource for Vault {
    async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
        Ok(AccessToken::new("canary-token-of-the-vault"))
    }
}

fn message() -> PushSlots {
    let slot = json!({
        "DateTime": "2026-12-01T09:00:00Z", "Duration": 15, "Reason": "canary-reason",
        "Provider": { "FirstName": "Canaryfirst", "EmailAddresses": ["canary@example.org"] }
    });
    PushSlots::from_json(json!({ "Slots": [slot] }).to_string()).unwrap()
}

fn response(status: &str, body: &str) -> Act {
    Act::response(status, "", body)
}

#[tokio::test]
async fn logs_errors_and_debug_output_contain_no_secrets_bodies_or_names() {
    let output = Output::default();
    let writer = output.clone();
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let key = keys::rsa();
    let jwk = key.jwk("key-id").to_string();
    let key_id = |pem: &str| SigningKey::from_pem(pem, "key-id").unwrap();
    let token = r#"{"access_token":"canary-token","token_type":"Bearer","expires_in":300,"scope":"canary-scope"}"#;
    let legacy =
        r#"{"accessToken":"canary-token","expires":"canary","refreshToken":"canary-refresh"}"#;
    let rejection = r#"{"error":"canary","error_description":"canary canary-token","error_uri":"https://canary.example"}"#;
    // A token endpoint may echo the request.
    let echo = r#"{"error":"invalid_client","error_description":"not eyJcanary.canary.canary, canary-api-key, canary-secret"}"#;
    let accepted = || response("200 OK", r#"{"Meta":{"Logs":[{"ID":"1","AttemptID":"2"}]}}"#);
    let rejected = || response("401 Unauthorized", rejection);
    let jwt = || Credentials::signed_jwt("client-id", key_id(&key.pem)).scope("scope");
    let api_key = || Credentials::api_key("canary-api-key", "canary-secret");

    for (name, credentials, acts) in [
        ("a token", jwt(), vec![response("200 OK", token), accepted()]),
        (
            "a JWK",
            Credentials::signed_jwt("client-id", SigningKey::from_jwk(&jwk).unwrap()),
            vec![response("200 OK", token), accepted()],
        ),
        (
            "a token that is rejected",
            jwt(),
            vec![response("200 OK", token), rejected(), response("200 OK", token), rejected()],
        ),
        (
            "a rejection",
            jwt(),
            vec![response(
                "400 Bad Request",
                r#"{"error":"x","error_description":"not eyJcanary.canary"}"#,
            )],
        ),
        ("an error with status 200", api_key(), vec![response("200 OK", echo)]),
        ("a rejection in plain text", jwt(), vec![response("401 Unauthorized", "canary")]),
        ("an outage", jwt(), vec![response("503 Busy", "canary"), Act::ResetAfterReading]),
        (
            "a response without a token",
            jwt(),
            vec![
                response("200 OK", "canary"),
                response("200 OK", r#"{"access_token":["canary"]}"#),
            ],
        ),
        (
            "a response that is not JSON",
            jwt(),
            vec![response("200 OK", r#"{"access_token":"canary"#), response("200 OK", "<canary>")],
        ),
        (
            "a token that is not a valid header",
            jwt(),
            vec![
                response("200 OK", r#"{"access_token":"canary\n"}"#),
                response("200 OK", r#"{"access_token":"canary","token_type":"canary"}"#),
            ],
        ),
        ("a legacy key", api_key(), vec![response("200 OK", legacy), accepted()]),
        (
            "a refresh",
            api_key(),
            vec![
                response("200 OK", legacy),
                rejected(),
                response("401 Unauthorized", "canary-refresh"),
                response("200 OK", legacy),
                accepted(),
            ],
        ),
        ("a legacy rejection", api_key(), vec![response("401 Unauthorized", "canary-api-key")]),
        (
            "a signer",
            Credentials::signed_jwt("client-id", Vault(key_id(&key.pem))),
            vec![response("200 OK", token), accepted()],
        ),
        ("a source", Credentials::token_source(Vault(key_id(&key.pem))), vec![accepted()]),
        (
            "a source that is rejected",
            Credentials::token_source(Vault(key_id(&key.pem))),
            vec![rejected(), rejected()],
        ),
    ] {
        output.add_text(format!("== {name}\n"));
        let service = RawServer::start(acts).await;
        let builder =
            Client::builder().base_url(&service.url).destination(DESTINATION).max_attempts(2);
        let builder = builder.credentials(credentials.clone());
        output.add_debug((&credentials, &builder));
        let client = builder.build().unwrap();
        let message = message();
        output.add_debug((&client, client.send(&message)));
        match client.send(&message).await {
            Ok(receipt) => output.add_debug(receipt),
            Err(error) => {
                output.add_debug((&error, error.oauth_error(), error.attempts()));
                output.add_text(error);
            }
        }
        service.finish().await;
    }

    output.add_text("== a rotation\n");
    let service = RawServer::start([
        response("401 Unauthorized", echo),
        response("200 OK", token),
        response("401 Unauthorized", "canary"),
    ])
    .await;
    let client = Client::builder().base_url(&service.url).credentials(jwt()).build().unwrap();
    let rejected = client.rotate_credentials(api_key()).await.unwrap_err();
    output.add_debug(&rejected);
    output.add_text(rejected);
    client.rotate_credentials(jwt()).await.unwrap();
    let error = client.rotate_credentials(Credentials::api_key("canary", "")).await.unwrap_err();
    output.add_debug(&error);
    service.finish().await;

    output.add_text("== a publication\n");
    let rejection_of_message =
        response("400 Bad Request", r#"{"Meta":{"Errors":[{"Text":"canary"}]}}"#);
    let service = RawServer::start([response("200 OK", token), rejection_of_message]).await;
    let observed = output.clone();
    let builder =
        Client::builder().base_url(&service.url).destination(DESTINATION).credentials(jwt());
    let builder = builder.classifier(move |exchange| {
        observed.add_debug(exchange);
        exchange.classification()
    });
    let client = builder.build().unwrap();
    let message = message();
    let publication = client.publish(message.slots());
    let handle = publication.handle();
    output.add_debug(&publication);
    let error = publication.await.unwrap_err();
    assert_eq!(error.error().service_text(), Some("canary"));
    output.add_debug((&handle, &error, error.report()));
    output.add_text(error);
    service.finish().await;

    output.add_text("== a mock\n");
    let mock = MockService::start().unwrap();
    let client = Client::builder().mock(&mock).build().unwrap();
    client.send(&message).await.unwrap();
    output.add_debug((
        &mock,
        MockService::builder().api_key("canary", "canary"),
        mock.received(),
        mock.requests(),
    ));
    output.add_debug(mock::MockResponse::rejected("canary"));

    output.add_text("== keys\n");
    let pem = key.pem.replace("PRIVATE KEY", "CERTIFICATE");
    for wrong in [
        SigningKey::from_jwk(jwk.replace("RSA", "canary")),
        SigningKey::from_jwk(jwk.replace("\"d\"", "\"canary\"")),
        SigningKey::from_jwk(&jwk[1..]),
        SigningKey::from_jwk_file(&jwk),
        SigningKey::from_pem(&pem, "key-id"),
        SigningKey::from_pem_file(&pem, "key-id"),
    ] {
        let error = wrong.unwrap_err();
        output.add_debug(&error);
        output.add_text(pushslots::Error::from(error));
    }
    output.add_debug((SigningKey::from_jwk(&jwk).unwrap(), AccessToken::new("canary")));
    let headers = HeaderMap::from_iter([(SET_COOKIE, HeaderValue::from_static("canary"))]);
    output.add_debug(Response::new(StatusCode::OK, headers, Ok("canary".into())));

    let text = output.text();
    for layer in
        ["TRACE", ": hyper", "requesting an access token", "authenticating again", "== keys"]
    {
        assert!(text.contains(layer), "the log contains {layer}");
    }
    for name in
        ["PushSlots {", "PublishBuilder {", "PublishHandle {", "PublishError {", "Exchange {"]
    {
        assert!(text.contains(name), "the output contains {name}");
    }
    let private = key
        .jwk
        .as_object()
        .unwrap()
        .iter()
        .filter(|(name, _)| !["kty", "n", "e"].contains(&name.as_str()));
    let private = private.map(|(_, part)| part.as_str().unwrap());
    let lowercase = text.to_lowercase();
    for secret in ["canary", "eyj", "client_assertion", "-----begin"]
        .into_iter()
        .chain(key.pem.lines())
        .chain(private)
    {
        let position = lowercase.find(&secret.to_lowercase());
        let excerpt = position.map(|at| {
            String::from_utf8_lossy(&text.as_bytes()[at.saturating_sub(300)..at + 40]).into_owned()
        });
        assert_eq!(excerpt, None, "the output contains {secret}");
    }
}
