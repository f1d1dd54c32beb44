//! Commits of one's own, from the choice of proposals to the delivery service's verdict (section
//! 12.4.1).

use crate::advance::{Incoming, PathSource, ProvidedPsks, next_epoch};
use crate::covering::fitting_beside;
use crate::credentials::Verdict;
use crate::error::{Error, Misuse, Rejection};
use crate::event::{CommitId, CommitMessages, Event};
use crate::link::Link;
use crate::pending::{OwnPath, PendingCommit, commit_id};
use crate::policy::GroupView;
use crate::proposals::{
    Applied, CheckedList, Committer, Linking, ListedProposal, Origin, committable,
};
use crate::rows::{RowKey, Table};
use crate::rules;
use crate::send::{Framing, LeafUpdate, NewProposal, make_proposal, random_nonce};
use crate::state::{Delta, Group};
use crate::transition::Transition;
use crate::welcome::{GroupInfoMaker, GroupInfoOptions, Joiner, WelcomeMaker};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{CryptoProvider, CryptoRng, Secret, Suite};
use conclave_schedule::{CommitSecret, confirmation_tag, external_key_pair};
use conclave_tree::{NewPath, create_path, seal_path};
use conclave_wire::{
    Commit, Content, Encode, Epoch, Extension, LeafIndex, PreSharedKeyId, Proposal, ProposalOrRef,
    ProposalRef, PskType, Sender,
};

/// What a commit is to do.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// Proposals by value.
    pub proposals: Vec<NewProposal>,
    /// Whether the proposals received in this epoch are committed too: those that are valid with
    /// each other and with [`Self::proposals`], and of PSKs those that are known. Default true.
    pub received: bool,
    /// Commits exactly these of the received proposals; it is an error if one cannot be committed.
    /// [`Policy::committable`](crate::Policy::committable) is not asked, and the lifetimes of their key
    /// packages are not checked again. Default none: [`Self::received`] decides.
    pub references: Option<Vec<ProposalRef>>,
    /// Whether the commit renews the own keys even if it need not.
    pub force_path: bool,
    /// A change of the own leaf; makes a path.
    pub leaf: Option<LeafUpdate>,
    /// How the commit is framed.
    pub framing: Framing,
    /// Whether Welcomes hold the ratchet tree. If not, hand it to new members in another way.
    /// Default true.
    pub welcome_ratchet_tree: bool,
    /// At most how many new members share a Welcome. Default all.
    pub welcome_recipients: usize,
    /// Whether a GroupInfo of the new epoch is made, and what it holds.
    pub group_info: Option<GroupInfoOptions>,
    /// Extensions of the application's for the GroupInfo of the new epoch, in Welcomes too.
    pub group_info_extensions: Vec<Extension>,
    /// The PSKs that the proposals name, unless they are resumption PSKs of this group.
    pub psks: Vec<(PskType, Secret)>,
    /// In the first commit of a group: the group that this one branches off or replaces. Parameters and
    /// members have to fit the link, as all who join will check ([`Link::known_as`] for members whose
    /// credentials change).
    pub link: Option<Link>,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            proposals: Vec::new(),
            received: true,
            references: None,
            force_path: false,
            leaf: None,
            framing: Framing::default(),
            welcome_ratchet_tree: true,
            welcome_recipients: usize::MAX,
            group_info: None,
            group_info_extensions: Vec::new(),
            psks: Vec::new(),
            link: None,
        }
    }
}

/// Proposals that are applied, with the own path, if there is one.
struct Draft<'a> {
    list: CheckedList,
    applied: Applied<'a>,
    new_leaves: Vec<LeafIndex>,
    path: Option<NewPath>,
}

/// Whether the application's rules are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Yes,
    No,
}

