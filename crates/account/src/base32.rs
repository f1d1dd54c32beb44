//! Bytes as people type them.

use alloc::string::String;
use alloc::vec::Vec;

/// The digits: without those that look like others.
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Bytes as digits of five bits, the last one filled up with zeros.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let bit = |n: usize| bytes.get(n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1);
    let digit = |at: usize| {
        let value = (0..5).fold(0u8, |value, n| value << 1 | bit(at * 5 + n));
        DIGITS.get(usize::from(value)).copied().map_or('0', char::from)
    };
    (0..(bytes.len() * 8).div_ceil(5)).map(digit).collect()
}

/// The bytes of such digits in either case; none if they are not what [`base32`] makes.
#[must_use]
pub fn from_base32(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut value, mut bits) = (Vec::new(), 0u16, 0);
    for letter in text.bytes() {
        let letter = letter.to_ascii_lowercase();
        let digit = DIGITS.iter().position(|digit| *digit == letter)?;
        value = value << 5 | u16::try_from(digit).ok()?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(value >> bits).ok()?);
            value &= (1 << bits) - 1;
        }
    }
    (value == 0 && bits < 5).then_some(bytes)
}
