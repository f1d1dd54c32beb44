//! Bytes as hexadecimal strings in JSON.

use super::problem::{At, Problem};
use conclave_crypto::Secret;
use conclave_wire::{Bytes, Decode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;

/// Bytes that are a hexadecimal string in JSON: read in either case, written in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hex(pub Vec<u8>);

impl Hex {
    /// A copy of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// A secret with a copy of these bytes.
    #[must_use]
    pub fn secret(&self) -> Secret {
        Secret::copy_from(&self.0)
    }

    /// Decodes a value from all of these bytes. `what` names it in the error.
    ///
    /// # Errors
    /// If they are not the encoding of such a value.
    pub fn decode<T: Decode>(&self, what: &str) -> Result<T, Problem> {
        T::from_bytes(&self.0).at(format_args!("{what} does not decode"))
    }
}

impl std::ops::Deref for Hex {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Hex {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<&Hex> for Bytes {
    fn from(hex: &Hex) -> Self {
        hex.0.as_slice().into()
    }
}

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Hex;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an even number of hexadecimal digits")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Hex, E> {
                decode(text)
                    .map(Hex)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(Visitor)
    }
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes of an even number of hexadecimal digits in either case; none for other text.
#[must_use]
pub fn decode(text: &str) -> Option<Vec<u8>> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let digit = |b: u8| char::from(b).to_digit(16);
    pairs.iter().map(|&[a, b]| Some((digit(a)? << 4 | digit(b)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_cases_are_read_and_lower_case_is_written() {
        assert_eq!(decode("00fFAb"), Some(vec![0, 0xff, 0xab]));
        assert_eq!(encode(&[0, 0xff, 0xab]), "00ffab");
        assert_eq!(decode(""), Some(vec![]));
    }

    #[test]
    fn text_that_is_not_hexadecimal_is_refused() {
        for text in ["0", "0g", "+1", " 1", "0x00", "00 ", "é"] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
