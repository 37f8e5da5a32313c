//! A transport that respects a rate limit and opens a span for each request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::time::Instant;
use tracing::Instrument;

use super::retry_after::retry_after;
use super::span::RequestSpan;
use super::{
    AnyTransport, Exchanging, Permit, RateLimiter, Response, TransportError, TransportErrorKind,
};
use crate::clock;

/// The delay of all requests after a 429 without `Retry-After`.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// A transport that respects a rate limit, if there is one, and opens a span for each request that
/// goes out. A request without a permit is a token request, and waits for a permit within its time.
pub(crate) struct RateLimitedTransport {
    pub(crate) transport: Arc<dyn AnyTransport>,
    pub(crate) limiter: Option<RateLimiter>,
}

impl RateLimitedTransport {
    async fn exchange(
        &self,
        mut request: Request<Bytes>,
        mut time: Duration,
        permit: Option<Permit>,
    ) -> Result<Response, TransportError> {
        let Some(limiter) = &self.limiter else { return self.send_in_span(request, time).await };
        let permit = match permit {
            Some(permit) => permit,
            None => {
                let asked = Instant::now();
                let permit = limiter.permit_within(time, true).await;
                time = time.saturating_sub(asked.elapsed());
                permit.map_err(|error| TransportError::rate_limited(&error))?
            }
        };
        let handover = permit.handover();
        handover.begin();
        // A wrapped transport also reports when the request leaves.
        request.extensions_mut().insert(handover.clone());
        let response = self.send_in_span(request, time).await;
        match &response {
            Ok(Response { status: StatusCode::TOO_MANY_REQUESTS, headers, .. }) => {
                let wait = retry_after(headers, || clock::now().into());
                limiter.throttled(wait.unwrap_or(USUAL_WAIT));
                handover.leaves();
            }
            Err(failure) if !failure.may_have_arrived() => handover.never_left(),
            // The request left, even if the transport did not report it.
            _ => handover.leaves(),
        }
        response
    }

    async fn send_in_span(
        &self,
        request: Request<Bytes>,
        time: Duration,
    ) -> Result<Response, TransportError> {
        if time.is_zero() {
            return Err(TransportError::not_sent(TransportErrorKind::Timeout));
        }
        let span = RequestSpan::open(&request);
        let response = self.transport.send(request, time).instrument(span.span().clone()).await;
        span.close(&response);
        response
    }
}

impl AnyTransport for RateLimitedTransport {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(self.exchange(request, time, None))
    }

    fn send_with(
        &self,
        permit: Option<Permit>,
        request: Request<Bytes>,
        time: Duration,
    ) -> Exchanging<'_> {
        Box::pin(self.exchange(request, time, permit))
    }
}
