//! A ready-made [`Policy`]: rules that many groups have.

use crate::covering::first_left_out;
use crate::credentials::Verdict;
use crate::policy::{GroupView, Policy, Proposed, ProposedCommit};
use alloc::format;
use alloc::vec::Vec;
use conclave_wire::{
    Credential, Encode, EncodeError, Epoch, Extension, ExtensionType, LeafIndex, LeafNode,
    Proposal, ProposalType, Sender, Writer,
};

/// Who is meant by a [`Permission`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody.
    Everyone,
    /// All members.
    Members,
    /// The members with one of these credentials.
    Credentials(Vec<Credential>),
    /// The group's external senders (section 12.1.8).
    ExternalSenders,
    /// Those who join: by an external commit, or by proposing to add themselves.
    Joiners,
}

/// What is meant by a [`Permission`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Everything.
    Everything,
    /// Proposals of these types; and commits of no others, so that with an empty list there may be
    /// commits that only renew keys.
    Types(Vec<ProposalType>),
}

/// Somebody may do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Who.
    pub who: Who,
    /// What.
    pub what: What,
}

/// Rules that many groups have. The default has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Who may propose what, by reference or by value; if empty, everybody everything. Who joins by
    /// an external commit proposes an ExternalInit, and a Remove if it replaces its old leaf.
    pub propose: Vec<Permission>,
    /// Who may commit what; if empty, everybody everything. A commit of several types may draw on
    /// several permissions. Who has none may not even commit to renew its keys.
    ///
    /// Nobody can commit its own removal: a group of which one member alone may commit Removes
    /// cannot part from it, and when nobody is left who may commit, the group stays as it is.
    pub commit: Vec<Permission>,
    /// Whether members may commit proposals by reference only, each sent before for all to see. Not
    /// in epoch 0, where nobody is there to see.
    pub by_reference_only: bool,
    /// Whether a member's commit must cover all pending proposals: commit each, or one that takes
    /// its place (another Update or a Remove of the same leaf, an Add of the same signature key,
    /// another change of the extensions; a ReInit stands alone, and any other proposal takes its
    /// place).
    ///
    /// These do not count: what the committer may not commit; what is not valid beside what it
    /// commits, so that nobody can block the group by a proposal; PSKs, as nobody can see which the
    /// committer knows; and proposals of members that it removes.
    ///
    /// All have to have the same proposals pending when a commit comes: for a delivery service that
    /// keeps proposals and commits in one order. A commit that was overtaken by a proposal is
    /// refused, by the committer too when it is accepted: give it up and commit again.
    pub cover_all_pending: bool,
    /// Extensions of the GroupContext that must stay as they are: there with this content, or not
    /// there.
    pub immutable_extensions: Vec<ExtensionType>,
    /// Whether a member's credential must stay the same, in Updates, paths and when it joins again
    /// in place of its old leaf. For credentials that change, as certificates do, write a
    /// [`Policy`] or judge [`CredentialRequest::replaces`](crate::CredentialRequest::replaces).
    pub keep_identity: bool,
}

impl Who {
    fn includes(&self, group: GroupView<'_>, sender: Sender) -> bool {
        match (self, sender) {
            (Self::Everyone, _)
            | (Self::Members, Sender::Member(_))
            | (Self::ExternalSenders, Sender::External(_))
            | (Self::Joiners, Sender::NewMemberProposal | Sender::NewMemberCommit) => true,
            (Self::Credentials(list), Sender::Member(leaf)) => {
                group.credential(leaf).is_some_and(|credential| list.contains(&credential))
            }
            _ => false,
        }
    }
}

impl What {
    fn includes(&self, proposal_type: ProposalType) -> bool {
        match self {
            Self::Everything => true,
            Self::Types(types) => types.contains(&proposal_type),
        }
    }
}

/// Whether somebody may do anything at all, and all of these types.
fn allowed(
    permissions: &[Permission],
    group: GroupView<'_>,
    sender: Sender,
    mut types: impl Iterator<Item = ProposalType>,
) -> Result<(), Option<ProposalType>> {
    if permissions.is_empty() {
        return Ok(());
    }
    let theirs: Vec<&Permission> =
        permissions.iter().filter(|permission| permission.who.includes(group, sender)).collect();
    if theirs.is_empty() {
        return Err(None);
    }
    match types.find(|t| !theirs.iter().any(|permission| permission.what.includes(*t))) {
        Some(forbidden) => Err(Some(forbidden)),
        None => Ok(()),
    }
}

fn extension(list: &[Extension], wanted: ExtensionType) -> Option<&Extension> {
    list.iter().find(|e| e.extension_type == wanted)
}

