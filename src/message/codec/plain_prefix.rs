//! The plain prefix of a JSON string.

const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Returns the number of leading bytes that represent themselves in a JSON string. These are all
/// bytes except quotes, backslashes and control characters (RFC 8259, section 7).
#[inline]
pub(super) fn prefix(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk() {
        if let Some(place) = special(*chunk) {
            return bytes.len() - rest.len() + place;
        }
        rest = after;
    }
    // Fewer than eight bytes are left. The last chunk contains them after bytes that are known to
    // be plain.
    if let Some(chunk) = bytes.last_chunk() {
        return special(*chunk).map_or(bytes.len(), |place| bytes.len() - chunk.len() + place);
    }
    let special = rest.iter().position(|&byte| byte < 0x20 || byte == b'"' || byte == b'\\');
    special.unwrap_or(rest.len())
}

/// Returns the index of the first special byte.
#[inline]
fn special(chunk: [u8; 8]) -> Option<usize> {
    let bits = special_bits(u64::from_le_bytes(chunk));
    (bits != 0).then(|| (bits.trailing_zeros() / 8) as usize)
}

/// Returns whether any of at most eight bytes is special.
#[inline]
pub(super) fn has_special<const N: usize>(bytes: &[u8; N]) -> bool {
    const { assert!(N <= 8, "only eight bytes are tested") };
    let mut chunk = [b' '; 8];
    if let Some(start) = chunk.first_chunk_mut() {
        *start = *bytes;
    }
    special_bits(u64::from_le_bytes(chunk)) != 0
}

/// Returns a word with the high bit of the first special byte, and perhaps those of later bytes. All
/// eight are tested at once.
#[inline]
fn special_bits(word: u64) -> u64 {
    // Sets the high bit of each byte below the limit. A borrow may also set it in later bytes.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (below(word, 0x20) | equal(b'"') | equal(b'\\')) & HIGH
}

#[cfg(test)]
mod tests {
    use super::prefix;

    #[test]
    fn a_special_byte_is_found_wherever_it_stands() {
        for length in 0..40 {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut bytes = vec![b'a'; length];
                    // Later bytes must not matter, nor bytes that differ from a special one by one
                    // bit.
                    bytes[place..].fill(0x1f);
                    bytes[..place].fill(0xa2);
                    bytes[place] = byte;
                    let special = byte < 0x20 || byte == b'"' || byte == b'\\';
                    let expected = if special || place + 1 == length { place } else { place + 1 };
                    let expected = if !special && place + 1 == length { length } else { expected };
                    assert_eq!(prefix(&bytes), expected, "{byte:#x} at {place} of {length}");
                }
            }
            assert_eq!(prefix(&vec![0x7f; length]), length);
        }
    }
}
