//! The history of one user on one device.

use crate::codec::{In, Out};
use crate::error::HistoryError;
use crate::rows::{KEY, META};
use crate::store::RowsMut;
use conclave_store::{Secret, WriteSet};
use core::fmt;
use hmac::{Hmac, KeyInit, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;

const KEY_LEN: usize = 32;

/// What was said in the rooms of one user, as rows of a store.
///
/// It holds no message: [`Reading`](crate::Reading) and [`Recording`](crate::Recording) look at the store.
pub struct History {
    /// Hashes what would otherwise show in the keys of rows.
    key: Secret,
}

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("History").finish_non_exhaustive()
    }
}

impl History {
    /// The history in a store; a new one, if there is none.
    ///
    /// # Errors
    /// If the store cannot be read or written.
    pub fn open(store: &mut dyn RowsMut, rng: &mut dyn CryptoRng) -> Result<Self, HistoryError> {
        let key = match store.get(META, KEY)? {
            Some(row) => Secret::copy_from(In::new("the key of hashes", 1, row.expose())?.rest()),
            None => {
                let key = Secret::random(KEY_LEN, rng);
                let mut out = Out::new(1);
                out.raw(key.expose());
                let mut set = WriteSet::new();
                set.put_secret(META, KEY, out.finish());
                store.write(&set)?;
                key
            }
        };
        if key.len() != KEY_LEN {
            return Err(HistoryError::Damaged("the key of hashes"));
        }
        Ok(Self { key })
    }

    /// The hash that stands in a row's key for something that must not show there.
    pub(crate) fn hash(&self, bytes: &[u8]) -> [u8; 16] {
        let mut hash = [0; 16];
        // A key of any length will do.
        if let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.key.expose()) {
            mac.update(bytes);
            hash.iter_mut().zip(mac.finalize().into_bytes()).for_each(|(to, from)| *to = from);
        }
        hash
    }
}
