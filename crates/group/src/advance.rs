//! From a checked commit to the next epoch: the secret half that creating, receiving and joining
//! share (sections 8 and 12.4.2).

use crate::error::{Error, Misuse, Rejection};
use crate::event::Event;
use crate::pending::{OwnPath, PendingUpdate};
use crate::proposals::{CheckedList, ListedProposal, Origin};
use crate::public::StagedCommit;
use crate::rows::{Batch, RowKey, Table};
use crate::state::{CurrentSecrets, Delta, Group, PastEpoch, SecretTreeChange};
use crate::stored::{header_row, past_epoch_row, past_leaf_row, put_secret_tree_rows};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use conclave_crypto::{HpkePrivateKey, Secret, SignatureKeyPair, Suite};
use conclave_schedule::{
    CommitSecret, EpochSecrets, InitSecret, JoinerSecret, MemberSecret, ResumptionPsk, SecretTree,
    confirmation_tag_matches, external_init_from, external_key_pair, psk_secret,
};
use conclave_tree::{TreeError, TreeRead, open_path};
use conclave_wire::{
    AuthenticatedCommit, Encode, GroupContext, LeafIndex, Mac, NodeIndex, PreSharedKeyId, Proposal,
    PskType, Sender, UpdatePath,
};

/// Where the secrets of a commit's path come from.
#[derive(Clone, Copy)]
pub(crate) enum PathSource<'a> {
    /// They are encrypted to this member.
    Received,
    /// This member made them.
    Own(Option<&'a OwnPath>),
}

/// The secrets of a path, as one member knows them.
struct Path {
    commit_secret: CommitSecret,
    keys: Vec<(NodeIndex, HpkePrivateKey)>,
}

/// A commit that is verified and whose PSKs are known.
pub(crate) struct Incoming<'a> {
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) content: &'a AuthenticatedCommit,
    /// Its proposals.
    pub(crate) list: &'a CheckedList,
    pub(crate) source: PathSource<'a>,
    /// The PSKs that it injects, in its order.
    pub(crate) psks: &'a [(PreSharedKeyId, Secret)],
}

/// What is known of the next epoch once its confirmation tag was found to match.
struct Confirmed<'a> {
    staged: StagedCommit<'a>,
    context: GroupContext,
    tag: Mac,
    epoch: EpochSecrets,
    /// The private keys that this member learnt or made.
    keys: Vec<(NodeIndex, HpkePrivateKey)>,
    /// The own signature key pair, if it changes.
    signer: Option<&'a SignatureKeyPair>,
}

/// What a commit leads to.
pub(crate) struct Advance {
    pub(crate) delta: Delta,
    pub(crate) batch: Batch,
    pub(crate) event: Event,
}

/// PSKs that the application provides, by where they come from.
pub type ProvidedPsks = [(PskType, Secret)];

