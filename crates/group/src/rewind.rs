//! Going back to an earlier epoch, for applications in which no service puts commits into one order.

use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse};
use crate::event::{CommitId, Event};
use crate::state::checkpoints::{
    Checkpoints, EpochName, Generations, Own, OwnProposal, copied_rows, copy_rows,
};
use crate::state::group::{CurrentSecrets, Delta, Group};
use crate::state::pending::PendingCommit;
use crate::state::stored::count;
use crate::store::row_codec::Ledger;
use crate::store::rows::Batch;
use crate::transition::Transition;
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, Secret, Suite};
use conclave_schedule::{RatchetKind, SecretTree};
use conclave_wire::Epoch;

/// # Rewinding
///
/// MLS wants one commit for each epoch, the same for all members. Most applications have a delivery service
/// that sees to it, and need none of this. Where there is none, members may follow different commits until
/// they have seen the same messages. Then a rule of the application's says which commits count, and a member
/// that followed others goes back and takes that branch.
impl Group {
    /// The step that takes a checkpoint: a copy of the current epoch, to [go back](Self::rewind) to. Take it
    /// when an epoch begins and another branch may yet win, and [drop](Self::drop_checkpoint) it when none
    /// can. It replaces an earlier one of the same epoch; if there are then more than
    /// [`Limits::checkpoints`](crate::Limits::checkpoints), the oldest goes.
    ///
    /// **A checkpoint gives up forward secrecy** (section 9.2): as long as it is there, anybody who learns the
    /// stored state can read the messages of its epoch and of all later ones, even those that we have read
    /// already. It is as large as the stored group without its past epochs.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::{Answers, Committed};
    ///
    /// for member in [&mut alice, &mut bob] {
    ///     let step = member.checkpoint()?;
    ///     apply(member, step, |write| store.write(write))?;
    /// }
    ///
    /// // They commit at once, and nobody orders the commits. Alice goes on with her own.
    /// let step = alice.commit(&provider, &mut rng, now, Default::default())?;
    /// let hers = apply(&mut alice, step, |write| store.write(write))?;
    /// let step = alice.commit_accepted(&provider, now, &hers.id)?;
    /// apply(&mut alice, step, |write| store.write(write))?;
    /// let step = bob.commit(&provider, &mut rng, now, Default::default())?;
    /// let his = apply(&mut bob, step, |write| store.write(write))?;
    ///
    /// // By the rule of the application his counts: she goes back, and follows him.
    /// # let epoch = bob.epoch();
    /// let step = alice.rewind(&provider, epoch)?;
    /// apply(&mut alice, step, |write| store.write(write))?;
    /// let Ok(Received::Commit(stage)) = alice.process(&provider, now, &his.commit) else { panic!() };
    /// let step = stage.resolve(&alice, &provider, now, &Answers::default()).map_err(|r| r.error)?;
    /// assert!(matches!(apply(&mut alice, step, |write| store.write(write))?, Committed::Epoch(_)));
    ///
    /// // Had it been hers, her own message would have led her there again.
    /// let step = alice.rewind(&provider, epoch)?;
    /// apply(&mut alice, step, |write| store.write(write))?;
    /// let Ok(Received::OwnCommit(step)) = alice.process(&provider, now, &hers.commit) else { panic!() };
    /// apply(&mut alice, step, |write| store.write(write))?;
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the group was deleted or closed, or [`Limits::checkpoints`](crate::Limits::checkpoints) is 0.
    pub fn checkpoint(&self) -> Result<Transition<Self>, Error> {
        let secrets = self.active()?;
        if self.limits().checkpoints == 0 {
            return Err(Misuse::NotPossible(Obstacle::EpochNotKept).into());
        }

        let copy = self.copy_of_epoch(secrets)?;
        let epoch = self.epoch();
        let name = EpochName::of(self.context());
        let mut delta = Delta::default();
        let mut batch = self.batch();
        self.change_checkpoints(epoch, &mut delta, &mut batch, |checkpoints| {
            checkpoints.add(epoch, copy);
            let known = |id: &CommitId| self.recorded_commits().any(|own| own.messages.id == *id);
            let pending = self.pending_commit.as_deref();
            if let Some(pending) = pending.filter(|pending| !known(&pending.messages.id)) {
                checkpoints.record(name, Own::commit(pending));
            }
        })?;
        Ok(self.silent_step(delta, batch, Event::Checkpoint(epoch)))
    }

