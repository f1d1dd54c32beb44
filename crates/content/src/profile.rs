//! What a user says of themselves: a display name and a picture.
//!
//! The draft has dispositions for a profile and for an icon, and leaves open what a profile is. Here it is a message whose
//! body has the disposition `profile` and two parts: the name as plain text, and the picture as an `icon`, or nothing in its
//! place. An extension holds the version. A profile says nothing in the room: it has no number there that others could refer
//! to, so it cannot be edited, deleted, answered or reacted to; a newer one takes its place.

use crate::cbor::Value;
use crate::content::MimiContent;
use crate::extensions::ExtensionKey;
use crate::media::{TEXT_PLAIN, is_media_type};
use crate::part::{Disposition, NestedPart, Part, PartSemantics};
use crate::safe::{MAX_DISPLAY_NAME, display_name};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The largest picture, in octets: 32 KiB.
pub const MAX_PICTURE: usize = 32 << 10;

/// The extension that has a profile's version.
const VERSION: &str = "conclave.profile";
/// The most octets of a name: those of [`MAX_DISPLAY_NAME`] characters.
const MAX_NAME_SIZE: usize = 4 * MAX_DISPLAY_NAME;

/// A format of pictures, which a picture's first octets have to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PictureFormat {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP.
    Webp,
}

impl PictureFormat {
    const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Webp];

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// The format of this media type.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| is_media_type(media_type, format.media_type()))
    }

    /// The format that a picture's first octets show.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
            Some(Self::Png)
        } else if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
            Some(Self::Jpeg)
        } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
            Some(Self::Webp)
        } else {
            None
        }
    }
}

/// A picture of a user. Only its size and first octets are checked: a program that draws it must decode it as hostile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    format: PictureFormat,
    bytes: Vec<u8>,
}

impl Picture {
    /// A picture, of the format that its first octets show.
    ///
    /// # Errors
    /// [`ProfileFault::PictureSize`] and [`ProfileFault::PictureFormat`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, ProfileFault> {
        if bytes.len() > MAX_PICTURE {
            return Err(ProfileFault::PictureSize);
        }
        let format = PictureFormat::of_bytes(&bytes).ok_or(ProfileFault::PictureFormat)?;
        Ok(Self { format, bytes })
    }

    /// Its format.
    #[must_use]
    pub fn format(&self) -> PictureFormat {
        self.format
    }

    /// Its octets.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What a user says of themselves.
///
/// ```
/// use conclave_content::{Draft, Limits, MimiContent, Profile, Salt};
///
/// let profile = Profile::new(1_800_000_000_000, "Alice L.", None)?;
/// let (alice, room) = ("mimi://example.com/u/alice", "mimi://example.com/r/lunch");
/// let sent = Draft::profile(&profile).finish(Salt([7; 16]), alice, room)?;
///
/// let content = MimiContent::decode(&sent.bytes, &Limits::default())?;
/// assert_eq!(Profile::of(&content), Some(Ok(profile)));
/// # Ok::<_, Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    version: u64,
    name: String,
    picture: Option<Picture>,
}

/// Why a profile is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProfileFault {
    /// Its parts are not a name and a picture.
    Parts,
    /// It edits or answers a message.
    Refers,
    /// It has no version, or one that is not an unsigned integer.
    Version,
    /// The name has more than [`MAX_DISPLAY_NAME`] characters.
    NameLength,
    /// The name is not one that [`display_name`] leaves as it is.
    Name,
    /// The picture has more than [`MAX_PICTURE`] octets.
    PictureSize,
    /// The picture is neither PNG, JPEG nor WebP, or not of the format that its media type names.
    PictureFormat,
}

impl fmt::Display for ProfileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parts => f.write_str("a profile consists of a name and a picture"),
            Self::Refers => f.write_str("a profile neither edits nor answers a message"),
            Self::Version => f.write_str("a profile needs a version"),
            Self::NameLength => {
                write!(f, "a display name has at most {MAX_DISPLAY_NAME} characters")
            }
            Self::Name => f.write_str(
                "a display name has no double quotation marks, and no characters that are invisible, end the line or turn \
                 its direction",
            ),
            Self::PictureSize => {
                write!(f, "a profile's picture has at most {} KiB", MAX_PICTURE >> 10)
            }
            Self::PictureFormat => f.write_str("a profile's picture is PNG, JPEG or WebP"),
        }
    }
}

impl core::error::Error for ProfileFault {}

