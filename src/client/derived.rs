//! Clients that share what this one has.

use std::sync::Arc;

use uuid::Uuid;

use super::{Client, Inner};
use crate::auth::Credentials;
use crate::error::Error;

impl Client {
    /// Returns a client for another customer, with credentials of its own. It shares with this one
    /// the connections, the [rate limit](crate::ClientBuilder::rate_limit), the limit on [messages
    /// in flight](crate::ClientBuilder::max_in_flight), the [retry
    /// budget](crate::ClientBuilder::retry_budget), the settings, and what [`drain`](Self::drain)
    /// waits for.
    ///
    /// Its access token is its own. It has neither source nor destinations, so that no message goes
    /// to those of another customer by mistake: set them by [`with_source`](Self::with_source) and
    /// [`with_destinations`](Self::with_destinations), or in the message. Clients behind the same
    /// IP address should share a rate limit, because the service counts requests per address.
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
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a part of the
    /// credentials is empty or their audience isn't a URI, with all such problems. Nothing is
    /// requested yet; [`check`](Self::check) does.
    pub fn with_credentials(&self, credentials: Credentials) -> Result<Self, Error> {
        let problems = credentials.problems();
        if !problems.is_empty() {
            return Err(Error::configuration(problems));
        }
        let mut inner = Inner::clone(&self.0);
        inner.sender.tokens = Arc::new(self.0.sender.tokens.with_credentials(credentials));
        inner.source = None;
        inner.destinations = Vec::new();
        Ok(Self(Arc::new(inner)))
    }

    /// Returns a client that fills in these destinations instead, and shares everything else with
    /// this one, its access token included.
    #[must_use]
    pub fn with_destinations(&self, destinations: impl IntoIterator<Item = Uuid>) -> Self {
        let destinations = destinations.into_iter().collect();
        Self(Arc::new(Inner { destinations, ..Inner::clone(&self.0) }))
    }

    /// Returns a client that fills in this source instead, and shares everything else with this
    /// one, its access token included.
    #[must_use]
    pub fn with_source(&self, source: Uuid) -> Self {
        Self(Arc::new(Inner { source: Some(source), ..Inner::clone(&self.0) }))
    }
}
