//! Reading items, each in its shortest form, from a slice.

use super::float::Float;
use crate::error::{ContentError, Fault};
use crate::limits::{Limit, Limits};
use cbor4ii::core::dec::{Decode, Read, Reference};
use cbor4ii::core::{major, marker, types};
use core::convert::Infallible;

/// An item's type and argument, and what lies in the bytes right behind them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Unsigned(u64),
    /// The integer −1 − n.
    Negative(u64),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// So many items follow: not more than there are bytes.
    Array(usize),
    /// So many pairs follow: not more than half as many as there are bytes.
    Map(usize),
    /// One item follows.
    Tag(u64),
    Bool(bool),
    Null,
    Float(Float),
    /// `undefined`, and what has no meaning yet.
    Simple,
}

/// What is left to read, of bytes and of memory.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    size: usize,
    memory: usize,
}

impl<'a> Read<'a> for Reader<'a> {
    type Error = Infallible;

    fn fill<'short>(&'short mut self, _: usize) -> Result<Reference<'a, 'short>, Infallible> {
        Ok(Reference::Long(self.rest))
    }

    fn advance(&mut self, n: usize) {
        self.rest = self.rest.get(n..).unwrap_or_default();
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, ContentError> {
        if bytes.len() > limits.size {
            return Err(Fault::OverLimit(Limit::Size).at(0));
        }
        Ok(Self { rest: bytes, size: bytes.len(), memory: limits.memory })
    }

    /// How many bytes were read.
    pub(crate) fn offset(&self) -> usize {
        self.size - self.rest.len()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn finish(&self) -> Result<(), ContentError> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::TrailingBytes.at(self.offset())) }
    }

    /// Takes so many octets from what a decoded value may need in memory.
    pub(crate) fn charge(&mut self, octets: usize) -> Result<(), ContentError> {
        match self.memory.checked_sub(octets) {
            Some(left) => self.memory = left,
            None => return Err(Fault::OverLimit(Limit::Memory).at(self.offset())),
        }
        Ok(())
    }

    /// Reads one item, for arrays, maps and tags without what they contain.
    pub(crate) fn item(&mut self) -> Result<Item<'a>, ContentError> {
        let start = self.offset();
        self.undecorated_item().map_err(|fault| fault.at(start))
    }

    fn undecorated_item(&mut self) -> Result<Item<'a>, Fault> {
        let before = self.rest.len();
        let first = *self.rest.first().ok_or(Fault::Truncated)?;
        let kind = first >> 5;
        match first & marker::START {
            28..=30 => return Err(Fault::Reserved),
            31 if (major::BYTES..=major::MAP).contains(&kind) => {
                return Err(Fault::IndefiniteLength);
            }
            31 => return Err(Fault::Reserved),
            _ => {}
        }

        let (item, argument, content) = match kind {
            major::UNSIGNED => {
                let n: u64 = self.take()?;
                (Item::Unsigned(n), n, 0)
            }
            major::NEGATIVE => {
                let types::Negative(n) = self.take::<types::Negative<u64>>()?;
                (Item::Negative(n), n, 0)
            }
            major::BYTES => {
                let types::Bytes(bytes) = self.take::<types::Bytes<&[u8]>>()?;
                (Item::Bytes(bytes), bytes.len() as u64, bytes.len())
            }
            major::STRING => {
                let types::UncheckedStr(bytes) = self.take::<types::UncheckedStr<&[u8]>>()?;
                let text = core::str::from_utf8(bytes).map_err(|_| Fault::NotUtf8)?;
                (Item::Text(text), bytes.len() as u64, bytes.len())
            }
            major::ARRAY => {
                let count = self.count(types::Array::len, 1)?;
                (Item::Array(count), count as u64, 0)
            }
            major::MAP => {
                let count = self.count(types::Map::len, 2)?;
                (Item::Map(count), count as u64, 0)
            }
            major::TAG => {
                let tag = types::Tag::tag(self).map_err(|_| Fault::Truncated)?;
                (Item::Tag(tag), tag, 0)
            }
            _ => return self.simple(first),
        };

        let head = before - self.rest.len() - content;
        if head == head_length(argument) { Ok(item) } else { Err(Fault::NotShortest) }
    }

    /// Reads an item whose initial byte was looked at: what can still be wrong is that bytes are missing.
    fn take<T: Decode<'a>>(&mut self) -> Result<T, Fault> {
        T::decode(self).map_err(|_| Fault::Truncated)
    }

    /// Reads how many items follow, each of which takes at least so many bytes.
    fn count<E>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Option<usize>, E>,
        least: usize,
    ) -> Result<usize, Fault> {
        let count = read(self).ok().flatten().ok_or(Fault::Truncated)?;
        if count > self.rest.len() / least { Err(Fault::Truncated) } else { Ok(count) }
    }

    fn simple(&mut self, first: u8) -> Result<Item<'a>, Fault> {
        Ok(match first {
            marker::FALSE | marker::TRUE => Item::Bool(self.take()?),
            marker::NULL => {
                self.advance(1);
                Item::Null
            }
            marker::F16 => {
                let types::F16(bits) = self.take()?;
                Item::Float(Float::Half(bits))
            }
            marker::F32 => Item::Float(Float::Single(self.take::<f32>()?.to_bits())),
            marker::F64 => Item::Float(Float::Double(self.take::<f64>()?.to_bits())),
            _ => {
                let types::Simple(value) = self.take()?;
                // Two bytes begin with the value 32 (RFC 8949 section 3.3).
                if first & marker::START == 24 && value < 32 {
                    return Err(Fault::Reserved);
                }
                Item::Simple
            }
        })
    }

    pub(crate) fn array(&mut self) -> Result<usize, ContentError> {
        self.expect("an array", |item| if let Item::Array(n) = item { Some(n) } else { None })
    }

    /// Reads an array of just so many items.
    pub(crate) fn array_of(&mut self, n: usize, what: &'static str) -> Result<(), ContentError> {
        let start = self.offset();
        if self.array()? == n { Ok(()) } else { Err(Fault::WrongLength(what).at(start)) }
    }

    pub(crate) fn map(&mut self) -> Result<usize, ContentError> {
        self.expect("a map", |item| if let Item::Map(n) = item { Some(n) } else { None })
    }

    pub(crate) fn bool(&mut self) -> Result<bool, ContentError> {
        self.expect("a boolean", |item| if let Item::Bool(b) = item { Some(b) } else { None })
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, ContentError> {
        let text =
            self.expect("text", |item| if let Item::Text(text) = item { Some(text) } else { None });
        self.charge(text?.len())?;
        text
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], ContentError> {
        let bytes = self
            .expect("a byte string", |item| if let Item::Bytes(b) = item { Some(b) } else { None });
        self.charge(bytes?.len())?;
        bytes
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, ContentError> {
        self.expect("an unsigned integer", |item| {
            if let Item::Unsigned(n) = item { Some(n) } else { None }
        })
    }

    /// Reads an unsigned integer of fewer than 64 bits.
    pub(crate) fn number<T: TryFrom<u64>>(
        &mut self,
        what: &'static str,
    ) -> Result<T, ContentError> {
        let start = self.offset();
        T::try_from(self.unsigned()?).map_err(|_| Fault::OutOfRange(what).at(start))
    }

    /// Reads `null`, if that is what comes next.
    pub(crate) fn null(&mut self) -> bool {
        let is_null = self.rest.first() == Some(&marker::NULL);
        if is_null {
            self.advance(1);
        }
        is_null
    }

    fn expect<T>(
        &mut self,
        what: &'static str,
        select: impl FnOnce(Item<'a>) -> Option<T>,
    ) -> Result<T, ContentError> {
        let start = self.offset();
        select(self.item()?).ok_or(Fault::WrongType(what).at(start))
    }
}

/// How many bytes an initial byte and its argument take in the shortest form.
fn head_length(argument: u64) -> usize {
    match argument {
        0..=0x17 => 1,
        0x18..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}
