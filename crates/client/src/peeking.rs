//! What waits for a device, read beside the process that has the device.

use crate::service::{Http, client, now, os_rng};
use conclave_delivery::http_client::{Session, TlsRoots};
use conclave_engine::{Peek, PeekError, Peeked, Reply};
use conclave_mls::crypto::CryptoProvider;
use conclave_store::Store;
use std::sync::Arc;

/// Reads what waits for the device whose state is in a store, say a snapshot. It blocks until all is read.
///
/// # Errors
/// [`PeekError`]: why what waits cannot be read.
pub fn peek<S: Store>(
    store: S,
    provider: Arc<dyn CryptoProvider>,
    url: &str,
    roots: Option<&TlsRoots>,
) -> Result<Peeked, PeekError> {
    let mut client = client(url, roots);
    let mut peek = Peek::open(store, provider.clone(), os_rng())?;
    while let Some(request) = peek.next(now())? {
        let reply = request.call(&mut Http(&client));
        if let (Ok(Reply::OpenSession(opened)), Some(key)) = (&reply, peek.session_key()) {
            let session = Session::new(provider.clone(), key.clone(), opened.token.clone());
            client = client.with_session(session);
        }
        peek.reply(now(), reply)?;
    }
    Ok(peek.into_peeked())
}
