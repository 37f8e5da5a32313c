//! Conversion of PKCS#8 version 2 (RFC 5958). Neither aws-lc nor OpenSSL 3.0 reads that version for
//! RSA and elliptic curves if it holds a public key.

use super::wiped::Wiped;

const INTEGER_1: &[u8] = &[0x02, 1, 1];
const INTEGER_0: &[u8] = &[0x02, 1, 0];
const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;

/// Converts a key of version 2 to version 1 (RFC 5208). That has no public key, but the private key
/// includes its own.
pub(super) fn version_1(der: &[u8]) -> Option<Wiped> {
    let fields = Element::first(SEQUENCE, der)?.content.strip_prefix(INTEGER_1)?;
    let algorithm = Element::first(SEQUENCE, fields)?;
    let key = Element::first(OCTET_STRING, algorithm.rest)?;
    let parts = [INTEGER_0, algorithm.whole, key.whole];
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let head: &[u8] = match u16::try_from(length).ok()?.to_be_bytes() {
        [0, short @ ..=0x7f] => &[SEQUENCE, short],
        [0, low] => &[SEQUENCE, 0x81, low],
        [high, low] => &[SEQUENCE, 0x82, high, low],
    };
    let mut version_1 = Wiped::new(Vec::with_capacity(head.len().saturating_add(length)));
    version_1.extend_from_slice(head);
    for part in parts {
        version_1.extend_from_slice(part);
    }
    Some(version_1)
}

/// A DER element (X.690, section 8.1).
struct Element<'a> {
    whole: &'a [u8],
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads the first element of `der` if it has this tag and at most 64 KiB.
    fn first(tag: u8, der: &'a [u8]) -> Option<Self> {
        let (length, after) = match der {
            [first, short @ ..=0x7f, after @ ..] if *first == tag => (usize::from(*short), after),
            [first, 0x81, low, after @ ..] if *first == tag => (usize::from(*low), after),
            [first, 0x82, high, low, after @ ..] if *first == tag => {
                (usize::from(u16::from_be_bytes([*high, *low])), after)
            }
            _ => return None,
        };
        let (content, rest) = after.split_at_checked(length)?;
        let whole = der.get(..der.len().checked_sub(rest.len())?)?;
        Some(Self { whole, content, rest })
    }
}
