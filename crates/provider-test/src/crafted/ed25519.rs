use super::scene::{Crafted, Scene, add, item};
use crate::checks::Checks;
use conclave_crypto::testing::TestRng;
use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT as B, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest, Sha512};

pub(super) fn run(c: &mut Checks<'_>, scene: &Scene) {
    plain(c, scene);
    s_over_the_order(c, scene);
    keys_of_small_order_or_not_canonical(c, scene);
    r_of_small_order(c, scene);
    torsion_components(c, scene);
    right_only_in_their_sum(c, scene);
    keys_that_are_no_points(c, scene);
}

/// 2^252 + 27742317777372353535851937790883648493, in little-endian order.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// 2^255 - 19, in little-endian order.
const P: [u8; 32] = {
    let mut p = [0xff; 32];
    p[0] = 0xed;
    p[31] = 0x7f;
    p
};

/// A signer who signs whatever it likes.
struct Crafter {
    a: Scalar,
    nonce: Scalar,
}

impl Crafter {
    fn new(rng: &mut TestRng) -> Self {
        Self { a: scalar(rng), nonce: scalar(rng) }
    }

    fn key(&self) -> [u8; 32] {
        encode(self.a * B)
    }

    fn r(&self) -> [u8; 32] {
        encode(self.nonce * B)
    }

    /// The signature `(r, [k]a + nonce)`, whatever the encodings claim to be.
    fn sign(&self, nonce: Scalar, r: [u8; 32], key: [u8; 32], message: &[u8]) -> Vec<u8> {
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(message).finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        [r, (nonce + k * self.a).to_bytes()].concat()
    }
}

fn scalar(rng: &mut TestRng) -> Scalar {
    let mut wide = [0; 64];
    wide.copy_from_slice(&rng.bytes(64));
    Scalar::from_bytes_mod_order_wide(&wide)
}

fn encode(point: EdwardsPoint) -> [u8; 32] {
    point.compress().to_bytes()
}

/// What the crafter makes without tricks is valid.
fn plain(c: &mut Checks<'_>, scene: &Scene) {
    let mut rng = TestRng(1);
    for _ in 0..10 {
        let crafter = Crafter::new(&mut rng);
        let key = crafter.key();
        let r = crafter.r();
        let signature = crafter.sign(crafter.nonce, r, key, b"message");
        let crafted = Crafted { key: &key, message: b"message", signature: &signature };
        scene.check(c, format_args!("crafted without tricks"), &crafted, true);
    }
}

fn s_over_the_order(c: &mut Checks<'_>, scene: &Scene) {
    let crafter = Crafter::new(&mut TestRng(2));
    let key = crafter.key();
    let r = crafter.r();
    let mut signature = crafter.sign(crafter.nonce, r, key, b"message");
    for times in 1..=14 {
        add(&mut signature[32..], &ORDER);
        let crafted = Crafted { key: &key, message: b"message", signature: &signature };
        scene.check(c, format_args!("S + {times} times the order"), &crafted, false);
    }
}

/// With a key of small order, a signature with S = 0 or R = [S]B verifies for many messages.
fn keys_of_small_order_or_not_canonical(c: &mut Checks<'_>, scene: &Scene) {
    let mut keys: Vec<[u8; 32]> = EIGHT_TORSION.iter().map(|t| encode(*t)).collect();
    // All encodings of y-coordinates of p and above, some of them of small order.
    for y in 0..19 {
        let mut key = P;
        add(&mut key, &[y]);
        keys.push(key);
    }

    for mut key in keys {
        for sign_bit in [0, 0x80] {
            key[31] = key[31] & 0x7f | sign_bit;
            for message in 0..8 {
                for r in [encode(B), encode(EIGHT_TORSION[0]), key] {
                    let mut signature = [0; 64];
                    signature[..32].copy_from_slice(&r);
                    signature[32] = u8::from(r == encode(B));
                    let crafted = Crafted { key: &key, message: &[message], signature: &signature };
                    let case = format_args!("the key {key:02x?}, of small order or not canonical");
                    scene.check(c, case, &crafted, false);
                    scene.refuses_key(c, case, &crafted);
                }
            }
        }
    }
}

/// R may be of small order, but only in its canonical encoding.
fn r_of_small_order(c: &mut Checks<'_>, scene: &Scene) {
    let crafter = Crafter::new(&mut TestRng(3));
    let key = crafter.key();
    let mut check = |case: &str, r: [u8; 32], accept: bool| {
        let signature = crafter.sign(Scalar::ZERO, r, key, b"m");
        let crafted = Crafted { key: &key, message: b"m", signature: &signature };
        scene.check(c, format_args!("{case}"), &crafted, accept);
    };

    let identity = encode(EIGHT_TORSION[0]);
    let mut negative_zero = identity;
    negative_zero[31] |= 0x80;
    let mut above_p = P;
    add(&mut above_p, &[1]);
    let mut both = above_p;
    both[31] |= 0x80;
    for r in [negative_zero, above_p, both] {
        check("R of small order, not canonical", r, false);
    }
    for torsion in &EIGHT_TORSION {
        check("R of small order", encode(*torsion), true);
    }
}

/// Torsion components are accepted wherever they are. The equation without the cofactor holds for few of
/// these signatures, and in a batch it would hold or fail by chance.
fn torsion_components(c: &mut Checks<'_>, scene: &Scene) {
    let mut rng = TestRng(4);
    for i in 0..64_u8 {
        let crafter = Crafter::new(&mut rng);
        let in_key = EIGHT_TORSION[usize::from(i % 8)];
        let in_r = EIGHT_TORSION[usize::from(i / 8)];
        let key = encode(crafter.a * B + in_key);
        let r = encode(crafter.nonce * B + in_r);
        let case = format_args!("torsion {} in the key and {} in R", i % 8, i / 8);

        let signature = crafter.sign(crafter.nonce, r, key, &[i]);
        let crafted = Crafted { key: &key, message: &[i], signature: &signature };
        scene.check(c, case, &crafted, true);
        // A wrong nonce shows that the equation does not hold for everything.
        let signature = crafter.sign(crafter.nonce + Scalar::ONE, r, key, &[i]);
        let crafted = Crafted { key: &key, message: &[i], signature: &signature };
        scene.check(c, format_args!("{case}, with a wrong nonce"), &crafted, false);
    }
}

/// Two signatures whose errors cancel in a sum with equal weights.
fn right_only_in_their_sum(c: &mut Checks<'_>, scene: &Scene) {
    let mut rng = TestRng(6);
    let crafter = Crafter::new(&mut rng);
    let error = scalar(&mut rng);
    let key = crafter.key();
    let r = crafter.r();
    let over = crafter.sign(crafter.nonce + error, r, key, b"one");
    let under = crafter.sign(crafter.nonce - error, r, key, b"two");
    let right = crafter.sign(crafter.nonce, r, key, b"right");

    let public_key = key.to_vec().into();
    let mut items = vec![item(&public_key, b"right", &right); 20];
    items[7] = item(&public_key, b"one", &over);
    items[8] = item(&public_key, b"two", &under);
    let found = c.provider.verify_many(scene.scheme, &items);
    c.equal(format_args!("two signatures right only in their sum, in a batch"), found, Err(7));
}

fn keys_that_are_no_points(c: &mut Checks<'_>, scene: &Scene) {
    let mut rng = TestRng(5);
    for i in 0..50 {
        let key = rng.bytes(32);
        let signature = rng.bytes(64);
        let crafted = Crafted { key: &key, message: &[i], signature: &signature };
        scene.check(c, format_args!("a random key and signature"), &crafted, false);
    }
}
