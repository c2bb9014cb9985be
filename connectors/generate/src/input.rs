//! What the expression sees.

use bytes::Bytes;

/// The input of the expression for one message: `.sequence` and `.random`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Input {
    /// Counts from 0.
    pub sequence: u64,
    /// Below 2^53, so that it is exact as a JSON number everywhere; the same for the same seed and sequence.
    pub random: u64,
}

impl Input {
    /// The input of the message of this number.
    #[must_use]
    pub const fn new(seed: u64, sequence: u64) -> Self {
        Self { sequence, random: mix(mix(seed).wrapping_add(sequence)) >> 11 }
    }

    /// As the JSON object that is the expression's `.`.
    #[must_use]
    pub fn to_json(self) -> Bytes {
        format!(r#"{{"sequence":{},"random":{}}}"#, self.sequence, self.random).into()
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
const fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The first outputs of the reference implementation for the seed 1234567.
        let states = (0..3u64).map(|n| mix(1_234_567u64.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15))));
        assert_eq!(
            states.collect::<Vec<_>>(),
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn numbers_differ_by_seed_and_sequence_and_fit() {
        let mut all: Vec<u64> = (0..50).flat_map(|seed| (0..50).map(move |n| Input::new(seed, n).random)).collect();
        assert!(all.iter().all(|n| *n < 1 << 53));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 2500);
        assert_eq!(Input { sequence: 7, random: 9 }.to_json(), r#"{"sequence":7,"random":9}"#);
    }
}
