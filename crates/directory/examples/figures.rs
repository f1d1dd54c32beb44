//! What a directory costs: `cargo run --release -p conclave-directory --example figures --features server`.
//!
//! Numbers of users, changes and epochs can follow as arguments. Everything runs on one core, with records in
//! memory and the portable provider.
#![allow(clippy::print_stdout, clippy::expect_used)]

use conclave_crypto::testing::TestRng;
use conclave_directory::server::{Directory, MemoryRecords, NameKey};
use conclave_directory::{
    Audited, Auditor, Depth, Head, Lookup, Signer, verify_append_only, verify_history,
    verify_lookup,
};
use conclave_mls::crypto::{CryptoProvider, SignatureScheme};
use conclave_mls::wire::codec::Encode;
use conclave_provider_rustcrypto::RustCrypto;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The number of changes in each epoch that is audited.
const CHANGES_PER_EPOCH: u64 = 10;
/// The number of epochs that a client who was away checks at once.
const AWAY: u64 = 200;
const START: u64 = 1_800_000_000;

type Batch = Vec<(Vec<u8>, Head)>;

fn name(user: u64) -> Vec<u8> {
    format!("user-{user}").into_bytes()
}

/// These users' account logs, each with one entry more than in the round before.
fn changes(users: impl Iterator<Item = u64>, length: u64, rng: &mut TestRng) -> Batch {
    let mut head = || {
        let mut hash = [0; 32];
        hash.copy_from_slice(&rng.bytes(32));
        Head { length, hash }
    };
    users.map(|user| (name(user), head())).collect()
}

fn timed<T>(total: &mut Duration, action: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = action();
    *total += begun.elapsed();
    result
}

