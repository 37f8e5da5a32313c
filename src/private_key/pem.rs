//! Private keys in PEM (RFC 7468).

use base64::prelude::BASE64_STANDARD;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};

use super::pkcs8::version_1;
use super::wiped::{Wiped, decode};
use crate::text;

/// The first unencrypted private key in a text.
pub(crate) struct Pem {
    form: Form,
    der: Wiped,
}

#[derive(Clone, Copy)]
enum Form {
    Pkcs8,
    Pkcs1,
    Sec1,
}

impl Pem {
    /// Reads a private key. Its lines may be indented, and end in LF or CR LF. Errors repeat
    /// nothing of the text.
    pub(crate) fn read(pem: &[u8]) -> Result<Self, &'static str> {
        Self::first(pem).map_err(|error| escaped_line_breaks(pem).unwrap_or(error))
    }

    fn first(pem: &[u8]) -> Result<Self, &'static str> {
        let mut is_encrypted = false;
        let mut lines = lines(pem);
        while let Some(line) = lines.next() {
            let form = match label(line, "-----BEGIN ") {
                Some("PRIVATE KEY") => Form::Pkcs8,
                Some("RSA PRIVATE KEY") => Form::Pkcs1,
                Some("EC PRIVATE KEY") => Form::Sec1,
                Some("ENCRYPTED PRIVATE KEY") => {
                    is_encrypted = true;
                    continue;
                }
                _ => continue,
            };
            let mut base64 = Wiped::new(Vec::with_capacity(pem.len()));
            let mut has_password = false;
            loop {
                match lines.next() {
                    None => return Err("the PEM ends within the private key"),
                    Some(line) if label(line, "-----END ").is_some() => break,
                    // A header (RFC 1421, section 4.6.1.1).
                    Some(line) if line.contains(':') => has_password |= line.contains("ENCRYPTED"),
                    Some(line) => base64.extend_from_slice(line.as_bytes()),
                }
            }
            if has_password {
                is_encrypted = true;
                continue;
            }
            let der = decode(&BASE64_STANDARD, &base64)
                .ok_or("the private key in PEM is damaged: it isn't base64")?;
            return Ok(Self { form, der: version_1(&der).unwrap_or(der) });
        }
        Err(match is_encrypted {
            true => "the private key is encrypted; remove its passphrase first",
            false => "the text contains no private key in PEM, such as a block `PRIVATE KEY`",
        })
    }

    pub(crate) fn der(&self) -> PrivateKeyDer<'_> {
        let der = self.der.as_slice();
        match self.form {
            Form::Pkcs8 => PrivatePkcs8KeyDer::from(der).into(),
            Form::Pkcs1 => PrivatePkcs1KeyDer::from(der).into(),
            Form::Sec1 => PrivateSec1KeyDer::from(der).into(),
        }
    }
}

/// Returns the lines without surrounding white space. A line that isn't UTF-8 is empty.
pub(crate) fn lines(pem: &[u8]) -> impl Iterator<Item = &str> {
    let lines = pem.split(|byte| matches!(byte, b'\n' | b'\r'));
    lines.map(|line| std::str::from_utf8(line).map(text::trimmed).unwrap_or_default())
}

/// Returns the label in the first or last line of a block.
fn label<'a>(line: &'a str, start: &str) -> Option<&'a str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}

/// Returns the error for a PEM with line breaks written as two characters.
pub(crate) fn escaped_line_breaks(pem: &[u8]) -> Option<&'static str> {
    let has = |part: &[u8]| pem.windows(part.len()).any(|window| window == part);
    let is_escaped = has(b"-----BEGIN ") && (has(b"-----\\n") || has(b"-----\\r\\n"));
    is_escaped.then_some(
        "the line breaks of the PEM are the two characters `\\n`; replace each by a line break, \
         as `printf '%b'` does in a shell",
    )
}
