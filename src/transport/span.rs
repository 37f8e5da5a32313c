//! The span of a request, with the names that OpenTelemetry's conventions for HTTP clients give its
//! fields.

use http::Request;
use tracing::Span;
use tracing::field::{Empty, display};

use super::{Response, TransportError};

/// How many requests with the same message went out before; in a request's extensions.
#[derive(Clone, Copy)]
pub(crate) struct ResendCount(pub(crate) usize);

/// Opens the span of a request that is about to be sent.
pub(super) fn open<B>(request: &Request<B>) -> Span {
    let (uri, method) = (request.uri(), request.method());
    let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
    let resend_count = request.extensions().get::<ResendCount>().map(|count| count.0);
    tracing::info_span!(
        "request",
        "otel.kind" = "client",
        "http.request.method" = %method,
        "http.request.resend_count" = resend_count.filter(|count| *count > 0),
        "url.full" = %uri,
        "server.address" = uri.host(),
        "server.port" = uri.port_u16().unwrap_or(default_port),
        "http.response.status_code" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
        "otel.status_description" = Empty,
    )
}

/// Completes the span of a request.
pub(super) fn close(span: &Span, result: &Result<Response, TransportError>) {
    let status = match result {
        Ok(response) => response.status.as_u16(),
        Err(error) => {
            span.record("error.type", error.kind().as_str());
            fail(span, error);
            return;
        }
    };
    span.record("http.response.status_code", status);
    if status >= 400 {
        span.record("error.type", display(status));
        span.record("otel.status_code", "ERROR");
    }
}

/// Marks a span as failed, and describes why.
pub(crate) fn fail(span: &Span, description: impl std::fmt::Display) {
    span.record("otel.status_code", "ERROR");
    span.record("otel.status_description", display(description));
}
