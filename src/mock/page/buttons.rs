//! The responses that have buttons on the page.

use http::StatusCode;

use crate::mock::mock_response::MockResponse;

type Button = (&'static str, &'static str, fn() -> MockResponse);

/// The buttons, each with a name, a label and its response.
pub(super) const RESPONSES: [Button; 11] = [
    ("throttled-1s", "429 with Retry-After: 1", || MockResponse::throttled().retry_after(1)),
    ("unavailable", "503", MockResponse::unavailable),
    ("bad-gateway", "502", || MockResponse::new(StatusCode::BAD_GATEWAY)),
    ("rejected", "400 with Meta.Errors", || {
        MockResponse::rejected(
            "No subscriptions. Meta.Destinations needs to contain a destination from existing \
             subscriptions",
        )
    }),
    ("block-page", "200 with a firewall's page", MockResponse::block_page),
    ("errors", "Accepted, with errors", || {
        MockResponse::accepted_with_errors("The transmission to the destination failed")
    }),
    ("unauthorized", "401", || {
        MockResponse::new(StatusCode::UNAUTHORIZED).text("Invalid access token")
    }),
    ("reset", "Connection reset", MockResponse::reset_after_read),
    ("lost", "Accepted, response lost", || MockResponse::reset_after_read().after_accepting()),
    ("truncated", "Accepted, response cut off", MockResponse::truncated),
    ("stall", "No response", MockResponse::stall),
];
