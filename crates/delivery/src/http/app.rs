//! What the handlers share, and what an operator sees of requests.

use super::limits::FrontLimits;
use super::listeners::Listeners;
use super::memory::Memory;
use super::places::Places;
use super::proxies::Proxies;
use super::rates::Rates;
use crate::service::Service;
use conclave_delivery_api::{DeviceId, Name};
use core::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// One request, as far as the service can see into it: what an operator, or anybody who takes over
/// the service, learns. Payloads are not part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// The operation's name, such as `submit-commit`, or `events`.
    pub operation: &'static str,
    /// The device that sent the request, if it said.
    pub who: Option<DeviceId>,
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
        Self { operation, who: None, request_bytes: 0, reply_bytes: 0, status, summary }
    }
}

/// Called after each request, on the server's threads: it should be quick.
pub type OnRequest = Arc<dyn Fn(&Observed) + Send + Sync>;

/// What the handlers share.
pub(super) struct App<S> {
    pub(super) service: Service<S>,
    pub(super) listeners: Listeners,
    pub(super) on_request: Option<OnRequest>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) max_body: usize,
    pub(super) patience: Duration,
    /// A place for each long request of somebody without a session.
    pub(super) long_anonymous: Arc<Semaphore>,
    pub(super) front: Front,
}

/// What keeps a few from taking what is there for all.
pub(super) struct Front {
    pub(super) rates: Rates,
    pub(super) memory: Arc<Memory>,
    pub(super) streams: Arc<Places<()>>,
    pub(super) streams_of_address: Arc<Places<IpAddr>>,
    pub(super) streams_of_user: Arc<Places<Name>>,
    pub(super) streams_of_device: usize,
    pub(super) proxies: Arc<Proxies>,
}

impl Front {
    pub(super) fn new(limits: &FrontLimits, proxies: Arc<Proxies>) -> Self {
        Self {
            rates: Rates::new(limits),
            memory: Arc::new(Memory::new(limits.memory)),
            streams: Places::new(limits.streams),
            streams_of_address: Places::new(limits.streams_of_address),
            streams_of_user: Places::new(limits.streams_of_user),
            streams_of_device: limits.streams_of_device,
            proxies,
        }
    }
}

impl<S> App<S> {
    pub(super) fn observe(&self, observed: &Observed) {
        if let Some(tell) = &self.on_request {
            tell(observed);
        }
    }
}
