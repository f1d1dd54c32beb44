//! Shared by the tests: a suite, reproducible randomness.

use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_wire::CipherSuite;
use core::convert::Infallible;
use rand_core::{TryCryptoRng, TryRng};

/// The portable provider.
pub(crate) static PORTABLE: RustCrypto = RustCrypto::new();

pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digit = |c: u8| char::from(c).to_digit(16).unwrap() as u8;
    digits.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

pub(crate) fn secret(digits: &str) -> Secret {
    Secret::new(hex(digits))
}

pub(crate) fn suite(provider: &dyn CryptoProvider) -> Suite<'_> {
    Suite::new(provider, CipherSuite(1)).unwrap()
}

/// SplitMix64: reproducible from its seed, and not secret.
pub(crate) struct TestRng(pub(crate) u64);

impl TestRng {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.try_next_u64().unwrap() % n
    }
}

impl TryRng for TestRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.try_next_u64()? as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(z ^ (z >> 31))
    }

    fn try_fill_bytes(&mut self, dst: &mut [u8]) -> Result<(), Infallible> {
        for chunk in dst.chunks_mut(8) {
            let bytes = self.try_next_u64()?.to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
        Ok(())
    }
}

impl TryCryptoRng for TestRng {}
