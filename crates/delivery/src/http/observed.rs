//! What an operator sees of requests, and of what the server does by itself.

use super::refusal::Refusal;
use conclave_delivery_api::{DeviceId, ErrorCode};
use core::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// One request, as far as the service can see into it: what an operator, or anybody who takes over
/// the service, learns. Payloads are not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The operation's name, such as `submit-commit`, or `events`.
    pub operation: &'static str,
    /// The device that sent the request, if it said.
    pub who: Option<DeviceId>,
    /// The request's name, which its response has in the header `x-conclave-request`. What the server does by itself
    /// has none.
    pub id: Option<RequestId>,
    /// What the client's address counts for.
    pub address: Option<IpAddr>,
    /// How long it took, from the head to the reply.
    pub elapsed: Option<Duration>,
    /// Why it was refused, if it was.
    pub code: Option<ErrorCode>,
    /// The limit that it met, if it met one.
    pub limit: Option<&'static str>,
    /// The length of the request's body, in bytes.
    pub request_bytes: usize,
    /// The length of the reply's body, in bytes.
    pub reply_bytes: usize,
    /// The status of the reply.
    pub status: u16,
    /// The fields that were in the clear, or why the request was refused.
    pub summary: String,
}

impl fmt::Display for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.summary)
    }
}

impl Observed {
    /// Something that the server does by itself.
    pub(super) fn of_server(operation: &'static str, status: u16, summary: String) -> Self {
        Self {
            operation,
            who: None,
            id: None,
            address: None,
            elapsed: None,
            code: None,
            limit: None,
            request_bytes: 0,
            reply_bytes: 0,
            status,
            summary,
        }
    }
}

impl Observed {
    pub(super) fn refused(&mut self, refusal: &Refusal) {
        self.status = refusal.error.code.status();
        self.code = Some(refusal.error.code);
        self.limit = refusal.limit();
        self.summary = refusal.error.to_string();
    }
}

/// What names a request in logs, and in the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    process: u32,
    number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:x}", self.process, self.number)
    }
}

/// Gives requests their names, which those of another run of the server do not have.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: u32,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        // Without randomness they are names all the same.
        Self { process: getrandom::u32().unwrap_or_default(), next: AtomicU64::new(1) }
    }

    pub(super) fn next(&self) -> RequestId {
        RequestId { process: self.process, number: self.next.fetch_add(1, Ordering::Relaxed) }
    }
}

/// Called after each request, on the server's threads: it should be quick.
pub type OnRequest = Arc<dyn Fn(&Observed) + Send + Sync>;
