//! A private key as a JWK: RFC 7517, with the members of RFC 7518, section 6.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::KeyError;

/// The members that matter. The parts of the key stand where they are in the text, so that nothing of it is copied.
#[derive(Deserialize)]
pub(super) struct Jwk<'a> {
    /// A JWK Set has these: RFC 7517, section 5.
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
    d: Option<&'a str>,
    p: Option<&'a str>,
    q: Option<&'a str>,
    dp: Option<&'a str>,
    dq: Option<&'a str>,
    qi: Option<&'a str>,
}

/// A part of a key, in bytes.
pub(super) type Part = Zeroizing<Vec<u8>>;

/// What a JWK holds of a private key.
pub(super) enum Parts {
    Rsa { n: Part, e: Part, d: Part, p: Part, q: Part, dp: Part, dq: Part, qi: Part },
    P384 { x: Part, y: Part, d: Part },
}

impl<'a> Jwk<'a> {
    /// Reads the JSON. What is wrong with it is not repeated: it may be a part of the key.
    pub(super) fn read(json: &'a str) -> Result<Self, KeyError> {
        serde_json::from_str(json.trim_start_matches('\u{feff}'))
            .map_err(|_| KeyError::new("this is no JWK: a JSON object whose members are text"))
    }

    pub(super) fn key_id(&self) -> Result<&str, KeyError> {
        if self.keys.is_some() {
            return Err(KeyError::new("this is a JWK Set; give one of its `keys`"));
        }
        let id = self.kid.as_deref().filter(|id| !id.is_empty());
        id.ok_or_else(|| KeyError::new("the JWK lacks `kid`, by which the service knows the key"))
    }

    /// The parts of the key, once it is known to be one for what is to be signed.
    pub(super) fn parts(&self) -> Result<Parts, KeyError> {
        let signs = |operations: &Vec<String>| operations.iter().any(|operation| operation == "sign");
        if self.usage.as_ref().is_some_and(|usage| usage != "sig") || !self.key_ops.as_ref().is_none_or(signs)
        {
            return Err(KeyError::new("the JWK is not for signing, by its `use` or `key_ops`"));
        }
        let is_for = |name| self.alg.as_ref().is_none_or(|alg| alg == name);
        match self.kty.as_deref().unwrap_or_default() {
            "RSA" if !is_for("RS384") => Err(KeyError::new(
                "the JWK is for another algorithm, by its `alg`; with RSA it must be RS384",
            )),
            "RSA" => Ok(Parts::Rsa {
                n: part("n", self.n)?,
                e: part("e", self.e)?,
                d: part("d", self.d)?,
                p: part("p", self.p)?,
                q: part("q", self.q)?,
                dp: part("dp", self.dp)?,
                dq: part("dq", self.dq)?,
                qi: part("qi", self.qi)?,
            }),
            "EC" if self.crv.as_deref() != Some("P-384") => {
                Err(KeyError::new("the JWK is of another curve, by its `crv`; it must be P-384"))
            }
            "EC" if !is_for("ES384") => Err(KeyError::new(
                "the JWK is for another algorithm, by its `alg`; with P-384 it must be ES384",
            )),
            "EC" => Ok(Parts::P384 { x: part("x", self.x)?, y: part("y", self.y)?, d: part("d", self.d)? }),
            _ => Err(KeyError::new("the JWK is of another kind, by its `kty`; it must be RSA or EC")),
        }
    }
}

fn part(name: &str, text: Option<&str>) -> Result<Part, KeyError> {
    let lacks = || {
        KeyError(format!(
            "the JWK lacks `{name}`; a private key is needed, of RSA with n, e, d, p, q, dp, dq and qi"
        ))
    };
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.ok_or_else(lacks)?);
    bytes.map(Zeroizing::new).map_err(|_| KeyError(format!("`{name}` of the JWK is no base64url")))
}