impl Rules {
    /// A pending proposal that a commit by a member leaves out and could hold.
    fn uncovered<'a>(
        &self,
        group: GroupView<'a>,
        committer: LeafIndex,
        commit: &ProposedCommit<'_>,
    ) -> Option<Proposed<'a>> {
        let may_commit = |item: &Proposed<'_>| self.may_commit(group, commit.sender, *item);
        first_left_out(group.0, committer, commit, group.pending().filter(may_commit))
    }

    fn may_commit(&self, group: GroupView<'_>, sender: Sender, item: Proposed<'_>) -> bool {
        let types = core::iter::once(item.proposal.proposal_type());
        allowed(&self.commit, group, sender, types).is_ok()
    }

    /// Whether a leaf node keeps the credential of the member that it replaces.
    fn keeps_identity(&self, group: GroupView<'_>, old: LeafIndex, new: &LeafNode) -> bool {
        !self.keep_identity || group.credential(old).is_none_or(|old| old == new.credential)
    }
}

impl Permission {
    fn encode(&self, w: &mut Writer) -> Result<(), EncodeError> {
        match &self.who {
            Who::Everyone => 0u8.encode(w)?,
            Who::Members => 1u8.encode(w)?,
            Who::Credentials(list) => {
                2u8.encode(w)?;
                list.encode(w)?;
            }
            Who::ExternalSenders => 3u8.encode(w)?,
            Who::Joiners => 4u8.encode(w)?,
        }
        match &self.what {
            What::Everything => 0u8.encode(w),
            What::Types(types) => {
                1u8.encode(w)?;
                types.encode(w)
            }
        }
    }
}

impl Policy for Rules {
    /// A checksum of all rules; empty if there are none.
    fn id(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let mut w = Writer::new();
        let encoded = [&self.propose, &self.commit].into_iter().try_for_each(|list| {
            u32::try_from(list.len()).unwrap_or(u32::MAX).encode(&mut w)?;
            list.iter().try_for_each(|permission| permission.encode(&mut w))
        });
        let flags = [self.by_reference_only, self.cover_all_pending, self.keep_identity];
        w.put(&flags.map(u8::from));
        // What is too long to encode has at least a name that tells it from no rules.
        let encoded = encoded.and_then(|()| self.immutable_extensions.encode(&mut w));
        let checksum = if encoded.is_ok() { crc32fast::hash(&w.finish()) } else { u32::MAX };
        [b"rules".as_slice(), &checksum.to_be_bytes()].concat()
    }

    fn proposal(&self, group: GroupView<'_>, proposal: Proposed<'_>) -> Verdict {
        let Proposed { sender, proposal, .. } = proposal;
        let proposal_type = proposal.proposal_type();
        if allowed(&self.propose, group, sender, core::iter::once(proposal_type)).is_err() {
            let t = proposal_type.0;
            return Verdict::refuse(&format!("{sender:?} may not propose type {t:#06x}"));
        }
        let extensions = match (proposal, sender) {
            (Proposal::Update(new), Sender::Member(leaf))
                if !self.keeps_identity(group, leaf, new) =>
            {
                return Verdict::refuse("an Update must keep the credential");
            }
            (Proposal::GroupContextExtensions(new), _) => new,
            (Proposal::ReInit(reinit), _) => &reinit.extensions,
            _ => return Verdict::Accept,
        };
        let old = &group.context().extensions;
        let changed = |t: &&ExtensionType| extension(old, **t) != extension(extensions, **t);
        match self.immutable_extensions.iter().find(changed) {
            Some(t) => Verdict::refuse(&format!("extension {:#06x} may not change", t.0)),
            None => Verdict::Accept,
        }
    }

    fn committable(
        &self,
        group: GroupView<'_>,
        committer: Sender,
        proposal: Proposed<'_>,
    ) -> Verdict {
        match self.may_commit(group, committer, proposal) {
            true => Verdict::Accept,
            false => Verdict::refuse("it may not be committed by this member"),
        }
    }

    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        let types = commit.proposals.iter().map(|item| item.proposal.proposal_type());
        match allowed(&self.commit, group, commit.sender, types) {
            Ok(()) => {}
            Err(None) => return Verdict::refuse(&format!("{:?} may not commit", commit.sender)),
            Err(Some(t)) => {
                let sender = commit.sender;
                return Verdict::refuse(&format!("{sender:?} may not commit type {:#06x}", t.0));
            }
        }
        let replaced = match commit.sender {
            Sender::Member(leaf) => Some(leaf),
            _ => commit.proposals.iter().find_map(|item| match item.proposal {
                Proposal::Remove(leaf) => Some(*leaf),
                _ => None,
            }),
        };
        if let (Some(old), Some(new)) = (replaced, commit.leaf)
            && !self.keeps_identity(group, old, new)
        {
            return Verdict::refuse("a commit must keep the committer's credential");
        }
        let Sender::Member(committer) = commit.sender else { return Verdict::Accept };
        let hidden = |item: &Proposed<'_>| !item.by_reference;
        if self.by_reference_only
            && group.context().epoch > Epoch::FIRST
            && commit.proposals.iter().any(hidden)
        {
            return Verdict::refuse("proposals may be committed by reference only");
        }
        if self.cover_all_pending
            && let Some(left_out) = self.uncovered(group, committer, commit)
        {
            let t = left_out.proposal.proposal_type().0;
            return Verdict::refuse(&format!("a pending proposal of type {t:#06x} is left out"));
        }
        Verdict::Accept
    }
}
