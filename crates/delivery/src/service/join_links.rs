//! Joining by a link: to whom the service gives a group's state, and whose external commit it takes.
//!
//! The service sees the links of tracked groups in their GroupContext, and judges by the function that members judge by.
//! It can neither make a link nor use one, as their secrets are in texts that members pass on.

use super::authority::named;
use super::messages::Submission;
use super::view::{View, lock};
use super::{Caller, Done, Operation, Service, ServiceError};
use crate::storage::{GroupRecord, Storage};
use conclave_delivery_api::{
    Decode, DeviceId, ErrorCode, FetchLinkedGroup, GroupState, JOIN_LINKS, JoinLinkError,
    JoinLinks, JoinLinksUpdate, SignaturePublicKey, short_group, verify_fetch, verify_use,
};
use conclave_mls::component::{AppDataUpdate, AppDataUpdateOperation};
use conclave_mls::observe::Observer;
use conclave_mls::wire::{Commit, Content, Proposal, ProposalOrRef};

/// The refusal of what members would not take either.
pub(super) fn refusal(e: &JoinLinkError) -> ServiceError {
    let code = match e {
        e if e.is_of_link() => ErrorCode::BadLink,
        JoinLinkError::NotAllowed(_) | JoinLinkError::Room(_) => ErrorCode::NotAllowed,
        JoinLinkError::TooMany => ErrorCode::TooMany,
        _ => return ServiceError::invalid(e),
    };
    ServiceError::new(code, e.to_string())
}

/// Whether somebody can join by a link of a group now.
fn check_usable(
    observer: &Observer,
    key: &SignaturePublicKey,
    at: u64,
) -> Result<(), ServiceError> {
    let members = observer.members().filter_map(|member| named(&member.credential).ok());
    let links = JoinLinks::of(observer.view()).map_err(|e| refusal(&e))?;
    links.usable(key, members, at).map(|_| ()).map_err(|e| refusal(&e))
}

/// The use of a link by a commit, and the key of its sender's leaf.
fn use_of(commit: &Commit) -> Option<(JoinLinksUpdate, &SignaturePublicKey)> {
    let update = commit.proposals.iter().find_map(|item| match item {
        ProposalOrRef::Proposal(Proposal::AppDataUpdate(AppDataUpdate {
            component_id: JOIN_LINKS,
            operation: AppDataUpdateOperation::Update(update),
        })) => JoinLinksUpdate::from_bytes(update).ok(),
        _ => None,
    });
    Some((update?, &commit.path.as_ref()?.leaf_node.signature_key))
}

impl<S: Storage> Service<S> {
    /// That a device which is not in a group may submit an external commit: by one of its links. Before this holds, it
    /// is told nothing of the group, not even in which epoch it is.
    pub(super) fn check_link_use(
        &self,
        view: &mut View,
        group: &GroupRecord,
        submission: &Submission<'_>,
    ) -> Result<(), ServiceError> {
        let (id, epoch) = (&submission.framed.group_id, submission.framed.epoch);
        let content = submission.framed.public.as_ref().map(|message| &message.content.content);
        let used = match content {
            Some(Content::Commit(commit)) if group.tracked => use_of(commit),
            _ => None,
        };
        let Some((JoinLinksUpdate::Use { key, signature }, leaf_key)) = used else {
            return self.check_may_join(id, submission.me);
        };
        let about = (id, epoch, leaf_key);
        verify_use(&*self.provider, &key, about, &signature)
            .map_err(|_| refusal(&JoinLinkError::BadSignature))?;
        check_usable(self.observer(view, id, group)?, &key, submission.now.as_secs())
    }

    /// That a device has the secret of a link of a group, by which somebody can join now. Of a group that there is not,
    /// or that the service does not follow, nothing else is said than of a link that there is not.
    fn check_linked(
        &self,
        caller: &Caller,
        me: &DeviceId,
        request: &FetchLinkedGroup,
    ) -> Result<(), ServiceError> {
        let FetchLinkedGroup { group_id, key, signature } = request;
        verify_fetch(&*self.provider, key, (group_id, me), signature)
            .map_err(|_| refusal(&JoinLinkError::BadSignature))?;

        let is_followed = |group: &GroupRecord| group.tracked && group.ending.is_none();
        let unknown = || refusal(&JoinLinkError::Unknown);
        let group = self.storage.group(group_id)?.filter(is_followed).ok_or_else(unknown)?;
        let shared = self.views.of(group_id);
        let mut view = lock(&shared);
        check_usable(self.observer(&mut view, group_id, &group)?, key, caller.now.as_secs())
    }
}

impl Operation for FetchLinkedGroup {
    fn run<S: Storage>(
        self,
        service: &Service<S>,
        caller: &Caller,
    ) -> Result<Done<GroupState>, ServiceError> {
        let me = caller.id()?;
        service.check_linked(caller, me, &self)?;
        let state = service.group_state(&self.group_id, caller.now)?;
        let (short, epoch) = (short_group(&self.group_id), state.receipt.position.epoch);
        let seen = format!("group {short}, {me} has a link: GroupInfo and tree of epoch {epoch}");
        Ok(Done::new(state, seen))
    }
}
