//! Maps by numbers that count up, such as offsets and tickets.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map by numbers that are given one behind the other and asked for in about that order. Nobody outside may choose them.
pub type DenseMap<V> = HashMap<u64, V, BuildHasherDefault<DenseHasher>>;

/// Hashes one number so that numbers that follow each other stand side by side in a map: the processor has the next one at hand
/// before it is asked for, where it would wait for memory with scattered places.
#[derive(Clone, Copy, Debug, Default)]
pub struct DenseHasher(u64);

/// So many bits of a number are its place as they are: more numbers are never under way at once. Those above are mixed, so that
/// numbers that are far from each other, such as every thousandth, do not want the same places.
const PLACE_BITS: u32 = 16;
/// The highest bits of a hash, by which a map tells apart what stands near each other.
const TAG_BITS: u32 = 7;
/// 2⁶⁴ divided by the golden ratio: multiplying by it spreads a number's bits upwards.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for DenseHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write_u64(&mut self, number: u64) {
        let block = (number >> PLACE_BITS).wrapping_mul(SPREAD);
        let place = (block ^ (block >> 32)).wrapping_add(number & ((1 << PLACE_BITS) - 1));
        let tag = number.wrapping_mul(SPREAD) >> (u64::BITS - TAG_BITS);
        self.0 = (place & (u64::MAX >> TAG_BITS)) | tag << (u64::BITS - TAG_BITS);
    }

    /// Not used by `u64` keys; right all the same.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn hash(number: u64) -> u64 {
        let mut hasher = DenseHasher::default();
        hasher.write_u64(number);
        hasher.finish()
    }

    #[test]
    fn neighbours_have_neighbouring_places_and_are_told_apart() {
        let place = |number| hash(number) & 0x7ff;
        for first in [0, 70_000, 1 << 40] {
            assert!((first..first + 2000).all(|number| place(number + 1) == (place(number) + 1) & 0x7ff));
            let tags: BTreeSet<u64> = (first..first + 100).map(|number| hash(number) >> 57).collect();
            assert!(tags.len() > 50, "{} tags", tags.len());
        }
    }

    #[test]
    fn numbers_far_from_each_other_do_not_want_the_same_places() {
        for stride in [64, 1000, 1024, 65_536] {
            let places: BTreeSet<u64> = (0..60_000).map(|n| hash(n * stride) & 0x1_ffff).collect();
            assert!(places.len() > 20_000, "every {stride}th: {} places", places.len());
        }
    }

    #[test]
    fn it_is_a_map() {
        let mut map: DenseMap<u64> = (0..100_000).map(|n| (n * n, n)).collect();
        assert!((0..100_000).all(|n| map.get(&(n * n)) == Some(&n)));
        assert_eq!((map.remove(&49), map.get(&49), map.get(&50)), (Some(7), None, None));
    }
}
