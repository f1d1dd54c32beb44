//! The presentation language of RFC 9420 section 2.1: big-endian integers, optional values, and
//! vectors with a variable-size length header in its minimal form.
//!
//! The encoding is canonical: a value has one encoding, and what decodes encodes to the same
//! bytes. Hashes and signatures over a decoded value can therefore encode it again.

use crate::ids::ProposalType;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroize;

/// The longest vector that a length header can describe: 2^30 - 1 bytes (section 2.1.2).
pub const MAX_VECTOR_LEN: usize = (1 << 30) - 1;

/// Why bytes are not an encoding of the type asked for. Nothing was changed by the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended inside a value.
    Truncated,
    /// The value was complete and this many bytes followed it.
    TrailingBytes(usize),
    /// A length header was not in its shortest form (section 2.1.2).
    NonMinimalLength,
    /// A length header began with the bits `11` (section 2.1.2).
    InvalidLengthPrefix,
    /// A presence octet was neither 0 nor 1 (section 2.1.1).
    InvalidPresence(u8),
    /// A field held a value that its type does not have.
    InvalidValue {
        /// The type or field, by its name in the RFC.
        field: &'static str,
        /// The value found.
        value: u64,
    },
    /// The padding of a PrivateMessageContent held a byte other than zero (section 6.3.1).
    NonZeroPadding,
    /// The values would take far more memory than their encoding: see [`Reader`].
    OutOfRoom,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the input ends inside a value"),
            Self::TrailingBytes(n) => write!(f, "{n} bytes follow the value"),
            Self::NonMinimalLength => f.write_str("a vector's length is not in its shortest form"),
            Self::InvalidLengthPrefix => f.write_str("a vector's length begins with the bits 11"),
            Self::InvalidPresence(v) => {
                write!(f, "an optional value's presence octet is {v}, not 0 or 1")
            }
            Self::InvalidValue { field, value } => write!(f, "{field} has no value {value:#06x}"),
            Self::NonZeroPadding => f.write_str("the padding holds a byte other than zero"),
            Self::OutOfRoom => f.write_str("the values take far more memory than their encoding"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a value has no encoding: a vector of it is longer than [`MAX_VECTOR_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The length in bytes of the vector that is too long.
    pub length: usize,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a vector of {} bytes is longer than a length header can say", self.length)
    }
}

impl core::error::Error for EncodeError {}

/// What a writer sets aside beyond its first bytes.
const FIRST_CAPACITY: usize = 248;

/// Where values are encoded to: a growing buffer.
///
/// A [secret](Writer::secret) writer wipes every buffer that it outgrows.
#[derive(Default)]
pub struct Writer {
    bytes: Vec<u8>,
    secret: bool,
}

impl Writer {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer for values that hold secrets; the caller wipes what [`Self::finish`]
    /// returns.
    #[must_use]
    pub fn secret() -> Self {
        Self { bytes: Vec::with_capacity(256), secret: true }
    }

    /// Appends bytes as they are, without a length.
    pub fn put(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    fn grow(&mut self, more: usize) {
        let needed = self.bytes.len().saturating_add(more);
        if self.secret && needed > self.bytes.capacity() {
            let mut larger = Vec::with_capacity(needed.saturating_mul(2));
            larger.extend_from_slice(&self.bytes);
            self.bytes.as_mut_slice().zeroize();
            self.bytes = larger;
        } else if self.bytes.capacity() == 0 {
            // Most values fit, so that they grow only once.
            self.bytes.reserve(more.saturating_add(FIRST_CAPACITY));
        }
    }

    /// Appends an `opaque<V>`.
    ///
    /// # Errors
    /// If `bytes` is longer than [`MAX_VECTOR_LEN`].
    pub fn put_opaque(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        let (header, n) = length_header(bytes.len())?;
        self.put(header.get(..n).unwrap_or_default());
        self.put(bytes);
        Ok(())
    }

    /// Appends a vector whose contents `body` writes.
    ///
    /// # Errors
    /// Those of `body`, and if the contents are longer than [`MAX_VECTOR_LEN`].
    pub fn put_vector(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        // The short header is reserved; a longer one makes room for itself at the end.
        let start = self.bytes.len();
        self.put(&[0]);
        body(self)?;
        let (header, n) = length_header(self.bytes.len() - start - 1)?;
        self.grow(n - 1);
        if let Some(header) = header.get(..n) {
            self.bytes.splice(start..=start, header.iter().copied());
        }
        Ok(())
    }

    /// What was written.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

fn length_header(length: usize) -> Result<([u8; 4], usize), EncodeError> {
    match u32::try_from(length) {
        Ok(n) if n < 1 << 6 => Ok(([n as u8, 0, 0, 0], 1)),
        Ok(n) if n < 1 << 14 => {
            let [a, b] = (n as u16 | 0x4000).to_be_bytes();
            Ok(([a, b, 0, 0], 2))
        }
        Ok(n) if n < 1 << 30 => Ok(((n | 0x8000_0000).to_be_bytes(), 4)),
        _ => Err(EncodeError { length }),
    }
}

/// A type of proposal that RFC 9420 does not define, with what its registration says of it (section
/// 17.4). A proposal's body has no length of its own (section 12.1), so that only who knows the type
/// can say where the body ends.
#[derive(Clone, Copy, Debug)]
pub struct CustomProposal {
    /// The type.
    pub proposal_type: ProposalType,
    /// Reads a body to its end. [`CustomProposal::empty`] and [`CustomProposal::vector`] are for
    /// the usual cases.
    pub read: fn(&mut Reader<'_>) -> Result<(), DecodeError>,
    /// Whether a commit of such a proposal must have a path. Default false.
    pub path_required: bool,
    /// Whether external senders may propose it. Default false.
    pub external: bool,
}

impl CustomProposal {
    /// A type whose body `read` reads to its end.
    #[must_use]
    pub fn new(
        proposal_type: ProposalType,
        read: fn(&mut Reader<'_>) -> Result<(), DecodeError>,
    ) -> Self {
        Self { proposal_type, read, path_required: false, external: false }
    }

    /// A type whose body is empty.
    #[must_use]
    pub fn empty(proposal_type: ProposalType) -> Self {
        Self::new(proposal_type, |_| Ok(()))
    }

    /// A type whose body is one vector: a length header and what it counts.
    #[must_use]
    pub fn vector(proposal_type: ProposalType) -> Self {
        Self::new(proposal_type, |r| r.opaque().map(|_| ()))
    }
}

/// What decoded values may take beside [`ROOM_PER_BYTE`]: the 2^18 proposals by value that a commit
/// may hold by default, for one, which can be as short as three bytes each.
const ROOM: usize = 16 << 20;

/// What decoded values may take for each byte of their encoding. Lists of keys, signatures and
/// references, which is what honest messages are long of, take up to 1.7.
const ROOM_PER_BYTE: usize = 2;

/// Bytes that are being decoded; every read is bounded by what is left. They may be secrets: only
/// their number prints.
///
/// What is decoded has bounded room, too: without, a list of proposals of two bytes each would take
/// thirty times the memory of its encoding, before anybody could say that it is too long. Elements of
/// vectors and what is boxed may take twice the bytes that there were to read, and 16 MiB.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    proposals: &'a [CustomProposal],
    room: usize,
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({} bytes)", self.bytes.len())
    }
}

impl<'a> Reader<'a> {
    /// A reader of all of `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self::with_proposals(bytes, &[])
    }

    /// A reader of all of `bytes` that knows more types of proposal than RFC 9420.
    #[must_use]
    pub fn with_proposals(bytes: &'a [u8], proposals: &'a [CustomProposal]) -> Self {
        let room = bytes.len().saturating_mul(ROOM_PER_BYTE).saturating_add(ROOM);
        Self { bytes, proposals, room }
    }

    /// Takes as many bytes of memory from the room that decoded values have.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRoom`].
    pub fn set_aside(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.room = self.room.checked_sub(bytes).ok_or(DecodeError::OutOfRoom)?;
        Ok(())
    }

    /// A type of proposal that RFC 9420 does not define, if it is known.
    #[must_use]
    pub fn custom_proposal(&self, proposal_type: ProposalType) -> Option<&'a CustomProposal> {
        self.proposals.iter().find(|known| known.proposal_type == proposal_type)
    }

    /// What has not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.bytes.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(*head)
    }

    /// A length header (section 2.1.2).
    ///
    /// # Errors
    /// If it is cut short, not minimal, or begins with the bits `11`.
    pub fn length(&mut self) -> Result<usize, DecodeError> {
        let [first] = self.take_array()?;
        let low = u32::from(first & 0x3f);
        let (length, minimum) = match first >> 6 {
            0 => (low, 0),
            1 => {
                let [b] = self.take_array()?;
                (low << 8 | u32::from(b), 1 << 6)
            }
            2 => {
                let [b, c, d] = self.take_array()?;
                (low << 24 | u32::from_be_bytes([0, b, c, d]), 1 << 14)
            }
            _ => return Err(DecodeError::InvalidLengthPrefix),
        };
        if length < minimum {
            return Err(DecodeError::NonMinimalLength);
        }
        usize::try_from(length).map_err(|_| DecodeError::Truncated)
    }

    /// The contents of an `opaque<V>`.
    ///
    /// # Errors
    /// Those of [`Self::length`], and if the contents are cut short.
    pub fn opaque(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = self.length()?;
        self.take(n)
    }

    /// A reader of just the contents of a vector.
    ///
    /// # Errors
    /// Those of [`Self::opaque`].
    pub fn vector(&mut self) -> Result<Self, DecodeError> {
        Ok(Self { bytes: self.opaque()?, ..*self })
    }
}

