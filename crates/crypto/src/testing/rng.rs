use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// Reproducible randomness for tests: the same seed gives the same stream. Good for nothing else, since
/// anybody can compute it.
///
/// The generator is SplitMix64.
#[derive(Clone, Debug)]
pub struct TestRng(
    /// The seed, which moves on with every draw.
    pub u64,
);

impl TestRng {
    /// `n` bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.fill(&mut bytes);
        bytes
    }

    /// A number below `n`; 0 if `n` is 0. The bias is of no account for a test.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next().checked_rem(n).unwrap_or(0)
    }

    /// One of the items, or `None` if there are none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let index = self.below(items.len() as u64);
        items.get(usize::try_from(index).ok()?)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn fill(&mut self, to: &mut [u8]) {
        for chunk in to.chunks_mut(8) {
            for (to, from) in chunk.iter_mut().zip(self.next().to_le_bytes()) {
                *to = from;
            }
        }
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.next() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.next())
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        self.fill(to);
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}

/// A broken source of randomness: it gives one byte over and over.
#[derive(Clone, Copy, Debug)]
pub struct StuckRng(
    /// The byte.
    pub u8,
);

impl TryRng for StuckRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        to.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for StuckRng {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The generator's published outputs for the seed 1234567.
    #[test]
    fn the_stream_is_splitmix64() {
        let mut rng = TestRng(1_234_567);
        let stream = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ];
        assert_eq!(stream.map(|_| rng.next()), stream);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut rng = TestRng(1);
        assert!((0..1000).all(|_| rng.below(3) < 3));
        assert_eq!((rng.below(0), rng.pick::<u8>(&[])), (0, None));
        assert_eq!(rng.pick(&[7]), Some(&7));
        assert_eq!(rng.bytes(13).len(), 13);
    }
}
