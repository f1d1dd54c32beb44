//! Randomness seeded by a number or a name.

use chacha20::ChaCha20Rng;
use rand_core::{Rng, SeedableRng};

/// The generator for a number.
pub fn seeded(n: u64) -> ChaCha20Rng {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&n.to_le_bytes());
    ChaCha20Rng::from_seed(seed)
}

/// The generator for a client's keys. It also takes randomness from the operating system: other stacks'
/// keys do not come from a seed either, and two runs must not share keys.
pub fn of_name(name: &str) -> crate::member::Result<ChaCha20Rng> {
    let mut seed = [0; 32];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut seed)?;
    for (place, byte) in name.bytes().enumerate() {
        seed[place % 32] ^= byte;
    }
    Ok(ChaCha20Rng::from_seed(seed))
}

/// The choices of a script.
pub struct Dice(ChaCha20Rng);

impl Dice {
    /// The dice for a seed.
    pub fn new(seed: u64) -> Self {
        Self(seeded(seed))
    }

    /// A number below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        let wide = u128::from(self.0.next_u64()) * n as u128;
        (wide >> 64) as usize
    }

    /// True once in `n` times on average.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Picks one of several.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        of.get(self.below(of.len()))
    }

    /// Shuffles.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for place in (1..list.len()).rev() {
            let other = self.below(place + 1);
            list.swap(place, other);
        }
    }

    /// Random bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
