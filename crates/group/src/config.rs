//! What the application decides for a group, with defaults that suit a messenger.

use crate::error::{Error, Misuse};
use crate::limits::Limits;
use crate::permissions::Rules;
use crate::policy::Policy;
use alloc::sync::Arc;
use alloc::vec::Vec;
use conclave_wire::{CustomProposal, LeafNode, is_grease};

/// Settings of one client for a group. Not stored: given when a group is created, joined or
/// loaded.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bounds on what others can make grow.
    pub limits: Limits,
    /// The application's rules, beyond RFC 9420's, for proposals and commits. Default none.
    ///
    /// One object judges alike what is sent and what is received.
    pub policy: Arc<dyn Policy>,
    /// Whether a group that was stored under another policy may be loaded. Otherwise that is
    /// [`Misuse::OtherPolicy`], so that no group loses its rules because a program was started
    /// without them. The new policy's name is stored with the next epoch. Default false.
    pub adopt_policy: bool,
    /// The types of proposal, beyond RFC 9420's, that this client implements.
    ///
    /// Three sets are to be told apart: what a client implements, this; what it advertises, the
    /// capabilities of its leaf, at most this and GREASE; and what a group requires, its
    /// `required_capabilities`, at most what all advertise.
    pub proposals: Vec<CustomProposal>,
    /// How much the clocks of two clients may differ, in seconds. Default one hour.
    pub clock_skew: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            policy: Arc::new(Rules::default()),
            adopt_policy: false,
            proposals: Vec::new(),
            clock_skew: 60 * 60,
        }
    }
}

impl Config {
    /// That this client implements what its leaf advertises (section 13.4). Only of proposals can
    /// that be known here: extensions and credentials of any type are carried, and are the
    /// application's.
    pub(crate) fn check_advertised(&self, leaf: &LeafNode) -> Result<(), Error> {
        let implemented = |wanted| self.proposals.iter().any(|p| p.proposal_type == wanted);
        let mut advertised = leaf.capabilities.proposals.iter().copied();
        match advertised.find(|t| !t.is_default() && !is_grease(t.0) && !implemented(*t)) {
            Some(t) => Err(Misuse::NotImplemented(t).into()),
            None => Ok(()),
        }
    }
}