impl Group {
    /// Finds PSKs: the group's own resumption PSKs, the rest as provided.
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
                _ => None,
            };
            own.or_else(|| given.get(&id.psktype).copied())
        }
    }

    /// The values of a list of PSKs.
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
        let staged = self.public.stage_commit(suite, sender, list, path, origin)?;
        if staged.applied.removed.iter().any(|(leaf, _)| *leaf == self.own_leaf) {
            return self.removal(suite, staged, content, sender);
        }
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
        let mut context = staged.provisional.clone();
        context.confirmed_transcript_hash =
            self.public.confirmed_after(suite, &content.transcript_hash_input())?;
        let psks = incoming.psks;
        let epoch = next_epoch(suite, &init, &path.commit_secret, psks, &context)?.1;
        let tag = content.confirmation_tag.clone();
        let confirmed = &context.confirmed_transcript_hash;
        if !confirmation_tag_matches(suite, &epoch.confirmation_key, confirmed, &tag)? {
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
        self.enter(suite, incoming, Confirmed { staged, context, tag, epoch, keys, signer })
    }

    /// Opens the path, or takes its secrets from where they are.
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
                let context = staged.provisional.to_bytes()?;
                let known = |node: NodeIndex| match update {
                    Some(update) if node == self.own_leaf.node() => Some(update.leaf_key.clone()),
                    _ => self.private_keys.get(&node).cloned(),
                };
                let tree = &staged.applied.tree;
                let (sender, me) = (staged.committer, self.own_leaf);
                let new = &staged.new_leaves;
                let opened = open_path(suite, tree, sender, me, &known, path, &context, new)
                    .map_err(|e| match e {
                        TreeError::Crypto(e) => Error::of_input(e, Rejection::PathOpen),
                        other => other.into(),
                    })?;
                Ok(Path {
                    commit_secret: CommitSecret::from_secret(opened.commit_secret),
                    keys: opened.keys,
                })
            }
        }
    }

    /// The private keys of the own Update that a list commits.
    fn committed_update(&self, list: &[ListedProposal]) -> Option<&PendingUpdate> {
        let mine = list.iter().find(|item| {
            item.sender == Sender::Member(self.own_leaf)
                && matches!(item.proposal, Proposal::Update(_))
        });
        let (place, _) = self.public.proposals.find(mine?.reference.as_ref()?)?;
        self.pending_updates.get(&place)
    }

    /// The step into a new epoch whose secrets are confirmed.
    fn enter(
        &self,
        suite: &Suite<'_>,
        incoming: &Incoming<'_>,
        confirmed: Confirmed<'_>,
    ) -> Result<Advance, Error> {
        let mut batch = self.batch();
        let mut delta = Delta::default();
        let Confirmed { staged, context, tag, epoch, keys, signer } = confirmed;
        let sender = incoming.content.content.sender;
        self.renew_private_keys(&staged.applied.tree, keys, &mut delta, &mut batch);
        let finished =
            self.public.finish_commit(suite, staged, context, tag, sender, &mut batch)?;
        let mut change = finished.change;
        change.own = matches!(incoming.source, PathSource::Own(_));
        change.discarded_own_commit = !change.own && self.pending_commit.is_some();
        delta.public = finished.delta;
        self.retire(incoming.now, finished.replaced_leaves, &mut delta, &mut batch)?;
        for place in self.pending_updates.keys() {
            delta.pending_updates.insert(*place, None);
            batch.delete(RowKey::new(Table::PendingUpdate, *place));
        }
        if self.pending_commit.is_some() {
            delta.pending_commit = Some(None);
            batch.delete(RowKey::new(Table::PendingCommit, 0));
        }
        delta.signer = signer.cloned();
        let (secrets, encryption) = CurrentSecrets::split(epoch);
        let size = delta.public.tree.as_ref().map_or(self.public.tree.size(), |t| t.size());
        let tree = SecretTree::new(size, encryption);
        let rows = tree.rows().into_iter().map(|(row, secret)| (row, Some(secret)));
        put_secret_tree_rows(change.epoch, rows, &mut batch);
        delta.secret_trees.insert(change.epoch, SecretTreeChange::Whole(Some(tree)));
        if let Some(public) = &delta.public.epoch {
            let signer = signer.unwrap_or(&self.signer);
            let header = header_row(public, self.own_leaf, size, signer, &secrets)?;
            batch.put(RowKey::new(Table::Header, 0), header.expose());
        }
        delta.secrets = Some(Some(Box::new(secrets)));
        Ok(Advance { delta, batch, event: Event::Epoch(change) })
    }

    /// Replaces the private keys of the nodes that changed: new ones for those that this member
    /// learnt, none for those whose key it no longer knows.
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

    /// Makes the current epoch a past one, and forgets those that are over the limits.
    fn retire(
        &self,
        now: u64,
        replaced: Vec<(LeafIndex, Option<Vec<u8>>)>,
        delta: &mut Delta,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let secrets = self.secrets()?;
        let epoch = self.epoch();
        let keep = self.limits().past_epochs > 0;
        self.expire(now, keep, delta, batch);
        if !keep {
            delta.secret_trees.insert(epoch, SecretTreeChange::Whole(None));
            batch.deleted_epochs.insert(epoch.0);
            return Ok(());
        }
        let past = PastEpoch {
            context: self.context().clone(),
            sender_data: secrets.sender_data.clone(),
            resumption_psk: secrets.resumption_psk.clone(),
            tree_size: self.public.tree.size(),
            ended: now,
            leaves: replaced.into_iter().map(|(leaf, old)| (leaf, old.map(Into::into))).collect(),
        };
        batch.put(RowKey::of_epoch(Table::PastEpoch, epoch.0, 0), past_epoch_row(&past)?.expose());
        for (leaf, old) in &past.leaves {
            let key = RowKey::of_epoch(Table::PastLeaf, epoch.0, leaf.0.into());
            batch.put(key, past_leaf_row(old.as_deref())?.expose());
        }
        delta.past.insert(epoch, Some(past));
        Ok(())
    }

    /// The step of a commit that removes this member. It changes nothing: the confirmation tag is of
    /// an epoch whose secrets a removed member cannot know, so that the others may refuse the commit.
    fn removal(
        &self,
        suite: &Suite<'_>,
        staged: StagedCommit<'_>,
        content: &AuthenticatedCommit,
        sender: Sender,
    ) -> Result<Advance, Error> {
        let mut context = staged.provisional.clone();
        context.confirmed_transcript_hash =
            self.public.confirmed_after(suite, &content.transcript_hash_input())?;
        let tag = content.confirmation_tag.clone();
        let mut unused = self.batch();
        let finished =
            self.public.finish_commit(suite, staged, context, tag, sender, &mut unused)?;

        let event = Event::Removal(finished.change);
        Ok(Advance { delta: Delta::default(), batch: self.batch(), event })
    }
}

/// The key schedule's step (section 8): what a Welcome takes from it, and the epoch's secrets.
pub(crate) fn next_epoch(
    suite: &Suite<'_>,
    init: &InitSecret,
    commit: &CommitSecret,
    psks: &[(PreSharedKeyId, Secret)],
    context: &GroupContext,
) -> Result<(WelcomeKeys, EpochSecrets), Error> {
    let context = context.to_bytes()?;
    let joiner = JoinerSecret::derive(suite, init, commit, &context)?;
    let member = MemberSecret::derive(suite, &joiner, &psk_secret(suite, psks)?)?;
    let (key, nonce) = member.welcome_key(suite)?;
    Ok((WelcomeKeys { joiner, key, nonce }, member.epoch(suite, &context)?))
}

/// What a Welcome is encrypted with.
pub(crate) struct WelcomeKeys {
    pub(crate) joiner: JoinerSecret,
    pub(crate) key: Secret,
    pub(crate) nonce: Secret,
}
