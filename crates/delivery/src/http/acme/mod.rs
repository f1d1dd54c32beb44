//! Certificates that the server gets and renews by itself (ACME, RFC 8555). It proves its names where it listens
//! (TLS-ALPN-01, RFC 8737), so nothing else has to listen, and no file is passed on.

mod account;
mod ca;
mod folder;
mod kept;
mod names;
mod order;
mod renewals;
mod resolver;

use super::clock::now;
use super::tls::{CHALLENGE_PROTOCOL, Tls, builder};
use crate::http_client::TlsRoots;
use account::AccountKey;
use ca::Ca;
use conclave_delivery_api::{sha256, to_hex};
use folder::Folder;
use kept::Kept;
pub use names::{Contact, Domain};
use order::{Proofs, obtain};
pub(super) use renewals::Renewals;
use resolver::Resolver;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// The most names of one certificate.
const MAX_DOMAINS: usize = 100;

/// How the server gets its certificate.
#[derive(Clone, Debug)]
pub struct AcmeConfig {
    /// The names that the certificate is for: 1 to 100.
    pub domains: Vec<Domain>,
    /// Whom the CA writes to. It may be nobody.
    pub contacts: Vec<Contact>,
    /// The CA's directory, at `https://`. Default [`Self::LETS_ENCRYPT`].
    pub directory: String,
    /// Where the account's key and the certificate are kept, in a folder for each CA, in files that nobody else can
    /// read.
    pub folder: PathBuf,
    /// Whom the server trusts to be the CA. Default: those whom the system trusts at the time.
    pub roots: Option<TlsRoots>,
    /// How long after a first failure the server tries again; each wait is four times as long, up to an hour. Default
    /// one minute.
    pub first_wait: Duration,
}

impl AcmeConfig {
    /// Where Let's Encrypt issues certificates that everybody trusts.
    pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";

    /// A certificate of Let's Encrypt, whose terms of service are thereby agreed to.
    #[must_use]
    pub fn new(domains: Vec<Domain>, folder: PathBuf) -> Self {
        Self {
            domains,
            contacts: Vec::new(),
            directory: Self::LETS_ENCRYPT.into(),
            folder,
            roots: None,
            first_wait: Duration::from_secs(60),
        }
    }

    /// The folder of this CA: the beginning of its address, to be read, and of the address's hash, to differ.
    pub(super) fn of_ca(&self) -> PathBuf {
        let address = self.directory.trim_start_matches("https://");
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        // Dots alone would lead elsewhere.
        let name: String = address.trim_matches('.').chars().map(plain).take(200).collect();
        let hash = sha256(self.directory.as_bytes());
        self.folder.join(format!("{name}-{}", to_hex(hash.get(..8).unwrap_or_default())))
    }

    /// Checks what can be checked without asking the CA.
    ///
    /// # Errors
    /// If there are no domains or too many, or the directory is not at `https://`.
    pub fn check(&self) -> Result<(), String> {
        if self.domains.is_empty() || self.domains.len() > MAX_DOMAINS {
            return Err(format!("a certificate is for 1 to {MAX_DOMAINS} domains"));
        }
        match self.directory.strip_prefix("https://") {
            Some(rest) if !rest.trim_matches('.').is_empty() => Ok(()),
            _ => Err(format!("{}: a CA's directory is at https://", self.directory)),
        }
    }
}

/// What gets the certificate.
pub(super) struct Acme {
    config: AcmeConfig,
    folder: Folder,
    resolver: Arc<Resolver>,
    tls: Arc<Tls>,
}

impl Acme {
    /// Nothing is asked of the CA yet.
    pub(super) fn open(config: AcmeConfig) -> Result<Self, String> {
        config.check()?;
        let folder = Folder::open(config.of_ca())?;
        let resolver = Arc::new(Resolver::default());
        let mut server = builder()?.with_no_client_auth().with_cert_resolver(resolver.clone());
        server.alpn_protocols = vec![b"http/1.1".to_vec(), CHALLENGE_PROTOCOL.to_vec()];
        let tls = Arc::new(Tls::new(server));
        Ok(Self { config, folder, resolver, tls })
    }

    pub(super) fn tls(&self) -> Arc<Tls> {
        self.tls.clone()
    }

    /// Asks the CA for a certificate, on a thread that may block.
    fn order(&self, stopped: &dyn Fn() -> bool) -> Result<Kept, String> {
        let AcmeConfig { domains, contacts, directory, roots, .. } = &self.config;
        let key = AccountKey::open(&self.folder)?;
        let roots = roots.clone().unwrap_or_else(TlsRoots::of_system);
        let _proofs = Proofs(&self.resolver);
        let prove = |domain: &Domain, token: &str| self.resolver.prove(domain, &key.proof(token));
        let issued = Ca::open(directory, &roots, &key, contacts)
            .and_then(|mut ca| obtain(&mut ca, domains, &prove, stopped));
        let issued = issued.map_err(|e| e.to_string())?;
        Kept::check(&issued, domains, now().as_secs())
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.config.domains.iter().map(Domain::as_str).collect();
        names.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(directory: &str) -> AcmeConfig {
        let domains = vec!["a.example".parse().unwrap()];
        AcmeConfig { directory: directory.into(), ..AcmeConfig::new(domains, "acme".into()) }
    }

    #[test]
    fn each_ca_has_a_folder_of_its_own_within_the_one_that_was_named() {
        let folder = |directory: &str| config(directory).of_ca();
        let lets_encrypt = folder(AcmeConfig::LETS_ENCRYPT);
        let shown = lets_encrypt.to_str().unwrap();
        assert!(shown.starts_with("acme/acme-v02.api.letsencrypt.org-directory-"), "{shown}");
        assert_eq!(folder("https://../../x").parent(), Some("acme".as_ref()));
        for [one, other] in [["a/1", "a/2"], ["a/1", "a-1"], ["a:1", "a/1"], ["a.", "a"]] {
            let of = |address: &str| folder(&format!("https://{address}"));
            assert_ne!(of(one), of(other));
        }
        assert!(folder(&format!("https://{}", "a".repeat(10_000))).as_os_str().len() < 255);
    }

    #[test]
    fn a_ca_is_asked_over_tls_alone_and_for_some_domain() {
        assert_eq!(config(AcmeConfig::LETS_ENCRYPT).check(), Ok(()));
        for bad in ["http://ca.example/directory", "https://", "https://..", "ca.example"] {
            assert!(config(bad).check().unwrap_err().contains("is at https://"), "{bad}");
        }
        for count in [0, MAX_DOMAINS + 1] {
            let domains = vec!["a.example".parse().unwrap(); count];
            let config = AcmeConfig { domains, ..config(AcmeConfig::LETS_ENCRYPT) };
            assert!(config.check().unwrap_err().contains("1 to 100"), "{count}");
        }
    }
}
