//! A relay between a client and its token endpoint. It alters assertions, as a broken signer would.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::FutureExt;
use pushslots::{Signer, SigningInput, SigningKey};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use url::form_urlencoded;

use super::raw::{read_request, split};

/// A relay that runs until dropped.
pub struct Relay {
    pub token_url: String,
    served: JoinHandle<()>,
}

impl Relay {
    /// Starts a relay that forwards requests to `token_url`, one at a time, with their assertions
    /// altered.
    pub async fn start(
        token_url: &str,
        alter: impl Fn(String) -> String + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let to = token_url.to_owned();
        let served = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                forward(stream, &to, &alter).await;
            }
        });
        Self { token_url: format!("http://{address}/token"), served }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.served.abort();
    }
}

async fn forward(mut stream: TcpStream, to: &str, alter: &impl Fn(String) -> String) {
    let request = read_request(&mut stream).await;
    let (_, body) = split(&request);
    let mut form: BTreeMap<_, _> = form_urlencoded::parse(body.unwrap()).into_owned().collect();
    let assertion = form.remove("client_assertion").unwrap();
    form.insert("client_assertion".to_owned(), alter(assertion));
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let client = super::any_http();
    let request =
        client.post(to).header("content-type", "application/x-www-form-urlencoded").body(form);
    let response = request.send().await.unwrap();
    let status = response.status();
    let body = response.bytes().await.unwrap();
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
}

/// Decodes an assertion, alters its claims, and signs it again.
pub fn sign_again(assertion: &str, key: &SigningKey, alter: impl Fn(&mut Value)) -> String {
    let [header, claims, _] = assertion.split('.').collect::<Vec<_>>()[..] else {
        panic!("not a JWT")
    };
    let mut claims =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    alter(&mut claims);
    let text = format!("{header}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = key.sign(SigningInput::new(text.as_bytes())).now_or_never().unwrap().unwrap();
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}
