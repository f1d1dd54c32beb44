//! The presentation language of RFC 9420 section 2.1: big-endian integers, optional values, and
//! vectors with a variable-size length header in its minimal form.
//!
//! The encoding is canonical: each value has exactly one encoding, and bytes that decode encode to
//! the same bytes again. A hash or signature over a decoded value can therefore be computed from
//! its re-encoding.

use crate::code_points::{
    CipherSuite, ComponentId, CredentialType, ExtensionType, ProposalType, ProtocolVersion,
    WireFormat,
};
use crate::proposal_rules::{ProposalRules, SelfRemove};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use zeroize::Zeroize;

/// The longest vector that a length header can describe: 2^30 - 1 bytes (section 2.1.2).
pub const MAX_VECTOR_LEN: usize = (1 << 30) - 1;

/// The reason why bytes are not an encoding of the requested type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The input ended inside a value.
    Truncated,
    /// This many bytes followed the complete value.
    TrailingBytes(usize),
    /// A length header was not in its shortest form (section 2.1.2).
    NonMinimalLength,
    /// A length header started with the bits `11` (section 2.1.2).
    InvalidLengthPrefix,
    /// A presence octet was neither 0 nor 1 (section 2.1.1).
    InvalidPresence(u8),
    /// A field held a value that its type does not define.
    InvalidValue {
        /// The RFC's name of the type or field.
        field: &'static str,
        /// The value.
        value: u64,
    },
    /// The padding of a PrivateMessageContent held a non-zero byte (section 6.3.1).
    NonZeroPadding,
    /// The decoded values would exceed their memory budget: see [`Reader`].
    OutOfRoom,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the input ends inside a value"),
            Self::TrailingBytes(n) => write!(f, "{n} bytes follow the value"),
            Self::NonMinimalLength => f.write_str("a vector's length is not in its shortest form"),
            Self::InvalidLengthPrefix => f.write_str("a vector's length starts with the bits 11"),
            Self::InvalidPresence(v) => {
                write!(f, "an optional value's presence octet is {v}, not 0 or 1")
            }
            Self::InvalidValue { field, value } => write!(f, "{value:#06x} is not a valid {field}"),
            Self::NonZeroPadding => f.write_str("the padding holds a non-zero byte"),
            Self::OutOfRoom => f.write_str("the values need far more memory than their encoding"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A value has no encoding: one of its vectors is longer than [`MAX_VECTOR_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeError {
    /// The length of that vector in bytes.
    pub length: usize,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a vector of {} bytes is too long for a length header", self.length)
    }
}

impl core::error::Error for EncodeError {}

/// The capacity that a writer reserves beyond its first bytes.
const FIRST_CAPACITY: usize = 248;

/// The growing buffer that values are encoded into.
///
/// A [secret](Writer::secret) writer wipes every buffer that it outgrows, and the last one when it is
/// dropped.
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

    /// An empty writer for values that hold secrets. The caller must wipe what [`Self::finish`]
    /// returns.
    #[must_use]
    pub fn secret() -> Self {
        Self::secret_with_capacity(256)
    }

    /// A [secret](Self::secret) writer with room for this many bytes, so that it does not have to grow.
    #[must_use]
    pub fn secret_with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), secret: true }
    }

    /// Appends bytes without a length header.
    pub fn put(&mut self, bytes: &[u8]) {
        self.grow(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    /// Appends this many zero bytes.
    pub fn put_zeros(&mut self, count: usize) {
        self.grow(count);
        self.bytes.resize(self.bytes.len().saturating_add(count), 0);
    }

    fn grow(&mut self, more: usize) {
        let needed = self.bytes.len().saturating_add(more);
        if self.secret && needed > self.bytes.capacity() {
            let mut larger = Vec::with_capacity(needed.saturating_mul(2));
            larger.extend_from_slice(&self.bytes);
            self.bytes.as_mut_slice().zeroize();
            self.bytes = larger;
        } else if self.bytes.capacity() == 0 {
            // Most values fit into this, so they allocate once.
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

    /// Appends a vector with the contents that `body` writes.
    ///
    /// # Errors
    /// The errors of `body`, and if the contents are longer than [`MAX_VECTOR_LEN`].
    pub fn put_vector(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        // Reserve the short header. A longer one moves the contents afterwards.
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

    /// The bytes written so far.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the bytes written.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        core::mem::take(&mut self.bytes)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.secret {
            self.bytes.as_mut_slice().zeroize();
        }
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

/// A proposal type beyond those that this library defines, with the columns of its registration
/// (section 17.4).
///
/// A proposal's body has no length header (section 12.1), so only a reader that knows the type can
/// tell where the body ends.
#[derive(Clone, Copy, Debug)]
pub struct CustomProposal {
    /// The type.
    pub proposal_type: ProposalType,
    /// Reads a body to its end. [`CustomProposal::empty`] and [`CustomProposal::vector`] cover the usual
    /// cases.
    pub read: fn(&mut Reader<'_>) -> Result<(), DecodeError>,
    /// How proposals of the type may be used. Default: by members alone, in commits without a path.
    pub rules: ProposalRules,
    /// The format of SelfRemove, if the type is another code point of it.
    pub self_remove: Option<SelfRemove>,
}

impl CustomProposal {
    /// A type with a body that `read` reads to its end.
    #[must_use]
    pub fn new(
        proposal_type: ProposalType,
        read: fn(&mut Reader<'_>) -> Result<(), DecodeError>,
    ) -> Self {
        Self { proposal_type, read, rules: ProposalRules::default(), self_remove: None }
    }

    /// SelfRemove under another code point than the draft's, or with a body that is a vector: as others
    /// send it. This client sends the first SelfRemove in its list, or the draft's without one.
    ///
    /// ```
    /// use conclave_wire::{CustomProposal, ProposalType, SelfRemove};
    ///
    /// // RCS and mls-rs.
    /// let format = SelfRemove { proposal_type: ProposalType(0xf003), length_prefixed: false };
    /// let known = CustomProposal::self_remove(format);
    /// assert!(known.rules.path_required);
    /// ```
    #[must_use]
    pub fn self_remove(format: SelfRemove) -> Self {
        let read =
            if format.length_prefixed { read_empty_vector } else { |_: &mut Reader<'_>| Ok(()) };
        Self {
            proposal_type: format.proposal_type,
            read,
            rules: SelfRemove::RULES,
            self_remove: Some(format),
        }
    }

    /// A type with an empty body.
    #[must_use]
    pub fn empty(proposal_type: ProposalType) -> Self {
        Self::new(proposal_type, |_| Ok(()))
    }

    /// A type with a body of one vector: a length header and its contents.
    #[must_use]
    pub fn vector(proposal_type: ProposalType) -> Self {
        Self::new(proposal_type, |r| r.opaque().map(|_| ()))
    }

    /// The same type with other rules.
    #[must_use]
    pub fn with_rules(self, rules: ProposalRules) -> Self {
        Self { rules, ..self }
    }
}

fn read_empty_vector(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match r.opaque()?.len() {
        0 => Ok(()),
        n => Err(DecodeError::TrailingBytes(n)),
    }
}

/// The memory in bytes that decoded values may take in addition to [`ROOM_PER_BYTE`]. It covers the
/// 2^18 proposals by value that a commit may hold by default, which can be as short as three bytes.
const ROOM: usize = 16 << 20;

/// The memory in bytes that decoded values may take for each byte of their encoding. Long honest
/// messages consist of lists of keys, signatures and references, which take up to 1.7.
const ROOM_PER_BYTE: usize = 2;

/// Bytes to decode. Every read is bounded by the bytes that are left. They may be secret: a reader
/// prints only their number.
///
/// A reader also has a memory budget for the decoded values: without one, a list of two-byte
/// proposals would expand to thirty times its size before any limit could reject it. Elements of
/// vectors and boxed values may take twice as many bytes as there were to read, plus 16 MiB.
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

    /// A reader of all of `bytes` that knows these proposal types beyond those of this library.
    #[must_use]
    pub fn with_proposals(bytes: &'a [u8], proposals: &'a [CustomProposal]) -> Self {
        let room = bytes.len().saturating_mul(ROOM_PER_BYTE).saturating_add(ROOM);
        Self { bytes, proposals, room }
    }

    /// Takes this many bytes from the memory budget of decoded values.
    ///
    /// # Errors
    /// [`DecodeError::OutOfRoom`].
    pub fn set_aside(&mut self, bytes: usize) -> Result<(), DecodeError> {
        self.room = self.room.checked_sub(bytes).ok_or(DecodeError::OutOfRoom)?;
        Ok(())
    }

    /// The format of a proposal type beyond those of this library, if this reader knows it.
    #[must_use]
    pub fn custom_proposal(&self, proposal_type: ProposalType) -> Option<&'a CustomProposal> {
        self.proposals.iter().find(|known| known.proposal_type == proposal_type)
    }

    /// The bytes that have not been read yet.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// Whether all bytes have been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Reads `n` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.bytes.split_at_checked(n).ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(head)
    }

    /// Reads `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`].
    pub fn take_array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.bytes.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.bytes = tail;
        Ok(*head)
    }

    /// Reads a length header (section 2.1.2).
    ///
    /// # Errors
    /// If it is truncated, not minimal, or starts with the bits `11`.
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

    /// Reads the contents of an `opaque<V>`.
    ///
    /// # Errors
    /// The errors of [`Self::length`], and if the contents are truncated.
    pub fn opaque(&mut self) -> Result<&'a [u8], DecodeError> {
        let n = self.length()?;
        self.take(n)
    }

    /// Reads a vector's header and returns a reader of its contents.
    ///
    /// # Errors
    /// The errors of [`Self::opaque`].
    pub fn vector(&mut self) -> Result<Self, DecodeError> {
        Ok(Self { bytes: self.opaque()?, ..*self })
    }
}

