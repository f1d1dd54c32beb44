//! Files that clients send and save.

use super::ask::Ask;
use super::fault::Fault;

use conclave_client::{Transfers, plain};
use serde_json::{Value, json};
use std::io::Write;

/// A request that waits for transfers.
struct Waiting {
    ask: Ask,
    /// Those that are not done.
    on: Vec<u64>,
    /// The files that are saved.
    saved: Vec<Value>,
}

/// The transfers of a device, and the requests that wait for them.
pub(super) struct Files {
    pub(super) transfers: Transfers,
    waiting: Vec<Waiting>,
}

impl Files {
    pub(super) fn new(transfers: Transfers) -> Self {
        Self { transfers, waiting: Vec::new() }
    }

    /// A request is answered when transfers are done.
    pub(super) fn wait(&mut self, on: Vec<u64>, ask: Ask) {
        self.waiting.push(Waiting { ask, on, saved: Vec::new() });
    }

    /// Forgets the requests of clients that are gone.
    pub(super) fn forget_closed(&mut self) {
        self.waiting.retain(|one| !one.ask.from.is_closed());
    }

    /// The requests that wait for a transfer, which wait no longer.
    pub(super) fn take(&mut self, id: u64) -> Vec<Ask> {
        let waiting = core::mem::take(&mut self.waiting);
        let (of, others) = waiting.into_iter().partition::<Vec<_>, _>(|one| one.on.contains(&id));
        self.waiting = others;
        of.into_iter().map(|one| one.ask).collect()
    }

    /// A file is saved. A request is answered when all of its files are.
    pub(super) fn saved(&mut self, id: u64, path: &str, size: u64) {
        for one in &mut self.waiting {
            if one.on.contains(&id) {
                one.on.retain(|on| *on != id);
                one.saved.push(json!({ "path": path, "size": size }));
            }
        }
        for one in self.waiting.extract_if(.., |one| one.on.is_empty()) {
            one.ask.answer(&Ok(json!({ "files": one.saved })));
        }
    }

    /// A transfer has failed. If nobody waits for it, the daemon's operator is told.
    pub(super) fn failed(&mut self, id: u64, device: &str, fault: Fault) {
        let asks = self.take(id);
        if asks.is_empty() {
            // If standard error is gone, there is nowhere left to say it.
            let _ = writeln!(std::io::stderr(), "conclave: {device}: {}", plain(&fault.text));
        }
        let outcome = Err(fault);
        asks.iter().for_each(|ask| ask.answer(&outcome));
    }

    /// Tells those who wait for a transfer, and want to know, how far it is.
    pub(super) fn report(&self, id: u64, device: &str, (percent, size): (u8, u64)) {
        for Waiting { ask, on, .. } in &self.waiting {
            if on.contains(&id) && ask.method.wants_progress() {
                let params = json!({
                    "device": device, "request": ask.id, "percent": percent, "size": size,
                });
                let line = json!({ "jsonrpc": "2.0", "method": "progress", "params": params });
                // A client that reads slowly misses some.
                ask.from.offer(line.to_string());
            }
        }
    }
}
