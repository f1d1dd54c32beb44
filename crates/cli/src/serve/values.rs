//! The kinds of value that a setting has: how people write them, and how they are shown.

use super::log::{Level, LogFormat};
use conclave_delivery::http::{Contact, Domain, ForwardedHeader, Network};
use conclave_delivery_api as api;
use conclave_delivery_api::ClientVersion;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// A kind of value.
pub(crate) trait Value: Sized {
    /// Whether the flag alone says something: `--allow-plain-http`.
    const IS_SWITCH: bool = false;

    /// Reads it as people write it. `range` holds for numbers: bytes of a size, seconds of a time.
    fn parse(text: &str, range: &RangeInclusive<u64>) -> Result<Self, String>;

    /// The value as TOML; none if it is not set.
    fn show(&self) -> Option<String>;
}

/// A text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut shown = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => shown.extend(['\\', c]),
            c if c.is_control() => shown += &format!("\\u{:04X}", u32::from(c)),
            c => shown.push(c),
        }
    }
    shown + "\""
}

fn within(number: u64, text: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    if range.contains(&number) {
        return Ok(number);
    }
    let (from, to) = (range.start(), range.end());
    Err(match *to {
        u64::MAX => format!("{text} is too small: write at least {from}"),
        _ => format!("{text} is out of range: write {from} to {to}"),
    })
}

/// Cuts a number off from the unit behind it.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end)?;
    Some((number.parse().ok()?, unit.trim()))
}

impl Value for u64 {
    fn parse(text: &str, range: &RangeInclusive<u64>) -> Result<Self, String> {
        let number = text.trim().parse().map_err(|_| format!("{text:?} is not a whole number"))?;
        within(number, text, range)
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

macro_rules! counts {
    ($($count:ty)*) => {$(
        impl Value for $count {
            fn parse(text: &str, range: &RangeInclusive<u64>) -> Result<Self, String> {
                let number = u64::parse(text, range)?;
                Self::try_from(number).map_err(|_| format!("{text} is too large"))
            }

            fn show(&self) -> Option<String> {
                Some(self.to_string())
            }
        }
    )*};
}
counts!(u32 usize);

/// A number of bytes: `65536`, `64 KiB`, `16 MiB`, `2 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    /// The most that this machine counts, if it is more.
    pub(crate) fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

const UNITS_OF_SIZE: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];

impl Value for Size {
    fn parse(text: &str, range: &RangeInclusive<u64>) -> Result<Self, String> {
        let bad = || format!("{text:?} is no size: write bytes, or as 64 KiB, 16 MiB, 2 GiB");
        let (number, unit) = number_and_unit(text).ok_or_else(bad)?;
        let known = UNITS_OF_SIZE.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let bytes = match (unit, known) {
            ("", _) => Some(number),
            (_, Some((_, shift))) => number.checked_mul(1 << shift),
            _ => return Err(bad()),
        };
        within(bytes.ok_or_else(bad)?, text, range).map(Self)
    }

    fn show(&self) -> Option<String> {
        let whole = |(_, shift): &&(&str, u32)| self.0 >> shift << shift == self.0 && self.0 > 0;
        Some(match UNITS_OF_SIZE.iter().find(whole) {
            Some((unit, shift)) => quoted(&format!("{} {unit}", self.0 >> shift)),
            None => self.0.to_string(),
        })
    }
}

const UNITS_OF_TIME: [(&str, u64); 4] = [("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)];

/// A time in whole seconds: `10`, `10 s`, `5 m`, `1 h`, `7 d`.
impl Value for Duration {
    fn parse(text: &str, range: &RangeInclusive<u64>) -> Result<Self, String> {
        let bad = || format!("{text:?} is no time: write seconds, or as 10 s, 5 m, 1 h, 7 d");
        let (number, unit) = number_and_unit(text).ok_or_else(bad)?;
        let known = UNITS_OF_TIME.iter().find(|(name, _)| *name == unit);
        let seconds = match (unit, known) {
            ("", _) => Some(number),
            (_, Some((_, seconds))) => number.checked_mul(*seconds),
            _ => return Err(bad()),
        };
        within(seconds.ok_or_else(bad)?, text, range).map(Self::from_secs)
    }

    fn show(&self) -> Option<String> {
        let seconds = self.as_secs();
        let whole = |(_, unit): &&(&str, u64)| seconds.is_multiple_of(*unit) && seconds > 0;
        Some(match UNITS_OF_TIME.iter().find(whole) {
            Some((name, unit)) => quoted(&format!("{} {name}", seconds / unit)),
            None => seconds.to_string(),
        })
    }
}

impl Value for bool {
    const IS_SWITCH: bool = true;

    fn parse(text: &str, _: &RangeInclusive<u64>) -> Result<Self, String> {
        match text.trim() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }

    fn show(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl Value for SocketAddr {
    fn parse(text: &str, _: &RangeInclusive<u64>) -> Result<Self, String> {
        let form = "write an IP address and a port, as 127.0.0.1:4820 or [::1]:4820";
        text.trim().parse().map_err(|_| format!("{text:?} is no address: {form}"))
    }

    fn show(&self) -> Option<String> {
        Some(quoted(&self.to_string()))
    }
}

/// A text that is read elsewhere.
impl Value for String {
    fn parse(text: &str, _: &RangeInclusive<u64>) -> Result<Self, String> {
        match text.trim() {
            "" => Err("the text is empty".into()),
            text => Ok(text.into()),
        }
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self))
    }
}

impl Value for PathBuf {
    fn parse(text: &str, _: &RangeInclusive<u64>) -> Result<Self, String> {
        match text {
            "" => Err("the path is empty".into()),
            text => Ok(text.into()),
        }
    }

    fn show(&self) -> Option<String> {
        self.to_str().map(quoted)
    }
}

impl Value for Domain {
    fn parse(text: &str, _: &RangeInclusive<u64>) -> Result<Self, String> {
        text.trim().parse()
    }

    fn show(&self) -> Option<String> {
        Some(quoted(self.as_str()))
    }
}

/// What is unset unless something is said.
impl<V: Value> Value for Option<V> {
    fn parse(text: &str, range: &RangeInclusive<u64>) -> Result<Self, String> {
        V::parse(text, range).map(Some)
    }

    fn show(&self) -> Option<String> {
        self.as_ref().and_then(Value::show)
    }
}

/// A kind of value of which there may be several: with commas between them, or a list in the file.
macro_rules! lists {
    ($($one:ty)*) => {$(
        impl Value for Vec<$one> {
            fn parse(text: &str, _: &RangeInclusive<u64>) -> Result<Self, String> {
                text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::parse).collect()
            }

            fn show(&self) -> Option<String> {
                let shown: Vec<String> = self.iter().map(|one| quoted(&one.to_string())).collect();
                Some(format!("[{}]", shown.join(", ")))
            }
        }
    )*};
}

lists!(Network ClientVersion Domain Contact);

/// A kind of value that is one of a few words.
macro_rules! words {
    ($type:ident: $($word:literal => $variant:ident),*) => {
        impl Value for $type {
            fn parse(text: &str, _: &RangeInclusive<u64>) -> Result<Self, String> {
                match text.trim() {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("{text:?} is none of {}", [$($word),*].join(", "))),
                }
            }

            fn show(&self) -> Option<String> {
                Some(quoted(match self { $(Self::$variant => $word),* }))
            }
        }
    };
}

/// Who may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Registration {
    /// Open where nobody but this machine's users reaches the service, by invitation elsewhere.
    ByAddress,
    /// Anybody who reaches the service.
    Open,
    /// Whoever has an invitation.
    Invitation,
    /// Nobody.
    Closed,
}

