//! The body of a message: parts, which may contain parts (section 4.4).

use crate::cbor::{Reader, Value, Writer};
use crate::error::{ContentError, Fault};
use crate::external::ExternalPart;
use crate::limits::{Limit, Limits, MAX_DEPTH};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The levels of an item that only a later version of the format knows.
pub(crate) const LATER_LEVELS: usize = 8;

const NULL: u64 = 0;
const SINGLE: u64 = 1;
const EXTERNAL: u64 = 2;
const MULTI: u64 = 3;

/// What a part is meant for (section 8.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Disposition(pub u8);

#[allow(missing_docs, reason = "the registry's names")]
impl Disposition {
    pub const UNSPECIFIED: Self = Self(0);
    /// To be rendered according to local policy.
    pub const RENDER: Self = Self(1);
    /// A single reaction to another message.
    pub const REACTION: Self = Self(2);
    /// The profile of a participant or a room.
    pub const PROFILE: Self = Self(3);
    /// To be rendered directly in the chat.
    pub const INLINE: Self = Self(4);
    /// An avatar, for instance.
    pub const ICON: Self = Self(5);
    /// To be downloaded instead of being rendered immediately.
    pub const ATTACHMENT: Self = Self(6);
    /// The description of a multimedia session, or a URI to join it.
    pub const SESSION: Self = Self(7);
    /// The sender's preview of something.
    pub const PREVIEW: Self = Self(8);

    /// Its name in the registry; none if it is unknown.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::UNSPECIFIED => "unspecified",
            Self::RENDER => "render",
            Self::REACTION => "reaction",
            Self::PROFILE => "profile",
            Self::INLINE => "inline",
            Self::ICON => "icon",
            Self::ATTACHMENT => "attachment",
            Self::SESSION => "session",
            Self::PREVIEW => "preview",
            _ => return None,
        })
    }

    /// The disposition to act upon: an unknown one counts as `render` (section 9.1).
    #[must_use]
    pub fn known(self) -> Self {
        if self <= Self::PREVIEW { self } else { Self::RENDER }
    }
}

/// How the parts of a [`MultiPart`] belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartSemantics {
    /// The receiver picks exactly one part to process.
    ChooseOne = 0,
    /// The receiver processes all parts as a single unit, or none if it does not understand one of them.
    SingleUnit = 1,
    /// The receiver processes as many parts as it can, each for itself.
    ProcessAll = 2,
}

/// A part, with what it is meant for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NestedPart {
    /// What it is meant for.
    pub disposition: Disposition,
    /// Language tags, separated by commas; empty if nothing is said of it.
    pub language: String,
    /// What it is.
    pub part: Part,
}

/// What a part is. (The draft calls the numbers of the kinds `cardinality`.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// `NullPart`: nothing, as in a message that deletes another.
    Null,
    /// `SinglePart`: content that is here.
    Single(SinglePart),
    /// `ExternalPart`: content that is somewhere else.
    External(Box<ExternalPart>),
    /// `MultiPart`: parts.
    Multi(MultiPart),
    /// A kind that the draft does not know. Kept, and shown as unknown.
    Unknown(UnknownPart),
}

/// Content of some media type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinglePart {
    /// Its media type with parameters, as in `text/plain;charset=utf-8`. Not validated.
    pub content_type: String,
    /// The content.
    pub content: Vec<u8>,
}

/// Two parts or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiPart {
    /// How they belong together.
    pub part_semantics: PartSemantics,
    /// The parts. An encoding has at least two.
    pub parts: Vec<NestedPart>,
}

/// A part of an unknown kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownPart {
    /// The number of the kind: 4 or more.
    pub cardinality: u64,
    /// The items after it.
    pub items: Vec<Value>,
}

/// What is left of the limits while the parts of one message are read.
pub(crate) struct PartLimits {
    depth: usize,
    parts: usize,
}

impl PartLimits {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { depth: limits.depth.min(MAX_DEPTH), parts: limits.parts }
    }
}

impl NestedPart {
    /// A part with this content.
    #[must_use]
    pub fn single(disposition: Disposition, content_type: &str, content: &[u8]) -> Self {
        let single = SinglePart { content_type: content_type.into(), content: content.into() };
        Self { disposition, language: String::new(), part: Part::Single(single) }
    }

    /// A part whose content is somewhere else.
    #[must_use]
    pub fn external(disposition: Disposition, external: ExternalPart) -> Self {
        Self { disposition, language: String::new(), part: Part::External(Box::new(external)) }
    }

    /// A part without content.
    #[must_use]
    pub fn null(disposition: Disposition) -> Self {
        Self { disposition, language: String::new(), part: Part::Null }
    }

