//! From a valid commit to the next epoch (section 12.4.2, steps 9 to 12): the half that needs
//! secrets, for received commits and for our own.

use crate::commit::epoch::next_epoch;
use crate::commit::validate::{StagedCommit, validate_commit};
use crate::error::{Error, Misuse, Rejection};
use crate::event::Committed;
use crate::state::exporter::{self, ExporterChange};
use crate::state::group::{CurrentSecrets, Delta, Group, PastEpoch, SecretTreeChange};
use crate::state::pending::{OwnPath, PendingUpdate};
use crate::state::stored::{header_row, past_epoch_row, past_value_row, put_secret_tree_rows};
use crate::store::context_codec::AppDataChanges;
use crate::store::rows::{Batch, RowKey, Table};
use crate::transition::Change;
use crate::validate::list::{CheckedList, Origin};
use crate::view::proposals::ListedProposal;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{
    ApplicationExportSecret, CommitSecret, EpochSecrets, ExporterTree, ResumptionPsk, SecretTree,
    confirmation_tag_matches, external_init_from, external_key_pair,
};
use conclave_tree::{TreeError, TreeRead, open_path};
use conclave_wire::{
    AuthenticatedCommit, Encode, Epoch, LeafIndex, NodeIndex, PreSharedKeyId, Proposal, PskType,
    Sender, UnixTime, UpdatePath,
};

/// The source of the secrets of a commit's path.
#[derive(Clone, Copy)]
pub(crate) enum PathSource<'a> {
    /// They are encrypted to us.
    Received,
    /// We made them.
    Own(Option<&'a OwnPath>),
}

/// The secrets of a path, as far as we know them.
struct Path {
    commit_secret: CommitSecret,
    keys: Vec<(NodeIndex, HpkePrivateKey)>,
}

/// A verified commit whose PSKs are known.
pub(crate) struct Incoming<'a> {
    pub(crate) now: UnixTime,
    pub(crate) content: &'a AuthenticatedCommit,
    /// Its proposals.
    pub(crate) list: &'a CheckedList,
    pub(crate) source: PathSource<'a>,
    /// The PSKs that it injects, in its order.
    pub(crate) psks: &'a [(PreSharedKeyId, Secret)],
}

/// The next epoch, once its confirmation tag has been found to match.
struct Confirmed<'a> {
    staged: StagedCommit<'a>,
    epoch: EpochSecrets,
    /// The private keys that we learned or made.
    keys: Vec<(NodeIndex, HpkePrivateKey)>,
    /// Our signature key pair, if it changes.
    signer: Option<&'a SignatureKeyPair>,
}

/// What differs in the next epoch, as it was in the one that ends.
struct Replaced {
    leaves: Vec<(LeafIndex, Option<Vec<u8>>)>,
    app_data: AppDataChanges,
}

/// What a commit leads to.
pub(crate) struct Advance {
    pub(crate) delta: Delta,
    pub(crate) batch: Batch,
    pub(crate) outcome: Committed,
}

/// PSKs that the application provides, by their identifiers.
pub type ProvidedPsks = [(PskType, Secret)];

