//! The rows of profiles. Stores do not seal keys: rows of users are numbered, and name them inside.

use conclave_content::{Picture, PictureFormat, Profile};
use conclave_delivery_api::{
    Decode, DecodeError, Encode, EncodeError, Name, Reader, Writer, sha256,
};
use conclave_mls::GroupId;

/// The table in the engine's store.
pub(super) const TABLE: &str = "profiles";
/// What a user is called, and what picture there is.
pub(super) const HEAD: u8 = b'u';
/// The octets of a picture.
pub(super) const PICTURE: u8 = b'i';
/// What a room was told of our user.
pub(super) const ROOM: u8 = b'r';
const VERSION: u8 = 1;

/// The key of a numbered row.
pub(super) fn numbered(kind: u8, number: u64) -> Vec<u8> {
    [&[kind], &number.to_be_bytes()[..]].concat()
}

/// The number in such a key.
pub(super) fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

/// The key of a room's row.
pub(super) fn of_room(group: &GroupId) -> Vec<u8> {
    [&[ROOM], &**group].concat()
}

/// What a picture is, without its octets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PictureHead {
    pub(super) format: PictureFormat,
    pub(super) size: u64,
    hash: [u8; 32],
}

impl PictureHead {
    pub(super) fn of(picture: &Picture) -> Self {
        let bytes = picture.bytes();
        Self { format: picture.format(), size: bytes.len() as u64, hash: sha256(bytes) }
    }
}

/// A profile, without the octets of its picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) user: Name,
    pub(super) version: u64,
    pub(super) name: String,
    pub(super) picture: Option<PictureHead>,
}

impl Head {
    pub(super) fn of(user: &Name, version: u64, profile: &Profile) -> Self {
        let picture = profile.picture().map(PictureHead::of);
        Self { user: user.clone(), version, name: profile.name().into(), picture }
    }

    /// Which of two profiles of a user counts: the same one on all devices, even if two have one version.
    pub(super) fn rank(&self) -> impl Ord + '_ {
        (self.version, &self.name, &self.picture)
    }

    /// Whether it says what another one says.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        (&self.name, &self.picture) == (&other.name, &other.picture)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.name.is_empty() && self.picture.is_none()
    }
}

fn format_number(format: PictureFormat) -> u8 {
    match format {
        PictureFormat::Png => 1,
        PictureFormat::Jpeg => 2,
        PictureFormat::Webp => 3,
    }
}

fn invalid(field: &'static str, value: u8) -> DecodeError {
    DecodeError::InvalidValue { field, value: value.into() }
}

/// Reads the version that a row begins with.
fn read_version(r: &mut Reader<'_>) -> Result<(), DecodeError> {
    match u8::decode(r)? {
        VERSION => Ok(()),
        other => Err(invalid("version", other)),
    }
}

impl Encode for Head {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.user.encode(w)?;
        self.version.encode(w)?;
        w.put_opaque(self.name.as_bytes())?;
        match &self.picture {
            None => 0_u8.encode(w),
            Some(PictureHead { format, size, hash }) => {
                format_number(*format).encode(w)?;
                size.encode(w)?;
                w.put(hash);
                Ok(())
            }
        }
    }
}

impl Decode for Head {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_version(r)?;
        let (user, version) = (Name::decode(r)?, u64::decode(r)?);
        let name = core::str::from_utf8(r.opaque()?).map_err(|_| invalid("name", 0))?.to_owned();
        let format = match u8::decode(r)? {
            0 => None,
            1 => Some(PictureFormat::Png),
            2 => Some(PictureFormat::Jpeg),
            3 => Some(PictureFormat::Webp),
            other => return Err(invalid("format", other)),
        };
        let picture = match format {
            None => None,
            Some(format) => {
                Some(PictureHead { format, size: u64::decode(r)?, hash: r.take_array()? })
            }
        };
        Ok(Self { user, version, name, picture })
    }
}

/// What a room was told of our user, by this device or another one of the user's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The version of the profile; 0 for none.
    pub(super) version: u64,
    /// When, in milliseconds since 1970.
    pub(super) at: u64,
    /// Whether somebody has come in since.
    pub(super) newcomers: bool,
}

impl Encode for Told {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        VERSION.encode(w)?;
        self.version.encode(w)?;
        self.at.encode(w)?;
        u8::from(self.newcomers).encode(w)
    }
}

impl Decode for Told {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        read_version(r)?;
        let (version, at) = (u64::decode(r)?, u64::decode(r)?);
        let newcomers = match u8::decode(r)? {
            0 => false,
            1 => true,
            other => return Err(invalid("newcomers", other)),
        };
        Ok(Self { version, at, newcomers })
    }
}

/// The row of a picture.
pub(super) fn picture_row(picture: &Picture) -> Vec<u8> {
    [&[VERSION], picture.bytes()].concat()
}

/// The picture in a row; none if a later version has written it.
pub(super) fn picture_of(row: &[u8]) -> Option<Picture> {
    match row.split_first()? {
        (&VERSION, bytes) => Picture::new(bytes.to_vec()).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the first version has written them: these stay readable.
    #[test]
    fn rows_of_the_first_version_are_read() {
        let head = Head {
            user: "alice".parse().unwrap(),
            version: 0x0102,
            name: "Al".into(),
            picture: Some(PictureHead { format: PictureFormat::Webp, size: 5, hash: [9; 32] }),
        };
        let row = [&b"\x01\x05alice\0\0\0\0\0\0\x01\x02\x02Al\x03\0\0\0\0\0\0\0\x05"[..], &[9; 32]]
            .concat();
        assert_eq!(head.to_bytes().unwrap(), row);
        assert_eq!(Head::from_bytes(&row).unwrap(), head);
        let told = Told { version: 3, at: 4, newcomers: true };
        let row = b"\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\x01";
        assert_eq!(told.to_bytes().unwrap(), row);
        assert_eq!(Told::from_bytes(row).unwrap(), told);
    }

    #[test]
    fn rows_of_later_versions_and_damaged_ones_are_not_read() {
        let head =
            Head { user: "al".parse().unwrap(), version: 1, name: "x".into(), picture: None };
        for row in [head.to_bytes().unwrap(), Told::default().to_bytes().unwrap()] {
            let later = [&[VERSION + 1], &row[1..]].concat();
            let longer = [&row[..], &[0]].concat();
            for row in [&later[..], &longer, &row[..row.len() - 1], &[]] {
                assert!(Head::from_bytes(row).is_err() && Told::from_bytes(row).is_err());
            }
        }
        assert_eq!(picture_of(b"\x02\x89PNG\r\n\x1a\n"), None);
        assert!(picture_of(b"\x01\x89PNG\r\n\x1a\n").is_some());
    }
}
