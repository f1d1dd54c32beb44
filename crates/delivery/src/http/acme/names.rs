//! What an operator says of a certificate: for which names, and whom the CA writes to.

use core::fmt;
use core::str::FromStr;
use std::net::IpAddr;

/// The longest name and the longest part of one, in bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_PART: usize = 63;
/// The longest address of a contact, in bytes (RFC 5321 section 4.5.3.1).
const MAX_CONTACT: usize = 254;

/// A domain name that a certificate is for, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = String;

    /// # Errors
    /// If it is no domain name in ASCII, or one that the challenge of this service cannot prove: a wildcard, an
    /// address.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("*.") {
            return Err(format!(
                "{text}: a CA certifies wildcards by entries of the DNS alone: name each domain"
            ));
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(format!("{text} is an address: name a domain"));
        }
        let fits = |part: &str| {
            let inner = |c: char| c.is_ascii_alphanumeric() || c == '-';
            (1..=MAX_PART).contains(&part.len())
                && part.chars().all(inner)
                && !part.starts_with('-')
                && !part.ends_with('-')
        };
        if text.len() > MAX_NAME || !text.split('.').all(fits) {
            let hint = "write letters, digits and hyphens with dots between, others as xn--...";
            return Err(format!("{text:?} is no domain name: {hint}"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// An e-mail address that the CA may write to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact(String);

impl Contact {
    /// The contact as a URL.
    pub(super) fn url(&self) -> String {
        format!("mailto:{}", self.0)
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Contact {
    type Err = String;

    /// # Errors
    /// If it is no e-mail address.
    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        // `?` begins header fields in a URL (RFC 6068), which a CA refuses, as it does several addresses.
        let odd = |c: char| !c.is_ascii_graphic() || "?,&%<>\"".contains(c);
        match address.split_once('@') {
            Some((user, domain))
                if !user.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && address.len() <= MAX_CONTACT
                    && !address.contains(odd) =>
            {
                Ok(Self(address.into()))
            }
            _ => Err(format!("{text:?} is no e-mail address")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_certificate_can_have_are_refused() {
        for good in ["chat.example.org", "localhost", "XN--MNCHEN-3YA.example", "a-1.b"] {
            assert_eq!(good.parse::<Domain>().unwrap().as_str(), good.to_ascii_lowercase());
        }
        let long_part = format!("{}.example", "a".repeat(64));
        let long_name = vec!["a"; 128].join(".");
        for bad in [
            "",
            ".",
            "a..b",
            "a.",
            "-a.b",
            "a-.b",
            "a b",
            "münchen.de",
            "a/b",
            "a_b.c",
            "a\n",
            &long_part,
            &long_name,
        ] {
            let refused = bad.parse::<Domain>().unwrap_err();
            assert!(refused.contains("is no domain name"), "{bad}: {refused}");
        }
        assert!("*.example.org".parse::<Domain>().unwrap_err().contains("wildcards"));
        for address in ["127.0.0.1", "::1"] {
            assert!(address.parse::<Domain>().unwrap_err().contains("is an address"));
        }
    }

    #[test]
    fn a_contact_is_one_address() {
        for good in ["ops@example.org", "mailto:ops@example.org"] {
            assert_eq!(good.parse::<Contact>().unwrap().url(), "mailto:ops@example.org");
        }
        let long = format!("{}@example.org", "a".repeat(250));
        for bad in ["", "ops", "@b", "a@", "a@b@c", "a@b?cc=d@e", "a@b,c@d", "a @b", "ä@b", &long]
        {
            assert!(bad.parse::<Contact>().is_err(), "{bad}");
        }
    }
}
