//! TLS: the server's certificate and key, which are read again when their files change.

use super::app::App;
use super::observed::Observed;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_rustls::TlsAcceptor;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);
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
    fn config(&self) -> Result<ServerConfig, String> {
        let (certificate, key) = (self.of.certificate.display(), self.of.key.display());
        let chain = CertificateDer::pem_slice_iter(&self.certificate);
        let chain = chain.collect::<Result<Vec<CertificateDer<'static>>, _>>();
        let chain = chain.map_err(|e| format!("{certificate} is no PEM: {e}"))?;
        if chain.is_empty() {
            return Err(format!("{certificate} has no certificate in PEM"));
        }
        let private = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|e| format!("{key} has no private key in PEM: {e}"))?;

        let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| e.to_string())?;
        let mut config = builder
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|e| format!("{certificate} and {key} do not fit: {e}"))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// What connections are encrypted with.
pub(super) struct Tls {
    files: TlsFiles,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the files; what they hold now is for [`watch`].
    pub(super) fn open(files: TlsFiles) -> Result<(Arc<Self>, Seen), String> {
        let contents = files.read()?;
        let current = RwLock::new(Arc::new(contents.config()?));
        Ok((Arc::new(Self { files, current }), Seen(Ok(contents))))
    }

    /// For the next connection. Those that are open keep what they began with.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().into()
    }

    /// Takes what is in the files if it has changed and can be used. What is wrong is told once.
    fn reload(&self, seen: &mut Seen) -> Option<Result<(), String>> {
        let read = Seen(self.files.read());
        if *seen == read {
            return None;
        }
        let config = match &read.0 {
            Ok(contents) => contents.config(),
            Err(what) => Err(what.clone()),
        };
        *seen = read;
        Some(config.map(|config| {
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        }))
    }
}

/// What was found in the files last.
#[derive(PartialEq, Eq)]
pub(super) struct Seen(Result<Contents, String>);

/// Looks at the files until the server is stopped.
pub(super) async fn watch<S>(app: Arc<App<S>>, tls: Arc<Tls>, mut seen: Seen) {
    let mut stopping = app.stopping.clone();
    while tokio::time::timeout(LOOK, stopping.wait_for(|stop| *stop)).await.is_err() {
        match tls.reload(&mut seen) {
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
