//! Which addresses of services can be reached at all.

use crate::failure::Failure;
use conclave_delivery::http_client::{Client, TlsRoots};
use http::Uri;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

const FORM: &str = "it must be https://HOST:PORT, or http://HOST:PORT where nobody listens in";

/// Takes an address, unless nothing can ever answer there: that would look as if the service were
/// down.
pub(crate) fn parse_server(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://")).ok_or(FORM)?;
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    if authority.is_empty() || authority.starts_with(':') {
        return Err(FORM.into());
    }

    let (host, port) = split_port(authority);
    if !is_host(host) {
        return Err(format!(
            "{host:?} is neither a host's name nor an IP address (an IPv6 address stands in [])"
        ));
    }
    if let Some(port) = port
        && !port.parse::<u16>().is_ok_and(|port| port > 0)
    {
        return Err(format!("{port:?} is not a port: ports are 1 to 65535"));
    }
    if rest.contains(['?', '#']) {
        return Err("'?' and '#' have no place in a service's address".into());
    }

    match url.parse::<Uri>() {
        Ok(_) => Ok(url.to_string()),
        Err(e) => Err(format!("it is no address: {e}")),
    }
}

/// Cuts `HOST:PORT`; the colons of `[::1]` do not count.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[') {
        return address.strip_suffix(']').is_some_and(|a| a.parse::<Ipv6Addr>().is_ok());
    }
    let name = host.strip_suffix('.').unwrap_or(host);
    let is_label = |label: &str| {
        let odd = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
        (1..=63).contains(&label.len()) && !label.contains(odd)
    };
    // No name ends with a number, so what does is meant as an IPv4 address.
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    name.len() <= 253 && name.split('.').all(is_label)
}

/// Whose certificates are trusted, for services at `https://`.
#[derive(Debug, clap::Args)]
pub(crate) struct TlsArgs {
    /// The file of root certificates that an https:// service's has to come from, in PEM [default: those that this
    /// system trusts].
    #[arg(long, value_name = "FILE")]
    tls_root: Option<PathBuf>,
}

impl TlsArgs {
    /// The roots, unless they are the system's.
    pub(crate) fn roots(&self) -> Result<Option<TlsRoots>, Failure> {
        let Some(file) = &self.tls_root else { return Ok(None) };
        let shown = file.display();
        let text = std::fs::read(file).map_err(|e| format!("{shown} cannot be read: {e}"))?;
        TlsRoots::from_pem(&text).map(Some).map_err(|e| format!("{shown}: {e}").into())
    }

    /// A client of the service at an address.
    pub(crate) fn client(&self, url: &str) -> Result<Client, Failure> {
        Ok(conclave_client::client(url, self.roots()?.as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::parse_server;

    #[test]
    fn only_addresses_that_something_can_answer_at_are_taken() {
        for url in [
            "http://127.0.0.1:8000",
            "http://localhost",
            "http://[::1]:4820",
            "http://chat.example.org:80/conclave",
            "http://my_host-2.local.:65535/",
            "https://chat.example.org",
            "https://[::1]:443/",
        ] {
            assert_eq!(parse_server(url).as_deref(), Ok(url));
        }
        for url in [
            "127.0.0.1:80",
            "https://",
            "https://:443",
            "ftp://127.0.0.1",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:0",
            "http://127.0.0.1:",
            "http://127.0.0.1:80a",
            "http://127.0.0.1:8000/x y",
            "http://a b",
            "http://256.1.1.1",
            "http://127.0.0.1.5:80",
            "http://::1:80",
            "http://[::1",
            "http://[::g]:80",
            "http://user@host:80",
            "http://host..name",
            "http://host:80?x",
            "http://host:80/#x",
            "http://h\u{f6}st:80",
        ] {
            assert!(parse_server(url).is_err(), "{url}");
        }
    }
}
