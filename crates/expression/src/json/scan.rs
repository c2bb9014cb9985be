//! Finds what needs care in a string, sixteen bytes at a time.

use wide::u8x16;

/// How many bytes from the start are neither a quote, a backslash nor a control character (RFC 8259 §7).
#[inline]
pub fn plain_bytes(bytes: &[u8]) -> usize {
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut at = 0;
    for chunk in chunks {
        let first = first_of(*chunk);
        at += first;
        if first < 16 {
            return at;
        }
    }
    at + rest.iter().position(|byte| needs_care(*byte)).unwrap_or(rest.len())
}

/// Whether none of the bytes needs care: of short texts, which most are, in a few steps.
#[inline]
pub fn is_plain(bytes: &[u8]) -> bool {
    if let Some(last) = bytes.last_chunk::<16>() {
        let (chunks, _) = bytes.as_chunks::<16>();
        return chunks.iter().chain([last]).all(|chunk| first_of(*chunk) == 16);
    }
    // What overlaps is looked at twice.
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        return is_plain_word(u64::from_ne_bytes(*first)) && is_plain_word(u64::from_ne_bytes(*last));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_ne_bytes(*first), u32::from_ne_bytes(*last));
        return is_plain_word(u64::from(first) << 32 | u64::from(last));
    }
    !bytes.iter().any(|byte| needs_care(*byte))
}

/// The same of eight bytes. Whether one of them is less than n is what Anderson's `hasless` tells without fail (Bit Twiddling
/// Hacks), and zero is less than one; which of them it is does not matter.
fn is_plain_word(word: u64) -> bool {
    const ONES: u64 = u64::MAX / 0xFF;
    let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
    let less = |word: u64, than: u64| word.wrapping_sub(ONES * than) & !word;
    (less(quote, 1) | less(backslash, 1) | less(word, 0x20)) & (ONES << 7) == 0
}

const fn needs_care(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1F)
}

/// The place of the first byte that needs care, 16 if none does.
#[inline]
fn first_of(chunk: [u8; 16]) -> usize {
    let bytes = u8x16::new(chunk);
    let quote = bytes.simd_eq(u8x16::splat(b'"'));
    let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    let control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    ((quote | backslash | control).to_bitmask() | 1 << 16).trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_byte_at_each_place() {
        for byte in 0..=255_u8 {
            let expected = needs_care(byte);
            for length in 0..40 {
                for place in 0..length {
                    for filler in [b'a', b' ', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xFF] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = byte;
                        assert_eq!(
                            plain_bytes(&bytes),
                            if expected { place } else { length },
                            "{byte} {place} {length}"
                        );
                        assert_eq!(is_plain(&bytes), !expected, "{byte} {place} {length}");
                    }
                }
            }
        }
    }
}
