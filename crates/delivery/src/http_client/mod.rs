//! A blocking client of the service.

mod events;
mod post;
mod tls;
mod transfers;

use conclave_delivery_api::{
    Bytes, CLIENT_HEADER, CONTENT_TYPE, Call, CallError, ClientVersion, Decode, Details,
    ERROR_HEADER, EVENTS_PATH, ErrorCode, LAST_EVENT_HEADER, MAX_BODY, MAX_REFUSAL, PROOF_HEADER,
    Proof, Reader, Token,
};
use conclave_mls::crypto::{CryptoProvider, SignatureKeyPair};
use core::fmt;
pub use events::{Events, Stop};
pub use post::Poster;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
pub use tls::TlsRoots;
pub use transfers::{TransferError, attachment_hash};
use ureq::Agent;

/// The longest reply that is read, in bytes: a page may exceed its length by one message, and a
/// tree may come beside it.
const MAX_REPLY: u64 = 4 * MAX_BODY as u64;

/// How often a request is sent that others of its session overtake.
const ATTEMPTS: usize = 3;

/// How long a call waits altogether because the service asks it to.
const LONGEST_OBEYED: Duration = Duration::from_secs(30);

/// A session as its device has it: a token, and the key that signs its requests. Clones share the numbers of the
/// requests, of which each is used once.
#[derive(Clone)]
pub struct Session {
    provider: Arc<dyn CryptoProvider>,
    key_pair: SignatureKeyPair,
    token: Token,
    requests: Arc<AtomicU64>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// The session that the service opened for this key.
    #[must_use]
    pub fn new(
        provider: Arc<dyn CryptoProvider>,
        key_pair: SignatureKeyPair,
        token: Token,
    ) -> Self {
        Self { provider, key_pair, token, requests: Arc::new(AtomicU64::new(1)) }
    }

    /// What names it.
    #[must_use]
    pub fn token(&self) -> &Token {
        &self.token
    }

    /// The text of the header that proves a request.
    fn proof(&self, path: &str, body: &[u8]) -> Result<String, CallError> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let request = (path, body);
        Proof::signed(&*self.provider, &self.key_pair, &self.token, number, request)
            .map(|proof| proof.to_text())
            .map_err(|e| CallError::Unsigned(e.to_string()))
    }
}

