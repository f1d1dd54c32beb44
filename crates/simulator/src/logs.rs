//! What is known of the groups' logs.

use conclave_delivery_api::LogPage;
use conclave_mls::GroupId;
use std::collections::BTreeMap;

/// What devices were shown of the groups' logs: the epoch in which each entry was made.
#[derive(Debug, Default)]
pub(crate) struct Logs(BTreeMap<(GroupId, u64), u64>);

impl Logs {
    pub(crate) fn take(&mut self, page: &LogPage) {
        let group = &page.end.group_id;
        let entries = page.entries.iter().map(|entry| ((group.clone(), entry.seq), entry.epoch));
        self.0.extend(entries);
    }

    /// In which epoch an entry was made, if somebody has fetched it.
    pub(crate) fn epoch(&self, group: &GroupId, seq: u64) -> Option<u64> {
        self.0.get(&(group.clone(), seq)).copied()
    }
}
