//! Building a client from its settings.

use std::sync::Arc;

use http::Uri;

use super::builder::RateLimit;
use super::setting::Setting;
use super::url::ServiceUrl;
use super::{Client, ClientBuilder, Inner};
use crate::auth::{LegacyEndpoints, TokenCache, TokenEndpoints};
use crate::delivery::{InFlight, InProgress, Sender};
use crate::error::Error;
use crate::message::Problem;
use crate::random::Jitter;
use crate::retry::{Policy, RetryBudget};
use crate::transport::{
    AnyTransport, HttpSettings, HttpTransport, Proxies, Rate, RateLimitedTransport, RateLimiter,
    read_proxy,
};

/// The path of the token endpoint below the base URL.
const TOKEN_PATH: &str = "/v2/auth/token";

impl ClientBuilder {
    /// Builds the client. No request is sent yet.
    ///
    /// # Errors
    ///
    /// Returns [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if settings are
    /// missing or invalid. The error lists all of these settings.
    pub fn build(mut self) -> Result<Client, Error> {
        let mut problems = std::mem::take(&mut self.environment_problems);
        let (endpoints, route) = self.endpoints(&mut problems);
        self.check_limits(&mut problems);
        match &self.credentials {
            Some(credentials) => problems.extend(credentials.problems()),
            None if !problems.iter().any(Setting::is_of_credentials) => {
                problems.push(Problem::new(
                    "credentials",
                    "missing; set them with ClientBuilder::credentials",
                ));
            }
            _ => {}
        }
        let transport =
            self.any_transport(route).map_err(|wrong| problems.extend(self.named(wrong))).ok();
        match (endpoints, self.credentials, transport) {
            (Some(endpoints), Some(credentials), Some(transport)) if problems.is_empty() => {
                let timeout = self.policy.attempt_timeout;
                let jitter = Jitter::new(self.jitter_seed);
                let limiter = self.rate_limit.map(|limit| match limit {
                    RateLimit::Rate(rate) => RateLimiter::of_rate(rate),
                    RateLimit::Shared(limiter) => limiter,
                });
                let transport =
                    Arc::new(RateLimitedTransport { transport, limiter: limiter.clone() });
                Ok(Client(Arc::new(Inner {
                    sender: Sender {
                        endpoint: endpoints.message,
                        tokens: Arc::new(TokenCache::new(
                            credentials,
                            endpoints.tokens,
                            transport.clone(),
                            timeout,
                            jitter.clone(),
                        )),
                        transport,
                        limiter,
                        in_flight: InFlight::new(self.max_in_flight, timeout),
                        in_progress: InProgress::default(),
                        classifier: self.classifier,
                        budget: self.retry_budget.map(|size| Arc::new(RetryBudget::new(size))),
                        jitter,
                        observer: self.attempt_observer,
                    },
                    policy: self.policy,
                    limits: self.limits,
                    validation: self.validation,
                    source: self.source,
                    destinations: self.destinations,
                })))
            }
            _ => Err(Error::configuration(problems)),
        }
    }

    fn any_transport(&self, route: Route) -> Result<Arc<dyn AnyTransport>, Vec<Problem>> {
        match &self.transport {
            None => HttpTransport::new(&self.http, route.proxies, route.uses_tls)
                .map(|http| Arc::new(http) as _),
            Some(_)
                if self.from_environment.contains(&Setting::RootCertificateFile)
                    && !self.http.root_certificates.is_empty() =>
            {
                let text = "has no effect on a custom transport; add the certificates to that \
                            transport, and unset the variable";
                Err(vec![Problem::new(Setting::RootCertificateFile.variable(), text)])
            }
            Some(_) if self.http != HttpSettings::default() => {
                let text = "has its own connection settings; set connect_timeout, proxy and \
                            certificates on the transport instead of the client";
                Err(vec![Problem::new("transport", text)])
            }
            Some(transport) => Ok(transport.clone()),
        }
    }

    /// Names the variable in the problems of a root certificate that comes only from the
    /// environment.
    fn named(&self, problems: Vec<Problem>) -> impl Iterator<Item = Problem> {
        let name = self.name(Setting::RootCertificateFile);
        let is_alone = self.http.root_certificates.len() == 1;
        problems.into_iter().map(move |problem| match problem.path() {
            "root_certificate" if is_alone => Problem::new(name, problem.text().to_owned()),
            _ => problem,
        })
    }

