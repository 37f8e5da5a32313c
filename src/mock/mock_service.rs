//! The running mock: its settings, its script and its inbox.

use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use uuid::Uuid;

use super::inbox::{Counts, ReceivedMessage, ReceivedRequest};
use super::mock_response::MockResponse;
use super::script::Script;
use super::server::Server;
use super::service::Service;
use crate::message::Slot;
use crate::signature::PrivateKey;

/// A mock of the service, by default on a free port of 127.0.0.1. See [the module](crate::mock).
///
/// It runs in a thread of its own until it is dropped, and needs no runtime. It uses the real
/// clock. With tokio's paused time, a client runs into its timeouts while it waits for a socket.
///
/// If a function set with [`respond_with`](crate::mock::MockServiceBuilder::respond_with) panics,
/// the panic resumes when the mock is dropped, so that the test fails.
#[must_use = "the mock stops when it is dropped"]
pub struct MockService {
    pub(super) service: Arc<Service>,
    pub(super) server: Server,
    pub(super) key: Arc<PrivateKey>,
    pub(super) private_key_pem: String,
    pub(super) client_id: String,
    pub(super) key_id: String,
    pub(super) api_key: (String, String),
}

impl MockService {
    /// Returns the base URL for clients, such as `http://127.0.0.1:49152`. In a browser it shows
    /// the mock's page.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.service.url
    }

    /// Returns a client id that the mock knows.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the id of that client's public key, the `kid` of its assertions.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Returns the private key of that client. It is a P-384 key in PKCS#8 PEM, generated for each
    /// mock.
    #[must_use]
    pub fn private_key_pem(&self) -> &str {
        &self.private_key_pem
    }

    pub(crate) fn private_key(&self) -> Arc<PrivateKey> {
        self.key.clone()
    }

    /// Returns a legacy API key that the mock knows, with its secret.
    #[must_use]
    pub fn api_key(&self) -> (&str, &str) {
        (&self.api_key.0, &self.api_key.1)
    }

    /// Returns a destination for messages. By default the mock also accepts messages for any other.
    #[must_use]
    pub fn destination(&self) -> Uuid {
        self.service.destination
    }

    /// Queues a response to a message. Queued responses are sent in order.
    ///
    /// The mock ignores the message itself, unless the response [accepts it
    /// first](MockResponse::after_accepting).
    pub fn respond_next(&self, response: MockResponse) {
        self.service.script(|script| Script::add(&mut script.messages, response));
    }

    /// Queues a response to a token request. Queued responses are sent in order.
    pub fn respond_next_token(&self, response: MockResponse) {
        self.service.script(|script| Script::add(&mut script.tokens, response));
    }

    /// Starts an outage of this duration. Messages and token requests then get a 503.
    ///
    /// The delays between attempts are random, so the four attempts of a default client can all end
    /// within milliseconds. If the send must outlive the outage, give the client more
    /// [attempts](crate::ClientBuilder::max_attempts), or count failures instead:
    /// `respond_next(MockResponse::unavailable().times(2))`.
    pub fn fail_for(&self, duration: Duration) {
        self.service.script(|script| script.fail_for(duration));
    }

    /// Returns the number of queued responses, for messages and tokens. At the end of a test, it is
    /// 0 if all of them were sent.
    #[must_use]
    pub fn pending_responses(&self) -> usize {
        self.service.state().script.pending()
    }

    /// Removes all queued responses, and ends an outage.
    pub fn clear_script(&self) {
        self.service.script(|script| *script = Script::default());
    }

    /// Revokes every token issued so far, including refresh tokens.
    pub fn revoke_tokens(&self) {
        self.service.state().tokens.revoke_all();
    }

    /// Returns the accepted messages in order.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedMessage> {
        self.service.state().log.messages.clone()
    }

    /// Returns the settings of a client as shell commands, one `export` for each variable of
    /// [`Client::from_env`](crate::Client::from_env). They contain the mock's private key.
    #[must_use]
    pub fn shell_settings(&self) -> &str {
        &self.service.shell_settings
    }

    /// Returns the messages accepted for this destination, in order.
    #[must_use]
    pub fn received_for(&self, destination: Uuid) -> Vec<ReceivedMessage> {
        self.matching(|message| message.is_for(destination))
    }

    /// Returns the accepted messages of this batch, sorted by `CurrentBatch`.
    #[must_use]
    pub fn batch(&self, batch_id: &str) -> Vec<ReceivedMessage> {
        let mut messages =
            self.matching(|message| message.meta().batch_id.as_deref() == Some(batch_id));
        messages.sort_by_key(|message| message.meta().current_batch);
        messages
    }

    fn matching(&self, matches: impl Fn(&ReceivedMessage) -> bool) -> Vec<ReceivedMessage> {
        let state = self.service.state();
        state.log.messages.iter().filter(|message| matches(message)).cloned().collect()
    }

    /// Returns the slots of all accepted messages in order.
    ///
    /// The slots of a message that arrived twice are listed twice, unless the mock recognizes
    /// [repeated messages](crate::mock::MockServiceBuilder::deduplicate).
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        self.received().iter().flat_map(ReceivedMessage::slots).cloned().collect()
    }

    /// Returns the slots accepted for this destination, in order.
    #[must_use]
    pub fn slots_for(&self, destination: Uuid) -> Vec<Slot> {
        self.received_for(destination).iter().flat_map(ReceivedMessage::slots).cloned().collect()
    }

    /// Waits until the mock has accepted this number of messages, and returns all accepted
    /// messages.
    ///
    /// Use it to test programs that send in the background. It has no timeout of its own, so wrap
    /// it in one of your runtime.
    ///
    /// ```no_run
    /// # use pushslots::mock::MockService;
    /// # use std::time::Duration;
    /// # async fn example(service: MockService) -> Result<(), Box<dyn std::error::Error>> {
    /// let received = tokio::time::timeout(Duration::from_secs(5), service.wait_for(2)).await?;
    /// assert_eq!(received[1].slots().len(), 12);
    /// # Ok(()) }
    /// ```
    pub async fn wait_for(&self, messages: usize) -> Vec<ReceivedMessage> {
        // This can't fail: the service holds the sender for longer than `self` is borrowed.
        let _ = self.service.received.subscribe().wait_for(|received| *received >= messages).await;
        self.received()
    }

    /// Returns every request in order, with its response. Requests for the page are left out.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.service.state().log.requests.clone()
    }

    /// Returns the number of requests and messages by outcome.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.service.state().log.counts
    }

    /// Removes all recorded requests and messages, and frees their bodies. Tokens stay valid.
    pub fn clear_inbox(&self) {
        self.service.clear_inbox();
    }
}

impl Drop for MockService {
    fn drop(&mut self) {
        self.server.stop();
        let panic = self.service.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic.filter(|_| !std::thread::panicking()) {
            std::panic::resume_unwind(panic);
        }
    }
}

impl fmt::Debug for MockService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockService")
            .field("url", &self.service.url)
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}