    /// Parts that belong together.
    #[must_use]
    pub fn multi(part_semantics: PartSemantics, parts: Vec<Self>) -> Self {
        let part = Part::Multi(MultiPart { part_semantics, parts });
        Self { disposition: Disposition::RENDER, language: String::new(), part }
    }

    /// This part and all parts in it, in the order of their part index: depth first, this one being 0 if it is a
    /// message's body (section 4.4).
    pub fn parts(&self) -> impl Iterator<Item = &Self> {
        let mut open = Vec::from([self]);
        core::iter::from_fn(move || {
            let next = open.pop()?;
            if let Part::Multi(multi) = &next.part {
                open.extend(multi.parts.iter().rev());
            }
            Some(next)
        })
    }

    pub(crate) fn read(
        reader: &mut Reader<'_>,
        limits: &mut PartLimits,
    ) -> Result<Self, ContentError> {
        let start = reader.offset();
        let over = |limit| Fault::OverLimit(limit).at(start);
        limits.parts = limits.parts.checked_sub(1).ok_or(over(Limit::Parts))?;
        limits.depth = limits.depth.checked_sub(1).ok_or(over(Limit::Depth))?;
        reader.charge(size_of::<Self>())?;

        let length = reader.array()?;
        let disposition = Disposition(reader.number("a disposition")?);
        let language = reader.text()?.into();
        let cardinality = reader.unsigned()?;
        let part = match (cardinality, length) {
            (NULL, 3) => Part::Null,
            (SINGLE, 5) => Part::Single(SinglePart::read(reader)?),
            (EXTERNAL, 15) => Part::External(Box::new(ExternalPart::read(reader)?)),
            (MULTI, 5) => Part::Multi(MultiPart::read(reader, limits)?),
            (NULL..=MULTI, _) => return Err(Fault::WrongLength("a part").at(start)),
            _ => {
                let rest = length.checked_sub(3).ok_or(Fault::WrongLength("a part").at(start))?;
                let items = (0..rest).map(|_| Value::read(reader, LATER_LEVELS));
                Part::Unknown(UnknownPart { cardinality, items: items.collect::<Result<_, _>>()? })
            }
        };

        limits.depth += 1;
        Ok(Self { disposition, language, part })
    }

    /// Writes the part, down to so many levels.
    pub(crate) fn write(&self, writer: &mut Writer, levels: usize) -> Result<(), ContentError> {
        let below = levels.checked_sub(1).ok_or(Fault::OverLimit(Limit::Depth).at(0))?;
        let (cardinality, items) = match &self.part {
            Part::Null => (NULL, 0),
            Part::Single(_) => (SINGLE, 2),
            Part::External(_) => (EXTERNAL, 12),
            Part::Multi(_) => (MULTI, 2),
            Part::Unknown(unknown) => (unknown.cardinality, unknown.items.len()),
        };
        writer.array(3 + items);
        writer.unsigned(self.disposition.0);
        writer.text(&self.language);
        writer.unsigned(cardinality);

        match &self.part {
            Part::Null => {}
            Part::Single(single) => single.write(writer),
            Part::External(external) => external.write(writer),
            Part::Multi(multi) => multi.write(writer, below)?,
            Part::Unknown(unknown) => {
                unknown.items.iter().for_each(|item| writer.raw(item.as_cbor()));
            }
        }
        Ok(())
    }
}

impl SinglePart {
    fn read(reader: &mut Reader<'_>) -> Result<Self, ContentError> {
        Ok(Self { content_type: reader.text()?.into(), content: reader.bytes()?.into() })
    }

    fn write(&self, writer: &mut Writer) {
        writer.text(&self.content_type);
        writer.bytes(&self.content);
    }
}

impl MultiPart {
    fn read(reader: &mut Reader<'_>, limits: &mut PartLimits) -> Result<Self, ContentError> {
        let start = reader.offset();
        let part_semantics = match reader.unsigned()? {
            0 => PartSemantics::ChooseOne,
            1 => PartSemantics::SingleUnit,
            2 => PartSemantics::ProcessAll,
            other => return Err(Fault::UnknownPartSemantics(other).at(start)),
        };

        let start = reader.offset();
        let count = reader.array()?;
        if count < 2 {
            return Err(Fault::TooFewParts.at(start));
        }
        if count > limits.parts {
            return Err(Fault::OverLimit(Limit::Parts).at(start));
        }
        let parts = (0..count).map(|_| NestedPart::read(reader, limits));
        Ok(Self { part_semantics, parts: parts.collect::<Result<_, _>>()? })
    }

    fn write(&self, writer: &mut Writer, levels: usize) -> Result<(), ContentError> {
        writer.unsigned(self.part_semantics as u8);
        writer.array(self.parts.len());
        self.parts.iter().try_for_each(|part| part.write(writer, levels))
    }
}
