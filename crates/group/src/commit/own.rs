//! Our own commits, up to the delivery service's verdict (section 12.4.1).

use crate::app_data::AppDataRequest;
use crate::commit::advance::{Advance, Incoming, PathSource};
use crate::commit::options::CommitOptions;
use crate::commit::seal::{Draft, Inputs, SealedCommit, seal};
use crate::commit::validate::resolve_proposals;
use crate::commit::welcome::{Joiner, WelcomeMaker};
use crate::error::{Error, Misuse, Rejection};
use crate::event::{CommitId, CommitMessages, Committed, EpochChange, Event};
use crate::state::checkpoints::Own;
use crate::state::group::{Delta, Group};
use crate::state::link::Link;
use crate::state::pending::{OwnPath, PendingCommit, commit_id};
use crate::store::rows::{RowKey, Table};
use crate::transition::{Change, Transition};
use crate::validate::app_data::app_data_requests;
use crate::validate::list::Origin;
use crate::validate::proposal::Linking;
use crate::view::proposals::added_client;
use alloc::boxed::Box;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret, Suite};
use conclave_wire::{Bytes, Content, PreSharedKeyId, Proposal, PskType, Sender, UnixTime};
use core::fmt;

/// # Committing
impl Group {
    /// Commits proposals. The commit is pending until [`Self::commit_accepted`] or
    /// [`Self::commit_rejected`], or until another commit is received.
    ///
    /// ```
    #[doc = two_members!()]
    /// use conclave_mls::group::CommitOptions;
    ///
    /// // `carol` is a proposal to add Carol, whose key package was checked.
    /// let options = CommitOptions { proposals: vec![carol], ..CommitOptions::default() };
    /// let step = alice.commit(&provider, &mut rng, now, options)?;
    /// let messages = apply(&mut alice, step, |write| store.write(write))?;
    /// // `messages.commit` is sent now, `messages.welcomes` once the commit is accepted.
    /// # assert_eq!(messages.welcomes.len(), 1);
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// If the proposals break a rule, a key package is out of its lifetime (section 7.3), a PSK is
    /// missing, or another commit of ours is pending. [`Misuse::AppDataCount`] if the commit updates
    /// the data of components: use [`Self::draft_commit`].
    pub fn commit(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        now: UnixTime,
        options: CommitOptions,
    ) -> Result<Transition<Self, CommitMessages>, Error> {
        self.draft_commit(provider, rng, now, options)?.seal(rng, Vec::new())
    }