impl Group {
    /// Commits proposals. The commit is pending until [`Self::commit_accepted`] or
    /// [`Self::commit_rejected`], or until another commit is received.
    ///
    /// # Errors
    /// If the proposals break a rule, a key package is out of its lifetime (section 7.3), a PSK is
    /// missing, or another own commit is pending.
    pub fn commit(
        &self,
        provider: &dyn CryptoProvider,
        rng: &mut dyn CryptoRng,
        now: u64,
        options: CommitOptions,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        let secrets = self.active()?;
        if self.pending_commit.is_some() {
            return Err(Misuse::CommitPending.into());
        }
        for proposal in &options.proposals {
            proposal.check_lifetime(now, self.config())?;
        }
        let provided: Vec<(PskType, Secret)> =
            options.psks.iter().cloned().chain(options.link.iter().map(Link::provided)).collect();
        let mut draft = self.draft(&suite, rng, now, &options, &provided)?;
        let psks = self.psk_values(&draft.applied.psks, &provided)?;
        let provisional = self.public.provisional_context(&suite, &mut draft.applied)?;
        if let Some(link) = &options.link {
            link.check_own(&provisional, &draft.applied.tree, self.own_leaf)?;
        }
        let Draft { list, applied, new_leaves, path } = draft;
        let update_path = match &path {
            Some(path) => {
                let (tree, context) = (&applied.tree, provisional.to_bytes()?);
                let me = self.own_leaf;
                Some(seal_path(&suite, tree, me, path, &context, &new_leaves, rng)?)
            }
            None => None,
        };
        let proposals = list.iter().map(|item| match &item.reference {
            Some(reference) => ProposalOrRef::Reference(reference.clone()),
            None => ProposalOrRef::Proposal(item.proposal.clone()),
        });
        let commit = Commit { proposals: proposals.collect(), path: update_path.map(Box::new) };
        let mut content = self.sign(&suite, Content::Commit(commit), &options.framing)?;
        let mut context = provisional;
        context.confirmed_transcript_hash =
            self.public.confirmed_after(&suite, &content.transcript_hash_input())?;
        let commit_secret = match &path {
            Some(path) => CommitSecret::from_secret(path.keys.commit_secret.clone()),
            None => CommitSecret::zero(&suite),
        };
        let (welcome, epoch) = next_epoch(&suite, &secrets.init, &commit_secret, &psks, &context)?;
        let confirmed = &context.confirmed_transcript_hash;
        let tag = confirmation_tag(&suite, &epoch.confirmation_key, confirmed)?;
        content.auth.confirmation_tag = Some(tag.clone());

        let (mut delta, mut batch) = (Delta::default(), self.batch());
        let framing = &options.framing;
        let commit = self.protect(&suite, rng, &content, framing, &mut delta, &mut batch)?;
        // The new epoch knows the committer by its new key.
        let signer = options.leaf.as_ref().map_or(&self.signer, |leaf| &leaf.signer);
        let external = external_key_pair(&suite, &epoch.external)?.public;
        let maker = GroupInfoMaker {
            suite: &suite,
            context: &context,
            tag: &tag,
            signer,
            own_leaf: self.own_leaf,
            tree: &applied.tree,
            external: &external,
            limits: self.limits(),
            extensions: &options.group_info_extensions,
        };
        let group_info = match options.group_info {
            Some(wanted) => Some(maker.message(wanted)?),
            None => None,
        };
        let joiners: Vec<Joiner<'_>> = applied
            .added
            .iter()
            .filter_map(|(leaf, place)| match &list.get(*place)?.proposal {
                Proposal::Add(key_package) => Some(Joiner { leaf: *leaf, key_package }),
                _ => None,
            })
            .collect();
        let welcomes =
            WelcomeMaker { group_info: &maker, keys: &welcome, path: path.as_ref(), psks: &psks };
        let (recipients, ratchet_tree) = (options.welcome_recipients, options.welcome_ratchet_tree);
        let welcomes = welcomes.make(rng, &joiners, recipients, ratchet_tree)?;
        let id = commit_id(&suite, &commit)?;
        let messages = CommitMessages { id, commit, welcomes, group_info };
        let path = path.map(|path| OwnPath {
            leaf_key: path.leaf_key.private,
            keys: path.keys.keys,
            commit_secret: path.keys.commit_secret,
            signer: options.leaf.map(|leaf| leaf.signer),
        });
        let content = content.try_into()?;
        let pending = PendingCommit { content, path, psks, messages: messages.clone() };
        batch.put(RowKey::new(Table::PendingCommit, 0), pending.to_row()?.expose());
        delta.pending_commit = Some(Some(Box::new(pending)));
        Ok(self.step(delta, batch, Event::Commit(messages)))
    }

