//! From applied proposals to a signed and tagged commit (section 12.4.1): one pipeline for our own
//! commits and those by which we join.

use crate::commit::epoch::{WelcomeKeys, confirmed_after, next_epoch};
use crate::commit::welcome::GroupInfoMaker;
use crate::error::Error;
use crate::state::exporter::exports;
use crate::validate::apply::Applied;
use crate::validate::list::CheckedList;
use crate::view::GroupView;
use alloc::boxed::Box;
use conclave_crypto::{CryptoRng, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{
    CommitSecret, EpochSecrets, InitSecret, confirmation_tag, external_key_pair,
};
use conclave_tree::{NewPath, StagedTree, seal_path};
use conclave_wire::{
    AuthenticatedContent, Commit, Encode, Extension, GroupContext, HpkePublicKey, LeafIndex, Mac,
    PreSharedKeyId, ProposalOrRef,
};

/// Applied proposals, and our path, if there is one.
pub(crate) struct Draft<'a> {
    pub(crate) list: CheckedList,
    pub(crate) applied: Applied<'a>,
    pub(crate) path: Option<NewPath>,
}

/// What it takes to seal a draft.
pub(crate) struct Inputs<'a> {
    /// The group in the epoch that the commit ends.
    pub(crate) group: GroupView<'a>,
    /// The committer's leaf, in the new tree.
    pub(crate) own_leaf: LeafIndex,
    /// The committer's key pair in the new epoch.
    pub(crate) signer: &'a SignatureKeyPair,
    pub(crate) init: &'a InitSecret,
    /// The PSKs that the commit injects, in its order.
    pub(crate) psks: &'a [(PreSharedKeyId, Secret)],
    /// The application's extensions for GroupInfos.
    pub(crate) group_info_extensions: &'a [Extension],
}

/// A commit, and the epoch that it begins.
pub(crate) struct SealedCommit<'a> {
    pub(crate) list: CheckedList,
    pub(crate) applied: Applied<'a>,
    pub(crate) path: Option<NewPath>,
    /// Signed, with its confirmation tag.
    pub(crate) content: AuthenticatedContent,
    /// The new epoch's context.
    pub(crate) context: GroupContext,
    pub(crate) confirmation_tag: Mac,
    pub(crate) secrets: EpochSecrets,
    pub(crate) welcome: WelcomeKeys,
    /// The key by which others can join the new epoch from outside.
    external_pub: HpkePublicKey,
}

/// Seals a commit. `sign` frames and signs it for the epoch that it ends.
pub(crate) fn seal<'a>(
    suite: &Suite<'_>,
    rng: &mut dyn CryptoRng,
    inputs: &Inputs<'_>,
    draft: Draft<'a>,
    sign: impl FnOnce(Commit) -> Result<AuthenticatedContent, Error>,
) -> Result<SealedCommit<'a>, Error> {
    let Draft { list, mut applied, path } = draft;

    // Section 7.6: encrypt the path secrets, under the provisional GroupContext.
    let mut context = applied.provisional_context(suite, inputs.group)?;
    let update_path = match &path {
        Some(path) => {
            let new_leaves = applied.new_leaves();
            let tree = &applied.tree;
            let me = inputs.own_leaf;
            let provisional = context.to_bytes()?;
            Some(Box::new(seal_path(suite, tree, me, path, &provisional, &new_leaves, rng)?))
        }
        None => None,
    };

    // Section 6.1: sign the commit.
    let proposals = list.iter().map(|item| match &item.reference {
        Some(reference) => ProposalOrRef::Reference(reference.clone()),
        None => ProposalOrRef::Proposal(item.proposal.clone()),
    });
    let mut content = sign(Commit { proposals: proposals.collect(), path: update_path })?;

    // Section 8.2: the signed commit goes into the transcript.
    context.confirmed_transcript_hash =
        confirmed_after(inputs.group, suite, &content.transcript_hash_input())?;

    // Section 8: the key schedule of the new epoch, and the confirmation tag.
    let commit_secret = match &path {
        Some(path) => CommitSecret::from_secret(path.keys.commit_secret.clone()),
        None => CommitSecret::zero(suite),
    };
    let exports = exports(&applied.tree, inputs.own_leaf);
    let (welcome, secrets) =
        next_epoch(suite, inputs.init, &commit_secret, inputs.psks, &context, exports)?;
    let confirmed = &context.confirmed_transcript_hash;
    let confirmation_tag = confirmation_tag(suite, &secrets.confirmation_key, confirmed)?;
    content.auth.confirmation_tag = Some(confirmation_tag.clone());

    let external_pub = external_key_pair(suite, &secrets.external)?.public;
    Ok(SealedCommit {
        list,
        applied,
        path,
        content,
        context,
        confirmation_tag,
        secrets,
        welcome,
        external_pub,
    })
}

impl<'a> SealedCommit<'a> {
    /// Makes GroupInfos of the new epoch (section 12.4.3).
    pub(crate) fn group_info_maker<'s>(
        &'s self,
        suite: &'s Suite<'s>,
        inputs: &'s Inputs<'_>,
    ) -> GroupInfoMaker<'s, StagedTree<'a>> {
        GroupInfoMaker {
            suite,
            context: &self.context,
            tag: &self.confirmation_tag,
            signer: inputs.signer,
            own_leaf: inputs.own_leaf,
            tree: &self.applied.tree,
            external: &self.external_pub,
            limits: inputs.group.limits,
            extensions: inputs.group_info_extensions,
        }
    }
}