    /// The epochs with a checkpoint, in ascending order.
    pub fn checkpoints(&self) -> impl Iterator<Item = Epoch> {
        self.checkpoints.epochs()
    }

    /// The step that drops a checkpoint. If it is the oldest, the records that only it needed are deleted, too.
    ///
    /// # Errors
    /// [`Misuse::NotPossible`] if there is none of this epoch.
    pub fn drop_checkpoint(&self, epoch: Epoch) -> Result<Transition<Self>, Error> {
        self.secrets()?;
        if self.checkpoints.copy_of(epoch).is_none() {
            return Err(Misuse::NotPossible(Obstacle::EpochNotKept).into());
        }

        let mut delta = Delta::default();
        let mut batch = self.batch();
        self.change_checkpoints(self.epoch(), &mut delta, &mut batch, |checkpoints| {
            checkpoints.remove(epoch);
        })?;
        Ok(self.silent_step(delta, batch, Event::Discarded))
    }

    /// The step that takes the group back to a checkpoint. Tree, secrets, received proposals and keys are as
    /// they were when it was taken, apart from what follows. The checkpoint stays, within
    /// [`Limits::checkpoint_records`](crate::Limits::checkpoint_records); those after it belong to the branch
    /// that we leave, and are dropped.
    ///
    /// * **No key is used twice.** Our own ratchets never go back, neither in the checkpoint's epoch nor in
    ///   one that is entered again. The others skip the generations in between, as far as their
    ///   [`RatchetLimits`](crate::RatchetLimits) allow.
    /// * **What others sent can be received again**: commits and proposals, which it takes to follow another
    ///   branch, and also the application's messages of these epochs. The application knows those that it
    ///   has by their bytes, and drops them.
    /// * **Our own commits and proposals** of these epochs can be processed, from the messages that were sent:
    ///   as [`Received::OwnCommit`](crate::Received::OwnCommit) and
    ///   [`Received::OwnProposal`](crate::Received::OwnProposal), or by [`Self::commit_accepted`]. That
    ///   includes a commit that was pending or given up. After the step none is pending.
    /// * **Past epochs** before the checkpoint are kept as they are now.
    /// * What the application has derived or exported in an epoch that is left is the application's to
    ///   forget. A secret of a component can be exported again.
    ///
    /// An external commit of ours begins our membership: there is nothing before it to go back to. A group
    /// that was closed by a ReInit is open again in its earlier epochs. A commit that removes us changes
    /// nothing (see [`Committed::Removal`](crate::Committed::Removal)), so it takes no rewind; deleting the
    /// group deletes its checkpoints.
    ///
    /// The step writes the group anew: as many rows as its state has.
    ///
    /// # Errors
    /// [`Misuse::NotPossible`] if there is no checkpoint of this epoch; [`Misuse::OtherPolicy`] if it was
    /// taken under another policy, see [`Config::adopt_policy`](crate::Config::adopt_policy).
    pub fn rewind(
        &self,
        provider: &dyn CryptoProvider,
        epoch: Epoch,
    ) -> Result<Transition<Self>, Error> {
        self.secrets()?;
        let suite = self.suite(provider)?;
        let copy = self.checkpoints.copy_of(epoch);
        let copy = copy.ok_or(Misuse::NotPossible(Obstacle::EpochNotKept))?;
        let rows = copied_rows(copy.expose())
            .map(|row| row.map(|(key, row)| (key, Secret::copy_from(row))))
            .collect::<Result<Vec<_>, Error>>()?;
        let mut group = Self::load(provider, self.config().clone(), rows)?;
        if (group.group_id(), group.epoch()) != (self.group_id(), epoch) {
            return Err(Error::storage("the checkpoint is of another group or epoch"));
        }

        // All branches have the epochs before the checkpoint in common.
        for (past, kept) in self.past.range(..epoch) {
            group.past.insert(*past, kept.clone());
            let tree = self.secret_trees.get(past);
            group.secret_trees.extend(tree.map(|tree| (*past, tree.clone())));
        }
        group.targeted_read.extend_before(epoch, &self.targeted_read);

        group.checkpoints = self.checkpoints.clone();
        group.checkpoints.record_generations(EpochName::of(self.context()), self.reached()?);
        group.checkpoints.remove_after(epoch);
        group.checkpoints.settle(epoch, self.limits());
        if let Some(mut tree) = group.secret_trees.remove(&epoch) {
            let leaf = group.own_leaf;
            group.checkpoints.pass_used(&suite, leaf, group.context(), &mut tree)?;
            group.secret_trees.insert(epoch, tree);
        }

        let batch = group.rows()?;
        let delta = Delta { rewound: Some(Box::new(group)), ..Delta::default() };
        Ok(self.silent_step(delta, batch, Event::Rewound(epoch)))
    }
}

