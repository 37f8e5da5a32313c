//! Tests of credentials that are replaced while a client sends.

use std::pin::pin;

use super::service::*;
use super::*;

#[tokio::test(start_paused = true)]
async fn rotated_credentials_take_over_without_a_failed_send() {
    let (service, sender) = serve(Service::new(|_| Act::Issue));
    let sends = tokio::spawn({
        let sender = sender.clone();
        async move { send_for(&sender, 5 * SECOND, SECOND / 100).await }
    });
    sleep(2 * SECOND).await;
    sender.rotate_credentials(credentials("other")).await.unwrap();
    // Revokes the token obtained with the former credentials.
    service.revoked.lock().unwrap().insert(1);
    for sent in sends.await.unwrap() {
        assert!(sent.result.unwrap().attempts().len() <= 2);
    }
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_waits_with_old_credentials_gets_the_token_of_the_new_ones() {
    let act = |at| if at < SECOND { Act::Reject { after: 5 * SECOND } } else { Act::Issue };
    let (service, sender) = serve(Service::new(act));
    let waiting = tokio::spawn(send(sender.clone()));
    sleep(2 * SECOND).await;
    sender.rotate_credentials(credentials("other")).await.unwrap();
    let sent = waiting.await.unwrap();
    assert_eq!(sent.result.unwrap().attempts().len(), 1);
    assert!(sent.took < 3 * SECOND, "it does not wait for the rejection: {:?}", sent.took);
    // The rejection comes later, and affects no send.
    sleep(5 * SECOND).await;
    send_at_once(&sender, 10).await;
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_send_that_sits_out_a_pause_goes_on_with_the_new_credentials() {
    let act = |at| if at < SECOND { Act::Response(503, "60", "") } else { Act::Issue };
    let (service, sender) = serve(Service::new(act));
    let took_part = tokio::spawn(send(sender.clone()));
    sleep(SECOND).await;
    let came_later = tokio::spawn(send(sender.clone()));
    sleep(SECOND).await;
    sender.rotate_credentials(credentials("other")).await.unwrap();
    for (sent, attempts) in [(took_part, 2), (came_later, 1)] {
        assert_eq!(sent.await.unwrap().result.unwrap().attempts().len(), attempts);
    }
    assert!(service.began.elapsed() < 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_of_old_credentials_that_comes_with_the_rotation_is_passed_over() {
    let act = |at| if at < SECOND { Act::Response(401, "", REJECTION) } else { Act::Issue };
    let (service, sender) = serve(Service::new(act));
    let mut waiting = pin!(sender.tokens.token(30 * SECOND));
    poll_once(waiting.as_mut()).await;
    sleep(2 * SECOND).await;
    sender.rotate_credentials(credentials("other")).await.unwrap();
    // Only this poll finds that both have ended.
    assert!(waiting.await.is_ok());
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_are_rejected_do_not_take_over() {
    let act = |at| if at < SECOND { Act::Issue } else { Act::Response(400, "", REJECTION) };
    let (service, sender) = serve(Service::new(act));
    send_at_once(&sender, 1).await;
    sleep(SECOND).await;
    let error = sender.rotate_credentials(credentials("wrong")).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Credentials, false));
    assert_eq!(error.oauth_error().unwrap().error, "invalid_client");
    send_at_once(&sender, 100).await;
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn of_two_rotations_the_later_one_counts() {
    let mut service = Service::new(|_| Act::Issue);
    service.token_time = SECOND;
    let (service, sender) = serve(service);
    let slow = tokio::spawn({
        let sender = sender.clone();
        let earlier = Credentials::signed_jwt("earlier", SlowSigner(10 * SECOND));
        async move { sender.rotate_credentials(earlier).await }
    });
    sleep(SECOND / 2).await;
    sender.rotate_credentials(credentials("later")).await.unwrap();
    slow.await.unwrap().unwrap();
    // The later rotation obtained the first token, which stays in use.
    service.revoked.lock().unwrap().insert(2);
    let receipts = send_at_once(&sender, 10).await;
    assert!(receipts.iter().all(|receipt| receipt.attempts().len() == 1));
    assert_eq!(service.requests().len(), 2);
}
