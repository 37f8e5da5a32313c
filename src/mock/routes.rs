//! Routes a request to the page or to the service.

use super::mock_response::MockResponse;
use super::page;
use super::service::{IncomingRequest, Service};

/// Returns the response to a request, after the response's delay. The user's function takes
/// precedence over the page.
pub(super) async fn response(service: &Service, incoming: IncomingRequest) -> MockResponse {
    let hooked = service.hooked(&incoming.request);
    let of_the_page = match &hooked {
        Some(_) => None,
        None => page::response(service, &incoming.request, incoming.query.as_deref()),
    };
    match of_the_page {
        Some(response) => response,
        None => service.response(incoming, hooked).await,
    }
}
