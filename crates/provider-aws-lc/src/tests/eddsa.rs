//! Signatures that implementations of EdDSA are known to disagree on: both providers accept exactly
//! the same ones, as documented at `verify`.

use super::{TestRng, providers};
use crate::AwsLc;
use conclave_crypto::{CryptoError, CryptoProvider, SignatureScheme, VerifyItem};
use conclave_wire::SignaturePublicKey;

/// Checks that both providers accept, or both refuse, a signature: alone, and as one of a batch of
/// honest ones.
fn check(scheme: SignatureScheme, key: &[u8], message: &[u8], signature: &[u8], accept: bool) {
    let key = key.to_vec().into();
    let honest = honest(scheme);
    let mut batch: Vec<_> =
        honest.iter().map(|(key, signature)| item(key, HONEST, signature)).collect();
    let crafted = batch.len() / 2;
    batch.insert(crafted, item(&key, message, signature));
    for provider in providers() {
        let result = provider.verify(scheme, &key, message, signature);
        let at = format!("{} {scheme:?} {key:?} {signature:02x?}", provider.name());
        assert_eq!(result.is_ok(), accept, "{at}: {result:?}");
        let result = provider.verify_many(scheme, &batch);
        assert_eq!(result, if accept { Ok(()) } else { Err(crafted) }, "{at}, in a batch");
    }
}

const HONEST: &[u8] = b"what honest signers sign";

/// Keys and signatures of [`HONEST`].
fn honest(scheme: SignatureScheme) -> Vec<(SignaturePublicKey, Vec<u8>)> {
    let provider = AwsLc::with_threads(1);
    let mut rng = TestRng(99);
    let mut sign = |_| {
        let pair = provider.signature_key_pair(scheme, &mut rng).unwrap();
        let signature = provider.sign(scheme, &pair, HONEST).unwrap();
        (pair.public, signature)
    };
    (0..6).map(&mut sign).collect()
}

fn item<'a>(
    public_key: &'a SignaturePublicKey,
    message: &'a [u8],
    signature: &'a [u8],
) -> VerifyItem<'a> {
    VerifyItem { public_key, message, signature }
}

/// Adds a little-endian number to another.
fn add(a: &mut [u8], b: &[u8]) {
    let mut carry = 0;
    for (i, a) in a.iter_mut().enumerate() {
        carry += u16::from(*a) + u16::from(b.get(i).copied().unwrap_or(0));
        *a = carry as u8;
        carry >>= 8;
    }
}

mod ed25519 {
    use super::*;
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use sha2::{Digest, Sha512};

    const SCHEME: SignatureScheme = SignatureScheme::Ed25519;
    /// 2^252 + 27742317777372353535851937790883648493, in little-endian order.
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    /// 2^255 - 19, in little-endian order.
    const P: [u8; 32] = {
        let mut p = [0xff; 32];
        p[0] = 0xed;
        p[31] = 0x7f;
        p
    };

