//! Assertions checked by a third-party authorization server that tolerates no clock difference.

use pushslots::{Client, Credentials, Delivery, Error, ErrorKind, Receipt, SigningKey};
use serde_json::{Value, json};
use support::keys::{self, TestKey};
use support::peer::AuthorizationServer;
use support::relay::{Relay, sign_again};
use support::{DESTINATION, fixtures, message};

const CLIENT_ID: &str = "vendor";
const KEY_ID: &str = "key-2026";

/// Starts the server with one client that has this key.
async fn server(key: &TestKey) -> Option<AuthorizationServer> {
    let jwks = json!({ "keys": [key.public_jwk(KEY_ID)] });
    AuthorizationServer::start(&json!([{ "client_id": CLIENT_ID, "jwks": jwks }])).await
}

fn signing(key: &TestKey, key_id: &str) -> SigningKey {
    SigningKey::from_jwk(key.jwk(key_id).to_string()).unwrap()
}

/// Sends a message to a mock, with a token from `token_url`.
async fn send(token_url: &str, key: SigningKey) -> Result<Receipt, Error> {
    send_with(token_url, Credentials::signed_jwt(CLIENT_ID, key)).await
}

async fn send_with(token_url: &str, credentials: Credentials) -> Result<Receipt, Error> {
    let service = fixtures::serve();
    let client =
        Client::builder().base_url(service.url()).token_url(token_url).destination(DESTINATION);
    let client = client.credentials(credentials).build().unwrap();
    client.send(&message()).await
}

/// Asserts that the server rejected the request for this reason, and that the send reports rejected
/// credentials.
async fn assert_rejected(
    server: &mut AuthorizationServer,
    sent: Result<Receipt, Error>,
    reason: &str,
) {
    let record = server.next().await;
    println!("{record}");
    assert_eq!(
        record,
        json!({ "granted": false, "error": "invalid_client", "error_detail": reason })
    );
    let error = sent.unwrap_err();
    assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::NotSent));
    assert_eq!((error.is_retryable(), error.attempts().len()), (false, 1));
    assert_eq!(error.oauth_error().unwrap().error, "invalid_client");
    let shown = error.to_string();
    let expected = format!(
        "/token rejected the client id {CLIENT_ID:?} with status 401: invalid_client: \
         client authentication failed; check"
    );
    assert!(shown.contains(&expected), "{shown}");
}

#[tokio::test]
async fn assertions_by_both_algorithms_are_accepted() {
    for (key, algorithm) in [(keys::rsa(), "RS384"), (keys::p384(), "ES384")] {
        let Some(mut server) = server(&key).await else { return };
        send(&server.token_url, signing(&key, KEY_ID)).await.unwrap();
        assert_eq!(server.next().await, json!({ "granted": true }));
        println!("{algorithm} is accepted");
    }
}

#[tokio::test]
async fn key_that_the_server_does_not_know_is_rejected() {
    let key = keys::p384();
    let Some(mut server) = server(&key).await else { return };
    let sent = send(&server.token_url, signing(&key, "key-1999")).await;
    assert_rejected(&mut server, sent, "no applicable key found in the JSON Web Key Set").await;
    let sent = send(&server.token_url, signing(&keys::p384(), KEY_ID)).await;
    assert_rejected(&mut server, sent, "signature verification failed").await;
}

/// Starts a relay that alters the claims of every assertion and signs it again with the right key.
async fn relay(server: &AuthorizationServer, key: &TestKey, alter: fn(&mut Value)) -> Relay {
    let endpoint = server.token_url.clone();
    let key = signing(key, KEY_ID);
    let sign = move |assertion: String| {
        sign_again(&assertion, &key, |claims| {
            claims["aud"] = endpoint.as_str().into();
            alter(claims);
        })
    };
    Relay::start(&server.token_url, sign).await
}

#[tokio::test]
async fn gateway_needs_the_audience_of_the_authorization_server() {
    let key = keys::p384();
    let Some(mut server) = server(&key).await else { return };
    let gateway = Relay::start(&server.token_url, |assertion| assertion).await;
    let credentials = Credentials::signed_jwt(CLIENT_ID, signing(&key, KEY_ID));
    let audience = credentials.clone().audience(&server.token_url);
    send_with(&gateway.token_url, audience).await.unwrap();
    assert_eq!(server.next().await, json!({ "granted": true }));

    let sent = send_with(&gateway.token_url, credentials).await;
    let reason =
        "audience (aud) must equal the endpoint url, issuer identifier or token endpoint url";
    assert_rejected(&mut server, sent, reason).await;
}

#[tokio::test]
async fn assertion_with_wrong_claims_is_rejected() {
    let key = keys::p384();
    let Some(mut server) = server(&key).await else { return };
    let right = relay(&server, &key, |_| {}).await;
    send(&right.token_url, signing(&key, KEY_ID)).await.unwrap();
    assert_eq!(
        server.next().await,
        json!({ "granted": true }),
        "the relay alone invalidates nothing"
    );

    let elsewhere =
        relay(&server, &key, |claims| claims["aud"] = "https://elsewhere.example/token".into())
            .await;
    let sent = send(&elsewhere.token_url, signing(&key, KEY_ID)).await;
    let reason =
        "audience (aud) must equal the endpoint url, issuer identifier or token endpoint url";
    assert_rejected(&mut server, sent, reason).await;

    let expired = relay(&server, &key, |claims| {
        for time in ["iat", "exp"] {
            claims[time] = (claims[time].as_i64().unwrap() - 300).into();
        }
    });
    let sent = send(&expired.await.token_url, signing(&key, KEY_ID)).await;
    assert_rejected(&mut server, sent, "jwt expired").await;

    let same = relay(&server, &key, |claims| claims["jti"] = "the same for all".into()).await;
    send(&same.token_url, signing(&key, KEY_ID)).await.unwrap();
    assert_eq!(server.next().await, json!({ "granted": true }));
    let sent = send(&same.token_url, signing(&key, KEY_ID)).await;
    assert_rejected(&mut server, sent, "client assertion tokens must only be used once").await;
}
