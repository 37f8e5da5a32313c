//! Making a client of its settings.

use std::sync::Arc;
use std::time::Duration;

use http::Uri;

use super::url::{self, Address};
use super::{Client, ClientBuilder, Inner, env};
use crate::auth::{LegacyEndpoints, TokenCache, TokenEndpoints};
use crate::chance::Jitter;
use crate::delivery::Courier;
use crate::error::Error;
use crate::message::Problem;
use crate::retry::{Policy, RetryBudget};
use crate::transport::{AnyTransport, HttpSettings, HttpTransport, Pace, Paced, Rate};

impl ClientBuilder {
    /// Makes the client.
    ///
    /// Nothing goes out yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) with every setting that is missing or
    /// can't be used.
    pub fn build(mut self) -> Result<Client, Error> {
        let mut problems = std::mem::take(&mut self.environment_problems);
        let endpoints = self.endpoints(&mut problems);
        self.check_limits(&mut problems);
        match &self.credentials {
            Some(credentials) => problems.extend(credentials.problem()),
            None if !problems.iter().any(env::is_of_credentials) => {
                problems.push(Problem::new("credentials", "missing; give a signed JWT's key or an API key"));
            }
            _ => {}
        }
        let transport = self.any_transport().map_err(|wrong| problems.extend(wrong)).ok();
        match (endpoints, self.credentials, transport) {
            (Some(endpoints), Some(credentials), Some(transport)) if problems.is_empty() => {
                let (timeout, jitter) = (self.policy.attempt_timeout, Jitter::new(self.jitter_seed));
                let pace = self.rate.map(Pace::new);
                let transport = match pace.clone() {
                    Some(pace) => Arc::new(Paced { transport, pace }),
                    None => transport,
                };
                Ok(Client(Arc::new(Inner {
                    courier: Courier {
                        endpoint: endpoints.message,
                        tokens: TokenCache::new(
                            credentials,
                            endpoints.tokens,
                            transport.clone(),
                            timeout,
                            jitter.clone(),
                        ),
                        transport,
                        pace,
                        classifier: self.classifier,
                        budget: self.retry_budget.map(RetryBudget::new),
                        jitter,
                        observer: self.attempt_observer,
                    },
                    policy: self.policy,
                    limits: self.limits,
                    source: self.source,
                    destinations: self.destinations,
                })))
            }
            _ => Err(Error::configuration(problems)),
        }
    }

    fn any_transport(&self) -> Result<Arc<dyn AnyTransport>, Vec<Problem>> {
        let bypass_environment_proxies = self.http.bypass_environment_proxies;
        let has_settings =
            || self.http != HttpSettings { bypass_environment_proxies, ..HttpSettings::default() };
        match &self.transport {
            None => HttpTransport::new(self.http.clone()).map(|http| Arc::new(http) as _),
            Some(_) if has_settings() => {
                let text =
                    "makes its own connections: connect_timeout, proxy and certificates are of no use to it";
                Err(vec![Problem::new("transport", text)])
            }
            Some(transport) => Ok(transport.clone()),
        }
    }

    /// What a setting that the environment may hold is called in a problem.
    fn name(&self, setting: &str) -> String {
        if self.from_environment.contains(&setting) { env::variable(setting) } else { setting.to_owned() }
    }

    /// Reads the addresses, and settles which proxies they may be reached through.
    fn endpoints(&mut self, problems: &mut Vec<Problem>) -> Option<Endpoints> {
        let mut told = |name: &str, text: String| problems.push(Problem::new(name, text));
        let hosts = &self.plain_http_hosts;
        let base =
            Address::read(&self.base_url, hosts).map_err(|text| told(&self.name("base_url"), text)).ok();
        let token = self.token_url.as_ref().map(|text| Address::read(text, hosts)).transpose();
        let token = token.map_err(|text| told(&self.name("token_url"), text));

        let addresses = || base.iter().chain(token.iter().flatten());
        match self.http.proxy.as_deref().map(url::read_proxy).transpose() {
            Ok(Some(false)) if addresses().any(Address::is_plain_loopback) => {
                let text = "plain http to this machine would leave it through this proxy; use https";
                told("proxy", text.to_owned());
            }
            Ok(_) => {}
            Err(text) => {
                told("proxy", text);
                self.http.proxy = None;
            }
        }
        // What is meant for this machine must not pass through a proxy that happens to be in the environment.
        self.http.bypass_environment_proxies = addresses().any(Address::is_loopback);

        let (base, token) = (base?, token.ok()?);
        let mut below = |path| base.below(path).map_err(|text| told(&self.name("base_url"), text)).ok();
        Some(Endpoints {
            message: below("/endpoint")?,
            tokens: TokenEndpoints {
                legacy: LegacyEndpoints {
                    authenticate: below("/auth/authenticate")?,
                    refresh: below("/auth/refreshToken")?,
                },
                token: match token {
                    Some(token) => token.uri,
                    None => below("/v2/auth/token")?,
                },
            },
        })
    }

    fn check_limits(&self, problems: &mut Vec<Problem>) {
        let mut need = |met: bool, name: &str, text: &str| {
            if !met {
                problems.push(Problem::new(name, text));
            }
        };
        let Policy { max_attempts, attempt_timeout, deadline, .. } = self.policy;
        need(max_attempts > 0, &self.name("max_attempts"), "must be at least 1, the first attempt");
        need(!attempt_timeout.is_zero(), &self.name("attempt_timeout"), "must be above 0");
        need(!deadline.is_zero(), &self.name("deadline"), "must be above 0");
        if let Some(Rate { requests, window }) = self.rate {
            let name = self.name("pace");
            need(requests >= 2, &name, "must be at least 2 requests, one of which may be for a token");
            let day = Duration::from_secs(24 * 60 * 60);
            need(!window.is_zero() && window <= day, &name, "must be for a window above 0, up to a day");
        }
        need(self.limits.slots > 0, &self.name("slots_per_message"), "must be at least 1");
        need(self.limits.bytes > 0, &self.name("bytes_per_message"), "must be at least 1");
        need(!self.http.connect_timeout.is_zero(), "connect_timeout", "must be above 0");
    }
}

/// Where messages and token requests go.
struct Endpoints {
    message: Uri,
    tokens: TokenEndpoints,
}
