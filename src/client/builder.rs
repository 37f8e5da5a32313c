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

/// Production in the United States.
const BASE_URL: &str = "https://api.redoxengine.com";

/// The settings of a [`Client`](crate::Client); only the credentials have no default.
///
/// [`build`](Self::build) reports every value outside its range. The `Debug` output shows no
/// secret. [`from_env`](Self::from_env) lists the variables that set them from the environment.
///
/// # Defaults
///
/// Settings that the table doesn't name have no value by default.
///
/// | setting | default | reason |
/// | --- | --- | --- |
/// | [`base_url`](Self::base_url) | `https://api.redoxengine.com` | the service's production address in the United States |
/// | [`token_url`](Self::token_url) | `{base}/v2/auth/token` | the path that the service documents |
/// | [`max_attempts`](Self::max_attempts) | 4 | three retries outlast failures of about a second; further ones mostly add load |
/// | [`attempt_timeout`](Self::attempt_timeout) | 125 s | the service ends a request after about 120 s; giving up earlier sends copies of a message that it still works on |
/// | [`deadline`](Self::deadline) | 300 s | room for two attempts of the longest kind, and the delay between them |
/// | [`on_unknown`](Self::on_unknown) | [`OnUnknown::Retry`] | the same slots sent twice mean the same; slots that never arrive can't be booked |
/// | [`retry_budget`](Self::retry_budget) | 500 | 35 failed retries, or 100 after a 429: more than single failures need, and soon used up in an outage |
/// | [`rate_limit`](Self::rate_limit) | 7,500 in 300 s | the lower of the two figures that the service publishes for an IP address |
/// | [`max_in_flight`](Self::max_in_flight) | 100 | 25 requests a second, each with a response within 4 s, keep the whole rate busy; over HTTP/1.1 it bounds the connections |
/// | [`slots_per_message`](Self::slots_per_message) | 1,000 | encoding costs little next to the request, and a rejected message concerns few slots |
/// | [`bytes_per_message`](Self::bytes_per_message) | 8 MiB | below 10 MB, the lower of the two limits that the service publishes |
/// | [`validation`](Self::validation) | [`Validation::Strict`] | a problem is cheaper to fix before the message is sent |
/// | [`connect_timeout`](Self::connect_timeout) | 5 s | a handshake takes less than a second even around the world, and a lost packet is sent again within three seconds |
/// | [proxy](Self::proxy), [root certificates](Self::root_certificate) | those of the environment and the system | operators configure these once for all programs |
///
/// ```no_run
/// use pushslots::ClientBuilder;
/// use std::time::Duration;
///
/// // The credentials are in the environment; a caller that waits wants to know sooner.
/// let client = ClientBuilder::from_env()
///     .attempt_timeout(Duration::from_secs(5))
///     .deadline(Duration::from_secs(20))
///     .build()?;
/// # Ok::<(), pushslots::Error>(())
/// ```
#[derive(Clone)]
pub struct ClientBuilder {
    /// The settings that come from the environment, so that problems name their variables.
    pub(super) from_environment: Vec<Setting>,
    /// Problems of variables whose settings code has not replaced.
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

/// The limit on requests.
#[derive(Clone)]
pub(super) enum RateLimit {
    /// Of each client that is built.
    Rate(Rate),
    /// Shared with others.
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
            // At the default rate of 25 requests a second, the responses may take 4 s each.
            max_in_flight: 100,
            jitter_seed: None,
            transport: None,
            http: HttpSettings::default(),
            plain_http_hosts: Vec::new(),
        }
    }
}

