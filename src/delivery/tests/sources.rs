//! Tests of the user's token sources and signers.

use super::service::*;
use super::*;
use crate::auth::{AccessToken, TokenRequest, TokenSource};
use crate::retry::Renewal;

/// A source that returns the same token until the service has rejected it.
struct Sidecar {
    service: Arc<Service>,
    current: Mutex<usize>,
    /// The rejected token in each request, in order.
    rejections: Rejections,
    time: Duration,
}

impl TokenSource for Sidecar {
    async fn token(
        &self,
        TokenRequest { rejected, .. }: TokenRequest<'_>,
    ) -> Result<AccessToken, AuthError> {
        let rejected = rejected.map(|token| token.expose_secret().to_owned());
        self.rejections.lock().unwrap().push(rejected.clone());
        sleep(self.time).await;
        let mut current = self.current.lock().unwrap();
        if *current == 0 || rejected.is_some_and(|rejected| rejected == current.to_string()) {
            *current = self.service.issue();
        }
        Ok(AccessToken::new(current.to_string()))
    }
}

type Rejections = Arc<Mutex<Vec<Option<String>>>>;

async fn with_sidecar(time: Duration) -> (Arc<Service>, Arc<Sender>, Rejections) {
    let (service, sender) = serve(Service::new(|_| Act::Issue).life(3_600.0));
    let rejections = Rejections::default();
    let sidecar = Sidecar {
        service: service.clone(),
        current: Mutex::default(),
        rejections: rejections.clone(),
        time,
    };
    sender.rotate_credentials(Credentials::token_source(sidecar)).await.unwrap();
    (service, sender, rejections)
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_given_twice_is_rejected_once() {
    let (service, sender, rejections) = with_sidecar(SECOND / 10).await;
    let early = sender.tokens.token(SECOND).await.ok().unwrap();
    sleep(255 * SECOND).await;
    send_at_once(&sender, 1).await;
    assert_eq!(*rejections.lock().unwrap(), [None, None], "it was renewed, and is the same");
    service.revoke_all();
    // The 401 of a send that began before the renewal.
    assert_eq!(sender.tokens.reject(&early.token, Instant::now()), Some(Renewal::AtOnce));
    let receipts = send_at_once(&sender, 10).await;
    assert!(receipts.iter().all(|receipt| receipt.attempts().len() == 1));
    assert_eq!(*rejections.lock().unwrap(), [None, None, Some("1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_rejected_while_it_is_renewed_is_not_taken_again() {
    let (service, sender, rejections) = with_sidecar(5 * SECOND).await;
    sleep(255 * SECOND).await;
    let renewing = tokio::spawn(send(sender.clone()));
    sleep(2 * SECOND).await;
    service.revoke_all();
    let receipts = send_at_once(&sender, 10).await;
    assert!(receipts.iter().all(|receipt| receipt.attempts().len() == 2), "{receipts:?}");
    renewing.await.unwrap().result.unwrap();
    assert_eq!(*rejections.lock().unwrap(), [None, None, Some("1".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_signer_that_hangs_is_named() {
    let (service, sender) = serve(Service::new(|_| Act::Issue));
    let slow = Credentials::signed_jwt("client", SlowSigner(MINUTE));
    let error = sender.rotate_credentials(slow).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Unavailable, true));
    assert!(
        error.to_string().ends_with("no access token: the signer did not respond in time"),
        "{error}"
    );
    assert_eq!((service.began.elapsed(), service.requests().len()), (MINUTE / 2, 0));
}
