//! Which client a request is of, if it comes through a proxy.

use axum::http::HeaderMap;
use core::fmt;
use core::str::FromStr;
use std::net::IpAddr;

/// A network of addresses: `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// How many bits of it count.
    prefix: u8,
}

/// An address as a number, and how many bits it has.
fn bits(address: IpAddr) -> (u128, u8) {
    match address.to_canonical() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 32),
        IpAddr::V6(v6) => (u128::from(v6), 128),
    }
}

impl Network {
    /// Whether an address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((own, length), (other, other_length)) = (bits(self.address), bits(address));
        let free = u32::from(length.saturating_sub(self.prefix));
        length == other_length
            && own.checked_shr(free).unwrap_or(0) == other.checked_shr(free).unwrap_or(0)
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no network: write an IP address, or as 10.0.0.0/8");
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let (number, length) = bits(address);
        let prefix = prefix.map_or(Ok(length), |prefix| prefix.parse().map_err(|_| bad()))?;
        if prefix > length {
            return Err(bad());
        }
        let free = u32::from(length - prefix);
        if number.checked_shr(free).unwrap_or(0).checked_shl(free).unwrap_or(0) != number {
            return Err(format!(
                "{text:?} has bits behind its prefix: name the network's first address"
            ));
        }
        Ok(Self { address: address.to_canonical(), prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        match self.prefix == bits(self.address).1 {
            true => Ok(()),
            false => write!(f, "/{}", self.prefix),
        }
    }
}

/// In which header a proxy says for whom it speaks. Only one is believed: a proxy hands on the other as its client
/// wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For: CLIENT, PROXY`
    XForwardedFor,
    /// `Forwarded: for=CLIENT, for=PROXY` (RFC 7239)
    Forwarded,
}

/// The proxies that are believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxies {
    /// Where they are. By default nowhere.
    pub trusted: Vec<Network>,
    /// What they write.
    pub header: ForwardedHeader,
}

impl Default for Proxies {
    fn default() -> Self {
        Self { trusted: Vec::new(), header: ForwardedHeader::XForwardedFor }
    }
}

impl Proxies {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// The client of a request from this address. Each proxy adds whom it has the request from at the end, so what a
    /// client wrote itself stands before all that is believed.
    pub(super) fn client(&self, from: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = from.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => "x-forwarded-for",
            ForwardedHeader::Forwarded => "forwarded",
        };
        let lines: Vec<&str> =
            headers.get_all(name).iter().filter_map(|line| line.to_str().ok()).collect();
        for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            let address = match self.header {
                ForwardedHeader::XForwardedFor => parse_hop(hop),
                ForwardedHeader::Forwarded => forwarded_for(hop),
            };
            // Of whoever is not named the proxy is the last that is known.
            let Some(address) = address else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// An address, perhaps with a port: `1.2.3.4`, `1.2.3.4:80`, `[::1]`, `[::1]:80`, `::1`.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let host = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    host.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The `for=` of one element of a `Forwarded` header.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| parse_hop(value)).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_the_addresses_behind_its_prefix() {
        let network = |text: &str| text.parse::<Network>().unwrap();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(network("10.0.0.0/8").contains(ip("10.255.0.1")));
        assert!(!network("10.0.0.0/8").contains(ip("11.0.0.0")));
        assert!(network("10.0.0.0/8").contains(ip("::ffff:10.1.1.1")));
        assert!(
            network("127.0.0.1").contains(ip("127.0.0.1"))
                && !network("127.0.0.1").contains(ip("127.0.0.2"))
        );
        assert!(
            network("0.0.0.0/0").contains(ip("1.2.3.4"))
                && !network("0.0.0.0/0").contains(ip("::1"))
        );
        assert!(
            network("2001:db8::/32").contains(ip("2001:db8:1::1"))
                && network("::/0").contains(ip("::1"))
        );
        for text in ["10.0.0.0/8", "127.0.0.1", "2001:db8::/32", "::/0"] {
            assert_eq!(network(text).to_string(), text);
        }
        for wrong in
            ["", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/", "example.org", "::/129", "1.2.3.4/-1"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }

    fn client(header: ForwardedHeader, from: &str, lines: &[(&'static str, &str)]) -> String {
        let trusted = ["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()].to_vec();
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, line.parse().unwrap());
        }
        Proxies { trusted, header }.client(from.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_whoever_writes_before_it_is_not() {
        use ForwardedHeader::{Forwarded, XForwardedFor};
        const X: &str = "x-forwarded-for";
        const F: &str = "forwarded";
        let [proxy, stranger] = ["127.0.0.1", "192.0.2.9"];
        for (from, lines, expected) in [
            (proxy, &[][..], proxy),
            (proxy, &[(X, "192.0.2.1")], "192.0.2.1"),
            (stranger, &[(X, "192.0.2.1")], stranger),
            // The client writes the first, a proxy each of the rest.
            (proxy, &[(X, "198.51.100.1, 192.0.2.1")], "192.0.2.1"),
            (proxy, &[(X, "198.51.100.1"), (X, "192.0.2.1, 10.1.1.1")], "192.0.2.1"),
            (proxy, &[(X, "10.2.2.2,10.1.1.1")], "10.2.2.2"),
            (proxy, &[(X, "192.0.2.1, unknown")], proxy),
            (proxy, &[(X, "192.0.2.1:443")], "192.0.2.1"),
            (proxy, &[(X, "[2001:db8::1]:443")], "2001:db8::1"),
            (proxy, &[(X, "2001:db8::1")], "2001:db8::1"),
            (proxy, &[(F, "for=192.0.2.1")], proxy),
        ] {
            assert_eq!(client(XForwardedFor, from, lines), expected, "{lines:?}");
        }
        for (lines, expected) in [
            (&[(F, "for=198.51.100.1, for=192.0.2.1;proto=https;by=10.0.0.1")][..], "192.0.2.1"),
            (&[(F, "proto=https;For=\"[2001:db8::1]:80\"")], "2001:db8::1"),
            (&[(F, "for=192.0.2.1, for=_hidden")], proxy),
            (&[(X, "192.0.2.1")], proxy),
        ] {
            assert_eq!(client(Forwarded, proxy, lines), expected, "{lines:?}");
        }
    }
}
