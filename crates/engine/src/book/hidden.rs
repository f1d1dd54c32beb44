//! Records under people's names, in a store whose keys others may read.
//!
//! An encrypted store seals values and not keys. So the key of such a record is a MAC of the name, and the name
//! is in the value. Records whose keys are names, as earlier versions wrote them, are moved when a store is opened.

use conclave_mls::crypto::{CryptoProvider, CryptoRng, Hash};
use conclave_store::{Secret, Store, StoreError, WriteSet};
use std::fmt::Display;
use std::sync::Arc;

/// Where the key of the MAC is.
const PLACE: (&str, &[u8]) = ("meta", b"names-key");
const KEY_LEN: usize = 32;

/// A namespace of such records, and what it was called while names were its keys.
#[derive(Clone, Copy)]
pub(super) struct Namespace {
    pub(super) now: &'static str,
    pub(super) before: &'static str,
}

/// Writes and reads such records.
pub(super) struct Hidden {
    provider: Arc<dyn CryptoProvider>,
    key: Secret,
}

impl Hidden {
    /// Makes a key for a store that has none, and moves what was written under names.
    pub(super) fn open<S: Store>(
        store: &mut S,
        provider: Arc<dyn CryptoProvider>,
        rng: &mut dyn CryptoRng,
        namespaces: &[Namespace],
    ) -> Result<Self, StoreError> {
        if let Some(key) = store.get(PLACE.0, PLACE.1)? {
            return Ok(Self { provider, key });
        }

        let hidden = Self { provider, key: Secret::random(KEY_LEN, rng) };
        let mut set = WriteSet::new();
        set.put_secret(PLACE.0, PLACE.1, hidden.key.clone());
        for namespace in namespaces {
            for (name, value) in store.scan(namespace.before, &[], usize::MAX)? {
                let name_text =
                    core::str::from_utf8(&name).map_err(|e| damaged(namespace.before, e))?;
                hidden.put(&mut set, *namespace, name_text, value.expose())?;
                set.delete(namespace.before, name);
            }
        }
        store.write(&set)?;
        Ok(hidden)
    }

    pub(super) fn put(
        &self,
        set: &mut WriteSet,
        namespace: Namespace,
        name: impl Display,
        value: &[u8],
    ) -> Result<(), StoreError> {
        let name = name.to_string();
        let length = u16::try_from(name.len()).map_err(StoreError::failed)?;
        let named = [&length.to_be_bytes(), name.as_bytes(), value].concat();
        set.put_secret(namespace.now, self.place(namespace, &name)?, Secret::new(named));
        Ok(())
    }

    pub(super) fn delete(
        &self,
        set: &mut WriteSet,
        namespace: Namespace,
        name: impl Display,
    ) -> Result<(), StoreError> {
        set.delete(namespace.now, self.place(namespace, &name.to_string())?);
        Ok(())
    }

    /// All records of a namespace with their names.
    pub(super) fn all<S: Store>(
        &self,
        store: &S,
        namespace: Namespace,
    ) -> Result<Vec<(String, Secret)>, StoreError> {
        let mut all = Vec::new();
        for (place, named) in store.scan(namespace.now, &[], usize::MAX)? {
            let split = named.expose().split_first_chunk().and_then(|(length, rest)| {
                let (name, value) = rest.split_at_checked(u16::from_be_bytes(*length).into())?;
                Some((core::str::from_utf8(name).ok()?, value))
            });
            let (name, value) =
                split.ok_or_else(|| damaged(namespace.now, "a record has no name"))?;
            if self.place(namespace, name)? != place {
                return Err(damaged(namespace.now, "a record is at another one's place"));
            }
            all.push((name.to_string(), Secret::copy_from(value)));
        }
        Ok(all)
    }

    fn place(&self, namespace: Namespace, name: &str) -> Result<Vec<u8>, StoreError> {
        let parts = [namespace.now.as_bytes(), &[0], name.as_bytes()];
        let mac =
            self.provider.hmac(Hash::Sha256, &self.key, &parts).map_err(StoreError::Crypto)?;
        Ok(mac.to_vec())
    }
}

fn damaged(namespace: &str, e: impl Display) -> StoreError {
    StoreError::Damaged(format!("{namespace}: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use conclave_crypto::testing::TestRng;
    use conclave_provider_rustcrypto::RustCrypto;
    use conclave_store::MemoryStore;

    const USERS: Namespace = Namespace { now: "users", before: "user" };

    fn open(store: &mut MemoryStore) -> Hidden {
        Hidden::open(store, Arc::new(RustCrypto::new()), &mut TestRng(1), &[USERS]).unwrap()
    }

    #[test]
    fn no_key_of_a_store_is_a_name() {
        let mut store = MemoryStore::default();
        // As an earlier version wrote it.
        let mut set = WriteSet::new();
        set.put("user", b"alice".to_vec(), b"first".to_vec());
        store.write(&set).unwrap();

        let hidden = open(&mut store);
        assert!(store.scan("user", &[], 9).unwrap().is_empty());
        let mut set = WriteSet::new();
        hidden.put(&mut set, USERS, "bob", b"").unwrap();
        store.write(&set).unwrap();
        let keys = store.scan("users", &[], 9).unwrap();
        assert!(keys.iter().all(|(key, _)| key.len() == 32));

        // The same key serves the next time.
        let hidden = open(&mut store);
        let mut all = hidden.all(&store, USERS).unwrap();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<_> =
            all.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
        assert_eq!(names, [("alice", b"first".as_slice()), ("bob", b"")]);
        let mut set = WriteSet::new();
        hidden.delete(&mut set, USERS, "alice").unwrap();
        store.write(&set).unwrap();
        assert_eq!(hidden.all(&store, USERS).unwrap().len(), 1);
    }

    #[test]
    fn a_record_at_another_ones_place_is_damage() {
        let mut store = MemoryStore::default();
        let hidden = open(&mut store);
        let mut set = WriteSet::new();
        hidden.put(&mut set, USERS, "alice", b"").unwrap();
        store.write(&set).unwrap();
        let (place, value) = store.scan("users", &[], 1).unwrap().remove(0);
        let mut set = WriteSet::new();
        set.put_secret("users", [0; 32].to_vec(), value.clone());
        set.delete("users", place.clone());
        store.write(&set).unwrap();
        assert!(matches!(hidden.all(&store, USERS), Err(StoreError::Damaged(_))));

        let mut set = WriteSet::new();
        set.delete("users", [0; 32].to_vec());
        set.put("users", place, vec![0, 9, b'a']);
        store.write(&set).unwrap();
        assert!(matches!(hidden.all(&store, USERS), Err(StoreError::Damaged(_))));
    }
}
