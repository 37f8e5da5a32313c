//! Readiness and shutdown.

use std::time::Duration;

use tokio::time::timeout;

use super::Client;
use crate::error::Error;

/// The maximum time for a check.
const LONGEST_CHECK: Duration = Duration::from_secs(30);

impl Client {
    /// Checks that the client can obtain an access token, for example in a readiness probe. No
    /// message is sent.
    ///
    /// If the client already has a usable token, it requests nothing. A probe every few seconds
    /// therefore costs only one request per token. The check takes at most the attempt timeout or
    /// 30 s, whichever is shorter.
    ///
    /// ```no_run
    /// # use pushslots::Client;
    /// # async fn example(client: Client) -> Result<(), pushslots::Error> {
    /// client.check().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of a send that has no token:
    ///
    /// * [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if the credentials are rejected;
    /// * another kind if the token endpoint can't be reached, or if the [rate
    ///   limit](crate::ClientBuilder::rate_limit) leaves no room for the request.
    pub async fn check(&self) -> Result<(), Error> {
        let inner = &*self.0;
        inner.sender.check(inner.policy.attempt_timeout.min(LONGEST_CHECK)).await
    }

    /// Waits until all sends and publications have ended, or until `time` has passed. Returns the
    /// number of those still running.
    ///
    /// The count includes this client, its clones, and all clients
    /// [derived](Self::with_credentials) from each other. Sends that haven't been polled yet don't
    /// count.
    ///
    /// Call this method at shutdown, when no more sends begin. It doesn't stop running sends or
    /// prevent new ones. To end a publication early, stop it with its
    /// [handle](crate::PublishBuilder::handle).
    ///
    /// ```no_run
    /// # use pushslots::Client;
    /// # use std::time::Duration;
    /// # async fn example(client: Client) {
    /// let left = client.drain(Duration::from_secs(20)).await;
    /// if left > 0 {
    ///     eprintln!("{left} sends had not ended");
    /// }
    /// # }
    /// ```
    pub async fn drain(&self, time: Duration) -> usize {
        let in_progress = &self.0.sender.in_progress;
        match timeout(time, in_progress.all_ended()).await {
            Ok(()) => 0,
            Err(_) => in_progress.count(),
        }
    }
}
