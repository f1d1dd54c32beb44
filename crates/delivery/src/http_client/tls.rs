//! Whose certificates a client trusts.

use rustls::crypto::aws_lc_rs;
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

/// The roots that a service's certificate for TLS has to come from.
#[derive(Clone, Debug)]
pub struct TlsRoots(Arc<Vec<Certificate<'static>>>);

impl TlsRoots {
    /// Those that the system trusts. Where it has none, no service at `https://` is trusted.
    #[must_use]
    pub fn of_system() -> Self {
        let found = rustls_native_certs::load_native_certs().certs;
        Self(Arc::new(found.iter().map(|root| Certificate::from_der(root).to_owned()).collect()))
    }

    /// The system's for an address at `https://`, none for one at `http://`.
    pub(super) fn of_system_for(url: &str) -> Self {
        if url.starts_with("https:") { Self::of_system() } else { Self(Arc::default()) }
    }

    /// These and no others.
    ///
    /// # Errors
    /// If the text has no certificate in PEM.
    pub fn from_pem(text: &[u8]) -> Result<Self, String> {
        let items = parse_pem(text).collect::<Result<Vec<PemItem<'static>>, _>>();
        let items = items.map_err(|e| format!("it is no PEM: {e}"))?;
        let roots = items.into_iter().filter_map(|item| match item {
            PemItem::Certificate(root) => Some(root),
            _ => None,
        });
        let roots: Vec<Certificate<'static>> = roots.collect();
        match roots.is_empty() {
            true => Err("it has no certificate in PEM".into()),
            false => Ok(Self(Arc::new(roots))),
        }
    }

    /// An agent for servers with a certificate from one of these roots. It follows no redirections, uses no proxy, waits
    /// ten seconds for a connection, and `timeout` for a whole call.
    pub(crate) fn agent(&self, timeout: Option<Duration>) -> Agent {
        Agent::config_builder()
            .tls_config(self.config())
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(timeout)
            .build()
            .into()
    }

    pub(crate) fn config(&self) -> TlsConfig {
        TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(aws_lc_rs::default_provider()))
            .root_certs(RootCerts::Specific(self.0.clone()))
            .build()
    }
}
