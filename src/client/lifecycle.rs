//! Readiness and shutdown.

use std::time::Duration;

use tokio::time::timeout;

use super::Client;
use crate::error::Error;

/// The longest time for a check.
const LONGEST_CHECK: Duration = Duration::from_secs(30);

impl Client {
    /// Checks that the client can obtain an access token, and sends nothing else: for a readiness
    /// probe.
    ///
    /// If there is a token that can be used, nothing is requested. So a probe every few seconds
    /// costs one request for each token. It takes at most the time of one attempt, and no more than
    /// 30 s.
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
    /// Returns the errors of a send that has no token:
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if the credentials are rejected,
    /// and other kinds if the token endpoint can't be reached or the [rate
    /// limit](crate::ClientBuilder::rate_limit) leaves no room.
    pub async fn check(&self) -> Result<(), Error> {
        let inner = &*self.0;
        inner.sender.check(inner.policy.attempt_timeout.min(LONGEST_CHECK)).await
    }

    /// Waits until all sends and publications have ended, but at most for `time`. Returns the
    /// number still running.
    ///
    /// It counts those of this client and its clones, and of all clients that were made [of one
    /// another](Self::with_credentials).
    ///
    /// Call it at shutdown, after the last send has begun. It neither stops sends nor keeps new
    /// ones from beginning; a publication ends sooner if its
    /// [handle](crate::PublishBuilder::handle) stops it. Sends that were not awaited yet don't
    /// count.
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