    /// Returns the name of a setting in a problem: its variable if it was read from the
    /// environment, or else its method.
    fn name(&self, setting: Setting) -> &'static str {
        if self.from_environment.contains(&setting) { setting.variable() } else { setting.method() }
    }

    /// Parses the URLs, and determines the proxies on the way to them.
    fn endpoints(&self, problems: &mut Vec<Problem>) -> (Option<Endpoints>, Route) {
        let mut add = |name: &str, text: String| problems.push(Problem::new(name, text));
        let hosts = &self.plain_http_hosts;
        let base = ServiceUrl::read(&self.base_url, hosts)
            .map_err(|text| add(self.name(Setting::BaseUrl), text))
            .ok();
        let token = self.token_url.as_ref().map(|text| ServiceUrl::read(text, hosts)).transpose();
        let token = token.map_err(|text| add(self.name(Setting::TokenUrl), text));

        let token_url = token.as_ref().ok().and_then(Option::as_ref);
        let services: Vec<&ServiceUrl> = base.iter().chain(token_url).collect();
        let addresses: Vec<_> = services.iter().map(|service| service.url()).collect();
        let proxies = match &self.http.proxy {
            // A custom transport has its own proxies.
            None if self.transport.is_some() => Ok(Proxies::default()),
            None => Proxies::from_env(&addresses),
            Some(proxy) => match read_proxy(proxy).map(Proxies::all) {
                Ok(proxies)
                    if proxies.send_plain_http_away()
                        && services.iter().any(|service| service.is_plain_loopback()) =>
                {
                    let text = "the base or token URL is plain http to this machine, but the \
                                proxy is on another one; remove the proxy, or use https";
                    Err(vec![Problem::new("proxy", text)])
                }
                Ok(proxies) => Ok(proxies),
                Err(text) => Err(vec![Problem::new("proxy", text)]),
            },
        };
        let proxies = proxies.map_err(|wrong| problems.extend(wrong)).unwrap_or_default();
        let uses_tls = addresses.iter().any(|address| address.scheme() == "https");
        let endpoints = base.as_ref().zip(token.ok()).and_then(|(base, token)| {
            let add = |text| problems.push(Problem::new(self.name(Setting::BaseUrl), text));
            Endpoints::below(base, token).map_err(add).ok()
        });
        (endpoints, Route { proxies, uses_tls })
    }

    fn check_limits(&self, problems: &mut Vec<Problem>) {
        let Policy { max_attempts, attempt_timeout, deadline, .. } = self.policy;
        let connect_timeout = self.http.connect_timeout;
        let at_least_the_first = "must be at least 1, because the first attempt counts";
        let above_0 = "must be above 0";
        let at_least_1 = "must be at least 1";
        for (is_met, name, text) in [
            (max_attempts > 0, self.name(Setting::MaxAttempts), at_least_the_first),
            (!attempt_timeout.is_zero(), self.name(Setting::AttemptTimeout), above_0),
            (!deadline.is_zero(), self.name(Setting::Deadline), above_0),
            (self.max_in_flight > 0, self.name(Setting::MaxInFlight), at_least_1),
            (self.limits.slots > 0, self.name(Setting::SlotsPerMessage), at_least_1),
            (self.limits.bytes > 0, self.name(Setting::BytesPerMessage), at_least_1),
            (!connect_timeout.is_zero(), "connect_timeout", above_0),
        ] {
            if !is_met {
                problems.push(Problem::new(name, text));
            }
        }
        let (rate, name) = match &self.rate_limit {
            Some(RateLimit::Rate(rate)) => (Some(*rate), self.name(Setting::RateLimit)),
            Some(RateLimit::Shared(limiter)) => (limiter.rate(), "rate_limiter"),
            None => (None, ""),
        };
        for text in rate.into_iter().flat_map(Rate::problems) {
            problems.push(Problem::new(name, text));
        }
    }
}

/// The URLs for messages and token requests.
struct Endpoints {
    message: Uri,
    tokens: TokenEndpoints,
}

impl Endpoints {
    fn below(base: &ServiceUrl, token: Option<ServiceUrl>) -> Result<Self, String> {
        Ok(Self {
            message: base.below("/endpoint")?,
            tokens: TokenEndpoints {
                legacy: LegacyEndpoints {
                    authenticate: base.below("/auth/authenticate")?,
                    refresh: base.below("/auth/refreshToken")?,
                },
                audience: match &token {
                    Some(token) => token.text().to_owned(),
                    None => base.text_below(TOKEN_PATH),
                },
                token: match token {
                    Some(token) => token.uri,
                    None => base.below(TOKEN_PATH)?,
                },
            },
        })
    }
}

/// The connection details that depend on the URLs.
struct Route {
    proxies: Proxies,
    uses_tls: bool,
}
