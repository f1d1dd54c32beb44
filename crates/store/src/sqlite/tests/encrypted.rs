//! Encrypted stores in the hands of their owner.

use super::*;
use crate::sqlite::Sums;
use crate::sqlite::open::write_header;
use crate::sqlite::seal::{Header, Sealer};
use conclave_crypto::testing::{Hook, Hooked, Operation};
use conclave_mls::crypto::{Aead, CryptoError, CryptoProvider};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

const MARKER: &[u8] = b"a marker that is found in no file";

#[test]
fn a_wrong_or_short_key_is_refused_at_opening() {
    let (_dir, path) = dir();
    let open = |key: &Secret| SqliteStore::open_encrypted(&path, key, provider());
    assert_eq!(open(&Secret::zero(31)).unwrap_err(), StoreError::ShortKey { len: 31 });

    let mut store = open(&key(1)).unwrap();
    store.write(&app("n", "k", Some(b"v"))).unwrap();
    drop(store);

    assert_eq!(open(&key(2)).unwrap_err(), StoreError::WrongKey(path.clone()));
    assert_eq!(open(&Secret::zero(31)).unwrap_err(), StoreError::ShortKey { len: 31 });
    assert_eq!(open(&key(1)).unwrap().get("n", b"k").unwrap().unwrap().expose(), b"v");
}

#[test]
fn plaintext_and_encrypted_stores_are_not_taken_for_each_other() {
    let (_dir, path) = dir();
    let [plaintext, encrypted] = both(&path).map(|store| store.path().to_path_buf());

    let error = SqliteStore::open(&encrypted).unwrap_err();
    assert_eq!(error, StoreError::Encrypted(encrypted.clone()));
    let error = SqliteStore::open_encrypted(&plaintext, &key(1), provider()).unwrap_err();
    assert_eq!(error, StoreError::NotEncrypted(plaintext.clone()));

    assert_as_before(&SqliteStore::open(&plaintext).unwrap());
    assert_as_before(&open_encrypted(&encrypted));
}

#[test]
fn no_file_holds_a_value_while_the_store_is_used_or_after() {
    let (dir, path) = dir();
    let mut store = open_encrypted(&path);
    let large = MARKER.repeat(10_000);
    for value in [MARKER, &large, MARKER] {
        store.write(&row(Table::Header, 1, 0, value)).unwrap();
        store.write(&app("history", "k", Some(value))).unwrap();
        assert!(!any_file_holds(dir.path(), MARKER));
        assert_eq!(store.load(&group("g")).unwrap()[0].1.expose(), value);
        assert_eq!(store.get("history", b"k").unwrap().unwrap().expose(), value);
        assert!(!any_file_holds(dir.path(), MARKER));
    }

    drop(store);
    assert!(!any_file_holds(dir.path(), MARKER));
    assert!(any_file_holds(dir.path(), b"history"), "names of keys are in the clear");
}

#[test]
fn equal_values_are_sealed_differently_each_time() {
    let (_dir, path) = dir();
    let mut store = open_encrypted(&path);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..50 {
        store.write(&app("n", "k", Some(MARKER))).unwrap();
        let select = "SELECT value FROM app";
        let sealed: Vec<u8> = store.db.query_row(select, [], |r| r.get(0)).unwrap();
        assert_eq!(sealed.len(), MARKER.len() + 40);
        for part in sealed.chunks_exact(8) {
            assert!(seen.insert(part.to_vec()), "neither salt nor ciphertext is repeated");
        }
    }
}

