//! A Bloom filter over hashes: sixteen bits a key, seven places each; of 1,400 keys that are not in it, it lets one through, and a
//! block of the file is read for nothing. There are up to sixteen files, and each key that comes is asked of all.

use crossdock_model::Digest;

const BITS_A_KEY: u64 = 16;
const PLACES: u64 = 7;

/// A set that may have more than was put into it, and never less.
#[derive(Debug)]
pub struct Filter(Vec<u64>);

impl Filter {
    /// An empty one with room for so many keys.
    pub fn new(keys: u64) -> Self {
        let words = (keys * BITS_A_KEY).div_ceil(64).max(1);
        Self(vec![0; usize::try_from(words).unwrap_or(usize::MAX)])
    }

    pub fn add(&mut self, hash: Digest) {
        for place in places(hash, self.bits()) {
            if let Some(word) = self.0.get_mut((place / 64) as usize) {
                *word |= 1 << (place % 64);
            }
        }
    }

    pub fn has(&self, hash: Digest) -> bool {
        let set = |place: u64| self.0.get((place / 64) as usize).is_some_and(|word| word >> (place % 64) & 1 == 1);
        places(hash, self.bits()).all(set)
    }

    fn bits(&self) -> u64 {
        self.0.len() as u64 * 64
    }

    pub fn encode(&self) -> Vec<u8> {
        self.0.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    pub fn decode(bytes: &[u8]) -> Self {
        Self(bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }
}

/// Where the bits of a hash are: as good as independent, made of its two halves.
fn places(hash: Digest, bits: u64) -> impl Iterator<Item = u64> {
    let (halves, _) = hash.0.as_chunks::<8>();
    let half = |at: usize| halves.get(at).map_or(0, |half| u64::from_le_bytes(*half));
    // Whoever chooses hashes shall not choose places: what is sorted by is the first bytes, these are mixed again.
    let mix = |bits: u64| (bits ^ (bits >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (first, step) = (mix(half(0)), mix(half(1)) | 1);
    (0..PLACES).map(move |n| {
        let spread = first.wrapping_add(step.wrapping_mul(n));
        // The high half of a product is an even choice of `bits` places, without a division.
        ((u128::from(spread) * u128::from(bits)) >> 64) as u64
    })
}
