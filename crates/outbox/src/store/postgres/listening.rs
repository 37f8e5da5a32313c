//! Waits for `NOTIFY pushslots` on a connection of its own.

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::sleep;
use tokio_postgres::{AsyncMessage, Config};

use super::config::Prepared;
use super::failure::Failure;

/// The delay before the connection is opened again.
const RETRY: Duration = Duration::from_secs(2);

/// Passes notifications on.
pub(super) async fn run(prepared: Prepared, config: Config, changed: Arc<Notify>) {
    loop {
        if let Err(failure) = listen(&prepared, &config, &changed).await {
            let target = Prepared::target(&config);
            tracing::warn!(%failure, "LISTEN on {target} failed; workers poll until it works");
        }
        // Something may have changed meanwhile.
        changed.notify_one();
        sleep(RETRY).await;
    }
}

async fn listen(prepared: &Prepared, config: &Config, changed: &Notify) -> Result<(), Failure> {
    let (client, mut connection) = config.connect(prepared.tls.clone()).await?;
    // The connection only responds while it is polled.
    let mut listening = Box::pin(async { client.batch_execute("listen pushslots").await });
    let mut is_listening = false;
    poll_fn(|context| {
        loop {
            match connection.poll_message(context) {
                Poll::Ready(Some(Ok(AsyncMessage::Notification(_)))) => changed.notify_one(),
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error.into())),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        if !is_listening && let Poll::Ready(result) = listening.as_mut().poll(context) {
            if let Err(error) = result {
                return Poll::Ready(Err(error.into()));
            }
            is_listening = true;
        }
        Poll::Pending
    })
    .await
}