impl Group {
    /// Looks PSKs up: resumption PSKs of this group in its epochs, all others among those provided.
    pub(crate) fn psk_lookup<'a>(
        &'a self,
        provided: &'a ProvidedPsks,
    ) -> impl Fn(&PreSharedKeyId) -> Option<&'a Secret> {
        let given: BTreeMap<&PskType, &Secret> =
            provided.iter().map(|(kind, psk)| (kind, psk)).collect();
        move |id| {
            let own = match &id.psktype {
                PskType::Resumption { psk_group_id, psk_epoch, .. }
                    if psk_group_id == self.group_id() =>
                {
                    self.resumption_psk(*psk_epoch).map(ResumptionPsk::as_secret)
                }
                PskType::Resumption { .. }
                | PskType::External { .. }
                | PskType::Application { .. } => None,
            };
            own.or_else(|| given.get(&id.psktype).copied())
        }
    }

    /// The values of a list of PSKs (section 12.4.2, step 5).
    pub(crate) fn psk_values(
        &self,
        ids: &[PreSharedKeyId],
        provided: &ProvidedPsks,
    ) -> Result<Vec<(PreSharedKeyId, Secret)>, Error> {
        let known = self.psk_lookup(provided);
        let find = |id: &PreSharedKeyId| match known(id) {
            Some(psk) => Ok((id.clone(), psk.clone())),
            None => Err(Error::from(Misuse::PskUnavailable(Box::new(id.clone())))),
        };
        ids.iter().map(find).collect()
    }

    /// The step that a verified commit makes.
    pub(crate) fn advance(
        &self,
        suite: &Suite<'_>,
        incoming: &Incoming<'_>,
    ) -> Result<Advance, Error> {
        let secrets = self.active()?;
        let Incoming { content, list, .. } = *incoming;
        let sender = content.content.sender;
        let path = content.content.commit.path.as_deref();
        let origin = match incoming.source {
            PathSource::Received => Origin::Received,
            PathSource::Own(_) => Origin::Own,
        };
        let policy = &*self.config().policy;
        let mut staged = validate_commit(self.view(), policy, suite, sender, list, path, origin)?;

        if staged.applied.removed.iter().any(|(leaf, _)| *leaf == self.own_leaf) {
            return self.removal(suite, staged, content);
        }

        // Steps 8 and 9: the path secrets, and the init secret that they meet.
        let update = self.committed_update(list);
        let mut path = self.path_secrets(suite, &staged, path, &incoming.source, update)?;
        let init = match &staged.applied.external_init {
            Some(kem_output) => {
                let external = external_key_pair(suite, &secrets.external)?;
                external_init_from(suite, &external, kem_output)
                    .map_err(|e| Error::of_input(e, Rejection::ExternalInitOpen))?
            }
            None => secrets.init.clone(),
        };

        // Steps 10 to 12: transcript, key schedule, confirmation tag.
        staged.enter_transcript(self.view(), suite, content)?;
        let context = &staged.context;
        let exports = exporter::exports(&staged.applied.tree, self.own_leaf);
        let commit_secret = &path.commit_secret;
        let epoch = next_epoch(suite, &init, commit_secret, incoming.psks, context, exports)?.1;
        let key = &epoch.confirmation_key;
        let confirmed = &context.confirmed_transcript_hash;
        if !confirmation_tag_matches(suite, key, confirmed, &content.confirmation_tag)? {
            return Err(Rejection::ConfirmationTag.into());
        }

        let signer = match incoming.source {
            PathSource::Own(path) => path.and_then(|path| path.signer.as_ref()),
            PathSource::Received => update.and_then(|update| update.signer.as_ref()),
        };
        if let Some(update) = update {
            path.keys.push((self.own_leaf.node(), update.leaf_key.clone()));
        }
        let keys = path.keys;
        self.enter(suite, incoming, Confirmed { staged, epoch, keys, signer })
    }

    /// Decrypts the path, or takes the secrets of our own.
    fn path_secrets(
        &self,
        suite: &Suite<'_>,
        staged: &StagedCommit<'_>,
        path: Option<&UpdatePath>,
        source: &PathSource<'_>,
        update: Option<&PendingUpdate>,
    ) -> Result<Path, Error> {
        match (path, source) {
            (None, _) => Ok(Path { commit_secret: CommitSecret::zero(suite), keys: Vec::new() }),
            (Some(_), PathSource::Own(Some(own))) => {
                let mut keys = own.keys.clone();
                keys.push((self.own_leaf.node(), own.leaf_key.clone()));
                let commit_secret = CommitSecret::from_secret(own.commit_secret.clone());
                Ok(Path { commit_secret, keys })
            }
            (Some(_), PathSource::Own(None)) => {
                Err(Error::storage("the pending commit lacks its path's secrets"))
            }
            (Some(path), PathSource::Received) => {
                let context = staged.context.to_bytes()?;
                // If the commit takes our Update, the path is encrypted to the Update's key.
                let known = |node: NodeIndex| match update {
                    Some(update) if node == self.own_leaf.node() => Some(update.leaf_key.clone()),
                    _ => self.private_keys.get(&node).cloned(),
                };
                let tree = &staged.applied.tree;
                let sender = staged.committer;
                let me = self.own_leaf;
                let new = &staged.applied.new_leaves();
                let opened = open_path(suite, tree, sender, me, &known, path, &context, new)
                    .map_err(path_error)?;

                Ok(Path {
                    commit_secret: CommitSecret::from_secret(opened.commit_secret),
                    keys: opened.keys,
                })
            }
        }
    }

    /// The private keys of our Update that a list commits.
    fn committed_update(&self, list: &[ListedProposal]) -> Option<&PendingUpdate> {
        let mine = list.iter().find(|item| {
            item.sender == Sender::Member(self.own_leaf)
                && matches!(item.proposal, Proposal::Update(_))
        });
        let (place, _) = self.public.proposals.find(mine?.reference.as_ref()?)?;
        self.pending_updates.get(&place)
    }

    /// The step into a new epoch whose confirmation tag matches.
    fn enter(
        &self,
        suite: &Suite<'_>,
        incoming: &Incoming<'_>,
        confirmed: Confirmed<'_>,
    ) -> Result<Advance, Error> {
        let mut batch = self.batch();
        let mut delta = Delta::default();
        let Confirmed { staged, epoch, keys, signer } = confirmed;
        let AuthenticatedCommit { content, confirmation_tag: tag, .. } = incoming.content;

        // The public half, and the private keys of its tree.
        self.renew_private_keys(&staged.applied.tree, keys, &mut delta, &mut batch);
        let finished =
            self.public.finish_commit(suite, staged, tag.clone(), content.sender, &mut batch)?;
        let mut change = finished.change;
        change.own = matches!(incoming.source, PathSource::Own(_));
        let pending = self.pending_commit.as_deref();
        change.discarded_own_commit =
            pending.is_some_and(|own| own.content.confirmation_tag != *tag);
        delta.public = finished.delta;

        // The epoch that ends becomes a past one, and what waited in it is gone.
        let replaced =
            Replaced { leaves: finished.replaced_leaves, app_data: finished.replaced_data };
        self.retire(suite, incoming.now, replaced, &mut delta, &mut batch)?;
        for place in self.pending_updates.keys() {
            delta.pending_updates.insert(*place, None);
            batch.delete(RowKey::new(Table::PendingUpdate, *place));
        }
        if self.pending_commit.is_some() {
            delta.pending_commit = Change::Remove;
            batch.delete(RowKey::new(Table::PendingCommit, 0));
        }

        // The secrets of the new epoch.
        delta.signer = signer.cloned();
        let (secrets, encryption, export) = CurrentSecrets::split(epoch);
        let size = delta.public.tree.as_ref().map_or(self.public.tree.size(), |t| t.size());
        let mut tree = SecretTree::new(size, encryption);
        self.enter_with_checkpoints(suite, &mut tree, &mut delta, &mut batch)?;
        let rows = tree.rows().into_iter().map(|(row, secret)| (row, Some(secret)));
        put_secret_tree_rows(change.epoch, rows, &mut batch);
        delta.secret_trees.insert(change.epoch, SecretTreeChange::Whole(Some(tree)));
        self.renew_exporter(change.epoch, export, &mut delta, &mut batch);
        if let Some(public) = &delta.public.epoch {
            let signer = signer.unwrap_or(&self.signer);
            let header = header_row(public, self.own_leaf, size, signer, &secrets)?;
            batch.put(RowKey::new(Table::Header, 0), header.expose());
        }
        delta.secrets = Change::Set(Box::new(secrets));

        Ok(Advance { delta, batch, outcome: Committed::Epoch(change) })
    }

    /// Replaces what components can export.
    fn renew_exporter(
        &self,
        epoch: Epoch,
        export: Option<ApplicationExportSecret>,
        delta: &mut Delta,
        batch: &mut Batch,
    ) {
        if let Some(old) = &self.exporter {
            exporter::delete_rows(self.epoch(), old, batch);
        }
        let new = export.map(ExporterTree::new);
        if let Some(new) = &new {
            exporter::put_rows(epoch, new, batch);
        }
        delta.exporter = ExporterChange::Whole(new);
    }

    /// Replaces the private keys of the nodes that changed: by the new ones that we learned, or by
    /// none.
    fn renew_private_keys(
        &self,
        tree: &impl TreeRead,
        keys: Vec<(NodeIndex, HpkePrivateKey)>,
        delta: &mut Delta,
        batch: &mut Batch,
    ) {
        for node in self.private_keys.keys() {
            let old = self.public.tree.encryption_key(*node);
            if !tree.size().has_node(*node) || tree.encryption_key(*node) != old {
                delta.private_keys.insert(*node, None);
            }
        }
        for (node, key) in keys {
            delta.private_keys.insert(node, Some(key));
        }
        for (node, key) in &delta.private_keys {
            let row = key.as_ref().map(|key| key.0.expose());
            batch.set(RowKey::new(Table::PrivateKey, node.0.into()), row);
        }
    }

    /// Makes the current epoch a past one, and drops past epochs that are over the limits.
    fn retire(
        &self,
        suite: &Suite<'_>,
        now: UnixTime,
        replaced: Replaced,
        delta: &mut Delta,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let secrets = self.secrets()?;
        let epoch = self.epoch();
        let keep = self.limits().past_epochs > 0;
        self.expire(now, keep, delta, batch);

        if !keep {
            self.targeted_read.forget(epoch, &mut delta.targeted_read);
            delta.secret_trees.insert(epoch, SecretTreeChange::Whole(None));
            batch.deleted_epochs.insert(epoch.0);
            return Ok(());
        }

        let past = PastEpoch {
            context: self.context().clone(),
            sender_data: secrets.sender_data.clone(),
            resumption_psk: secrets.resumption_psk.clone(),
            tree_size: self.public.tree.size(),
            ended: now.as_secs(),
            leaves: replaced
                .leaves
                .into_iter()
                .map(|(leaf, old)| (leaf, old.map(Into::into)))
                .collect(),
            targeted: self.targeted_keys_to_keep(suite)?,
        };
        batch.put(
            RowKey::of_epoch(Table::PastEpoch, epoch.0, 0),
            past_epoch_row(&past, replaced.app_data.len())?.expose(),
        );
        for (leaf, old) in &past.leaves {
            let key = RowKey::of_epoch(Table::PastLeaf, epoch.0, leaf.0.into());
            batch.put(key, past_value_row(old.as_deref())?.expose());
        }
        for (component, old) in &replaced.app_data {
            let key = RowKey::of_epoch(Table::PastAppData, epoch.0, component.0.into());
            batch.put(key, past_value_row(old.as_deref())?.expose());
        }
        if let Some(keys) = &past.targeted {
            let key = RowKey::of_epoch(Table::TargetedKeys, epoch.0, 0);
            batch.put(key, keys.to_row()?.expose());
        }
        delta.past.insert(epoch, Some(past));
        Ok(())
    }

    /// The step of a commit that removes us. It changes nothing: the confirmation tag belongs to an
    /// epoch whose secrets a removed member cannot know, so the others may refuse the commit.
    fn removal(
        &self,
        suite: &Suite<'_>,
        mut staged: StagedCommit<'_>,
        commit: &AuthenticatedCommit,
    ) -> Result<Advance, Error> {
        staged.enter_transcript(self.view(), suite, commit)?;
        let AuthenticatedCommit { content, confirmation_tag: tag, .. } = commit;
        let mut unused = self.batch();
        let finished =
            self.public.finish_commit(suite, staged, tag.clone(), content.sender, &mut unused)?;

        let outcome = Committed::Removal(finished.change);
        Ok(Advance { delta: Delta::default(), batch: self.batch(), outcome })
    }
}

#[allow(clippy::wildcard_enum_match_arm)]
fn path_error(error: TreeError) -> Error {
    match error {
        TreeError::Crypto(e) => Error::of_input(e, Rejection::PathOpen),
        other => other.into(),
    }
}
