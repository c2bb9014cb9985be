//! Memory for frames. A large one that is made anew each time may be the system's between two of them, and each page of it has to be
//! asked for again.

use bytes::Bytes;

/// Smaller frames are the allocator's business.
const SMALL_BYTES: usize = 64 << 10;
/// Larger ones are rare.
const LARGE_BYTES: usize = 2 << 20;
/// How many are kept.
const KEPT: usize = 2;

/// Buffers of frames, to be used again.
#[derive(Default)]
pub struct Frames(Vec<Vec<u8>>);

impl Frames {
    /// An empty buffer with room for so many bytes.
    pub fn take(&mut self, bytes: u64) -> Vec<u8> {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes < SMALL_BYTES {
            return Vec::new();
        }
        match self.0.iter().position(|buffer| buffer.capacity() >= bytes) {
            Some(at) => self.0.swap_remove(at),
            // Frames under load are alike, not equal.
            None => Vec::with_capacity(bytes.next_multiple_of(SMALL_BYTES)),
        }
    }

    /// Keeps the buffer of a frame that left memory, if nobody reads in it; the largest are kept.
    pub fn keep(&mut self, buffer: Bytes) {
        let Ok(mut buffer) = buffer.try_into_mut() else { return };
        buffer.clear();
        let buffer = Vec::from(buffer);
        if !(SMALL_BYTES..=LARGE_BYTES).contains(&buffer.capacity()) {
            return;
        }
        self.0.push(buffer);
        if self.0.len() > KEPT {
            let smallest = self.0.iter().enumerate().min_by_key(|(_, buffer)| buffer.capacity()).map(|(at, _)| at);
            drop(smallest.map(|at| self.0.swap_remove(at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_again_unless_somebody_reads_in_it() {
        let mut frames = Frames::default();
        let mut first = frames.take(100_000);
        let place = first.as_ptr();
        first.resize(90_000, 7);
        let read = Bytes::from(first);
        let reader = read.slice(5..6);
        frames.keep(read);
        assert!(frames.0.is_empty() && reader[0] == 7, "it is read");
        frames.keep(reader);
        let again = frames.take(80_000);
        assert_eq!((again.as_ptr(), again.len()), (place, 0));
        assert!(again.capacity() >= 100_000, "all of it, not what was read last");
    }

    #[test]
    fn what_is_small_or_large_is_not_kept_and_of_the_rest_a_few() {
        let mut frames = Frames::default();
        for bytes in [1000, 100_000, LARGE_BYTES + 1, 300_000, 200_000] {
            frames.keep(Bytes::from(vec![1; bytes]));
        }
        let mut kept: Vec<_> = frames.0.iter().map(Vec::capacity).collect();
        kept.sort_unstable();
        assert_eq!(kept, [200_000, 300_000]);
        assert!(frames.take(10).capacity() < 1000);
    }
}
