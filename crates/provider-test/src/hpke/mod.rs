//! KEMs and HPKE's base and PSK modes.

mod known_answers;

use crate::checks::Checks;
use crate::vectors::{INVALID_PRIVATE_KEY, INVALID_PUBLIC_KEY, secret};
use conclave_crypto::hpke::{self, Psk, SharedInfo};
use conclave_crypto::testing::TestRng;
use conclave_crypto::{
    CryptoError, HpkeKeyPair, HpkePrivateKey, Kem, KemParts, PqSuite, SealItem, Secret,
    SuiteParams, kem,
};
use conclave_wire::{CipherSuite, HpkeCiphertext, HpkePublicKey};

pub(crate) fn run(c: &mut Checks<'_>) {
    for kem in Kem::ALL.iter().copied() {
        if c.begin_if(c.provider.has_kem(kem), kem) {
            lengths_and_determinism(c, kem);
            if kem.is_post_quantum() {
                damaged_encapsulations(c, kem);
                wrong_lengths(c, kem);
                coefficients_over_the_modulus(c, kem);
            }
            if let KemParts::Hybrid(_) = kem.parts() {
                traditional_part_of_low_order(c, kem);
            }
        }
    }
    scalars_out_of_range(c);

    known_answers::run(c);
    suites_round_trip(c);
}

/// A key pair, an encapsulation to it, and the secret in it.
struct Exchange {
    pair: HpkeKeyPair,
    encapsulation: Vec<u8>,
    shared: Secret,
}

fn exchange(c: &mut Checks<'_>, kem: Kem, seed: u64) -> Option<Exchange> {
    let p = c.provider;
    let mut rng = TestRng(seed);
    let pair = kem::derive_key_pair(p, kem, &Secret::random(kem.seed_len(), &mut rng));
    let pair = c.ok(format_args!("deriving a key pair"), pair)?;
    let made = kem::encap(p, kem, &pair.public, &Secret::random(kem.encap_seed_len(), &mut rng));
    let (encapsulation, shared) = c.ok(format_args!("encapsulating"), made)?;
    Some(Exchange { pair, encapsulation, shared })
}

fn lengths_and_determinism(c: &mut Checks<'_>, kem: Kem) {
    let p = c.provider;
    let Some(e) = exchange(c, kem, 30) else { return };
    let Some(again) = exchange(c, kem, 30) else { return };
    let Some(other) = exchange(c, kem, 31) else { return };

    c.equal(format_args!("the length of a secret"), e.shared.len(), kem.secret_len());
    let length = e.encapsulation.len();
    c.equal(format_args!("the length of an encapsulation"), length, kem.encapsulation_len());
    c.equal(format_args!("the length of a public key"), e.pair.public.len(), kem.public_key_len());
    c.equal(format_args!("the length of a private key"), e.pair.private.0.len(), kem.seed_len());

    let public = kem::public_key(p, kem, &e.pair.private);
    c.equal(format_args!("the public key of a private key"), public, Ok(e.pair.public.clone()));
    let valid = kem::validate_public_key(p, kem, &e.pair.public);
    c.equal(format_args!("validating a public key"), valid, Ok(()));
    let opened = kem::decap(p, kem, &e.pair, &e.encapsulation);
    c.equal(format_args!("decapsulating"), opened, Ok(e.shared.clone()));

    c.equal(format_args!("a key pair of the same secret"), again.pair, e.pair.clone());
    let same = (again.encapsulation, again.shared);
    let first = (e.encapsulation.clone(), e.shared.clone());
    c.equal(format_args!("an encapsulation with the same randomness"), same, first);
    c.differs(format_args!("a key pair of another secret"), other.pair.clone(), e.pair.clone());
    let randomness = secret(&vec![0x55; kem.encap_seed_len()]);
    let made = kem::encap(p, kem, &e.pair.public, &randomness);
    let first = Ok((e.encapsulation.clone(), e.shared.clone()));
    c.differs(format_args!("an encapsulation with other randomness"), made, first);
    let opened = kem::decap(p, kem, &other.pair, &e.encapsulation);
    c.differs(format_args!("decapsulating with another key"), opened, Ok(e.shared));
}

/// The length of the ML-KEM part of an encapsulation.
fn ml_kem_len(kem: Kem) -> usize {
    match kem.parts() {
        KemParts::MlKem(ml_kem) => ml_kem.ciphertext_len(),
        KemParts::Hybrid(hybrid) => hybrid.ml_kem.ciphertext_len(),
        KemParts::Dh { .. } => 0,
    }
}

