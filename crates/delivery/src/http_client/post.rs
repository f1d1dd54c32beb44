//! Posts to others than the service.

use super::tls::TlsRoots;
use core::fmt;
use std::time::Duration;
use ureq::Agent;

/// The longest answer that is read, in bytes, so that the connection can be used again.
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
    /// For a server at `https://` or `http://`. The certificate of the first is from one of these roots; of the
    /// system's, if none are given.
    #[must_use]
    pub fn new(url: &str, roots: Option<&TlsRoots>) -> Self {
        let roots = match roots {
            Some(roots) => roots.clone(),
            None if url.starts_with("https:") => TlsRoots::of_system(),
            None => TlsRoots::none(),
        };
        let agent = Agent::config_builder()
            .tls_config(roots.config())
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(30)))
            .build();
        Self(agent.into())
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
        // What it says is not asked for.
        let _ = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        Ok(answer.status().as_u16())
    }
}
