//! Names of users and devices.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use conclave_mls::wire::codec::{Decode, DecodeError, Encode, EncodeError, Reader, Writer};
use core::fmt;
use core::str::FromStr;

/// The longest name, in bytes.
const MAX_NAME: usize = 64;

/// A user's or a device's name: 1 to 64 of the characters `a-z`, `0-9`, `.`, `_` and `-`, not all of
/// them dots: it can be part of a path, and leads nowhere else there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

/// Why something is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// It is empty.
    Empty,
    /// It is longer than 64 characters.
    TooLong,
    /// It holds this character, which names do not have.
    Character(char),
    /// It has nothing but dots.
    Dots,
    /// A device identity has no `/` between user and device.
    NoSlash,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a name cannot be empty"),
            Self::TooLong => write!(f, "a name has at most {MAX_NAME} characters"),
            Self::Character(c) => {
                write!(f, "a name has the characters a-z, 0-9, '.', '_' and '-', and not {c:?}")
            }
            Self::Dots => f.write_str("a name cannot be all dots"),
            Self::NoSlash => f.write_str("a device is written user/device"),
        }
    }
}

impl core::error::Error for NameError {}

impl Name {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        if s.is_empty() {
            return Err(NameError::Empty);
        }
        let odd = |c: &char| !matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
        if let Some(c) = s.chars().find(odd) {
            return Err(NameError::Character(c));
        }
        if s.len() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        if s.bytes().all(|b| b == b'.') {
            return Err(NameError::Dots);
        }
        Ok(Self(s.into()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Encode for Name {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        w.put_opaque(self.0.as_bytes())
    }
}

impl Decode for Name {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = r.opaque()?;
        let invalid = DecodeError::InvalidValue { field: "Name", value: bytes.len() as u64 };
        let text = core::str::from_utf8(bytes).map_err(|_| invalid)?;
        text.parse().map_err(|_| invalid)
    }
}

/// One of a user's devices: one client of MLS, with a signature key of its own.
///
/// Written `user/device`; those bytes are the identity in its basic credential.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceId {
    /// Whose it is.
    pub user: Name,
    /// Which of the user's it is.
    pub device: Name,
}

impl DeviceId {
    /// A device of a user.
    #[must_use]
    pub fn new(user: Name, device: Name) -> Self {
        Self { user, device }
    }

    /// The device that a basic credential's identity names.
    ///
    /// # Errors
    /// If the bytes are not of the form `user/device`.
    pub fn from_identity(identity: &[u8]) -> Result<Self, NameError> {
        core::str::from_utf8(identity).map_err(|_| NameError::Character('\u{fffd}'))?.parse()
    }

    /// The identity in the device's basic credential.
    #[must_use]
    pub fn identity(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

impl FromStr for DeviceId {
    type Err = NameError;
    fn from_str(s: &str) -> Result<Self, NameError> {
        let (user, device) = s.split_once('/').ok_or(NameError::NoSlash)?;
        Ok(Self { user: user.parse()?, device: device.parse()? })
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.user, self.device)
    }
}

impl fmt::Debug for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Encode for DeviceId {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        self.user.encode(w)?;
        self.device.encode(w)
    }
}

impl Decode for DeviceId {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { user: Decode::decode(r)?, device: Decode::decode(r)? })
    }
}
