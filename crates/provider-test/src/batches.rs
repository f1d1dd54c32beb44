//! Batch operations: the results and the first failure are those of a loop. The batches are large enough for
//! a provider to spread them over threads.

use crate::checks::Checks;
use crate::signatures::key_pair;
use crate::vectors::{INVALID_PUBLIC_KEY, secret};
use conclave_crypto::hpke::{self, SharedInfo};
use conclave_crypto::testing::TestRng;
use conclave_crypto::{
    CryptoError, Hash, Kem, PqSuite, SealItem, Secret, SignatureScheme, SuiteParams, VerifyItem,
    kem,
};
use conclave_wire::{CipherSuite, HpkePublicKey};

pub(crate) fn run(c: &mut Checks<'_>) {
    for scheme in SignatureScheme::ALL.iter().copied() {
        if c.begin_if(c.provider.has_signature(scheme), scheme) {
            verifying(c, scheme);
        }
    }
    for hash in Hash::ALL.iter().copied() {
        if c.begin_if(c.provider.has_hash(hash), hash) {
            hashing(c, hash);
        }
    }

    let hybrid = PqSuite::MlKem768X25519Aes128Ed25519.params(CipherSuite(0xf000));
    for suite in [SuiteParams::REGISTERED[0], SuiteParams::REGISTERED[1], hybrid] {
        let p = c.provider;
        let has = p.has_kem(suite.kem) && p.has_kdf(suite.kdf) && p.has_aead(suite.aead);
        if c.begin_if(has, suite.name) {
            deriving_and_sealing(c, &suite);
        }
    }
    let suite_1 = &SuiteParams::REGISTERED[0];
    if c.provider.has_kem(Kem::DhX25519) && c.begin(suite_1.name) {
        sealing_to_bad_keys(c, suite_1);
    }
}

/// The first bad signature of a batch is named, wherever it is.
fn verifying(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let p = c.provider;
    let n = if scheme == SignatureScheme::Ed25519 { 100 } else { 24 };
    let Some(pair) = key_pair(c, scheme, 9) else { return };
    let messages: Vec<[u8; 1]> = (0..n).map(|i| [i as u8]).collect();
    let mut signatures = Vec::new();
    for message in &messages {
        let signature = p.sign(scheme, &pair, message);
        let Some(signature) = c.ok(format_args!("signing"), signature) else { return };
        signatures.push(signature);
    }

    let half = n / 2;
    let bad_ones: [&[usize]; 7] =
        [&[], &[0], &[n - 1], &[half, n - 2], &[13, 14, 15, n - 3], &[half - 1], &[half + 1, half]];
    for bad in bad_ones {
        let items: Vec<VerifyItem<'_>> = (0..n)
            .map(|i| VerifyItem {
                public_key: &pair.public,
                message: &messages[if bad.contains(&i) { (i + 1) % n } else { i }],
                signature: &signatures[i],
            })
            .collect();
        let expected = bad.iter().min().copied().map_or(Ok(()), Err);
        let found = p.verify_many(scheme, &items);
        c.equal(format_args!("{n} signatures, {bad:?} of them bad"), found, expected);
    }
    c.equal(format_args!("no signatures"), p.verify_many(scheme, &[]), Ok(()));

    let other = key_pair(c, scheme, 10).map(|pair| pair.public);
    let Some(other) = other else { return };
    let items: Vec<VerifyItem<'_>> = (0..n)
        .map(|i| VerifyItem {
            public_key: if i == half { &other } else { &pair.public },
            message: &messages[i],
            signature: &signatures[i],
        })
        .collect();
    let found = p.verify_many(scheme, &items);
    c.equal(format_args!("{n} signatures, one with another key"), found, Err(half));
}