    /// Chooses the proposals of a commit, so that the components whose data it updates can be asked
    /// (draft-ietf-mls-extensions-10). [`Self::commit`] is for commits that update none.
    ///
    /// ```
    #[doc = two_components!()]
    /// use conclave_mls::group::{CommitOptions, NewProposal};
    ///
    /// let update = NewProposal::AppDataUpdate { component_id: TOPIC, update: b"tea".as_slice().into() };
    /// let options = CommitOptions { proposals: vec![update], ..CommitOptions::default() };
    /// let draft = alice.draft_commit(&provider, &mut rng, now, options)?;
    /// // In this component an update is the new value, and the last one counts.
    /// let last = |request: &AppDataRequest| request.updates.last().map(|(_, data)| data.clone());
    /// let data = draft.app_data().iter().filter_map(last).collect();
    /// let step = draft.seal(&mut rng, data)?;
    /// let messages = apply(&mut alice, step, |write| store.write(write))?;
    /// # assert!(messages.welcomes.is_empty());
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// Those of [`Self::commit`], apart from [`Misuse::AppDataCount`].
    pub fn draft_commit<'a>(
        &'a self,
        provider: &'a dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        now: UnixTime,
        options: CommitOptions,
    ) -> Result<CommitDraft<'a>, Error> {
        let suite = self.suite(provider)?;
        self.active()?;
        if self.pending_commit.is_some() {
            return Err(Misuse::CommitPending.into());
        }
        for proposal in &options.proposals {
            proposal.check_lifetime(now, self.config())?;
        }

        // Section 12.4.1: choose and apply the proposals, and make the path.
        let provided: Vec<(PskType, Secret)> =
            options.psks.iter().cloned().chain(options.link.iter().map(Link::provided)).collect();
        let draft = self.draft(&suite, rng, now, &options, &provided)?;
        let psks = self.psk_values(&draft.applied.psks, &provided)?;
        let app_data = app_data_requests(self.view(), &draft.list)?;
        Ok(CommitDraft { group: self, suite, options, draft, psks, app_data })
    }

    /// The step of the pending commit that the delivery service accepted, into the new epoch.
    ///
    /// `id` names the commit that the verdict is about. Without it, a late verdict on a commit that
    /// was given up would be taken for one on the next, and we would part from the group. In a group
    /// with [checkpoints](Self::checkpoint) it may name any commit that we made in this epoch.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let step = alice.commit(&provider, &mut rng, now, Default::default())?;
    /// # let messages = apply(&mut alice, step, |write| store.write(write))?;
    /// // The delivery service has accepted `messages.commit`.
    /// let step = alice.commit_accepted(&provider, now, &messages.id)?;
    /// let change = apply(&mut alice, step, |write| store.write(write))?;
    /// assert_eq!(change.epoch, alice.epoch());
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::NoCommitPending`], [`Misuse::NotThisCommit`].
    pub fn commit_accepted(
        &self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        id: &CommitId,
    ) -> Result<Transition<Self, EpochChange>, Error> {
        match self.own_commit(|own| own.messages.id == *id) {
            Some(own) => self.follow_own(provider, now, own),
            None => Err(self.not_pending()),
        }
    }

    /// The step of a commit of ours into the new epoch.
    pub(crate) fn follow_own(
        &self,
        provider: &dyn CryptoProvider,
        now: UnixTime,
        own: &PendingCommit,
    ) -> Result<Transition<Self, EpochChange>, Error> {
        let suite = self.suite(provider)?;
        let sender = Sender::Member(self.own_leaf);
        let commit = &own.content.content.commit;

        // Only the creator's first commit can link a group to another.
        let linking = Linking::observed(self.epoch(), sender);
        let mut list =
            resolve_proposals(self.view(), &suite, sender, commit, linking, Origin::Own)?;
        list.answer(own.app_data.clone())?;

        let incoming = Incoming {
            now,
            content: &own.content,
            list: &list,
            source: PathSource::Own(own.path.as_ref()),
            psks: &own.psks,
        };
        let Advance { delta, batch, outcome } = self.advance(&suite, &incoming)?;
        match outcome {
            Committed::Epoch(change) => Ok(self.step(delta, batch, change)),
            Committed::Removal(_) => Err(Rejection::CommitterRemoved.into()),
        }
    }

    /// The step that drops the pending commit, which the delivery service rejected. What it
    /// proposed by value is to be proposed again.
    ///
    /// ```
    #[doc = two_members!()]
    /// # let step = alice.commit(&provider, &mut rng, now, Default::default())?;
    /// # let messages = apply(&mut alice, step, |write| store.write(write))?;
    /// // Another commit of this epoch came first.
    /// let step = alice.commit_rejected(&messages.id)?;
    /// apply(&mut alice, step, |write| store.write(write))?;
    /// assert!(alice.pending_commit().is_none());
    /// # Done::Ok(())
    /// ```
    ///
    /// # Errors
    /// [`Misuse::NoCommitPending`], [`Misuse::NotThisCommit`].
    pub fn commit_rejected(&self, id: &CommitId) -> Result<Transition<Self>, Error> {
        let pending = self.pending_commit.as_ref();
        if pending.is_none_or(|pending| pending.messages.id != *id) {
            return Err(self.not_pending());
        }
        let delta = Delta { pending_commit: Change::Remove, ..Delta::default() };
        let mut batch = self.batch();
        batch.delete(RowKey::new(Table::PendingCommit, 0));
        Ok(self.silent_step(delta, batch, Event::Discarded))
    }

    /// The error of a verdict that is not about the pending commit.
    fn not_pending(&self) -> Error {
        let pending = self.pending_commit.is_some();
        if pending { Misuse::NotThisCommit.into() } else { Misuse::NoCommitPending.into() }
    }
}

/// A commit whose proposals are chosen, with questions to the components whose data it updates.
/// [`Group::draft_commit`] makes it.
#[must_use = "a draft changes nothing until it is sealed and its step applied"]
pub struct CommitDraft<'a> {
    group: &'a Group,
    suite: Suite<'a>,
    options: CommitOptions,
    draft: Draft<'a>,
    psks: Vec<(PreSharedKeyId, Secret)>,
    app_data: Vec<AppDataRequest>,
}

