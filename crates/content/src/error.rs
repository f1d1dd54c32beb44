//! Errors: what is wrong with bytes, and where.

use crate::limits::Limit;
use core::fmt;

/// What is wrong with bytes from outside or with a message of our own, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentError {
    /// How many octets of the encoding come before the item that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What is wrong with an encoding. Sections are those of draft-ietf-mimi-content-08, if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The bytes end within an item, or a count or length says more than there are bytes.
    Truncated,
    /// Bytes follow after the message.
    TrailingBytes,
    /// An integer, length, tag or floating-point number is longer than it needs to be (section 6.1).
    NotShortest,
    /// A length is left open until a break (section 6.1).
    IndefiniteLength,
    /// An initial byte or a simple value that CBOR reserves (RFC 8949 section 3).
    Reserved,
    /// A text string is not UTF-8 (section 6.2).
    NotUtf8,
    /// A big integer that fits a regular one, begins with zeros, or is no byte string (section 6.1).
    Bignum,
    /// A NaN other than the quiet one of 16 bits (section 6.2).
    NotANumber,
    /// An item of another type: it should be this.
    WrongType(&'static str),
    /// An array or string of another length than this field has.
    WrongLength(&'static str),
    /// A number that this field has no room for.
    OutOfRange(&'static str),
    /// The key of a map is of another type, or too large (section 6.2).
    MapKey,
    /// A key of a map comes twice (section 4.3).
    DuplicateKey,
    /// The keys of a map are not in the order of their encodings (section 6.1).
    KeyOrder,
    /// A message identifier names a hash algorithm that the draft does not use (section 9.1).
    UnknownHashAlgorithm(u8),
    /// How the parts belong together is none of the three ways (section 9.1).
    UnknownPartSemantics(u64),
    /// A `MultiPart` with fewer than two parts (appendix A.1).
    TooFewParts,
    /// More than [`Limits`](crate::Limits) allows.
    OverLimit(Limit),
}

impl Fault {
    pub(crate) fn at(self, offset: usize) -> ContentError {
        ContentError { offset, fault: self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end too early"),
            Self::TrailingBytes => f.write_str("bytes follow after the message"),
            Self::NotShortest => f.write_str("the encoding is not the shortest"),
            Self::IndefiniteLength => f.write_str("the length is indefinite"),
            Self::Reserved => f.write_str("CBOR reserves this value"),
            Self::NotUtf8 => f.write_str("the text is not UTF-8"),
            Self::Bignum => f.write_str("the big integer is not in its preferred form"),
            Self::NotANumber => f.write_str("this NaN is not permitted"),
            Self::WrongType(expected) => write!(f, "not {expected}"),
            Self::WrongLength(what) => write!(f, "{what} has the wrong length"),
            Self::OutOfRange(what) => write!(f, "{what} is out of range"),
            Self::MapKey => f.write_str("this cannot be the key of a map"),
            Self::DuplicateKey => f.write_str("the map has a key twice"),
            Self::KeyOrder => f.write_str("the keys are not in order"),
            Self::UnknownHashAlgorithm(id) => write!(f, "the hash algorithm {id} is unknown"),
            Self::UnknownPartSemantics(id) => write!(f, "the part semantics {id} are unknown"),
            Self::TooFewParts => f.write_str("a MultiPart has at least two parts"),
            Self::OverLimit(limit) => write!(f, "limit exceeded: {limit}"),
        }
    }
}

impl fmt::Display for ContentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MIMI content, octet {}: {}", self.offset, self.fault)
    }
}

impl core::error::Error for ContentError {}
