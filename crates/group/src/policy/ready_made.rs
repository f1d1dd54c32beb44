//! A ready-made [`Policy`]: rules that many groups have.

use crate::credentials::Verdict;
use crate::policy::all_of::AllOf;
use crate::policy::covering::left_out;
use crate::policy::permissions::{Party, Permission, Permitted};
use crate::policy::{Policy, Proposed, ProposedCommit};
use crate::view::GroupView;
use crate::view::proposals::removed_leaf;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use conclave_wire::{
    Encode, EncodeError, Epoch, Extension, ExtensionType, LeafIndex, LeafNode, Proposal, Sender,
    Writer, extension_of_type,
};

/// Rules that many groups have. The default has none.
///
/// A group with admins, whose list is in the GroupContext, and in which every device may come back
/// after it has lost its state:
///
/// ```
#[doc = client!()]
/// use conclave_mls::group::{ExtensionType, ProposalType};
/// use conclave_mls::policy::{Action, Actor, Permission, Rules};
///
/// const ADMINS: ExtensionType = ExtensionType(0xf0ad);
///
/// let may = |actor, action| Permission { actor, action };
/// let renew_keys = Action::Types(vec![ProposalType::UPDATE]);
/// let permissions = vec![
///     may(Actor::ListedIn(ADMINS), Action::Everything),
///     may(Actor::Members, renew_keys),
///     may(Actor::Returning, Action::Everything),
/// ];
/// let rules = Rules {
///     propose: permissions.clone(),
///     commit: permissions,
///     keep_identity: true,
///     ..Rules::default()
/// };
///
/// // The creator puts this into `GroupParams::extensions`.
/// let admins = Actor::list_extension(ADMINS, &[Credential::basic(b"alice")])?;
/// # let config = Config { policy: std::sync::Arc::new(rules), ..Config::default() };
/// # let mut params = identity(b"alice").group_params(b"g".as_slice().into(), lifetime);
/// # params.leaf.capabilities.extensions.push(ADMINS);
/// # params.extensions.push(admins);
/// # Group::create(&provider, &mut rng, config, params, identity(b"alice").signer)?;
/// # Done::Ok(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Who may propose what, by reference or by value. If empty, everybody may propose everything.
    /// A client that joins by an external commit proposes an ExternalInit, and a Remove if it
    /// replaces its old leaf.
    pub propose: Vec<Permission>,
    /// Who may commit what. If empty, everybody may commit everything. A commit of several types
    /// may draw on several permissions. A member without any may not even commit to renew its keys.
    ///
    /// Nobody can commit its own removal: a member that alone may commit Removes cannot leave, and
    /// when nobody is left who may commit, the group stays as it is.
    pub commit: Vec<Permission>,
    /// Whether members may commit proposals by reference only, each sent before for all to see. Not
    /// in epoch 0, where nobody is there to see.
    pub by_reference_only: bool,
    /// Whether a member's commit must cover all pending proposals: commit each, or one that takes
    /// its place (another Update or a Remove of the same leaf, an Add of the same signature key,
    /// another change of the extensions; a ReInit stands alone, and any other proposal takes its
    /// place).
    ///
    /// These do not count: proposals that the committer may not commit; those that are not valid
    /// beside what it commits, so that nobody can block the group by a proposal; PSKs, AppDataUpdates
    /// and AppEphemerals, as nobody can see which PSKs the committer knows and what it knows of
    /// components; and proposals of members that it removes.
    ///
    /// Every client must have the same proposals pending when a commit comes, so this is for a
    /// delivery service that keeps proposals and commits in one order. A commit that was overtaken
    /// by a proposal is refused, by its committer too when it is accepted: give it up and commit
    /// again.
    pub cover_all_pending: bool,
    /// Extensions of the GroupContext that must stay as they are: present with this content, or
    /// absent. With `app_data_dictionary` among them, AppDataUpdates are refused.
    pub immutable_extensions: Vec<ExtensionType>,
    /// Whether a member's credential must stay the same, in Updates, in paths, and when it joins
    /// again in place of its old leaf. For credentials that change, as certificates do, write a
    /// [`Policy`] or judge [`CredentialRequest::replaces`](crate::CredentialRequest::replaces).
    pub keep_identity: bool,
}

