//! A plain HTTP client for the mock that doesn't use the SDK.

use pushslots::mock::MockService;
use pushslots::{Client, ClientBuilder, Credentials, SigningKey};
use serde_json::Value;

use super::raw::{Act, RawServer, split};
use super::relay::sign_again;
use super::{DESTINATION, any_http, message};

pub const FORM: &str = "application/x-www-form-urlencoded";

/// An HTTP client that sends the requests of a test as they are.
pub struct Any {
    http: reqwest::Client,
    url: String,
}

impl Any {
    pub fn of(service: &MockService) -> Self {
        Self { http: any_http(), url: service.url().to_owned() }
    }

    pub async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> (u16, String) {
        let mut request = self.http.post(format!("{}{path}", self.url)).body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, String::from_utf8(response.bytes().await.unwrap().to_vec()).unwrap())
    }

    pub async fn request_token(&self, assertion: &str) -> (u16, Value) {
        let (status, body) =
            self.post("/v2/auth/token", &[("content-type", FORM)], form(assertion)).await;
        (status, serde_json::from_str(&body).unwrap())
    }

    pub async fn push(&self, token: &str, message: impl Into<Vec<u8>>) -> (u16, String) {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", &*bearer), ("content-type", "application/json")];
        self.post("/endpoint", &headers, message).await
    }
}

pub fn form(assertion: &str) -> String {
    let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
    format!(
        "grant_type=client_credentials&client_assertion_type={kind}&client_assertion={assertion}"
    )
}

/// Returns an assertion as the client under test builds it, with this key and audience.
pub async fn assertion_by(key: &SigningKey, client_id: &str, audience: &str) -> String {
    let service = RawServer::start([Act::CloseAfterReading]).await;
    let client = Client::builder()
        .base_url(&service.url)
        .destination(DESTINATION)
        .max_attempts(1)
        .credentials(Credentials::signed_jwt(client_id, key.clone()));
    client.build().unwrap().send(&message()).await.unwrap_err();
    let requests = service.finish().await;
    let (_, body) = split(&requests[0]);
    let form = url::form_urlencoded::parse(body.unwrap());
    let assertion = form.into_owned().find(|(name, _)| name == "client_assertion").unwrap().1;
    sign_again(&assertion, key, |claims| claims["aud"] = audience.into())
}

pub fn its_key(service: &MockService) -> SigningKey {
    SigningKey::from_pem(service.private_key_pem(), service.key_id()).unwrap()
}

pub async fn good_assertion(service: &MockService) -> String {
    let audience = format!("{}/v2/auth/token", service.url());
    assertion_by(&its_key(service), service.client_id(), &audience).await
}

pub fn client(service: &MockService) -> ClientBuilder {
    Client::builder().mock(service)
}

pub async fn token(service: &MockService, any: &Any) -> String {
    let (status, response) = any.request_token(&good_assertion(service).await).await;
    assert_eq!(status, 200, "{response}");
    response["access_token"].as_str().unwrap().to_owned()
}
