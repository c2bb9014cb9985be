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
                    }
                }
            }
        }
    }
}
