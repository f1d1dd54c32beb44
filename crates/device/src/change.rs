use conclave_mls::Identity;
use conclave_mls::group::{CommitOptions, Extension, LeafIndex, Member, NewProposal};
use conclave_mls::key_package::ValidKeyPackage;

/// The contents of a change to a room. The intent that is given to [`Room::change`](crate::Room::change) fills
/// them in.
#[derive(Debug, Default)]
pub struct Changes {
    pub(crate) options: CommitOptions,
    wanted: bool,
}

impl Changes {
    /// Adds a client.
    pub fn add(&mut self, client: &ValidKeyPackage) {
        self.propose(NewProposal::Add(Box::new(client.clone())));
    }

    /// Removes a member.
    pub fn remove(&mut self, member: &Member) {
        self.remove_leaf(member.index);
    }

    /// Removes the member at a leaf.
    pub fn remove_leaf(&mut self, leaf: LeafIndex) {
        self.propose(NewProposal::Remove(leaf));
    }

    /// Replaces the GroupContext's extensions.
    pub fn set_extensions(&mut self, extensions: Vec<Extension>) {
        self.propose(NewProposal::GroupContextExtensions(extensions));
    }

    /// Makes any proposal.
    pub fn propose(&mut self, proposal: NewProposal) {
        self.options.proposals.push(proposal);
        self.wanted = true;
    }

    /// Renews this device's encryption keys, so that whoever has the old ones can no longer read
    /// (post-compromise security).
    pub fn renew(&mut self) {
        self.options.force_path = true;
        self.wanted = true;
    }

    /// Renews the encryption keys, and the signature key and credential with them:
    /// [`Identity::renewed`]. Store the new identity before.
    pub fn renew_as(&mut self, identity: &Identity) {
        self.options.leaf = Some(identity.leaf_update());
        self.wanted = true;
    }

    /// Commits the received proposals even if nothing else changes.
    pub fn commit_received(&mut self) {
        self.wanted = true;
    }

    /// Everything that a commit can be told: framing, Welcomes, GroupInfo, PSKs.
    pub fn options(&mut self) -> &mut CommitOptions {
        &mut self.options
    }

    pub(crate) fn into_options(self) -> Option<CommitOptions> {
        self.wanted.then_some(self.options)
    }
}