fn ms(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1000.0 / count as f64
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter_map(|n| n.parse().ok());
    let users: u64 = arguments.next().unwrap_or(100_000);
    let batch: u64 = arguments.next().unwrap_or(1000);
    let epochs: u64 = arguments.next().unwrap_or(10_000);

    let mut rng = TestRng(1);
    let provider: Arc<dyn CryptoProvider> = Arc::new(RustCrypto::new());
    let scheme = SignatureScheme::Ed25519;
    let pair = provider.signature_key_pair(scheme, &mut rng).expect("a key pair");
    let names = NameKey::generate(&mut rng).expect("a key");
    let records = MemoryRecords::new();
    let signer = Signer::new(scheme, pair);
    let directory = Directory::open(records.clone(), Arc::clone(&provider), signer, names, START)
        .expect("a directory");
    let key = Arc::new(directory.key());
    let publish = |batch: &Batch| directory.publish(batch, START).expect("a batch");

    let mut time = Duration::ZERO;
    let all = changes(0..users, 1, &mut rng);
    timed(&mut time, || publish(&all));
    let (rows, bytes) = records.size();
    println!("first batch: {users} users in {:.1} s", time.as_secs_f64());
    println!("storage: {rows} records, {bytes} bytes, {} a user", bytes as u64 / users);

    let mut time = Duration::ZERO;
    let changed = changes((0..batch).map(|n| n * (users / batch)), 2, &mut rng);
    let before = directory.root().expect("a root");
    let after = timed(&mut time, || publish(&changed));
    let grown = records.size().1 - bytes;
    println!("\nbatch of {batch} changes: {:.0} ms, {grown} bytes more stored", ms(time, 1));
    println!("signed root: {} bytes", after.to_bytes().expect("bytes").len());

    let (mut making, mut checking) = (Duration::ZERO, Duration::ZERO);
    let old = before.verify(&*provider, &key).expect("a root");
    let new = after.verify(&*provider, &key).expect("a root");
    let (from, to) = (old.epoch(), new.epoch());
    let proof = timed(&mut making, || directory.append_only(from, to).expect("a proof"));
    timed(&mut checking, || verify_append_only(&*provider, &old, &new, &proof)).expect("it grew");
    println!(
        "its proof: {} bytes, made in {:.0} ms (checked before it is signed), checked in {:.0} ms",
        proof.len(),
        ms(making, 1),
        ms(checking, 1)
    );

    // Versions that are no power of two take one more path.
    let step = users / batch;
    for length in 2..=3 {
        publish(&changes((0..batch).map(|n| 2 + n * step), length, &mut rng));
    }

    println!("\n                 bytes   largest   server ms       again   client ms");
    let lookups = 1000;
    for (what, first, step) in [
        ("version 1", 1, step),
        ("version 2", 0, step),
        ("version 3", 2, step),
        ("no entry", users, 1),
    ] {
        let (mut making, mut again, mut checking) =
            (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let (mut bytes, mut largest) = (0, 0);
        for n in 0..lookups {
            let user = name(first + n % batch * step);
            let page = timed(&mut making, || directory.lookup(&user).expect("a lookup"));
            let same = timed(&mut again, || directory.lookup(&user).expect("a lookup"));
            assert_eq!(page, same);
            // The signature of the root is part of what a contact costs.
            let lookup = timed(&mut checking, || {
                let root = page.root.verify(&*provider, &key).expect("a root");
                verify_lookup(&*provider, &root, &user, &page.proof).expect("a proof")
            });
            assert_eq!(lookup == Lookup::Absent, what == "no entry");
            bytes += page.proof.len();
            largest = largest.max(page.proof.len());
        }
        println!(
            "{what:<14} {:>7} {largest:>9} {:>11.2} {:>11.2} {:>11.2}",
            bytes as u64 / lookups,
            ms(making, lookups),
            ms(again, lookups),
            ms(checking, lookups)
        );
    }

    // A user with twelve versions.
    for length in 2..=12 {
        publish(&changes(1..2, length, &mut rng));
    }
    let (mut making, mut checking) = (Duration::ZERO, Duration::ZERO);
    let user = name(1);
    let page = timed(&mut making, || directory.history(&user, Depth::Complete).expect("a history"));
    let entries = timed(&mut checking, || {
        let root = page.root.verify(&*provider, &key).expect("a root");
        verify_history(&*provider, &root, &user, Depth::Complete, &page.proof).expect("a proof")
    });
    println!(
        "history of {}  {:>7} {:>9} {:>11.2} {:>23.2}",
        entries.len(),
        page.proof.len(),
        page.proof.len(),
        ms(making, 1),
        ms(checking, 1)
    );

    // An audit: every root, one after the other.
    let (mut publishing, mut making, mut checking) =
        (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut bytes = 0;
    let mut auditor = Auditor::new(directory.key());
    let start = directory.root().expect("a root");
    let mut left = start.clone();
    assert_eq!(auditor.step(&*provider, start.clone(), None), Ok(Audited::Extends));
    for n in 0..epochs {
        let some = changes((0..CHANGES_PER_EPOCH).map(|m| n * 7 + m * 977), 20 + n, &mut rng);
        let root = timed(&mut publishing, || publish(&some));
        let (from, to) = (root.epoch - 1, root.epoch);
        let proof = timed(&mut making, || directory.append_only(from, to).expect("a proof"));
        bytes += proof.len();
        if n + AWAY.min(epochs) == epochs {
            left = directory.roots(from).expect("roots").remove(0);
        }
        let audited = timed(&mut checking, || auditor.step(&*provider, root, Some(&proof)));
        assert_eq!(audited, Ok(Audited::Extends));
    }
    println!(
        "\naudit: {epochs} roots of {CHANGES_PER_EPOCH} changes each: {:.2} ms and {} bytes a root \
         to check; {:.2} ms to make, {:.2} ms to publish",
        ms(checking, epochs),
        bytes as u64 / epochs,
        ms(making, epochs),
        ms(publishing, epochs)
    );
    println!("all of them: {:.1} s and {} MB", checking.as_secs_f64(), bytes / 1_000_000);

    // The last epochs in one proof: what a client checks that was away.
    let (mut making, mut checking) = (Duration::ZERO, Duration::ZERO);
    let end = directory.root().expect("a root");
    let old = left.verify(&*provider, &key).expect("a root");
    let new = end.verify(&*provider, &key).expect("a root");
    let (from, to) = (old.epoch(), new.epoch());
    let proof = timed(&mut making, || directory.append_only(from, to).expect("a proof"));
    timed(&mut checking, || verify_append_only(&*provider, &old, &new, &proof)).expect("it grew");
    println!(
        "the last {} in one proof: {} bytes, made in {:.0} ms, checked in {:.0} ms",
        to - from,
        proof.len(),
        ms(making, 1),
        ms(checking, 1)
    );
}