impl Group {
    /// The rows of the current epoch, as one value.
    fn copy_of_epoch(&self, secrets: &CurrentSecrets) -> Result<Secret, Error> {
        let mut batch = self.batch();
        self.put_current_rows(secrets, &mut batch)?;
        let ledger = Ledger {
            past_epochs: 0,
            targeted_keys: 0,
            targeted_read: count(self.targeted_read.count(self.epoch())),
            checkpoints: 0,
            own_records: 0,
            single: false,
            ..self.ledger()
        };
        ledger.put(&mut batch);
        copy_rows(&batch)
    }

    /// Changes the checkpoints, in the delta and the batch. `current` is the epoch after the step.
    fn change_checkpoints(
        &self,
        current: Epoch,
        delta: &mut Delta,
        batch: &mut Batch,
        change: impl FnOnce(&mut Checkpoints),
    ) -> Result<(), Error> {
        let mut new = self.checkpoints.clone();
        change(&mut new);
        new.settle(current, self.limits());
        self.checkpoints.put_changes(&new, batch)?;
        delta.checkpoints = Some(new);
        Ok(())
    }

    /// Records something of our own, if there is a checkpoint.
    pub(crate) fn record_own(
        &self,
        own: impl FnOnce() -> Own,
        delta: &mut Delta,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        if self.checkpoints.epochs().next().is_none() {
            return Ok(());
        }
        let name = EpochName::of(self.context());
        self.change_checkpoints(self.epoch(), delta, batch, |new| new.record(name, own()))
    }

    /// How far our ratchets are in the current epoch.
    fn reached(&self) -> Result<Generations, Error> {
        let tree = self.secret_trees.get(&self.epoch());
        let tree = tree.ok_or_else(|| Error::storage("the secret tree is missing"))?;
        Ok(Generations {
            handshake: tree.next_generation(self.own_leaf, RatchetKind::Handshake),
            application: tree.next_generation(self.own_leaf, RatchetKind::Application),
        })
    }

    /// Moves our ratchets in `tree`, the secret tree of the epoch that the delta begins, past what we used if
    /// we were in that epoch before, and records how far they are in the epoch that ends.
    pub(crate) fn enter_with_checkpoints(
        &self,
        suite: &Suite<'_>,
        tree: &mut SecretTree,
        delta: &mut Delta,
        batch: &mut Batch,
    ) -> Result<(), Error> {
        let next = delta.public.epoch.as_ref().filter(|_| !self.checkpoints.is_empty());
        let Some(next) = next else { return Ok(()) };
        let entered = next.context.epoch;
        self.checkpoints.pass_used(suite, self.own_leaf, &next.context, tree)?;

        let reached = self.reached()?;
        self.change_checkpoints(entered, delta, batch, |new| {
            new.record_generations(EpochName::of(self.context()), reached);
        })
    }

    /// What is our own in the current epoch, as far as it was recorded.
    fn recorded(&self) -> impl Iterator<Item = &Own> {
        self.checkpoints.own(self.context())
    }

    fn recorded_commits(&self) -> impl Iterator<Item = &PendingCommit> {
        self.recorded().filter_map(|own| match own {
            Own::Commit(commit) => Some(&**commit),
            Own::Proposal(_) | Own::Ratchets(_) => None,
        })
    }

    /// Our commit of the current epoch that fits: the pending one, or one that was recorded.
    pub(crate) fn own_commit(
        &self,
        fits: impl Fn(&PendingCommit) -> bool,
    ) -> Option<&PendingCommit> {
        let pending = self.pending_commit.as_deref();
        pending.into_iter().chain(self.recorded_commits()).find(|commit| fits(commit))
    }

    /// Our recorded proposal of the current epoch that was sent in this message.
    pub(crate) fn own_proposal(&self, message: &[u8]) -> Option<&OwnProposal> {
        self.recorded().find_map(|own| match own {
            Own::Proposal(own) if own.message == message => Some(&**own),
            Own::Proposal(_) | Own::Commit(_) | Own::Ratchets(_) => None,
        })
    }
}
