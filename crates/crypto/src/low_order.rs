//! Public keys of X25519 and X448 with which every key agreement gives zero.

use crate::DhGroup;

/// Whether a public key is of low order (RFC 7748 sections 5 and 6): every key agreement with it gives zero.
/// Such keys are refused where they arrive, because nobody could seal anything to a member that has one.
/// The NIST curves have no such keys, since their order is prime.
///
/// A key of the wrong length is not of low order.
#[must_use]
pub fn has_low_order(group: DhGroup, public: &[u8]) -> bool {
    match group {
        DhGroup::X25519 => <[u8; 32]>::try_from(public).is_ok_and(x25519),
        DhGroup::X448 => <[u8; 56]>::try_from(public).is_ok_and(x448),
        DhGroup::P256 | DhGroup::P384 | DhGroup::P521 => false,
    }
}

/// The coordinates of the two points of order 8, below the field's order.
const ORDER_8: [[u8; 32]; 2] = [
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4,
        0x6a, 0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
        0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef,
        0x5b, 0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
        0x11, 0x57,
    ],
];

fn x25519(mut u: [u8; 32]) -> bool {
    // X25519 ignores the top bit, and a coordinate need not be below the order p = 2^255 - 19.
    let [low, middle @ .., high] = &mut u;
    *high &= 0x7f;

    let near_p = *high == 0x7f && middle.iter().all(|b| *b == 0xff);
    let small = *high == 0 && middle.iter().all(|b| *b == 0);

    match *low {
        0 | 1 if small => true,
        // p - 1, p and p + 1.
        0xec..=0xee if near_p => true,
        _ => ORDER_8.contains(&u),
    }
}

fn x448(u: [u8; 56]) -> bool {
    // p = 2^448 - 2^224 - 1: all bytes are 0xff except byte 28, which is 0xfe.
    let [low, rest @ ..] = &u;
    let small = rest.iter().all(|b| *b == 0);

    let (lower, upper) = rest.split_at(27);
    // p - 1 and p.
    let near_p = lower.iter().all(|b| *b == 0xff)
        && upper.split_first().is_some_and(|(b, top)| *b == 0xfe && top.iter().all(|b| *b == 0xff));

    // p + 1 = 2^448 - 2^224.
    let above_p = *low == 0 && lower.iter().all(|b| *b == 0) && upper.iter().all(|b| *b == 0xff);

    (small && *low <= 1) || (near_p && *low >= 0xfe) || above_p
}
