//! A private key as a JWK: RFC 7517, with the members of RFC 7518, section 6.

use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::KeyError;
use crate::private_key::{Wiped, decode};
use crate::text;

/// The members of a JWK that matter. Private members borrow the raw JSON, escapes included, so that
/// serde makes no copy of them.
#[derive(Deserialize)]
pub(super) struct Jwk<'a> {
    /// Present in a JWK Set (RFC 7517, section 5).
    keys: Option<IgnoredAny>,
    kty: Option<String>,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    x: Option<&'a str>,
    y: Option<&'a str>,
    n: Option<&'a str>,
    e: Option<&'a str>,
    #[serde(borrow)]
    d: Option<&'a RawValue>,
    #[serde(borrow)]
    p: Option<&'a RawValue>,
    #[serde(borrow)]
    q: Option<&'a RawValue>,
    #[serde(borrow)]
    dp: Option<&'a RawValue>,
    #[serde(borrow)]
    dq: Option<&'a RawValue>,
    #[serde(borrow)]
    qi: Option<&'a RawValue>,
}

/// The parts of a private key, decoded to bytes.
pub(super) enum Parts {
    Rsa { n: Wiped, e: Wiped, d: Wiped, p: Wiped, q: Wiped, dp: Wiped, dq: Wiped, qi: Wiped },
    P384 { x: Wiped, y: Wiped, d: Wiped },
}

impl<'a> Jwk<'a> {
    /// Reads a JWK. The error repeats nothing of the JSON, because that may hold a part of the key.
    pub(super) fn read(json: &'a str) -> Result<Self, KeyError> {
        // serde would copy a value of another type into its error, which isn't wiped.
        let object = Some(text::trimmed(json)).filter(|json| json.starts_with('{'));
        let jwk = object.and_then(|json| serde_json::from_str(json).ok());
        jwk.ok_or_else(|| KeyError::new("this isn't a JWK; pass a JSON object with string members"))
    }

    pub(super) fn key_id(&self) -> Result<&str, KeyError> {
        if self.keys.is_some() {
            return Err(KeyError::new("this is a JWK Set; pass one of its `keys`"));
        }
        let id = self.kid.as_deref().filter(|id| !id.is_empty());
        id.ok_or_else(|| KeyError::new("the JWK lacks `kid`, the service's name for the key"))
    }

    /// Returns the parts of the key, if it is a private key for signing with RS384 or ES384.
    pub(super) fn parts(&self) -> Result<Parts, KeyError> {
        let signs =
            |operations: &Vec<String>| operations.iter().any(|operation| operation == "sign");
        if self.usage.as_ref().is_some_and(|usage| usage != "sig")
            || !self.key_ops.as_ref().is_none_or(signs)
        {
            return Err(KeyError::new(
                "the JWK isn't for signing; `use` must be `sig`, and \
                                      `key_ops` must contain `sign`",
            ));
        }
        let is_for = |name| self.alg.as_ref().is_none_or(|alg| alg == name);
        match self.kty.as_deref().unwrap_or_default() {
            "RSA" if !is_for("RS384") => {
                Err(KeyError::new("the JWK has an unsupported `alg`; for RSA it must be RS384"))
            }
            "RSA" => Ok(Parts::Rsa {
                n: part("n", self.n)?,
                e: part("e", self.e)?,
                d: private_part("d", self.d)?,
                p: private_part("p", self.p)?,
                q: private_part("q", self.q)?,
                dp: private_part("dp", self.dp)?,
                dq: private_part("dq", self.dq)?,
                qi: private_part("qi", self.qi)?,
            }),
            "EC" if self.crv.as_deref() != Some("P-384") => {
                Err(KeyError::new("the JWK has an unsupported `crv`; it must be P-384"))
            }
            "EC" if !is_for("ES384") => {
                Err(KeyError::new("the JWK has an unsupported `alg`; for P-384 it must be ES384"))
            }
            "EC" => Ok(Parts::P384 {
                x: part("x", self.x)?,
                y: part("y", self.y)?,
                d: private_part("d", self.d)?,
            }),
            _ => Err(KeyError::new("the JWK has an unsupported `kty`; it must be RSA or EC")),
        }
    }
}

fn private_part(name: &str, json: Option<&RawValue>) -> Result<Wiped, KeyError> {
    let Some(json) = json else { return part(name, None) };
    let text = json.get().strip_prefix('"').and_then(|json| json.strip_suffix('"'));
    part(name, Some(text.ok_or_else(|| not_base64url(name))?))
}

fn part(name: &str, text: Option<&str>) -> Result<Wiped, KeyError> {
    let lacks = || {
        KeyError(format!(
            "the JWK lacks `{name}`; pass a private key: RSA with n, e, d, p, q, dp, dq and qi, \
             or P-384 with x, y and d"
        ))
    };
    let text = text.ok_or_else(lacks)?;
    decode(&BASE64_URL_SAFE_NO_PAD, text.as_bytes()).ok_or_else(|| not_base64url(name))
}

fn not_base64url(name: &str) -> KeyError {
    KeyError(format!("`{name}` of the JWK isn't base64url"))
}
