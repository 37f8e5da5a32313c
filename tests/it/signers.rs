//! External keys and tokens, and credentials that change while a client sends.

use std::future::IntoFuture;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair};
use futures_util::FutureExt;
use pushslots::{
    AccessToken, AuthError, Client, Credentials, Delivery, Error, ErrorKind, Receipt, Signer,
    SigningAlgorithm, SigningInput, SigningKey, TokenRequest, TokenSource,
};
use support::raw::{Act, RawServer, header, split};
use support::{DESTINATION, fixtures, key, message};

async fn send(credentials: Credentials) -> Result<Receipt, Error> {
    let service = fixtures::serve();
    let client =
        Client::builder().base_url(service.url()).credentials(credentials).destination(DESTINATION);
    client.build().unwrap().send(&message()).await
}

/// A key service that returns these failures first, and then signs.
struct Remote {
    key: SigningKey,
    failures: Mutex<Vec<Failure>>,
    calls: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Failure {
    Temporary,
    Permanent,
    Panic,
}

impl Remote {
    fn new(failures: impl IntoIterator<Item = Failure>) -> Arc<Self> {
        let failures = Mutex::new(failures.into_iter().collect());
        Arc::new(Self { key: key(), failures, calls: AtomicUsize::new(0) })
    }
}

impl Signer for Remote {
    fn key_id(&self) -> &str {
        self.key.key_id()
    }

    fn algorithm(&self) -> SigningAlgorithm {
        self.key.algorithm()
    }

    async fn sign(&self, input: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        let failure = self.failures.lock().unwrap().pop();
        match failure {
            Some(Failure::Temporary) => Err(AuthError::temporary("the key service is busy")),
            Some(Failure::Permanent) => Err(AuthError::permanent("the key is disabled")),
            Some(Failure::Panic) => panic!("a bug in the key service's client"),
            None => self.key.sign(input).await,
        }
    }
}

#[tokio::test]
async fn signer_with_a_temporary_failure_is_called_again() {
    for (failure, expected) in [
        (Failure::Temporary, "no access token: the key service is busy"),
        (Failure::Panic, "no access token: the signer panicked"),
    ] {
        let signer = Remote::new([failure]);
        assert_eq!(signer.key_id(), "key-id", "an `Arc` has the key id of its signer");
        let receipt = send(Credentials::signed_jwt("client", signer.clone())).await.unwrap();
        assert_eq!(signer.calls.load(Ordering::Relaxed), 2);
        assert_eq!(receipt.attempts()[0].error.as_deref(), Some(expected));
        assert_eq!(receipt.attempts()[0].delivery, Delivery::NotSent);
    }
}

#[tokio::test]
async fn signer_with_a_permanent_failure_ends_the_send() {
    let signer = Remote::new([Failure::Permanent]);
    let error = send(Credentials::signed_jwt("client", signer.clone())).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Credentials, false));
    assert!(error.to_string().contains("no access token: the key is disabled"), "{error}");
    assert_eq!(signer.calls.load(Ordering::Relaxed), 1);
}

/// A signer that returns a signature in a form that a JWT doesn't allow, as some key services do.
struct WrongForm(SigningAlgorithm, Vec<u8>);

impl Signer for WrongForm {
    fn key_id(&self) -> &str {
        "key-id"
    }

    fn algorithm(&self) -> SigningAlgorithm {
        self.0
    }

    async fn sign(&self, _: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        Ok(self.1.clone())
    }
}

