//! The span of a request, with field names from OpenTelemetry's conventions for HTTP clients.

use http::Request;
use tracing::Span;
use tracing::field::{Empty, Value, display};

use super::{Response, TransportError};

/// The number of earlier requests with the same message, including those without a connection. It
/// is stored in a request's extensions.
#[derive(Clone, Copy)]
pub(crate) struct ResendCount(pub(crate) usize);

/// The span of a request that is about to be sent. It records the outcome, even if the request is
/// dropped.
pub(super) struct RequestSpan {
    span: Span,
    has_ended: bool,
}

impl RequestSpan {
    pub(super) fn open<B>(request: &Request<B>) -> Self {
        let uri = request.uri();
        let method = request.method();
        let default_port = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let resend_count = request.extensions().get::<ResendCount>().map(|count| count.0);
        let address = uri.host().map(|host| host.trim_matches(['[', ']']));
        let span = tracing::info_span!(
            "request",
            "otel.kind" = "client",
            "http.request.method" = %method,
            "http.request.resend_count" = resend_count.filter(|count| *count > 0),
            "url.full" = %uri,
            "server.address" = address,
            "server.port" = uri.port_u16().unwrap_or(default_port),
            "http.response.status_code" = Empty,
            "error.type" = Empty,
            "otel.status_code" = Empty,
            "otel.status_description" = Empty,
        );
        Self { span, has_ended: false }
    }

    pub(super) fn span(&self) -> &Span {
        &self.span
    }

    pub(super) fn close(mut self, result: &Result<Response, TransportError>) {
        self.has_ended = true;
        match result {
            Ok(response) => {
                let status = response.status.as_u16();
                record(&self.span, "http.response.status_code", &status);
                if status >= 400 {
                    record(&self.span, "error.type", &display(status));
                    record(&self.span, "otel.status_code", &"ERROR");
                }
            }
            Err(error) => {
                record(&self.span, "error.type", &error.kind().as_str());
                fail(&self.span, error);
            }
        }
    }
}

impl Drop for RequestSpan {
    fn drop(&mut self) {
        if !self.has_ended {
            record(&self.span, "error.type", &"dropped");
        }
    }
}

/// Records a field of a span.
// Not inlined, so that the search for the field isn't repeated for each call.
#[inline(never)]
pub(crate) fn record(span: &Span, field: &str, value: &dyn Value) {
    span.record(field, value);
}

/// Marks a span as failed, with a description of one line, because an error may list 1,000
/// problems.
pub(crate) fn fail(span: &Span, description: &dyn std::fmt::Display) {
    record(span, "otel.status_code", &"ERROR");
    let description = description.to_string();
    let mut lines = description.lines();
    let first = lines.next().unwrap_or_default();
    match lines.count() {
        0 => record(span, "otel.status_description", &first),
        more => {
            record(span, "otel.status_description", &format_args!("{first} ({more} more lines)"));
        }
    }
}
