//! What the handlers share.

use super::health::Health;
use super::limits::FrontLimits;
use super::listeners::Listeners;
use super::memory::Memory;
use super::metrics::Metrics;
use super::observed::{Observed, OnRequest, RequestIds};
use super::places::Places;
use super::proxies::Proxies;
use super::rates::Rates;
use crate::service::Service;
use conclave_delivery_api::Name;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

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
    pub(super) metrics: Metrics,
    pub(super) health: Health,
    pub(super) ids: RequestIds,
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
        self.metrics.observe(observed);
        if let Some(tell) = &self.on_request {
            tell(observed);
        }
    }
}
