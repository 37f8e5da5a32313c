//! The public face: a client, and the sends it starts.

mod build;
mod builder;
mod builder_connections;
mod derived;
mod env;
mod http_transport_builder;
mod lifecycle;
mod metrics;
#[cfg(feature = "mock")]
mod mock;
mod publish;
mod publish_builder;
mod publish_start;
mod send_builder;
mod setting;
mod url;
mod values;

use std::fmt;
use std::sync::Arc;

use uuid::Uuid;

use crate::auth::Credentials;
use crate::delivery::Sender;
use crate::error::Error;
use crate::message::{Defaults, Internal, Message, Validation};
use crate::publish::Limits;
use crate::retry::Policy;

pub use builder::ClientBuilder;
pub use http_transport_builder::HttpTransportBuilder;
pub use metrics::ClientMetrics;
pub use publish_builder::PublishBuilder;
pub use send_builder::SendBuilder;

/// Sends PushSlots messages to the service.
///
/// Make one and keep it: it holds the connections and the access token. Clones are cheap and share
/// both. It needs a tokio runtime with time and I/O enabled.
///
/// # Runtimes
///
/// You can build a client outside of a runtime, and use it in several, one after the other or at
/// the same time. Each runtime has connections of its own, because a connection makes no progress
/// unless the runtime that opened it runs. The client keeps those of the last 64 runtimes. All
/// runtimes share the token, the limits and the retry budget. If a runtime stops running while a
/// send in it waits for a token request, sends elsewhere make that request again after 3 s. A send
/// that nobody polls keeps its permit for a message in flight for a while, as
/// [`max_in_flight`](ClientBuilder::max_in_flight) explains.
///
/// ```no_run
/// use pushslots::{Client, Credentials, SigningKey};
/// use pushslots::uuid::uuid;
///
/// let key = SigningKey::from_pem_file("key.pem", "key-id")?;
/// let client = Client::builder()
///     .credentials(Credentials::signed_jwt("client-id", key))
///     .destination(uuid!("af394f14-b34a-464f-8d24-895f370af4c9"))
///     .build()?;
/// # Ok::<(), pushslots::Error>(())
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    sender: Sender,
    policy: Policy,
    limits: Limits,
    validation: Validation,
    source: Option<Uuid>,
    destinations: Vec<Uuid>,
}

impl Inner {
    /// Returns the source and destinations for messages without their own.
    fn defaults(&self) -> Defaults<'_> {
        Defaults { source: self.source, destinations: &self.destinations }
    }
}

impl Client {
    /// Starts the settings of a client.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Makes a client from the environment; [`ClientBuilder::from_env`] names the variables.
    ///
    /// ```no_run
    /// let client = pushslots::Client::from_env()?;
    /// # Ok::<(), pushslots::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) with every variable that is
    /// missing or can't be used.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env().build()
    }

    /// Sends one message: `.await` it, after setting its options if need be.
    ///
    /// ```no_run
    /// # use pushslots::{Client, Error, PushSlots};
    /// # async fn example(client: Client, message: PushSlots) -> Result<(), Error> {
    /// let receipt = client.send(&message).await?;
    /// println!("{} accepted as {:?}", receipt.message_id(), receipt.logs());
    /// # Ok(()) }
    /// ```
    ///
    /// If the message names no source or destinations, the client's are filled in. The message is
    /// checked before anything goes out, and encoded once; a
    /// [`PreparedMessage`](crate::PreparedMessage) goes out as it is. Then it is sent until the
    /// service accepts it, rejects it for good, or attempts or time run out:
    ///
    /// * 408, 421, 425, 429, 5xx, failed connections and lost responses are retried. The delay is
    ///   drawn from zero up to a ceiling that doubles from 250 ms, after a 429 from 1 s, to 20 s;
    /// * a 2xx is accepted if the service can have written the response, and the message is then
    ///   never sent again. With errors in it the message is rejected. If the response isn't the
    ///   service's, such as a firewall's page, the outcome is unknown;
    /// * after a 5xx and a lost response the service [may have the
    ///   message](ClientBuilder::on_unknown), after a 503 with `Retry-After` it doesn't. The
    ///   [table](crate::Exchange::classification) of what means what can be
    ///   [changed](ClientBuilder::classifier);
    /// * retries of all clones of the client spend from [one budget](ClientBuilder::retry_budget):
    ///   while much fails, none are made;
    /// * a send waits for the [rate limit](ClientBuilder::rate_limit) and for [messages in
    ///   flight](ClientBuilder::max_in_flight) before its first attempt. That wait isn't an
    ///   attempt, and its deadline covers it;
    /// * `Retry-After` (RFC 9110, section 10.2.3) is waited for with its fraction, up to 120 s and
    ///   within the deadline. If it asks for more, the send ends at once and the error reports
    ///   [when to come back](Error::retry_after);
    /// * after a 401 the client requests one new access token and tries again. A new token that is
    ///   rejected as well is tried once more about 2 s later, because the service may know it late.
    ///   After that no other is requested for 10 s, and sends in between end with the same error;
    /// * without an access token the message does not leave. A token endpoint that fails is asked
    ///   again, with a fresh assertion, after a pause that all sends of the client share; one that
    ///   rejects ends the send;
    /// * every other status is final.
    ///
    /// All attempts carry the same bytes and the message id as `Idempotency-Key`. The service
    /// documents no use of it: a message that arrives twice is in its queue twice, and says the
    /// same twice.
    ///
    /// Dropped before it ends, the send stops, and whether the message arrived is not known. An
    /// [observer](ClientBuilder::attempt_observer) and the log are told of the attempt that was
    /// under way.
    ///
    /// In the log a send is a span with one for each attempt. In it are the spans of the requests
    /// that were sent, for a token or with the message. A retry is a warning, and only a message
    /// that is abandoned is an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind`](crate::ErrorKind) tells them apart: a message that breaks the data model,
    /// credentials or a message rejected, too many requests, a service or connection that fails, a
    /// response that does not come. The error carries every attempt, and [`Error::delivery`] how
    /// certain the outcome is.
    pub fn send<'a, M: Message>(&'a self, message: &'a M) -> SendBuilder<'a> {
        SendBuilder::new(self, message.content(Internal))
    }

    /// Puts `credentials` in the place of those in use, for this client and its clones, while it
    /// goes on sending.
    ///
    /// They are tried first: only once they have bought an access token do they take the place of
    /// those before, and the token with them. Until then sends go on with what there is, and what
    /// goes wrong leaves it so. A send that is under way ends with the token that it has, or with
    /// the new one when that is rejected; one that waits for a token takes the new one at once. Of
    /// several rotations side by side the one that began last counts.
    ///
    /// ```no_run
    /// # use pushslots::{Client, Credentials, Error, SigningKey};
    /// # async fn example(client: Client) -> Result<(), Error> {
    /// let key = SigningKey::from_pem_file("key-2027.pem", "key-2027")?;
    /// client.rotate_credentials(Credentials::signed_jwt("client-id", key)).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a part of the
    /// credentials is empty or their audience isn't a URI, with all such problems. Otherwise the
    /// errors are those of a send: [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if the
    /// credentials are rejected, and other kinds if the token endpoint can't be reached. It is
    /// asked once, within the time of one attempt and at most 30 s.
    pub async fn rotate_credentials(&self, credentials: Credentials) -> Result<(), Error> {
        let problems = credentials.problems();
        if !problems.is_empty() {
            return Err(Error::configuration(problems));
        }
        self.0.sender.rotate_credentials(credentials).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.0.sender.endpoint)
            .field("source", &self.0.source)
            .field("destinations", &self.0.destinations)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}
