//! Chance that can be had again: a test prints its seed, and `CROSSDOCK_SEED` repeats it.

use std::time::{SystemTime, UNIX_EPOCH};

/// The seed of this run: `CROSSDOCK_SEED` if it is set, else of the time. Prints it, so that a failure can be repeated.
#[must_use]
pub fn seed(test: &str) -> u64 {
    let given =
        std::env::var("CROSSDOCK_SEED").ok().map(|text| text.parse().expect("CROSSDOCK_SEED is a whole number"));
    let of_time = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos().into());
    let seed = given.unwrap_or_else(of_time);
    announce(&format!("{test}: seed {seed} (repeat with CROSSDOCK_SEED={seed})"));
    seed
}

#[expect(clippy::print_stderr, reason = "the test runner shows it when the test fails")]
fn announce(text: &str) {
    eprintln!("{text}");
}

/// SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from `from` up to, not including, `to`.
    pub const fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    /// True `percent` times in a hundred.
    pub const fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
}
