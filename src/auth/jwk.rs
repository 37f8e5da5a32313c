//! A private key as a JWK: RFC 7517, with the members of RFC 7518, section 6.

use std::borrow::Cow;

use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::KeyError;
use crate::message::{self, Object};
use crate::private_key::{Wiped, decode};
use crate::signature::{PrivateKey, RsaParts};
use crate::text;

/// A JWK. Its members stay as written in the JSON, so that private ones aren't copied.
pub(super) struct Jwk<'a>(Object<'a>);

impl<'a> Jwk<'a> {
    /// Reads a JWK. The error repeats nothing of the JSON, because that may hold a part of the key.
    pub(super) fn read(json: &'a str) -> Result<Self, KeyError> {
        let object = message::json(text::trimmed(json)).and_then(Object::read);
        object.map(Self).ok_or_else(not_a_jwk)
    }

    pub(super) fn key_id(&self) -> Result<String, KeyError> {
        // A JWK Set (RFC 7517, section 5).
        if self.member("keys")?.is_some() {
            return Err(KeyError::new("this is a JWK Set; pass one of its `keys`"));
        }
        let id = self.text("kid")?.filter(|id| !id.is_empty()).map(Cow::into_owned);
        id.ok_or_else(|| KeyError::new("the JWK lacks `kid`, the service's name for the key"))
    }

    /// Returns the key, if it is a private key for signing with RS384 or ES384.
    pub(super) fn private_key(&self) -> Result<PrivateKey, KeyError> {
        if !self.is_for_signing()? {
            return Err(KeyError::new(
                "the JWK isn't for signing; `use` must be `sig`, and \
                                      `key_ops` must contain `sign`",
            ));
        }
        let algorithm = self.text("alg")?;
        let is_for = |name| algorithm.as_ref().is_none_or(|algorithm| algorithm == name);
        match self.text("kty")?.as_deref().unwrap_or_default() {
            "RSA" if !is_for("RS384") => {
                Err(KeyError::new("the JWK has an unsupported `alg`; for RSA it must be RS384"))
            }
            "RSA" => Ok(PrivateKey::from_rsa_parts(&RsaParts {
                n: &self.part("n")?,
                e: &self.part("e")?,
                d: &self.part("d")?,
                p: &self.part("p")?,
                q: &self.part("q")?,
                dp: &self.part("dp")?,
                dq: &self.part("dq")?,
                qi: &self.part("qi")?,
            })?),
            "EC" if self.text("crv")?.as_deref() != Some("P-384") => {
                Err(KeyError::new("the JWK has an unsupported `crv`; it must be P-384"))
            }
            "EC" if !is_for("ES384") => {
                Err(KeyError::new("the JWK has an unsupported `alg`; for P-384 it must be ES384"))
            }
            "EC" => {
                let (x, y, d) = (self.part("x")?, self.part("y")?, self.part("d")?);
                Ok(PrivateKey::from_p384_parts(&x, &y, &d)?)
            }
            _ => Err(KeyError::new("the JWK has an unsupported `kty`; it must be RSA or EC")),
        }
    }

    /// Returns whether the optional members `use` and `key_ops` permit signing.
    fn is_for_signing(&self) -> Result<bool, KeyError> {
        let permits = self.text("use")?.is_none_or(|usage| usage == "sig");
        let Some(operations) = self.member("key_ops")? else { return Ok(permits) };
        let mut operations = message::list(operations).ok_or_else(not_a_jwk)?.into_iter();
        Ok(permits
            && operations.any(|operation| message::text(operation).as_deref() == Some("sign")))
    }

    /// Returns the JSON of a member. `null` counts as absent.
    ///
    /// # Errors
    ///
    /// Returns an error if the member is repeated (RFC 7517, section 4).
    fn member(&self, name: &str) -> Result<Option<&'a str>, KeyError> {
        let mut values = self.0.iter().filter(|(key, _)| key.name() == name).map(|(_, json)| json);
        let value = values.next().filter(|json| *json != "null");
        match values.next() {
            None => Ok(value),
            Some(_) => Err(KeyError(format!("the JWK repeats `{name}`; keep one of its values"))),
        }
    }

    /// Returns the text of a member that isn't private.
    ///
    /// # Errors
    ///
    /// Returns an error if the member is repeated or isn't a string.
    fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, KeyError> {
        let Some(json) = self.member(name)? else { return Ok(None) };
        let text = message::text(json).filter(|_| json.starts_with('"'));
        text.map(Some).ok_or_else(not_a_jwk)
    }

    /// Decodes a member in base64url.
    ///
    /// # Errors
    ///
    /// Returns an error if the member is absent or repeated, or isn't base64url.
    fn part(&self, name: &str) -> Result<Wiped, KeyError> {
        let lacks = || {
            KeyError(format!(
                "the JWK lacks `{name}`; pass a private key: RSA with n, e, d, p, q, dp, dq and qi, \
                 or P-384 with x, y and d"
            ))
        };
        let json = self.member(name)?.ok_or_else(lacks)?;
        let base64 = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        let bytes = base64.and_then(|text| decode(&BASE64_URL_SAFE_NO_PAD, text.as_bytes()));
        bytes.ok_or_else(|| KeyError(format!("`{name}` of the JWK isn't base64url")))
    }
}

fn not_a_jwk() -> KeyError {
    KeyError::new("this isn't a JWK; pass a JSON object with string members")
}
