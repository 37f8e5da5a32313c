//! The request that carries a message.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Uri};
use uuid::Uuid;

use crate::message::PreparedMessage;
use crate::transport::post_json;

/// The header with the message id. It distinguishes a repeated attempt from another message with
/// the same content.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Creates the request that carries `message`.
pub(super) fn request(
    message: &PreparedMessage,
    endpoint: &Uri,
    authorization: HeaderValue,
) -> Request<Bytes> {
    let mut request = post_json(endpoint, message.body.clone());
    let headers = request.headers_mut();
    headers.insert(AUTHORIZATION, authorization);
    if let Ok(id) = HeaderValue::from_str(
        message.message_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()),
    ) {
        headers.insert(IDEMPOTENCY_KEY, id);
    }
    request
}