impl Rules {
    /// These rules and another policy: what either refuses is refused.
    ///
    /// With [`Self::cover_all_pending`], the other policy must not refuse to commit what these
    /// rules let a member commit. Otherwise a proposal could neither be committed nor left out.
    ///
    /// ```
    #[doc = client!()]
    /// use conclave_mls::policy::Rules;
    /// use std::sync::Arc;
    /// # #[derive(Debug)]
    /// # struct SmallCommits;
    /// # impl conclave_mls::policy::Policy for SmallCommits {}
    ///
    /// let rules = Rules { keep_identity: true, ..Rules::default() };
    /// let config = Config { policy: Arc::new(rules.and(SmallCommits)), ..Config::default() };
    /// ```
    pub fn and<P: Policy>(self, other: P) -> AllOf<Self, P> {
        AllOf::new(self, other)
    }

    /// A pending proposal that a commit by a member leaves out and could hold.
    fn uncovered<'a>(
        &self,
        group: GroupView<'a>,
        committer: LeafIndex,
        commit: &ProposedCommit<'_>,
        may: &Permitted<'_>,
    ) -> Option<Proposed<'a>> {
        let may_commit = |item: &Proposed<'_>| may.allows(item.proposal.proposal_type());
        let pending = group.proposals().map(Proposed::from).filter(may_commit);
        left_out(group, committer, commit, pending).next()
    }

    /// Whether a leaf node keeps the credential of the member that it replaces.
    fn keeps_identity(&self, group: GroupView<'_>, old: LeafIndex, new: &LeafNode) -> bool {
        !self.keep_identity || group.credential(old).is_none_or(|old| old == new.credential)
    }

    /// Checks extensions that a proposal would give the group or its successor.
    fn check_extensions(&self, group: GroupView<'_>, new: &[Extension]) -> Verdict {
        let old = group.extensions();
        let changed =
            |t: &&ExtensionType| extension_of_type(old, **t) != extension_of_type(new, **t);
        if let Some(t) = self.immutable_extensions.iter().find(changed) {
            return Verdict::refuse(&format!("extension {t} may not change"));
        }
        let mut permissions = self.propose.iter().chain(&self.commit);
        match permissions.find_map(|permission| permission.malformed_list(new)) {
            Some(t) => Verdict::refuse(&format!("extension {t} is no list of credentials")),
            None => Verdict::Accept,
        }
    }
}

/// What refusals call a sender.
fn name(sender: Sender) -> String {
    match sender {
        Sender::Member(leaf) => format!("the member at {leaf}"),
        Sender::External(index) => format!("external sender {index}"),
        Sender::NewMemberProposal => "a client that proposes itself".into(),
        Sender::NewMemberCommit => "a client that joins from outside".into(),
    }
}