words!(Registration: "by-address" => ByAddress, "open" => Open, "invitation" => Invitation, "closed" => Closed);

words!(ForwardedHeader: "x-forwarded-for" => XForwardedFor, "forwarded" => Forwarded);

words!(LogFormat: "text" => Text, "json" => Json);
words!(Level: "warn" => Warn, "info" => Info, "debug" => Debug);

impl Registration {
    /// What it means for a service that listens there.
    pub(crate) fn at(self, listen: &SocketAddr) -> api::Registration {
        match self {
            Self::ByAddress if listen.ip().is_loopback() => api::Registration::Open,
            Self::Open => api::Registration::Open,
            Self::ByAddress | Self::Invitation => api::Registration::Invitation,
            Self::Closed => api::Registration::Closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: RangeInclusive<u64> = 0..=u64::MAX;

    #[test]
    fn sizes_and_times_are_read_as_people_write_them_and_shown_so() {
        for (text, bytes, shown) in [
            ("0", 0, "0"),
            ("1000", 1000, "1000"),
            ("64KiB", 65536, "\"64 KiB\""),
            ("65536", 65536, "\"64 KiB\""),
            ("16 mib", 16 << 20, "\"16 MiB\""),
            ("1536 MiB", 1536 << 20, "\"1536 MiB\""),
            ("2 GiB", 2 << 30, "\"2 GiB\""),
        ] {
            let size = Size::parse(text, &ANY).unwrap();
            assert_eq!((size.0, size.show().unwrap().as_str()), (bytes, shown), "{text}");
        }
        for (text, seconds, shown) in [
            ("90", 90, "\"90 s\""),
            ("120", 120, "\"2 m\""),
            ("24 h", 86_400, "\"1 d\""),
            ("0", 0, "0"),
        ] {
            let time = Duration::parse(text, &ANY).unwrap();
            assert_eq!((time.as_secs(), time.show().unwrap().as_str()), (seconds, shown), "{text}");
        }
        for wrong in
            ["", "x", "-1", "1.5 s", "10 sec", "18446744073709551615 d", "99999999999999999999"]
        {
            assert!(Duration::parse(wrong, &ANY).is_err(), "{wrong}");
        }
        for wrong in ["", "16 MB", "16M", "MiB", "17179869184 GiB"] {
            assert!(Size::parse(wrong, &ANY).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_out_of_its_range_is_refused_at_the_edge() {
        assert!(u64::parse("1", &(1..=10)).is_ok() && u64::parse("10", &(1..=10)).is_ok());
        assert!(u64::parse("0", &(1..=10)).is_err() && u64::parse("11", &(1..=10)).is_err());
        assert!(u32::parse("4294967296", &ANY).is_err());
        assert!(Duration::parse("2 m", &(0..=119)).is_err());
        assert!(Size::parse("1 KiB", &(1025..=u64::MAX)).is_err());
    }

    #[test]
    fn a_text_is_shown_as_toml_reads_it() {
        for text in ["", "a b", "\"\\", "\u{7}\n\t", "ü"] {
            let shown = format!("x = {}", quoted(text));
            let table = toml::de::DeTable::parse(&shown).unwrap();
            assert_eq!(table.get_ref().get("x").unwrap().get_ref().as_str(), Some(text));
        }
    }
}
