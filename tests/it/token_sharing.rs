//! Concurrent sends share one token, and one request for it.

use pushslots::{Client, Error, Receipt};
use support::http2::service;
use support::message;
use tokio::task::JoinSet;

/// Sends 1,000 messages at once.
fn send_thousand(client: &Client) -> JoinSet<Result<Receipt, Error>> {
    let send = |client: Client| async move { client.send(&message()).await };
    (0..1_000).map(|_| send(client.clone())).collect()
}

#[tokio::test]
async fn thousand_sends_share_a_token_and_its_replacement() {
    let (client, mut arrived) = service(100).await;
    let sends = send_thousand(&client);
    for _ in 0..1_000 {
        let message = arrived.recv().await.unwrap();
        assert_eq!(message.token, 1, "one request for a thousand sends without a token");
        message.accept().await;
    }
    for sent in sends.join_all().await {
        assert_eq!(sent.unwrap().attempts().len(), 1);
    }

    // The service revokes the token before it expires.
    let sends = send_thousand(&client);
    let mut by_token = [0; 2];
    for _ in 0..2_000 {
        let message = arrived.recv().await.unwrap();
        by_token[message.token - 1] += 1;
        if message.token == 1 {
            message.reject().await;
        } else {
            message.accept().await;
        }
    }
    assert_eq!(by_token, [1_000, 1_000], "each is sent once more, with the second token");
    for sent in sends.join_all().await {
        let statuses: Vec<_> =
            sent.unwrap().attempts().iter().map(|attempt| attempt.status.map(u16::from)).collect();
        assert_eq!(statuses, [Some(401), Some(200)]);
    }
    assert!(arrived.try_recv().is_err());
}
