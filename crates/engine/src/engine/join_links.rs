//! Join links: showing them, and beginning to make them.

use super::{CommandError, Engine};
use crate::conversation::Conversation;
use crate::record::Work;
use conclave_delivery_api::{JoinLink, JoinLinks};
use conclave_mls::GroupId;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// The links of a group.
    pub(super) fn links_of(&self, id: &GroupId) -> JoinLinks {
        self.conversations.get(id).map(Conversation::links).unwrap_or_default()
    }

    /// Begins to make a link into a group, good for so many seconds. It is shown when the group has it: a link that is
    /// not in force yet is shown to nobody.
    pub(super) fn new_link(
        &mut self,
        id: &GroupId,
        max_uses: u32,
        lifetime: u64,
    ) -> Result<(), CommandError> {
        let name = self.group_name(id);
        let link = JoinLink::new(&mut *self.rng, id.clone(), &name);
        let expires_at = self.service_time().as_secs().saturating_add(lifetime);
        let work = Work::MakeLink { link, expires_at, max_uses, committing: false };
        self.queue(id, vec![work], Vec::new())
    }
}
