//! Which client it is, and which are too old.

use super::{Decode, DecodeError, Encode, EncodeError, Name, Reader, Writer};
use core::fmt;
use core::str::FromStr;

structs! {
    /// A client and its version: `conclave/0.4.0` as text, which is the value of the header
    /// [`CLIENT_HEADER`](super::CLIENT_HEADER). Versions of clients of another name do not compare.
    pub struct ClientVersion {
        /// Whose version it is: that of an application, whatever it is made from.
        pub name: Name,
        /// The first number.
        pub major: u32,
        /// The second one.
        pub minor: u32,
        /// The third one.
        pub patch: u32,
    }
}

impl ClientVersion {
    /// Whether it is a client of the same name, and an older one.
    #[must_use]
    pub fn is_older_than(&self, other: &Self) -> bool {
        self.name == other.name && self.numbers() < other.numbers()
    }

    fn numbers(&self) -> [u32; 3] {
        [self.major, self.minor, self.patch]
    }
}

impl fmt::Display for ClientVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, major, minor, patch } = self;
        write!(f, "{name}/{major}.{minor}.{patch}")
    }
}

impl FromStr for ClientVersion {
    type Err = String;

    /// Reads `NAME/MAJOR.MINOR.PATCH`, as [`Display`](fmt::Display) writes it and in no other way.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a client version such as conclave/0.4.0");
        let (name, numbers) = text.split_once('/').ok_or_else(wrong)?;
        let name = name.parse().map_err(|_| wrong())?;
        let numbers: Result<Vec<u32>, _> = numbers.split('.').map(str::parse).collect();
        let [major, minor, patch] =
            numbers.map_err(|_| wrong())?.try_into().map_err(|_| wrong())?;
        let version = Self { name, major, minor, patch };
        // Neither signs nor leading zeros.
        match version.to_string() == text {
            true => Ok(version),
            false => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> ClientVersion {
        text.parse().unwrap()
    }

    #[test]
    fn versions_are_compared_by_their_numbers_and_with_their_own_name_alone() {
        let is_older = |one, other| read(one).is_older_than(&read(other));
        assert!(is_older("conclave/0.9.9", "conclave/0.10.0"));
        assert!(is_older("conclave/0.10.0", "conclave/1.0.0"));
        assert!(is_older("conclave/1.2.3", "conclave/1.2.4"));
        assert!(!is_older("conclave/1.2.4", "conclave/1.2.4"));
        assert!(!is_older("conclave/2.0.0", "conclave/1.9.9"));
        assert!(!is_older("other/0.0.1", "conclave/1.0.0"));
    }

    #[test]
    fn a_version_is_written_in_one_way() {
        assert_eq!(read("my-app/4294967295.0.10").to_string(), "my-app/4294967295.0.10");
        for wrong in [
            "",
            "conclave",
            "conclave/",
            "/1.2.3",
            "conclave/1.2",
            "conclave/1.2.3.4",
            "conclave/+1.2.3",
            "conclave/01.2.3",
            "conclave/1.2.x",
            "conclave/1.2.3 ",
            "conclave/1.2.4294967296",
            "Conclave/1.2.3",
            "a/b/1.2.3",
        ] {
            assert!(wrong.parse::<ClientVersion>().is_err(), "{wrong}");
        }
    }
}