/// FIPS 203's implicit rejection: an attacker who damages an encapsulation learns nothing from the KEM.
fn damaged_encapsulations(c: &mut Checks<'_>, kem: Kem) {
    let p = c.provider;
    let Some(e) = exchange(c, kem, 32) else { return };
    let pq = ml_kem_len(kem);
    for at in [0, 1, 500, pq - 1] {
        let mut damaged = e.encapsulation.clone();
        damaged[at] ^= 1;
        let found = kem::decap(p, kem, &e.pair, &damaged);
        let found = c.ok(format_args!("an encapsulation damaged at {at}"), found);
        let shared = Some(e.shared.clone());
        c.differs(format_args!("the secret of an encapsulation damaged at {at}"), found, shared);
    }
    // The point of a hybrid becomes another one, or none.
    for at in pq..e.encapsulation.len() {
        let mut damaged = e.encapsulation.clone();
        damaged[at] ^= 1;
        let found = kem::decap(p, kem, &e.pair, &damaged);
        c.differs(format_args!("an encapsulation damaged at {at}"), found, Ok(e.shared.clone()));
    }
}

fn wrong_lengths(c: &mut Checks<'_>, kem: Kem) {
    let p = c.provider;
    let Some(e) = exchange(c, kem, 34) else { return };
    let resized = |bytes: &[u8], n: usize| {
        let mut bytes = bytes.to_vec();
        bytes.resize(n, 0);
        bytes
    };
    let seed = secret(&vec![7; kem.encap_seed_len()]);

    let n = e.pair.public.len();
    for len in [0, 1, 31, 32, 65, 97, 1088, 1184, n - 1, n + 1, n + 32] {
        if len == n {
            continue;
        }
        let public: HpkePublicKey = resized(&e.pair.public, len).into();
        let at = format_args!("a public key of {len} bytes");
        c.equal(at, kem::validate_public_key(p, kem, &public), Err(INVALID_PUBLIC_KEY));
        c.equal(at, kem::encap(p, kem, &public, &seed), Err(INVALID_PUBLIC_KEY));
    }

    let n = e.encapsulation.len();
    for len in [0, 1, 32, 1087, 1089, 1119, 1567, 1569, n - 1, n + 1] {
        if len == n {
            continue;
        }
        let found = kem::decap(p, kem, &e.pair, &resized(&e.encapsulation, len));
        let errors = [CryptoError::OpenFailed, INVALID_PUBLIC_KEY];
        c.refused(format_args!("an encapsulation of {len} bytes"), found, &errors);
    }

    for len in [0, 1, 31, 33, 63, 65, 96, 128] {
        let private = HpkePrivateKey(secret(&vec![7; len]));
        let at = format_args!("a private key of {len} bytes");
        c.equal(at, kem::public_key(p, kem, &private), Err(INVALID_PRIVATE_KEY));
        let pair = HpkeKeyPair { private, public: e.pair.public.clone() };
        c.equal(at, kem::decap(p, kem, &pair, &e.encapsulation), Err(INVALID_PRIVATE_KEY));
    }

    for len in [0, 31, 33, 63, 65, 79, 159, 161] {
        let found = kem::encap(p, kem, &e.pair.public, &secret(&vec![7; len]));
        let at = format_args!("randomness of {len} bytes");
        c.equal(at, found, Err(CryptoError::InvalidLength));
    }
}

/// FIPS 203 section 7.2: each coefficient, of twelve bits, is below 3329.
fn coefficients_over_the_modulus(c: &mut Checks<'_>, kem: Kem) {
    let p = c.provider;
    let Some(e) = exchange(c, kem, 35) else { return };
    let seed = secret(&vec![1; kem.encap_seed_len()]);
    let last = match kem {
        Kem::MlKem1024 | Kem::MlKem1024P384 => 1536 - 3,
        _ => 1152 - 3,
    };
    for at in [0, 3 * 100, last] {
        for (coefficient, valid) in [(0, true), (3328, true), (3329, false), (4095, false)] {
            for odd in [false, true] {
                let mut bytes = e.pair.public.to_vec();
                let [low, high] = u16::to_le_bytes(coefficient);
                if odd {
                    bytes[at + 1] = (bytes[at + 1] & 0x0f) | (low << 4);
                    bytes[at + 2] = (low >> 4) | (high << 4);
                } else {
                    bytes[at] = low;
                    bytes[at + 1] = (bytes[at + 1] & 0xf0) | high;
                }
                let public: HpkePublicKey = bytes.into();
                let case = format_args!("a coefficient of {coefficient} near byte {at}");
                let expected = valid.then_some(()).ok_or(INVALID_PUBLIC_KEY);
                c.equal(case, kem::validate_public_key(p, kem, &public), expected);
                c.equal(case, kem::encap(p, kem, &public, &seed).map(drop), expected);
            }
        }
    }
}