impl fmt::Debug for CommitDraft<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitDraft").field("app_data", &self.app_data).finish_non_exhaustive()
    }
}

impl CommitDraft<'_> {
    /// The proposals that the commit takes, each with its proposer.
    pub fn proposals(&self) -> impl Iterator<Item = (Sender, &Proposal)> {
        self.draft.list.iter().map(|item| (item.sender, &item.proposal))
    }

    /// The components whose data the commit updates, in ascending order. If one finds an update
    /// invalid, draft the commit again and [leave it out](CommitOptions::leave_out).
    #[must_use]
    pub fn app_data(&self) -> &[AppDataRequest] {
        &self.app_data
    }

    /// The step that makes the commit, with the new data of each of [`Self::app_data`], in that order.
    /// It is pending from then on, as after [`Group::commit`].
    ///
    /// # Errors
    /// [`Misuse::AppDataCount`], and if the new data is over a limit.
    pub fn seal(
        self,
        rng: &mut dyn CryptoRng,
        app_data: Vec<Bytes>,
    ) -> Result<Transition<Group, CommitMessages>, Error> {
        let Self { group, suite, options, mut draft, psks, .. } = self;
        draft.list.answer(app_data)?;
        draft.applied.update_app_data(&draft.list)?;
        if !draft.applied.app_data.is_empty() {
            draft.applied.check(group.view())?;
        }
        let app_data = draft.list.app_data().to_vec();
        if let Some(link) = &options.link {
            let context = draft.applied.provisional_context(&suite, group.view())?;
            link.check_own(&context, &draft.applied.tree, group.own_leaf)?;
        }

        // Seal it. The new epoch knows the committer by its new key.
        let inputs = Inputs {
            group: group.view(),
            own_leaf: group.own_leaf,
            signer: options.leaf.as_ref().map_or(&group.signer, |leaf| &leaf.signer),
            init: &group.active()?.init,
            psks: &psks,
            group_info_extensions: &options.group_info_extensions,
        };
        let framing = &options.framing;
        let sign = |commit| group.sign(&suite, Content::Commit(commit), framing);
        let sealed = seal(&suite, rng, &inputs, draft, sign)?;

        // Protect it: an encrypted commit uses up a key.
        let mut delta = Delta::default();
        let mut batch = group.batch();
        let commit =
            group.protect(&suite, rng, &sealed.content, framing, &mut delta, &mut batch)?;

        // Section 12.4.3: the GroupInfo and the Welcomes of the new epoch.
        let maker = sealed.group_info_maker(&suite, &inputs);
        let group_info = options.group_info.map(|wanted| maker.message(wanted)).transpose()?;
        let welcomes = WelcomeMaker {
            group_info: &maker,
            keys: &sealed.welcome,
            path: sealed.path.as_ref(),
            psks: &psks,
        };
        let recipients = options.welcome_recipients;
        let ratchet_tree = options.welcome_ratchet_tree;
        let welcomes = welcomes.make(rng, &joiners(&sealed), recipients, ratchet_tree)?;

        // What is needed to apply it once it is accepted is stored until then.
        let id = commit_id(&suite, &commit)?;
        let messages = CommitMessages { id, commit, welcomes, group_info };
        let SealedCommit { content, path, .. } = sealed;
        let path = path.map(|path| OwnPath {
            leaf_key: path.leaf_key.private,
            keys: path.keys.keys,
            commit_secret: path.keys.commit_secret,
            signer: options.leaf.map(|leaf| leaf.signer),
        });
        let content = content.try_into()?;
        let pending = PendingCommit { content, path, psks, app_data, messages: messages.clone() };
        batch.put(RowKey::new(Table::PendingCommit, 0), pending.to_row()?.expose());
        group.record_own(|| Own::commit(&pending), &mut delta, &mut batch)?;
        delta.pending_commit = Change::Set(Box::new(pending));
        Ok(group.step(delta, batch, messages))
    }
}

/// The clients that a commit adds.
fn joiners<'a>(sealed: &'a SealedCommit<'_>) -> Vec<Joiner<'a>> {
    let added = sealed.applied.added.iter();
    let joiner = |(leaf, place): &(_, usize)| {
        let key_package = added_client(&sealed.list.get(*place)?.proposal)?;
        Some(Joiner { leaf: *leaf, key_package })
    };
    added.filter_map(joiner).collect()
}
