//! Clients that share what this one has.

use std::sync::Arc;

use uuid::Uuid;

use super::{Client, Inner};
use crate::auth::Credentials;
use crate::delivery::InProgress;
use crate::error::Error;

impl Client {
    /// Returns a client with other credentials, such as those of another customer, that shares everything else with this one:
    /// connections, [rate limit](crate::ClientBuilder::pace), limit on [messages in flight](crate::ClientBuilder::max_in_flight),
    /// [retry budget](crate::ClientBuilder::retry_budget) and settings.
    ///
    /// Its access token is its own. The service counts requests per IP address, so that clients behind the same address should share
    /// a rate limit.
    ///
    /// ```no_run
    /// # use pushslots::{Client, Credentials, Error, PushSlots, SigningKey};
    /// # use pushslots::uuid::Uuid;
    /// # async fn example(client: Client, destination: Uuid, message: PushSlots) -> Result<(), Error> {
    /// let key = SigningKey::from_pem_file("north.pem", "north-2027")?;
    /// let north = client.with_credentials(Credentials::signed_jwt("north", key))?.with_destinations([destination]);
    /// north.send(&message).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a part of the credentials is empty or their audience
    /// isn't a URI, with all such problems. Nothing is requested yet; [`check`](Self::check) does.
    pub fn with_credentials(&self, credentials: Credentials) -> Result<Self, Error> {
        let problems = credentials.problems();
        if !problems.is_empty() {
            return Err(Error::configuration(problems));
        }
        let mut inner = Inner::clone(&self.0);
        inner.courier.tokens = Arc::new(self.0.courier.tokens.with_credentials(credentials));
        inner.courier.in_progress = InProgress::default();
        Ok(Self(Arc::new(inner)))
    }

    /// Returns a client that fills in these destinations instead, and shares everything else with this one, its access token
    /// included.
    #[must_use]
    pub fn with_destinations(&self, destinations: impl IntoIterator<Item = Uuid>) -> Self {
        let destinations = destinations.into_iter().collect();
        Self(Arc::new(Inner { destinations, ..Inner::clone(&self.0) }))
    }

    /// Returns a client that fills in this source instead, and shares everything else with this one, its access token included.
    #[must_use]
    pub fn with_source(&self, source: Uuid) -> Self {
        Self(Arc::new(Inner { source: Some(source), ..Inner::clone(&self.0) }))
    }
}
