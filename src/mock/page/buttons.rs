//! The responses that have buttons on the page.

use http::StatusCode;

use crate::mock::mock_response::MockResponse;

/// A button that queues a response.
pub(super) struct Button {
    /// The name in the JSON of the page.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    /// The effect on a client, in one sentence.
    pub(super) explanation: &'static str,
    pub(super) response: fn() -> MockResponse,
}

pub(super) const BUTTONS: [Button; 11] = [
    Button {
        name: "throttled-1s",
        label: "429 with Retry-After: 1",
        explanation: "Too many requests. The client waits a second and retries.",
        response: || MockResponse::throttled().retry_after(1),
    },
    Button {
        name: "unavailable",
        label: "503",
        explanation: "The service is unavailable. The client retries after a short delay.",
        response: MockResponse::unavailable,
    },
    Button {
        name: "bad-gateway",
        label: "502",
        explanation: "A gateway failed. It is unknown whether the message arrived. The client retries.",
        response: || MockResponse::new(StatusCode::BAD_GATEWAY),
    },
    Button {
        name: "rejected",
        label: "400 with Meta.Errors",
        explanation: "The service rejects the request. The client doesn't retry.",
        response: || {
            MockResponse::rejected(
                "No subscriptions. Meta.Destinations needs to contain a destination from existing \
                 subscriptions",
            )
        },
    },
    Button {
        name: "block-page",
        label: "200 with a firewall's page",
        explanation: "The response isn't the service's, so the outcome is unknown.",
        response: MockResponse::block_page,
    },
    Button {
        name: "errors",
        label: "Accepted, with errors",
        explanation: "One of several destinations may have failed. The client doesn't retry.",
        response: || {
            MockResponse::accepted_with_errors("The transmission to the destination failed")
        },
    },
    Button {
        name: "unauthorized",
        label: "401",
        explanation: "The access token is rejected. The client requests a new one and retries.",
        response: || MockResponse::new(StatusCode::UNAUTHORIZED).text("Invalid access token"),
    },
    Button {
        name: "reset",
        label: "Connection reset",
        explanation: "The request is lost after it was sent. The client retries.",
        response: MockResponse::reset_after_read,
    },
    Button {
        name: "lost",
        label: "Accepted, response lost",
        explanation: "The message arrives, but the client can't know. It sends a copy.",
        response: || MockResponse::reset_after_read().after_accepting(),
    },
    Button {
        name: "truncated",
        label: "Accepted, response cut off",
        explanation: "The client sees status 200 and half of the body.",
        response: MockResponse::truncated,
    },
    Button {
        name: "stall",
        label: "No response",
        explanation: "The client waits until its attempt times out.",
        response: MockResponse::stall,
    },
];
