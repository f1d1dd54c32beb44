//! Randomness from fixed seeds: a benchmark's keys protect nothing.

use chacha20::ChaCha20Rng;
use rand_core::SeedableRng;

pub fn seeded(n: u64) -> ChaCha20Rng {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&n.to_le_bytes());
    ChaCha20Rng::from_seed(seed)
}

/// Randomness seeded by a client's name, so that no two clients share a stream.
pub fn of_name(name: &str) -> ChaCha20Rng {
    let hash = name
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    seeded(hash)
}