/// As in DHKEM: a member with such a key, or a sender of such a share, would void the traditional part.
fn traditional_part_of_low_order(c: &mut Checks<'_>, kem: Kem) {
    let p = c.provider;
    let KemParts::Hybrid(parts) = kem.parts() else { return };
    let Some(e) = exchange(c, kem, 36) else { return };
    let zeros = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let start = bytes.len() - parts.group.public_key_len();
        bytes[start..].fill(0);
        bytes
    };
    let error = match kem {
        Kem::MlKem768X25519 => CryptoError::InvalidSharedSecret,
        _ => INVALID_PUBLIC_KEY,
    };

    let public: HpkePublicKey = zeros(&e.pair.public).into();
    let at = format_args!("a public key with a traditional part of zeros");
    c.equal(at, kem::validate_public_key(p, kem, &public), Err(INVALID_PUBLIC_KEY));
    let seed = secret(&vec![7; kem.encap_seed_len()]);
    c.equal(at, kem::encap(p, kem, &public, &seed), Err(error));
    let found = kem::decap(p, kem, &e.pair, &zeros(&e.encapsulation));
    c.equal(format_args!("an encapsulation with a traditional part of zeros"), found, Err(error));
}

/// RandomScalar of the hybrids takes the first candidate in range, and fails if there is none.
fn scalars_out_of_range(c: &mut Checks<'_>) {
    let p = c.provider;
    let kem = Kem::MlKem768P256;
    if !p.has_kem(kem) || !c.begin(kem) {
        return;
    }
    let Some(e) = exchange(c, kem, 37) else { return };
    let encap = |candidates: [u8; 4]| {
        let mut seed = vec![9; 32];
        seed.extend(candidates.iter().flat_map(|byte| [*byte; 32]));
        kem::encap(p, kem, &e.pair.public, &secret(&seed))
    };
    let first = encap([5, 6, 7, 8]);
    for candidates in [[0xff, 0, 5, 8], [0, 0xff, 0xff, 5]] {
        let at = format_args!("the scalar of the candidates {candidates:02x?}");
        c.equal(at, encap(candidates), first.clone());
    }
    c.differs(format_args!("another first candidate"), encap([6, 5, 5, 5]), first);
    let failed = Err(CryptoError::KeyDerivationFailed);
    c.equal(format_args!("no candidate in range"), encap([0xff, 0, 0, 0xff]), failed);
}

