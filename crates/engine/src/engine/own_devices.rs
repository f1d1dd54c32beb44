//! The user's other devices: they come into the groups that this one is in.

use super::Engine;
use crate::book::Change;
use crate::record::{Item, Who, Work};
use conclave_delivery_api::{DeviceId, Name};
use conclave_mls::GroupId;
use conclave_store::Store;

impl<S: Store> Engine<S> {
    /// The change that invites the user's other devices into a group with these members; none if all are there.
    pub(super) fn bring_in_own(&self, id: &GroupId, members: &[DeviceId]) -> Option<Change> {
        let user = self.device().user.clone();
        let is_missing = |name: &Name| {
            !members.iter().any(|member| member.user == user && member.device == *name)
        };
        let own = self.authority.devices_of(self.book.accounts(), &user);
        let missing = own.iter().any(|(device, _)| is_missing(&device.device));
        let who = Who { user: user.clone(), device: None };
        let work = Work::Invite { who, committing: false, by_itself: true };
        missing.then(|| Change::NewItem(Item { group: id.clone(), work }))
    }

    /// Whether this is the first of the user's devices in a group, which acts for all of them.
    pub(super) fn is_first_own(&self, members: &[DeviceId]) -> bool {
        let me = self.device();
        let own = self.authority.devices_of(self.book.accounts(), &me.user);
        own.iter().map(|(device, _)| device).find(|device| members.contains(device)) == Some(me)
    }
}
