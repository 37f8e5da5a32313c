//! The settings of a client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::setting::Setting;
use crate::auth::Credentials;
use crate::delivery::{AttemptObserver, Classifier};
use crate::message::{Problem, Validation};
use crate::publish::Limits;
use crate::retry::{Classification, DEFAULT_BUDGET, Exchange, OnUnknown, Policy};
use crate::transport::{AnyTransport, HttpSettings, Rate, RateLimiter};

/// The service's production address in the United States.
const BASE_URL: &str = "https://api.redoxengine.com";

/// A builder for a [`Client`](crate::Client).
///
/// Only the credentials are required. The method [`build`](Self::build) reports all invalid
/// settings at once. The method [`from_env`](Self::from_env) reads settings from environment
/// variables; its documentation lists every setting. The `Debug` output contains no secrets.
///
/// ```no_run
/// use pushslots::ClientBuilder;
/// use std::time::Duration;
///
/// // The credentials come from the environment. A person waits, so the send ends early.
/// let client = ClientBuilder::from_env().deadline(Duration::from_secs(20)).build()?;
/// # Ok::<(), pushslots::Error>(())
/// ```
///
/// # Defaults
///
/// This table gives the reasons for the defaults. For all settings, see
/// [`from_env`](Self::from_env).
///
/// | setting | default | reason |
/// | --- | --- | --- |
/// | [`base_url`](Self::base_url) | `https://api.redoxengine.com` | It is the service's production address in the United States. |
/// | [`token_url`](Self::token_url) | `{base}/v2/auth/token` | The service documents this path. |
/// | [`max_attempts`](Self::max_attempts) | 4 | Three retries outlast failures of about a second. More would mostly add load. |
/// | [`attempt_timeout`](Self::attempt_timeout) | 125 s | The service ends a request after about 120 s. A shorter timeout sends copies of a message that the service is still processing. |
/// | [`deadline`](Self::deadline) | 300 s | It leaves room for two attempts of full length and the delay between them. |
/// | [`on_unknown`](Self::on_unknown) | [`OnUnknown::Retry`] | Sending the same slots twice doesn't change their meaning, but slots that never arrive can't be booked. |
/// | [`retry_budget`](Self::retry_budget) | 500 | It covers 35 failed retries, or 100 after a 429. Single failures need less, and an outage soon exhausts it. |
/// | [`rate_limit`](Self::rate_limit) | 7,500 in 300 s | It is the lower of the two limits per IP address that the service publishes. |
/// | [`max_in_flight`](Self::max_in_flight) | 100 | With responses within 4 s, it allows the full rate of 25 requests a second. Over HTTP/1.1 it also bounds the number of connections. |
/// | [`slots_per_message`](Self::slots_per_message) | 1,000 | Encoding costs little compared to the request, and a rejected message affects few slots. |
/// | [`bytes_per_message`](Self::bytes_per_message) | 8 MiB | It is below 10 MB, the lower of the two limits that the service publishes. |
/// | [`validation`](Self::validation) | [`Validation::Strict`] | A problem is cheaper to fix before the message is sent. |
/// | [`connect_timeout`](Self::connect_timeout) | 5 s | A handshake takes less than a second even around the world, and a lost packet is sent again within three seconds. |
/// | [`proxy`](Self::proxy) | from the environment | Operators configure it once for all programs. |
/// | [`root_certificate`](Self::root_certificate) | from the system | Operators configure them once for all programs. |
#[derive(Clone)]
pub struct ClientBuilder {
    /// The settings from the environment, so that problems name their variables.
    pub(super) from_environment: Vec<Setting>,
    /// The problems of variables that weren't overridden in code.
    pub(super) environment_problems: Vec<Problem>,
    pub(super) base_url: String,
    pub(super) token_url: Option<String>,
    pub(super) credentials: Option<Credentials>,
    pub(super) source: Option<Uuid>,
    pub(super) destinations: Vec<Uuid>,
    pub(super) policy: Policy,
    pub(super) limits: Limits,
    pub(super) validation: Validation,
    pub(super) retry_budget: Option<u32>,
    pub(super) classifier: Classifier,
    pub(super) attempt_observer: Option<Arc<dyn AttemptObserver>>,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) max_in_flight: u32,
    pub(super) jitter_seed: Option<u64>,
    pub(super) transport: Option<Arc<dyn AnyTransport>>,
    pub(super) http: HttpSettings,
    pub(super) plain_http_hosts: Vec<String>,
}

