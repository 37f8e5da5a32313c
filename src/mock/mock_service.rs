//! The mock while it runs: its settings, its script and its inbox.

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

/// A mock of the service, on a port of 127.0.0.1 unless it is set otherwise; see [the
/// module](crate::mock).
///
/// It runs in a thread of its own until it is dropped, under any runtime and under none. It goes by
/// the real clock: under tokio's paused time a client would run into its timeouts while it waits
/// for a socket.
///
/// A panic in it, such as of an assertion in
/// [`respond_with`](crate::mock::MockServiceBuilder::respond_with), comes up again when it is
/// dropped, so that the test fails.
#[must_use = "the mock ends when it is dropped"]
pub struct MockService {
    pub(super) service: Arc<Service>,
    pub(super) server: Server,
    pub(super) key: Arc<PrivateKey>,
    pub(super) private_key_pem: String,
    pub(super) client_id: String,
    pub(super) key_id: String,
    pub(super) api_key: (String, String),
    pub(super) destination: Uuid,
}

impl MockService {
    /// Where it is, such as `http://127.0.0.1:49152`: the base URL of a client, and its page for a
    /// person.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.service.url
    }

    /// A client id that it knows.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What it calls the public key of that client: `kid` of the assertion.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The private key of that client, of P-384 and in PKCS#8, made anew for each mock.
    #[must_use]
    pub fn private_key_pem(&self) -> &str {
        &self.private_key_pem
    }

    pub(crate) fn private_key(&self) -> Arc<PrivateKey> {
        self.key.clone()
    }

    /// A legacy API key that it takes, and its secret.
    #[must_use]
    pub fn api_key(&self) -> (&str, &str) {
        (&self.api_key.0, &self.api_key.1)
    }

    /// An endpoint to send to; it takes messages for any.
    #[must_use]
    pub fn destination(&self) -> Uuid {
        self.destination
    }

    /// Answers a message like this: the next one, or the next behind those answers that wait
    /// already.
    ///
    /// It comes before everything that the mock would say of the message, unless the response
    /// [takes it](MockResponse::after_accepting).
    pub fn respond_next(&self, response: MockResponse) {
        self.service.script(|script| Script::add(&mut script.messages, response));
    }

    /// Answers a request for a token like this: the next one, or the next behind those answers that
    /// wait already.
    pub fn respond_next_token(&self, response: MockResponse) {
        self.service.script(|script| Script::add(&mut script.tokens, response));
    }

    /// Answers all messages and requests for tokens with 503 from now on for that long.
    ///
    /// It goes by the clock, and the delays between attempts are drawn: the four attempts of a
    /// client as it is by default can be over within milliseconds. Where the send is to outlive the
    /// outage, give the client more [attempts](crate::ClientBuilder::max_attempts), or count
    /// failures instead: `next(MockResponse::unavailable().times(2))`.
    pub fn fail_for(&self, duration: Duration) {
        self.service.script(|script| script.fail_for(duration));
    }

    /// How many answers still wait to be given, for messages and tokens: 0 at the end of a test
    /// whose script was played.
    #[must_use]
    pub fn pending_responses(&self) -> usize {
        self.service.state().script.pending()
    }

    /// Forgets the answers that wait, and an outage.
    pub fn clear_script(&self) {
        self.service.script(|script| *script = Script::default());
    }

    /// Rejects every token that it has issued so far, refresh tokens too.
    pub fn revoke_tokens(&self) {
        self.service.state().tokens.revoke_all();
    }

    /// The messages that it accepted, in order.
    #[must_use]
    pub fn received(&self) -> Vec<ReceivedMessage> {
        self.service.state().log.messages.clone()
    }

    /// The messages that it accepted for this endpoint, in order.
    #[must_use]
    pub fn received_for(&self, destination: Uuid) -> Vec<ReceivedMessage> {
        self.matching(|message| message.is_for(destination))
    }

    /// The messages that it accepted of this batch, by `CurrentBatch`.
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

    /// The slots of all messages that it accepted, in order.
    ///
    /// Of a message that came twice they are there twice, unless it [knows it
    /// again](crate::mock::MockServiceBuilder::deduplicate).
    #[must_use]
    pub fn slots(&self) -> Vec<Slot> {
        self.received().iter().flat_map(ReceivedMessage::slots).cloned().collect()
    }

    /// The slots that it accepted for this endpoint, in order.
    #[must_use]
    pub fn slots_for(&self, destination: Uuid) -> Vec<Slot> {
        self.received_for(destination).iter().flat_map(ReceivedMessage::slots).cloned().collect()
    }

    /// Waits until it has accepted so many messages; gives all of them.
    ///
    /// For what sends in the background. It waits for as long as it takes: put a timeout of the
    /// test's runtime around it.
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
        // The sender is in the service, and outlives this.
        let _ = self.service.received.subscribe().wait_for(|received| *received >= messages).await;
        self.received()
    }

    /// Every request that came, in order, and what it was answered; those for the page aside.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.service.state().log.requests.clone()
    }

    /// How much came.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.service.state().log.counts
    }

    /// Forgets what came, and frees its bodies, which are kept until then.
    ///
    /// Tokens stay good.
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
