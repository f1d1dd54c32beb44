//! Posts to servers other than the delivery service.

use super::tls::TlsRoots;
use core::fmt;
use std::time::Duration;
use ureq::Agent;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// Posts to a server that is no delivery service.
#[derive(Clone)]
pub struct Poster(Agent);

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster").finish_non_exhaustive()
    }
}

impl Poster {
    /// Prepares to post to a server at `https://` or `http://`. A server at `https://` has to have a certificate from one
    /// of these roots, by default the system's.
    #[must_use]
    pub fn new(url: &str, roots: Option<&TlsRoots>) -> Self {
        let roots = roots.cloned().unwrap_or_else(|| TlsRoots::of_system_for(url));
        Self(roots.agent(Some(Duration::from_secs(30))))
    }

    /// Posts a body, and returns the status of the answer. Redirections are not followed.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn post(&self, url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<u16, String> {
        let mut request = self.0.post(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut answer = request.send(body).map_err(|e| e.to_string())?;
        // Nobody needs the answer's body; a connection whose body was read can be used again.
        let _ = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        Ok(answer.status().as_u16())
    }
}
