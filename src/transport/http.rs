//! Requests over reqwest; the only file that names it.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::Request;
use reqwest::{Certificate, Client, Identity, Proxy, Response, redirect, retry};
use tokio::time::{Instant, timeout_at};

use super::{Answer, Exchange, Failure, FailureKind, HttpSettings, Transport};
use crate::message::Problem;

/// An answer of the service takes a few hundred bytes for each destination; more than this is none.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// A connection idle for longer may have been closed by a gateway on the way.
const LONGEST_IDLE: Duration = Duration::from_secs(30);

pub(crate) struct HttpTransport(Client);

impl HttpTransport {
    /// # Errors
    ///
    /// Each setting that can't be used, and why.
    pub(crate) fn new(settings: &HttpSettings) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut wrong = |setting: &str, cause: &str| {
            problems.push(Problem::new(setting, format!("can't be used: {cause}")));
        };
        let mut builder = Client::builder()
            // Every request on the wire is an attempt that is recorded: reqwest itself must not resend
            // one, nor carry a token to where a redirect points.
            .retry(retry::never())
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(LONGEST_IDLE)
            .user_agent(concat!("pushslots/", env!("CARGO_PKG_VERSION")));
        if settings.bypass_environment_proxies {
            builder = builder.no_proxy();
        }
        if let Some(url) = &settings.proxy {
            match Proxy::all(url) {
                Ok(proxy) => builder = builder.proxy(proxy),
                Err(error) => wrong("proxy", &root_cause(&error)),
            }
        }
        for pem in &settings.root_certificates {
            match Certificate::from_pem_bundle(pem) {
                Ok(none) if none.is_empty() => wrong("root_certificate", "the PEM holds no certificate"),
                Ok(certificates) => builder = builder.tls_certs_merge(certificates),
                Err(error) => wrong("root_certificate", &root_cause(&error)),
            }
        }
        if let Some(pem) = &settings.client_certificate {
            match Identity::from_pem(pem) {
                Ok(identity) => builder = builder.identity(identity),
                Err(error) => wrong("client_certificate", &root_cause(&error)),
            }
        }
        let client = builder.build().map_err(|error| wrong("TLS", &root_cause(&error)));
        match client {
            Ok(client) if problems.is_empty() => Ok(Self(client)),
            _ => Err(problems),
        }
    }

    async fn exchange(&self, request: Request<Bytes>, timeout: Duration) -> Result<Answer, Failure> {
        let end = Instant::now() + timeout;
        let request = request
            .try_into()
            .map_err(|error| Failure::new(FailureKind::Request, false).detail(root_cause(&error)))?;
        let response = timeout_at(end, self.0.execute(request))
            .await
            .map_err(|_| Failure::new(FailureKind::Timeout, true))?
            .map_err(|error| failure(&error))?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: match timeout_at(end, read_body(response)).await {
                Ok(body) => body,
                Err(_) => Err(Failure::new(FailureKind::Timeout, true)),
            },
        })
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request<Bytes>, timeout: Duration) -> Exchange<'_> {
        Box::pin(self.exchange(request, timeout))
    }
}

async fn read_body(mut response: Response) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failure(&error))? {
        if body.len() + chunk.len() > LONGEST_BODY {
            return Err(Failure::new(FailureKind::TooLong, true));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Tells failures apart by whether the request may have left. What went wrong before a connection
/// stood is told in full; of what came after only the kind is, since the request was on its way.
fn failure(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::new(FailureKind::Request, false);
    }
    if error.is_connect() {
        let kind = match () {
            () if error.is_dns() => FailureKind::Lookup,
            () if error.is_timeout() => FailureKind::Timeout,
            () => FailureKind::Connect,
        };
        return Failure::new(kind, false).detail(root_cause(error));
    }
    if error.is_timeout() {
        return Failure::new(FailureKind::Timeout, true);
    }
    let failure = Failure::new(FailureKind::Interrupted, true);
    match io_kind(error) {
        Some(kind) => failure.detail(kind.to_string()),
        None => failure,
    }
}

fn root_cause(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    chain(error).find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind)
}

/// An error and what caused it, down to the root.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn StdError + 'static)| (*error).source())
}
