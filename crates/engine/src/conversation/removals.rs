//! Devices that are no longer active: they leave the groups that they are in.

use super::Conversation;
use super::context::Context;
use crate::authority::Authority;
use crate::book::Book;
use crate::chance::random;
use crate::directory::is_revoked;
use conclave_certificates::device_of;
use conclave_delivery_api::DeviceId;
use conclave_mls::credential::{ExternalSender, SignaturePublicKey};
use conclave_mls::group::Proposal;
use conclave_mls::wire::{ExtensionType, find_extension};
use conclave_room::Capability;
use conclave_store::Store;

/// How long members of a group wait before one of them removes a revoked device of its own accord, in milliseconds: so
/// long at least, and up to this much more. The user's own devices do not wait, but where the service proposes it.
pub(crate) const REMOVAL_WAIT: u64 = 3_000;
pub(crate) const REMOVAL_SPREAD: u64 = 5_000;

impl Conversation {
    /// Plans the removal of the group's devices that are no longer active.
    pub(crate) fn plan_removals<S: Store>(&mut self, cx: &mut Context<'_, S>) {
        let members = if self.is_over() { Vec::new() } else { self.devices() };
        let is_member = |device: &DeviceId| members.iter().any(|(member, _)| member == device);
        cx.removals.retain(|(id, device), _| *id != self.id || is_member(device));
        let me = cx.device().clone();
        for (device, key) in members {
            let what = (self.id.clone(), device.clone());
            if device == me
                || cx.removals.contains_key(&what)
                || !self.has_ended(cx, &device, &key)
                || !(device.user == me.user || self.may(&me.user, Capability::KICK))
            {
                continue;
            }
            // Where the service proposes removals, any member commits them, and this device need not hurry.
            let own = device.user == me.user && !self.names_service(cx.authority);
            let spread = random(cx.rng) % REMOVAL_SPREAD;
            let wait = if own { 0 } else { REMOVAL_WAIT + spread };
            cx.removals.insert(what, cx.clock.now.saturating_add(wait));
        }
    }

    /// Whether a device's key is known to be no longer valid. A device that has another key since comes back by itself.
    pub(crate) fn has_ended<S: Store>(
        &self,
        cx: &mut Context<'_, S>,
        device: &DeviceId,
        key: &SignaturePublicKey,
    ) -> bool {
        self.certificate_has_ended(cx, device, key) || is_revoked(cx.book.accounts(), device, key)
    }

    /// Whether a member's certificate is no longer valid, by both this device's clock and the service's.
    fn certificate_has_ended<S: Store>(
        &self,
        cx: &mut Context<'_, S>,
        device: &DeviceId,
        key: &SignaturePublicKey,
    ) -> bool {
        let now = cx.clock.time().min(cx.clock.service_time());
        let Authority::Certificates(certified) = &mut *cx.authority else { return false };
        let mut found = self.group.members().filter(|member| member.signature_key == *key);
        let member = found.find(|member| device_of(&member.credential).as_ref() == Some(device));
        member.is_some_and(|m| certified.has_ended(cx.provider, now, &m.credential, key))
    }

    /// Whether a device's removal is proposed, and will be committed by this device if nobody else does.
    pub(crate) fn is_to_be_removed<S: Store>(&self, book: &Book<S>, device: &DeviceId) -> bool {
        if !self.takes_received(book) {
            return false;
        }
        let removed = self.group.view().proposals().filter_map(|pending| match pending.proposal {
            Proposal::Remove(leaf) => self.group.member(*leaf),
            _ => None,
        });
        removed.filter_map(|member| device_of(&member.credential)).any(|member| member == *device)
    }

    /// The external senders that the group names.
    pub(crate) fn named_senders(&self) -> Vec<ExternalSender> {
        let extensions = &self.group.context().extensions;
        let named = find_extension(extensions, ExtensionType::EXTERNAL_SENDERS).ok().flatten();
        named.unwrap_or_default()
    }

    /// Whether the service proposes the removal of revoked devices in the group.
    pub(crate) fn names_service(&self, authority: &Authority) -> bool {
        let sender = authority.sender();
        sender.is_some_and(|sender| self.named_senders().contains(sender))
    }
}