/// What is sealed opens, and nothing else does.
fn suites_round_trip(c: &mut Checks<'_>) {
    let p = c.provider;
    let post_quantum = PqSuite::ALL.map(|suite| suite.params(CipherSuite(0xf000)));
    for suite in SuiteParams::REGISTERED.into_iter().chain(post_quantum) {
        let SuiteParams { kem, kdf, aead, .. } = suite;
        let has = p.has_kem(kem) && p.has_kdf(kdf) && p.has_aead(aead);
        if !has || !c.begin(suite.name) {
            continue;
        }

        let Some(e) = exchange(c, kem, 40) else { continue };
        let Some(other) = exchange(c, kem, 41) else { continue };
        let info = SharedInfo::new(p, &suite, b"info");
        let Some(info) = c.ok(format_args!("an info"), info) else { continue };
        let other_info = SharedInfo::new(p, &suite, b"other");
        let Some(other_info) = c.ok(format_args!("another info"), other_info) else { continue };

        let seed = secret(&vec![7; kem.encap_seed_len()]);
        for n in [0, 32, 100] {
            let plaintext = vec![3; n];
            let item = SealItem { public_key: &e.pair.public, plaintext: &plaintext, seed: &seed };
            let sealed = hpke::seal(p, &suite, &info, &item);
            let Some(sealed) = c.ok(format_args!("sealing {n} bytes"), sealed) else { continue };
            let opened = hpke::open(p, &suite, &info, &e.pair, &sealed);
            c.equal(format_args!("opening {n} bytes"), opened, Ok(secret(&plaintext)));

            let failed = [CryptoError::OpenFailed];
            let opened = hpke::open(p, &suite, &other_info, &e.pair, &sealed);
            c.refused(format_args!("opening {n} bytes with another info"), opened, &failed);
            let opened = hpke::open(p, &suite, &info, &other.pair, &sealed);
            c.refused(format_args!("opening {n} bytes with another key"), opened, &failed);
            let mut damaged = sealed.clone();
            damaged.ciphertext = [&sealed.ciphertext[1..], &[0]].concat().into();
            let opened = hpke::open(p, &suite, &info, &e.pair, &damaged);
            c.refused(format_args!("opening {n} bytes, damaged"), opened, &failed);
            damaged.kem_output = sealed.kem_output[1..].to_vec().into();
            let opened = hpke::open(p, &suite, &info, &e.pair, &damaged);
            let errors = [CryptoError::OpenFailed, INVALID_PUBLIC_KEY];
            c.refused(format_args!("opening {n} bytes, a short kem_output"), opened, &errors);
        }

        let sent = hpke::export_to(p, &suite, &e.pair.public, &seed, b"context", 32);
        let Some((kem_output, exported)) = c.ok(format_args!("exporting"), sent) else { continue };
        let received = hpke::export_from(p, &suite, &e.pair, &kem_output, b"context", 32);
        c.equal(format_args!("the exported secret"), received, Ok(exported.clone()));
        let received = hpke::export_from(p, &suite, &e.pair, &kem_output, b"other", 32);
        c.differs(format_args!("a secret exported in another context"), received, Ok(exported));

        psk_round_trip(c, &suite, &e.pair);
    }
}

/// In the PSK mode, what is sealed opens with the same PSK, name, info and associated data, and with no
/// other.
fn psk_round_trip(c: &mut Checks<'_>, suite: &SuiteParams, pair: &HpkeKeyPair) {
    let p = c.provider;
    let (key, other) = (secret(&[1; 32]), secret(&[2; 32]));
    let psk = Psk { psk: &key, id: b"name" };
    let seed = secret(&vec![7; suite.kem.encap_seed_len()]);
    let item = SealItem { public_key: &pair.public, plaintext: b"plaintext", seed: &seed };
    let seal = |psk: &Psk<'_>| hpke::seal_psk(p, suite, psk, b"info", b"aad", &item);
    let Some(sealed) = c.ok(format_args!("sealing with a PSK"), seal(&psk)) else { return };
    let open = |psk: &Psk<'_>, info: &[u8], aad: &[u8]| {
        let HpkeCiphertext { kem_output, ciphertext } = &sealed;
        hpke::open_psk(p, suite, psk, info, aad, pair, kem_output, ciphertext)
    };

    let opened = open(&psk, b"info", b"aad");
    c.equal(format_args!("opening with a PSK"), opened, Ok(secret(b"plaintext")));
    let failed = [CryptoError::OpenFailed];
    for (what, opened) in [
        ("another PSK", open(&Psk { psk: &other, ..psk }, b"info", b"aad")),
        ("a PSK of another name", open(&Psk { id: b"other", ..psk }, b"info", b"aad")),
        ("another info", open(&psk, b"other", b"aad")),
        ("other associated data", open(&psk, b"info", b"other")),
        ("the base mode", base_open(c, suite, pair, &sealed)),
    ] {
        c.refused(format_args!("opening with a PSK and {what}"), opened, &failed);
    }

    let none = secret(&[]);
    for psk in [Psk { psk: &none, ..psk }, Psk { id: b"", ..psk }] {
        let empty = [CryptoError::InvalidLength];
        c.refused(format_args!("sealing with an empty PSK or name"), seal(&psk), &empty);
        let opened = open(&psk, b"info", b"aad");
        c.refused(format_args!("opening with an empty PSK or name"), opened, &empty);
    }
}

fn base_open(
    c: &Checks<'_>,
    suite: &SuiteParams,
    pair: &HpkeKeyPair,
    sealed: &HpkeCiphertext,
) -> Result<Secret, CryptoError> {
    let info = SharedInfo::new(c.provider, suite, b"info")?;
    hpke::open(c.provider, suite, &info, pair, sealed)
}
