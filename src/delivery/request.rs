//! The request that carries a message.

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderName, HeaderValue, Request, Uri};
use uuid::Uuid;

use crate::transport::post_json;

/// Tells attempts at the same message from messages that say the same.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A message ready to go: encoded once, the same bytes on every attempt.
pub(crate) struct Parcel {
    pub(crate) message_id: Uuid,
    /// How many slots it holds, and how many destinations it names.
    pub(crate) slots: usize,
    pub(crate) destinations: usize,
    pub(crate) body: Bytes,
}

impl Parcel {
    pub(super) fn request(&self, endpoint: &Uri, authorization: HeaderValue) -> Request<Bytes> {
        let mut request = post_json(endpoint, self.body.clone());
        let headers = request.headers_mut();
        headers.insert(AUTHORIZATION, authorization);
        if let Ok(id) =
            HeaderValue::from_str(self.message_id.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
        {
            headers.insert(IDEMPOTENCY_KEY, id);
        }
        request
    }
}
