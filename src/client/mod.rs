//! The public face: a client, and the sends it starts.

mod build;
mod builder;
mod env;
#[cfg(feature = "mock")]
mod mock;
mod publish;
mod publish_builder;
mod url;

use std::fmt;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::auth::Credentials;
use crate::chance::fresh_id;
use crate::delivery::{Courier, Parcel};
use crate::error::Error;
use crate::message::{Internal, Message, Outgoing, write_from};
use crate::publish::Limits;
use crate::receipt::Receipt;
use crate::retry::{OnUnknown, Policy};

pub use builder::ClientBuilder;
pub use publish_builder::PublishBuilder;

/// Sends PushSlots messages to the service.
///
/// Make one and keep it: it holds the connections and the access token. Clones are cheap and share both.
/// It needs a tokio runtime with time and I/O enabled.
///
/// # Runtimes
///
/// You can build a client outside of a runtime, and use it in several, one after the other or at the same time. Each runtime has
/// connections of its own, because a connection makes no progress unless the runtime that opened it runs. The client keeps those
/// of the last 64 runtimes. All runtimes share the token, the limits and the retry budget. If a runtime stops running while a send
/// in it waits for a token request, sends elsewhere make that request again after 3 s. A send that nobody polls keeps its permit
/// for a message in flight for a while, as [`max_in_flight`](ClientBuilder::max_in_flight) explains.
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

struct Inner {
    courier: Courier,
    policy: Policy,
    limits: Limits,
    source: Option<Uuid>,
    destinations: Vec<Uuid>,
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
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) with every variable that is missing
    /// or can't be used.
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
    /// What the message leaves open of its source and destinations is filled in with the client's. The
    /// message is checked before anything goes out, and encoded once. Then it is sent until the service
    /// accepts it, refuses it for good, or attempts or time run out:
    ///
    /// * 408, 421, 425, 429, 5xx, failed connections and lost responses are retried. The delay is drawn from zero up to a
    ///   ceiling that doubles from 250 ms, after a 429 from 1 s, to 20 s;
    /// * a 2xx is accepted if the service can have written the response, and the message is then never sent again. With errors
    ///   in it the message is rejected. If the response isn't the service's, such as a firewall's page, the outcome is unknown;
    /// * after a 5xx and a lost response the service [may have the message](ClientBuilder::on_unknown), after a 503 with
    ///   `Retry-After` it doesn't. The [table](crate::Exchange::class) of what means what can be
    ///   [changed](ClientBuilder::classifier);
    /// * retries of all clones of the client spend from [one budget](ClientBuilder::retry_budget): while much fails, none
    ///   are made;
    /// * a send waits for the [rate limit](ClientBuilder::pace) and for [messages in flight](ClientBuilder::max_in_flight) before
    ///   its first attempt. That wait isn't an attempt, and its deadline covers it;
    /// * `Retry-After` (RFC 9110, section 10.2.3) is waited for with its fraction, up to 120 s and within the deadline. If it
    ///   asks for more, the send ends at once and the error reports [when to come back](Error::retry_after);
    /// * after a 401 the client requests one new access token and tries again. A new token that is rejected as well is tried once
    ///   more about 2 s later, because the service may know it late. After that no other is requested for 10 s, and sends
    ///   in between end with the same error;
    /// * without an access token the message does not leave. A token endpoint that fails is asked again, with a fresh
    ///   assertion, after a pause that all sends of the client share; one that refuses ends the send;
    /// * every other status is final.
    ///
    /// All attempts carry the same bytes and the message id as `Idempotency-Key`. The service documents no use of
    /// it: a message that arrives twice is in its queue twice, and says the same twice.
    ///
    /// Dropped before it ends, the send stops, and whether the message arrived is not known. An
    /// [observer](ClientBuilder::attempt_observer) and the log are told of the attempt that was under way.
    ///
    /// In the log a send is a span with one for each attempt, a retry is a warning, and only a message that is given up is
    /// an error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind`](crate::ErrorKind) tells them apart: a message that breaks the data model, credentials
    /// or a message refused, too many requests, a service or connection that fails, a response that does not
    /// come. The error carries every attempt, and [`Error::delivery`] how certain the outcome is.
    pub fn send<'a, M: Message>(&'a self, message: &'a M) -> SendBuilder<'a> {
        SendBuilder {
            client: self,
            message: message.outgoing(Internal),
            message_id: None,
            policy: self.0.policy.clone(),
        }
    }

    /// Puts `credentials` in the place of those in use, for this client and its clones, while it goes on sending.
    ///
    /// They are tried first: only once they have bought an access token do they take the place of those before, and
    /// the token with them. Until then sends go on with what there is, and what goes wrong leaves it so. A send that
    /// is under way ends with the token that it has, or with the new one when that is refused; one that waits for a
    /// token takes the new one at once. Of several rotations side by side the one that began last counts.
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
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if a part of the credentials is empty or their
    /// audience isn't a URI, with all such problems. Otherwise the errors are those of a send:
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) if the credentials are rejected, and other kinds if the token
    /// endpoint can't be reached. It is asked once, within the time of one attempt and at most 30 s.
    pub async fn rotate_credentials(&self, credentials: Credentials) -> Result<(), Error> {
        let problems = credentials.problems();
        if !problems.is_empty() {
            return Err(Error::configuration(problems));
        }
        self.0.courier.rotate_credentials(credentials).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.0.courier.endpoint)
            .field("source", &self.0.source)
            .field("destinations", &self.0.destinations)
            .field("policy", &self.0.policy)
            .finish_non_exhaustive()
    }
}

