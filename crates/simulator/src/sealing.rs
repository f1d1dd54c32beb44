//! Which keys have sealed something: each may do so once.

use crate::crypto::WorldCrypto;
use conclave_crypto::CryptoError;
use conclave_crypto::testing::{Hook, Hooked, Operation};
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The length of the AEAD keys of the worlds' suite, AES-128.
const SUITE_KEY: usize = 16;

/// The devices' cryptography, which notes what it seals with.
pub(crate) type Provider = Hooked<WorldCrypto, Sealed>;

/// The keys that sealed something since they were taken last, each by its hash.
#[derive(Debug, Default)]
pub(crate) struct Sealed(Mutex<Keys>);

#[derive(Debug, Default)]
struct Keys {
    sealed: Vec<u64>,
    /// How many of them belong to steps that are stored.
    stored: usize,
}

impl Hook for Sealed {
    fn before(&self, _: Operation) -> Result<(), CryptoError> {
        Ok(())
    }

    fn after(&self, operation: Operation, inputs: &[&[u8]], _: Option<&[u8]>) {
        // What devices leave each other at the relay has a longer key, of the link's code, and a nonce of its own.
        let of_suite = inputs.first().is_some_and(|key| key.len() == SUITE_KEY);
        if operation == Operation::AeadSeal && of_suite {
            let mut hasher = DefaultHasher::new();
            inputs.hash(&mut hasher);
            self.keys().sealed.push(hasher.finish());
        }
    }
}

impl Sealed {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write has taken effect: what was sealed before it may leave the device.
    pub(crate) fn stored(&self) {
        let mut keys = self.keys();
        keys.stored = keys.sealed.len();
    }
}

/// All keys whose ciphertexts may have left a device.
#[derive(Debug, Default)]
pub(crate) struct UsedKeys(HashSet<u64>);

impl UsedKeys {
    /// Takes the keys that a step has used. If the process died at a write, nothing that it sealed after the last one
    /// that took effect has left the device. Returns how many of them were used before.
    pub(crate) fn take(&mut self, sealed: &Sealed, died: bool) -> usize {
        let Keys { mut sealed, stored } = core::mem::take(&mut *sealed.keys());
        if died {
            sealed.truncate(stored);
        }
        sealed.into_iter().filter(|key| !self.0.insert(*key)).count()
    }
}
