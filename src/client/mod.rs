//! The client, its builder, and the sends and publications that it starts.

mod build;
mod builder;
mod builder_connections;
mod builder_load;
mod derived;
mod env;
mod http_transport_builder;
mod lifecycle;
mod metrics;
#[cfg(feature = "mock")]
mod mock;
mod publish;
mod publish_builder;
mod publish_builder_sends;
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

/// A client that sends PushSlots messages to the service.
///
/// Create one client and reuse it, because it holds the connections and the access token. Clones
/// are cheap and share both. A client needs a tokio runtime with time and I/O enabled.
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
///
/// # Runtimes
///
/// You can build a client outside a runtime, and use it in several runtimes, one after the other or
/// at the same time:
///
/// * Each runtime has its own connections, because a connection makes progress only while the
///   runtime that opened it runs. The client keeps the connections of the last 64 runtimes.
/// * All runtimes share the access token, the limits and the retry budget.
/// * If a runtime stops while one of its sends waits for a token request, sends in other runtimes
///   repeat that request after 3 s.
/// * A send that isn't polled still counts as in flight for a while; see
///   [`max_in_flight`](ClientBuilder::max_in_flight).
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
    /// Creates a builder with the default settings.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Creates a client from environment variables.
    ///
    /// For the variables and their defaults, see [`ClientBuilder::from_env`].
    ///
    /// ```no_run
    /// let client = pushslots::Client::from_env()?;
    /// # Ok::<(), pushslots::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if variables are
    /// missing or invalid. The error lists all of these variables.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env().build()
    }

    /// Sends one message. Set options on the returned builder if necessary, then `.await` it.
    ///
    /// ```no_run
    /// # use pushslots::{Client, Error, PushSlots};
    /// # async fn example(client: Client, message: PushSlots) -> Result<(), Error> {
    /// let receipt = client.send(&message).await?;
    /// println!("{} accepted as {:?}", receipt.message_id(), receipt.logs());
    /// # Ok(()) }
    /// ```
    ///
    /// If the message has no source or no destinations, the client adds its own. It validates the
    /// message, encodes it once, and then sends it. A [`PreparedMessage`](crate::PreparedMessage)
    /// is sent unchanged. A send ends when the service accepts the message, when it rejects the
    /// message permanently, or when no attempts or time are left.
    ///
    /// # Outcomes
    ///
    /// The [classification table](crate::Exchange::classification) lists every kind of response.
    /// You can change it with a [classifier](ClientBuilder::classifier).
    ///
    /// * After a 2xx that the service can have written, the message is accepted and never sent
    ///   again.
    /// * After a 2xx with errors and no log id, the message is rejected. With a log id, some
    ///   destinations may have the message. The outcome is then unknown, and the message isn't sent
    ///   again.
    /// * If a 2xx isn't the service's, such as a firewall's page, the outcome is unknown.
    /// * After a 5xx or a lost response, the service [may have the
    ///   message](ClientBuilder::on_unknown). After a 503 with `Retry-After`, it doesn't have the
    ///   message.
    /// * Every other status is final, unless it is retried as described below.
    ///
    /// # Retries
    ///
    /// A send retries after 408, 421, 425, 429 and 5xx, after a failed connection, and after an
    /// unknown outcome, except after errors with a log id.
    ///
    /// * The delay before a retry is random, between zero and a ceiling. The ceiling starts at
    ///   250 ms, or at 1 s after a 429. It doubles with each attempt, up to 20 s.
    /// * `Retry-After` (RFC 9110, section 10.2.3) sets the minimum delay. The client also accepts
    ///   fractions of a second. A send waits at most 120 s, and only within its deadline. If the
    ///   service asks for more, the send ends at once, and [`Error::retry_after`] returns the time
    ///   to wait.
    /// * All clones of the client share one [retry budget](ClientBuilder::retry_budget). While it
    ///   is empty after many recent failures, sends aren't retried.
    /// * Before each attempt, a send waits for the [rate limit](ClientBuilder::rate_limit) and the
    ///   limit on [messages in flight](ClientBuilder::max_in_flight). That wait isn't an attempt,
    ///   but it counts towards the deadline.
    ///
    /// # Access tokens
    ///
    /// Without an access token, the message isn't sent.
    ///
    /// * If the token endpoint fails, the client requests a token again, with a fresh assertion,
    ///   after a cooldown that all its sends share. If the endpoint rejects the credentials, the
    ///   send ends.
    /// * After a 401, the client requests one new token and retries. If the service rejects the new
    ///   token too, the client tries that token once more about 2 s later, because the service may
    ///   learn of a new token late.
    /// * If the service rejects the token again, the client requests no token for 10 s. Sends that
    ///   need one in that time end with the same error.
    ///
    /// # Duplicates
    ///
    /// All attempts carry the same bytes, and the message id as `Idempotency-Key`. The service
    /// doesn't document that it uses this header. A message that arrives twice is in its queue
    /// twice, which doesn't change its meaning.
    ///
    /// # Cancellation
    ///
    /// If you drop the future before it completes, the send stops, and it is unknown whether the
    /// message was delivered. The [observer](ClientBuilder::attempt_observer) and the log still
    /// receive the attempt in flight.
    ///
    /// # Logging
    ///
    /// A send has a `tracing` span, with a child span for each attempt. An attempt's span contains
    /// the spans of its HTTP requests, for the token and for the message. An accepted message is
    /// logged at the level `INFO`, a retry at `WARN`, and an abandoned message at `ERROR`.
    ///
    /// # Errors
    ///
    /// Returns an error that contains every attempt and the [certainty of the
    /// outcome](Error::delivery). Its kind is one of these:
    ///
    /// * [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if an option of the send is
    ///   invalid;
    /// * [`ErrorKind::InvalidMessage`](crate::ErrorKind::InvalidMessage) if the message breaks the
    ///   data model;
    /// * [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if the credentials or the access
    ///   token are rejected;
    /// * [`ErrorKind::Rejected`](crate::ErrorKind::Rejected) if the service rejects the message, or
    ///   reports errors next to its log ids;
    /// * [`ErrorKind::Throttled`](crate::ErrorKind::Throttled) if the service responds with 429, or
    ///   a limit of the client leaves no room within the deadline;
    /// * [`ErrorKind::RateLimiter`](crate::ErrorKind::RateLimiter) if a custom [rate
    ///   limiter](crate::PermitSource) fails;
    /// * [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) if the service is temporarily
    ///   unavailable;
    /// * [`ErrorKind::Connection`](crate::ErrorKind::Connection) if a connection fails;
    /// * [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) if no response arrives in time.
    pub fn send<'a, M: Message>(&'a self, message: &'a M) -> SendBuilder<'a> {
        SendBuilder::new(self, message.content(Internal))
    }

    /// Replaces the credentials of this client and its clones while they keep sending.
    ///
    /// The client first requests a token with the new credentials, while sends continue with the
    /// current one. The new credentials and their token replace the old ones only after the request
    /// succeeds.
    ///
    /// An attempt in flight keeps its token. Later attempts use the new one, and sends that wait
    /// for a token receive it at once. If several rotations run concurrently, the last one to begin
    /// wins.
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
    /// Returns an error, and keeps the current credentials, in these cases:
    ///
    /// * [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a part of the credentials
    ///   is empty or their audience isn't a URI. The error lists all such problems.
    /// * [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if the token endpoint rejects
    ///   the credentials.
    /// * The other kinds of a [send](Self::send) if the token endpoint can't be reached. The client
    ///   tries once, for at most the attempt timeout or 30 s, whichever is shorter.
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
