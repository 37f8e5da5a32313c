//! A mock of the service for tests. Requires the feature `mock`.
//!
//! [`MockService`] replaces the service in a test suite. It serves HTTP on a socket, so that any
//! client can use it. It is as strict as the service. It verifies the signature and the claims of
//! every assertion, checks access tokens, and validates each message against the data model.
//! Accepted messages are in its inbox, and a test can script its next responses.
//!
//! ```
//! use std::time::Duration;
//! use pushslots::chrono::{DateTime, Utc};
//! use pushslots::mock::{MockResponse, MockService};
//! use pushslots::{Client, PushSlots, Slot};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = MockService::start()?;
//! let client = Client::builder().mock(&service).build()?;
//!
//! // An outage: two failures, then a lost response.
//! service.respond_next(MockResponse::unavailable().times(2));
//! service.respond_next(MockResponse::reset_after_read().after_accepting());
//!
//! let nine_o_clock: DateTime<Utc> = "2026-12-01T09:00:00Z".parse()?;
//! let message = PushSlots::builder().slot(Slot::new(nine_o_clock, 15)).build()?;
//! let receipt = client.send(&message).await?;
//!
//! assert_eq!(receipt.attempts().len(), 4);
//! // By default the mock accepts a repeated message a second time.
//! let received = service.received();
//! assert_eq!(received.len(), 2);
//! assert!(received.iter().all(|copy| copy.message_id() == Some(receipt.message_id())));
//! assert_eq!(received[1].logs(), receipt.logs());
//! # Ok(()) }
//! ```
//!
//! # Any client
//!
//! The mock speaks HTTP/1.1, so that clients in any language can be tested with it:
//!
//! | endpoint | accepted requests |
//! | --- | --- |
//! | `POST /v2/auth/token` | a form with `grant_type=client_credentials`, `client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer` and `client_assertion` |
//! | `POST /endpoint` | a message as `application/json` with `Authorization: Bearer …`; a UUID in `Idempotency-Key` is the message id |
//! | `POST /auth/authenticate` | `apiKey` and `secret` of a [legacy key](MockService::api_key) as JSON |
//! | `POST /auth/refreshToken` | `apiKey` and `refreshToken` as JSON |
//!
//! The assertion is a JWT signed with ES384 or RS384, with `kid` in its header. It needs these
//! claims:
//!
//! * `iss` and `sub`: the client id.
//! * `aud`: the URL of the token endpoint, as a single string.
//! * `iat`: at most 300 s in the past and 10 s in the future.
//! * `exp`: in the future.
//! * `jti`: a value that was not used before.
//!
//! Use the mock's own [`client_id`](MockService::client_id), [`key_id`](MockService::key_id) and
//! [`private_key_pem`](MockService::private_key_pem). Or register keys of your own with
//! [`public_key_pem`](MockServiceBuilder::public_key_pem) and
//! [`public_jwk`](MockServiceBuilder::public_jwk). [`ReceivedRequest::reason`] explains why the
//! mock rejected a request.
//!
//! # The page
//!
//! Open [the mock's URL](MockService::url) in a browser to see the messages, their attempts, and
//! the slots on a calendar. The page shows only data in the memory of this process. Any client can
//! do what the page's buttons do, with a JSON body and `Content-Type: application/json`:
//!
//! ```text
//! curl --json '{"seconds": 30}' http://127.0.0.1:8080/page/outage
//! ```
//!
//! * `POST /page/next` with `{"response": "throttled-1s"}` queues that response for a message. The
//!   other responses are `unavailable`, `bad-gateway`, `rejected`, `block-page`, `errors`,
//!   `unauthorized`, `reset`, `lost`, `truncated`, `stall` and `usual`. Further members are
//!   optional: `"to": "token_request"`, `"times": 3` and `"delay_ms": 500`.
//! * `POST /page/outage` with `{"seconds": 30}` starts an outage of that time.
//! * `POST /page/destinations` with `{"known": ["…"]}` makes these UUIDs the only known
//!   destinations, except for [the mock's own](MockService::destination). A message to another one
//!   gets a 403. With `{"known": null}` any UUID is known.
//! * `POST /page/clear` with `{"queue": true, "inbox": true}` clears the queued responses and the
//!   inbox.
//! * `GET /page/settings` returns [the settings of a client](MockService::shell_settings).
//! * `GET /page/state` returns the newest messages with their attempts, and `GET /page/week` the
//!   slots of a week. Both are JSON for the page, and can change in any version.

mod assertion;
mod builder;
mod check;
mod inbox;
mod json;
mod launch;
mod mock_response;
mod mock_service;
mod page;
mod public_key;
mod request_log;
mod routes;
mod script;
mod server;
mod service;
mod tokens;

pub use builder::MockServiceBuilder;
pub use inbox::{Counts, ReceivedMessage, ReceivedRequest};
pub use mock_response::MockResponse;
pub use mock_service::MockService;