impl Profile {
    /// A profile of ours. An empty name and no picture take back what an earlier one said. The version is greater than
    /// that of the user's last profile: the milliseconds since 1970, unless a clock went back.
    ///
    /// # Errors
    /// [`ProfileFault::NameLength`] and [`ProfileFault::Name`].
    pub fn new(version: u64, name: &str, picture: Option<Picture>) -> Result<Self, ProfileFault> {
        if name.chars().count() > MAX_DISPLAY_NAME {
            return Err(ProfileFault::NameLength);
        }
        if display_name(name) != name {
            return Err(ProfileFault::Name);
        }
        Ok(Self { version, name: name.into(), picture })
    }

    /// The profile that a message is; none if it is another kind of message. Of a name that came in, only what is fit to
    /// show is kept.
    ///
    /// # Errors
    /// A [`ProfileFault`] if it claims to be a profile, and is not a valid one.
    #[must_use]
    pub fn of(content: &MimiContent) -> Option<Result<Self, ProfileFault>> {
        (content.nested_part.disposition == Disposition::PROFILE).then(|| Self::read(content))
    }

    fn read(content: &MimiContent) -> Result<Self, ProfileFault> {
        if content.replaces.is_some() || content.in_reply_to.is_some() {
            return Err(ProfileFault::Refers);
        }
        let version = content.mimi_extensions.0.get(&ExtensionKey::Text(VERSION.into()));
        let version = version.and_then(Value::as_unsigned).ok_or(ProfileFault::Version)?;

        let Part::Multi(parts) = &content.nested_part.part else { return Err(ProfileFault::Parts) };
        let [name, picture] = parts.parts.as_slice() else { return Err(ProfileFault::Parts) };
        if parts.part_semantics != PartSemantics::ProcessAll {
            return Err(ProfileFault::Parts);
        }
        Ok(Self { version, name: read_name(name)?, picture: read_picture(picture)? })
    }

    /// The body of the message that says it.
    pub(crate) fn body(&self) -> NestedPart {
        let name = NestedPart::single(Disposition::PROFILE, TEXT_PLAIN, self.name.as_bytes());
        let picture = self.picture.as_ref().map_or_else(
            || NestedPart::null(Disposition::ICON),
            |Picture { format, bytes }| {
                NestedPart::single(Disposition::ICON, format.media_type(), bytes)
            },
        );
        let both = NestedPart::multi(PartSemantics::ProcessAll, Vec::from([name, picture]));
        NestedPart { disposition: Disposition::PROFILE, ..both }
    }

    /// The extension of the message that says it.
    pub(crate) fn extension(&self) -> (ExtensionKey, Value) {
        (ExtensionKey::Text(VERSION.into()), Value::unsigned(self.version))
    }

    /// The version: of a user's profiles, the one with the greatest version counts, in whatever order they come.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The display name, fit to show on one line; empty if the user has none. Anybody can have any name: show it beside the
    /// user's own name and never instead of it, in quotation marks.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The picture.
    #[must_use]
    pub fn picture(&self) -> Option<&Picture> {
        self.picture.as_ref()
    }
}

fn read_name(part: &NestedPart) -> Result<String, ProfileFault> {
    let Part::Single(single) = &part.part else { return Err(ProfileFault::Parts) };
    if part.disposition != Disposition::PROFILE || !is_media_type(&single.content_type, TEXT_PLAIN)
    {
        return Err(ProfileFault::Parts);
    }
    // The octets are counted before anything is done with them.
    if single.content.len() > MAX_NAME_SIZE {
        return Err(ProfileFault::NameLength);
    }
    let name = core::str::from_utf8(&single.content).map_err(|_| ProfileFault::Name)?;
    if name.chars().count() > MAX_DISPLAY_NAME {
        return Err(ProfileFault::NameLength);
    }
    Ok(display_name(name))
}

fn read_picture(part: &NestedPart) -> Result<Option<Picture>, ProfileFault> {
    if part.disposition != Disposition::ICON {
        return Err(ProfileFault::Parts);
    }
    let single = match &part.part {
        Part::Null => return Ok(None),
        Part::Single(single) => single,
        Part::External(_) | Part::Multi(_) | Part::Unknown(_) => return Err(ProfileFault::Parts),
    };
    if single.content.len() > MAX_PICTURE {
        return Err(ProfileFault::PictureSize);
    }
    let claimed = PictureFormat::of_media_type(&single.content_type);
    let picture = Picture::new(single.content.clone())?;
    if claimed == Some(picture.format) {
        Ok(Some(picture))
    } else {
        Err(ProfileFault::PictureFormat)
    }
}
