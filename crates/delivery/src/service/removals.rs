//! Revoked devices leave tracked groups: the service proposes it, as an external sender of the groups that name it
//! (RFC 9420 section 12.1.8), and whoever commits next removes them.

use super::framed::Framed;
use super::messages::Submission;
use super::view::{View, lock};
use super::{Notice, Service, ServiceError};
use crate::storage::{Appended, Storage};
use conclave_delivery_api::{
    ContentType, DeviceId, ErrorCode, Event, GroupId, SESSION_SCHEME, external_sender,
};
use conclave_mls::UnixTime;
use conclave_mls::credential::{CredentialRequest, ExternalSender, SignaturePublicKey};
use conclave_mls::crypto::Suite;
use conclave_mls::group::Member;
use conclave_mls::observe::Observer;
use conclave_mls::wire::{Extension, ExtensionType, LeafIndex, Proposal, find_extension};

/// In how many groups a call of [`Service::propose_removals`] proposes something at most.
const MAX_GROUPS_AT_ONCE: u32 = 64;

/// The place of a sender among those that a group names.
fn place_of(sender: &ExternalSender, extensions: &[Extension]) -> Option<u32> {
    let named = find_extension::<Vec<ExternalSender>>(extensions, ExtensionType::EXTERNAL_SENDERS);
    let place = named.ok()??.iter().position(|named| named == sender)?;
    u32::try_from(place).ok()
}

impl<S: Storage> Service<S> {
    /// Whether a credential is that of this service as an external sender.
    pub(super) fn is_own_sender(&self, request: &CredentialRequest) -> bool {
        let own = external_sender(self.sender.public.clone());
        request.credential == own.credential && request.signature_key == own.signature_key
    }

    /// Whether a member's key is one that its account has revoked or replaced.
    fn is_revoked(
        &self,
        device: &DeviceId,
        key: &SignaturePublicKey,
    ) -> Result<bool, ServiceError> {
        let known = self.storage.device(device)?;
        Ok(known.is_some_and(|known| !known.active || known.signature_key != *key))
    }

    /// Refuses what an external sender may not propose: all but the removal of a revoked device. Members do the same.
    pub(super) fn check_external(
        &self,
        observer: &Observer,
        proposal: Option<&Proposal>,
    ) -> Result<(), ServiceError> {
        if let Some(Proposal::Remove(leaf)) = proposal
            && let Some(member) = observer.view().member(*leaf)
            && let Some(device) = device_of(&member)
            && self.is_revoked(&device, &member.signature_key)?
        {
            return Ok(());
        }
        let detail =
            "an external sender may propose the removal of revoked devices and nothing else";
        Err(ServiceError::invalid(detail))
    }

    /// Proposes the removal of revoked devices in groups where it has not been proposed in the current epoch: those
    /// that name the service, and up to 64 at once. Says who is to be told.
    ///
    /// What fails, or is cut off by the end of the process, is done by a later call.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn propose_removals(&self, now: UnixTime) -> Result<Vec<Notice>, ServiceError> {
        let mut notices = Vec::new();
        for id in self.storage.due_removals(MAX_GROUPS_AT_ONCE)? {
            let shared = self.views.of(&id);
            let mut view = lock(&shared);
            notices.extend(self.propose_removals_in(&mut view, &id, now)?);
        }
        Ok(notices)
    }

    /// The same in one group. The caller holds the group's lock.
    pub(super) fn propose_removals_in(
        &self,
        view: &mut View,
        id: &GroupId,
        now: UnixTime,
    ) -> Result<Option<Notice>, ServiceError> {
        let devices = self.storage.due_removals_in(id)?;
        if devices.is_empty() {
            return Ok(None);
        }

        let mut group = self.known_group(id)?;
        let mut newest = None;
        let observer = self.observer(view, id, &group)?;
        let mut wanted = Vec::new();
        for (leaf, device) in self.unproposed(observer, &devices)? {
            wanted.extend(self.removal(observer, leaf)?.map(|message| (device, message)));
        }
        for (device, message) in wanted {
            let framed = Framed::decode(&message, ContentType::Proposal)?;
            // The log names a device for each entry: here that which is to leave.
            let submission = Submission {
                by_member: false,
                ..Submission::new(&device, now, framed, message.into())
            };
            match self.append_tracked_proposal(view, &group, &submission) {
                Ok(Appended::Won(position)) => newest = Some(position),
                Ok(Appended::Known(_)) => {}
                // Nobody commits anything there any more.
                Ok(Appended::Ended(_)) => break,
                // A proposal comes without key packages.
                Ok(
                    Appended::Lost(_)
                    | Appended::NoMember
                    | Appended::Overtaken
                    | Appended::KeyPackages(_),
                ) => {
                    view.loaded = None;
                    let detail = "the group has changed meanwhile";
                    return Err(ServiceError::new(ErrorCode::Unavailable, detail));
                }
                Err(e) if e.code == ErrorCode::Unavailable => return Err(e),
                // Members have proposed as much as the group takes. The next epoch is another one.
                Err(_) => break,
            }
            group = self.known_group(id)?;
        }
        self.storage.removals_proposed(id, group.epoch)?;

        let Some(position) = newest else { return Ok(None) };
        let to = self.storage.members(id)?;
        let event = Event::Group { group_id: id.clone(), position };
        Ok(Some(Notice { to, event }))
    }

    /// The leaves of these devices that are revoked, unless somebody has proposed their removal already.
    fn unproposed(
        &self,
        observer: &Observer,
        devices: &[DeviceId],
    ) -> Result<Vec<(LeafIndex, DeviceId)>, ServiceError> {
        let mut found = Vec::new();
        for member in observer.members() {
            let Some(device) = device_of(&member).filter(|device| devices.contains(device)) else {
                continue;
            };
            let removes = |proposal: &Proposal| matches!(proposal, Proposal::Remove(leaf) if *leaf == member.index);
            let proposed = observer.proposals().any(|pending| removes(pending.proposal));
            if !proposed && self.is_revoked(&device, &member.signature_key)? {
                found.push((member.index, device));
            }
        }
        Ok(found)
    }

    /// The proposal to remove a leaf; none if the group does not take proposals of this service.
    fn removal(
        &self,
        observer: &Observer,
        leaf: LeafIndex,
    ) -> Result<Option<Vec<u8>>, ServiceError> {
        let context = observer.context();
        let own = external_sender(self.sender.public.clone());
        let Some(place) = place_of(&own, &context.extensions) else { return Ok(None) };
        let suite =
            Suite::new(&*self.provider, context.cipher_suite).map_err(ServiceError::invalid)?;
        if suite.params().signature != SESSION_SCHEME {
            return Ok(None);
        }
        let target = observer.external_target();
        let proposal = Proposal::Remove(leaf);
        let message = target.propose(&*self.provider, place, &self.sender, proposal);
        message.map(Some).map_err(ServiceError::invalid)
    }
}

/// The device that a member is.
fn device_of(member: &Member) -> Option<DeviceId> {
    DeviceId::from_identity(member.credential.identity()?).ok()
}
