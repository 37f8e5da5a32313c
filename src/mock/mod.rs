//! The service, for tests: feature `mock`.
//!
//! [`MockService`] stands in for the service in a test suite, and for any client, as it speaks HTTP
//! over a socket. It is strict where the service is: it verifies the signature and the claims of
//! every assertion, knows its tokens, and checks each message against the data model. What it took
//! is in its inbox, and what it answers next can be told.
//!
//! ```
//! use std::time::Duration;
//! use pushslots::chrono::{TimeZone, Utc};
//! use pushslots::mock::{MockResponse, MockService};
//! use pushslots::{Client, PushSlots, Slot};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let service = MockService::start()?;
//! let client = Client::builder().mock(&service).build()?;
//!
//! // An outage: two failures, and a response that gets lost.
//! service.respond_next(MockResponse::unavailable().times(2));
//! service.respond_next(MockResponse::reset_after_read().after_accepting());
//!
//! let nine_o_clock = Utc.with_ymd_and_hms(2026, 12, 1, 9, 0, 0).unwrap();
//! let message = PushSlots::builder().slot(Slot::new(nine_o_clock, 15)).build()?;
//! let receipt = client.send(&message).await?;
//!
//! assert_eq!(receipt.attempts().len(), 4);
//! // The service does not know a repeated message for what it is, unless it is told to.
//! let received = service.received();
//! assert_eq!(received.len(), 2);
//! assert!(received.iter().all(|copy| copy.message_id() == Some(receipt.message_id())));
//! assert_eq!(received[1].logs(), receipt.logs());
//! # Ok(()) }
//! ```
//!
//! # Any client
//!
//! It speaks HTTP/1.1, so that a client in any language can be tested with it:
//!
//! | endpoint | what it takes |
//! | --- | --- |
//! | `POST /v2/auth/token` | a form with `grant_type=client_credentials`, `client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer` and `client_assertion` |
//! | `POST /endpoint` | a message as `application/json` with `Authorization: Bearer …`; `Idempotency-Key` with a UUID names it |
//! | `POST /auth/authenticate`, `/auth/refreshToken` | a [legacy key](MockService::api_key) as JSON |
//!
//! The assertion is a JWT signed by ES384 or RS384, with `kid` in its header. `iss` and `sub` are
//! the client id, `aud` is the URL of the token endpoint as one text, `iat` lies within 300 s in
//! the past and 10 s in the future, `exp` in the future, and `jti` was not used before.
//! [`MockService::client_id`], [`key_id`](MockService::key_id) and
//! [`private_key_pem`](MockService::private_key_pem) are what one needs, or
//! [`public_key_pem`](MockServiceBuilder::public_key_pem) and
//! [`public_jwk`](MockServiceBuilder::public_jwk) register keys of your own. Why it rejected a
//! request is in [`ReceivedRequest::reason`].
//!
//! # The page
//!
//! The page at [its address](MockService::url) shows a person what came: messages, attempts, and
//! the slots on a calendar. What it shows is held in the memory of this process alone. Its buttons
//! are there for any client: `POST /page/next` with `{"response": "throttled-1s"}` as JSON makes
//! that the response to the next message, as do `unavailable`, `bad-gateway`, `rejected`,
//! `block-page`, `errors`, `unauthorized`, `reset`, `lost`, `truncated` and `stall`; `POST
//! /page/clear` with `{"queue": true, "inbox": true}` forgets what waits and what came.

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