impl ClientBuilder {
    /// Sets the credentials that authenticate the client; required.
    #[must_use]
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = Some(credentials);
        self.environment_problems.retain(|problem| !Setting::is_of_credentials(problem));
        self
    }

    /// Sets the system that sends, the `Meta.Source.ID` of messages without a source. There is none
    /// by default.
    ///
    /// The service needs it from organisations with several OAuth keys in an environment.
    #[must_use]
    pub fn source(mut self, source: Uuid) -> Self {
        self.source = Some(source);
        self.given(Setting::SourceId)
    }

    /// Adds a destination. All of them become the `Meta.Destinations` of messages without
    /// destinations.
    ///
    /// There is none by default, and a message without any isn't sent. Destinations from the
    /// [environment](Self::from_env) are kept.
    #[must_use]
    pub fn destination(mut self, destination: Uuid) -> Self {
        self.destinations.push(destination);
        self
    }

    /// Sets the address of the service. Defaults to `https://api.redoxengine.com`.
    ///
    /// Messages go to `{base}/endpoint`. In Canada the service is at
    /// `https://api.ca.redoxengine.com`. The address is an `https` URL without query, fragment,
    /// user name or password. Plain `http` works for this machine, and for hosts that are [allowed
    /// by name](Self::allow_plain_http).
    #[must_use]
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self.given(Setting::BaseUrl)
    }

    /// Sets whether messages and slots with [problems](crate::PushSlots::validate) are sent.
    /// Defaults to [`Validation::Strict`].
    ///
    /// It applies to sends, publications and messages that are prepared, unless these have a
    /// setting of their own.
    #[must_use]
    pub fn validation(mut self, validation: Validation) -> Self {
        self.validation = validation;
        self.given(Setting::Validation)
    }

    /// Sets the address of the token endpoint; by default `{base}/v2/auth/token`.
    ///
    /// Its text is also the audience of assertions, exactly as it is given here or in the base URL
    /// (RFC 7523, section 3), unless [`Credentials::audience`] sets another. A legacy API key goes
    /// to `{base}/auth/authenticate` instead.
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

    /// Sets the longest time for one attempt, its token request included, above 0. Defaults to 125
    /// s.
    ///
    /// The service ends a request after about 2 minutes. With less time than that, a service that
    /// is merely slow gets further copies of a message that it is still working on. A dead
    /// connection is found much sooner: HTTP/2 connections are pinged, and closed after 35 s
    /// without a sign of life. Above 128 KiB in flight, further messages use connections without
    /// pings, because a slow line could delay those too much. TCP finds a dead one of them, or of
    /// HTTP/1.1, within about a minute. A [connection attempt](Self::connect_timeout) has a limit
    /// of its own, and a token request takes at most 30 s.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.attempt_timeout = timeout;
        self.given(Setting::AttemptTimeout)
    }

    /// Sets the longest time for a whole send, all attempts and waiting included, above 0. Defaults
    /// to 300 s.
    ///
    /// That is enough for two attempts that take their whole [time](Self::attempt_timeout), and the
    /// delay between them. Set less if a person waits for the outcome.
    ///
    /// A message is tried again only while enough is left for a response to come: a second, or a
    /// tenth of the deadline or an attempt's whole time where that is shorter. A
    /// [`Transport`](crate::Transport) of your own that does not mind its time is cut off 50 ms
    /// after it.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.policy.deadline = deadline;
        self.given(Setting::Deadline)
    }

    /// Sets whether a send retries after an attempt with an unknown outcome. Defaults to
    /// [`OnUnknown::Retry`], because the same slots sent twice mean the same.
    #[must_use]
    pub fn on_unknown(mut self, on_unknown: OnUnknown) -> Self {
        self.policy.on_unknown = on_unknown;
        self
    }

    /// Sets the size of the retry budget. Defaults to 500. With 0, only retries that cost nothing
    /// are made.
    ///
    /// The budget is a bucket that all clones of the client share, full at first. A retry takes 14
    /// from it, and 5 after a 429. If the retry succeeds, it gives its cost back; a message
    /// accepted on its first attempt adds 1. So single failures never empty the bucket. In an
    /// outage it is soon empty: from then on a send ends with the outcome of its first attempt, and
    /// the service sees about as many requests as there are messages.
    ///
    /// Some retries take nothing: after waiting for an access token, after the service rejected
    /// one, and after a connection that was closed before the service took the request.
    #[must_use]
    pub fn retry_budget(mut self, size: u32) -> Self {
        self.retry_budget = Some(size);
        self
    }

    /// Removes the retry budget. In an outage the service then gets up to
    /// [`max_attempts`](Self::max_attempts) times the load.
    #[must_use]
    pub fn without_retry_budget(mut self) -> Self {
        self.retry_budget = None;
        self
    }

    /// Sets how many requests may be sent in any rolling window of this length, token requests
    /// included. Defaults to 7,500 in 5 minutes, the lower of the two figures that the service
    /// publishes for an IP address.
    ///
    /// The limit is at least 2 requests, because one may be for a token, and the window at most a
    /// day. All clones of the client share the limit, about in the order in which they come. A
    /// burst may use a whole window's requests at once. A request counts from when it leaves until
    /// one window after its end. A request that never left, because no connection came about,
    /// doesn't count. After a 429 all requests wait for the time that its `Retry-After` asks for,
    /// up to 120 s, or else for a second.
    ///
    /// A send whose [deadline](Self::deadline) leaves no room for that ends as
    /// [`ErrorKind::Throttled`], with the [time to wait](crate::Error::retry_after). A publication
    /// waits as long as it takes.
    ///
    /// [`ErrorKind::Throttled`]: crate::ErrorKind::Throttled
    #[must_use]
    pub fn rate_limit(mut self, requests: u32, window: Duration) -> Self {
        self.rate_limit = Some(RateLimit::Rate(Rate { requests, window }));
        self.given(Setting::RateLimit)
    }

    /// Sets a rate limiter that the client shares with others, instead of one of its own.
    ///
    /// The service counts requests per IP address. If one process sends for many customers, pass
    /// the same limiter to all their clients, or make them by
    /// [`Client::with_credentials`](crate::Client::with_credentials). Everything that
    /// [`rate_limit`](Self::rate_limit) explains holds for all of them together.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: RateLimiter) -> Self {
        self.rate_limit = Some(RateLimit::Shared(limiter));
        self.given(Setting::RateLimit)
    }

    /// Sets the maximum number of messages in flight, at least 1. Defaults to 100.
    ///
    /// All clones of the client share it, in the order in which their sends begin. A send that
    /// waits for others holds no connection. The wait isn't an attempt and takes none of its time,
    /// but the [deadline](Self::deadline) of a send covers it. A send ends as
    /// [`ErrorKind::Throttled`] if it still waits when less is left of its deadline than the [time
    /// of one attempt](Self::attempt_timeout), or than half of the deadline if that is shorter. A
    /// publication waits as long as it takes. Token requests don't count: there is at most one at a
    /// time.
    ///
    /// [`ErrorKind::Throttled`]: crate::ErrorKind::Throttled
    ///
    /// A send that nobody polls keeps its permit, such as one in a `buffer_unordered` whose
    /// consumer awaits another send. If such sends hold all permits for longer than an attempt may
    /// take, they no longer count, and the others go ahead.
    ///
    /// The limit bounds connections: over HTTP/1.1 each message in flight needs one of its own.
    /// Over HTTP/2 all share one, and at most two connections to a host are opened at the same
    /// time.
    #[must_use]
    pub fn max_in_flight(mut self, max_in_flight: u32) -> Self {
        self.max_in_flight = max_in_flight;
        self.given(Setting::MaxInFlight)
    }

    /// Sets the maximum number of slots in one message of a [publication](crate::Client::publish),
    /// at least 1. Defaults to 1,000.
    #[must_use]
    pub fn slots_per_message(mut self, slots: usize) -> Self {
        self.limits.slots = slots;
        self.given(Setting::SlotsPerMessage)
    }

    /// Sets the maximum number of bytes in one message of a [publication](crate::Client::publish).
    /// Defaults to 8 MiB.
    ///
    /// A message without slots takes a few hundred bytes; a publication whose limit is below that
    /// ends with an error. One page of the service states a limit of 40 MB, another of 10 MB.
    #[must_use]
    pub fn bytes_per_message(mut self, bytes: usize) -> Self {
        self.limits.bytes = bytes;
        self.given(Setting::BytesPerMessage)
    }

    /// Removes the rate limit, also after a 429. Use it if something else keeps the requests within
    /// the service's limits.
    #[must_use]
    pub fn without_rate_limit(mut self) -> Self {
        self.rate_limit = None;
        self.given(Setting::RateLimit)
    }

    /// Sets a function that classifies responses and failures, instead of the
    /// [table](Exchange::classification) alone.
    ///
    /// The client relies on it: an exchange that it classifies as [`Classification::Accepted`] is
    /// never repeated, and [`Classification::Rejected`] is reported as a rejection. It must not
    /// block.
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

    /// Sets the seed of all random delays, so that a test can be repeated. Every client has a
    /// random seed by default.
    #[must_use]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Records that code has set `setting`, so that its variable no longer counts.
    fn given(mut self, setting: Setting) -> Self {
        self.from_environment.retain(|other| *other != setting);
        self.environment_problems.retain(|problem| !setting.is_of(problem));
        self
    }
}

/// Leaves out the addresses, because an invalid one may hold a password.
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
