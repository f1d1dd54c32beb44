//! TLS: what connections are encrypted with, and the certificate and key of an operator's files, which are read again
//! when they change.

use super::app::App;
use super::observed::Observed;
use super::validity::Validity;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// The protocol of a CA's connections that check a name (RFC 8737).
pub(super) const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";
/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Where the server's certificate and key are, both in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The server's certificate, then those that lead from it to a root.
    pub certificate: PathBuf,
    /// Its private key: PKCS #8, PKCS #1 or SEC 1.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Checks that the files can be used.
    ///
    /// # Errors
    /// What is wrong with which.
    pub fn check(&self) -> Result<(), String> {
        self.read()?.config().map(drop)
    }

    fn read(&self) -> Result<Contents, String> {
        Ok(Contents {
            certificate: read(&self.certificate)?,
            key: read(&self.key)?,
            of: self.clone(),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let length = std::fs::metadata(path).map(|metadata| metadata.len());
    if length.is_ok_and(|length| length > MAX_FILE) {
        return Err(format!("{shown} is too long for a certificate or key"));
    }
    std::fs::read(path).map_err(|e| format!("{shown} cannot be read: {e}"))
}

/// What is in the files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
    of: TlsFiles,
}

impl Contents {
    /// What it is for the server, and until when the certificate is valid.
    fn config(&self) -> Result<(ServerConfig, Option<u64>), String> {
        let (certificate, key) = (self.of.certificate.display(), self.of.key.display());
        let chain = CertificateDer::pem_slice_iter(&self.certificate);
        let chain = chain.collect::<Result<Vec<CertificateDer<'static>>, _>>();
        let chain = chain.map_err(|e| format!("{certificate} is no PEM: {e}"))?;
        if chain.is_empty() {
            return Err(format!("{certificate} has no certificate in PEM"));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|e| format!("{key} has no private key in PEM: {e}"))?;

        let not_after = chain.first().and_then(not_after);
        let mut config = builder()?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|e| format!("{certificate} and {key} do not fit: {e}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok((config, not_after))
    }
}

/// What a configuration begins with.
pub(super) fn builder() -> Result<ConfigBuilder<ServerConfig, WantsVerifier>, String> {
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())
}

/// Until when a certificate is valid, in seconds since 1970.
pub(super) fn not_after(certificate: &CertificateDer<'_>) -> Option<u64> {
    let parsed = Certificate::from_der(certificate).ok()?;
    Some(parsed.tbs_certificate().validity().not_after.to_unix_duration().as_secs())
}

/// What connections are encrypted with.
pub(super) struct Tls {
    current: RwLock<Arc<ServerConfig>>,
    pub(super) validity: Arc<Validity>,
}

impl Tls {
    pub(super) fn new(config: ServerConfig) -> Self {
        Self { current: RwLock::new(Arc::new(config)), validity: Arc::default() }
    }

    /// Reads the files; what they hold now is for [`watch`].
    pub(super) fn open(files: TlsFiles) -> Result<(Arc<Self>, Watched), String> {
        let contents = files.read()?;
        let (config, not_after) = contents.config()?;
        let tls = Arc::new(Self::new(config));
        tls.validity.set(not_after);
        Ok((tls, Watched { files, seen: Ok(contents) }))
    }

    /// For the next connection. Those that are open keep what they began with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }

    /// Takes what is in the files if it has changed and can be used. What is wrong is told once.
    fn reload(&self, watched: &mut Watched) -> Option<Result<(), String>> {
        let read = watched.files.read();
        if watched.seen == read {
            return None;
        }
        let config = match &read {
            Ok(contents) => contents.config(),
            Err(what) => Err(what.clone()),
        };
        watched.seen = read;
        Some(config.map(|(config, not_after)| {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
            self.validity.set(not_after);
        }))
    }
}

/// The files, and what was found in them last.
pub(super) struct Watched {
    files: TlsFiles,
    seen: Result<Contents, String>,
}

/// Looks at the files until the server is stopped.
pub(super) async fn watch<S>(app: Arc<App<S>>, tls: Arc<Tls>, mut watched: Watched) {
    let mut stopping = app.stopping.clone();
    while tokio::time::timeout(LOOK, stopping.wait_for(|stop| *stop)).await.is_err() {
        match tls.reload(&mut watched) {
            None => {}
            Some(Ok(())) => {
                let what = "the certificate and key have changed, and are in use";
                app.observe(&Observed::of_server("tls", 200, what.into()));
            }
            Some(Err(what)) => {
                let what = format!("{what}: the certificate and key from before stay in use");
                app.observe(&Observed::of_server("tls", 503, what));
            }
        }
    }
}