    fn scalar(rng: &mut TestRng) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&rng.bytes(64).try_into().unwrap())
    }

    fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
        let hash = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize();
        Scalar::from_bytes_mod_order_wide(&hash.into())
    }

    /// The signature `(r, [k]a + nonce)`, whatever the encodings claim to be.
    fn sign(a: Scalar, nonce: Scalar, r: [u8; 32], key: [u8; 32], message: &[u8]) -> [u8; 64] {
        let s = nonce + challenge(&r, &key, message) * a;
        [r, s.to_bytes()].concat().try_into().unwrap()
    }

    fn encode(point: EdwardsPoint) -> [u8; 32] {
        point.compress().to_bytes()
    }

    #[test]
    fn what_the_crafter_makes_is_valid_without_tricks() {
        let mut rng = TestRng(1);
        for _ in 0..10 {
            let (a, nonce) = (scalar(&mut rng), scalar(&mut rng));
            let (key, r) = (encode(a * B), encode(nonce * B));
            check(SCHEME, &key, b"message", &sign(a, nonce, r, key, b"message"), true);
        }
    }

    #[test]
    fn s_that_is_not_below_the_order_is_refused() {
        let mut rng = TestRng(2);
        let (a, nonce) = (scalar(&mut rng), scalar(&mut rng));
        let (key, r) = (encode(a * B), encode(nonce * B));
        let mut signature = sign(a, nonce, r, key, b"message");
        for _ in 0..14 {
            add(&mut signature[32..], &ORDER);
            check(SCHEME, &key, b"message", &signature, false);
        }
    }

    /// With such a key, a signature with S = 0 or R = [S]B verifies for many messages.
    #[test]
    fn keys_of_small_order_and_encodings_not_canonical_are_refused() {
        let mut keys: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|t| encode(*t)).collect();
        // All encodings of y-coordinates of p and above, the small orders' among them.
        for y in 0..19 {
            let mut key = P;
            add(&mut key, &[y]);
            keys.push(key);
        }
        for mut key in keys {
            for sign_bit in [0, 0x80] {
                key[31] = key[31] & 0x7f | sign_bit;
                for message in [[0], [1], [2], [3], [4], [5], [6], [7]] {
                    for r in [encode(B), encode(EIGHT_TORSION[0]), key] {
                        let mut signature = [0; 64];
                        signature[..32].copy_from_slice(&r);
                        signature[32] = u8::from(r == encode(B));
                        check(SCHEME, &key, &message, &signature, false);
                        let refused = CryptoError::InvalidPublicKey;
                        for p in providers() {
                            let result =
                                p.verify(SCHEME, &key.to_vec().into(), &message, &signature);
                            assert_eq!(result, Err(refused), "{}", p.name());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn r_of_small_order_is_accepted_in_its_canonical_encoding_only() {
        let mut rng = TestRng(3);
        let a = scalar(&mut rng);
        let key = encode(a * B);
        let identity = encode(EIGHT_TORSION[0]);
        let mut negative_zero = identity;
        negative_zero[31] |= 0x80;
        let mut above_p = P;
        add(&mut above_p, &[1]);
        let mut both = above_p;
        both[31] |= 0x80;
        for r in [negative_zero, above_p, both] {
            check(SCHEME, &key, b"m", &sign(a, Scalar::ZERO, r, key, b"m"), false);
        }
        for torsion in &EIGHT_TORSION {
            check(SCHEME, &key, b"m", &sign(a, Scalar::ZERO, encode(*torsion), key, b"m"), true);
        }
    }

    /// The equation without the cofactor holds for few of these, and in a batch it would hold or
    /// fail by chance.
    #[test]
    fn torsion_components_are_accepted_wherever_they_stand() {
        let mut rng = TestRng(4);
        for i in 0..64_u8 {
            let (a, nonce) = (scalar(&mut rng), scalar(&mut rng));
            let in_key = EIGHT_TORSION[usize::from(i % 8)];
            let in_r = EIGHT_TORSION[usize::from(i / 8)];
            let (key, r) = (encode(a * B + in_key), encode(nonce * B + in_r));
            check(SCHEME, &key, &[i], &sign(a, nonce, r, key, &[i]), true);
            // A wrong nonce, so that it is not the equation that holds for everything.
            check(SCHEME, &key, &[i], &sign(a, nonce + Scalar::ONE, r, key, &[i]), false);
        }
    }

    /// Two signatures whose errors cancel in a sum with equal weights.
    #[test]
    fn signatures_that_are_right_only_in_their_sum_are_refused() {
        let mut rng = TestRng(6);
        let (a, nonce, error) = (scalar(&mut rng), scalar(&mut rng), scalar(&mut rng));
        let (key, r) = (encode(a * B), encode(nonce * B));
        let public_key = key.to_vec().into();
        let over = sign(a, nonce + error, r, key, b"one");
        let under = sign(a, nonce - error, r, key, b"two");
        let right = sign(a, nonce, r, key, b"right");
        let mut items = vec![item(&public_key, b"right", &right); 20];
        items[7] = item(&public_key, b"one", &over);
        items[8] = item(&public_key, b"two", &under);
        for p in providers() {
            assert_eq!(p.verify_many(SCHEME, &items), Err(7), "{}", p.name());
        }
    }

    #[test]
    fn keys_that_are_no_points_are_refused() {
        let mut rng = TestRng(5);
        for i in 0..50 {
            let key = rng.bytes(32);
            check(SCHEME, &key, &[i], &rng.bytes(64), false);
        }
    }
}

mod ed448 {
    use super::*;
    use crrl::ed448::{Point, Scalar};
    use shake::Shake256;
    use shake::digest::{ExtendableOutput, Update, XofReader};

    const SCHEME: SignatureScheme = SignatureScheme::Ed448;
    /// 2^446 - 13818066809895115352007386748515426880336692474882178609894547503885, in
    /// little-endian order.
    const ORDER: [u8; 57] = [
        0xf3, 0x44, 0x58, 0xab, 0x92, 0xc2, 0x78, 0x23, 0x55, 0x8f, 0xc5, 0x8d, 0x72, 0xc2, 0x6c,
        0x21, 0x90, 0x36, 0xd6, 0xae, 0x49, 0xdb, 0x4e, 0xc4, 0xe9, 0x23, 0xca, 0x7c, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0,
    ];
    /// 2^448 - 2^224 - 1, in little-endian order, as a y-coordinate.
    const P: [u8; 57] = {
        let mut p = [0xff; 57];
        p[28] = 0xfe;
        p[56] = 0;
        p
    };

    fn scalar(rng: &mut TestRng) -> Scalar {
        Scalar::decode_reduce(&rng.bytes(114))
    }

    fn sign(a: Scalar, nonce: Scalar, r: [u8; 57], key: [u8; 57], message: &[u8]) -> [u8; 114] {
        let mut k = [0; 114];
        let hash = Shake256::default().chain(b"SigEd448\0\0").chain(r).chain(key).chain(message);
        hash.finalize_xof().read(&mut k);
        let s = nonce + Scalar::decode_reduce(&k) * a;
        let mut signature = [0; 114];
        signature[..57].copy_from_slice(&r);
        signature[57..113].copy_from_slice(&s.encode());
        signature
    }

    /// The encodings of the four points whose order divides 4.
    fn torsion() -> [[u8; 57]; 4] {
        let (mut one, mut minus_one, mut negative_x) = ([0; 57], P, [0; 57]);
        one[0] = 1;
        minus_one[0] = 0xfe;
        negative_x[56] = 0x80;
        [one, [0; 57], minus_one, negative_x]
    }

    #[test]
    fn what_the_crafter_makes_is_valid_without_tricks() {
        let mut rng = TestRng(1);
        for _ in 0..5 {
            let (a, nonce) = (scalar(&mut rng), scalar(&mut rng));
            let (key, r) = (Point::mulgen(&a).encode(), Point::mulgen(&nonce).encode());
            check(SCHEME, &key, b"message", &sign(a, nonce, r, key, b"message"), true);
        }
    }

    #[test]
    fn s_that_is_not_below_the_order_is_refused() {
        let mut rng = TestRng(2);
        let (a, nonce) = (scalar(&mut rng), scalar(&mut rng));
        let (key, r) = (Point::mulgen(&a).encode(), Point::mulgen(&nonce).encode());
        let mut signature = sign(a, nonce, r, key, b"message");
        check(SCHEME, &key, b"message", &signature, true);
        for bit in 0..8 {
            let mut signature = signature;
            signature[113] = 1 << bit;
            check(SCHEME, &key, b"message", &signature, false);
        }
        for _ in 0..5 {
            add(&mut signature[57..], &ORDER);
            check(SCHEME, &key, b"message", &signature, false);
        }
    }

    #[test]
    fn keys_of_small_order_and_encodings_not_canonical_are_refused() {
        let mut keys = torsion().to_vec();
        for y in 0..20 {
            let mut key = P;
            add(&mut key, &[y]);
            keys.push(key);
            key[56] = 0x80;
            keys.push(key);
        }
        for mut negative_zero in [torsion()[0], torsion()[2]] {
            negative_zero[56] |= 0x80;
            keys.push(negative_zero);
        }
        let mut rng = TestRng(3);
        let honest = Point::mulgen(&scalar(&mut rng)).encode();
        for bit in 0..7 {
            let mut key = honest;
            key[56] |= 1 << bit;
            keys.push(key);
        }
        for key in keys {
            for r in [torsion()[0], key] {
                let mut signature = [0; 114];
                signature[..57].copy_from_slice(&r);
                for p in providers() {
                    let result = p.verify(SCHEME, &key.to_vec().into(), b"m", &signature);
                    assert_eq!(result, Err(CryptoError::InvalidPublicKey), "{}", p.name());
                }
            }
        }
    }

    #[test]
    fn torsion_components_are_accepted_in_canonical_encodings() {
        let mut rng = TestRng(4);
        for in_key in torsion() {
            for in_r in torsion() {
                let (a, nonce) = (scalar(&mut rng), scalar(&mut rng));
                let key = (Point::mulgen(&a) + Point::decode(&in_key).unwrap()).encode();
                let r = (Point::mulgen(&nonce) + Point::decode(&in_r).unwrap()).encode();
                check(SCHEME, &key, b"m", &sign(a, nonce, r, key, b"m"), true);
                // A wrong nonce, so that it is not the equation that holds for everything.
                check(SCHEME, &key, b"m", &sign(a, nonce + Scalar::ONE, r, key, b"m"), false);
            }
        }
    }

    #[test]
    fn r_of_small_order_is_accepted_in_its_canonical_encoding_only() {
        let mut rng = TestRng(5);
        let a = scalar(&mut rng);
        let key = Point::mulgen(&a).encode();
        for r in torsion() {
            check(SCHEME, &key, b"m", &sign(a, Scalar::ZERO, r, key, b"m"), true);
            let mut tricks = vec![];
            for bit in 0..7 {
                let mut trick = r;
                trick[56] |= 1 << bit;
                tricks.push(trick);
            }
            // y + p, where that fits.
            if r[1] == 0 {
                let mut trick = P;
                add(&mut trick, &r[..56]);
                trick[56] |= r[56];
                tricks.push(trick);
            }
            // x = 0 with a sign.
            if r != torsion()[1] && r != torsion()[3] {
                let mut trick = r;
                trick[56] |= 0x80;
                tricks.push(trick);
            }
            for trick in tricks {
                check(SCHEME, &key, b"m", &sign(a, Scalar::ZERO, trick, key, b"m"), false);
            }
        }
    }
}