/// A value that has an encoding.
pub trait Encode {
    /// Appends the encoding of this value.
    ///
    /// # Errors
    /// If a vector in it is too long. What was written until then is of no use.
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError>;

    /// The encoding of this value.
    ///
    /// # Errors
    /// If a vector in it is too long.
    fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut w = Writer::new();
        self.encode(&mut w)?;
        Ok(w.finish())
    }
}

/// A value that can be decoded.
pub trait Decode: Sized {
    /// Decodes one value and leaves the reader behind it.
    ///
    /// # Errors
    /// If the bytes are no encoding of a value.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Decodes a value that is all of `bytes`.
    ///
    /// # Errors
    /// If the bytes are no encoding of a value, or more than one.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_reader(Reader::new(bytes))
    }

    /// Decodes a value that is all of what a reader has left.
    ///
    /// # Errors
    /// If the bytes are no encoding of a value, or more than one.
    fn from_reader(mut r: Reader<'_>) -> Result<Self, DecodeError> {
        let value = Self::decode(&mut r)?;
        match r.rest().len() {
            0 => Ok(value),
            n => Err(DecodeError::TrailingBytes(n)),
        }
    }
}

macro_rules! integer {
    ($($t:ty)*) => {$(
        impl Encode for $t {
            fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
                w.put(&self.to_be_bytes());
                Ok(())
            }
        }
        impl Decode for $t {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_be_bytes(r.take_array()?))
            }
        }
    )*};
}
integer!(u8 u16 u32 u64);

