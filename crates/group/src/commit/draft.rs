//! A draft of our own commit: the proposals that it takes, applied, and its path (section 12.4.1).

use crate::commit::advance::ProvidedPsks;
use crate::commit::choose::committable;
use crate::commit::options::CommitOptions;
use crate::commit::seal::Draft;
use crate::config::Config;
use crate::credentials::Verdict;
use crate::error::reasons::Obstacle;
use crate::error::{Error, Misuse, Rejection};
use crate::policy;
use crate::policy::covering::fitting_beside;
use crate::send::random_nonce;
use crate::state::group::Group;
use crate::validate::apply::apply;
use crate::validate::leaf::check_own_leaf;
use crate::validate::list::{CheckedList, Committer, Origin};
use crate::validate::proposal::Linking;
use crate::view::proposals::{ListedProposal, added_client, injected_psk};
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;
use conclave_crypto::{CryptoRng, Suite};
use conclave_tree::{PathOrigin, create_path_from};
use conclave_wire::{Epoch, PreSharedKeyId, Proposal, ProposalRef, Sender, UnixTime};

/// Whether the application's policy judges a draft.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Judged {
    Yes,
    No,
}

impl Group {
    /// Chooses the proposals, applies them, and makes the path.
    pub(crate) fn draft(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        now: UnixTime,
        options: &CommitOptions,
        provided: &ProvidedPsks,
    ) -> Result<Draft<'_>, Error> {
        let me = Sender::Member(self.own_leaf);
        let new = options.proposals.iter().cloned();
        let mut wanted: Vec<ListedProposal> = new
            .map(|new| ListedProposal::by_value(me, self.make_proposal(suite, rng, new)))
            .collect();

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

