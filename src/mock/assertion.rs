//! The verification of assertions (RFC 7523, section 3), as the service does it.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::signature::PublicKey;

/// The limits of `iat` in seconds: at most `AHEAD` in the future and `BEHIND` in the past.
const AHEAD: f64 = 10.0;
const BEHIND: f64 = 300.0;

/// The clients that may request tokens: public keys by client id and key id.
#[derive(Default)]
pub(super) struct Clients {
    keys: HashMap<(String, String), PublicKey>,
    /// The maximum time from `iat` to `exp`, or `None` for no limit.
    pub(super) max_lifetime: Option<Duration>,
}

impl Clients {
    pub(super) fn add(&mut self, client_id: String, key_id: String, key: PublicKey) {
        self.keys.insert((client_id, key_id), key);
    }
}

/// The client id and `jti` of each accepted assertion, with its `exp`.
#[derive(Default)]
pub(super) struct Replays(HashMap<(String, String), f64>);

impl Replays {
    /// Records an assertion. Returns whether the client has not used its `jti` before.
    fn take(&mut self, client_id: &str, jti: String, exp: f64, now: f64) -> bool {
        // Expired entries are removed only at some sizes, so that each token costs the same on
        // average.
        if self.0.len().is_power_of_two() {
            self.0.retain(|_, exp| *exp > now);
        }
        self.0.insert((client_id.to_owned(), jti), exp).is_none()
    }
}

#[derive(Deserialize)]
struct Header {
    alg: Option<String>,
    kid: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Value>,
    jti: Option<String>,
    // RFC 7519, section 2, allows fractions of a second.
    iat: Option<f64>,
    exp: Option<f64>,
}

/// The reason why a client gets no token (RFC 6749, section 5.2).
pub(super) struct Rejection {
    pub(super) error: &'static str,
    pub(super) description: String,
    /// The value that would be accepted. Like the service, the mock doesn't send it to the client.
    pub(super) expected: Option<String>,
}

impl<T: Into<String>> From<T> for Rejection {
    fn from(description: T) -> Self {
        Self { error: "invalid_request", description: description.into(), expected: None }
    }
}

/// Verifies an assertion, and returns its client id.
///
/// # Errors
///
/// Returns a rejection if the assertion is invalid, with the service's own words if they are known.
pub(super) fn verify(
    assertion: &str,
    clients: &Clients,
    audiences: &[String],
    replays: &mut Replays,
    now: DateTime<Utc>,
) -> Result<String, Rejection> {
    let malformed = || Rejection::from("Malformed client assertion");
    let (signed, signature) = assertion.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
    let header: Header = part(header).ok_or_else(malformed)?;
    let claims: Claims = part(claims).ok_or_else(malformed)?;
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).map_err(|_| malformed())?;

    let unexpected = |claim: &str| format!("Unexpected {claim} claim value");
    let key_id = header.kid.ok_or("JWT header kid property is required")?;
    let client_id = claims.iss.ok_or_else(|| unexpected("iss"))?;
    if claims.sub.as_ref() != Some(&client_id) {
        return Err(unexpected("sub").into());
    }
    let identity = (client_id, key_id);
    let key = clients
        .keys
        .get(&identity)
        .ok_or("Public key not found, check client_id, kid and environment")?;
    let (client_id, _) = identity;
    if header.alg.as_deref() != Some(key.algorithm()) {
        return Err(format!("Unexpected alg, the public key is for {}", key.algorithm()).into());
    }
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err("Signature verification failed".into());
    }
    // RFC 7519, section 4.1.3, also allows a list, but the service accepts only a single string.
    let audience = claims.aud.as_ref().and_then(Value::as_str);
    if !audience.is_some_and(|audience| audiences.iter().any(|known| known == audience)) {
        let expected = Some(audiences.join(" or "));
        return Err(Rejection { expected, ..unexpected("aud").into() });
    }
    let now = seconds(now);
    let iat = claims.iat.ok_or_else(|| unexpected("iat"))?;
    if iat > now + AHEAD || iat < now - BEHIND {
        return Err(unexpected("iat").into());
    }
    let exp = claims.exp.ok_or_else(|| unexpected("exp"))?;
    if exp <= now {
        return Err("The client assertion is expired, check the exp claim".into());
    }
    if clients.max_lifetime.is_some_and(|longest| exp - iat > longest.as_secs_f64()) {
        return Err(unexpected("exp").into());
    }
    let jti = claims.jti.filter(|jti| !jti.is_empty()).ok_or_else(|| unexpected("jti"))?;
    if !replays.take(&client_id, jti, exp, now) {
        return Err("The client assertion was used before, check the jti claim".into());
    }
    Ok(client_id)
}

#[expect(clippy::cast_precision_loss, reason = "exact for 200,000 years")]
fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp_millis() as f64 / 1_000.0
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}
