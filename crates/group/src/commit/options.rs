//! What a commit does.

use crate::commit::welcome::GroupInfoOptions;
use crate::seed::KeySeed;
use crate::send::{Framing, LeafUpdate, NewProposal};
use crate::state::link::Link;
use alloc::vec::Vec;
use conclave_crypto::Secret;
use conclave_wire::{Extension, ProposalRef, PskType};

/// Options for a commit. The default commits the received proposals and nothing else.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// Proposals by value.
    pub proposals: Vec<NewProposal>,
    /// Whether the proposals received in this epoch are committed too: those that are valid
    /// together and with [`Self::proposals`], and whose PSKs are known. Default true.
    pub received: bool,
    /// Commits exactly these of the received proposals. It is an error if one cannot be committed.
    /// [`Policy::committable`](crate::Policy::committable) is not asked, and the lifetimes of their
    /// key packages are not checked again. Default none: [`Self::received`] decides.
    pub references: Option<Vec<ProposalRef>>,
    /// Received proposals that the commit leaves out, such as AppDataUpdates that their component
    /// finds invalid. Default none. It has no effect beside [`Self::references`].
    pub leave_out: Vec<ProposalRef>,
    /// Whether the commit renews our keys even if it need not. Default false.
    pub force_path: bool,
    /// A change of our leaf, which takes a path.
    pub leaf: Option<LeafUpdate>,
    /// What the new keys of our leaf and of the nodes above it derive from, which takes a path.
    /// Default: fresh randomness.
    pub seed: Option<KeySeed>,
    /// How the commit is framed.
    pub framing: Framing,
    /// Whether Welcomes hold the ratchet tree. If not, give it to new members in another way.
    /// Default true.
    pub welcome_ratchet_tree: bool,
    /// The largest number of new members that share a Welcome. Default: no limit.
    pub welcome_recipients: usize,
    /// Makes a GroupInfo of the new epoch with these contents. Default none.
    pub group_info: Option<GroupInfoOptions>,
    /// The application's extensions for the GroupInfo of the new epoch, in Welcomes too.
    pub group_info_extensions: Vec<Extension>,
    /// The PSKs that the proposals name, unless they are resumption PSKs of this group.
    pub psks: Vec<(PskType, Secret)>,
    /// In a group's first commit: the group that this one branches off or replaces. Parameters and
    /// members must fit the link, as every client that joins will check. [`Link::known_as`] is for
    /// members whose credentials change.
    pub link: Option<Link>,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self {
            proposals: Vec::new(),
            received: true,
            references: None,
            leave_out: Vec::new(),
            force_path: false,
            leaf: None,
            seed: None,
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
