use chacha20::ChaCha20Rng;
use core::convert::Infallible;
use core::fmt;
use rand_core::{Rng, SeedableRng, TryCryptoRng, TryRng};

/// Randomness that depends on its seed alone, so that a run can be repeated.
///
/// It prints as its seed, so that a failing test can say how to repeat it. Never use it for real keys
/// with a seed that anybody else knows.
pub struct SeededRng {
    seed: [u8; 32],
    stream: ChaCha20Rng,
}

impl SeededRng {
    /// The stream of a 32-byte seed.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, stream: ChaCha20Rng::from_seed(seed) }
    }

    /// The stream whose seed is a small number.
    #[must_use]
    pub fn from_u64(n: u64) -> Self {
        let mut seed = [0; 32];
        let (low, _) = seed.split_at_mut(8);
        low.copy_from_slice(&n.to_be_bytes());
        Self::new(seed)
    }

    /// The seed that this stream began with.
    #[must_use]
    pub fn seed(&self) -> [u8; 32] {
        self.seed
    }

    /// A separate stream for a part of a run, so that parts do not affect each other. The same seed and
    /// label give the same stream, regardless of how much was drawn from this one.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        // FNV-1a, which only has to distinguish labels.
        let hash = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| {
            (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)
        });
        let mut stream = ChaCha20Rng::from_seed(self.seed);
        stream.set_stream(hash | 1);
        let mut seed = [0; 32];
        stream.fill_bytes(&mut seed);
        Self::new(seed)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Reduces 128 random bits: the bias is too small for a test to notice.
        let wide = u128::from(self.next_u64()) << 64 | u128::from(self.next_u64());
        wide.checked_rem(n.into()).unwrap_or(0) as u64
    }

    /// True with a probability of 1 in `n`.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// `n` random bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.fill_bytes(&mut bytes);
        bytes
    }

    /// A random item; none if there are no items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let n = self.below(items.len() as u64);
        items.get(usize::try_from(n).ok()?)
    }
}

impl fmt::Display for SeededRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.seed.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for SeededRng {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SeededRng({self})")
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.stream.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.stream.try_next_u64()
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        self.stream.try_fill_bytes(dst)
    }
}

impl TryCryptoRng for SeededRng {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_stream() {
        assert_eq!(SeededRng::from_u64(7).bytes(100), SeededRng::from_u64(7).bytes(100));
        assert_ne!(SeededRng::from_u64(7).bytes(100), SeededRng::from_u64(8).bytes(100));
    }

    #[test]
    fn a_fork_depends_on_seed_and_label_alone() {
        let mut rng = SeededRng::from_u64(7);
        let before = rng.fork("a").bytes(32);
        rng.bytes(1000);
        assert_eq!(rng.fork("a").bytes(32), before);
        assert_ne!(rng.fork("b").bytes(32), before);
        assert_ne!(SeededRng::from_u64(8).fork("a").bytes(32), before);
    }

    #[test]
    fn numbers_stay_below_their_bound() {
        let mut rng = SeededRng::from_u64(1);
        assert!((0..1000).all(|_| rng.below(3) < 3));
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.pick::<u8>(&[]), None);
    }

    #[test]
    fn a_random_stream_prints_its_seed() {
        assert!(SeededRng::from_u64(0xab).to_string().starts_with("00000000000000ab00"));
    }
}