        let received = if options.received {
            self.committable(&wanted, provided, options)
        } else {
            Vec::new()
        };
        // Adds whose key packages have expired while they waited are left out, unless the
        // application's rules insist on them: the other members need not look at the clock (section
        // 7.3).
        let in_time = |item: &&ListedProposal| {
            added_client(&item.proposal).is_none_or(|key_package| {
                self.config().check_within_lifetime(&key_package.leaf_node, now).is_ok()
            })
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

    /// A draft of the wanted proposals and as many of the received ones as fit beside them.
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

    /// Asks the application's policy about a draft.
    fn judge(&self, draft: &Draft<'_>) -> Result<(), Error> {
        let policy = &*self.config().policy;
        let committer = Sender::Member(self.own_leaf);
        let leaf = draft.path.as_ref().map(|path| &path.leaf_node);
        policy::check_commit(policy, self.view(), committer, &draft.list, leaf)
    }

    /// The received proposals that may be committed together with the wanted ones.
    fn committable(
        &self,
        wanted: &[ListedProposal],
        provided: &ProvidedPsks,
        options: &CommitOptions,
    ) -> Vec<ListedProposal> {
        let known = self.psk_lookup(provided);
        let received = self.public.proposals.iter().map(|(_, listed)| listed);
        let me = Sender::Member(self.own_leaf);
        let policy = &self.config().policy;

        let permitted = |item: &&ListedProposal| {
            let verdict = policy.committable(self.view(), me, (*item).into());
            matches!(verdict, Verdict::Accept)
        };
        let known_psk = |item: &&ListedProposal| {
            injected_psk(&item.proposal).is_none_or(|id| known(id).is_some())
        };
        let left_out: BTreeSet<&ProposalRef> = options.leave_out.iter().collect();
        let kept = |item: &&ListedProposal| {
            item.reference.as_ref().is_none_or(|reference| !left_out.contains(reference))
        };
        let usable: Vec<_> = received.filter(kept).filter(permitted).filter(known_psk).collect();
        committable(self.own_leaf, self.view(), &usable, wanted)
    }

    /// A draft of the wanted proposals and of those received ones that make a valid list with them.
    /// Each received proposal is valid alone, but they may conflict: committing a compatible subset
    /// keeps one member from blocking the group.
    fn draft_of_fitting(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        options: &CommitOptions,
        mut received: Vec<ListedProposal>,
        wanted: Vec<ListedProposal>,
        judged: Judged,
    ) -> Result<Draft<'_>, Error> {
        // Proposals that others depend on go first.
        received.sort_by_key(|item| match item.proposal {
            Proposal::Remove(_) | Proposal::SelfRemove(_) => 0,
            Proposal::Update(_) => 1,
            Proposal::PreSharedKey(_)
            | Proposal::ReInit(_)
            | Proposal::ExternalInit(_)
            | Proposal::GroupContextExtensions(_) => 2,
            Proposal::Add(_)
            | Proposal::AppDataUpdate(_)
            | Proposal::AppEphemeral(_)
            | Proposal::Custom { .. } => 3,
        });
        let depends_on_them = |item: &ListedProposal| {
            matches!(
                item.proposal,
                Proposal::Add(_)
                    | Proposal::AppDataUpdate(_)
                    | Proposal::AppEphemeral(_)
                    | Proposal::Custom { .. }
            )
        };
        let more = received.split_off(received.partition_point(|item| !depends_on_them(item)));

        let mut best = self.apply_draft(suite, rng, options, wanted.clone(), judged)?;
        let mut fitting: Vec<ListedProposal> = Vec::new();
        // Takes as many as fit. By halves: a few misfits among many cost few attempts.
        let mut add_fitting = |some: Vec<ListedProposal>, fitting: &mut Vec<ListedProposal>| {
            if some.is_empty() {
                return Ok(());
            }

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

        // Anybody can send any number of these that never fit, so trying each would be too much.
        let committed: Vec<ListedProposal> = fitting.iter().chain(&wanted).cloned().collect();
        let more = fitting_beside(self.view(), self.own_leaf, &committed, more);
        add_fitting(more, &mut fitting)?;
        Ok(best)
    }

    /// Applies a list of proposals and our path, and checks the result.
    fn apply_draft(
        &self,
        suite: &Suite<'_>,
        rng: &mut dyn CryptoRng,
        options: &CommitOptions,
        mut list: Vec<ListedProposal>,
        judged: Judged,
    ) -> Result<Draft<'_>, Error> {
        // A GroupContextExtensions proposal "can be followed by" AppDataUpdates (draft-ietf-mls-extensions-10,
        // "Updating Application Data in the GroupContext"). OpenMLS refuses them in front of it.
        list.sort_by_key(|item| matches!(item.proposal, Proposal::AppDataUpdate(_)));
        let linking = match &options.link {
            Some(_) if self.epoch() == Epoch::FIRST => Linking::Allowed,
            Some(_) => return Err(Misuse::NotPossible(Obstacle::NotNew).into()),
            None => Linking::Forbidden,
        };

        let me = self.own_leaf;
        let committer = Committer::Member(me);
        let list = CheckedList::check(suite, self.view(), committer, list, linking, Origin::Own)?;
        let mut applied = apply(self.view(), &list)?;

        let mut path = None;
        let changed = options.leaf.is_some() || options.seed.is_some();
        if applied.needs_path || options.force_path || changed {
            let (template, signer) = self.leaf_template(options.leaf.as_ref())?;
            let group_id = self.group_id();
            let tree = &mut applied.tree;
            let origin = match &options.seed {
                Some(seed) => seed.path(suite)?,
                None => PathOrigin::random(suite, rng),
            };
            let new = create_path_from(suite, tree, me, template, signer, group_id, origin)?;
            let Config { limits, proposals, .. } = self.config();
            check_own_leaf(suite, limits, proposals, &new.leaf_node)?;
            path = Some(new);
        }

        // What an AppDataUpdate leads to is checked once its component has answered.
        applied.check_before_updates(self.view(), &list)?;
        let draft = Draft { list, applied, path };
        if judged == Judged::Yes {
            self.judge(&draft)?;
        }
        Ok(draft)
    }
}