/// A limit on requests.
#[derive(Clone)]
pub(super) enum RateLimit {
    /// A limit for each client that is built.
    Rate(Rate),
    /// A limiter shared with other clients.
    Shared(RateLimiter),
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            from_environment: Vec::new(),
            environment_problems: Vec::new(),
            base_url: BASE_URL.to_owned(),
            token_url: None,
            credentials: None,
            source: None,
            destinations: Vec::new(),
            policy: Policy::default(),
            limits: Limits::default(),
            validation: Validation::default(),
            retry_budget: Some(DEFAULT_BUDGET),
            #[expect(
                clippy::redundant_closure_for_method_calls,
                reason = "the method alone has one lifetime"
            )]
            classifier: Arc::new(|exchange| exchange.classification()),
            attempt_observer: None,
            rate_limit: Some(RateLimit::Rate(Rate::default())),
            // At the default rate of 25 requests a second, each response may take 4 s.
            max_in_flight: 100,
            jitter_seed: None,
            transport: None,
            http: HttpSettings::default(),
            plain_http_hosts: Vec::new(),
        }
    }
}

impl ClientBuilder {
    /// Sets the credentials that authenticate the client. They are required.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self.environment_problems.retain(|problem| !Setting::is_of_credentials(problem));
        self
    }

    /// Sets the id of the sending system, the `Meta.Source.ID` of messages without a source. There
    /// is none by default.
    ///
    /// The service requires it from organizations with several OAuth keys in one environment.
    #[must_use]
    pub fn source(mut self, source: Uuid) -> Self {
        self.source = Some(source);
        self.given(Setting::SourceId)
    }

    /// Adds a destination. There is none by default.
    ///
    /// All these destinations become the `Meta.Destinations` of messages without their own. A
    /// message without any destination isn't sent. This method doesn't replace destinations from
    /// the [environment](Self::from_env).
    #[must_use]
    pub fn destination(mut self, destination: Uuid) -> Self {
        self.destinations.push(destination);
        self
    }

    /// Sets the URL of the service. Defaults to `https://api.redoxengine.com`.
    ///
    /// In Canada the service is at `https://api.ca.redoxengine.com`. Messages are sent to
    /// `{base}/endpoint`.
    ///
    /// The URL must use `https` and have no query, fragment, user name or password. Plain `http` is
    /// allowed for this machine, and for hosts that you [allow by name](Self::allow_plain_http).
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self.given(Setting::BaseUrl)
    }

    /// Sets whether messages and slots with [problems](crate::PushSlots::validate) are sent.
    /// Defaults to [`Validation::Strict`].
    ///
    /// The setting applies to sends and publications, unless they have their own.
    #[must_use]
    pub fn validation(mut self, validation: Validation) -> Self {
        self.validation = validation;
        self.given(Setting::Validation)
    }

    /// Sets the URL of the token endpoint. Defaults to `{base}/v2/auth/token`.
    ///
    /// The URL is also the audience of assertions (RFC 7523, section 3), unless
    /// [`Credentials::audience`] sets another. The audience is exactly this text, or the default
    /// derived from the text of the base URL. A legacy API key is sent to
    /// `{base}/auth/authenticate` instead.
    #[must_use]
    pub fn token_url(mut self, url: impl Into<String>) -> Self {
        self.token_url = Some(url.into());
        self.given(Setting::TokenUrl)
    }

    /// Sets the maximum number of attempts per send, including the first, at least 1. Defaults to
    /// 4.
    #[must_use]
    pub fn max_attempts(mut self, max_attempts: u32) -> Self {
        self.policy.max_attempts = max_attempts;
        self.given(Setting::MaxAttempts)
    }

    /// Sets the timeout of one attempt, including its token request, above 0. Defaults to 125 s.
    ///
    /// The service ends a request after about 2 minutes. With a shorter timeout, a slow service
    /// receives copies of a message that it is still processing.
    ///
    /// A [connection attempt](Self::connect_timeout) has its own timeout. A token request takes at
    /// most 30 s.
    ///
    /// # Dead connections
    ///
    /// The client detects a dead connection much sooner:
    ///
    /// * It pings HTTP/2 connections, and closes them after 35 s without any data from the service.
    /// * Messages beyond 128 KiB in flight use connections without pings, because a slow line could
    ///   delay the pings too much.
    /// * Over HTTP/1.1 and on connections without pings, TCP detects a dead connection within about
    ///   a minute.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.attempt_timeout = timeout;
        self.given(Setting::AttemptTimeout)
    }

    /// Sets the maximum time for a send, including all attempts and delays, above 0. Defaults to
    /// 300 s.
    ///
    /// The default is enough for two attempts of [full length](Self::attempt_timeout) and the delay
    /// between them. Use a shorter deadline if a person waits for the outcome.
    ///
    /// A send retries only if enough time is left for a response: the shortest of 1 s, a tenth of
    /// the deadline, and the attempt timeout. If a custom [`Transport`](crate::Transport) exceeds
    /// its timeout, it is cancelled 50 ms later.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self.given(Setting::Deadline)
    }

    /// Sets whether a send retries after an attempt with an unknown outcome. Defaults to
    /// [`OnUnknown::Retry`], because sending the same slots twice doesn't change their meaning.
    #[must_use]
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.policy.on_unknown = on_unknown;
        self
    }

    /// Sets the maximum number of slots in one message of a [publication](crate::Client::publish),
    /// at least 1. Defaults to 1,000.
    #[must_use]
    pub fn slots_per_message(mut self, slots: usize) -> Self {
        self.limits.slots = slots;
        self.given(Setting::SlotsPerMessage)
    }

    /// Sets the maximum number of bytes in one message of a [publication](crate::Client::publish),
    /// at least 1. Defaults to 8 MiB.
    ///
    /// A message without slots takes a few hundred bytes. A publication with a limit below that
    /// returns an error. The service documents 40 MB on one page and 10 MB on another.
    #[must_use]
    pub fn bytes_per_message(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self.given(Setting::BytesPerMessage)
    }

    /// Sets a function that classifies responses and failures, instead of the [default
    /// table](Exchange::classification).
    ///
    /// The client relies on the result. An exchange that is classified as
    /// [`Classification::Accepted`] is never repeated, and [`Classification::Rejected`] is reported
    /// as a rejection. The function must not block.
    ///
    /// ```
    /// use pushslots::{Classification, Client};
    ///
    /// // Our gateway responds with 403 while it restarts.
    /// let builder = Client::builder().classifier(|exchange| match exchange.status().map(u16::from) {
    ///     Some(403) => Classification::Transient,
    ///     _ => exchange.classification(),
    /// });
    /// ```
    #[must_use]
    pub fn classifier(
        mut self,
        classifier: impl Fn(&Exchange<'_>) -> Classification + Send + Sync + 'static,
    ) -> Self {
        self.classifier = Arc::new(classifier);
        self
    }

    /// Sets an observer that is called after every attempt. There is none by default.
    #[must_use]
    pub fn attempt_observer(mut self, observer: impl AttemptObserver) -> Self {
        self.attempt_observer = Some(Arc::new(observer));
        self
    }

    /// Sets the seed of all random delays, which makes a test repeatable. By default, every client
    /// has a random seed.
    #[must_use]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Removes the variable of `setting` and its problems.
    // Not inlined, because every method that sets something calls it.
    #[inline(never)]
    fn ignore_variable(&mut self, setting: Setting) {
        self.from_environment.retain(|other| *other != setting);
        self.environment_problems.retain(|problem| !setting.is_of(problem));
    }

    /// Records that code has set `setting`, so that its variable is ignored.
    pub(super) fn given(mut self, setting: Setting) -> Self {
        self.ignore_variable(setting);
        self
    }
}

/// Omits the URLs, because an invalid one may contain a password.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("credentials", &self.credentials)
            .field("source", &self.source)
            .field("destinations", &self.destinations)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
