//! The public half of a commit's step, once its transcript hash and confirmation tag are known.

use crate::commit::validate::StagedCommit;
use crate::error::{Error, Rejection};
use crate::event::{EpochChange, Member};
use crate::state::public::{PublicDelta, PublicState};
use crate::store::context_codec::{AppDataChanges, dictionary, differences};
use crate::store::rows::{Batch, RowKey, Table};
use crate::view::epoch::PublicEpoch;
use alloc::vec::Vec;
use conclave_crypto::Suite;
use conclave_schedule::interim_transcript_hash;
use conclave_tree::TreeRead;
use conclave_wire::{LeafIndex, Mac, Sender};

/// The public half of a commit's step.
pub(crate) struct FinishedCommit {
    pub(crate) delta: PublicDelta,
    pub(crate) change: EpochChange,
    /// The leaves that differ in the new tree, with their old encodings.
    pub(crate) replaced_leaves: Vec<(LeafIndex, Option<Vec<u8>>)>,
    /// The components whose data differs in the new epoch, with their old data.
    pub(crate) replaced_data: AppDataChanges,
}

impl PublicState {
    /// Finishes a staged commit that is in the transcript.
    pub(crate) fn finish_commit(
        &self,
        suite: &Suite<'_>,
        staged: StagedCommit<'_>,
        confirmation_tag: Mac,
        sender: Sender,
        batch: &mut Batch,
    ) -> Result<FinishedCommit, Error> {
        let StagedCommit { applied, committer, context } = staged;

        // What the application is told.
        let tree = &applied.tree;
        let member = |leaf: LeafIndex| tree.leaf(leaf).map(|node| Member::of(leaf, &node));
        let mut added: Vec<Member> =
            applied.added.iter().filter_map(|(leaf, _)| member(*leaf)).collect();
        if sender == Sender::NewMemberCommit {
            added.extend(member(committer));
        }
        let change = EpochChange {
            epoch: context.epoch,
            committer: member(committer).ok_or(Rejection::SenderNotMember(committer))?,
            external: sender == Sender::NewMemberCommit,
            added,
            removed: applied.removed.iter().map(|(leaf, node)| Member::of(*leaf, node)).collect(),
            updated: applied.updated.iter().filter_map(|leaf| member(*leaf)).collect(),
            extensions_changed: context.extensions != self.epoch.context.extensions,
            reinit: applied.reinit.clone(),
            left: applied.left,
            ephemeral: applied.ephemeral,
            app_data: applied.app_data,
            custom: applied.custom,
            own: false,
            discarded_own_commit: false,
        };

        // The tree.
        let replaced_leaves = applied.tree.replaced_leaves();
        let tree = applied.tree.into_delta(suite)?;
        for (node, row) in tree.rows() {
            batch.set(RowKey::new(Table::Tree, node.into()), row.as_deref());
        }

        // The data of components.
        let replaced_data = differences(&self.epoch.context.extensions, &context.extensions)?;
        if !replaced_data.is_empty() {
            let new = dictionary(&context.extensions)?;
            for component in replaced_data.keys() {
                let key = RowKey::new(Table::AppData, component.0.into());
                batch.set(key, new.get(component).map(|data| &**data));
            }
        }

        // The epoch's header, the policy's name, and the proposals, which all end with their epoch.
        let policy = self.config.policy.id();
        if policy != self.epoch.policy {
            batch.set(RowKey::new(Table::Policy, 0), (!policy.is_empty()).then_some(&*policy));
        }
        for place in self.proposals.places() {
            batch.delete(RowKey::new(Table::Proposal, place));
        }
        let confirmed = &context.confirmed_transcript_hash;
        let interim = interim_transcript_hash(suite, confirmed, &confirmation_tag)?;
        let delta = PublicDelta {
            epoch: Some(PublicEpoch {
                context,
                interim_transcript_hash: interim.to_vec().into(),
                confirmation_tag,
                reinit: applied.reinit,
                policy,
            }),
            tree: Some(tree),
            proposals: self.proposals.places().map(|place| (place, None)).collect(),
        };
        Ok(FinishedCommit { delta, change, replaced_leaves, replaced_data })
    }
}
