//! The rules for a proposal by itself (section 12.1).

use crate::error::{Error, Rejection};
use crate::store::row_codec::nothing_left;
use crate::validate::app_data;
use crate::validate::key_package::check_key_package;
use crate::validate::leaf::{
    check_extension_list, check_leaf, custom_proposal, external_senders, required_capabilities,
};
use crate::view::GroupView;
use crate::view::proposals::leaving_member;
use conclave_crypto::Suite;
use conclave_tree::TreeRead;
use conclave_wire::{
    Bytes, Epoch, Extension, LeafIndex, LeafNode, LeafNodeContext, LeafNodeSource, PreSharedKeyId,
    Proposal, ProposalType, PskType, ReInit, Reader, ResumptionPskUsage, Sender,
};

/// Whether PSKs that link the group to another may be used: only in a group's first commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Linking {
    Forbidden,
    Allowed,
}

impl Linking {
    /// For a commit that is our own or that an observer sees. Epoch 0 has no member but the
    /// creator, so a member's commit there is the group's first.
    pub(crate) fn observed(epoch: Epoch, sender: Sender) -> Self {
        if epoch == Epoch::FIRST && matches!(sender, Sender::Member(_)) {
            Self::Allowed
        } else {
            Self::Forbidden
        }
    }
}

/// Checks a proposal by itself, against the current epoch (section 12.1).
pub(crate) fn check_proposal(
    suite: &Suite<'_>,
    group: GroupView<'_>,
    sender: Sender,
    proposal: &Proposal,
    linking: Linking,
) -> Result<(), Error> {
    match proposal {
        Proposal::Add(key_package) => check_key_package(suite, group.limits, key_package),
        Proposal::Update(leaf) => check_update(suite, group, sender, leaf),
        Proposal::Remove(leaf) => check_remove(group, *leaf),
        Proposal::PreSharedKey(id) => check_psk(suite, id, linking),
        Proposal::ReInit(reinit) => check_reinit(group, reinit),
        // Only an external commit may hold one, which the list's rules see to.
        Proposal::ExternalInit(_) => Ok(()),
        Proposal::GroupContextExtensions(extensions) => check_context_extensions(group, extensions),
        Proposal::AppDataUpdate(update) => app_data::check_update(group, update),
        // What its data means is the component's business.
        Proposal::AppEphemeral(_) => Ok(()),
        Proposal::SelfRemove(_) => match leaving_member(sender) {
            Some(_) => Ok(()),
            None => Err(Rejection::SelfRemoveFromOutside.into()),
        },
        Proposal::Custom { proposal_type, body } => {
            check_custom(group, sender, *proposal_type, body)
        }
    }
}

/// Checks that a SelfRemove is not encrypted: clients that join from outside have to read it.
pub(crate) fn check_readable(proposal: &Proposal, encrypted: bool) -> Result<(), Rejection> {
    if encrypted && matches!(proposal, Proposal::SelfRemove(_)) {
        return Err(Rejection::SelfRemoveEncrypted);
    }
    Ok(())
}

/// Checks that all members support a type that RFC 9420 does not define, before we send it. What others
/// send is judged when it is committed: a member that does not support it may be removed by then
/// (section 12.2).
pub(crate) fn check_supported(group: GroupView<'_>, proposal: &Proposal) -> Result<(), Error> {
    let proposal_type = proposal.proposal_type();
    if group.tree.all_support_proposal(proposal_type) {
        Ok(())
    } else {
        Err(Rejection::UnsupportedProposal(proposal_type).into())
    }
}

/// Section 12.1.2, and section 7.3 for the new leaf node.
fn check_update(
    suite: &Suite<'_>,
    group: GroupView<'_>,
    sender: Sender,
    leaf: &LeafNode,
) -> Result<(), Error> {
    let Sender::Member(leaf_index) = sender else {
        return Err(Rejection::UpdateFromOutside.into());
    };
    if leaf.leaf_node_source != LeafNodeSource::Update {
        return Err(Rejection::UpdateLeafSource.into());
    }
    if group.tree.encryption_key(leaf_index.node()).as_ref() == Some(&leaf.encryption_key) {
        return Err(Rejection::UpdateKeyUnchanged.into());
    }

    let context = LeafNodeContext { group_id: group.group_id(), leaf_index };
    check_leaf(suite, group.limits, leaf, context)
}

/// Section 12.1.3.
fn check_remove(group: GroupView<'_>, leaf: LeafIndex) -> Result<(), Error> {
    if group.tree.is_member(leaf) { Ok(()) } else { Err(Rejection::RemoveOfNobody(leaf).into()) }
}

/// Section 12.1.5.
fn check_reinit(group: GroupView<'_>, reinit: &ReInit) -> Result<(), Error> {
    if reinit.version < group.context().version {
        return Err(Rejection::ReInitVersion(reinit.version).into());
    }
    check_extension_list(group.limits, &reinit.extensions)
}

/// Section 12.1.7.
fn check_context_extensions(group: GroupView<'_>, extensions: &[Extension]) -> Result<(), Error> {
    check_extension_list(group.limits, extensions)?;
    // An extension that cannot be read would keep every member from committing the proposal.
    external_senders(extensions)?;
    required_capabilities(extensions)?;
    Ok(app_data::check_context_extensions(group, extensions)?)
}

/// The registration of a type beyond RFC 9420's (section 17.4).
fn check_custom(
    group: GroupView<'_>,
    sender: Sender,
    proposal_type: ProposalType,
    body: &Bytes,
) -> Result<(), Error> {
    let known = custom_proposal(group.custom, proposal_type)?;
    // Parse our own body too, so that peers and our stored row read it the same way.
    let mut r = Reader::with_proposals(body, group.custom);
    (known.read)(&mut r)?;
    nothing_left(&r)?;

    if matches!(sender, Sender::External(_)) && !known.rules.external_senders {
        return Err(Rejection::ExternalSenderProposal(proposal_type).into());
    }
    Ok(())
}

/// Section 12.1.4.
fn check_psk(suite: &Suite<'_>, id: &PreSharedKeyId, linking: Linking) -> Result<(), Error> {
    let links = matches!(
        id.psktype,
        PskType::Resumption { usage: ResumptionPskUsage::Reinit | ResumptionPskUsage::Branch, .. }
    );
    if links && linking == Linking::Forbidden {
        return Err(Rejection::PskUsage.into());
    }
    if id.psk_nonce.len() != suite.nh() {
        return Err(Rejection::PskNonceLength.into());
    }
    Ok(())
}