#[tokio::test]
async fn signature_in_another_form_is_never_sent() {
    let ecdsa = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
    let der = ecdsa.sign(&aws_lc_rs::rand::SystemRandom::new(), b"text").unwrap().as_ref().to_vec();
    for (algorithm, signature, expected) in [
        (
            SigningAlgorithm::Es384,
            der,
            "an ES384 signature has 96 (R and S with 48 bytes each, not DER)",
        ),
        (SigningAlgorithm::Es384, Vec::new(), "the signer returned 0 bytes"),
        (SigningAlgorithm::Rs384, vec![0; 128], "an RS384 signature has at least 256"),
    ] {
        let error = send(Credentials::signed_jwt("client", WrongForm(algorithm, signature)))
            .await
            .unwrap_err();
        assert_eq!((error.kind(), error.delivery()), (ErrorKind::Credentials, Delivery::NotSent));
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn signer_without_a_key_id_is_an_error() {
    struct Nameless;
    impl Signer for Nameless {
        fn key_id(&self) -> &str {
            ""
        }
        fn algorithm(&self) -> SigningAlgorithm {
            SigningAlgorithm::Es384
        }
        async fn sign(&self, _: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
            Ok(vec![0; 96])
        }
    }
    let error = Client::builder()
        .credentials(Credentials::signed_jwt("client", Nameless))
        .build()
        .unwrap_err();
    assert_eq!(
        error.problems()[0].to_string(),
        "credentials: the client id, key id, API key or secret is empty"
    );
    let client = support::client("http://127.0.0.1:9", "client").build().unwrap();
    let error = client.rotate_credentials(Credentials::api_key("", "secret")).await.unwrap_err();
    assert_eq!((error.kind(), error.problems().len()), (ErrorKind::Configuration, 1));
}

/// A token source that fails once, then returns numbered tokens. It records the rejected ones.
#[derive(Default)]
struct Vault {
    calls: AtomicUsize,
    rejected: Mutex<Vec<Option<AccessToken>>>,
}

impl TokenSource for Vault {
    async fn token(
        &self,
        TokenRequest { rejected, .. }: TokenRequest<'_>,
    ) -> Result<AccessToken, AuthError> {
        self.rejected.lock().unwrap().push(rejected.cloned());
        match self.calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err(AuthError::temporary("the vault is sealed")),
            number => {
                Ok(AccessToken::new(format!("vault-{number}")).expires_in(Duration::from_secs(60)))
            }
        }
    }
}

#[tokio::test]
async fn tokens_come_from_a_token_source() {
    let service = RawServer::start([
        Act::response("200 OK", "", ""),
        Act::response("401 Unauthorized", "", ""),
        Act::response("200 OK", "", ""),
    ])
    .await;
    let vault = Arc::new(Vault::default());
    let client = Client::builder().base_url(&service.url).destination(DESTINATION);
    let client = client.credentials(Credentials::token_source(vault.clone())).build().unwrap();

    let first = client.send(&message()).await.unwrap();
    assert_eq!(first.attempts()[0].error.as_deref(), Some("no access token: the vault is sealed"));
    assert_eq!(
        client.send(&message()).await.unwrap().attempts().len(),
        2,
        "the token was rejected"
    );

    let requests = service.finish().await;
    let bearers = requests
        .iter()
        .map(|request| header(split(request).0, "authorization").unwrap().to_owned());
    assert_eq!(bearers.collect::<Vec<_>>(), ["Bearer vault-1", "Bearer vault-1", "Bearer vault-2"]);
    let rejected = vault.rejected.lock().unwrap();
    let rejected: Vec<_> =
        rejected.iter().map(|token| token.as_ref().map(AccessToken::expose_secret)).collect();
    assert_eq!(rejected, [None, None, Some("vault-1")]);
}

#[tokio::test]
async fn token_that_cannot_be_a_header_value_is_reported() {
    struct Broken;
    impl TokenSource for Broken {
        async fn token(&self, _: TokenRequest<'_>) -> Result<AccessToken, AuthError> {
            Ok(AccessToken::new("canary\n"))
        }
    }
    let service = fixtures::serve();
    let client = Client::builder().base_url(service.url()).destination(DESTINATION).max_attempts(1);
    let client = client.credentials(Credentials::token_source(Broken)).build().unwrap();
    let error = client.send(&message()).await.unwrap_err();
    assert!(error.to_string().contains("the access token can't be a header value"), "{error}");
    assert!(!format!("{error} {error:?}").contains("canary"));
}

#[tokio::test]
async fn client_continues_with_rotated_credentials() {
    let service = fixtures::serve();
    let client = support::client(service.url(), "before").build().unwrap();
    client.send(&message()).await.unwrap();
    let clone = client.clone();

    let rejected = clone
        .rotate_credentials(Credentials::signed_jwt("token-rejected", key()))
        .await
        .unwrap_err();
    assert_eq!((rejected.kind(), rejected.message_id()), (ErrorKind::Credentials, None));
    let shown = rejected.to_string();
    assert!(
        shown.starts_with("the credentials in use were not replaced: no access token: "),
        "{shown}"
    );
    client.send(&message()).await.unwrap();

    clone.rotate_credentials(Credentials::api_key("my-key", "my-secret")).await.unwrap();
    client.send(&message()).await.unwrap();

    let requests = service.requests();
    let paths: Vec<_> = requests.iter().map(|request| request.path()).collect();
    let token = "/v2/auth/token";
    assert_eq!(paths, [token, "/endpoint", token, "/endpoint", "/auth/authenticate", "/endpoint"]);
    let bearers =
        [1, 3, 5].map(|index: usize| requests[index].headers()["authorization"].to_str().unwrap());
    assert_eq!(bearers, ["Bearer plain", "Bearer plain", "Bearer api-key"]);
}

/// A signer that signs in its own thread, like the driver of an HSM, once the test opens its gate.
struct Driver(SigningKey, Arc<(Mutex<bool>, Condvar)>);

impl Signer for Driver {
    fn key_id(&self) -> &str {
        self.0.key_id()
    }

    fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm()
    }

    async fn sign(&self, input: SigningInput<'_>) -> Result<Vec<u8>, AuthError> {
        let (send, signature) = tokio::sync::oneshot::channel();
        let key = self.0.clone();
        let text = input.as_bytes().to_vec();
        let gate = self.1.clone();
        std::thread::spawn(move || {
            drop(gate.1.wait_while(gate.0.lock().unwrap(), |is_open| !*is_open).unwrap());
            let _ = send.send(key.sign(SigningInput::new(&text)).now_or_never().unwrap());
        });
        signature.await.map_err(|_| AuthError::temporary("the driver is gone"))?
    }
}

#[test]
fn client_outlives_the_runtime_that_requested_a_token() {
    let service = fixtures::serve();
    let client = Client::builder().base_url(service.url()).destination(DESTINATION);
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let driver = Driver(key(), gate.clone());
    let client = client.credentials(Credentials::signed_jwt("client", driver)).build().unwrap();
    for deadline in [Duration::from_millis(100), Duration::from_secs(60), Duration::from_secs(60)] {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let message = message();
        let send = client.send(&message).deadline(deadline).into_future();
        // The later sends continue the token request of the first one before the driver signs.
        let open = async {
            if deadline > Duration::from_secs(1) {
                *gate.0.lock().unwrap() = true;
                gate.1.notify_all();
            }
        };
        let (sent, ()) = runtime.block_on(async { tokio::join!(biased; send, open) });
        assert_eq!(sent.is_ok(), deadline > Duration::from_secs(1), "{sent:?}");
    }
}
