use super::scene::{Crafted, Scene, add};
use crate::checks::Checks;
use conclave_crypto::testing::TestRng;
use crrl::ed448::{Point, Scalar};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};

pub(super) fn run(c: &mut Checks<'_>, scene: &Scene) {
    plain(c, scene);
    s_over_the_order(c, scene);
    keys_of_small_order_or_not_canonical(c, scene);
    torsion_components(c, scene);
    r_of_small_order(c, scene);
}

/// 2^446 - 13818066809895115352007386748515426880336692474882178609894547503885, in little-endian order.
const ORDER: [u8; 57] = [
    0xf3, 0x44, 0x58, 0xab, 0x92, 0xc2, 0x78, 0x23, 0x55, 0x8f, 0xc5, 0x8d, 0x72, 0xc2, 0x6c, 0x21,
    0x90, 0x36, 0xd6, 0xae, 0x49, 0xdb, 0x4e, 0xc4, 0xe9, 0x23, 0xca, 0x7c, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0,
];

/// 2^448 - 2^224 - 1, in little-endian order, as a y-coordinate.
const P: [u8; 57] = {
    let mut p = [0xff; 57];
    p[28] = 0xfe;
    p[56] = 0;
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

    fn key(&self) -> [u8; 57] {
        Point::mulgen(&self.a).encode()
    }

    fn r(&self) -> [u8; 57] {
        Point::mulgen(&self.nonce).encode()
    }

    /// The signature `(r, [k]a + nonce)`, whatever the encodings claim to be.
    fn sign(&self, nonce: Scalar, r: [u8; 57], key: [u8; 57], message: &[u8]) -> [u8; 114] {
        let mut k = [0; 114];
        let hash = Shake256::default().chain(b"SigEd448\0\0").chain(r).chain(key).chain(message);
        hash.finalize_xof().read(&mut k);
        let s = nonce + Scalar::decode_reduce(&k) * self.a;

        let mut signature = [0; 114];
        signature[..57].copy_from_slice(&r);
        signature[57..113].copy_from_slice(&s.encode());
        signature
    }
}

fn scalar(rng: &mut TestRng) -> Scalar {
    Scalar::decode_reduce(&rng.bytes(114))
}

/// The encodings of the four points whose order divides 4.
fn torsion() -> [[u8; 57]; 4] {
    let mut one = [0; 57];
    one[0] = 1;
    let mut minus_one = P;
    minus_one[0] = 0xfe;
    let mut negative_x = [0; 57];
    negative_x[56] = 0x80;
    [one, [0; 57], minus_one, negative_x]
}

/// What the crafter makes without tricks is valid.
fn plain(c: &mut Checks<'_>, scene: &Scene) {
    let mut rng = TestRng(1);
    for _ in 0..5 {
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
    for bit in 0..8 {
        let mut signature = signature;
        signature[113] = 1 << bit;
        let crafted = Crafted { key: &key, message: b"message", signature: &signature };
        scene.check(c, format_args!("S with bit {bit} of its last byte"), &crafted, false);
    }
    for times in 1..=5 {
        add(&mut signature[57..], &ORDER);
        let crafted = Crafted { key: &key, message: b"message", signature: &signature };
        scene.check(c, format_args!("S + {times} times the order"), &crafted, false);
    }
}

fn keys_of_small_order_or_not_canonical(c: &mut Checks<'_>, scene: &Scene) {
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
    let honest = Point::mulgen(&scalar(&mut TestRng(3))).encode();
    for bit in 0..7 {
        let mut key = honest;
        key[56] |= 1 << bit;
        keys.push(key);
    }

    for key in keys {
        for r in [torsion()[0], key] {
            let mut signature = [0; 114];
            signature[..57].copy_from_slice(&r);
            let crafted = Crafted { key: &key, message: b"m", signature: &signature };
            let case = format_args!("the key {key:02x?}, of small order or not canonical");
            scene.refuses_key(c, case, &crafted);
        }
    }
}

/// Torsion components are accepted in their canonical encodings.
fn torsion_components(c: &mut Checks<'_>, scene: &Scene) {
    let mut rng = TestRng(4);
    let points = torsion().map(|point| Point::decode(&point).unwrap_or(Point::NEUTRAL));
    for (i, in_key) in points.into_iter().enumerate() {
        for (j, in_r) in points.into_iter().enumerate() {
            let crafter = Crafter::new(&mut rng);
            let key = (Point::mulgen(&crafter.a) + in_key).encode();
            let r = (Point::mulgen(&crafter.nonce) + in_r).encode();
            let case = format_args!("torsion {i} in the key and {j} in R");

            let signature = crafter.sign(crafter.nonce, r, key, b"m");
            let crafted = Crafted { key: &key, message: b"m", signature: &signature };
            scene.check(c, case, &crafted, true);
            // A wrong nonce shows that the equation does not hold for everything.
            let signature = crafter.sign(crafter.nonce + Scalar::ONE, r, key, b"m");
            let crafted = Crafted { key: &key, message: b"m", signature: &signature };
            scene.check(c, format_args!("{case}, with a wrong nonce"), &crafted, false);
        }
    }
}

/// R may be of small order, but only in its canonical encoding.
fn r_of_small_order(c: &mut Checks<'_>, scene: &Scene) {
    let crafter = Crafter::new(&mut TestRng(5));
    let key = crafter.key();
    let mut check = |case: &str, r: [u8; 57], accept: bool| {
        let signature = crafter.sign(Scalar::ZERO, r, key, b"m");
        let crafted = Crafted { key: &key, message: b"m", signature: &signature };
        scene.check(c, format_args!("{case}"), &crafted, accept);
    };

    let [one, zero, minus_one, negative_x] = torsion();
    for r in [one, zero, minus_one, negative_x] {
        check("R of small order", r, true);
        for bit in 0..7 {
            let mut trick = r;
            trick[56] |= 1 << bit;
            check("R of small order with a bit too many", trick, false);
        }
    }
    // y + p, where that fits.
    for r in [one, zero, negative_x] {
        let mut trick = P;
        add(&mut trick, &r[..56]);
        trick[56] |= r[56];
        check("R of small order over the modulus", trick, false);
    }
    for mut r in [one, minus_one] {
        r[56] |= 0x80;
        check("R with x = 0 and a sign", r, false);
    }
}