/// The leaf that a commit replaces: the committer's, or the one that a client which joins removes.
fn replaced_leaf(commit: &ProposedCommit<'_>) -> Option<LeafIndex> {
    match commit.sender {
        Sender::Member(leaf) => Some(leaf),
        Sender::External(_) | Sender::NewMemberProposal | Sender::NewMemberCommit => {
            let removes = |proposal: &Proposal| !matches!(proposal, Proposal::SelfRemove(_));
            let mut proposals = commit.proposals.iter().filter(|item| removes(item.proposal));
            proposals.find_map(|item| removed_leaf(item.sender, item.proposal))
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
        let encoded: Result<(), EncodeError> =
            encoded.and_then(|()| self.immutable_extensions.encode(&mut w));

        // Rules that are too long to encode still get a name that differs from that of no rules.
        let checksum = if encoded.is_ok() { crc32fast::hash(&w.finish()) } else { u32::MAX };
        [b"rules".as_slice(), &checksum.to_be_bytes()].concat()
    }

    fn proposal(&self, group: GroupView<'_>, proposal: Proposed<'_>) -> Verdict {
        let Proposed { sender, proposal, .. } = proposal;
        let party = Party { sender, returns: None };
        let proposal_type = proposal.proposal_type();
        if !Permitted::to(party, &self.propose, group).allows(proposal_type) {
            return Verdict::refuse(&format!("{} may not propose {proposal_type}", name(sender)));
        }

        match (proposal, sender) {
            (Proposal::Update(new), Sender::Member(leaf)) => {
                if self.keeps_identity(group, leaf, new) {
                    Verdict::Accept
                } else {
                    Verdict::refuse("an Update must keep the credential")
                }
            }
            (Proposal::GroupContextExtensions(new), _) => self.check_extensions(group, new),
            (Proposal::ReInit(reinit), _) => self.check_extensions(group, &reinit.extensions),
            (Proposal::AppDataUpdate(_), _) => {
                let dictionary = ExtensionType::APP_DATA_DICTIONARY;
                if self.immutable_extensions.contains(&dictionary) {
                    Verdict::refuse(&format!("extension {dictionary} may not change"))
                } else {
                    Verdict::Accept
                }
            }
            (
                Proposal::Update(_)
                | Proposal::Add(_)
                | Proposal::Remove(_)
                | Proposal::PreSharedKey(_)
                | Proposal::ExternalInit(_)
                | Proposal::AppEphemeral(_)
                | Proposal::SelfRemove(_)
                | Proposal::Custom { .. },
                _,
            ) => Verdict::Accept,
        }
    }

    fn committable(
        &self,
        group: GroupView<'_>,
        committer: Sender,
        proposal: Proposed<'_>,
    ) -> Verdict {
        let party = Party { sender: committer, returns: None };
        let may = Permitted::to(party, &self.commit, group);
        if may.allows(proposal.proposal.proposal_type()) {
            Verdict::Accept
        } else {
            Verdict::refuse("this member may not commit it")
        }
    }

    fn commit(&self, group: GroupView<'_>, commit: &ProposedCommit<'_>) -> Verdict {
        let sender = commit.sender;
        let replaced = replaced_leaf(commit);
        let party = Party { sender, returns: Some(replaced.is_some()) };
        let types = || commit.proposals.iter().map(|item| item.proposal.proposal_type());

        // Its proposals by themselves do not tell whether a client that joins returns. Those by reference
        // are of members: SelfRemoves.
        if sender == Sender::NewMemberCommit {
            let may = Permitted::to(party, &self.propose, group);
            let own = commit.proposals.iter().filter(|item| !item.by_reference);
            let mut own = own.map(|item| item.proposal.proposal_type());
            if let Some(t) = own.find(|t| !may.allows(*t)) {
                return Verdict::refuse(&format!("{} may not propose {t}", name(sender)));
            }
        }

        let may = Permitted::to(party, &self.commit, group);
        if !may.anything() {
            return Verdict::refuse(&format!("{} may not commit", name(sender)));
        }
        if let Some(t) = types().find(|t| !may.allows(*t)) {
            return Verdict::refuse(&format!("{} may not commit {t}", name(sender)));
        }

        if let (Some(old), Some(new)) = (replaced, commit.leaf)
            && !self.keeps_identity(group, old, new)
        {
            return Verdict::refuse("a commit must keep the committer's credential");
        }

        let Sender::Member(committer) = sender else { return Verdict::Accept };
        let hidden = |item: &Proposed<'_>| !item.by_reference;
        if self.by_reference_only
            && group.epoch() > Epoch::FIRST
            && commit.proposals.iter().any(hidden)
        {
            return Verdict::refuse("proposals may be committed by reference only");
        }
        if self.cover_all_pending
            && let Some(left_out) = self.uncovered(group, committer, commit, &may)
        {
            let t = left_out.proposal.proposal_type();
            return Verdict::refuse(&format!("a pending proposal of type {t} is left out"));
        }
        Verdict::Accept
    }
}