/// A value that has an encoding.
pub trait Encode {
    /// Appends the encoding of this value.
    ///
    /// # Errors
    /// If a vector in it is too long. The writer then holds a part of the encoding.
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
    /// Decodes one value and advances the reader past it.
    ///
    /// # Errors
    /// If the bytes do not start with an encoded value.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Decodes a value from all of `bytes`.
    ///
    /// # Errors
    /// If the bytes are not exactly one encoded value.
    fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::from_reader(Reader::new(bytes))
    }

    /// Decodes a value from all bytes that a reader has left.
    ///
    /// # Errors
    /// If the bytes are not exactly one encoded value.
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

macro_rules! code_point {
    ($($t:ty)*) => {$(
        impl Encode for $t {
            fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
                self.0.encode(w)
            }
        }
        impl Decode for $t {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                u16::decode(r).map(Self)
            }
        }
    )*};
}
code_point!(
    CipherSuite ComponentId CredentialType ExtensionType ProposalType ProtocolVersion WireFormat
);

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

/// Implements [`Encode`] and [`Decode`] for a structure that is encoded as its fields in order;
/// with `encode`, only [`Encode`].
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

/// Defines a `u8` enumeration of the RFC with its codec.
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
        // The header says three bytes, but u16 elements end after two or four.
        assert_eq!(Vec::<u16>::from_bytes(&[3, 0, 1, 0, 2]), Err(DecodeError::Truncated));
    }

    #[test]
    fn presence_octets_are_zero_or_one() {
        assert_eq!(Option::<u8>::from_bytes(&[0]), Ok(None));
        assert_eq!(Option::<u8>::from_bytes(&[1, 9]), Ok(Some(9)));
        assert_eq!(Option::<u8>::from_bytes(&[2, 9]), Err(DecodeError::InvalidPresence(2)));
    }

    #[test]
    fn each_error_has_its_own_text_with_the_value_found() {
        let errors = [
            (DecodeError::Truncated, "ends inside"),
            (DecodeError::TrailingBytes(4711), "4711 bytes follow"),
            (DecodeError::NonMinimalLength, "shortest form"),
            (DecodeError::InvalidLengthPrefix, "bits 11"),
            (DecodeError::InvalidPresence(77), "77, not 0 or 1"),
            (
                DecodeError::InvalidValue { field: "Thing", value: 0x4711 },
                "0x4711 is not a valid Thing",
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

    /// A vector of `n` equal elements.
    fn repeated(element: &[u8], n: usize) -> Vec<u8> {
        let mut w = Writer::new();
        w.put_opaque(&element.repeat(n)).unwrap();
        w.finish()
    }

    #[test]
    fn decoded_values_stay_within_the_memory_budget() {
        use crate::proposal::ProposalOrRef;

        // Empty references: the shortest elements of a commit's list.
        let empty = [2, 0];
        let most = ROOM / (size_of::<ProposalOrRef>() - ROOM_PER_BYTE * empty.len());
        let list = Vec::<ProposalOrRef>::from_bytes(&repeated(&empty, most)).unwrap();
        assert_eq!(list.len(), most);
        let over = repeated(&empty, most + 1);
        assert_eq!(Vec::<ProposalOrRef>::from_bytes(&over), Err(DecodeError::OutOfRoom));

        // Nested and boxed values count too.
        let over = repeated(&repeated(&empty, 1000), most / 1000 + 1);
        assert_eq!(Vec::<Vec<ProposalOrRef>>::from_bytes(&over), Err(DecodeError::OutOfRoom));
        let boxes = ROOM / (size_of::<Box<u8>>() + size_of::<u8>() - ROOM_PER_BYTE);
        assert!(Vec::<Box<u8>>::from_bytes(&repeated(&[9], boxes)).is_ok());
        let over = Vec::<Box<u8>>::from_bytes(&repeated(&[9], boxes + 10));
        assert_eq!(over, Err(DecodeError::OutOfRoom));
    }

    #[test]
    fn a_commit_at_the_default_proposal_limit_fits_the_memory_budget() {
        use crate::proposal::ProposalOrRef;

        for proposal in [&[1, 0, 3, 0, 0, 0, 1][..], &[[2, 32].as_slice(), &[7; 32]].concat()] {
            let bytes = repeated(proposal, 1 << 18);
            assert_eq!(Vec::<ProposalOrRef>::from_bytes(&bytes).map(|l| l.len()), Ok(1 << 18));
        }

        // Any number of full-length references fits the budget.
        let bytes = repeated(&[[2, 32].as_slice(), &[7; 32]].concat(), 1 << 21);
        assert_eq!(Vec::<ProposalOrRef>::from_bytes(&bytes).map(|l| l.len()), Ok(1 << 21));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        assert_eq!(u16::from_bytes(&[0, 1, 2]), Err(DecodeError::TrailingBytes(1)));
    }
}