#[test]
fn a_new_key_replaces_the_old_one() {
    let (dir, path) = dir();
    let mut store = open_encrypted(&path);
    store.write(&row(Table::Tree, 1, 1, MARKER)).unwrap();
    store.write(&row(Table::Ratchet, 2, u64::MAX, MARKER)).unwrap();
    // More than a page, keys that differ only at their ends, and the first key that there can be.
    for n in 0..300 {
        store.write(&app("many", &"k".repeat(n), Some(&[n as u8; 3]))).unwrap();
    }
    store.write(&app("", "", Some(MARKER))).unwrap();
    let select = "SELECT value FROM mls_row UNION ALL SELECT value FROM app WHERE key = x''";
    let before: Vec<Vec<u8>> = {
        let mut statement = store.db.prepare(select).unwrap();
        statement.query_map([], |r| r.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert!(before.iter().all(|sealed| any_file_holds(dir.path(), sealed)));
    let contents = |store: &SqliteStore| {
        (store.load(&group("g")), store.scan("many", &[], usize::MAX), store.get("", b""))
    };
    let expected = contents(&store);

    store.rekey(&key(2), provider()).unwrap();
    assert_eq!(contents(&store), expected);
    assert!(!before.iter().any(|sealed| any_file_holds(dir.path(), sealed)), "old values");
    store.write(&app("n", "k", Some(b"v"))).unwrap();
    drop(store);

    let old = SqliteStore::open_encrypted(&path, &key(1), provider());
    assert_eq!(old.unwrap_err(), StoreError::WrongKey(path.clone()));
    let store = SqliteStore::open_encrypted(&path, &key(2), provider()).unwrap();
    store.verify().unwrap();
    assert_eq!(contents(&store), expected);
}

#[test]
fn a_plaintext_store_is_encrypted_in_place() {
    let (dir, path) = dir();
    let mut store = SqliteStore::open(&path).unwrap();
    let large = MARKER.repeat(1000);
    store.write(&row(Table::Header, 1, 0, MARKER)).unwrap();
    store.write(&row(Table::Header, 2, 0, &large)).unwrap();
    store.write(&app("n", "k", Some(MARKER))).unwrap();
    store.write(&app("n", "large", Some(&large))).unwrap();
    let rows = store.load(&group("g"));
    assert!(any_file_holds(dir.path(), MARKER), "the test would find it");

    store.rekey(&key(1), provider()).unwrap();
    assert!(store.is_encrypted());
    assert!(!any_file_holds(dir.path(), MARKER));
    drop(store);

    assert!(!any_file_holds(dir.path(), MARKER));
    let store = open_encrypted(&path);
    store.verify().unwrap();
    assert_eq!(store.load(&group("g")), rows);
    assert_eq!(store.get("n", b"large").unwrap().unwrap().expose(), large);
}

#[test]
fn chacha20_poly1305_serves_where_it_was_chosen() {
    let (_dir, path) = dir();
    drop(open_encrypted(&path));
    let db = Connection::open(&path).unwrap();
    let (sealer, header) =
        Sealer::create_with(Aead::ChaCha20Poly1305, &key(1), provider()).unwrap();
    write_header(&db, &header).map_err(StoreError::from).unwrap();
    Sums::default().write(&db, &sealer).map_err(StoreError::from).unwrap();
    drop(db);

    let mut store = open_encrypted(&path);
    store.write(&row(Table::Tree, 1, 1, b"before")).unwrap();
    store.write(&app("n", "k", Some(b"before"))).unwrap();
    drop(store);
    assert_as_before(&open_encrypted(&path));
}

/// Fails one call of a provider.
struct FailAt {
    calls: AtomicUsize,
    failing: AtomicUsize,
}

impl Hook for FailAt {
    fn before(&self, _: Operation) -> Result<(), CryptoError> {
        if self.calls.fetch_add(1, Relaxed) == self.failing.load(Relaxed) {
            Err(CryptoError::Provider("switched off"))
        } else {
            Ok(())
        }
    }
}

#[test]
fn a_provider_that_fails_leaves_the_store_as_it_was() {
    let (_dir, path) = dir();
    drop(both(&path));
    let path = path.with_file_name("encrypted.db");
    let hook = FailAt { calls: AtomicUsize::new(0), failing: AtomicUsize::new(usize::MAX) };
    let failing = Arc::new(Hooked::new(RustCrypto::new(), hook));
    let with: Arc<dyn CryptoProvider> = failing.clone();
    let mut store = SqliteStore::open_encrypted(&path, &key(1), with.clone()).unwrap();

    let mut set = app("n", "k", Some(b"after"));
    set.merge(app("n", "new", Some(b"after")));
    let mut more = row(Table::Tree, 1, 1, b"after");
    more.batches[0].deleted_epochs.insert(1);
    set.merge(more);
    for rekeys in [false, true] {
        for n in 0.. {
            failing.hook.calls.store(0, Relaxed);
            failing.hook.failing.store(n, Relaxed);
            let result =
                if rekeys { store.rekey(&key(1), with.clone()) } else { store.write(&set) };
            let calls = failing.hook.calls.load(Relaxed);
            failing.hook.failing.store(usize::MAX, Relaxed);

            store.verify().unwrap();
            if calls <= n {
                result.unwrap();
                assert!(n > 5, "the calls of a whole write");
                break;
            }
            let expected = StoreError::Crypto(CryptoError::Provider("switched off"));
            assert_eq!(result, Err(expected));
            if !rekeys {
                assert_as_before(&store);
            }
        }
    }
    assert_eq!(store.get("n", b"new").unwrap().unwrap().expose(), b"after");
}

#[test]
fn the_header_tells_nothing_but_how_the_store_is_sealed() {
    let header = |n| Sealer::create(&key(n), provider()).unwrap().1;
    let [one, two] = [header(1), header(1)];
    assert_ne!(one.salt, two.salt, "one key in two files");
    assert_ne!(one.key_check, two.key_check);
    let Header { aead, salt, key_check } = one;
    assert_eq!((aead, salt.len(), key_check.len()), (Aead::Aes256Gcm as u16, 32, 32));
}