impl<T: Encode> Encode for [T] {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_vector(|w| self.iter().try_for_each(|item| item.encode(w)))
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.as_slice().encode(w)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut contents = r.vector()?;
        let mut items = Self::new();
        while !contents.is_empty() {
            contents.set_aside(size_of::<T>())?;
            items.push(T::decode(&mut contents)?);
        }
        r.room = contents.room;
        Ok(items)
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match self {
            None => 0u8.encode(w),
            Some(value) => {
                1u8.encode(w)?;
                value.encode(w)
            }
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::decode(r)? {
            0 => Ok(None),
            1 => Ok(Some(T::decode(r)?)),
            other => Err(DecodeError::InvalidPresence(other)),
        }
    }
}

impl<T: Encode + ?Sized> Encode for Box<T> {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        (**self).encode(w)
    }
}

impl<T: Decode> Decode for Box<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.set_aside(size_of::<T>())?;
        T::decode(r).map(Self::new)
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        (**self).encode(w)
    }
}

/// Implements [`Encode`], and with `codec` also [`Decode`], for a structure as its fields in order.
macro_rules! codec {
    ($name:ident { $($field:ident),* $(,)? }) => {
        codec!(encode $name { $($field),* });
        impl $crate::codec::Decode for $name {
            fn decode(
                r: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                $(let $field = $crate::codec::Decode::decode(r)?;)*
                Ok(Self { $($field),* })
            }
        }
    };
    (encode $name:ident $(<$life:lifetime>)? { $($field:ident),* $(,)? }) => {
        impl$(<$life>)? $crate::codec::Encode for $name$(<$life>)? {
            fn encode(
                &self,
                w: &mut $crate::codec::Writer,
            ) -> Result<(), $crate::codec::EncodeError> {
                $($crate::codec::Encode::encode(&self.$field, w)?;)*
                Ok(())
            }
        }
    };
}
pub(crate) use codec;

