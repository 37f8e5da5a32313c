//! A transport that keeps within a rate limit.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use tokio::time::Instant;

use super::retry_after::retry_after;
use super::{AnyTransport, Exchanging, Permit, RateLimiter, Response, TransportError};
use crate::clock;

/// How long nothing is sent after a 429 without `Retry-After`.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// A transport that keeps within a rate limit. A request without a permit, which is for a token, waits for one within its time.
pub(crate) struct RateLimitedTransport {
    pub(crate) transport: Arc<dyn AnyTransport>,
    pub(crate) limiter: RateLimiter,
}

impl RateLimitedTransport {
    async fn exchange(
        &self,
        mut request: Request<Bytes>,
        mut time: Duration,
        permit: Option<Permit>,
    ) -> Result<Response, TransportError> {
        let permit = match permit {
            Some(permit) => permit,
            None => {
                let asked = Instant::now();
                let permit = self.limiter.permit_within(time, true).await;
                time = time.saturating_sub(asked.elapsed());
                permit.map_err(|error| TransportError::rate_limited(&error))?
            }
        };
        let handover = permit.handover();
        handover.begin();
        // Even if the transport is wrapped, it reports when the request leaves.
        request.extensions_mut().insert(handover.clone());
        let response = self.transport.send(request, time).await;
        match &response {
            Ok(Response { status: StatusCode::TOO_MANY_REQUESTS, headers, .. }) => {
                self.limiter.throttled(retry_after(headers, clock::now().into()).unwrap_or(USUAL_WAIT));
                handover.leaves();
            }
            Err(failure) if !failure.may_have_arrived() => handover.never_left(),
            // Whichever transport carried it, it left.
            _ => handover.leaves(),
        }
        response
    }
}

impl AnyTransport for RateLimitedTransport {
    fn send(&self, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(self.exchange(request, time, None))
    }

    fn send_with(&self, permit: Option<Permit>, request: Request<Bytes>, time: Duration) -> Exchanging<'_> {
        Box::pin(self.exchange(request, time, permit))
    }
}
