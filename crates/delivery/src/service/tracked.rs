//! Tracked groups: the service follows each as an observer, who checks what a member would check
//! but for what needs the group's secrets.

use super::authority::named;
use super::covering::uncovered;
use super::error::{provider_error, refused_by_rules};
use super::join_links::refusal;
use super::messages::Submission;
use super::misfits::{check_tree, decode_group_info, group_info_refused};
use super::view::{View, lock};
use super::{Service, ServiceError};
use crate::storage::{Append, Appended, CommitEffects, GroupRecord, NewKeyPackages, Storage};
use conclave_delivery_api::{
    Bytes, DeviceId, ErrorCode, GroupId, GroupState, Judged, JudgedCommit, MAX_PAGE, PAGE_BYTES,
    SubmitCommit, judge_commit, room_policy,
};
use conclave_mls::credential::{CredentialRequest, CredentialSubject};
use conclave_mls::crypto::{CryptoProvider, Suite};
use conclave_mls::group::{Answers, EpochChange, GroupView, Member, TreeRead};
use conclave_mls::observe::{ObservedStage, Observer, ObserverEvent, ObserverStage};
use conclave_mls::policy::{AllOf, Policy, Proposed};
use conclave_mls::storage::Batch;
use conclave_mls::storage::{ApplyError, Write, WriteError};
use conclave_mls::wire::{
    LeafIndex, PreSharedKeyId, Proposal, PskType, ResumptionPskUsage, Sender,
};
use conclave_mls::{CipherSuite, Config, UnixTime, Verdict, apply};
use conclave_room::RoomState;
use std::sync::Arc;

/// A group as its creator shows it.
pub(super) struct FirstView {
    pub(super) epoch: u64,
    pub(super) members: Vec<DeviceId>,
    pub(super) rows: Batch,
}

/// Why a write was not made.
enum Stopped {
    Refused(ServiceError),
    /// The log did not take the message.
    Other(Appended),
}

impl WriteError for Stopped {
    fn may_have_written(&self) -> bool {
        matches!(self, Self::Refused(e) if e.code == ErrorCode::Unavailable)
    }
}

impl From<ServiceError> for Stopped {
    fn from(e: ServiceError) -> Self {
        Self::Refused(e)
    }
}

/// Refuses commits that some members could not follow, as they lack a PSK: which have it, the
/// service cannot know.
#[derive(Debug)]
struct NoPsks;

impl Policy for NoPsks {
    fn proposal(&self, _group: GroupView<'_>, proposed: Proposed<'_>) -> Verdict {
        let Proposal::PreSharedKey(PreSharedKeyId { psktype, .. }) = proposed.proposal else {
            return Verdict::Accept;
        };
        match psktype {
            // In the first commit of a group, whose only member makes it.
            PskType::Resumption {
                usage: ResumptionPskUsage::Reinit | ResumptionPskUsage::Branch,
                ..
            } => Verdict::Accept,
            PskType::External { .. } | PskType::Application { .. } | PskType::Resumption { .. } => {
                Verdict::refuse("there may be members who do not have this PSK")
            }
        }
    }
}

/// What commits are judged by, beyond RFC 9420: that all members can follow them, and the rules of rooms. Groups that
/// were followed under other rules are taken over.
fn config() -> Config {
    let rooms = room_policy(|credential| Some(named(credential).ok()?.user.to_string()));
    Config { policy: Arc::new(AllOf::new(NoPsks, rooms)), adopt_policy: true, ..Config::default() }
}

/// The devices that these credentials name.
fn devices(members: &[Member]) -> Result<Vec<DeviceId>, ServiceError> {
    members.iter().map(|m| named(&m.credential)).collect()
}

/// The leaf of a member who asks to leave by a SelfRemove.
fn leaving_leaf((sender, proposal): (Sender, &Proposal)) -> Option<LeafIndex> {
    match (sender, proposal) {
        (Sender::Member(leaf), Proposal::SelfRemove(_)) => Some(leaf),
        _ => None,
    }
}

fn check_author(author: &DeviceId, me: &DeviceId) -> Result<(), ServiceError> {
    if author == me {
        return Ok(());
    }
    let detail = format!("the message is {author}'s, and was submitted by {me}");
    Err(ServiceError::new(ErrorCode::NotMember, detail))
}