/// One send and its options, made by [`Client::send`]; `.await` starts it.
///
/// It implements [`IntoFuture`]. Call `into_future` to pass it to `buffer_unordered` or `join_all`. To spawn it, move a clone of the
/// client and the message into an `async` block.
///
/// ```no_run
/// # use pushslots::{Client, Error, OnUnknown, PushSlots};
/// # use std::time::Duration;
/// # async fn example(client: Client, message: PushSlots) -> Result<(), Error> {
/// // A person waits, and looks at the service's dashboard before a second copy goes out.
/// let send = client.send(&message).deadline(Duration::from_secs(10)).on_unknown(OnUnknown::Stop);
/// let receipt = send.await?;
/// # Ok(()) }
/// ```
#[must_use = "nothing is sent until this is awaited"]
#[derive(Debug)]
pub struct SendBuilder<'a> {
    client: &'a Client,
    message: &'a dyn Outgoing,
    message_id: Option<Uuid>,
    policy: Policy,
}

impl SendBuilder<'_> {
    /// The longest time for the whole send, in place of [the client's](ClientBuilder::deadline).
    ///
    /// With zero nothing goes out, and the send ends as [`ErrorKind::Timeout`](crate::ErrorKind::Timeout).
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self
    }

    /// Whether to try again where the service may have the message, in place of [the client's](ClientBuilder::on_unknown).
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.policy.on_unknown = on_unknown;
        self
    }

    /// The message id, in place of a fresh UUID: [the same again](Error::message_id) for a message that was sent before.
    pub fn message_id(mut self, message_id: Uuid) -> Self {
        self.message_id = Some(message_id);
        self
    }

    async fn send(self) -> Result<Receipt, Error> {
        let client = &*self.client.0;
        let message_id = self.message_id.unwrap_or_else(fresh_id);
        let written = write_from(self.message, client.source, &client.destinations)
            .map_err(|invalid| Error::invalid_message(invalid, message_id))?;
        let (slots, destinations) = (self.message.slot_count(), written.destinations);
        let parcel = Parcel { message_id, slots, destinations, body: written.json };
        client.courier.deliver(&parcel, &self.policy, None, Vec::new()).await
    }
}

impl<'a> IntoFuture for SendBuilder<'a> {
    type Output = Result<Receipt, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}