    /// Chooses the proposals, applies them, and makes the path.
    fn draft(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        now: u64,
        options: &CommitOptions,
        provided: &ProvidedPsks,
    ) -> Result<Draft<'_>, Error> {
        let me = Sender::Member(self.own_leaf);
        let new = options.proposals.iter().cloned();
        let mut wanted: Vec<ListedProposal> =
            new.map(|new| ListedProposal::by_value(me, make_proposal(suite, rng, new))).collect();
        if let Some(link) = &options.link {
            let psk_nonce = random_nonce(suite, rng);
            let id = PreSharedKeyId { psktype: link.psk_type(), psk_nonce };
            wanted.push(ListedProposal::by_value(me, Proposal::PreSharedKey(id)));
        }
        if let Some(references) = &options.references {
            let chosen = references.iter().map(|reference| {
                let found = self.public.proposals.find(reference);
                let (_, listed) =
                    found.ok_or_else(|| Rejection::UnknownProposal(reference.clone()))?;
                Ok(listed.clone())
            });
            let chosen = chosen.collect::<Result<Vec<_>, Error>>()?;
            let all = chosen.into_iter().chain(wanted).collect();
            return self.apply_draft(suite, rng, options, all, Judged::Yes);
        }
        let received =
            if options.received { self.committable(&wanted, provided) } else { Vec::new() };
        // Adds whose key packages have expired while they waited are left out, unless the application's
        // rules insist on them: the others need not look at the clock (section 7.3).
        let in_time = |item: &&ListedProposal| match &item.proposal {
            Proposal::Add(kp) => {
                rules::check_within_lifetime(&kp.leaf_node, now, self.config()).is_ok()
            }
            _ => true,
        };
        let timely: Vec<ListedProposal> = received.iter().filter(in_time).cloned().collect();
        if timely.len() < received.len() {
            match self.draft_with(suite, rng, options, timely, wanted.clone()) {
                Err(Error::Rejected(Rejection::RefusedByPolicy { .. })) => {}
                other => return other,
            }
        }
        self.draft_with(suite, rng, options, received, wanted)
    }

    /// A draft of the wanted proposals and as many of the received ones as go with them.
    fn draft_with(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        options: &CommitOptions,
        received: Vec<ListedProposal>,
        wanted: Vec<ListedProposal>,
    ) -> Result<Draft<'_>, Error> {
        if received.is_empty() {
            return self.apply_draft(suite, rng, options, wanted, Judged::Yes);
        }
        let all = received.iter().chain(&wanted).cloned().collect();
        let fitting = |rng: &mut dyn CryptoRng, judged| {
            self.draft_of_fitting(suite, rng, options, received.clone(), wanted.clone(), judged)
        };
        let draft = match self.apply_draft(suite, rng, options, all, Judged::Yes) {
            Err(Error::Rejected(Rejection::RefusedByPolicy { .. })) => None,
            // A policy that asks for all that is valid refuses each smaller list.
            Err(Error::Rejected(_)) => Some(fitting(rng, Judged::No)?),
            other => return other,
        };
        match draft {
            Some(draft) if self.judge(&draft).is_ok() => Ok(draft),
            _ => fitting(rng, Judged::Yes),
        }
    }

    /// What the application's rules say of a draft.
    fn judge(&self, draft: &Draft<'_>) -> Result<(), Error> {
        let leaf = draft.path.as_ref().map(|path| &path.leaf_node);
        self.public.check_policy(Sender::Member(self.own_leaf), &draft.list, leaf)
    }

    /// The received proposals that may go with the wanted ones.
    fn committable(
        &self,
        wanted: &[ListedProposal],
        provided: &ProvidedPsks,
    ) -> Vec<ListedProposal> {
        let known = self.psk_lookup(provided);
        let received = self.public.proposals.iter().map(|(_, listed)| listed);
        let (me, policy) = (Sender::Member(self.own_leaf), &self.config().policy);
        let permitted = |item: &&ListedProposal| {
            let verdict = policy.committable(GroupView(&self.public), me, (*item).into());
            matches!(verdict, Verdict::Accept)
        };
        let usable = received.filter(permitted).filter(|item| match &item.proposal {
            Proposal::PreSharedKey(id) => known(id).is_some(),
            _ => true,
        });
        committable(self.own_leaf, &self.public, &usable.collect::<Vec<_>>(), wanted)
    }

    /// A draft of the wanted proposals and those of the received ones that give a valid list with
    /// them: each of these is valid by itself, but not all together. So that nobody can keep a
    /// group from committing by what he proposes.
    fn draft_of_fitting(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        options: &CommitOptions,
        mut received: Vec<ListedProposal>,
        wanted: Vec<ListedProposal>,
        judged: Judged,
    ) -> Result<Draft<'_>, Error> {
        // What others may depend on goes first.
        received.sort_by_key(|item| match item.proposal {
            Proposal::Remove(_) => 0,
            Proposal::Update(_) => 1,
            Proposal::Add(_) | Proposal::Custom { .. } => 3,
            _ => 2,
        });
        let depends_on_them = |item: &ListedProposal| {
            matches!(item.proposal, Proposal::Add(_) | Proposal::Custom { .. })
        };
        let more = received.split_off(received.partition_point(|item| !depends_on_them(item)));

        let mut best = self.apply_draft(suite, rng, options, wanted.clone(), judged)?;
        let mut fitting: Vec<ListedProposal> = Vec::new();
        let mut add_fitting = |some: Vec<ListedProposal>, fitting: &mut Vec<ListedProposal>| {
            if some.is_empty() {
                return Ok(());
            }
            // By halves, so that few misfits among many cost few attempts.
            let mut open = vec![some];
            while let Some(mut some) = open.pop() {
                let list = fitting.iter().chain(&some).chain(&wanted).cloned().collect();
                match self.apply_draft(suite, rng, options, list, judged) {
                    Ok(draft) => {
                        best = draft;
                        fitting.append(&mut some);
                    }
                    Err(Error::Rejected(_)) if some.len() > 1 => {
                        let right = some.split_off(some.len() / 2);
                        open.extend([right, some]);
                    }
                    Err(Error::Rejected(_)) => {}
                    Err(other) => return Err(other),
                }
            }
            Ok(())
        };
        add_fitting(received, &mut fitting)?;
        // Anybody can send any number of these that never fit: an attempt for each would be too much.
        let committed: Vec<ListedProposal> = fitting.iter().chain(&wanted).cloned().collect();
        let more = fitting_beside(&self.public, self.own_leaf, &committed, more);
        add_fitting(more, &mut fitting)?;
        Ok(best)
    }

    /// Applies a list of proposals and the own path, and checks what comes of it.
    fn apply_draft(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        options: &CommitOptions,
        list: Vec<ListedProposal>,
        judged: Judged,
    ) -> Result<Draft<'_>, Error> {
        let linking = match &options.link {
            Some(_) if self.epoch() == Epoch::FIRST => Linking::Allowed,
            Some(_) => return Err(Misuse::NotPossible("only a new group can be linked").into()),
            None => Linking::Forbidden,
        };
        let me = self.own_leaf;
        let list =
            self.public.checked_list(suite, Committer::Member(me), list, linking, Origin::Own)?;
        let mut applied = self.public.apply_list(&list)?;
        let new_leaves = applied.added.iter().map(|(leaf, _)| *leaf).collect();
        let mut path = None;
        if applied.needs_path || options.force_path || options.leaf.is_some() {
            let (template, signer) = self.leaf_template(options.leaf.as_ref())?;
            let (tree, group_id) = (&mut applied.tree, self.group_id());
            let new = create_path(suite, tree, me, template, signer, group_id, rng)?;
            rules::check_own_leaf(suite, self.config(), &new.leaf_node)?;
            path = Some(new);
        }
        self.public.check_result(&applied)?;
        let draft = Draft { list, applied, new_leaves, path };
        if judged == Judged::Yes {
            self.judge(&draft)?;
        }
        Ok(draft)
    }

    /// The step of a pending commit that the delivery service accepted: into the new epoch. `id`
    /// names the commit that the verdict is about. Otherwise a late verdict on a commit that was given
    /// up would be taken for one on the next, and this client would leave the others behind.
    ///
    /// # Errors
    /// [`Misuse::NoCommitPending`], [`Misuse::NotThisCommit`].
    pub fn commit_accepted(
        &self,
        provider: &dyn CryptoProvider,
        now: u64,
        id: &CommitId,
    ) -> Result<Transition<Self>, Error> {
        let suite = self.suite(provider)?;
        let pending = self.judged_commit(id)?;
        let sender = Sender::Member(self.own_leaf);
        let commit = &pending.content.content.commit;
        // Only the creator's first commit can link a group to another.
        let linking = Linking::observed(self.epoch(), sender);
        let list = self.public.commit_list(&suite, sender, commit, linking, Origin::Own)?;
        let incoming = Incoming {
            now,
            content: &pending.content,
            list: &list,
            source: PathSource::Own(pending.path.as_ref()),
            psks: &pending.psks,
        };
        let step = self.advance(&suite, &incoming)?;
        Ok(self.step(step.delta, step.batch, step.event))
    }

    /// The step of a pending commit that the delivery service rejected: it is forgotten.
    ///
    /// # Errors
    /// [`Misuse::NoCommitPending`], [`Misuse::NotThisCommit`].
    pub fn commit_rejected(&self, id: &CommitId) -> Result<Transition<Self>, Error> {
        self.judged_commit(id)?;
        let delta = Delta { pending_commit: Some(None), ..Delta::default() };
        let mut batch = self.batch();
        batch.delete(RowKey::new(Table::PendingCommit, 0));
        Ok(self.step(delta, batch, Event::Discarded))
    }

    /// The pending commit, if a verdict is about that one.
    fn judged_commit(&self, id: &CommitId) -> Result<&PendingCommit, Error> {
        let pending = self.pending_commit.as_deref().ok_or(Misuse::NoCommitPending)?;
        if pending.messages.id == *id { Ok(pending) } else { Err(Misuse::NotThisCommit.into()) }
    }
}
