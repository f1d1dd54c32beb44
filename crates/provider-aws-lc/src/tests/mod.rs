//! One suite for both providers: each is held against known answers, and against the other.

mod differential;
mod eddsa;
mod hpke;
mod low_order;
mod pq_kem;
mod pq_wycheproof;
mod wycheproof;

use crate::AwsLc;
use conclave_crypto::{CryptoProvider, Secret, Suites};
use conclave_provider_rustcrypto::RustCrypto;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// Both providers. The native one may use two threads.
fn providers() -> [Box<dyn CryptoProvider>; 2] {
    let native = AwsLc::with_threads(2).with_suites(Suites::CONCLAVE);
    [Box::new(native), Box::new(RustCrypto::new().with_suites(Suites::CONCLAVE))]
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap())
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::copy_from(bytes)
}

/// A reproducible stream of bytes (SplitMix64).
#[derive(Clone)]
struct TestRng(u64);

impl TestRng {
    fn bytes(&mut self, n: usize) -> Vec<u8> {
        Secret::random(n, self).expose().to_vec()
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|n| (n >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Infallible> {
        for chunk in to.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}