/// A client of one service, for one device. Clones share connections.
#[derive(Clone)]
pub struct Client {
    agent: Agent,
    url: String,
    /// Which client this is, as it stands in the header.
    version: String,
    session: Option<Session>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the service at `https://host:port`, or `http://host:port` where nobody listens in, without a
    /// session. At an address of another kind nobody is reached. A service at `https://` has to have a certificate from
    /// one of the system's roots.
    ///
    /// Calls wait ten seconds for a connection and a minute for all. If the service asks for it, a call waits and is
    /// sent again, for up to half a minute.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self::with_roots(url, &TlsRoots::of_system_for(url))
    }

    /// The same, for a service whose certificate is from one of these roots.
    #[must_use]
    pub fn with_roots(url: &str, roots: &TlsRoots) -> Self {
        let agent = roots.agent(Some(Duration::from_secs(60)));
        let version = concat!("conclave/", env!("CARGO_PKG_VERSION")).to_string();
        Self { agent, url: url.trim_end_matches('/').to_string(), version, session: None }
    }

    /// The same client, which says that it is of this version, not of Conclave's: for applications with a name of their
    /// own.
    #[must_use]
    pub fn with_version(mut self, version: &ClientVersion) -> Self {
        self.version = version.to_string();
        self
    }

    /// The same client with a session, from now on.
    #[must_use]
    pub fn with_session(mut self, session: Session) -> Self {
        self.session = Some(session);
        self
    }

    /// The session, if there is one.
    #[must_use]
    pub fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// The service's address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Calls an operation and waits for the reply.
    ///
    /// # Errors
    /// If the service does not answer, or refuses.
    pub fn call<C: Call>(&self, request: &C) -> Result<C::Reply, CallError> {
        let body = request.to_bytes().map_err(|_| CallError::TooLong)?;
        if body.len() > MAX_BODY {
            // Cut off on the way, it would look as if nobody answered.
            let detail = format!("a request has at most {MAX_BODY} bytes");
            return Err(CallError::refused(ErrorCode::TooLarge, detail));
        }
        let mut waited = Duration::ZERO;
        let mut overtaken = 0;
        loop {
            let error = match self.send::<C>(&body) {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            // Others overtook it, so many that the service could not tell whether it was a repetition.
            if error.code() == Some(ErrorCode::Replayed) && overtaken + 1 < ATTEMPTS {
                overtaken += 1;
                continue;
            }
            let Some(wait) = error.retry_after().filter(|wait| waited + *wait <= LONGEST_OBEYED)
            else {
                return Err(error);
            };
            std::thread::sleep(wait);
            waited += wait;
        }
    }

    /// Sends an encoded request, as the session's next one.
    fn send<C: Call>(&self, body: &[u8]) -> Result<C::Reply, CallError> {
        let mut builder = self
            .agent
            .post(format!("{}{}", self.url, C::PATH))
            .header("content-type", CONTENT_TYPE)
            .header(CLIENT_HEADER, &self.version);
        if let Some(session) = self.session.as_ref().filter(|_| !C::ANONYMOUS) {
            builder = builder
                .header("authorization", format!("Bearer {}", session.token.expose()))
                .header(PROOF_HEADER, session.proof(C::PATH, body)?);
        }
        let response = builder.send(body).map_err(|e| self.unreachable(&e))?;
        let mut response = self.accepted(response)?;
        let reply = response
            .body_mut()
            .with_config()
            .limit(MAX_REPLY)
            .read_to_vec()
            .map_err(|e| self.unreachable(&e))?;
        C::Reply::from_bytes(&reply)
            .map_err(|e| CallError::Strange(format!("the reply to {}: {e}", C::NAME)))
    }

    /// Asks whether the service can do its work.
    ///
    /// # Errors
    /// If it does not answer; or if it cannot, and why.
    pub fn ready(&self) -> Result<(), CallError> {
        let response = self.agent.get(format!("{}/health/ready", self.url)).call();
        let mut response = response.map_err(|e| self.unreachable(&e))?;
        match response.status().as_u16() {
            200 => Ok(()),
            503 => {
                let detail = text(&mut response).trim().to_string();
                Err(CallError::refused(ErrorCode::Unavailable, detail))
            }
            status => Err(CallError::Strange(format!("status {status}"))),
        }
    }

    fn unreachable(&self, e: &ureq::Error) -> CallError {
        CallError::Unreachable { url: self.url.clone(), reason: e.to_string() }
    }

    /// Opens the event stream.
    fn open_events(&self, last: Option<&str>) -> Result<impl Read + Send + use<>, CallError> {
        // The service sends a line every ten seconds.
        let mut builder = self
            .agent
            .get(format!("{}{EVENTS_PATH}", self.url))
            .config()
            .timeout_global(None)
            .timeout_recv_response(Some(Duration::from_secs(10)))
            .timeout_per_read(Some(Duration::from_secs(30)))
            .build()
            .header(CLIENT_HEADER, &self.version);
        if let Some(last) = last {
            builder = builder.header(LAST_EVENT_HEADER, last);
        }
        if let Some(session) = &self.session {
            builder = builder
                .header("authorization", format!("Bearer {}", session.token.expose()))
                .header(PROOF_HEADER, session.proof(EVENTS_PATH, &[])?);
        }
        let response = builder.call().map_err(|e| self.unreachable(&e))?;
        Ok(self.accepted(response)?.into_body().into_reader())
    }

    /// The response, unless it is a refusal.
    fn accepted(
        &self,
        mut response: ureq::http::Response<ureq::Body>,
    ) -> Result<ureq::http::Response<ureq::Body>, CallError> {
        let status = response.status();
        if status == 200 {
            return Ok(response);
        }
        let code = response.headers().get(ERROR_HEADER).and_then(|v| v.to_str().ok());
        let Some(code) = code.and_then(ErrorCode::from_name) else {
            return Err(CallError::Strange(format!("status {status}")));
        };
        let retry_after = response.headers().get("retry-after").and_then(|v| v.to_str().ok());
        let retry_after = retry_after.and_then(|v| v.trim().parse().ok()).map(Duration::from_secs);
        let (detail, details) = said(&mut response);
        Err(match (code, retry_after) {
            (ErrorCode::RateLimited | ErrorCode::Overloaded, Some(retry_after)) => {
                CallError::Postponed { code, detail, retry_after }
            }
            _ => CallError::Refused { code, detail, details: details.map(Box::new) },
        })
    }
}

/// Why the service refuses, for people, and what can be done about it.
fn said(response: &mut ureq::http::Response<ureq::Body>) -> (String, Option<Details>) {
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
    if kind != Some(CONTENT_TYPE) {
        return (text(response), None);
    }
    let body = response.body_mut().with_config().limit(MAX_REFUSAL as u64).read_to_vec();
    let body = body.unwrap_or_default();
    let mut r = Reader::new(&body);
    let detail = Bytes::decode(&mut r).unwrap_or_default();
    // A later service may say what this client does not know.
    let details = Details::decode(&mut r).ok().filter(|_| r.is_empty());
    (printable(&String::from_utf8_lossy(&detail)), details)
}

/// A sentence of the service's. It may end up on a terminal.
fn text(response: &mut ureq::http::Response<ureq::Body>) -> String {
    let text = response.body_mut().with_config().limit(4096).read_to_string();
    printable(&text.unwrap_or_default())
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}
