//! Clients that share connections and limits with another client.

use std::sync::Arc;

use uuid::Uuid;

use super::{Client, Inner};
use crate::auth::Credentials;
use crate::error::Error;
use crate::transport::RateLimiter;

impl Client {
    /// Returns a client for another customer, with its own credentials and access token.
    ///
    /// It shares these with this client:
    ///
    /// * the connections;
    /// * the [rate limit](crate::ClientBuilder::rate_limit), because the service counts requests
    ///   per IP address;
    /// * the limit on [messages in flight](crate::ClientBuilder::max_in_flight);
    /// * the [retry budget](crate::ClientBuilder::retry_budget);
    /// * the sends and publications that [`drain`](Self::drain) waits for;
    /// * all other settings, except the source and the destinations.
    ///
    /// The new client has no source and no destinations, so that no message reaches another
    /// customer's destinations by mistake. Set them with [`with_source`](Self::with_source) and
    /// [`with_destinations`](Self::with_destinations), or in each message.
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
    /// credentials is empty or their audience isn't a URI. The error lists all such problems. No
    /// token is requested yet; to test the credentials, call [`check`](Self::check).
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

    /// Returns a client with these default destinations instead. It shares everything else with
    /// this client, including the access token.
    #[must_use]
    pub fn with_destinations(&self, destinations: impl IntoIterator<Item = Uuid>) -> Self {
        let destinations = destinations.into_iter().collect();
        Self(Arc::new(Inner { destinations, ..Inner::clone(&self.0) }))
    }

    /// Returns a client with this default source instead. It shares everything else with this
    /// client, including the access token.
    #[must_use]
    pub fn with_source(&self, source: Uuid) -> Self {
        Self(Arc::new(Inner { source: Some(source), ..Inner::clone(&self.0) }))
    }

    /// Returns the rate limiter of this client, or `None` if it has none.
    ///
    /// Use it to obtain [a permit](crate::RateLimiter::permit) before you choose the message that
    /// you [send](crate::SendBuilder::permit) with it.
    #[must_use]
    pub fn rate_limiter(&self) -> Option<&RateLimiter> {
        self.0.sender.limiter.as_ref()
    }
}
