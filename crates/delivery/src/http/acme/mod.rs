//! Certificates that the server gets and renews by itself (ACME, RFC 8555). It proves its names where it listens
//! (TLS-ALPN-01, RFC 8737), so nothing else has to listen, and no file is passed on.

mod account;
mod ca;
mod folder;
mod kept;
mod names;
mod order;
mod resolver;

use super::app::App;
use super::handlers;
use super::observed::Observed;
use super::tls::{Tls, builder};
use crate::http_client::TlsRoots;
use account::AccountKey;
use ca::Ca;
use folder::Folder;
use kept::Kept;
pub use names::{Contact, Domain};
use order::{Proofs, obtain};
pub(super) use resolver::CHALLENGE_PROTOCOL;
use resolver::Resolver;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How often the clock is looked at: a machine that slept has lost time.
const LOOK: Duration = Duration::from_secs(60);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);
/// By how much each wait is longer than the one before: Let's Encrypt takes five failures of a name in an hour.
const GROWTH: u32 = 4;
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
    /// Whom the server trusts to be the CA. Default: the system's roots.
    pub roots: TlsRoots,
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
            roots: TlsRoots::of_system(),
            first_wait: Duration::from_secs(60),
        }
    }

    /// The folder of this CA.
    fn of_ca(&self) -> PathBuf {
        let address = self.directory.trim_start_matches("https://");
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        // Dots alone would lead elsewhere.
        let name: String = address.trim_matches('.').chars().map(plain).take(200).collect();
        self.folder.join(name)
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

/// What gets and renews the certificate.
pub(super) struct Acme {
    config: AcmeConfig,
    folder: Folder,
    resolver: Arc<Resolver>,
    tls: Arc<Tls>,
    /// The certificate in use; or why that which is kept cannot be used.
    kept: Result<Option<Times>, String>,
}

/// When a certificate is to be renewed, and until when it is valid, in seconds since 1970.
#[derive(Clone, Copy, Debug)]
struct Times {
    renew_at: u64,
    not_after: u64,
}

impl Acme {
    /// Begins with the certificate that is kept, if there is one. Nothing is asked of the CA yet.
    pub(super) fn open(config: AcmeConfig) -> Result<Self, String> {
        config.check()?;
        let folder = Folder::open(config.of_ca())?;
        let resolver = Arc::new(Resolver::default());
        let mut server = builder()?.with_no_client_auth().with_cert_resolver(resolver.clone());
        server.alpn_protocols = vec![b"http/1.1".to_vec(), CHALLENGE_PROTOCOL.to_vec()];
        let tls = Arc::new(Tls::new(server));
        let kept = Kept::open(&folder);
        let mut acme = Self { config, folder, resolver, tls, kept: Ok(None) };
        match kept {
            Ok(Some(kept)) => acme.serve(kept),
            Ok(None) => {}
            Err(what) => acme.kept = Err(what),
        }
        Ok(acme)
    }

    pub(super) fn tls(&self) -> Arc<Tls> {
        self.tls.clone()
    }

    /// Uses a certificate. One that lacks a name is better than none, and is renewed at once.
    fn serve(&mut self, kept: Kept) {
        let renew_at = if kept.is_for(&self.config.domains) { kept.renew_at() } else { 0 };
        let not_after = kept.not_after;
        self.resolver.serve(kept.certified);
        self.tls.validity.set(Some(not_after));
        self.kept = Ok(Some(Times { renew_at, not_after }));
    }

    /// Asks the CA for a certificate, on a thread that may block.
    fn renew(&self, stopped: &dyn Fn() -> bool) -> Result<Kept, String> {
        let AcmeConfig { domains, contacts, directory, roots, .. } = &self.config;
        let key = AccountKey::open(&self.folder)?;
        let _proofs = Proofs(&self.resolver);
        let prove = |domain: &Domain, token: &str| self.resolver.prove(domain, &key.proof(token));
        let issued = Ca::open(directory, roots, &key, contacts)
            .and_then(|mut ca| obtain(&mut ca, domains, &prove, stopped));
        let issued = issued.map_err(|e| e.to_string())?;
        Kept::keep(&self.folder, &issued, domains, now())
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.config.domains.iter().map(Domain::as_str).collect();
        names.join(", ")
    }

    /// What an operator has to know of a failure.
    fn failure(&self, why: &str, wait: Duration) -> String {
        let left = match &self.kept {
            Ok(Some(times)) if times.not_after > now() => {
                let days = (times.not_after - now()) / 86_400;
                format!("the one in use is valid for {days} more days")
            }
            Ok(Some(_)) => "the one in use has EXPIRED".into(),
            Ok(None) => "there is none".into(),
            Err(what) => format!("there is none, as {what}"),
        };
        let again = wait.as_secs();
        format!("no certificate for {}: {why}. {left}; next attempt in {again} s", self.names())
    }
}

fn now() -> u64 {
    handlers::now().as_secs()
}

/// Gets a certificate whenever one is due, until the server is stopped.
pub(super) async fn keep<S: Send + Sync + 'static>(app: Arc<App<S>>, mut acme: Acme) {
    let mut stopping = app.stopping.clone();
    let mut wait = acme.config.first_wait;
    loop {
        let due = match &acme.kept {
            Ok(Some(times)) => Duration::from_secs(times.renew_at.saturating_sub(now())),
            _ => Duration::ZERO,
        };
        let pause = if due.is_zero() {
            let stop = stopping.clone();
            let renewing = tokio::task::spawn_blocking(move || {
                let renewed = acme.renew(&|| *stop.borrow());
                (acme, renewed)
            });
            // A panic in it leaves the certificate in use as it is.
            let Ok((back, renewed)) = renewing.await else { return };
            acme = back;
            match renewed {
                Ok(kept) => {
                    acme.serve(kept);
                    app.health.lacks_certificate(None);
                    wait = acme.config.first_wait;
                    let what = format!("a new certificate for {} is in use", acme.names());
                    app.observe(&Observed::of_server("tls", 200, what));
                    Duration::ZERO
                }
                Err(why) => {
                    let what = acme.failure(&why, wait);
                    app.observe(&Observed::of_server("tls", 503, what));
                    app.health.lacks_certificate(Some(why));
                    let pause = wait;
                    wait = wait.saturating_mul(GROWTH).min(LONGEST_WAIT);
                    pause
                }
            }
        } else {
            due.min(LOOK)
        };
        let stop = stopping.wait_for(|stop| *stop);
        if tokio::time::timeout(pause, stop).await.is_ok() {
            return;
        }
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
        assert_eq!(lets_encrypt, PathBuf::from("acme/acme-v02.api.letsencrypt.org-directory"));
        assert_eq!(folder("https://../../x"), PathBuf::from("acme/-..-x"));
        assert_ne!(folder("https://a/1"), folder("https://a/2"));
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