/// Judges what a commit does to the data of a group's components, as members do.
fn judge_components(
    provider: &dyn CryptoProvider,
    observer: &Observer,
    stage: &ObservedStage,
    now: UnixTime,
) -> Result<Judged, ServiceError> {
    let commit = JudgedCommit {
        sender: stage.sender(),
        proposals: stage.proposals().collect(),
        credentials: stage.credentials(),
        received_at: now.as_secs(),
    };
    let judged = judge_commit(provider, observer.view(), &commit, |c| named(c).ok());
    judged.map_err(|e| refusal(&e))
}

impl<S: Storage> Service<S> {
    /// What commits are judged by.
    fn config(&self) -> Config {
        #[cfg(any(test, feature = "testing"))]
        if self.is_lawless {
            return Config { policy: Arc::new(NoPsks), ..config() };
        }
        config()
    }

    /// The authentication service's verdicts: each credential must name a registered device and
    /// come with its key, and whoever changes a credential must stay the same device. Of external senders only
    /// this service is taken, as messengers do: a commit that names another would leave all of them behind.
    fn judge(
        &self,
        suite: CipherSuite,
        requests: &[CredentialRequest],
        now: UnixTime,
    ) -> Vec<Verdict> {
        let judge = |request: &CredentialRequest| {
            if matches!(request.subject, CredentialSubject::ExternalSender(_)) {
                return match self.is_own_sender(request) {
                    true => Verdict::Accept,
                    false => {
                        Verdict::refuse("members take proposals from outside of this service alone")
                    }
                };
            }
            let owner = self.credential_owner(suite, request, now);
            let same = request.replaces.as_ref().is_none_or(|before| {
                named(before).is_ok_and(|before| owner.as_ref() == Ok(&before))
            });
            match owner {
                Ok(_) if same => Verdict::Accept,
                Ok(id) => Verdict::refuse(&format!("{id} would take another device's place")),
                Err(reason) => Verdict::refuse(&reason),
            }
        };
        requests.iter().map(judge).collect()
    }

    /// Checks a new group's public state.
    pub(super) fn first_view(
        &self,
        group: &GroupId,
        me: &DeviceId,
        (group_info, ratchet_tree): (&[u8], &[u8]),
        now: UnixTime,
    ) -> Result<FirstView, ServiceError> {
        let stage =
            ObserverStage::open(&*self.provider, self.config(), group_info, Some(ratchet_tree))
                .map_err(ServiceError::invalid)?;
        let suite = decode_group_info(group_info)?.group_context.cipher_suite;
        let credentials = stage.credentials().to_vec();
        let verdicts = self.judge(suite, &credentials, now);
        let observer = stage.resolve(&verdicts).map_err(|e| self.refused_with(e, &credentials))?;
        if observer.group_id() != group {
            return Err(ServiceError::invalid("the GroupInfo is of another group"));
        }
        let members = observer.members().map(|m| named(&m.credential));
        let members = members.collect::<Result<Vec<_>, _>>()?;
        if !members.contains(me) {
            return Err(ServiceError::not_member());
        }
        let room = RoomState::of(observer.view()).map_err(ServiceError::invalid)?;
        let takes_part = |room: &RoomState, member: &DeviceId| {
            room.role_of(member.user.as_str()).is_some_and(|role| role.takes_part())
        };
        if room.is_some_and(|room| !members.iter().all(|member| takes_part(&room, member))) {
            return Err(ServiceError::invalid("a member is no participant of the room"));
        }
        let rows = observer.rows().map_err(ServiceError::invalid)?;
        Ok(FirstView { epoch: observer.epoch().0, members, rows })
    }