fn hashing(c: &mut Checks<'_>, hash: Hash) {
    let p = c.provider;
    let large = TestRng(15).bytes(100_000);
    let inputs: Vec<&[u8]> = (0..100).map(|i| &large[i * 10..(i + 1) * 500]).collect();
    let hashes = p.hash_many(hash, &inputs);
    let Some(hashes) = c.ok(format_args!("hash_many"), hashes) else { return };
    c.equal(format_args!("the number of hashes"), hashes.len(), inputs.len());
    for (i, (input, found)) in inputs.iter().zip(hashes).enumerate() {
        c.equal(format_args!("hash {i} of a batch"), Ok(found), p.hash(hash, &[input]));
    }
    let none = p.hash_many(hash, &[]).map(|hashes| hashes.len());
    c.equal(format_args!("no inputs"), none, Ok(0));
}

fn deriving_and_sealing(c: &mut Checks<'_>, suite: &SuiteParams) {
    const N: usize = 200;
    let p = c.provider;
    let mut rng = TestRng(15);
    let mut secrets =
        |n: usize| -> Vec<Secret> { (0..N).map(|_| Secret::random(n, &mut rng)).collect() };
    let ikms = secrets(suite.kem.seed_len());
    let seeds = secrets(suite.kem.encap_seed_len());

    let pairs = kem::derive_key_pairs(p, suite.kem, &ikms);
    let Some(pairs) = c.ok(format_args!("derive_many"), pairs) else { return };
    c.equal(format_args!("the number of key pairs"), pairs.len(), N);
    for (i, (ikm, found)) in ikms.iter().zip(&pairs).enumerate() {
        let alone = kem::derive_key_pair(p, suite.kem, ikm);
        c.equal(format_args!("key pair {i} of a batch"), Ok(found.clone()), alone);
    }
    let none = kem::derive_key_pairs(p, suite.kem, &[]).map(|pairs| pairs.len());
    c.equal(format_args!("no key pairs"), none, Ok(0));

    let info = SharedInfo::new(p, suite, b"info");
    let Some(info) = c.ok(format_args!("an info"), info) else { return };
    let plaintexts: Vec<[u8; 2]> = (0..N).map(|i| [i as u8, 0]).collect();
    let items: Vec<SealItem<'_>> = (0..N)
        .map(|i| SealItem {
            public_key: &pairs[i].public,
            plaintext: &plaintexts[i],
            seed: &seeds[i],
        })
        .collect();
    let sealed = hpke::seal_many(p, suite, &info, &items);
    let Some(sealed) = c.ok(format_args!("seal_many"), sealed) else { return };
    c.equal(format_args!("the number of ciphertexts"), sealed.len(), N);
    for (i, (item, found)) in items.iter().zip(sealed).enumerate() {
        let alone = hpke::seal(p, suite, &info, item);
        c.equal(format_args!("ciphertext {i} of a batch"), Ok(found), alone);
    }
    let none = hpke::seal_many(p, suite, &info, &[]).map(|sealed| sealed.len());
    c.equal(format_args!("no ciphertexts"), none, Ok(0));
}

/// The error of a batch is that of the first recipient that fails.
fn sealing_to_bad_keys(c: &mut Checks<'_>, suite: &SuiteParams) {
    let p = c.provider;
    let seed = secret(&[1; 32]);
    let good = kem::derive_key_pair(p, suite.kem, &seed).map(|pair| pair.public);
    let Some(good) = c.ok(format_args!("a key pair"), good) else { return };
    let info = SharedInfo::new(p, suite, b"");
    let Some(info) = c.ok(format_args!("an info"), info) else { return };

    let short: HpkePublicKey = vec![1].into();
    let zero: HpkePublicKey = vec![0; 32].into();
    for (first, second, error) in
        [(&short, &zero, INVALID_PUBLIC_KEY), (&zero, &short, CryptoError::InvalidSharedSecret)]
    {
        let key = |i| match i {
            90 => first,
            150 => second,
            _ => &good,
        };
        let items: Vec<SealItem<'_>> = (0..200)
            .map(|i| SealItem { public_key: key(i), plaintext: &[], seed: &seed })
            .collect();
        let found = hpke::seal_many(p, suite, &info, &items).map(|sealed| sealed.len());
        c.equal(format_args!("two bad recipients of a batch"), found, Err(error));
    }
}
