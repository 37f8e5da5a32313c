//! The assertion: a signed JWT that authenticates the client to the token endpoint.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Serialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::auth_error::result_of;
use super::{SignedJwt, SigningInput, TokenError};
use crate::random::fresh_id;

/// The number of seconds by which `iat` lies in the past. The service accepts an `iat` up to 10 s
/// in its future and up to 300 s in its past. So this machine's clock may be ahead by 20 s, and
/// behind by far more.
const BACKDATED: i64 = 10;

/// The lifetime of an assertion, in seconds after `iat`.
const LIFETIME: i64 = 300;

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    kid: &'a str,
}

/// The claims of RFC 7523, section 3.
#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: Uuid,
    iat: i64,
    exp: i64,
}

/// Signs a fresh assertion for one request to `audience`. Returns it in the compact form of RFC
/// 7515, section 7.1.
pub(super) async fn sign(
    client: &SignedJwt,
    audience: &str,
    now: DateTime<Utc>,
    deadline: Instant,
) -> Result<SecretString, TokenError> {
    let iat = now.timestamp() - BACKDATED;
    let algorithm = client.signer.algorithm();
    let header = Header { alg: algorithm.as_str(), typ: "JWT", kid: client.signer.key_id() };
    let claims = Claims {
        iss: &client.client_id,
        sub: &client.client_id,
        aud: audience,
        jti: fresh_id(),
        iat,
        exp: iat + LIFETIME,
    };
    let mut token = format!("{}.{}", encoded(&header), encoded(&claims));
    let signature =
        result_of("signer", client.signer.sign(SigningInput::new(token.as_bytes())), deadline)
            .await?;
    algorithm.check(&signature).map_err(TokenError::Auth)?;
    token.push('.');
    BASE64_URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token.into())
}

fn encoded(part: &impl Serialize) -> String {
    // Serializing text and numbers under fixed keys can't fail.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
}
