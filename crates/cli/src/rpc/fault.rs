//! Why a request was refused: JSON-RPC's number, a word that never changes, and a text for people.

use conclave_client::Reason;
use serde_json::{Value, json};

/// An error of JSON-RPC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) number: i64,
    pub(super) code: &'static str,
    pub(super) text: String,
}

/// The number of everything that the daemon itself refuses; the word says why.
pub(crate) const REFUSED: i64 = -32000;
/// The number of a message that was taken, and then not sent.
pub(crate) const NOT_SENT: i64 = -32001;

impl Fault {
    fn new(number: i64, code: &'static str, text: impl Into<String>) -> Self {
        Self { number, code, text: text.into() }
    }

    pub(super) fn no_json(text: impl Into<String>) -> Self {
        Self::new(-32700, "no-json", text)
    }

    pub(super) fn request(text: impl Into<String>) -> Self {
        Self::new(-32600, "invalid-request", text)
    }

    pub(super) fn too_large(text: impl Into<String>) -> Self {
        Self::new(-32600, "request-too-large", text)
    }

    pub(super) fn method(name: &str) -> Self {
        Self::new(-32601, "unknown-method", format!("there is no method {name:.64}"))
    }

    pub(super) fn params(text: impl Into<String>) -> Self {
        Self::new(-32602, "invalid-params", text)
    }

    pub(super) fn refused(code: &'static str, text: impl Into<String>) -> Self {
        Self::new(REFUSED, code, text)
    }

    /// The engine refuses it.
    pub(super) fn because(reason: &Reason) -> Self {
        Self::new(REFUSED, reason.code(), reason.to_string())
    }

    pub(super) fn not_sent(text: impl Into<String>) -> Self {
        Self::new(NOT_SENT, "not-sent", text)
    }

    fn to_json(&self) -> Value {
        json!({ "code": self.number, "message": self.text, "data": { "code": self.code } })
    }
}

/// The line that answers a request.
pub(super) fn response(id: &Value, outcome: &Result<Value, Fault>) -> String {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(fault) => json!({ "jsonrpc": "2.0", "id": id, "error": fault.to_json() }),
    }
    .to_string()
}
