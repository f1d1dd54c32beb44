//! A request of a client's, with the way back to the client.

use super::fault::{Fault, response};
use super::outbox::Outbox;
use super::request::Method;
use serde_json::Value;
use std::sync::Arc;

/// A client's request.
pub(super) struct Ask {
    pub(super) from: Arc<Outbox>,
    pub(super) id: Option<Value>,
    pub(super) fresh: bool,
    pub(super) method: Method,
}

impl Ask {
    pub(super) fn answer(&self, outcome: &Result<Value, Fault>) {
        self.from.reply(self.id.as_ref().map(|id| response(id, outcome)));
    }
}