/// A `u8` enumeration of the RFC with its codec.
macro_rules! small_enum {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant = $value),*
        }
        impl $crate::codec::Encode for $name {
            fn encode(
                &self,
                w: &mut $crate::codec::Writer,
            ) -> Result<(), $crate::codec::EncodeError> {
                (*self as u8).encode(w)
            }
        }
        impl $crate::codec::Decode for $name {
            fn decode(
                r: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::DecodeError> {
                match u8::decode(r)? {
                    $($value => Ok(Self::$variant),)*
                    other => Err($crate::codec::DecodeError::InvalidValue {
                        field: stringify!($name),
                        value: other.into(),
                    }),
                }
            }
        }
    };
}
pub(crate) use small_enum;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::{String, ToString};
    use alloc::vec;

    fn header(n: usize) -> Vec<u8> {
        let (h, len) = length_header(n).unwrap();
        h[..len].to_vec()
    }

    #[test]
    fn lengths_at_every_boundary_round_trip() {
        let cases = [0, 1, 0x3e, 0x3f, 0x40, 0x3ffe, 0x3fff, 0x4000, 0x3fff_fffe, 0x3fff_ffff];
        for n in cases {
            let h = header(n);
            let mut r = Reader::new(&h);
            assert_eq!(r.length(), Ok(n));
            assert!(r.is_empty());
        }
        assert_eq!(length_header(0x4000_0000), Err(EncodeError { length: 0x4000_0000 }));
    }

    #[test]
    fn longer_than_minimal_lengths_are_refused() {
        for bytes in [&[0x40, 0x3f][..], &[0x40, 0], &[0x80, 0, 0x3f, 0xff], &[0x80, 0, 0, 1]] {
            assert_eq!(Reader::new(bytes).length(), Err(DecodeError::NonMinimalLength));
        }
        for first in 0xc0..=0xff {
            let bytes = [first, 0, 0, 0, 0, 0, 0, 0];
            assert_eq!(Reader::new(&bytes).length(), Err(DecodeError::InvalidLengthPrefix));
        }
    }

    #[test]
    fn a_vector_grows_its_header_in_place() {
        for n in [0usize, 63, 64, 16383, 16384] {
            let items = vec![7u8; n];
            let mut want = header(n);
            want.extend_from_slice(&items);
            assert_eq!(items.to_bytes().unwrap(), want);
            assert_eq!(Vec::<u8>::from_bytes(&want), Ok(items));
        }
    }

    #[test]
    fn elements_may_not_reach_beyond_their_vector() {
        // Three bytes declared, but a u16 element ends at two or four.
        assert_eq!(Vec::<u16>::from_bytes(&[3, 0, 1, 0, 2]), Err(DecodeError::Truncated));
    }

    #[test]
    fn presence_octets_are_zero_or_one() {
        assert_eq!(Option::<u8>::from_bytes(&[0]), Ok(None));
        assert_eq!(Option::<u8>::from_bytes(&[1, 9]), Ok(Some(9)));
        assert_eq!(Option::<u8>::from_bytes(&[2, 9]), Err(DecodeError::InvalidPresence(2)));
    }

    #[test]
    fn each_error_has_a_text_of_its_own_that_names_what_it_found() {
        let errors = [
            (DecodeError::Truncated, "ends inside"),
            (DecodeError::TrailingBytes(4711), "4711 bytes follow"),
            (DecodeError::NonMinimalLength, "shortest form"),
            (DecodeError::InvalidLengthPrefix, "bits 11"),
            (DecodeError::InvalidPresence(77), "77, not 0 or 1"),
            (
                DecodeError::InvalidValue { field: "Thing", value: 0x4711 },
                "Thing has no value 0x4711",
            ),
            (DecodeError::NonZeroPadding, "padding"),
            (DecodeError::OutOfRoom, "memory"),
        ];
        let texts: Vec<String> = errors.iter().map(|(e, _)| e.to_string()).collect();
        for ((_, says), text) in errors.iter().zip(&texts) {
            assert!(text.contains(says), "{text}");
            assert_eq!(texts.iter().filter(|other| *other == text).count(), 1, "{text}");
        }
        assert!(EncodeError { length: 4711 }.to_string().contains("4711 bytes"));
    }

    /// A vector of this many elements of one encoding.
    fn repeated(element: &[u8], n: usize) -> Vec<u8> {
        let mut w = Writer::new();
        w.put_opaque(&element.repeat(n)).unwrap();
        w.finish()
    }

    #[test]
    fn values_take_no_more_memory_than_twice_their_encoding_and_16_mib() {
        use crate::proposal::ProposalOrRef;
        // References of no bytes: the shortest element there is of a commit.
        let empty = [2, 0];
        let most = ROOM / (size_of::<ProposalOrRef>() - ROOM_PER_BYTE * empty.len());
        let list = Vec::<ProposalOrRef>::from_bytes(&repeated(&empty, most)).unwrap();
        assert_eq!(list.len(), most);
        let over = repeated(&empty, most + 1);
        assert_eq!(Vec::<ProposalOrRef>::from_bytes(&over), Err(DecodeError::OutOfRoom));
        // What is nested, or boxed, counts as well.
        let over = repeated(&repeated(&empty, 1000), most / 1000 + 1);
        assert_eq!(Vec::<Vec<ProposalOrRef>>::from_bytes(&over), Err(DecodeError::OutOfRoom));
        let boxes = ROOM / (size_of::<Box<u8>>() + size_of::<u8>() - ROOM_PER_BYTE);
        assert!(Vec::<Box<u8>>::from_bytes(&repeated(&[9], boxes)).is_ok());
        let over = Vec::<Box<u8>>::from_bytes(&repeated(&[9], boxes + 10));
        assert_eq!(over, Err(DecodeError::OutOfRoom));
    }

    #[test]
    fn a_commit_of_as_many_proposals_as_the_default_limit_has_room() {
        use crate::proposal::ProposalOrRef;
        for proposal in [&[1, 0, 3, 0, 0, 0, 1][..], &[[2, 32].as_slice(), &[7; 32]].concat()] {
            let bytes = repeated(proposal, 1 << 18);
            assert_eq!(Vec::<ProposalOrRef>::from_bytes(&bytes).map(|l| l.len()), Ok(1 << 18));
        }
        // References have room however many they are.
        let bytes = repeated(&[[2, 32].as_slice(), &[7; 32]].concat(), 1 << 21);
        assert_eq!(Vec::<ProposalOrRef>::from_bytes(&bytes).map(|l| l.len()), Ok(1 << 21));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(u16::from_bytes(&[0, 1, 2]), Err(DecodeError::TrailingBytes(1)));
    }
}
