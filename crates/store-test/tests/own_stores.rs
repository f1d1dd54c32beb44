//! The stores of `conclave-store` conform.
#![allow(clippy::unwrap_used)]

use conclave_crypto::testing::{Hook, Hooked, Operation};
use conclave_provider_rustcrypto::RustCrypto;
use conclave_store::{MemoryStore, Secret, SqliteStore, Store, StoreError, WriteSet};
use conclave_store_test::{Place, Report, check, report_place};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tempfile::TempDir;

type CryptoError = conclave_crypto::CryptoError;

/// A folder with a store, in plaintext or encrypted.
struct Folder {
    dir: TempDir,
    provider: Option<Arc<Hooked<RustCrypto, FailAt>>>,
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

impl Folder {
    fn plaintext() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), provider: None }
    }

    fn encrypted() -> Self {
        let hook = FailAt { calls: AtomicUsize::new(0), failing: AtomicUsize::new(usize::MAX) };
        let provider = Arc::new(Hooked::new(RustCrypto::new(), hook));
        Self { dir: tempfile::tempdir().unwrap(), provider: Some(provider) }
    }

    fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.dir.path()).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }
}

impl Place for Folder {
    type Store = SqliteStore;

    fn open(&self) -> Result<SqliteStore, StoreError> {
        let path = self.dir.path().join("state.db");
        match &self.provider {
            Some(provider) => {
                SqliteStore::open_encrypted(path, &Secret::new(vec![7; 32]), provider.clone())
            }
            None => SqliteStore::open(path),
        }
    }

    fn crash(&self, _: &SqliteStore) -> Option<Self> {
        let copy = Self { dir: tempfile::tempdir().unwrap(), provider: self.provider.clone() };
        for file in self.files() {
            // The index of the log is not read after a crash.
            if !file.ends_with("state.db-shm") {
                std::fs::copy(&file, copy.dir.path().join(file.file_name().unwrap())).unwrap();
            }
        }
        Some(copy)
    }

    /// The provider fails at its first, second … call.
    fn failing_write(
        &self,
        store: &mut SqliteStore,
        set: &WriteSet,
        way: usize,
    ) -> Option<Result<(), StoreError>> {
        let hook = &self.provider.as_ref()?.hook;
        hook.calls.store(0, Relaxed);
        hook.failing.store(way, Relaxed);
        let result = store.write(set);
        let has_failed = hook.calls.load(Relaxed) > way;
        hook.failing.store(usize::MAX, Relaxed);
        has_failed.then_some(result)
    }

    fn bytes_at_rest(&self) -> Option<Vec<u8>> {
        Some(self.files().iter().flat_map(|file| std::fs::read(file).unwrap()).collect())
    }

    fn is_encrypted(&self) -> bool {
        self.provider.is_some()
    }
}

fn assert_passed(report: &Report, left_out: &[&str]) {
    assert_eq!(report.failed, [], "{report}");
    assert_eq!(report.left_out, left_out);
}

#[test]
fn the_memory_store_conforms() {
    check(MemoryStore::new);
}

#[test]
fn the_plaintext_sqlite_store_conforms() {
    assert_passed(
        &report_place(Folder::plaintext),
        &[
            "a write that fails leaves nothing, or says that it may have",
            "no value is at rest in the clear",
        ],
    );
}

#[test]
fn the_encrypted_sqlite_store_conforms() {
    assert_passed(
        &report_place(Folder::encrypted),
        &["values that were deleted or replaced are gone"],
    );
}