    /// The observer of a group, loaded unless the one in memory is current.
    pub(super) fn observer<'v>(
        &self,
        view: &'v mut View,
        id: &GroupId,
        group: &GroupRecord,
    ) -> Result<&'v mut Observer, ServiceError> {
        if view.loaded.as_ref().is_none_or(|(handshake, _)| *handshake != group.handshake) {
            let rows = self.storage.rows(id)?;
            let observer = Observer::load(&*self.provider, self.config(), rows).map_err(|e| {
                ServiceError::new(ErrorCode::Unavailable, format!("the group's state: {e}"))
            })?;
            view.loaded = Some((group.handshake, observer));
        }
        let loaded = view.loaded.as_mut().map(|(_, observer)| observer);
        loaded.ok_or_else(|| ServiceError::new(ErrorCode::Unavailable, "the group is not loaded"))
    }

    /// What a commit changes for the service. `leaving` are the leaves of those who go by a SelfRemove.
    fn seen_effects(
        &self,
        (change, leaving): (&EpochChange, &[LeafIndex]),
        me: &DeviceId,
        joins_by_link: bool,
        (welcomes, ratchet_tree): (Vec<Bytes>, Option<Bytes>),
    ) -> Result<CommitEffects, ServiceError> {
        let committer = named(&change.committer.credential)?;
        check_author(&committer, me)?;
        let (added, removed) = (devices(&change.added)?, devices(&change.removed)?);
        // Section 12.4.3.2 leaves it to the application who joins from outside. Whoever has asked to leave goes along.
        let is_own = |(member, device): (&Member, &DeviceId)| {
            *device == committer || leaving.contains(&member.index)
        };
        let takes_own_place =
            removed.contains(&committer) && change.removed.iter().zip(&removed).all(is_own);
        if change.external && !(takes_own_place || joins_by_link) {
            let detail = format!(
                "an external commit must replace its sender's own leaf and no other, or use a join link: \
                 {committer} does not, so a member has to invite it"
            );
            return Err(ServiceError::invalid(detail));
        }
        let welcomes = self.route_welcomes(welcomes, ratchet_tree.as_ref(), &added)?;
        Ok(CommitEffects { added, removed, welcomes, ratchet_tree, ..CommitEffects::default() })
    }

    /// Checks a commit and, if it holds, appends it together with the observer's next state.
    pub(super) fn append_tracked_commit(
        &self,
        view: &mut View,
        group: &GroupRecord,
        submission: &Submission<'_>,
        (request, key_packages): (SubmitCommit, Option<NewKeyPackages>),
    ) -> Result<(Appended, CommitEffects), ServiceError> {
        let provider = &*self.provider;
        let id = &submission.framed.group_id;
        let observer = self.observer(view, id, group)?;
        let stage = observer.process(provider, &submission.message).map_err(refused_by_rules)?;
        let Judged { app_data, joins_by_link } =
            judge_components(provider, observer, &stage, submission.now)?;
        let suite = observer.view().cipher_suite();
        let credentials = stage.credentials().to_vec();
        let verdicts = self.judge(suite, &credentials, submission.now);
        let leaving: Vec<LeafIndex> = stage.proposals().filter_map(leaving_leaf).collect();
        let mut uncovered = uncovered(observer, &stage);
        uncovered.retain(|reference| !request.leaves_out.contains(&reference.0));
        let answers = Answers { verdicts, app_data, ..Answers::default() };
        let transition = stage
            .resolve(observer, provider, &answers)
            .map_err(|e| self.refused_with(e, &credentials))?;
        // Of a commit that the log had once, this was judged then.
        if !uncovered.is_empty() && !submission.is_restored {
            let suite = Suite::new(provider, suite).map_err(provider_error)?;
            return Err(self.proposals_missing((id, group), &suite, uncovered)?);
        }

        let mut fold = observer.fold();
        fold.push(transition).map_err(ServiceError::invalid)?;
        if let Some(info) = &request.group_info {
            let taken = fold.state().take_group_info(provider, info);
            let taken = taken.map_err(|e| group_info_refused(fold.state(), provider, info, &e))?;
            fold.push(taken).map_err(ServiceError::invalid)?;
        }
        if let Some(tree) = &request.ratchet_tree {
            check_tree(fold.state(), tree)?;
        }
        let mut won = None;
        let SubmitCommit { welcomes, ratchet_tree, .. } = request;
        let written = fold.commit(|write: Write<'_, ObserverEvent>| -> Result<(), Stopped> {
            let Some(ObserverEvent::Epoch(change)) = write.events.first() else {
                return Err(ServiceError::invalid("the message is no commit").into());
            };
            let (seen, with_it) = ((change, leaving.as_slice()), (welcomes, ratchet_tree));
            let effects = self.seen_effects(seen, submission.me, joins_by_link, with_it)?;
            let effects = CommitEffects { key_packages, ..effects };
            let append = Append {
                commit: Some(effects.clone()),
                rows: Some(write.batch.clone()),
                ..submission.append(group)
            };
            match self.storage.append(append).map_err(ServiceError::from)? {
                Appended::Won(position) => won = Some((position, effects)),
                other => return Err(Stopped::Other(other)),
            }
            Ok(())
        });
        match (written, won) {
            (Ok(_), Some((position, effects))) => {
                if let Some((handshake, _)) = &mut view.loaded {
                    *handshake = position.seq;
                }
                Ok((Appended::Won(position), effects))
            }
            (Err(Stopped::Other(other)), _) => Ok((other, CommitEffects::default())),
            (Err(Stopped::Refused(e)), _) => {
                // Whatever was written: the next request loads what is stored.
                view.loaded = None;
                Err(e)
            }
            (Ok(_), None) => Err(ServiceError::invalid("the message is no commit")),
        }
    }

    /// Checks a proposal and, if it holds, appends it together with the observer's next state.
    pub(super) fn append_tracked_proposal(
        &self,
        view: &mut View,
        group: &GroupRecord,
        submission: &Submission<'_>,
    ) -> Result<Appended, ServiceError> {
        let provider = &*self.provider;
        let observer = self.observer(view, &submission.framed.group_id, group)?;
        let stage = observer.process(provider, &submission.message).map_err(refused_by_rules)?;
        if stage.proposals().any(|(_, proposal)| matches!(proposal, Proposal::AppDataUpdate(_))) {
            return Err(ServiceError::invalid("only a committer changes a component's data"));
        }
        let author = match stage.sender() {
            Sender::Member(leaf) => observer.tree().leaf(leaf).map(|leaf| leaf.credential),
            Sender::NewMemberProposal => stage.credentials().first().map(|c| c.credential.clone()),
            Sender::External(_) => {
                let proposal = stage.proposals().next().map(|(_, proposal)| proposal);
                self.check_external(observer, proposal)?;
                None
            }
            Sender::NewMemberCommit => None,
        };
        if let Some(author) = author {
            check_author(&named(&author)?, submission.me)?;
        }
        let suite = observer.view().cipher_suite();
        let credentials = stage.credentials().to_vec();
        let verdicts = self.judge(suite, &credentials, submission.now);
        let transition = stage
            .resolve(observer, provider, &verdicts.into())
            .map_err(|e| self.refused_with(e, &credentials))?;
        let mut won = None;
        let applied = apply(observer, transition, |write| -> Result<(), Stopped> {
            let append = Append { rows: Some(write.batch.clone()), ..submission.append(group) };
            match self.storage.append(append).map_err(ServiceError::from)? {
                Appended::Won(position) => won = Some(position),
                other => return Err(Stopped::Other(other)),
            }
            Ok(())
        });
        match (applied, won) {
            (Ok(_), Some(position)) => {
                if let Some((handshake, _)) = &mut view.loaded {
                    *handshake = position.seq;
                }
                Ok(Appended::Won(position))
            }
            (Err(ApplyError::Write(Stopped::Other(other))), _) => Ok(other),
            (Err(ApplyError::Write(Stopped::Refused(e))), _) => {
                view.loaded = None;
                Err(e)
            }
            (Ok(_), None) | (Err(ApplyError::Stale | ApplyError::Reload), _) => {
                Err(ServiceError::new(ErrorCode::Unavailable, "the group has changed meanwhile"))
            }
        }
    }

    /// What an external join needs.
    pub(super) fn group_state(
        &self,
        id: &GroupId,
        now: UnixTime,
    ) -> Result<GroupState, ServiceError> {
        let shared = self.views.of(id);
        let mut view = lock(&shared);
        let group = self.known_group(id)?;
        let none = || {
            let detail = "the last commit came without a GroupInfo";
            ServiceError::new(ErrorCode::NoGroupInfo, detail)
        };
        let (group_info, ratchet_tree, pending) = if group.tracked {
            let observer = self.observer(&mut view, id, &group)?;
            let info = observer.group_info().ok_or_else(none)?.into();
            let tree = observer.tree().to_extension_bytes().map_err(ServiceError::invalid)?;
            (info, tree.into(), observer.proposals().count())
        } else {
            let (info, tree) = self.storage.public_state(id)?.ok_or_else(none)?;
            (info, tree, 0)
        };
        // While the lock is held, so that they are those of this epoch.
        let proposals = match pending {
            0 => Vec::new(),
            _ => self.storage.proposals(id, group.epoch, MAX_PAGE, PAGE_BYTES)?,
        };
        drop(view);
        let receipt = self.receipt(id, group.position(), now)?;
        let pending = u32::try_from(pending).unwrap_or(u32::MAX);
        Ok(GroupState { receipt, group_info, ratchet_tree, proposals, pending })
    }
}
