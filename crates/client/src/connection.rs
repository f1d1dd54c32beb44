//! The service with its current session: for the engine's calls, and for those beside them.

use conclave_delivery::http_client::Client;
use std::sync::{Arc, Mutex, PoisonError};

/// The client that the engine's calls are made by, shared.
#[derive(Clone, Debug)]
pub(crate) struct Connection(Arc<Mutex<Client>>);

impl Connection {
    pub(crate) fn new(client: Client) -> Self {
        Self(Arc::new(Mutex::new(client)))
    }

    /// Takes the client that has a new session.
    pub(crate) fn renew(&self, client: &Client) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = client.clone();
    }

    /// The client, with a session or without one.
    pub(crate) fn current(&self) -> Client {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The client, once it has a session. `wait` is called until then, and may give up.
    pub(crate) fn with_session<E>(
        &self,
        mut wait: impl FnMut() -> Result<(), E>,
    ) -> Result<Client, E> {
        loop {
            let client = self.current();
            if client.session().is_some() {
                return Ok(client);
            }
            wait()?;
        }
    }

    /// The service's address.
    pub(crate) fn url(&self) -> String {
        self.current().url().into()
    }
}
