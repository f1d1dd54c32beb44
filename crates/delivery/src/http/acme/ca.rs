//! Requests to a CA (RFC 8555 section 6), and what its answers mean.

use super::account::{AccountKey, Signer};
use super::names::Contact;
use crate::http_client::TlsRoots;
use core::fmt;
use serde_json::{Value, json};
use std::time::Duration;
use ureq::Agent;
use ureq::http::{Request, Response, header};

/// How long one request takes at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 1 << 20;
/// The most that is shown of what a CA says, in characters.
const MAX_SHOWN: usize = 300;
/// How often a request is sent if the CA refuses its nonce: nonces expire.
const NONCES: usize = 5;

/// Why the CA did not do what it was asked for.
#[derive(Debug)]
pub(super) enum CaError {
    /// No answer that could be understood.
    Failed(String),
    /// The CA refuses.
    Refused {
        /// What kind of refusal it is: `urn:ietf:params:acme:error:...`.
        kind: String,
        detail: String,
    },
}

impl fmt::Display for CaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(what) => f.write_str(what),
            Self::Refused { kind, detail } => {
                let kind = kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(kind);
                write!(f, "the CA refuses ({kind}): {detail}")
            }
        }
    }
}

pub(super) fn failed(what: impl fmt::Display) -> CaError {
    CaError::Failed(what.to_string())
}

/// What a CA says, as it can be shown: one line, not too long.
fn shown(text: &str) -> String {
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_SHOWN).map(one_line).collect()
}

/// A problem document (RFC 8555 section 6.7).
pub(super) fn problem(value: &Value) -> CaError {
    let field = |name| shown(value.get(name).and_then(Value::as_str).unwrap_or("unknown"));
    let mut detail = field("detail");
    for part in value.get("subproblems").and_then(Value::as_array).into_iter().flatten().take(3) {
        let field = |name| part.get(name).and_then(Value::as_str);
        if let Some(more) = field("detail") {
            detail += &format!("; {}", shown(more));
        }
    }
    CaError::Refused { kind: field("type"), detail }
}

/// A text of an answer.
pub(super) fn text<'a>(answer: &'a Value, name: &str) -> Result<&'a str, CaError> {
    let found = answer.get(name).and_then(Value::as_str);
    found.ok_or_else(|| failed(format_args!("the CA's answer has no {name:?}")))
}

/// An answer that is no refusal.
pub(super) struct Answer {
    /// What was made, or where it is.
    pub(super) location: Option<String>,
    /// How long the CA asks to wait before it is asked again.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Result<Value, CaError> {
        serde_json::from_slice(&self.body).map_err(|e| failed(format_args!("the CA's answer: {e}")))
    }
}

/// The addresses of what a CA does.
struct Directory {
    new_nonce: String,
    new_account: String,
    new_order: String,
}

/// A CA, as an account talks to it.
pub(super) struct Ca<'a> {
    agent: Agent,
    key: &'a AccountKey,
    directory: Directory,
    /// The account's address.
    account: Option<String>,
    /// The number that the next request may have.
    nonce: Option<String>,
}

