//! What is drawn from a seed.

use conclave_crypto::testing::TestRng;

/// Draws of a world: the same seed gives the same.
#[derive(Clone, Debug)]
pub(crate) struct Chance(TestRng);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(TestRng(seed))
    }

    /// The randomness of something by its name: what others draw does not move it.
    pub(crate) fn of(seed: u64, name: &str) -> TestRng {
        // FNV-1a, to tell the names apart.
        let hash = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let name = format!("{seed} {name}");
        TestRng(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// A number below `n`; 0 if `n` is 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0.below(n)
    }

    /// The same for the index of one of `n` things.
    pub(crate) fn index(&mut self, n: usize) -> usize {
        self.0.below(n as u64) as usize
    }

    /// A number from one to the other, both included.
    pub(crate) fn between(&mut self, (from, to): (u64, u64)) -> u64 {
        from + self.0.below(to.saturating_sub(from) + 1)
    }

    /// Whether something happens that does so in `permille` of a thousand cases.
    pub(crate) fn happens(&mut self, permille: u32) -> bool {
        permille > 0 && self.0.below(1000) < u64::from(permille)
    }

    /// Heads or tails.
    pub(crate) fn coin(&mut self) -> bool {
        self.happens(500)
    }

    /// One of the items.
    pub(crate) fn pick<T: Clone>(&mut self, items: &[T]) -> Option<T> {
        self.0.pick(items).cloned()
    }
}