fn agent(roots: &TlsRoots) -> Agent {
    Agent::config_builder()
        .tls_config(roots.config())
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .user_agent(concat!("conclave/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

fn header(answer: &Response<ureq::Body>, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_string)
}

impl<'a> Ca<'a> {
    /// Asks a CA what it does, and for the key's account, which it makes unless there is one.
    pub(super) fn open(
        directory: &str,
        roots: &TlsRoots,
        key: &'a AccountKey,
        contacts: &[Contact],
    ) -> Result<Self, CaError> {
        let agent = agent(roots);
        let cannot = |e| failed(format_args!("the CA at {directory} cannot be reached: {e}"));
        let mut answer = agent.get(directory).call().map_err(cannot)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(failed(format_args!("the CA at {directory} answers with status {status}")));
        }
        let body =
            answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(failed)?;
        let known: Value = serde_json::from_slice(&body)
            .map_err(|e| failed(format_args!("{directory} is no directory of a CA: {e}")))?;
        let url = |name| text(&known, name).map(str::to_string);
        let directory = Directory {
            new_nonce: url("newNonce")?,
            new_account: url("newAccount")?,
            new_order: url("newOrder")?,
        };
        let mut ca = Self { agent, key, directory, account: None, nonce: None };

        let contacts: Vec<String> = contacts.iter().map(Contact::url).collect();
        let payload = match contacts.is_empty() {
            true => json!({ "termsOfServiceAgreed": true }),
            false => json!({ "termsOfServiceAgreed": true, "contact": contacts }),
        };
        let url = ca.directory.new_account.clone();
        let account = ca.post(&url, Some(&payload))?.location;
        ca.account = Some(account.ok_or_else(|| failed("the CA names no account"))?);
        Ok(ca)
    }

    /// Where orders are made.
    pub(super) fn new_order(&self) -> String {
        self.directory.new_order.clone()
    }

    /// Sends a signed request; without a payload it asks for what is there.
    pub(super) fn post(&mut self, url: &str, payload: Option<&Value>) -> Result<Answer, CaError> {
        for _ in 1..NONCES {
            match self.post_once(url, payload) {
                Err(CaError::Refused { kind, .. }) if kind.ends_with(":badNonce") => {}
                other => return other,
            }
        }
        self.post_once(url, payload)
    }

    fn post_once(&mut self, url: &str, payload: Option<&Value>) -> Result<Answer, CaError> {
        let nonce = match self.nonce.take() {
            Some(nonce) => nonce,
            None => self.fetch_nonce()?,
        };
        let signer = self.account.as_deref().map_or(Signer::Key, Signer::Account);
        let body = self.key.sign(&signer, (url, &nonce), payload).map_err(CaError::Failed)?;
        let request = Request::post(url)
            .header(header::CONTENT_TYPE, "application/jose+json")
            .body(body)
            .map_err(failed)?;
        let mut answer = self.agent.run(request).map_err(|e| failed(format_args!("{url}: {e}")))?;

        self.nonce = header(&answer, "replay-nonce");
        let location = header(&answer, "location");
        let seconds = header(&answer, "retry-after").and_then(|text| text.parse().ok());
        let status = answer.status();
        let body = answer.body_mut().with_config().limit(MAX_ANSWER).read_to_vec();
        let body = body.map_err(|e| failed(format_args!("{url}: {e}")))?;
        if status.is_success() {
            return Ok(Answer { location, retry_after: seconds.map(Duration::from_secs), body });
        }
        Err(match serde_json::from_slice(&body) {
            Ok(value) => problem(&value),
            Err(_) => failed(format_args!("{url}: the CA answers with status {status}")),
        })
    }

    fn fetch_nonce(&self) -> Result<String, CaError> {
        let url = &self.directory.new_nonce;
        let answer = self.agent.head(url).call().map_err(|e| failed(format_args!("{url}: {e}")))?;
        header(&answer, "replay-nonce").ok_or_else(|| failed("the CA gives no nonce"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_ca_says_is_shown_on_one_line_and_not_at_length() {
        let long = "x".repeat(10_000);
        let said = json!({
            "type": "urn:ietf:params:acme:error:tls",
            "detail": format!("no\r\nfake line {long}"),
            "subproblems": [{ "detail": "for a.example" }, {}, 7],
        });
        let shown = problem(&said).to_string();
        assert!(shown.starts_with("the CA refuses (tls): no  fake line xxx"), "{shown}");
        assert!(shown.ends_with("; for a.example"), "{shown}");
        assert!(shown.len() < 2 * MAX_SHOWN);
        assert_eq!(problem(&json!([])).to_string(), "the CA refuses (unknown): unknown");
    }
}
